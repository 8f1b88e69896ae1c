"""A Gaussian fitted to points: the model whose loops theory can follow."""

from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import torch

from madlab.data.samples import Samples
from madlab.models.base import (
    NotFittedError,
    Progress,
    check_bias,
    check_count,
    load_model,
    save_model,
)
from madlab.streams import generator


class Gaussian:
    """Sample mean and unbiased covariance of float64 points `(n, d)`.

    `bias` scales the covariance: samples come from N(mean, bias * covariance). Labels are
    ignored, and samples carry none.

    Source: Alemohammad et al., "Self-Consuming Generative Models Go MAD", ICLR 2024, section 3.
    """

    name: ClassVar[str] = "gaussian"
    version: ClassVar[int] = 1
    conditional: ClassVar[bool] = False
    biased: ClassVar[bool] = True
    follows_noise: ClassVar[bool] = True

    def __init__(self) -> None:
        self.mean: np.ndarray | None = None
        self.covariance: np.ndarray | None = None

    @property
    def settings(self) -> dict[str, Any]:
        """No settings: the fit is a closed form."""
        return {}

    def fit(
        self,
        images: np.ndarray,
        labels: np.ndarray | None = None,
        *,
        seed: int,
        progress: Progress | None = None,
        checkpoint: Path | None = None,
    ) -> None:
        """Take mean and covariance, the latter over n - 1, of the points.

        - `images`: float64 `(n, d)` with n of at least 2 and finite values.
        - `labels`, `seed`: not used; the fit is deterministic.
        - `progress`: called once, with 1.0; `checkpoint`: not used, as there is little to lose.

        Raises TypeError for anything but float64 points and ValueError for fewer than two
        points or for values that are not finite.
        """
        points = np.asarray(images)
        if points.dtype != np.float64 or points.ndim != 2 or not points.shape[1]:
            raise TypeError(
                "a Gaussian is fitted to float64 points with shape (n, d), not "
                f"{points.dtype} with shape {points.shape}"
            )
        if len(points) < 2:
            raise ValueError(f"a covariance needs at least 2 points; {len(points)} given")
        if not np.isfinite(points).all():
            raise ValueError("the points hold NaN or infinite values: remove them first")
        mean = points.mean(axis=0)
        centred = points - mean
        covariance = centred.T @ centred / (len(points) - 1)
        if progress:
            progress(1.0)
        self.mean, self.covariance = mean, covariance

    def sample(
        self, n: int, *, bias: float = 1.0, seed: int, labels: np.ndarray | None = None
    ) -> Samples:
        """Draw `n` points, float64 `(n, d)`, from N(mean, bias * covariance).

        - `bias`: in (0, 1].
        - `labels`: not used.

        Raises ValueError or TypeError for a bad `n` or `bias`, NotFittedError before `fit`.
        """
        n, bias = check_count("n", n), check_bias(bias)
        if self.mean is None or self.covariance is None:
            raise NotFittedError("this Gaussian has not been fitted: call fit(points, seed=...)")
        # Eigenvectors, unlike a Cholesky factor, also exist where the covariance is singular.
        variances, axes = np.linalg.eigh(self.covariance)
        factor = axes * np.sqrt(bias * np.clip(variances, 0, None))
        noise = generator(seed, "gaussian").standard_normal((n, len(self.mean)))
        # One product and one sum at a time: a matrix product may round differently with n.
        points = np.broadcast_to(self.mean, noise.shape).copy()
        for column, direction in zip(noise.T, factor.T, strict=True):
            points += column[:, None] * direction
        return Samples(points)

    def save(self, folder: Path) -> None:
        """Write the fitted model into an existing folder."""
        if self.mean is None or self.covariance is None:
            raise NotFittedError("this Gaussian has not been fitted: there is nothing to save")
        tensors = {
            "mean": torch.from_numpy(self.mean),
            "covariance": torch.from_numpy(self.covariance),
        }
        save_model(Path(folder), self, tensors)

    @classmethod
    def from_folder(cls, folder: Path) -> Self:
        """Read what `save` wrote."""
        settings, tensors = load_model(Path(folder), cls)
        model = cls(**settings)
        model.mean, model.covariance = tensors["mean"].numpy(), tensors["covariance"].numpy()
        return model
