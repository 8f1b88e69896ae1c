"""The contract of a model: one battery of questions to answer before a chain may use it."""

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
from madlab.models.base import Labels, Model, NotFittedError

SEED = 7
# Samples that are drawn for a comparison, and for a diversity.
N = 24
# Others to draw: torch fills blocks of 16 numbers otherwise than what is left over.
_COUNTS = (0, 1, 2, 7, 16, 17, 32, 2 * N + 1)
N_DIVERSE = 200

# Whether a promise is kept, and what to say where it is not.
Answers = Iterator[tuple[bool, str]]


def check_model(
    model: Model,
    images: np.ndarray,
    labels: np.ndarray | None = None,
    *,
    bias: float | None = 0.5,
    diversity: Callable[[Samples], float] | None = None,
) -> None:
    """Raise AssertionError, in one sentence, for the first promise of `Model` that is broken.

    Works for any model, a student's own included. Checked are shapes, dtypes and finite values;
    what samples depend on; that a second fit forgets the first; progress and checkpoints; that a
    smaller bias lowers the diversity; exact saving, as safetensors and JSON only; clear errors.

    - `model`: fitted or not; it stays as it is, for the checks work on new models of its class
      with its settings. Three whole fits are made, so choose settings that train quickly.
    - `images`, `labels`: training data, as `fit` takes them, at least 4 and not all equal.
    - `bias`: the sampling bias to compare with 1; None for a model that has no bias.
    - `diversity`: maps samples to a number; by default the variance within a class, `spread`.
    """
    bench = _Bench(model, images, labels)
    for kept, sentence in _battery(bench, bias, diversity or spread):
        if not kept:
            raise AssertionError(f"{sentence}.")


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

    def __init__(self, model: Model, images: np.ndarray, labels: Labels) -> None:
        self.kind: Any = type(model)
        self.model, self.images = model, np.array(images)
        self.labels = None if labels is None else np.array(labels)
        self.classes = np.unique([0] if labels is None else labels).astype(np.int64)
        self.labelled = model.conditional and labels is not None

    def asked(self, n: int) -> list[Any]:
        """Return what may be given as labels of n samples: nothing, and labels if it takes any."""
        return [None, np.resize(self.classes, n)] if self.labelled else [None]

    def fresh(self) -> Model:
        return self.kind(**self.model.settings)

    def fit(self, model: Model, rows: slice = slice(None), **how: Any) -> None:
        images = self.images[rows].copy()
        # As the sets that ship with madlab are.
        images.flags.writeable = False
        try:
            model.fit(images, None if self.labels is None else self.labels[rows], seed=SEED, **how)
        except ValueError as error:
            if "read-only" in str(error):
                raise AssertionError("fit writes into the images that it is given.") from error
            raise


def _battery(bench: _Bench, bias: float | None, diversity: Callable[[Samples], float]) -> Answers:
    yield from _description(bench)
    yield from _refused_before_fit(bench)
    fitted = bench.fresh()
    yield from _progress(bench, fitted)
    yield from _refused_after_fit(bench, fitted)
    for value in (1.0,) if bias is None else (1.0, bias):
        yield from _samples(bench, fitted, value)
        yield from _saving(bench, fitted, value)
    if bias is not None:
        draw = partial(fitted.sample, N_DIVERSE, seed=SEED, labels=bench.asked(N_DIVERSE)[-1])
        full, less = (diversity(draw(bias=value)) for value in (1.0, bias))
        lost = f"{less:g} against {full:g} at bias 1"
        yield less < full, f"bias {bias:g} does not lower the diversity: {lost}"
    yield from _forgetting(bench, fitted)


def _description(bench: _Bench) -> Answers:
    """Name, version and settings, which the store builds names from."""
    model, kind = bench.model, bench.kind
    yield isinstance(model, Model), f"{kind.__name__} lacks a part of madlab.models.Model"
    name = getattr(model, "name", None)
    yield isinstance(name, str) and bool(name), "name is not a string"
    yield type(model.version) is int, f"version is {model.version!r}, not a whole number"
    for name in ("conditional", "biased", "follows_noise"):
        yield type(getattr(model, name)) is bool, f"{name} is neither True nor False"
    given = model.settings
    through = json.loads(json.dumps(given))
    changed = f"settings {given!r} do not survive JSON: they come back as {through!r}"
    yield through == given, changed
    again = kind(**through).settings
    yield again == given, "a model made from the settings has other settings"
    missing = set(inspect.signature(kind).parameters) - set(given)
    yield not missing, f"the settings lack what the class takes: {sorted(missing)}"


def _refusal(
    what: str, call: Callable[[], object], wanted: Any = (ValueError, TypeError)
) -> tuple[bool, str]:
    """Answer whether the call raises one of the wanted errors, with a message."""
    names = " or ".join(error.__name__ for error in wanted)
    try:
        call()
    except wanted as error:
        return bool(str(error)), f"{what}: the {names} has no message"
    except Exception as error:
        raise AssertionError(f"{what}: {names} was expected, not {error!r}.") from error
    return False, f"{what}: {names} was expected, but nothing was raised"


def _bad_labels(labels: Any) -> dict[str, np.ndarray]:
    return {
        "too few labels": labels[:-1],
        "negative labels": labels - labels.max() - 1,
        "labels that are no whole numbers": labels + 0.5,
    }


