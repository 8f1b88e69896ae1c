"""The Frechet distance between two sets of features, exact and in float64."""

from typing import NamedTuple

import numpy as np
import torch

from madlab import checks
from madlab.metrics.neighbours import pair


class Moments(NamedTuple):
    """What the Frechet distance needs to know of one set, in float64.

    - `mean`: `(d,)`; `root`: `(min(n, d), d)`, with `root.T @ root` the covariance over n - 1.
    """

    mean: torch.Tensor
    root: torch.Tensor


def moments(features: np.ndarray, what: str = "features") -> Moments:
    """Return the moments of features `(n, d)`, n >= 2; raises as `madlab.checks.rows` does."""
    x = torch.tensor(checks.rows(what, features, least=2))
    n, d = x.shape
    mean = x.mean(0)
    centred = (x - mean) / (n - 1) ** 0.5
    # The root: for few rows the features themselves, which costs nothing; a Cholesky factor, or
    # that of an eigenvalue decomposition where the covariance is singular.
    if n <= d:
        return Moments(mean, centred)
    covariance = centred.T @ centred
    lower, failed = torch.linalg.cholesky_ex(covariance)
    if failed:
        values, vectors = torch.linalg.eigh(covariance)
        lower = vectors * values.clamp(min=0).sqrt()
    return Moments(mean, lower.T.contiguous())


def distance(a: Moments, b: Moments) -> float:
    """Return the Frechet distance of two sets from their moments."""
    # tr sqrt(S_a S_b) is the nuclear norm of this; its singular values are taken from the smaller
    # of the two symmetric Gram matrices, so none is ever complex.
    cross = a.root @ b.root.T
    gram = cross @ cross.T if len(cross) <= cross.shape[1] else cross.T @ cross
    overlap = torch.linalg.eigvalsh(gram).clamp(min=0).sqrt().sum()
    spread = a.root.square().sum() + b.root.square().sum()
    return max(0.0, float((a.mean - b.mean).square().sum() + spread - 2 * overlap))


def frechet_distance(real: np.ndarray, synthetic: np.ndarray) -> float:
    """Return the Frechet distance between two sets of features, each seen as a Gaussian.

    |m_r - m_s|^2 + tr S_r + tr S_s - 2 tr sqrt(S_r S_s), with covariances over n - 1, in float64;
    never negative, and finite for sets that are collapsed or smaller than d. Always name the
    features beside the number: "FD-LeNet".

    - `real`, `synthetic`: features `(n, d)` and `(m, d)`, at least 2 of each.

    Raises ValueError for fewer rows, for different d, and for NaN or infinite features.

    Source: Dowson and Landau 1982; as a score of generators Heusel et al. 2017.
    """
    a, b = (moments(features) for features in pair(real, synthetic, least=2))
    return distance(a, b)
