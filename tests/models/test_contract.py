"""Models by name, and the contract battery, which must catch every kind of broken model."""

import json

import numpy as np
import pytest
import torch

from madlab import models
from madlab.data import Samples, gaussian, mnist
from madlab.models import check_model, create, load
from madlab.models.base import Model, NotFittedError
from madlab.models.contract import spread
from madlab.models.gaussian import Gaussian
from madlab.models.mixture import Mixture
from madlab.streams import generator

POINTS = gaussian(2, 60).images


@pytest.fixture(scope="module")
def digits():
    return mnist().images[:400], mnist().labels[:400]


def test_names():
    assert models.names() == [
        "coupling",
        "diffusion",
        "face_flow",
        "face_gan",
        "gan",
        "gaussian",
        "mixture",
        "picked",
        "principal",
        "wgan",
    ]
    for name in models.names():
        model = create(name)
        assert isinstance(model, Model)
        assert model.name == name


def test_settings_go_round_through_json():
    model = create("mixture", components=7, rank=3, tone=False)
    assert model.settings == {"components": 7, "rank": 3, "tone": False}
    again = create(model.name, **json.loads(json.dumps(model.settings)))
    assert again.settings == model.settings


def test_unknown_names_and_settings_are_answered_with_what_there_is():
    with pytest.raises(KeyError, match=r"gan, gaussian, mixture.*did you mean 'mixture'"):
        create("mixtures")
    with pytest.raises(KeyError, match="there are: coupling"):
        create("zebra")
    with pytest.raises(TypeError, match=r"did you mean 'components'.*components, rank, tone"):
        create("mixture", component=3)
    with pytest.raises(TypeError, match="has no setting 'rank'"):
        create("gaussian", rank=3)


def test_load_finds_the_class(digits, tmp_path):
    model = create("mixture", components=2, rank=3)
    model.fit(*digits, seed=0)
    model.save(tmp_path)
    loaded = load(tmp_path)
    assert type(loaded) is Mixture
    assert loaded.settings == model.settings
    assert {path.name for path in tmp_path.iterdir()} == {"model.safetensors", "model.json"}
    found, wanted = loaded.sample(40, seed=1), model.sample(40, seed=1)
    np.testing.assert_array_equal(found.images, wanted.images)
    np.testing.assert_array_equal(found.labels, wanted.labels)
    with pytest.raises(ValueError, match="holds 'mixture' version 1, not 'gaussian'"):
        Gaussian.from_folder(tmp_path)


def test_a_model_of_another_version_is_refused(tmp_path, monkeypatch):
    model = Gaussian()
    model.fit(POINTS, seed=0)
    model.save(tmp_path)
    monkeypatch.setattr(Gaussian, "version", 99)
    with pytest.raises(ValueError, match="version 1, not 'gaussian' version 99"):
        load(tmp_path)


@pytest.mark.parametrize("settings", [{}, {"components": 3, "rank": 2, "tone": False}])
def test_mixture_keeps_every_promise(digits, settings):
    check_model(create("mixture", **settings), *digits)


def test_mixture_keeps_every_promise_without_labels(digits):
    check_model(create("mixture", components=5), digits[0])


@pytest.mark.parametrize("bias", [0.9, 0.5, 0.01])
def test_gaussian_keeps_every_promise(bias):
    check_model(create("gaussian"), POINTS, bias=bias)


@pytest.mark.parametrize("bias", [0.9, 0.01])
def test_coupling_keeps_every_promise(bias):
    check_model(create("coupling", hidden=16, epochs=5), POINTS, bias=bias)


def test_the_battery_leaves_the_model_as_it_is():
    model = Gaussian()
    check_model(model, POINTS)
    assert model._fitted is None


def test_spread_is_the_variance_within_classes():
    rng = np.random.default_rng(0)
    points = rng.standard_normal((100, 3))
    assert spread(Samples(points)) == pytest.approx(points.var(axis=0).sum())
    labels = np.arange(100) % 2
    shifted = points + 50 * labels[:, None]
    parts = [points[labels == k].var(axis=0).sum() for k in (0, 1)]
    assert spread(Samples(shifted, labels)) == pytest.approx(np.mean(parts))


