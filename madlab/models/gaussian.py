"""A Gaussian fitted to points: the model whose loops theory can follow."""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from madlab import checks
from madlab.data.samples import Samples
from madlab.models.base import Arrays, Base, How, Labels
from madlab.streams import generator


@dataclass(eq=False)
class Gaussian(Base):
    """Sample mean and unbiased covariance of at least two float64 points `(n, d)`.

    `bias` scales the covariance: samples come from N(mean, bias * covariance). Labels are
    ignored, and samples carry none; the fit, a closed form, does not depend on its seed.

    Source: Alemohammad et al., "Self-Consuming Generative Models Go MAD", ICLR 2024, section 3.
    """

    name: ClassVar[str] = "gaussian"

    def _checked(self, images: np.ndarray, labels: Labels) -> tuple[np.ndarray, Labels]:
        return checks.points(images, least=2), None

    def _fit(self, images: np.ndarray, labels: Any, how: How) -> Arrays:
        mean = images.mean(axis=0)
        centred = images - mean
        covariance = centred.T @ centred / (len(images) - 1)
        how.progress(1.0)
        return {"mean": mean, "covariance": covariance}

    def _draw(self, found: Arrays, n: int, bias: float, seed: int, labels: Labels) -> Samples:
        # Eigenvectors, unlike a Cholesky factor, also exist where the covariance is singular.
        variances, axes = np.linalg.eigh(found["covariance"])
        factor = axes * np.sqrt(bias * np.clip(variances, 0, None))
        noise = generator(seed, "gaussian").standard_normal((n, len(variances)))
        # One product and one sum at a time: a matrix product may round differently with n.
        points = np.broadcast_to(found["mean"], noise.shape).copy()
        for column, direction in zip(noise.T, factor.T, strict=True):
            points += column[:, None] * direction
        return Samples(points)
