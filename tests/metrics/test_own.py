"""Features and scores of one's own, and a scorer for every shape that a model can train on."""

import math
from dataclasses import replace

import numpy as np
import pytest

import madlab as ml
from madlab.data.samples import Dataset, Samples
from madlab.metrics import OwnFeatures, OwnScore, Reference
from madlab.metrics.scores import kind_of_records, scored_on
from madlab.store import Store

RNG = np.random.default_rng(0)


def pictures(*shape, n=80, labels=True):
    """Smooth blobs, which are nearer to pictures than noise is."""
    y, x = np.mgrid[: shape[0], : shape[1]] / max(shape[:2])
    at = RNG.random((2, n, 1, 1))
    blobs = 255 * np.exp(-20 * ((y - at[0]) ** 2 + (x - at[1]) ** 2))
    blobs = np.repeat(blobs[..., None], 3, -1) if len(shape) == 3 else blobs
    return Dataset.from_arrays(
        blobs.astype(np.uint8), np.arange(n) % 2 * 3 if labels else None, held_out=20
    )


def points(d, labels=True):
    return Dataset.from_arrays(
        RNG.standard_normal((100, d)), np.arange(100) % 2 if labels else None, held_out=20
    )


DATA = {
    "grey 28": lambda labels: pictures(28, 28, labels=labels),
    "grey 16": lambda labels: pictures(16, 16, labels=labels),
    "grey 9 x 13": lambda labels: pictures(9, 13, labels=labels),
    "grey 32": lambda labels: pictures(32, 32, labels=labels),
    "colour 16": lambda labels: pictures(16, 16, 3, labels=labels),
    "colour 9 x 13": lambda labels: pictures(9, 13, 3, labels=labels),
    "points": lambda labels: points(2, labels),
    "numbers": lambda labels: points(1, labels),
}
TINY = {"channels": 4, "steps": 2, "batch": 8}
MODELS = {
    "coupling": {"couplings": 2, "hidden": 4, "epochs": 1, "batch": 16},
    "diffusion": {**TINY, "sampling_steps": 1},
    "face_flow": {**TINY, "sampling_steps": 2},
    "face_gan": TINY,
    "gan": TINY,
    "gaussian": {},
    "mixture": {"components": 2, "rank": 2},
    "picked": {"model": "mixture", "model_settings": {"components": 1, "rank": 1}, "candidates": 2},
    "principal": {"components": 4},
    "wgan": {**TINY, "batch": 10},
}
POINTS, GREY, COLOUR = ["points"], ["grey 28", "grey 16", "grey 32"], ["colour 16"]
# What each runs on, whether labelled or not; all else is refused.
RUNS = {
    "coupling": (POINTS, POINTS),
    "diffusion": (GREY, []),
    "face_flow": (COLOUR, COLOUR),
    "face_gan": (COLOUR, COLOUR),
    "gan": (GREY, []),
    "gaussian": (["points", "numbers"],) * 2,
    "mixture": ([*GREY, "grey 9 x 13"], [*GREY, "grey 9 x 13", "points", "numbers"]),
    "picked": (["grey 28"], []),
    "principal": (COLOUR, COLOUR),
    "wgan": (GREY, []),
}


def test_the_table_has_every_model():
    assert [*MODELS] == [*RUNS] == ml.models.names()


@pytest.mark.parametrize("labels", [True, False], ids=["labels", "no labels"])
@pytest.mark.parametrize("model", MODELS)
def test_every_model_runs_on_data_or_refuses_them_before_training(model, labels, tmp_path):
    ran, refused = [], []
    for name, of in DATA.items():
        store, data = tmp_path / name.replace(" ", ""), of(labels)
        features = "pca" if data.images.ndim > 2 and name != "grey 28" else None
        made = ml.models.create(model, **MODELS[model])
        chain = ml.Chain(
            ml.Loop.fully_synthetic(30), made, data, store=store, features=features, n_evaluate=12
        )
        try:
            generations = chain.run(2)
        except (TypeError, ValueError) as error:
            refused.append(str(error))
            assert not store.exists()
            continue
        *_, last = generations
        assert math.isfinite(last.scores.fd), name
        assert math.isfinite(last.scores.recall), name
        ran.append(name)
    assert sorted(ran) == sorted(RUNS[model][not labels])
    assert all(len(message) < 250 and "\n" not in message for message in refused), refused


def mean_ink(images):
    return np.stack([images.mean((1, 2)), images.std((1, 2))], 1)


