"""Cherry-picking: any model of labelled digits, of whose samples only the best are kept."""

import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np

from madlab import checks, models
from madlab.data.samples import Samples
from madlab.metrics.features import confidence
from madlab.models.base import Arrays, Base, How, Labels, Model, labels_of_samples, setting
from madlab.streams import derive, generator

# At most so many candidates are in memory at a time.
CANDIDATES = 8_000
_INNER = "inner."


@dataclass(eq=False)
class Picked(Base):
    """The best 1 of `candidates` samples of another model, as a classifier reads them.

    Every digit is drawn `candidates` times with its own label; kept is the candidate that the
    metrics' separate reader takes for its label with the most confidence, the first of equals.
    The best of one whole pile would be mostly of the classes that are easy to read; here every
    class stays as frequent as it was asked for, and digit i depends on its own candidates alone.
    `bias` is handed to the other model. The read share of picked samples comes from the reader that
    picked them, so it is high by construction; the other scores look through other weights.

    - `model`, `model_settings`: as for `madlab.models.create`, one of labelled digits.
    - `candidates`: draws for each digit, at least 1, which picks nothing.

    Source: Ferbach et al. 2024, arXiv 2407.09499, which keeps each of K candidates with a
    probability rather than the best for certain.
    """

    name: ClassVar[str] = "picked"
    # Rises by one with the version of any model that can be picked from.
    version: ClassVar[int] = 1
    conditional: ClassVar[bool] = True
    # Equal noise gives corresponding candidates, but not the same choice among them.
    follows_noise: ClassVar[bool] = False

    model: str = "mixture"
    model_settings: Mapping[str, Any] | None = None
    candidates: int = setting(4, checks.count, least=1)

    def __post_init__(self) -> None:
        super().__post_init__()
        self._inner: Model = models.create(self.model, **(self.model_settings or {}))
        if not self._inner.conditional:
            raise ValueError(
                f"{self.model!r} takes no labels, so no sample can be what it was asked to be; "
                "pick from a class-conditional model of digits, such as 'mixture'"
            )
        self.model_settings = self._inner.settings
        self.biased = self._inner.biased

    def _checked(self, images: np.ndarray, labels: Labels) -> tuple[np.ndarray, Labels]:
        images = checks.digits(images, least=1)
        return images, checks.labels(labels, len(images), classes=10)

    def _fit(self, images: np.ndarray, labels: np.ndarray, how: How) -> Arrays:
        seed, progress, checkpoint = how
        self._inner.fit(images, labels, seed=seed, progress=progress, checkpoint=checkpoint)
        return {"frequencies": np.bincount(labels) / len(labels)}

    def _draw(self, found: Arrays, n: int, bias: float, seed: int, labels: Labels) -> Samples:
        rng = generator(seed, "picked", "labels")
        given = labels_of_samples(labels, n, found["frequencies"], rng)
        images = np.empty((n, 28, 28), np.uint8)
        size = max(1, CANDIDATES // self.candidates)
        for start in range(0, n, size):
            stop = min(start + size, n)
            asked = np.repeat(given[start:stop], self.candidates)
            stream = derive(seed, "picked", start)
            drawn = self._inner.sample(len(asked), bias=bias, seed=stream, labels=asked).images
            scores = confidence(drawn, asked).reshape(-1, self.candidates)
            images[start:stop] = drawn[np.arange(len(scores)) * self.candidates + scores.argmax(1)]
        return Samples(images, given)

    def save(self, folder: Path) -> None:
        """Write the fitted model into an existing folder, the other's files as "inner." + name."""
        super().save(folder)
        with tempfile.TemporaryDirectory() as aside:
            self._inner.save(Path(aside))
            for file in Path(aside).iterdir():
                shutil.copyfile(file, Path(folder) / f"{_INNER}{file.name}")

    @classmethod
    def from_folder(cls, folder: Path) -> Self:
        """Read what `save` wrote; the result samples exactly as the saved model did."""
        model = super().from_folder(folder)
        with tempfile.TemporaryDirectory() as aside:
            for file in Path(folder).glob(f"{_INNER}*"):
                shutil.copyfile(file, Path(aside) / file.name.removeprefix(_INNER))
            model._inner = models.load(Path(aside))
        return model
