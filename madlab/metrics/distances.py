"""Distances between samples: how alike they are, and how near to real ones or to those before."""

from typing import Any

import numpy as np

from madlab import checks, renamed
from madlab.data.samples import Samples
from madlab.streams import generator

ROWS = 256
SIDE = 32
MOST = 2000
# Of directions: one grey level in one value is hundreds of times as far.
_COPY = 1e-6


def mean_distance(features: np.ndarray) -> float:
    """Return the mean Euclidean distance over all pairs of rows: how different members are.

    - `features`: numbers `(n, d)`, n >= 2; copies count, at distance 0.

    Raises ValueError for fewer rows or numbers that are not finite, TypeError for no numbers.
    """
    x = checks.rows("features", features, least=2)
    n = len(x)
    # From the first row, copies of it are exactly 0, so that equal rows are no rounding apart.
    x = x - x[:1]
    total = sum(np.sqrt(_squared(x[i : i + ROWS], x)).sum() for i in range(0, n, ROWS))
    return float(total / (n * (n - 1)))


def pair_distances(features: np.ndarray) -> np.ndarray:
    """Return the Euclidean distances of all pairs of rows, float64 `(n (n - 1) / 2,)`.

    - `features`: numbers `(n, d)`.

    Raises ValueError for numbers that are not finite, TypeError for no numbers.
    """
    x = checks.rows("features", features)
    x = x - x[:1]
    return np.asarray(np.sqrt(_squared(x, x)[np.triu_indices(len(x), 1)]))


def nearest(queries: Samples, candidates: Samples) -> np.ndarray:
    """Return for each query the index of the nearest candidate with the same label.

    Distances are Euclidean over pixels, exact in whole numbers; the first of equal ones is taken.
    Where either side has no labels, every candidate counts.

    - `queries`: uint8 images `(n, h, w)`, or `(n, h, w, 3)` in colour, with labels or without.
    - `candidates`: uint8 images `(m, h, w)` or `(m, h, w, 3)`.

    Returns int64 `(n,)`, -1 where no candidate has the label.

    Raises TypeError for images that are not uint8 and ValueError for other shapes.
    """
    checks.pictures(queries.images, name="queries")
    checks.pictures(candidates.images, name="candidates")
    _one_size(queries=queries.images, candidates=candidates.images)
    if queries.labels is None or candidates.labels is None:
        return _nearest(queries.images, candidates.images)
    found = np.full(len(queries.images), -1, np.int64)
    for label in np.unique(queries.labels):
        asked = np.flatnonzero(queries.labels == label)
        among = np.flatnonzero(candidates.labels == label)
        if len(among):
            found[asked] = among[_nearest(queries.images[asked], candidates.images[among])]
    return found


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
    checks.between("share", share, 0, 1, ends=True)
    checks.pictures(training, name="training pictures", colour=True, least=2)
    real, found = small(training), small(samples)
    _one_size(samples=samples, training=training)
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
    gaps = [pixel_distances(found[i : i + ROWS], real).min(1) for i in range(0, len(found), ROWS)]
    return np.asarray(np.concatenate([np.zeros(0), *gaps]) > limit)


class Memorisation:
    """Whether generated pictures lie nearer to those trained on than to others, held out.

    Nearest distances fall as sets grow, so both sets count as m pictures, m being the size of the
    smaller one: of the larger set the distance to the nearest of m is averaged over all its subsets
    of m, in closed form. Distances are Euclidean over pixels of pictures averaged down to 32 x 32,
    to the nearer of a picture and its mirror image.

    - `training`, `held_out`: uint8 `(n, h, w, 3)`; of more than 10,000 a fixed 10,000 are used.
    """

    def __init__(self, training: np.ndarray, held_out: np.ndarray) -> None:
        self._sides = [small(subset(pictures, 10_000)) for pictures in (training, held_out)]
        m = min(map(len, self._sides))
        self._weights = [nearest_weights(len(side), m) for side in self._sides]

    def ratio(self, pictures: np.ndarray) -> float:
        """Return the mean nearest-training over the mean nearest-held-out distance.

        The mean, and not the median, so that a few copies among many pictures count. It is about 1
        for pictures that remember none; with N training pictures, where all are copies, it falls to
        1 - m / N where N is much larger than m, and to 0 where both sets are of one size.

        - `pictures`: uint8 `(n, h, w, 3)` of the same size; of more than 2,000 a fixed 2,000 are
          used.

        NaN where every picture is an exact copy of a held-out one.
        """
        x = small(subset(pictures))
        sums = np.zeros(2)
        for start in range(0, len(x), ROWS):
            for i, (side, weights) in enumerate(zip(self._sides, self._weights, strict=True)):
                distances = np.sort(pixel_distances(x[start : start + ROWS], side), 1)
                sums[i] += (distances[:, : len(weights)] @ weights).sum()
        return float(sums[0] / sums[1]) if sums[1] else float("nan")


def nearest_weights(n: int, m: int) -> np.ndarray:
    """Return how often the i-th nearest of n is the nearest within a random subset of m.

    Float64 `(n - m + 1,)`, sum 1: entry i is C(n - 1 - i, m - 1) / C(n, m).
    """
    i = np.arange(n - m)
    return np.asarray(m / n * np.concatenate([[1.0], np.cumprod((n - m - i) / (n - 1 - i))]))


def subset(pictures: np.ndarray, most: int = MOST) -> np.ndarray:
    """Return a fixed subset of at most `most` pictures, in order."""
    if len(pictures) <= most:
        return pictures
    return pictures[np.sort(generator(0, "subset").permutation(len(pictures))[:most])]


def small(pictures: np.ndarray) -> np.ndarray:
    """Return pictures as float32 `(n, 3, h, w)`, averaged down to 32 x 32 where they are larger.

    Raises TypeError unless they are uint8 `(n, h, w, 3)`.
    """
    # Only here, so that looking for the nearest digit needs no torch.
    import torch
    from torch.nn import functional

    checks.pictures(pictures, name="pictures", colour=True)
    parts = [np.zeros((0, 3, *(min(SIDE, s) for s in pictures.shape[1:3])), np.float32)]
    for start in range(0, len(pictures), ROWS):
        x = torch.from_numpy(pictures[start : start + ROWS].astype(np.float32)).permute(0, 3, 1, 2)
        if max(x.shape[2:]) > SIDE:
            x = functional.adaptive_avg_pool2d(x, parts[0].shape[2:])
        parts.append(x.numpy())
    return np.concatenate(parts)


def pixel_distances(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return distances `(n, m)` of what `small` returned, to b or its mirror image, the nearer."""
    x, *sides = (y.reshape(len(y), -1).astype(np.float64) for y in (a, b, b[..., ::-1]))
    return np.asarray(np.sqrt(np.minimum(*(_squared(x, side) for side in sides))))


def _one_size(**sets: np.ndarray) -> None:
    """Raise ValueError unless two sets of pictures have one size."""
    (one, first), (two, second) = sets.items()
    if first.shape[1:] != second.shape[1:]:
        raise ValueError(
            f"{one} have shape {first.shape} and {two} {second.shape}; both must have one size"
        )


def _nearest(queries: np.ndarray, candidates: np.ndarray) -> np.ndarray:
    if not len(candidates):
        return np.full(len(queries), -1, np.int64)
    # Sums of some thousand squares of bytes are exact in float64.
    a, b = (x.reshape(len(x), -1).astype(np.float64) for x in (queries, candidates))
    return np.asarray(np.argmin((b**2).sum(1) - 2 * a @ b.T, axis=1))


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


def __getattr__(name: str) -> Any:
    return renamed.find(__name__, name)