def ink(samples, held_out):
    return samples.images.mean() / held_out.mean()


@pytest.mark.parametrize("shape", [(28, 28), (12, 20), (16, 16, 3)])
def test_features_and_scores_of_ones_own_go_on_records(shape, tmp_path):
    def look(images):
        return images.reshape(len(images), -1)[:, ::7].astype(float)

    def run(scores):
        chain = ml.Chain(
            ml.Loop.fully_synthetic(30),
            "principal" if len(shape) == 3 else "mixture",
            data,
            store=tmp_path,
            n_evaluate=15,
            features=OwnFeatures("mine", look),
            scores=scores,
        )
        return chain, list(chain.run(2))

    data = pictures(*shape, n=60)
    chain, generations = run([OwnScore("ink", ink, version=1)])
    records = chain.records()
    assert records["features"].str.startswith("mine-").all()
    assert all(generation.scores.ink > 0 for generation in generations)
    np.testing.assert_allclose(records["ink"], [one.scores.ink for one in generations])
    assert kind_of_records(records).name == ("samples" if shape == (28, 28) else "pictures")
    assert "mine" in scored_on(records)
    assert "ink" in ml.plots.curves(records, metrics=["ink"]).alt
    # Another score, another record; the trained models are those that there are.
    before = [entry.id for entry in Store(tmp_path).entries()]
    again, _ = run([OwnScore("ink", ink, version=2)])
    assert [entry.id for entry in Store(tmp_path).entries()] == before
    assert set(again.records()["id"]).isdisjoint(records["id"])
    assert len(run([])[0].store.rows()) == 6


def test_identity_is_the_code_or_the_version():
    data = pictures(28, 28)

    def id_of(**given):
        return Reference(data, 12, **given).id

    def other(images):
        return images.mean((1, 2))[:, None] + 1.0

    plain = id_of()
    assert plain == id_of(scores=())
    assert id_of(features=OwnFeatures("a", mean_ink)) == id_of(features=OwnFeatures("a", mean_ink))
    assert id_of(features=OwnFeatures("a", mean_ink)) != id_of(features=OwnFeatures("a", other))
    assert OwnFeatures("a", np.asarray, version=3).name == "a-v3"
    assert id_of(scores=[OwnScore("ink", ink, 1)]) not in (
        plain,
        id_of(scores=[OwnScore("b", ink)]),
    )


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: OwnFeatures("pca", mean_ink), "which madlab uses itself"),
        (lambda: OwnFeatures("my map", mean_ink), "letters, digits and underscores"),
        (lambda: OwnFeatures("mine", np.abs), "give a version"),
        (lambda: OwnFeatures("mine", "mean"), "must be a function"),
        (lambda: OwnScore("recall", ink), "which madlab uses itself"),
        (lambda: OwnScore("seed", ink), "which madlab uses itself"),
    ],
)
def test_names_that_cannot_be_are_refused(make, message):
    with pytest.raises((TypeError, ValueError), match=message):
        make()


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda images: images.mean(), r"must have shape \(n, d\), not \(\)"),
        (lambda images: np.zeros((1, 3)), "1 rows for 2 images"),
        (lambda images: np.full((len(images), 2), np.nan), "NaN or infinite"),
    ],
)
def test_what_features_of_ones_own_must_not_give_is_said_before_training(function, message):
    for data in (pictures(28, 28), pictures(16, 16), points(2)):
        with pytest.raises(ValueError, match=message):
            Reference(data, 12, OwnFeatures("mine", function, version=1))
    with pytest.raises(TypeError, match="OwnFeatures"):
        Reference(data, 12, mean_ink)
    with pytest.raises(TypeError, match="OwnScore"):
        Reference(data, 12, scores=[ink])


def test_digits_can_be_looked_at_as_pictures_and_grey_is_colour_without_colour():
    grey = pictures(20, 20, labels=False)
    colour = replace(
        grey,
        images=np.stack([grey.images] * 3, -1),
        held_out=Samples(np.stack([grey.held_out.images] * 3, -1)),
    )
    for features in ("pca", "efficientnet"):
        one, two = (Reference(data, 30, features) for data in (grey, colour))
        assert one.features == two.features
        assert one.measure(Samples(grey.images[:30])) == two.measure(Samples(colour.images[:30]))
    digits = pictures(28, 28)
    found = Reference(digits, 30, "pca").measure(Samples(digits.images[:30]))
    assert math.isfinite(found.kid)
    assert Reference(digits, 12).features.startswith("lenet-")
