"""What every panel does: a picture, its words, and a form without a kernel."""

import ipywidgets as widgets
import pytest
from matplotlib.figure import Figure
from panel_checks import check_page

from madlab import panels
from madlab.plots.picture import Picture


class Square(panels.Panel):
    """The smallest panel: a number and its square."""

    def __init__(self):
        super().__init__("mad-square", {"x": widgets.IntSlider(description="x", value=2)})

    def render(self):
        if self.x.value > 50:
            raise ValueError(f"x is {self.x.value}; at most 50 <fits>")
        figure = Figure(figsize=(3, 2))
        figure.subplots().bar([0], [self.x.value])
        alt = f"A bar as high as {self.x.value}, whose square is {self.x.value**2}."
        about = f"x is {self.x.value}, and nothing else was set for this picture"
        return Picture(figure, alt, about)


def test_a_panel_follows_its_controls_in_picture_and_words():
    shown = Square()
    before = shown.picture.value
    shown.x.value = 7
    assert shown.picture.value != before
    assert "A bar as high as 7" in shown.status.value
    assert 'role="status"' in shown.status.value
    assert shown.state == {"x": 7}
    assert (shown.picture.layout.width, shown.picture.layout.height) == ("300px", "200px")


def test_a_panel_displays_as_a_widget_and_as_html():
    shown = Square()
    bundle = shown._repr_mimebundle_()
    assert "application/vnd.jupyter.widget-view+json" in bundle
    assert check_page(bundle["text/html"]) == "A bar as high as 2, whose square is 4."
    assert bundle["text/plain"] == f"{shown.alt()} ({shown.settings()})"
    shown.x.value = 9
    assert "as high as 9" in shown.html()


def test_what_goes_wrong_in_a_panel_is_said_and_raised():
    shown = Square()
    with pytest.raises(ValueError, match="x is 60"):
        shown.x.value = 60
    assert "This cannot be shown: x is 60; at most 50 &lt;fits&gt;" in shown.status.value
