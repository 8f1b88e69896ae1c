"""What a model is, to a chain: fit from nothing, sample under a bias, save and load."""

import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar, Protocol, Self, runtime_checkable

import numpy as np
import torch
from safetensors.torch import load, save_file

from madlab.data.samples import Samples

Progress = Callable[[float], None]


@runtime_checkable
class Model(Protocol):
    """A generative model that a chain can train on its own output.

    `version` rises whenever the same settings and data would give other samples; with `name`
    and `settings` it is part of every name the model's work is stored under. `conditional` says
    whether it uses class labels where there are any, and `follows_noise` whether one seed gives
    corresponding pictures in models trained on different data.
    """

    name: ClassVar[str]
    version: ClassVar[int]
    conditional: ClassVar[bool]
    follows_noise: ClassVar[bool]

    @property
    def biased(self) -> bool:
        """Whether it has a sampling bias below 1; a class attribute will do."""

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

        `progress` is called with the fraction done, from 0 to 1; an exception that it raises
        stops the training and passes through. `checkpoint` names a folder in which a long fit
        keeps its half-done work, so that the same fit goes on from there; quick ones ignore it.
        """

    def sample(
        self, n: int, *, bias: float = 1.0, seed: int, labels: np.ndarray | None = None
    ) -> Samples:
        """Draw `n` samples under sampling bias `bias`, 0 < bias <= 1.

        Sample i depends on `(seed, i)` and its label alone: asking for more changes none of
        the first ones. Class-conditional models draw labels from the training frequencies
        where `labels` is None.
        """

    def save(self, folder: Path) -> None:
        """Write the fitted model into an existing folder: safetensors and JSON only."""

    @classmethod
    def from_folder(cls, folder: Path) -> Self:
        """Read what `save` wrote; the result samples exactly as the saved model did."""


class NotFittedError(RuntimeError):
    """A model was asked for samples before it was fitted."""


def check_bias(bias: float) -> float:
    """Return `bias` as a float, or raise ValueError unless 0 < bias <= 1."""
    if isinstance(bias, bool) or not isinstance(bias, (int, float, np.number)):
        raise TypeError(f"bias must be a number, not {bias!r}")
    if not math.isfinite(bias) or not 0 < bias <= 1:
        raise ValueError(
            f"bias is {bias!r}; it must lie in (0, 1]: 1 samples without bias, "
            "towards 0 only the modes remain"
        )
    return float(bias)


def check_model_bias(model: Model, bias: float) -> float:
    """Return `bias` as `check_bias` does, or raise ValueError for one that the model lacks."""
    found = check_bias(bias)
    if found != 1 and not model.biased:
        raise ValueError(
            f"bias is {bias!r}; {model.name!r} has no sampling bias: leave it at 1, or take "
            "another model"
        )
    return found


def check_between(name: str, value: float, low: float, high: float) -> float:
    """Return `value` as a float, or raise unless it lies between `low` and `high`, not on them."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(f"{name} must be a number, not {value!r}")
    if not low < value < high:
        raise ValueError(f"{name} is {value}; it must lie between {low} and {high}, not on them")
    return float(value)


def check_count(name: str, value: int, least: int = 0) -> int:
    """Return `value` as an int, or raise unless it is a whole number of at least `least`."""
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
        raise TypeError(f"{name} must be a whole number, not {value!r}")
    if value < least:
        raise ValueError(f"{name} is {value}; it must be at least {least}")
    return int(value)


def check_labels(labels: np.ndarray | None, n: int, classes: int | None = None) -> np.ndarray:
    """Return `labels` as int64 `(n,)`, or raise where they do not match `n` or `classes`."""
    if labels is None:
        raise ValueError("this model is class-conditional: give labels, one for each image")
    found = np.asarray(labels)
    if found.shape != (n,):
        raise ValueError(f"labels have shape {found.shape}; {n} images need shape ({n},)")
    if found.dtype.kind not in "iu":
        raise TypeError(f"labels must be whole numbers, not {found.dtype}")
    if n and found.min() < 0:
        raise ValueError(f"labels run from {found.min()}; they must not be negative")
    if n and classes is not None and found.max() >= classes:
        raise ValueError(
            f"labels run up to {found.max()}; the model knows {classes} classes, 0 to {classes - 1}"
        )
    return np.asarray(found, dtype=np.int64)


def check_images(images: np.ndarray, *, colour: bool = False) -> np.ndarray:
    """Return `images` as they are, or raise unless they are uint8 `(n >= 1, height, width)`.

    With `colour` they are `(n >= 1, height, width, 3)`.
    """
    found = np.asarray(images)
    fits = found.ndim == 4 and found.shape[3] == 3 if colour else found.ndim == 3
    if found.dtype != np.uint8 or not fits:
        wanted = "(n, height, width, 3), in colour" if colour else "(n, height, width)"
        raise TypeError(
            f"images must be uint8 with shape {wanted}, not {found.dtype} with shape {found.shape}"
        )
    if not len(found):
        raise ValueError("there are no images to fit: give at least one")
    return found


def draw_labels(n: int, frequencies: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Draw `n` labels, int64, one uniform number each, from class `frequencies` that sum to 1."""
    edges = np.cumsum(frequencies)
    labels = np.searchsorted(edges / edges[-1], rng.random(n), side="right")
    return np.minimum(labels, len(frequencies) - 1).astype(np.int64)


def to_bytes(pixels: np.ndarray) -> np.ndarray:
    """Clip pixel values on the 0 to 255 scale and round them to uint8."""
    return np.asarray(np.clip(np.rint(pixels), 0, 255), dtype=np.uint8)


def save_model(folder: Path, model: Model, tensors: Mapping[str, torch.Tensor]) -> None:
    """Write `tensors` and the model's name, version and settings into `folder`."""
    save_file(
        {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()},
        folder / "model.safetensors",
    )
    about = {"name": model.name, "version": model.version, "settings": model.settings}
    (folder / "model.json").write_text(json.dumps(about, indent=1, sort_keys=True))


def load_model(folder: Path, kind: type[Model]) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
    """Read settings and tensors that `save_model` wrote for a model of class `kind`."""
    about = json.loads((folder / "model.json").read_text())
    if about["name"] != kind.name or about["version"] != kind.version:
        raise ValueError(
            f"{folder} holds {about['name']!r} version {about['version']}, "
            f"not {kind.name!r} version {kind.version}"
        )
    # Read whole: a file that is mapped can be neither removed nor replaced on Windows.
    return about["settings"], load((folder / "model.safetensors").read_bytes())
