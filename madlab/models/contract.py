"""The contract of a model: one battery of checks to pass before a chain may use it."""

import contextlib
import inspect
import json
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from madlab.data.samples import Samples
from madlab.models.base import Labels, Model, NotFittedError, Progress

SEED = 7

Call = Callable[[], object]


def check_model(
    model: Model,
    images: np.ndarray,
    labels: np.ndarray | None = None,
    *,
    bias: float | None = 0.5,
    n: int = 24,
    diversity: Callable[[Samples], float] | None = None,
    n_diversity: int = 200,
) -> None:
    """Raise AssertionError, in one sentence, for the first promise of `Model` that is broken.

    Works for any model, a student's own included. Checked are shapes, dtypes and finite values;
    what samples depend on; that a second fit forgets the first; progress and checkpoints; that a
    smaller bias lowers the diversity; exact saving, as safetensors and JSON only; n = 0 and 1;
    clear errors.

    - `model`: fitted or not; it stays as it is, for the checks work on new models of its class
      with its settings. Three whole fits are made, so choose settings that train quickly.
    - `images`, `labels`: training data, as `fit` takes them, at least 4 and not all equal.
    - `bias`: the sampling bias to compare with 1; None for a model that has no bias.
    - `n`: samples drawn for a comparison, at least 4; `n_diversity` for a diversity.
    - `diversity`: maps samples to a number; by default the variance within a class, `spread`.
    """
    bench = _Bench(model, images, labels, n)
    _check_description(bench)
    for what, error, call in _refused_before_fit(bench):
        _refuses(what, error, call)
    fitted = bench.fresh()
    _check_progress(bench, fitted)
    _check_samples(bench, fitted, 1.0)
    _check_streams(bench, fitted, 1.0)
    for what, call in _refused_after_fit(bench, fitted):
        _refuses(what, _BAD, call)
    if bias is not None:
        _check_samples(bench, fitted, bias)
        _check_streams(bench, fitted, bias)
        asked = None if bench.asked is None else np.resize(bench.asked, n_diversity)
        biased, unbiased = (
            (diversity or spread)(fitted.sample(n_diversity, bias=value, seed=SEED, labels=asked))
            for value in (bias, 1.0)
        )
        _require(
            biased < unbiased,
            f"bias {bias:g} does not lower the diversity: {biased:g} against {unbiased:g} at "
            "bias 1",
        )
    for value in (1.0,) if bias is None else (1.0, bias):
        _check_saving(bench, fitted, value)
    _check_forgetting(bench, fitted)


def spread(samples: Samples) -> float:
    """Return the mean squared distance of samples from the mean of their class.

    Without labels all samples form one class.
    """
    points = samples.images.reshape(len(samples.images), -1).astype(np.float64)
    labels = np.zeros(len(points)) if samples.labels is None else samples.labels
    classes = [points[labels == label] for label in np.unique(labels)]
    away = (((members - members.mean(axis=0)) ** 2).sum() for members in classes)
    return float(sum(away)) / len(points)


class _Stop(Exception):  # noqa: N818 - a request, not an error
    """Raised by the progress callback of a check."""


def _stop(fraction: float) -> None:
    raise _Stop


class _Bench:
    """The class under test, the data that it is fitted to and the labels that are asked for."""

    def __init__(self, model: Model, images: np.ndarray, labels: Labels, n: int) -> None:
        self.kind: Any = type(model)
        self.model, self.n = model, n
        self.images = np.array(images)
        self.labels = None if labels is None else np.array(labels)
        self.classes = np.unique([0] if labels is None else labels)
        # Asked for where the model is class-conditional and there are classes.
        labelled = model.conditional and labels is not None
        self.asked = np.resize(self.classes, n).astype(np.int64) if labelled else None

    def fresh(self) -> Model:
        return self.kind(**self.model.settings)

    def fit(
        self,
        model: Model,
        rows: slice = slice(None),
        progress: Progress | None = None,
        checkpoint: Path | None = None,
    ) -> None:
        """Fit to read-only copies, as the sets that ship with madlab are read-only too."""
        images = self.images[rows].copy()
        images.flags.writeable = False
        labels = None if self.labels is None else self.labels[rows]
        try:
            model.fit(images, labels, seed=SEED, progress=progress, checkpoint=checkpoint)
        except ValueError as error:
            _require("read-only" not in str(error), "fit writes into the images that it is given")
            raise
        unchanged = np.array_equal(images, self.images[rows])
        _require(unchanged, "fit changes the images that it is given")


