"""Cherry-picking: the best of m by an independent count, and everything that could go wrong."""

import json

import numpy as np
import pytest

from madlab import Chain, Loop
from madlab.data import gaussian, mnist
from madlab.data.samples import Dataset, Samples
from madlab.metrics.features import confidence
from madlab.models import check_model, create, load, names, picked
from madlab.models.base import NotFittedError
from madlab.models.picked import Picked
from madlab.streams import derive

SMALL = {"components": 3, "rank": 4}
FLOW = {"channels": 4, "steps": 3, "batch": 16, "sampling_steps": 1}


@pytest.fixture(scope="module")
def digits():
    return mnist().images[:400], mnist().labels[:400]


@pytest.fixture(scope="module")
def fitted(digits):
    model = create("picked", model_settings=SMALL, candidates=4)
    model.fit(*digits, seed=0)
    return model


@pytest.mark.parametrize("bias", [0.3, 1.0])
def test_each_digit_is_the_best_of_its_own_candidates(digits, fitted, bias, monkeypatch):
    # Seven digits at a time, so that the twenty come from three chunks.
    monkeypatch.setattr(picked, "CANDIDATES", 30)
    asked = np.arange(20) % 10
    found = fitted.sample(20, bias=bias, seed=5, labels=asked)
    inner = create("mixture", **SMALL)
    inner.fit(*digits, seed=0)
    for i in range(20):
        start = 7 * (i // 7)
        stop = min(start + 7, 20)
        labels = [label for label in asked[start:stop] for _ in range(4)]
        stream = derive(5, "picked", start)
        pile = inner.sample(len(labels), bias=bias, seed=stream, labels=np.array(labels)).images
        mine = pile[4 * (i - start) : 4 * (i - start) + 4]
        scores = confidence(mine, np.full(4, asked[i])).tolist()
        np.testing.assert_array_equal(found.images[i], mine[scores.index(max(scores))])
    np.testing.assert_array_equal(found.labels, asked)


def test_of_equally_sure_candidates_the_first_is_kept(digits, fitted, monkeypatch):
    monkeypatch.setattr(picked, "confidence", lambda images, labels: np.full(len(images), 0.5))
    found = fitted.sample(30, seed=1).images
    labels = fitted.sample(30, seed=1).labels
    inner = create("mixture", **SMALL)
    inner.fit(*digits, seed=0)
    pile = inner.sample(120, seed=derive(1, "picked", 0), labels=np.repeat(labels, 4)).images
    np.testing.assert_array_equal(found, pile[::4])


def test_more_candidates_are_read_with_more_confidence_and_class_frequencies_stay(digits):
    sure, labels = [], []
    for m in (1, 2, 8):
        model = create("picked", model_settings=SMALL, candidates=m)
        model.fit(*digits, seed=0)
        drawn = model.sample(600, seed=2)
        sure.append(np.log(confidence(*drawn)).mean())
        labels.append(drawn.labels)
    assert sure[0] < sure[1] < sure[2] < 0
    np.testing.assert_array_equal(labels[0], labels[2])
    asked = np.bincount(digits[1], minlength=10) / 400
    # Six hundred draws: a share has a standard deviation of at most 0.02.
    np.testing.assert_allclose(np.bincount(labels[2], minlength=10) / 600, asked, atol=0.08)


@pytest.mark.parametrize(
    "settings",
    [
        {"model_settings": SMALL, "candidates": 3},
        {"model": "diffusion", "model_settings": FLOW, "candidates": 2},
        {"model": "picked", "model_settings": {"model_settings": SMALL, "candidates": 2}},
    ],
)
def test_picked_keeps_every_promise(digits, settings):
    # After three steps a flow draws noise, on which guidance does nothing that can be foretold.
    bias = None if settings.get("model") == "diffusion" else 0.3
    check_model(create("picked", **settings), *digits, bias=bias)


def test_digit_i_does_not_depend_on_how_many_chunks_of_memory_follow(fitted, monkeypatch):
    whole = fitted.sample(50, seed=3)
    monkeypatch.setattr(picked, "CANDIDATES", 60)
    parts = fitted.sample(50, seed=3)
    # Chunks of another size draw from other streams, but from the same one at the start.
    np.testing.assert_array_equal(parts.images[:15], whole.images[:15])
    assert (parts.images[15:] != whole.images[15:]).any()
    np.testing.assert_array_equal(parts.images[:33], fitted.sample(33, seed=3).images)
    monkeypatch.setattr(picked, "CANDIDATES", 1)
    assert fitted.sample(3, seed=3).images.shape == (3, 28, 28)


def test_settings_hold_all_of_the_other_models_settings():
    model = create("picked", model_settings={"rank": 4})
    assert model.settings == {
        "model": "mixture",
        "model_settings": create("mixture", rank=4).settings,
        "candidates": 4,
    }
    assert create("picked", **json.loads(json.dumps(model.settings))).settings == model.settings


def test_files_of_any_inner_model_lie_flat_beside_its_own(digits, fitted, tmp_path):
    outer = Picked("picked", {"model_settings": SMALL}, candidates=2)
    outer.fit(*digits, seed=0)
    outer.save(tmp_path)
    files = sorted(path.name for path in tmp_path.iterdir())
    assert files == [
        f"{prefix}model.{kind}"
        for prefix in ("inner.inner.", "inner.", "")
        for kind in ("json", "safetensors")
    ]
    again = load(tmp_path)
    assert type(again) is Picked
    assert again.settings == outer.settings
    np.testing.assert_array_equal(again.sample(9, seed=1).images, outer.sample(9, seed=1).images)


def test_the_version_rises_with_every_model_that_can_be_picked_from():
    """Stored names say nothing else of the inner model's version: raise Picked.version with it."""
    inner = [type(create(name)) for name in names() if name != "picked"]
    assert Picked.version == 1 + sum(kind.version - 1 for kind in inner if kind.conditional)


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"model": "mixtur"}, KeyError, "did you mean 'mixture'"),
        ({"model_settings": {"colour": 1}}, TypeError, "no setting 'colour'"),
        ({"model_settings": {"rank": 0}}, ValueError, "rank is 0"),
        ({"model": "gaussian"}, ValueError, "'gaussian' takes no labels.*such as 'mixture'"),
        ({"candidates": 0}, ValueError, "candidates is 0; it must be at least 1"),
        ({"candidates": 2.0}, TypeError, "candidates must be a whole number"),
    ],
)
def test_what_cannot_be_picked_from_is_refused(settings, error, message):
    with pytest.raises(error, match=message):
        create("picked", **settings)