# Each of the models below breaks one promise; the battery must say which.


class DependsOnBatch(Gaussian):
    def sample(self, n, *, bias=1.0, seed, labels=None):
        return super().sample(n, bias=bias, seed=seed + (n > 1) * n)


class IgnoresBias(Gaussian):
    def sample(self, n, *, bias=1.0, seed, labels=None):
        super().sample(n, bias=bias, seed=seed)
        return super().sample(n, seed=seed)


class AcceptsAnyBias(Gaussian):
    def sample(self, n, *, bias=1.0, seed, labels=None):
        return super().sample(n, bias=min(max(bias, 0.1), 1.0), seed=seed)


class AcceptsAnyCount(Gaussian):
    def sample(self, n, *, bias=1.0, seed, labels=None):
        return super().sample(abs(int(n)), bias=bias, seed=seed)


class RemembersFits(Gaussian):
    def fit(self, images, labels=None, *, seed, progress=None, checkpoint=None):
        before = self._fitted
        super().fit(images, labels, seed=seed, progress=progress)
        if before is not None:
            self.fitted["mean"] += before["mean"]


class CountsFits(Gaussian):
    fits = 0

    def fit(self, images, labels=None, *, seed, progress=None, checkpoint=None):
        self.fits += 1
        super().fit(images, labels, seed=seed, progress=progress)
        self.fitted["mean"] += self.fits


class TrustsAnyCheckpoint(Gaussian):
    def fit(self, images, labels=None, *, seed, progress=None, checkpoint=None):
        super().fit(images, labels, seed=seed, progress=progress)
        if checkpoint is not None:
            self.fitted["mean"] += 1


class DrawsFromGlobalState(Gaussian):
    def fit(self, images, labels=None, *, seed, progress=None, checkpoint=None):
        super().fit(images, labels, seed=seed, progress=progress)
        self.fitted["mean"] += torch.randn(2).double().numpy()


class SamplesFromGlobalState(Gaussian):
    def sample(self, n, *, bias=1.0, seed, labels=None):
        drawn = super().sample(n, bias=bias, seed=seed).images
        return Samples(drawn + torch.randn(2).double().numpy())


class IgnoresSeed(Gaussian):
    def sample(self, n, *, bias=1.0, seed, labels=None):
        return super().sample(n, bias=bias, seed=0)


class SavesLossily(Gaussian):
    def save(self, folder):
        if self._fitted is None:
            super().save(folder)
        kept = self.fitted
        self._fitted = {name: a.astype(np.float16).astype(float) for name, a in kept.items()}
        super().save(folder)
        self._fitted = kept


class SavesOtherFiles(Gaussian):
    def save(self, folder):
        super().save(folder)
        (folder / "model.pkl").write_bytes(b"")


class SavesNothing(Gaussian):
    def save(self, folder):
        if self._fitted is None:
            super().save(folder)


class DrawsSingles(Gaussian):
    def sample(self, n, *, bias=1.0, seed, labels=None):
        return Samples(super().sample(n, bias=bias, seed=seed).images.astype(np.float32))


class DrawsRows(Gaussian):
    def sample(self, n, *, bias=1.0, seed, labels=None):
        return Samples(super().sample(n, bias=bias, seed=seed).images[:, :1])


class DrawsNothingForOne(Gaussian):
    def sample(self, n, *, bias=1.0, seed, labels=None):
        return Samples(super().sample(n, bias=bias, seed=seed).images[: n - (n == 1)])


class FailsForNone(Gaussian):
    def sample(self, n, *, bias=1.0, seed, labels=None):
        drawn = super().sample(n, bias=bias, seed=seed)
        if not n:
            drawn.images.max()
        return drawn


