"""Distances between members of sets: how alike pictures are, and how near to the real ones."""

import numpy as np
import torch
from torch.nn import functional

from madlab.metrics.frechet import check_features
from madlab.streams import generator

ROWS = 256
SIDE = 32
MOST = 2000
# Of directions: one grey level in one value is hundreds of times as far.
_COPY = 1e-6


def mean_distance(features: np.ndarray) -> float:
    """Return the mean Euclidean distance over all pairs of rows: how different members are.

    - `features`: numbers `(n, d)`, n >= 2; copies count, at distance 0.

    Raises ValueError for fewer rows or numbers that are not finite.
    """
    x = check_features(features).astype(np.float64)
    n = len(x)
    if n < 2:
        raise ValueError(f"features have n = {n} rows; a distance needs at least 2")
    # From the first row, copies of it are exactly 0, so that equal rows are no rounding apart.
    x -= x[:1]
    total = 0.0
    for start in range(0, n, ROWS):
        total += np.sqrt(_squared(x[start : start + ROWS], x)).sum()
    return float(total / (n * (n - 1)))


def pair_distances(features: np.ndarray) -> np.ndarray:
    """Return the Euclidean distances of all pairs of rows, float64 `(n (n - 1) / 2,)`.

    - `features`: numbers `(n, d)`.

    Raises ValueError for numbers that are not finite.
    """
    x = check_features(features).astype(np.float64)
    x -= x[:1]
    return np.asarray(np.sqrt(_squared(x, x)[np.triu_indices(len(x), 1)]))


def far_enough(samples: np.ndarray, training: np.ndarray, share: float = 0.05) -> np.ndarray:
    """Return which pictures are farther from all training pictures than real ones often are.

    The limit is the `share` quantile of the distances of real pictures to their nearest other real
    picture that is no exact copy, taken over at most 2,000 of them: a set with many pictures twice
    must not let near copies pass. What is compared is in which direction pictures
    differ from the mean of the real ones, not how far: a faded copy is a copy, while an average of
    many faces, which lies near to all real ones, copies none. Distances are Euclidean, of pictures
    averaged down to 32 x 32 where they are larger, less that mean and its mirror image, at length
    1; every picture is also compared mirrored.

    - `samples`: uint8 `(n, h, w, 3)`, generated; `training`: uint8 `(m, h, w, 3)`, m >= 2.
    - `share`: from 0 to 1.

    Returns bool `(n,)`. Raises TypeError or ValueError for other types, shapes or shares.
    """
    if not 0 <= share <= 1:
        raise ValueError(f"share is {share}; it must be from 0 to 1")
    if len(training) < 2:
        raise ValueError(f"{len(training)} training pictures; a distance needs at least 2")
    real, found = small(training), small(samples)
    if real.shape[1:] != found.shape[1:]:
        raise ValueError(
            f"samples have shape {samples.shape} and training pictures {training.shape}; "
            "both must have one size"
        )
    mean = real.mean(axis=0)
    mean = (mean + mean[..., ::-1]) / 2
    real, found = _directions(real - mean), _directions(found - mean)
    asked = np.arange(len(real))
    if len(real) > MOST:
        asked = np.sort(generator(0, "far enough").permutation(len(real))[:MOST])
    between = np.concatenate(
        [
            _other(pixel_distances(real[part], real), part).min(1)
            for part in np.array_split(asked, -(-len(asked) // ROWS))
        ]
    )
    # Where all real pictures are one and the same nothing is far enough.
    limit = np.quantile(between, share) if np.isfinite(between).all() else np.inf
    nearest = [
        pixel_distances(found[start : start + ROWS], real).min(1)
        for start in range(0, len(found), ROWS)
    ]
    return np.asarray(np.concatenate([np.zeros(0), *nearest]) > limit)


def small(pictures: np.ndarray) -> np.ndarray:
    """Return pictures as float32 `(n, 3, h, w)`, averaged down to 32 x 32 where they are larger.

    Raises TypeError unless they are uint8 `(n, h, w, 3)`.
    """
    check_pictures(pictures)
    parts = [np.zeros((0, 3, *(min(SIDE, s) for s in pictures.shape[1:3])), np.float32)]
    for start in range(0, len(pictures), ROWS):
        x = torch.from_numpy(pictures[start : start + ROWS].astype(np.float32)).permute(0, 3, 1, 2)
        if max(x.shape[2:]) > SIDE:
            x = functional.adaptive_avg_pool2d(x, parts[0].shape[2:])
        parts.append(x.numpy())
    return np.concatenate(parts)


def pixel_distances(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return distances `(n, m)` of what `small` returned, to b or its mirror image, the nearer."""
    x = a.reshape(len(a), -1).astype(np.float64)
    sides = [side.reshape(len(b), -1).astype(np.float64) for side in (b, b[..., ::-1])]
    plain, mirrored = (_squared(x, side) for side in sides)
    return np.asarray(np.sqrt(np.minimum(plain, mirrored)))


def check_pictures(pictures: np.ndarray) -> None:
    """Raise TypeError unless pictures are uint8 `(n, h, w, 3)`."""
    if pictures.dtype != np.uint8 or pictures.ndim != 4 or pictures.shape[3] != 3:
        raise TypeError(
            f"pictures must be uint8 of shape (n, height, width, 3), not {pictures.dtype} of "
            f"shape {pictures.shape}"
        )


def _directions(x: np.ndarray) -> np.ndarray:
    """Return pictures at length 1; where there is nothing to lengthen they stay 0."""
    lengths = np.sqrt(np.square(x).sum((1, 2, 3), keepdims=True))
    return np.asarray(x / np.maximum(lengths, 1e-6))


def _squared(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    norms = np.einsum("ij,ij->i", x, x)[:, None] + np.einsum("ij,ij->i", y, y)
    return np.asarray(np.maximum(norms - 2 * x @ y.T, 0))


def _other(distances: np.ndarray, own: np.ndarray) -> np.ndarray:
    distances[np.arange(len(own)), own] = np.inf
    distances[distances < _COPY] = np.inf
    return distances
