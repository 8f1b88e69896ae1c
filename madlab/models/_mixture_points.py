"""Points in a mixture: Gaussians with full covariances, fitted by EM."""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from madlab.data.samples import Samples
from madlab.models import em
from madlab.models.base import Progress


class Points(NamedTuple):
    """What `fit_points` finds, k components in d dimensions, float64.

    - `weights`: `(k,)`; `means`: `(k, d)`; `covariances`: `(k, d, d)`.
    """

    weights: Tensor
    means: Tensor
    covariances: Tensor

    def draw(self, n: int, bias: float, seed: int, labels: np.ndarray | None) -> Samples:
        """Draw `n` points, float64 `(n, d)`; as `Mixture.sample`, arguments checked."""
        _check_labels(labels)
        weights, means, covariances = (part[None] for part in self)
        fitted = em.Fitted(weights, means, covariances, torch.zeros(1))
        return Samples(em.draw(fitted, *em.noise([seed], n, means.shape[2]), bias)[0].numpy())

    def tensors(self) -> dict[str, Tensor]:
        """Return all there is to save, by name."""
        return self._asdict()

    @classmethod
    def from_tensors(cls, tensors: dict[str, Tensor]) -> "Points":
        """Return what `tensors` gave."""
        return cls(**tensors)


def fit_points(
    points: np.ndarray,
    labels: np.ndarray | None,
    seed: int,
    progress: Progress | None,
    *,
    components: int,
) -> Points:
    """Fit from nothing; arguments as for `Mixture` and `Mixture.fit`."""
    _check_labels(labels)
    if points.ndim != 2:
        raise TypeError(f"points must be float64 of shape (n, d), not of shape {points.shape}")
    if progress:
        progress(0.0)
    # A copy: torch warns of arrays that cannot be written to.
    fitted = em.fit(torch.tensor(points)[None], components, [seed])
    return Points(fitted.weights[0], fitted.means[0], fitted.covariances[0])


def _check_labels(labels: np.ndarray | None) -> None:
    if labels is not None:
        raise ValueError("a mixture of points knows no labels: leave them out")
