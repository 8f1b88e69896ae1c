"""The two containers that travel through a loop: a set of samples, and a data set split once."""

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np


class Samples(NamedTuple):
    """Images or points, with labels where there are any.

    - `images`: uint8 `(n, height, width)` for images, `(n, height, width, 3)` for those in colour,
      float64 `(n, d)` for points.
    - `labels`: int64 `(n,)`, or None.
    """

    images: np.ndarray
    labels: np.ndarray | None = None

    def save(self, folder: Path) -> None:
        """Write the samples into an existing folder, as `.npy` files without pickles."""
        np.save(folder / "images.npy", self.images, allow_pickle=False)
        if self.labels is not None:
            np.save(folder / "labels.npy", self.labels, allow_pickle=False)

    @classmethod
    def from_folder(cls, folder: Path) -> "Samples":
        """Read what `save` wrote."""
        labels = folder / "labels.npy"
        return cls(
            np.load(folder / "images.npy", allow_pickle=False),
            np.load(labels, allow_pickle=False) if labels.exists() else None,
        )


@dataclass(frozen=True)
class Dataset:
    """A training pool, a held-out set that is never trained on, and a name for both.

    - `id`: names the exact content; it is part of the name of everything trained on it.
    - `images`, `labels`: the training pool, as in `Samples`.
    - `held_out`: the reference that scores are taken against.
    """

    id: str
    images: np.ndarray
    labels: np.ndarray | None
    held_out: Samples

    def __len__(self) -> int:
        return len(self.images)

    def take(self, index: np.ndarray) -> Samples:
        """Return the members of the training pool at `index`, an int array `(n,)`."""
        return Samples(self.images[index], None if self.labels is None else self.labels[index])
