"""Predictions: kept in a store at once, found again, and set beside the outcome."""

import json

import pytest
from panel_checks import check_controls

from madlab import Chain, Loop, panels
from madlab.panels import prediction

QUESTION = ("What happens to <recall>?", ["it falls", "it stays"])


def test_a_prediction_is_kept_at_once_and_found_again(tmp_path):
    asked = panels.Prediction(*QUESTION, key="recall", store=tmp_path)
    check_controls(asked)
    assert asked.answer is None
    assert "No prediction has been kept yet" in asked.html()
    asked.picked.value = "it falls"
    assert "You predicted: it falls" in asked.status.value
    (line,) = (tmp_path / "predictions.jsonl").read_text().splitlines()
    assert json.loads(line)["answer"] == "it falls"
    asked.why.value = "copies of copies"
    again = panels.Prediction(*QUESTION, key="recall", store=tmp_path)
    assert (again.answer, again.note, again.picked.value) == (
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
        asked.picked.value = answer
    file = tmp_path / prediction.FILE
    with file.open("ab") as stream:
        stream.write(b'{"key": "recall", "answer": "it fa')
    assert panels.Prediction(*QUESTION, key="recall", store=tmp_path).answer == "it stays"
    # What is kept next starts on a line of its own.
    asked.picked.value = "it falls"
    assert panels.Prediction(*QUESTION, key="recall", store=tmp_path).answer == "it falls"
    # An older answer does not come back where the newest is no answer any more.
    others = (QUESTION[0], ["it stays", "it rises"])
    assert panels.Prediction(*others, key="recall", store=tmp_path).answer is None
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
    with pytest.raises(ValueError, match="value is 'it rises'; it must be one of 'it falls'"):
        panels.Prediction(*QUESTION, key="recall", store=tmp_path, value="it rises")


def test_a_prediction_stands_beside_the_outcome(tmp_path):
    asked = panels.Prediction(*QUESTION, key="recall", store=tmp_path)
    page = asked.beside("recall fell from 0.55 to 0.12", "it falls")._repr_mimebundle_()
    assert "nothing was predicted before this run" in page["text/html"]
    assert "So it went</dt><dd>it falls</dd>" in page["text/html"]
    asked.picked.value = "it stays"
    asked.keep()
    beside = asked.beside("recall fell from 0.55 to 0.12", "it falls")
    assert "You predicted: it stays" in beside.words()
    assert "The run shows: recall fell from 0.55 to 0.12" in beside.words()
    assert "not as you predicted, but: it falls" in beside.html()
    asked.picked.value = "it falls"
    asked.keep()
    assert "So it went: as you predicted" in asked.beside("it fell", "it falls").words()
    assert "So it went" not in asked.beside("it fell").words()
    close = asked.beside("it fell by 0.01", asked.too_close).words()
    assert close.endswith("So it went: too close to call")
    with pytest.raises(ValueError, match="answer is 'up'"):
        asked.beside("it fell", "up")


def test_a_prediction_that_cannot_be_kept_says_so(tmp_path):
    asked = panels.Prediction(*QUESTION, key="recall", store=tmp_path / "store")
    asked.why.value = "a reason alone is no prediction"
    assert "No prediction has been kept yet" in asked.status.value
    with pytest.raises(ValueError, match="choose one of the answers first"):
        asked.keep()
    (tmp_path / "store").write_text("a file is in the way")
    asked.picked.value = "it falls"
    assert "did not take the prediction" in asked.status.value
    assert asked.answer is None
    with pytest.raises(NotADirectoryError):
        panels.Prediction(*QUESTION, key="recall", store=tmp_path / "store")


def test_a_prediction_needs_two_answers_that_differ():
    for options in ([], ["yes"], ["yes", "yes"]):
        with pytest.raises(ValueError, match="at least two, all different"):
            panels.Prediction("Why?", options, key="k")
