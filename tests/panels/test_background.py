"""Panels that work in a thread: whether anybody listens, and which panel is on the page."""

from types import SimpleNamespace

import pytest
from matplotlib.figure import Figure

from madlab import panels
from madlab.panels import background
from madlab.plots.picture import Picture


class Idle(background.BackgroundPanel):
    """A panel without controls, which counts how often it was asked to stop."""

    def __init__(self):
        self.stops = 0
        super().__init__("mad-idle", start=False)

    def render(self):
        return Picture(Figure(figsize=(1, 1)), "An empty figure.")

    def stop(self):
        self.stops += 1


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


def test_running_a_cell_again_stops_its_earlier_panel(monkeypatch):
    monkeypatch.setattr(background, "_SHOWN", {})

    def show(cell, run):
        parent = {"metadata": {"cellId": cell}, "header": {"msg_id": run}}
        monkeypatch.setattr(background, "request_of_kernel", lambda: parent)
        return Idle()

    shown = [show("a", "1"), show("a", "1"), show("b", "2")]
    assert [panel.stops for panel in shown] == [0, 0, 0]
    show("a", "3")
    assert [panel.stops for panel in shown] == [0, 1, 0]
