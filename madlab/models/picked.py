"""Cherry-picking: any model of labelled digits, of whose samples only the best are kept."""

import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import torch

from madlab import models
from madlab.data.samples import Samples
from madlab.metrics.features import check_digits, confidence
from madlab.models.base import (
    Model,
    NotFittedError,
    Progress,
    check_count,
    check_images,
    check_labels,
    check_model_bias,
    draw_labels,
    load_model,
    save_model,
)
from madlab.streams import derive, generator

# At most so many candidates are in memory at a time.
CANDIDATES = 8_000
_INNER = "inner."


class Picked:
    """The best 1 of `candidates` samples of another model, as a classifier judges them.

    Every digit is drawn `candidates` times with its own label; kept is the candidate that the
    metrics' separate reader takes for its label with the most confidence, the first of equals.
    So one in `candidates` remains, the best of its own few. The best of one whole pile would be
    mostly of the classes that are easy to read; here every class stays as frequent as it was
    asked for, and digit i depends on its own candidates alone.

    `bias` is handed to the other model: one may cherry-pick among biased samples too.

    The read share of picked samples is judged by the reader that picked them, so it is high by
    construction. Frechet distance, precision and recall look through other weights.

    - `model`, `model_settings`: the other model, as for `madlab.models.create`: one of labelled
      digits, uint8 `(n, 28, 28)` with labels 0 to 9.
    - `candidates`: draws for each digit, at least 1, which picks nothing.

    Raises KeyError, TypeError or ValueError for another model that is not known, or has no
    classes to ask for.

    Source: picking the best of K as in Ferbach et al. 2024, "Self-Consuming Generative Models
    with Curated Data Provably Optimize Human Preferences", arXiv 2407.09499, which keeps each
    candidate with a probability rather than the best for certain.
    """

    name: ClassVar[str] = "picked"
    # Rises by one with the version of any model that can be picked from.
    version: ClassVar[int] = 1
    conditional: ClassVar[bool] = True
    # Equal noise gives corresponding candidates, but not the same choice among them.
    follows_noise: ClassVar[bool] = False

    def __init__(
        self,
        model: str = "mixture",
        model_settings: Mapping[str, Any] | None = None,
        candidates: int = 4,
    ) -> None:
        self.candidates = check_count("candidates", candidates, least=1)
        self._inner: Model = models.create(model, **(model_settings or {}))
        if not self._inner.conditional:
            raise ValueError(
                f"{model!r} takes no labels, so no sample can be what it was asked to be; pick "
                "from a class-conditional model of digits, such as 'mixture'"
            )
        self.biased = self._inner.biased
        self._frequencies: np.ndarray | None = None

    @property
    def settings(self) -> dict[str, Any]:
        """The other model's name and all its settings, and the number of candidates."""
        return {
            "model": self._inner.name,
            "model_settings": self._inner.settings,
            "candidates": self.candidates,
        }

    def fit(
        self,
        images: np.ndarray,
        labels: np.ndarray | None = None,
        *,
        seed: int,
        progress: Progress | None = None,
        checkpoint: Path | None = None,
    ) -> None:
        """Fit the other model; picking has nothing to learn.

        - `images`: uint8 `(n, 28, 28)`, n of at least 1; `labels`: whole numbers `(n,)`, 0 to 9.
        - `seed`, `progress`, `checkpoint`: handed on.

        Raises TypeError or ValueError for other images or labels, before any work.
        """
        self._frequencies = None
        images = check_digits(check_images(images))
        found = check_labels(labels, len(images), classes=10)
        self._inner.fit(images, labels, seed=seed, progress=progress, checkpoint=checkpoint)
        self._frequencies = np.bincount(found) / len(found)

    def sample(
        self, n: int, *, bias: float = 1.0, seed: int, labels: np.ndarray | None = None
    ) -> Samples:
        """Draw `n` digits, uint8 `(n, 28, 28)`, each the best of its candidates.

        - `bias`: in (0, 1], the other model's sampling bias.
        - `labels`: whole numbers `(n,)` among the training labels; None draws them from the
          training frequencies.

        Raises ValueError or TypeError for bad arguments, NotFittedError before `fit`.
        """
        n, bias = check_count("n", n), check_model_bias(self, bias)
        if self._frequencies is None:
            raise NotFittedError("this model is not fitted: call fit before sample")
        if labels is None:
            labels = draw_labels(n, self._frequencies, generator(seed, "picked", "labels"))
        labels = check_labels(labels, n, len(self._frequencies))
        images = np.empty((n, 28, 28), np.uint8)
        size = max(1, CANDIDATES // self.candidates)
        for start in range(0, n, size):
            stop = min(start + size, n)
            asked = np.repeat(labels[start:stop], self.candidates)
            stream = derive(seed, "picked", start)
            drawn = self._inner.sample(len(asked), bias=bias, seed=stream, labels=asked).images
            scores = confidence(drawn, asked).reshape(-1, self.candidates)
            images[start:stop] = drawn[np.arange(len(scores)) * self.candidates + scores.argmax(1)]
        return Samples(images, labels)

    def save(self, folder: Path) -> None:
        """Write the fitted model into an existing folder, the other model's files beside its own.

        Those are named "inner." and their own name.
        """
        if self._frequencies is None:
            raise NotFittedError("this model is not fitted: there is nothing to save")
        folder = Path(folder)
        with tempfile.TemporaryDirectory() as aside:
            self._inner.save(Path(aside))
            for file in Path(aside).iterdir():
                shutil.copyfile(file, folder / f"{_INNER}{file.name}")
        save_model(folder, self, {"frequencies": torch.from_numpy(self._frequencies)})

    @classmethod
    def from_folder(cls, folder: Path) -> Self:
        """Read what `save` wrote; the result samples exactly as the saved model did."""
        folder = Path(folder)
        settings, tensors = load_model(folder, cls)
        model = cls(**settings)
        with tempfile.TemporaryDirectory() as aside:
            for file in folder.glob(f"{_INNER}*"):
                shutil.copyfile(file, Path(aside) / file.name.removeprefix(_INNER))
            model._inner = models.load(Path(aside))
        model._frequencies = tensors["frequencies"].numpy()
        return model