def test_only_labelled_digits_can_be_picked(digits):
    images, labels = digits
    model = create("picked", model_settings=SMALL)
    for bad in (np.zeros((5, 32, 32), np.uint8), images[:5, :20]):
        with pytest.raises(TypeError, match=r"uint8 with shape \(n, 28, 28\)"):
            model.fit(bad, labels[:5], seed=0)
    with pytest.raises(TypeError, match="images must be uint8"):
        model.fit(gaussian(2, 10).images, seed=0)
    with pytest.raises(ValueError, match="give labels"):
        model.fit(images, seed=0)
    with pytest.raises(ValueError, match="labels run up to 12; 10 classes"):
        model.fit(images[:3], np.array([1, 2, 12]), seed=0)
    with pytest.raises(NotFittedError):
        model.sample(1, seed=0)


def test_a_label_that_was_never_seen_is_refused(digits):
    images, labels = digits
    few = labels < 3
    model = create("picked", model_settings=SMALL)
    model.fit(images[few], labels[few], seed=0)
    with pytest.raises(ValueError, match="labels run up to 5"):
        model.sample(1, seed=0, labels=np.array([5]))


def test_a_chain_runs_on_picked_digits_and_reads_them_again(tmp_path):
    full = mnist()
    held_out = Samples(full.held_out.images[:100], full.held_out.labels[:100])
    data = Dataset("mnist-of-picked", full.images[:400], full.labels[:400], held_out)
    settings = {"model_settings": SMALL, "candidates": 2}
    rows = []
    for _ in range(2):
        model = create("picked", **settings)
        chain = Chain(Loop.fully_synthetic(400), model, data, store=tmp_path, n_evaluate=100)
        generations = list(chain.run(2))
        rows.append([generation.scores for generation in generations])
    assert rows[0] == rows[1]
    assert chain.records()["model"].tolist() == ["picked"] * 2
