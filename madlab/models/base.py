"""What a model is, to a chain: fit from nothing, sample under a bias, save and load."""

import functools
import json
from abc import abstractmethod
from collections.abc import Callable
from dataclasses import field, fields
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, Protocol, Self, runtime_checkable

import numpy as np
from safetensors.numpy import load, save_file

from madlab import checks
from madlab.data.samples import Samples

Progress = Callable[[float], None]
Labels = np.ndarray | None
Arrays = dict[str, np.ndarray]


@runtime_checkable
class Model(Protocol):
    """A generative model that a chain can train on its own output.

    `version` rises whenever the same settings and data would give other samples; with `name`
    and `settings` it is part of every name the model's work is stored under. `conditional` says
    whether it uses class labels where there are any, `follows_noise` whether one seed gives
    corresponding pictures in models trained on different data, and `biased` whether it has a
    sampling bias below 1.
    """

    name: ClassVar[str]
    version: ClassVar[int]
    conditional: ClassVar[bool]
    follows_noise: ClassVar[bool]

    @property
    def biased(self) -> bool:
        """A class attribute will do."""

    @property
    def settings(self) -> dict[str, Any]:
        """All settings, as JSON values; `create(name, **settings)` makes an equal model."""

    def fit(
        self,
        images: np.ndarray,
        labels: np.ndarray | None = None,
        *,
        seed: int,
        progress: Progress | None = None,
        checkpoint: Path | None = None,
    ) -> None:
        """Train from nothing, whatever was fitted before.

        - `images`, `labels`: training data of the kind that the class says.
        - `seed`: sets all that is random in the fit.
        - `progress`: called with the fraction done, from 0 to 1; an exception that it raises
          stops the training, leaves no model and passes through.
        - `checkpoint`: a folder in which a long fit keeps its half-done work, so that the same fit
          goes on from there; quick ones ignore it.

        Raises TypeError or ValueError for other data, which leave the model as it was;
        FloatingPointError where training diverges, MemoryError where the device has too little.
        """

    def sample(
        self, n: int, *, bias: float = 1.0, seed: int, labels: np.ndarray | None = None
    ) -> Samples:
        """Draw `n` samples of the training data's kind.

        Sample i depends on `(seed, i)` and its label alone: asking for more changes none of the
        first ones.

        - `bias`: in (0, 1]; the class says what it does.
        - `labels`: of a class-conditional model, whole numbers `(n,)` among the training labels;
          None draws them from the training frequencies.

        Raises ValueError or TypeError for bad arguments, NotFittedError before `fit`.
        """

    def save(self, folder: Path) -> None:
        """Write the fitted model into an existing folder: safetensors and JSON only."""

    @classmethod
    def from_folder(cls, folder: Path) -> Self:
        """Read what `save` wrote; the result samples exactly as the saved model did."""


class NotFittedError(RuntimeError):
    """A model was asked for samples before it was fitted."""


class How(NamedTuple):
    """How a fit is done: its seed, whom it tells the fraction done, where half of it is kept."""

    seed: int
    progress: Progress
    checkpoint: Path | None


def setting(default: Any, check: Callable[..., Any], **limits: Any) -> Any:
    """Return the field of a setting, of which a question of `madlab.checks` is asked.

    - `check`: called with name and value, and `limits`; what it returns is the setting's value.
    """
    return field(default=default, metadata={"check": functools.partial(check, **limits)})


