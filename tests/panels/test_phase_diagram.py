"""The phase diagram: closed form at once, points as they come, and a form without a kernel."""

import re
import time

import numpy as np
import pytest

from madlab import panels
from madlab.panels import background, phase_diagram
from madlab.panels.phase_diagram import _places
from madlab.plots.phase import phase_picture
from madlab.streams import derive
from madlab.theory import effective_ratio, effective_size, settled_distance

# In five dimensions a point takes milliseconds.
SMALL = {"d": 5, "side": 2, "chains": 4, "measurements": 2}


@pytest.fixture
def listening(monkeypatch):
    """A front end that answers, so that starts do not wait."""
    monkeypatch.setattr(background, "front_end_listens", lambda: True)


@pytest.fixture
def endless(monkeypatch):
    """From the second point on none is done: a simulation only asks whether to end."""
    first = iter([True])

    def simulate(*given, progress, **options):
        if next(first, False):
            return settled_distance(*given, progress=progress, **options)
        while True:
            progress(0.5)
            time.sleep(0.01)

    monkeypatch.setattr(phase_diagram.theory, "settled_distance", simulate)


def test_without_a_front_end_every_point_is_there():
    panel = panels.PhaseDiagram(**SMALL, bias=0.7)
    assert panel.error is None
    assert "Finished" in panel.status.value
    assert "4 simulated points" in panel.status.value
    phase = panel._map()
    # Corners of n_real from d to 10 d (at least 10) and n_synthetic from d to 100 d.
    assert sorted(zip(phase.points.x, phase.points.y, strict=True)) == [
        (10, 10),
        (10, 1_000),
        (100, 10),
        (100, 1_000),
    ]
    # The few points and dimensions are the formula's worst; what is simulated is right.
    closed = effective_ratio(5, phase.points.x, phase.points.y, 0.7)
    np.testing.assert_allclose(phase.points.ratio, closed, rtol=0.5)


def test_a_point_is_what_the_theory_says_of_its_loop():
    from madlab.loops import Loop

    panel = panels.PhaseDiagram(**SMALL, bias=0.7, seed=3)
    found = panel.found[5, 0.7, 100, 1_000]
    seed = derive(3, 5, "0.7", 100, 1_000)
    options = {"chains": 4, "measurements": 2, "seed": seed}
    w2 = settled_distance(Loop.fresh_data(100, 1_000), 5, 0.7, **options)
    worth = effective_size(w2.value, 5, w2.error)
    assert found == (worth.value / 100, worth.error / 100)


def test_controls_redraw_the_closed_form_at_once():
    panel = panels.PhaseDiagram(**SMALL, start=False)
    assert panel.found == {}
    before = panel.picture.value
    panel.bias.value = 0.3
    assert panel.picture.value != before
    assert "λ = 0.3" in panel.status.value
    assert panel.n_real.disabled
    panel.view.value = "bias"
    assert panel.bias.disabled
    assert not panel.n_real.disabled
    assert "n_real = 250" in panel.status.value
    panel.d.value = 40
    assert "d = 40" in panel.status.value


def test_points_of_a_setting_seen_before_are_kept():
    panel = panels.PhaseDiagram(**SMALL, bias=0.7)
    panel.bias.value = 0.5
    assert "simulated points" not in panel.status.value
    panel.bias.value = 0.7
    assert "4 simulated points" in panel.status.value


def test_a_moved_control_ends_the_simulation(listening, endless):
    panel = panels.PhaseDiagram(d=5, side=12, chains=4, start=False)
    panel.start_here()
    panel.bias.value = 0.4
    assert panel.wait()
    assert "λ = 0.4" in panel.status.value
    assert len(panel.found) <= 1
    assert not panel.start_button.disabled
    assert panel.stop_button.disabled


def test_a_picture_that_was_overtaken_is_not_shown(listening, monkeypatch):
    panel = panels.PhaseDiagram(**SMALL, start=False)
    run = panel._run
    right = panel.render

    def slow():
        drawn = right()
        # While it was drawn, a control was moved.
        panel.settle()
        return drawn

    before = panel.picture.value
    panel.found[5, 0.85, 10, 10] = (1.0, 0.1)
    monkeypatch.setattr(panel, "render", slow)
    panel.show_of(run, "too late")
    assert panel.picture.value == before
    assert "too late" not in panel.status.value


def test_stop_keeps_what_was_simulated(listening, endless):
    panel = panels.PhaseDiagram(d=5, side=12, chains=4, start=False)
    panel.start_here()
    while not panel.found:
        time.sleep(0.01)
    panel.stop()
    assert panel.wait()
    assert len(panel.found) == 1
    assert "Stopped after 1 of 144 points" in panel.status.value


def test_reports_show_the_state_and_three_biases():
    panel = panels.PhaseDiagram(**SMALL)
    page = panel._repr_mimebundle_()["text/html"]
    assert page.count("<img") == 2
    state, sheet = re.findall(r'alt="([^"]+)"', page)
    assert "n_e / n_real, d = 5, λ = 0.85" in state
    assert "λ = 0.7:" in sheet
    assert "closed form" in page
    assert "seed 0" in page
    with pytest.raises(ValueError, match="no maps"):
        phase_picture({})


def test_the_two_views_cover_their_planes():
    chosen = {"view": "bias", "d": 100, "bias": 0.85, "n_real": 250}
    places = _places(chosen, 3)
    assert {place[1] for place in places} == {0.1, 0.5, 0.9}
    assert {place[2] for place in places} == {250}
    assert {place[3] for place in places} == {10, 316, 10_000}
    places = _places({**chosen, "view": "sizes"}, 3)
    assert {place[2] for place in places} == {100, 316, 1_000}
    assert {place[1] for place in places} == {0.85}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"d": 0}, "d is 0; it must be at least 1"),
        ({"d": 500}, "d is 500; it must be at least 1 and at most 200"),
        ({"bias": 0}, r"must lie in \(0, 1\]"),
        ({"n_real": 1}, "n_real is 1; it must be at least 2"),
        ({"view": "11"}, "it must be one of 'sizes', 'bias'"),
        ({"side": 1}, "side is 1; it must be at least 2"),
        ({"chains": 1}, "chains is 1; it must be at least 2"),
        ({"seed": -1}, "seed is -1"),
    ],
)
def test_what_cannot_work_is_refused(given, message):
    with pytest.raises(ValueError, match=message):
        panels.PhaseDiagram(**given)