def _require(kept: bool, sentence: str) -> None:
    if not kept:
        raise AssertionError(f"{sentence}.")


def _same(a: Samples, b: Samples) -> bool:
    """Whether images and labels are equal, and of one type."""
    return all(
        one is two is None
        if one is None or two is None
        else one.dtype == two.dtype and np.array_equal(one, two)
        for one, two in zip(a, b, strict=True)
    )


_BAD = (ValueError, TypeError)


def _refuses(what: str, wanted: tuple[type[Exception], ...], call: Call) -> None:
    """Require that the call raises one of the wanted errors, with a message."""
    names = " or ".join(error.__name__ for error in wanted)
    try:
        call()
    except wanted as error:
        _require(bool(str(error)), f"{what}: the {names} has no message")
    except Exception as error:
        raise AssertionError(f"{what}: {names} was expected, not {error!r}.") from error
    else:
        raise AssertionError(f"{what}: {names} was expected, but nothing was raised.")


def _refused_before_fit(bench: _Bench) -> Iterator[tuple[str, tuple[type[Exception], ...], Call]]:
    """Give what a new model must refuse: what it is called, with which errors, and the call."""
    images, labels = bench.images, bench.labels
    yield "sample before fit", (NotFittedError,), lambda: bench.fresh().sample(1, seed=SEED)
    with tempfile.TemporaryDirectory() as folder:
        yield "save before fit", (NotFittedError,), lambda: bench.fresh().save(Path(folder))
    data: dict[str, tuple[np.ndarray, Labels]] = {
        "to no images": (images[:0], None if labels is None else labels[:0]),
        "to float32 images": (images.astype(np.float32), labels),
        "to images without height and width": (images.reshape(-1), labels),
    }
    if bench.asked is not None and labels is not None:
        data["with too few labels"] = images, labels[:-1]
        data["with negative labels"] = images, labels - labels.max() - 1
        data["with labels that are no whole numbers"] = images, labels + 0.5
    for what, given in data.items():
        yield f"fit {what}", _BAD, partial(bench.fresh().fit, *given, seed=SEED)


def _refused_after_fit(bench: _Bench, model: Model) -> Iterator[tuple[str, Call]]:
    """Give what a fitted model must refuse: what it is called, and the call."""
    for bias in (0, -0.5, 1.5, float("nan"), float("inf"), "1", True):
        wrong: Any = bias
        yield f"sample(bias={bias!r})", partial(model.sample, 1, bias=wrong, seed=SEED)
    for n in (-1, 1.5, "1", True):
        wrong = n
        yield f"sample({n!r})", partial(model.sample, wrong, seed=SEED)
    if bench.asked is None:
        return
    asked = bench.asked
    bad = {
        "too few labels": asked[:-1],
        "negative labels": asked - asked.max() - 1,
        "labels that no training image has": asked + asked.max() + 1,
        "labels that are no whole numbers": asked + 0.5,
    }
    for what, given in bad.items():
        asked_for = partial(model.sample, bench.n, seed=SEED, labels=given)
        yield f"sample with {what}", asked_for


def _check_description(bench: _Bench) -> None:
    """Name, version and settings, which the store builds names from."""
    model, kind = bench.model, bench.kind
    _require(isinstance(model, Model), f"{kind.__name__} lacks a part of madlab.models.Model")
    _require(isinstance(model.name, str) and bool(model.name), "name is not a string")
    _require(type(model.version) is int, f"version is {model.version!r}, not a whole number")
    for name in ("conditional", "biased", "follows_noise"):
        _require(type(getattr(model, name)) is bool, f"{name} is neither True nor False")
    through = json.loads(json.dumps(model.settings))
    _require(
        through == model.settings,
        f"settings {model.settings!r} do not survive JSON: they come back as {through!r}",
    )
    again = kind(**through).settings
    _require(again == model.settings, "a model made from the settings has other settings")
    missing = set(inspect.signature(kind).parameters) - set(model.settings)
    _require(not missing, f"the settings lack what the class takes: {sorted(missing)}")


def _check_progress(bench: _Bench, model: Model) -> None:
    """Stop one fit, then fit for good and look at the fractions."""
    passed = False
    try:
        bench.fit(bench.fresh(), progress=_stop)
    except _Stop:
        passed = True
    _require(passed, "fit never calls progress, or an exception raised in it does not pass through")
    seen: list[float] = []
    bench.fit(model, progress=seen.append)
    rising = all(0 <= fraction <= 1 for fraction in seen) and seen == sorted(seen)
    _require(rising, f"the fractions given to progress do not rise within 0 to 1: {seen}")


