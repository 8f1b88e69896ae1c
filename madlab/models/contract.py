"""The contract of a model: one battery of checks to pass before a chain may use it."""

import contextlib
import inspect
import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from madlab.data.samples import Samples
from madlab.models.base import Model, NotFittedError, Progress

SEED = 7


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
    _check_unfitted(bench)
    _check_bad_training(bench)

    fitted = bench.fresh()
    _check_progress(bench, fitted)
    _check_kind(bench, fitted, 1.0)
    _check_streams(bench, fitted, 1.0)
    _check_bad_requests(bench, fitted)
    if bias is not None:
        _check_kind(bench, fitted, bias)
        _check_streams(bench, fitted, bias)
        _check_diversity(bench, fitted, bias, diversity or spread, n_diversity)
    for value in (1.0,) if bias is None else (1.0, bias):
        _check_saving(bench, fitted, value)
    _check_forgetting(bench, fitted)


def spread(samples: Samples) -> float:
    """Return the mean squared distance of samples from the mean of their class.

    Without labels all samples form one class.
    """
    points = samples.images.reshape(len(samples.images), -1).astype(np.float64)
    labels = np.zeros(len(points)) if samples.labels is None else samples.labels
    total = 0.0
    for label in np.unique(labels):
        members = points[labels == label]
        total += float(((members - members.mean(axis=0)) ** 2).sum())
    return total / len(points)


class _Stop(Exception):  # noqa: N818 - a request, not an error
    """Raised by the progress callback of a check."""


def _stop(fraction: float) -> None:
    raise _Stop


class _Bench:
    """The class under test, the data that it is fitted to and the labels that are asked for."""

    def __init__(self, model: Model, images: np.ndarray, labels: np.ndarray | None, n: int) -> None:
        self.kind: Any = type(model)
        self.model = model
        self.images = np.array(images)
        self.labels = None if labels is None else np.array(labels)
        self.n = n
        self.classes = np.unique([0] if labels is None else labels)
        self.asked = np.resize(self.classes, n).astype(np.int64) if self.conditional else None

    @property
    def conditional(self) -> bool:
        return self.model.conditional and self.labels is not None

    def fresh(self) -> Model:
        made: Model = self.kind(**self.model.settings)
        return made

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
        _require(
            np.array_equal(images, self.images[rows]), "fit changes the images that it is given"
        )


def _require(kept: bool, sentence: str) -> None:
    if not kept:
        raise AssertionError(f"{sentence}.")


def _same(a: Samples, b: Samples) -> bool:
    labels = (a.labels is None) == (b.labels is None) and (
        a.labels is None or b.labels is None or np.array_equal(a.labels, b.labels)
    )
    return labels and a.images.dtype == b.images.dtype and np.array_equal(a.images, b.images)


def _refuses(
    errors: tuple[type[Exception], ...],
    what: str,
    call: Callable[..., object],
    *arguments: object,
    **named: object,
) -> None:
    """Require that the call raises one of `errors`, with a message."""
    names = " or ".join(error.__name__ for error in errors)
    try:
        call(*arguments, **named)
    except errors as error:
        _require(bool(str(error)), f"{what}: the {names} has no message")
    except Exception as error:
        raise AssertionError(f"{what}: {names} was expected, not {error!r}.") from error
    else:
        raise AssertionError(f"{what}: {names} was expected, but nothing was raised.")


_BAD = (ValueError, TypeError)


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
    _require(
        kind(**through).settings == model.settings,
        "a model made from the settings has other settings",
    )
    missing = set(inspect.signature(kind).parameters) - set(model.settings)
    _require(not missing, f"the settings lack what the class takes: {sorted(missing)}")


def _check_unfitted(bench: _Bench) -> None:
    _refuses((NotFittedError,), "sample before fit", bench.fresh().sample, 1, seed=SEED)
    with tempfile.TemporaryDirectory() as folder:
        _refuses((NotFittedError,), "save before fit", bench.fresh().save, Path(folder))


def _check_bad_training(bench: _Bench) -> None:
    images, labels = bench.images, bench.labels
    bad: list[tuple[str, np.ndarray, np.ndarray | None]] = [
        ("fit to no images", images[:0], None if labels is None else labels[:0]),
        ("fit to float32 images", images.astype(np.float32), labels),
        ("fit to images without height and width", images.reshape(-1), labels),
    ]
    if bench.conditional and labels is not None:
        bad += [
            ("fit with too few labels", images, labels[:-1]),
            ("fit with negative labels", images, labels - labels.max() - 1),
            ("fit with labels that are no whole numbers", images, labels + 0.5),
        ]
    for what, some, given in bad:
        _refuses(_BAD, what, bench.fresh().fit, some, given, seed=SEED)