def _refused_before_fit(bench: _Bench) -> Answers:
    new, images, labels, unfitted = bench.fresh(), bench.images, bench.labels, (NotFittedError,)
    yield _refusal("sample before fit", partial(new.sample, 1, seed=SEED), unfitted)
    with tempfile.TemporaryDirectory() as folder:
        yield _refusal("save before fit", partial(new.save, Path(folder)), unfitted)
    data: dict[str, tuple[np.ndarray, Labels]] = {
        "to no images": (images[:0], None if labels is None else labels[:0]),
        "to float32 images": (images.astype(np.float32), labels),
        "to images without height and width": (images.reshape(-1), labels),
    }
    if bench.labelled:
        data |= {f"with {what}": (images, bad) for what, bad in _bad_labels(labels).items()}
    for what, given in data.items():
        yield _refusal(f"fit {what}", partial(bench.fresh().fit, *given, seed=SEED))


def _refused_after_fit(bench: _Bench, model: Model) -> Answers:
    sample = partial(model.sample, seed=SEED)
    for bias in (0, -0.5, 1.5, float("nan"), float("inf"), "1", True):
        yield _refusal(f"sample(bias={bias!r})", partial(sample, 1, bias=bias))
    for n in (-1, 1.5, "1", True):
        yield _refusal(f"sample({n!r})", partial(sample, n))
    for asked in bench.asked(N)[1:]:
        bad = _bad_labels(asked) | {"labels that no training image has": asked + asked.max() + 1}
        for what, given in bad.items():
            yield _refusal(f"sample with {what}", partial(sample, N, labels=given))


def _progress(bench: _Bench, model: Model) -> Answers:
    """Stop one fit, then fit for good and look at the fractions."""
    with contextlib.suppress(_Stop):
        bench.fit(bench.fresh(), progress=_stop)
        yield False, "fit never calls progress, or an exception raised in it does not pass through"
    seen: list[float] = []
    bench.fit(model, progress=seen.append)
    rising = all(0 <= fraction <= 1 for fraction in seen) and seen == sorted(seen)
    yield rising, f"the fractions given to progress do not rise within 0 to 1: {seen}"


def _samples(bench: _Bench, model: Model, bias: float) -> Answers:
    """What samples are, and that sample i depends on (seed, i) and its label alone."""

    def drawn(n: int, labels: Labels, seed: int = SEED) -> Any:
        try:
            return model.sample(n, bias=bias, seed=seed, labels=labels)
        except Exception as error:
            raise AssertionError(f"sample({n}, bias={bias:g}) fails: {error!r}.") from error

    at = f"(bias {bias:g})"
    for asked in bench.asked(N):
        whole = drawn(N, asked)
        wanted = f"{bench.images.dtype} {(N, *bench.images.shape[1:])}"
        images, labels = _type(whole.images), _type(whole.labels)
        yield images == wanted, f"{N} samples have images {images}, not {wanted}"
        yield bool(np.isfinite(whole.images).all()), f"samples hold NaN or infinite values {at}"
        if bench.labelled:
            yield labels == f"int64 {(N,)}", f"{N} samples have labels {labels}, not int64 {(N,)}"
            known = set(whole.labels) <= set(bench.classes)
            yield known, f"samples have labels that no training image has {at}"
            kept = asked is None or np.array_equal(whole.labels, asked)
            yield kept, f"samples do not have the labels asked for {at}"
        again = _same(whole, drawn(N, asked))
        yield again, f"the same seed gives other samples the second time {at}"
        for n in _COUNTS:
            yield (
                _same(whole, drawn(n, None if asked is None else np.resize(asked, n)), min(n, N)),
                f"the first {min(n, N)} of {N} samples differ from those of {n} {at}: sample i "
                "must not depend on how many are drawn",
            )
    other = not np.array_equal(whole.images, drawn(N, asked, SEED + 1).images)
    yield other, f"another seed gives the same samples {at}"
    if asked is not None:
        mixed = drawn(N, np.where(np.arange(N) % 2, asked, asked[::-1])).images
        alone = np.array_equal(mixed[1::2], whole.images[1::2])
        yield alone, f"a sample changes with the labels of the others {at}"


def _type(array: np.ndarray | None) -> str:
    return "None" if array is None else f"{array.dtype} {array.shape}"


def _same(a: Samples, b: Samples, n: int | None = None) -> bool:
    """Whether the first n images and labels, if any, are equal and of one type."""
    one, two = ([part[:n] for part in found if part is not None] for found in (a, b))
    return [*map(_type, one)] == [*map(_type, two)] and all(map(np.array_equal, one, two))


def _saving(bench: _Bench, model: Model, bias: float) -> Answers:
    with tempfile.TemporaryDirectory() as folder:
        model.save(Path(folder))
        written = sorted(path.name for path in Path(folder).rglob("*"))
        yield bool(written), "save writes nothing"
        allowed = all(name.endswith((".safetensors", ".json")) for name in written)
        yield allowed, f"save may write .safetensors and .json files only, not {written}"
        loaded = bench.kind.from_folder(Path(folder))
    yield loaded.settings == model.settings, "a loaded model has other settings"
    one, two = (each.sample(N, bias=bias, seed=SEED) for each in (loaded, model))
    yield _same(one, two), f"a loaded model samples otherwise than the saved one (bias {bias:g})"


def _forgetting(bench: _Bench, fitted: Model) -> Answers:
    """Stop a fit, fit to one set, then go on with the first; only the last may count."""
    again = bench.fresh()
    with tempfile.TemporaryDirectory() as folder:
        with contextlib.suppress(_Stop):
            bench.fit(again, progress=_stop, checkpoint=Path(folder))
        bench.fit(again, slice(0, len(bench.images) // 2))
        bench.fit(again, checkpoint=Path(folder))
    yield (
        _same(again.sample(N, seed=SEED), fitted.sample(N, seed=SEED)),
        "fitting again differs from fitting once: fit must start from nothing, or from a "
        "checkpoint of the same fit, and draw its randomness from its seed alone",
    )
