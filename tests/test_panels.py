import base64
import io
import json
import re
import time
from types import SimpleNamespace

import ipywidgets as widgets
import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from PIL import Image

from madlab import Chain, Loop, data, models, panels
from madlab.data.samples import Dataset, Samples
from madlab.metrics import features
from madlab.metrics.matching import nearest
from madlab.panels import background, panel, prediction
from madlab.plots.lines import number

SIZES = {"n_real": 300, "n_synthetic": 300, "generations": 3, "n_evaluate": 100}


@pytest.fixture(scope="module")
def digits():
    full = data.mnist()
    held_out = Samples(full.held_out.images[:100], full.held_out.labels[:100])
    return Dataset("mnist-of-panels", full.images[:1500], full.labels[:1500], held_out)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return tmp_path_factory.mktemp("panels") / "store"


@pytest.fixture(scope="module")
def chains(digits, store):
    loops = [Loop.fully_synthetic(300), Loop.fresh_data(300, 300)]
    made = {
        loop.name: Chain(loop, "mixture", digits, store=store, n_evaluate=100) for loop in loops
    }
    for chain in made.values():
        list(chain.run(3))
    return made


def picture_in(page):
    content = base64.b64decode(re.search(r"data:image/png;base64,([^\"]+)", page)[1])
    return np.asarray(Image.open(io.BytesIO(content)).convert("RGB"))


def check_page(page):
    """A fallback has alt text, a caption and a picture that is not blank."""
    alt = re.search(r'<img alt="([^"]+)"', page)[1]
    assert len(alt) > 30
    assert len(re.search(r"<figcaption>(.+)</figcaption>", page)[1]) > 40
    drawn = picture_in(page)
    assert drawn.std() > 10
    assert len(page) < 150_000
    return alt


def controls_of(box):
    for child in box.children:
        if isinstance(child, widgets.Box):
            yield from controls_of(child)
        elif isinstance(child, widgets.ValueWidget) and not isinstance(
            child, (widgets.HTML, widgets.Label, widgets.Image)
        ):
            yield child


def check_controls(shown):
    """Every control has a visible label, or is a slider beside a labelled number."""
    linked = {widgets.IntSlider, widgets.FloatSlider}
    for control in controls_of(shown):
        assert control.description or type(control) in linked, control
        assert not getattr(control, "continuous_update", False)


class Square(panels.Panel):
    """The smallest panel: a number and its square."""

    def __init__(self):
        self.x = widgets.IntSlider(description="x", value=2)
        super().__init__([self.x], "mad-square")
        self.follow(self.x)
        self.redraw()

    def figure(self):
        if self.x.value > 50:
            raise ValueError(f"x is {self.x.value}; at most 50 <fits>")
        figure = Figure(figsize=(3, 2))
        figure.subplots().bar([0], [self.x.value])
        return figure

    def alt(self):
        return f"A bar as high as {self.x.value}, whose square is {self.x.value**2}."

    def settings(self):
        return f"x is {self.x.value}, and nothing else was set for this picture"


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


# The live loop.


def test_without_a_front_end_the_live_loop_shows_the_finished_loop(digits, chains, store):
    live = panels.LiveLoop(digits, store=store, **SIZES)
    assert [generation.t for generation in live.generations] == [1, 2, 3]
    chain = chains["fully synthetic"]
    # The thread's numbers are those of a chain run by hand.
    pd.testing.assert_frame_equal(live.records, chain.records())
    assert "Finished. Generation 3 of 3: FD-LeNet" in live.status.value
    assert check_page(live._repr_mimebundle_()["text/html"]).startswith("3 generations")
    check_controls(live)
    assert live.wait()