def _check_progress(bench: _Bench, model: Model) -> None:
    """Stop one fit, then fit for good and look at the fractions."""
    stopped = bench.fresh()
    try:
        bench.fit(stopped, progress=_stop)
    except _Stop:
        pass
    else:
        raise AssertionError(
            "fit never calls progress, or an exception raised in it does not pass through."
        )
    seen: list[float] = []
    bench.fit(model, progress=seen.append)
    _require(
        all(0 <= fraction <= 1 for fraction in seen) and seen == sorted(seen),
        f"the fractions given to progress do not rise within 0 to 1: {seen}",
    )


def _check_kind(bench: _Bench, model: Model, bias: float) -> None:
    """Shapes, dtypes, finite values, and the labels of samples."""
    for n in (0, 1, bench.n):
        asked = None if bench.asked is None else bench.asked[:n]
        for given in (None, asked) if bench.conditional else (None,):
            what = f"sample({n}, bias={bias:g}, labels={'None' if given is None else '...'})"
            try:
                images, labels = model.sample(n, bias=bias, seed=SEED, labels=given)
            except Exception as error:
                raise AssertionError(f"{what} fails: {error!r}.") from error
            wanted = (n, *bench.images.shape[1:])
            _require(images.shape == wanted, f"{what} has shape {images.shape}, not {wanted}")
            _require(
                images.dtype == bench.images.dtype,
                f"{what} has dtype {images.dtype}, the training data {bench.images.dtype}",
            )
            _require(bool(np.isfinite(images).all()), f"{what} holds NaN or infinite values")
            if not bench.conditional:
                continue
            _require(labels is not None, f"{what} of a class-conditional model has no labels")
            assert labels is not None
            _require(
                labels.shape == (n,) and labels.dtype == np.int64,
                f"{what} has labels {labels.dtype} {labels.shape}, not int64 ({n},)",
            )
            _require(
                bool(np.isin(labels, bench.classes).all()),
                f"{what} has labels that no training image has",
            )
            _require(
                given is None or np.array_equal(labels, given),
                f"{what} does not have the labels asked for",
            )


def _check_streams(bench: _Bench, model: Model, bias: float) -> None:
    """Sample i depends on (seed, i) and its label alone."""
    n, m, asked = bench.n, bench.n // 3, bench.asked
    for given in (None, asked) if bench.conditional else (None,):
        whole = model.sample(n, bias=bias, seed=SEED, labels=given)
        _require(
            _same(whole, model.sample(n, bias=bias, seed=SEED, labels=given)),
            f"the same seed gives other samples the second time (bias {bias:g})",
        )
        part = model.sample(m, bias=bias, seed=SEED, labels=None if given is None else given[:m])
        head = Samples(whole.images[:m], None if whole.labels is None else whole.labels[:m])
        _require(
            _same(head, part),
            f"the first {m} of {n} samples differ from {m} samples (bias {bias:g}): sample i "
            "must not depend on how many are drawn",
        )
    whole = model.sample(n, bias=bias, seed=SEED, labels=asked)
    other = model.sample(n, bias=bias, seed=SEED + 1, labels=asked)
    _require(
        not np.array_equal(whole.images, other.images),
        f"another seed gives the same samples (bias {bias:g})",
    )
    if asked is not None:
        mixed = np.where(np.arange(n) % 2, asked, asked[::-1])
        found = model.sample(n, bias=bias, seed=SEED, labels=mixed)
        _require(
            np.array_equal(found.images[1::2], whole.images[1::2]),
            f"a sample changes with the labels of the others (bias {bias:g})",
        )


def _check_bad_requests(bench: _Bench, model: Model) -> None:
    for bias in (0, -0.5, 1.5, float("nan"), float("inf"), "1", True):
        _refuses(_BAD, f"sample(bias={bias!r})", model.sample, 1, bias=bias, seed=SEED)
    for n in (-1, 1.5, "1", True):
        _refuses(_BAD, f"sample({n!r})", model.sample, n, seed=SEED)
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
        _refuses(_BAD, f"sample with {what}", model.sample, bench.n, seed=SEED, labels=given)


def _check_diversity(
    bench: _Bench,
    model: Model,
    bias: float,
    diversity: Callable[[Samples], float],
    n: int,
) -> None:
    asked = None if bench.asked is None else np.resize(bench.asked, n)
    biased, unbiased = (
        diversity(model.sample(n, bias=value, seed=SEED, labels=asked)) for value in (bias, 1.0)
    )
    _require(
        biased < unbiased,
        f"bias {bias:g} does not lower the diversity: {biased:g} against {unbiased:g} at bias 1",
    )


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
    _require(
        _same(
            loaded.sample(bench.n, bias=bias, seed=SEED),
            model.sample(bench.n, bias=bias, seed=SEED),
        ),
        f"a loaded model samples otherwise than the saved one (bias {bias:g})",
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
