"""The live loop: what it shows, what it refuses, and how its thread ends."""

import time

import numpy as np
import pandas as pd
import pytest
from panel_checks import check_controls, check_page, until_said

from madlab import data, models, panels
from madlab.panels import background

SIZES = {"n_real": 300, "n_synthetic": 300, "generations": 3, "n_evaluate": 100}


def test_without_a_front_end_the_live_loop_shows_the_finished_loop(digits, chains, store):
    live = panels.LiveLoop(digits, store=store, **SIZES)
    assert [generation.t for generation in live.generations] == [1, 2, 3]
    chain = chains["fully synthetic"]
    # The thread's numbers are those of a chain run by hand.
    pd.testing.assert_frame_equal(live.records, chain.records())
    assert "Finished. Generation 3 of 3: FD-LeNet" in live.status.value
    alt = check_page(live._repr_mimebundle_()["text/html"])
    assert alt.startswith("10 digits of each class of generation 1, 2, 3, beside the scores")
    check_controls(live)
    assert live.wait()


def test_a_changed_control_runs_the_loop_anew(digits, store):
    live = panels.LiveLoop(digits, store=store, **SIZES)
    before = live.picture.value
    live.controls["generations"].value = 2
    live.bias.value = 0.5
    assert live.records["bias"].tolist() == [0.5] * 2
    assert live.picture.value != before
    assert "sampling bias 0.5" in live.settings()
    live.loop.value = "fresh data"
    assert live.records["loop"].tolist() == ["fresh data"] * 2
    assert live.records["n_real"].tolist() == [300, 300]


def test_one_dial_sets_both_sizes_and_offers_what_the_pool_has(digits):
    live = panels.LiveLoop(digits, n=300, generations=2, n_evaluate=100)
    assert [value for _, value in live.n.options] == [250, 300, 500, 1_000]
    assert live.records[["n_real", "n_synthetic"]].values.tolist() == [[300, 0], [0, 300]]
    live.n.value = 250
    assert live.records[["n_real", "n_synthetic"]].values.tolist() == [[250, 0], [0, 250]]


def test_going_through_what_was_made_trains_nothing(digits, store):
    live = panels.LiveLoop(digits, store=store, **SIZES)
    made, before = live.generations, live.picture.value
    assert "generation 1, 3" in live.alt()
    live.shown.value = 2
    assert "generation 1, 2" in live.alt()
    second = live.picture.value
    assert second != before
    live.digit.value = 4
    assert "of class 4 of generation 1, 2" in live.alt()
    assert live.picture.value != second
    assert live.generations is not made
    assert [one.samples is two.samples for one, two in zip(live.generations, made, strict=True)]
    # A longer loop ends at its own newest generation, which every control reaches.
    live.controls["generations"].value = 4
    assert "of class 4 of generation 1, 4" in live.alt()
    typed, _ = live.shown.box.children
    typed.value = 4
    # The play button moves the same slider.
    (play,) = live.play.children
    assert play.max == typed.max == 4
    play.value = 1
    assert live.shown.value == 1
    assert "of class 4 of generation 1, beside" in live.alt()


def test_the_first_generation_is_the_same_in_every_loop(digits, store):
    live = panels.LiveLoop(digits, store=store, **{**SIZES, "n_synthetic": 200, "generations": 1})
    previews = [live.generations[0].preview.images]
    for loop in ("synthetic augmentation", "fresh data"):
        live.loop.value = loop
        previews.append(live.generations[0].preview.images)
    assert np.array_equal(previews[0], previews[1])
    assert np.array_equal(previews[0], previews[2])


def test_a_live_loop_that_was_not_started_waits_for_start(digits, store):
    live = panels.LiveLoop(digits, store=store, start=False, **SIZES)
    assert "Press Start" in live.status.value
    assert live.generations == []
    assert live.records.empty
    assert "no generation has been trained yet" in live.alt()
    blank = live.picture.value
    live.start_button.click()
    assert live.wait()
    assert live.picture.value != blank


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ({"bias": 1.5}, ValueError, "bias is 1.5"),
        ({"bias": float("nan")}, ValueError, "bias is nan"),
        ({"loop": "fresh"}, ValueError, "loop is 'fresh'; it must be one of 'fully synthetic'"),
        ({"n_real": 0}, ValueError, "n_real is 0"),
        ({"n_real": 1501}, ValueError, "n_real is 1501; .* at most 1,500"),
        ({"generations": 0}, ValueError, "generations is 0"),
        ({"seed": -1}, ValueError, "seed is -1"),
        ({"model": "mixtur"}, KeyError, "did you mean 'mixture'"),
        ({"model_settings": {"colour": 1}}, TypeError, "no setting 'colour'"),
    ],
)
def test_a_live_loop_refuses_what_cannot_work(digits, given, error, message):
    with pytest.raises(error, match=message):
        panels.LiveLoop(digits, start=False, **{**SIZES, **given})