class DrawsInfinity(Gaussian):
    def sample(self, n, *, bias=1.0, seed, labels=None):
        drawn = super().sample(n, bias=bias, seed=seed)
        drawn.images[-1:] = np.inf
        return drawn


class SamplesBeforeFit(Gaussian):
    def sample(self, n, *, bias=1.0, seed, labels=None):
        if self._fitted is None:
            return Samples(np.zeros((n, 2)))
        return super().sample(n, bias=bias, seed=seed)


class SavesBeforeFit(Gaussian):
    def save(self, folder):
        if self._fitted is not None:
            super().save(folder)


class RaisesAnotherError(Gaussian):
    def sample(self, n, *, bias=1.0, seed, labels=None):
        return Samples(self.covariance + generator(seed).standard_normal((n, 2)))


class SwallowsStop(Gaussian):
    def fit(self, images, labels=None, *, seed, progress=None, checkpoint=None):
        try:
            super().fit(images, labels, seed=seed, progress=progress)
        except Exception:
            super().fit(images, labels, seed=seed)


class NeverReports(Gaussian):
    def fit(self, images, labels=None, *, seed, progress=None, checkpoint=None):
        super().fit(images, labels, seed=seed)


class ReportsPercent(Gaussian):
    def fit(self, images, labels=None, *, seed, progress=None, checkpoint=None):
        super().fit(images, labels, seed=seed)
        if progress:
            progress(50)
            progress(100)


class WritesIntoImages(Gaussian):
    def fit(self, images, labels=None, *, seed, progress=None, checkpoint=None):
        super().fit(images, labels, seed=seed, progress=progress)
        images -= self.fitted["mean"]


class WritesAndPutsBack(Gaussian):
    def fit(self, images, labels=None, *, seed, progress=None, checkpoint=None):
        if images.dtype == np.float64:
            images *= 2
            images /= 2
        super().fit(images, labels, seed=seed, progress=progress)


class TakesSingles(Gaussian):
    def fit(self, images, labels=None, *, seed, progress=None, checkpoint=None):
        super().fit(images.astype(np.float64), labels, seed=seed, progress=progress)


class HidesSetting(Gaussian):
    def __init__(self, extra=1):
        super().__init__()


class HoldsTuple(Gaussian):
    settings = {"sizes": (1, 2)}  # noqa: RUF012

    def __init__(self, sizes=(1, 2)):
        super().__init__()


class ForgetsSettings(Gaussian):
    def __init__(self, extra=1):
        super().__init__()
        self.extra = extra

    @property
    def settings(self):
        self.extra += 1
        return {"extra": self.extra}


class HasNoVersion(Gaussian):
    version = "1"


class SaysMaybe(Gaussian):
    follows_noise = None


BROKEN = {
    DependsOnBatch: "must not depend on how many are drawn",
    IgnoresBias: "bias 0.5 does not lower the diversity",
    AcceptsAnyBias: "bias=0.*ValueError or TypeError was expected, but nothing was raised",
    AcceptsAnyCount: r"sample\(-1\).*nothing was raised",
    RemembersFits: "fitting again differs from fitting once",
    CountsFits: "fitting again differs from fitting once",
    TrustsAnyCheckpoint: "fitting again differs from fitting once",
    DrawsFromGlobalState: "fitting again differs from fitting once",
    SamplesFromGlobalState: "the same seed gives other samples",
    IgnoresSeed: "another seed gives the same samples",
    SavesLossily: "loaded model samples otherwise",
    SavesOtherFiles: "safetensors and .json files only, not .*model.pkl",
    SavesNothing: "save writes nothing",
    DrawsSingles: r"have images float32 \(24, 2\), not float64 \(24, 2\)",
    DrawsRows: r"have images float64 \(24, 1\), not float64 \(24, 2\)",
    DrawsNothingForOne: "the first 1 of 24 samples differ from those of 1",
    FailsForNone: r"sample\(0, .*fails: ValueError",
    DrawsInfinity: "NaN or infinite",
    SamplesBeforeFit: "sample before fit: NotFittedError was expected, but nothing",
    SavesBeforeFit: "save before fit: NotFittedError was expected, but nothing",
    RaisesAnotherError: "sample before fit: NotFittedError was expected, not AttributeError",
    SwallowsStop: "does not pass through",
    NeverReports: "fit never calls progress",
    ReportsPercent: r"do not rise within 0 to 1: \[50, 100\]",
    WritesIntoImages: "fit writes into the images",
    WritesAndPutsBack: "fit writes into the images",
    TakesSingles: "fit to float32 images.*nothing was raised",
    HidesSetting: r"settings lack what the class takes: \['extra'\]",
    HoldsTuple: "do not survive JSON",
    ForgetsSettings: "do not survive JSON|other settings",
    SaysMaybe: "follows_noise is neither True nor False",
    HasNoVersion: "version is '1', not a whole number",
}


