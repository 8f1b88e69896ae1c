"""What every panel does: a picture, its words, and a form without a kernel."""

from types import SimpleNamespace

import ipywidgets as widgets
import pytest
from matplotlib.figure import Figure
from panel_checks import check_page

from madlab import panels
from madlab.panels import panel
from madlab.plots.picture import Picture


class Square(panels.Panel):
    """The smallest panel: a number and its square."""

    def __init__(self):
        self.x = widgets.IntSlider(description="x", value=2)
        super().__init__("mad-square", [self.x])

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
    assert (shown.picture.layout.width, shown.picture.layout.height) == ("300px", "200px")


def test_a_panel_displays_as_a_widget_and_as_html():
    shown = Square()
    bundle = shown._repr_mimebundle_()
    assert "application/vnd.jupyter.widget-view+json" in bundle
    assert check_page(bundle["text/html"]) == "A bar as high as 2, whose square is 4."
    assert bundle["text/plain"] == f"{shown.alt()} ({shown.settings()})"
    shown.x.value = 9
    assert "as high as 9" in shown.snapshot().data


def test_what_goes_wrong_in_a_panel_is_said_and_raised():
    shown = Square()
    with pytest.raises(ValueError, match="x is 60"):
        shown.x.value = 60
    assert "This cannot be shown: x is 60; at most 50 &lt;fits&gt;" in shown.status.value


@pytest.mark.parametrize(
    ("request_", "listens"),
    [
        ({"header": {"msg_type": "execute_request"}, "content": {"allow_stdin": True}}, True),
        ({"header": {"msg_type": "execute_request"}, "content": {"allow_stdin": False}}, False),
        ({"header": {"msg_type": "comm_msg"}, "content": {"comm_id": "1"}}, True),
        ({}, False),
        (None, False),
    ],
)
def test_front_end_listens_where_code_may_ask_for_input(monkeypatch, request_, listens):
    kernel = SimpleNamespace(get_parent=lambda channel: {"shell": request_}[channel])
    monkeypatch.setattr("IPython.get_ipython", lambda: SimpleNamespace(kernel=kernel))
    assert panels.front_end_listens() is listens


def test_no_front_end_listens_outside_a_kernel(monkeypatch):
    assert panels.front_end_listens() is False
    monkeypatch.setattr("IPython.get_ipython", SimpleNamespace)
    assert panels.front_end_listens() is False


def test_running_a_cell_again_dismisses_its_earlier_panel(monkeypatch):
    monkeypatch.setattr(panel, "_SHOWN", {})
    gone = []

    def show(cell, run):
        made = Square()
        parent = {"metadata": {"cellId": cell}, "header": {"msg_id": run}}
        monkeypatch.setattr(panel, "_request", lambda: parent)
        panel.replaces(made, gone.append)
        return made

    first, second = show("a", "1"), show("a", "1")
    show("b", "2")
    assert gone == []
    show("a", "3")
    assert gone == [second]
    assert first is not second
