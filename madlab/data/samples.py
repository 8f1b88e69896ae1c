"""The two containers that travel through a loop: a set of samples, and a data set split once."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, Self

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

    - `id`: names the exact content; it is part of the name of everything trained on it. A store
      remembers the content of an id that was chosen by hand, and refuses another under it.
    - `images`, `labels`: the training pool, as in `Samples`.
    - `held_out`: the reference that scores are taken against.
    """

    id: str
    images: np.ndarray
    labels: np.ndarray | None
    held_out: Samples

    # Whether the id follows from the content; not a field, so that no copy with changes has it.
    id_is_of_content: ClassVar[bool] = False

    @classmethod
    def from_arrays(
        cls,
        images: Any,
        labels: Any = None,
        *,
        held_out: Any = 0.2,
        name: str = "own",
        seed: int = 0,
    ) -> "Dataset":
        """Make a data set of arrays of your own, whose id is `name` and a hash of its content.

        - `images`: an array, a torch tensor, or a list of them. Pictures `(n, height, width)` or
          `(n, height, width, 3)`, the channel first or last, one channel being grey; whole numbers
          from 0 to 255, floats from 0 to 1, which are times 255 and rounded, or True for white.
          Points `(n, d)`, any numbers but bytes, which become float64.
        - `labels`: whole numbers from 0, one for each image, gaps allowed; None where there are
          none.
        - `held_out`: the share of images (a float below 1) or their number (a whole number) that
          is held out, drawn at random by `seed`; or what is held out itself: images, a pair
          `(images, labels)`, or `Samples`.
        - `name`: what the data are called.

        Returns copies, read-only. Raises TypeError or ValueError for what is not plain, saying what
        to do.
        """
        from madlab.data.arrays import from_arrays

        return from_arrays(images, labels, held_out, name, seed, Dataset)

    def sealed(self) -> Self:
        """Mark the id as one that follows from the content, and return the data set."""
        object.__setattr__(self, "id_is_of_content", True)
        return self

    def content(self) -> dict[str, str]:
        """Return a hash each of `images`, `labels` and `held_out`, by these names."""
        from madlab.data.arrays import content

        held = "".join(content(part) for part in self.held_out)
        found = {"images": content(self.images), "labels": content(self.labels)}
        return found | {"held_out": held}

    def __len__(self) -> int:
        return len(self.images)

    def take(self, index: np.ndarray) -> Samples:
        """Return the members of the training pool at `index`, an int array `(n,)`."""
        return Samples(self.images[index], None if self.labels is None else self.labels[index])