@pytest.mark.parametrize("kind", BROKEN)
def test_broken_models_are_caught(kind):
    with pytest.raises(AssertionError, match=BROKEN[kind]):
        check_model(kind(), POINTS)


class LooksAtOtherLabels(Mixture):
    def sample(self, n, *, bias=1.0, seed, labels=None):
        labels = super().sample(n, bias=bias, seed=seed, labels=labels).labels
        order = np.argsort(labels, kind="stable")
        drawn = super().sample(n, bias=bias, seed=seed, labels=labels[order])
        back = np.argsort(order)
        return Samples(drawn.images[back], labels)


class DrawsOtherLabels(Mixture):
    def sample(self, n, *, bias=1.0, seed, labels=None):
        drawn = super().sample(n, bias=bias, seed=seed, labels=labels)
        return drawn if labels is None else Samples(drawn.images, drawn.labels[::-1].copy())


class DrawsNoLabels(Mixture):
    def sample(self, n, *, bias=1.0, seed, labels=None):
        return Samples(super().sample(n, bias=bias, seed=seed, labels=labels).images)


class TakesAnyLabel(Mixture):
    def sample(self, n, *, bias=1.0, seed, labels=None):
        if labels is not None and len(labels) == n and labels.dtype == np.int64:
            labels = labels % 10
        return super().sample(n, bias=bias, seed=seed, labels=labels)


class TakesFewLabels(Mixture):
    def fit(self, images, labels=None, *, seed, progress=None, checkpoint=None):
        if labels is not None:
            images = images[: len(labels)]
        super().fit(images, labels, seed=seed, progress=progress)


class DrawsInt32Labels(Mixture):
    def sample(self, n, *, bias=1.0, seed, labels=None):
        drawn = super().sample(n, bias=bias, seed=seed, labels=labels)
        return Samples(drawn.images, drawn.labels.astype(np.int32))


LABELS = {
    LooksAtOtherLabels: "samples differ from|changes with the labels of the others",
    DrawsOtherLabels: "do not have the labels asked for",
    DrawsNoLabels: r"have labels None, not int64 \(24,\)",
    TakesAnyLabel: "negative labels.*nothing was raised",
    TakesFewLabels: "fit with too few labels.*nothing was raised",
    DrawsInt32Labels: r"have labels int32 \(24,\), not int64 \(24,\)",
}


@pytest.mark.parametrize("kind", LABELS)
def test_broken_labels_are_caught(kind, digits):
    with pytest.raises(AssertionError, match=LABELS[kind]):
        check_model(kind(components=2, rank=2), *digits)


def test_a_model_without_bias_can_be_checked():
    check_model(IgnoresBias(), POINTS, bias=None)


def test_another_measure_of_diversity_can_be_given():
    with pytest.raises(AssertionError, match="does not lower the diversity: 1 against 1"):
        check_model(Gaussian(), POINTS, diversity=lambda samples: 1.0)


def test_not_fitted_is_a_runtime_error():
    with pytest.raises(RuntimeError):
        Gaussian().sample(1, seed=0)
    assert issubclass(NotFittedError, RuntimeError)