def _check_samples(bench: _Bench, model: Model, bias: float) -> None:
    """Shapes, dtypes, finite values, and the labels of samples."""
    for n in (0, 1, bench.n):
        for given in (None,) if bench.asked is None else (None, bench.asked[:n]):
            what = f"sample({n}, bias={bias:g}, labels={'None' if given is None else '...'})"
            try:
                images, labels = model.sample(n, bias=bias, seed=SEED, labels=given)
            except Exception as error:
                raise AssertionError(f"{what} fails: {error!r}.") from error
            wanted, dtype = (n, *bench.images.shape[1:]), bench.images.dtype
            _require(images.shape == wanted, f"{what} has shape {images.shape}, not {wanted}")
            _require(
                images.dtype == dtype,
                f"{what} has dtype {images.dtype}, the training data {dtype}",
            )
            _require(bool(np.isfinite(images).all()), f"{what} holds NaN or infinite values")
            if bench.asked is None:
                continue
            _require(labels is not None, f"{what} of a class-conditional model has no labels")
            assert labels is not None
            _require(
                labels.shape == (n,) and labels.dtype == np.int64,
                f"{what} has labels {labels.dtype} {labels.shape}, not int64 ({n},)",
            )
            known = bool(np.isin(labels, bench.classes).all())
            _require(known, f"{what} has labels that no training image has")
            kept = given is None or np.array_equal(labels, given)
            _require(kept, f"{what} does not have the labels asked for")


def _check_streams(bench: _Bench, model: Model, bias: float) -> None:
    """Sample i depends on (seed, i) and its label alone."""

    def drawn(n: int, labels: Labels, seed: int = SEED) -> Samples:
        return model.sample(n, bias=bias, seed=seed, labels=labels)

    n, m, asked, at = bench.n, bench.n // 3, bench.asked, f"(bias {bias:g})"
    for given in (None,) if asked is None else (None, asked):
        whole = drawn(n, given)
        again = _same(whole, drawn(n, given))
        _require(again, f"the same seed gives other samples the second time {at}")
        head = Samples(whole.images[:m], None if whole.labels is None else whole.labels[:m])
        _require(
            _same(head, drawn(m, None if given is None else given[:m])),
            f"the first {m} of {n} samples differ from {m} samples {at}: sample i must not "
            "depend on how many are drawn",
        )
    whole = drawn(n, asked)
    other = not np.array_equal(whole.images, drawn(n, asked, SEED + 1).images)
    _require(other, f"another seed gives the same samples {at}")
    if asked is not None:
        mixed = drawn(n, np.where(np.arange(n) % 2, asked, asked[::-1])).images
        alone = np.array_equal(mixed[1::2], whole.images[1::2])
        _require(alone, f"a sample changes with the labels of the others {at}")


def _check_saving(bench: _Bench, model: Model, bias: float) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        model.save(folder)
        written = sorted(path.name for path in folder.rglob("*"))
        _require(bool(written), "save writes nothing")
        _require(
            all(name.endswith((".safetensors", ".json")) for name in written),
            f"save may write .safetensors and .json files only, not {written}",
        )
        loaded = bench.kind.from_folder(folder)
    _require(loaded.settings == model.settings, "a loaded model has other settings")
    one, two = (each.sample(bench.n, bias=bias, seed=SEED) for each in (loaded, model))
    _require(
        _same(one, two), f"a loaded model samples otherwise than the saved one (bias {bias:g})"
    )


def _check_forgetting(bench: _Bench, fitted: Model) -> None:
    """Stop a fit, fit to one set, then go on with the first; only the last may count."""
    again = bench.fresh()
    with tempfile.TemporaryDirectory() as folder:
        with contextlib.suppress(_Stop):
            bench.fit(again, progress=_stop, checkpoint=Path(folder))
        bench.fit(again, slice(0, len(bench.images) // 2))
        bench.fit(again, checkpoint=Path(folder))
    _require(
        _same(again.sample(bench.n, seed=SEED), fitted.sample(bench.n, seed=SEED)),
        "fitting again differs from fitting once: fit must start from nothing, or from a "
        "checkpoint of the same fit, and draw its randomness from its seed alone",
    )
