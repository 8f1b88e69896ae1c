"""What every panel does: a picture, its words, and a form without a kernel."""

import re
from types import SimpleNamespace

import ipywidgets as widgets
import pytest
from bs4 import BeautifulSoup
from matplotlib.figure import Figure
from panel_checks import check_page

from madlab import panels
from madlab.panels import still
from madlab.panels.panel import slider
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


VIEW = "application/vnd.jupyter.widget-view+json"


def test_a_panel_displays_as_a_widget_beside_a_still_that_follows_it(monkeypatch):
    outputs, renewed, waiting = [], [], []
    monkeypatch.setattr(still, "display", lambda data, **how: outputs.append((data, how)))
    monkeypatch.setattr(still, "update_display", lambda data, **how: renewed.append((data, how)))
    timer = SimpleNamespace(start=lambda: None)
    monkeypatch.setattr(still.threading, "Timer", lambda _, send: waiting.append(send) or timer)
    shown = Square()
    shown.x.value = 3
    shown._ipython_display_()
    (view, _), (kept, how) = outputs
    assert view[VIEW]["model_id"] == shown.model_id
    assert not BeautifulSoup(view["text/html"], "html.parser").text
    assert VIEW not in kept
    assert check_page(kept["text/html"]) == "A bar as high as 3, whose square is 9."
    assert kept["text/plain"] == f"{shown.alt()} ({shown.settings()})"
    # The view brings what hides its still, and no other.
    (name,) = re.findall(r"mad-still-\w+", kept["text/html"])
    assert name in shown.children[-1].value
    # Several changes in a row are one message, which has the last of them.
    for value in (4, 9):
        shown.x.value = value
    (send,) = waiting
    send()
    ((data, where),) = renewed
    assert "as high as 9" in data["text/html"]
    assert where["display_id"] == how["display_id"]
    shown.x.value = 5
    waiting[1]()
    assert "as high as 5" in renewed[1][0]["text/html"]


def test_where_nobody_can_turn_a_control_a_panel_is_html(monkeypatch):
    outputs = []
    monkeypatch.setattr(still, "display", lambda data, **how: outputs.append(data))
    monkeypatch.setattr(still, "executed_alone", lambda: True)
    shown = Square()
    shown._ipython_display_()
    (page,) = outputs
    assert set(page) == {"text/plain", "text/html"}
    assert page == shown._repr_mimebundle_()
    shown.x.value = 9
    assert "as high as 9" in shown.html()


def test_what_goes_wrong_in_a_panel_is_said_and_raised():
    shown = Square()
    with pytest.raises(ValueError, match="x is 60"):
        shown.x.value = 60
    assert "This cannot be shown: x is 60; at most 50 &lt;fits&gt;" in shown.status.value


def test_the_number_beside_a_slider_has_no_more_digits_than_its_steps():
    handle = slider("strength", 0.0, 1.0, 0.1, 0.0)
    typed, _ = handle.box.children
    handle.value = 0.1 + 0.2
    assert typed.value == 0.3
    typed.value = 0.7
    assert handle.value == 0.7