def test_a_changed_control_runs_the_loop_anew(digits, store):
    live = panels.LiveLoop(digits, store=store, **SIZES)
    before = live.picture.value
    live.counts["generations"].value = 2
    live.bias.value = 0.5
    assert live.records["bias"].tolist() == [0.5] * 2
    assert live.picture.value != before
    assert "sampling bias 0.5" in live.settings()
    live.loop.value = "fresh data"
    assert live.records["loop"].tolist() == ["fresh data"] * 2
    assert live.records["n_real"].tolist() == [300, 300]


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
        ({"loop": "fresh"}, ValueError, "loop is 'fresh'; it must be one of: fully synthetic"),
        ({"n_real": 0}, ValueError, "n_real is 0"),
        ({"n_real": 1501}, ValueError, "n_real is 1,501, but mnist-of-panels has 1,500"),
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
    with pytest.raises(ValueError, match="holds no images"):
        panels.LiveLoop(data.gaussian(n=10, n_held_out=10))


def test_what_a_start_finds_wrong_is_said_and_raised(digits, store):
    live = panels.LiveLoop(digits, store=store, loop="fresh data", start=False, **SIZES)
    with pytest.raises(ValueError, match="need 1,800 real samples"):
        live.counts["generations"].value = 6
    assert "The run ended with an error" in live.status.value
    assert "need 1,800 real samples" in live.status.value
    assert isinstance(live.error, ValueError)
    assert not live.start_button.disabled


class Slow(type(models.create("mixture"))):
    """A mixture that takes five seconds to fit."""

    def fit(self, images, labels=None, *, seed, progress=None, checkpoint=None):
        for i in range(100):
            progress(i / 100)
            time.sleep(0.05)
        super().fit(images, labels, seed=seed)


class Broken(Slow):
    def fit(self, images, labels=None, *, seed, progress=None, checkpoint=None):
        raise FloatingPointError("the loss is not a number")


@pytest.fixture
def listening(monkeypatch):
    """A front end that listens, as far as the live loop can tell."""
    monkeypatch.setattr(background, "front_end_listens", lambda: True)
    for name, kind in (("slow", "Slow"), ("broken", "Broken")):
        monkeypatch.setitem(models._WHERE, name, (__name__, kind))


def test_stop_ends_a_live_loop_at_once(digits, listening):
    live = panels.LiveLoop(digits, model="slow", **SIZES)
    assert live.start_button.disabled
    assert not live.stop_button.disabled
    assert not live.wait(0.3)
    assert re.search(r"Now training generation 1 of 3, \d+%", live.status.value)
    live.stop_button.click()
    began = time.monotonic()
    assert live.wait(2)
    assert time.monotonic() - began < 2
    assert "Stopped after generation 0 of 3" in live.status.value
    assert not live.start_button.disabled
    assert live.stop_button.disabled


def test_only_the_last_start_trains_and_speaks(digits, listening):
    live = panels.LiveLoop(digits, model="slow", **SIZES)
    threads = [live._run.thread]
    for bias in (0.9, 0.8, 0.7):
        live.bias.value = bias
        threads.append(live._run.thread)
    live.wait(0.3)
    assert [thread.is_alive() for thread in threads] == [False, False, False, True]
    assert "sampling bias 0.7" in live.settings()
    assert "Stopped" not in live.status.value
    live.stop()
    assert live.wait(2)


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
    assert live.wait(60)
    assert len(set(pictures)) == 3
    assert ["Generation 2 of 3: FD-LeNet" in text for text in sentences].count(True) >= 1


# The generation browser.


def test_the_browser_shows_any_generation_and_any_picture(chains):
    browser = panels.GenerationBrowser(chains)
    check_controls(browser)
    seen = {browser.picture.value}
    browser.generation.value = 3
    seen.add(browser.picture.value)
    browser.chosen.value = 42
    seen.add(browser.picture.value)
    browser.chain.value = "fresh data"
    seen.add(browser.picture.value)
    assert len(seen) == 4
    assert "Generation 3 of 3, fresh data: 100 digits, and picture 42, a 2," in browser.alt()
    samples = chains["fresh data"].samples(3)
    share = (features.read(samples.images) == samples.labels).mean()
    assert f"{share:.0%} of 100 digits are read as their label" in browser.alt()