def test_a_live_loop_needs_images():
    with pytest.raises(TypeError, match=r"images of gaussian.* must be uint8"):
        panels.LiveLoop(data.gaussian(n=10, n_held_out=10))


def test_what_a_start_finds_wrong_is_said_and_raised(digits, store):
    live = panels.LiveLoop(digits, store=store, loop="fresh data", start=False, **SIZES)
    with pytest.raises(ValueError, match="need 1,800 real samples"):
        live.controls["generations"].value = 6
    assert "The run ended with an error" in live.status.value
    assert "need 1,800 real samples" in live.status.value
    assert isinstance(live.error, ValueError)
    assert not live.start_button.disabled


class Endless(type(models.create("mixture"))):
    """A mixture whose fit only ends when it is stopped."""

    def fit(self, images, labels=None, *, seed, progress=None, checkpoint=None):
        while True:
            progress(0.5)
            time.sleep(0.01)


class Broken(Endless):
    def fit(self, images, labels=None, *, seed, progress=None, checkpoint=None):
        raise FloatingPointError("the loss is not a number")


@pytest.fixture
def listening(monkeypatch):
    """A front end that listens, as far as the live loop can tell."""
    monkeypatch.setattr(background, "front_end_listens", lambda: True)
    for name, kind in (("endless", "Endless"), ("broken", "Broken")):
        monkeypatch.setitem(models._WHERE, name, (__name__, kind))


def test_stop_ends_a_live_loop_at_once(digits, listening):
    live = panels.LiveLoop(digits, model="endless", **SIZES)
    assert live.start_button.disabled
    assert not live.stop_button.disabled
    until_said(live, r"Now training generation 1 of 3, 50%")
    assert not live.wait(0)
    live.stop_button.click()
    # Nothing but Stop ends the fit.
    assert live.wait()
    assert "Stopped after generation 0 of 3" in live.status.value
    assert not live.start_button.disabled
    assert live.stop_button.disabled


def test_only_the_last_start_trains_and_speaks(digits, listening):
    live = panels.LiveLoop(digits, model="endless", **SIZES)
    threads = [live._run.thread]
    for bias in (0.9, 0.8, 0.7):
        live.bias.value = bias
        threads.append(live._run.thread)
    for thread in threads[:-1]:
        thread.join()
    until_said(live, "Now training")
    assert [thread.is_alive() for thread in threads] == [False, False, False, True]
    assert "sampling bias 0.7" in live.settings()
    assert "Stopped" not in live.status.value
    live.stop()
    assert live.wait()


def test_an_error_in_the_thread_is_never_lost(digits, listening):
    live = panels.LiveLoop(digits, model="broken", **SIZES)
    with pytest.raises(FloatingPointError, match="the loss is not a number"):
        live.wait()
    assert "The run ended with an error: the loss is not a number" in live.status.value
    assert not live.start_button.disabled


def test_digits_and_curves_grow_generation_by_generation(digits, store, listening):
    live = panels.LiveLoop(digits, store=store, start=False, **SIZES)
    pictures, sentences = [], []
    live.picture.observe(lambda change: pictures.append(change["new"]), "value")
    live.status.observe(lambda change: sentences.append(change["new"]), "value")
    live.start()
    assert live.wait()
    assert len(set(pictures)) == 3
    assert ["Generation 2 of 3: FD-LeNet" in text for text in sentences].count(True) >= 1


def test_the_plain_line_of_pictures_says_kid_and_recall(faces, capsys):
    panels.watch(faces["ψ = 1"], 2)
    line = capsys.readouterr().out.splitlines()[1]
    row = faces["ψ = 1"].records().iloc[1]
    assert line.startswith("fully synthetic, principal, bias 1, seed 0: Generation 2 of 2: KID-PCA")
    assert f"{row['kid']:.3g} ± {row['kid_error']:.1g}, recall {row['recall']:.3g}" in line
    assert "read" not in line