class Base(Model):
    """What madlab's own models share: settings, the questions asked of a caller, and files.

    A model is a dataclass whose fields are its settings, see `setting`. It says which data it takes
    (`_checked`), what a fit finds in them (`_fit`: arrays by name, all that is kept and saved) and
    how samples are drawn from these (`_draw`).
    """

    version: ClassVar[int] = 1
    conditional: ClassVar[bool] = False
    follows_noise: ClassVar[bool] = True
    biased: bool = True

    _fitted: Arrays | None = None

    def __post_init__(self) -> None:
        for one in fields(self):  # type: ignore[arg-type]
            if "check" in one.metadata:
                setattr(self, one.name, one.metadata["check"](one.name, getattr(self, one.name)))

    @abstractmethod
    def _checked(self, images: np.ndarray, labels: Labels) -> tuple[np.ndarray, Labels]:
        """Return training data as `_fit` takes them, or raise TypeError or ValueError."""

    @abstractmethod
    def _fit(self, images: np.ndarray, labels: Any, how: How) -> Arrays:
        """Return what the fit finds, as it is saved."""

    @abstractmethod
    def _draw(self, found: Arrays, n: int, bias: float, seed: int, labels: Labels) -> Samples:
        """Return samples of what `_fit` found; `n` and `bias` are checked, `labels` are not."""

    def _keep(self, found: Arrays) -> None:
        """Make ready to sample from what `_fit` found, now or before it was saved."""
        self._fitted = found

    @property
    def settings(self) -> dict[str, Any]:
        """All settings, as JSON values; `create(name, **settings)` makes an equal model."""
        return {one.name: getattr(self, one.name) for one in fields(self)}  # type: ignore[arg-type]

    def try_data(self, images: np.ndarray, labels: np.ndarray | None = None) -> None:
        """Raise what `fit` would of such data before it trains, and nothing else."""
        self._checked(np.asarray(images), labels)

    @property
    def fitted(self) -> Arrays:
        """What the last fit found, arrays by name; raises NotFittedError where there was none."""
        if self._fitted is None:
            raise NotFittedError(f"this {self.name!r} model is not fitted: call fit first")
        return self._fitted

    def fit(
        self,
        images: np.ndarray,
        labels: np.ndarray | None = None,
        *,
        seed: int,
        progress: Progress | None = None,
        checkpoint: Path | None = None,
    ) -> None:
        """Fit from nothing, see `Model.fit`."""
        data = self._checked(np.asarray(images), labels)
        self._fitted = None
        found = self._fit(*data, How(seed, progress or (lambda fraction: None), checkpoint))
        for name, array in found.items():
            if array.dtype.kind == "f" and not np.isfinite(array).all():
                raise FloatingPointError(
                    f"the fit of {self.name!r} found NaN or infinite values in {name!r}"
                )
        self._keep(found)

    def sample(
        self, n: int, *, bias: float = 1.0, seed: int, labels: np.ndarray | None = None
    ) -> Samples:
        """Draw `n` samples, see `Model.sample`."""
        n, bias = checks.count("n", n), check_model_bias(self, bias)
        return self._draw(self.fitted, n, bias, seed, labels)

    def save(self, folder: Path) -> None:
        """Write the fitted model into an existing folder: safetensors and JSON only."""
        save_file(self.fitted, Path(folder) / "model.safetensors")
        about = {"name": self.name, "version": self.version, "settings": self.settings}
        (Path(folder) / "model.json").write_text(json.dumps(about, indent=1, sort_keys=True))

    @classmethod
    def from_folder(cls, folder: Path) -> Self:
        """Read what `save` wrote; the result samples exactly as the saved model did."""
        about = json.loads((Path(folder) / "model.json").read_text())
        if about["name"] != cls.name or about["version"] != cls.version:
            raise ValueError(
                f"{folder} holds {about['name']!r} version {about['version']}, "
                f"not {cls.name!r} version {cls.version}"
            )
        model = cls(**about["settings"])
        # Read whole: a file that is mapped can be neither removed nor replaced on Windows.
        model._keep(load((Path(folder) / "model.safetensors").read_bytes()))
        return model


def check_model_bias(model: Model, bias: float) -> float:
    """Return `bias` as `checks.bias` does, or raise ValueError for one that the model lacks."""
    found = checks.bias(bias)
    if found != 1 and not model.biased:
        raise ValueError(
            f"bias is {bias!r}; {model.name!r} has no sampling bias: leave it at 1, or take "
            "another model"
        )
    return found


def draw_labels(n: int, frequencies: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Draw `n` labels, int64, one uniform number each, from class `frequencies` that sum to 1."""
    edges = np.cumsum(frequencies)
    labels = np.searchsorted(edges / edges[-1], rng.random(n), side="right")
    return np.minimum(labels, len(frequencies) - 1).astype(np.int64)


def labels_of_samples(
    labels: np.ndarray | None, n: int, frequencies: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Return the labels of `n` samples, int64 `(n,)`: those asked for, or drawn where None.

    Raises ValueError or TypeError for labels that no training image has, or that are none.
    """
    if labels is None:
        return draw_labels(n, frequencies, rng)
    found = checks.labels(labels, n, len(frequencies))
    unseen = np.setdiff1d(found, np.flatnonzero(frequencies))
    if len(unseen):
        seen = np.flatnonzero(frequencies).tolist()
        raise ValueError(f"labels {unseen.tolist()} are on no training image; there are {seen}")
    return found


def in_batches(
    function: Callable[[np.ndarray], np.ndarray], rows: np.ndarray, size: int
) -> np.ndarray:
    """Apply `function` to batches of `size` rows, padded with zeros, and return what comes of rows.

    Sums then run in the same order for row i however many rows there are.
    """
    batches = np.zeros((max(1, -(-len(rows) // size)), size, *rows.shape[1:]), rows.dtype)
    batches.reshape(-1, *rows.shape[1:])[: len(rows)] = rows
    return np.concatenate([function(batch) for batch in batches])[: len(rows)]


def to_bytes(pixels: np.ndarray) -> np.ndarray:
    """Clip pixel values on the 0 to 255 scale and round them to uint8."""
    return np.asarray(np.clip(np.rint(pixels), 0, 255), dtype=np.uint8)