def test_pictures_of_a_mixture_are_matched_and_said_to_be(chains):
    chain = chains["fully synthetic"]
    browser = panels.GenerationBrowser(chain)
    assert "matched to those of generation 1" in browser.settings()
    assert "not the same noise" in browser.settings()
    strip = browser._strip(browser.chain.value)
    index = nearest(chain.preview(1), chain.samples(3))
    found = index >= 0
    assert found.sum() > 80
    assert np.array_equal(strip[2][found], chain.samples(3).images[index[found]])
    assert (strip[2][~found] == 0).all()


def test_pictures_of_a_model_that_follows_noise_are_its_previews(chains, monkeypatch):
    chain = chains["fully synthetic"]
    monkeypatch.setattr(type(chain.model), "follows_noise", True, raising=False)
    browser = panels.GenerationBrowser({"flow": chain})
    assert "come from the same noise" in browser.settings()
    assert np.array_equal(browser._strip("flow")[2], chain.preview(3).images)


def test_the_browser_falls_back_to_a_contact_sheet_of_all_generations(chains):
    browser = panels.GenerationBrowser(chains)
    page = browser._repr_mimebundle_()["text/html"]
    alt = check_page(page)
    assert "generations 1 to 3" in alt
    assert "fully synthetic and fresh data" in alt
    # A snapshot is the state at hand instead.
    assert "picture 0, a 0," in check_page(browser.snapshot().data)


def test_chains_with_nothing_to_browse_are_refused(digits, chains):
    with pytest.raises(ValueError, match="give at least one"):
        panels.GenerationBrowser({})
    with pytest.raises(ValueError, match="'new' has not run"):
        panels.GenerationBrowser(
            {"new": Chain(Loop.fully_synthetic(300), "mixture", digits, n_evaluate=100)}
        )


# The loop comparison.


def test_the_comparison_draws_what_is_ticked(chains):
    records = pd.concat([chain.records() for chain in chains.values()])
    shown = panels.LoopComparison(records)
    check_controls(shown)
    both = shown.picture.value
    assert set(shown.loops) == {"fully synthetic", "fresh data"}
    shown.loops["fresh data"].value = False
    assert shown.picture.value != both
    assert "fresh data" not in shown.alt()
    shown.metrics["coverage"].value = True
    assert "coverage" in shown.alt()
    shown.loops["fresh data"].value = True
    shown.metrics["coverage"].value = False
    assert shown.picture.value == both
    first, last = records[records["loop"] == "fresh data"]["fd"].iloc[[0, -1]]
    assert f"fresh data, bias 1: FD-LeNet {number(first)} to {number(last)}," in shown.alt()
    check_page(shown._repr_mimebundle_()["text/html"])


def test_the_comparison_says_when_nothing_is_chosen(chains):
    shown = panels.LoopComparison(chains["fresh data"].records())
    shown.biases[1.0].value = False
    assert "Nothing is chosen" in shown.status.value


def test_the_comparison_refuses_scores_of_other_sizes(chains):
    records = chains["fresh data"].records()
    with pytest.raises(ValueError, match="n_evaluate"):
        panels.LoopComparison(pd.concat([records, records.assign(n_evaluate=7)]))


# Predictions.

QUESTION = ("What happens to <recall>?", ["it falls", "it stays"])


def test_a_prediction_is_kept_at_once_and_found_again(tmp_path):
    asked = panels.Prediction(*QUESTION, key="recall", store=tmp_path)
    check_controls(asked)
    assert asked.answer is None
    assert "No prediction has been kept yet" in asked.html()
    asked.choice.value, asked.why.value = "it falls", "copies of copies"
    asked.button.click()
    assert "You predicted: it falls" in asked.status.value
    (line,) = (tmp_path / "predictions.jsonl").read_text().splitlines()
    assert json.loads(line)["answer"] == "it falls"
    again = panels.Prediction(*QUESTION, key="recall", store=tmp_path)
    assert (again.answer, again.note, again.choice.value) == (
        "it falls",
        "copies of copies",
        "it falls",
    )
    page = again._repr_mimebundle_()["text/html"]
    assert "<b>it falls</b> (your prediction)" in page
    assert "What happens to &lt;recall&gt;?" in page
    assert panels.Prediction(*QUESTION, key="other", store=tmp_path).answer is None


