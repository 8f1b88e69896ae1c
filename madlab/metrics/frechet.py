"""The Frechet distance between two sets of features, exact and in float64."""

from typing import NamedTuple

import numpy as np
import torch

from madlab import checks


class Moments(NamedTuple):
    """What the Frechet distance needs to know of one set.

    - `mean`: float64 `(d,)`.
    - `root`: float64 `(r, d)`, r = min(n, d), with `root.T @ root` the covariance over n - 1.
    """

    mean: torch.Tensor
    root: torch.Tensor


def moments(features: np.ndarray, what: str = "features") -> Moments:
    """Return the mean and a root of the covariance of features `(n, d)`, n >= 2.

    The root is a Cholesky factor, or that of an eigenvalue decomposition where the covariance
    is singular; for n <= d it is the centred features themselves, which costs nothing.

    Raises ValueError for fewer than two rows or numbers that are not finite.
    """
    x = torch.tensor(checks.rows(what, features, least=2))
    n, d = x.shape
    mean = x.mean(0)
    centred = (x - mean) / (n - 1) ** 0.5
    if n <= d:
        return Moments(mean, centred)
    covariance = centred.T @ centred
    lower, failed = torch.linalg.cholesky_ex(covariance)
    if failed:
        values, vectors = torch.linalg.eigh(covariance)
        lower = vectors * values.clamp(min=0).sqrt()
    return Moments(mean, lower.T.contiguous())


def distance(a: Moments, b: Moments) -> float:
    """Return the Frechet distance of two sets from their moments.

    tr sqrt(S_a S_b) is the nuclear norm of `a.root @ b.root.T`; its singular values are taken
    from the smaller of the two symmetric Gram matrices, so none is ever complex.
    """
    cross = a.root @ b.root.T
    gram = cross @ cross.T if len(cross) <= cross.shape[1] else cross.T @ cross
    overlap = torch.linalg.eigvalsh(gram).clamp(min=0).sqrt().sum()
    spread = a.root.square().sum() + b.root.square().sum()
    return max(0.0, float((a.mean - b.mean).square().sum() + spread - 2 * overlap))


def frechet_distance(real: np.ndarray, synthetic: np.ndarray) -> float:
    """Return the Frechet distance between two sets of features, each seen as a Gaussian.

    |m_r - m_s|^2 + tr S_r + tr S_s - 2 tr sqrt(S_r S_s), with covariances over n - 1, in
    float64; never negative, and finite for sets that are collapsed or smaller than d.
    Always name the features beside the number: "FD-LeNet".

    - `real`: features `(n, d)`, n >= 2.
    - `synthetic`: features `(m, d)`, m >= 2.

    Raises ValueError for fewer than two rows, for different d, and for NaN or infinite
    features, naming the first rows that hold them.

    Source: Dowson and Landau 1982; as a score of generators Heusel et al. 2017.
    """
    a, b = moments(real, "real features"), moments(synthetic, "synthetic features")
    if len(a.mean) != len(b.mean):
        raise ValueError(
            f"real features have d = {len(a.mean)} dimensions and synthetic ones {len(b.mean)}; "
            "both must come from the same feature map"
        )
    return distance(a, b)