def test_the_newest_intact_prediction_counts(tmp_path):
    asked = panels.Prediction(*QUESTION, key="recall", store=tmp_path)
    for answer in ("it falls", "it stays"):
        asked.choice.value = answer
        asked.keep()
    file = tmp_path / prediction.FILE
    with file.open("ab") as stream:
        stream.write(b'{"key": "recall", "answer": "it fa')
    assert panels.Prediction(*QUESTION, key="recall", store=tmp_path).answer == "it stays"
    # What is kept next starts on a line of its own.
    asked.choice.value = "it falls"
    asked.keep()
    assert panels.Prediction(*QUESTION, key="recall", store=tmp_path).answer == "it falls"
    with file.open("ab") as stream:
        stream.write(b'[]\n{"key": "recall"}\n\xff\n')
    assert panels.Prediction(*QUESTION, key="recall", store=tmp_path).answer == "it falls"


def test_predictions_live_beside_generations_in_one_store(tmp_path, digits):
    panels.Prediction(*QUESTION, key="recall", store=tmp_path, value="it falls")
    loop = Loop.fully_synthetic(300)
    chain = Chain(loop, "mixture", digits, store=tmp_path, n_evaluate=100)
    list(chain.run(1))
    assert panels.Prediction(*QUESTION, key="recall", store=chain.store).answer == "it falls"
    assert chain.store.verify() == []


def test_a_notebook_parameter_gives_the_prediction(tmp_path):
    for value in ("it falls", "it falls", ""):
        asked = panels.Prediction(*QUESTION, key="recall", store=tmp_path, value=value)
        assert asked.answer == "it falls"
    assert len((tmp_path / prediction.FILE).read_text().splitlines()) == 1
    with pytest.raises(ValueError, match="value is 'it rises'; it must be one of: it falls"):
        panels.Prediction(*QUESTION, key="recall", store=tmp_path, value="it rises")


def test_a_prediction_stands_beside_the_outcome(tmp_path):
    asked = panels.Prediction(*QUESTION, key="recall", store=tmp_path)
    page = asked.beside("recall fell from 0.55 to 0.12", "it falls")._repr_mimebundle_()
    assert "nothing was predicted before this run" in page["text/html"]
    assert "So it went" not in page["text/html"]
    asked.choice.value = "it stays"
    asked.keep()
    beside = asked.beside("recall fell from 0.55 to 0.12", "it falls")
    assert "You predicted: it stays" in beside.words()
    assert "The run shows: recall fell from 0.55 to 0.12" in beside.words()
    assert "not as you predicted, but: it falls" in beside.html()
    asked.choice.value = "it falls"
    asked.keep()
    assert "So it went: as you predicted" in asked.beside("it fell", "it falls").words()
    assert "So it went" not in asked.beside("it fell").words()
    with pytest.raises(ValueError, match="answer is 'up'"):
        asked.beside("it fell", "up")


def test_a_prediction_that_cannot_be_kept_says_so(tmp_path):
    asked = panels.Prediction(*QUESTION, key="recall", store=tmp_path / "store")
    asked.button.click()
    assert "Not kept: choose one of the answers first" in asked.status.value
    asked.choice.value = "it falls"
    (tmp_path / "store").write_text("a file is in the way")
    asked.button.click()
    assert "did not take the prediction" in asked.status.value
    assert asked.answer is None
    with pytest.raises(NotADirectoryError):
        panels.Prediction(*QUESTION, key="recall", store=tmp_path / "store")


def test_a_prediction_needs_two_answers_that_differ():
    for options in ([], ["yes"], ["yes", "yes"]):
        with pytest.raises(ValueError, match="at least two, all different"):
            panels.Prediction("Why?", options, key="k")
