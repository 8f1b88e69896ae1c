"""Distances between samples: how alike they are, and how near to real ones or to those before.

KID is our own: packages print the spread of random subsets, it a standard error over all pairs.
"""

from typing import NamedTuple

import numpy as np

from madlab import checks, renamed
from madlab.data.samples import Samples
from madlab.metrics.neighbours import pair
from madlab.streams import generator

ROWS = 256
SIDE = 32
MOST = 2000
# Of directions: one grey level in one value is hundreds of times as far.
_COPY = 1e-6


def mean_distance(features: np.ndarray) -> float:
    """Return the mean Euclidean distance over all pairs of rows `(n, d)`, n >= 2.

    Copies count, at distance 0. Raises as `madlab.checks.rows` does.
    """
    x = checks.rows("features", features, least=2)
    n = len(x)
    # From the first row, copies of it are exactly 0, so that equal rows are no rounding apart.
    x = x - x[:1]
    total = sum(np.sqrt(_squared(x[i : i + ROWS], x)).sum() for i in range(0, n, ROWS))
    return float(total / (n * (n - 1)))


def pair_distances(features: np.ndarray) -> np.ndarray:
    """Return the Euclidean distances of all pairs of rows `(n, d)`, float64 `(n (n - 1) / 2,)`.

    Raises as `madlab.checks.rows` does.
    """
    x = checks.rows("features", features)
    x = x - x[:1]
    return np.asarray(np.sqrt(_squared(x, x)[np.triu_indices(len(x), 1)]))


class KernelDistance(NamedTuple):
    """What two sets of features are apart.

    - `kid`: the estimate; in the mean 0 for two sets of one distribution, so it falls below 0 too.
    - `error`: its standard error, for fresh draws of both sets; 1.96 of it to both sides of `kid`
      are an interval of 95%.
    """

    kid: float
    error: float


def kernel_distance(real: np.ndarray, synthetic: np.ndarray) -> KernelDistance:
    """Return the squared maximum mean discrepancy under the kernel (x y / d + 1)^3.

    The estimate is the U-statistic over all pairs of both whole sets, which may differ in size. The
    error is the jackknife's over the members of both, in closed form from the kernel's row sums,
    exact to first order; where the sets do not differ at all, it is up to 1.4 times too wide, never
    too narrow in the mean (Efron and Stein 1981).

    - `real`, `synthetic`: features `(n, d)` and `(m, d)`, at least 3 of each.

    Raises ValueError for fewer rows, for different d, and for NaN or infinite features.

    Source: Binkowski et al. 2018 (KID); Gretton et al. 2012 (the estimator).
    """
    x, y = pair(real, synthetic, least=3)

    def kernel(products: np.ndarray) -> np.ndarray:
        return np.asarray((products / x.shape[1] + 1) ** 3)

    across = kernel(x @ y.T)
    # Each row's sum of kernels with the other rows of its set.
    withins = [kernel(z @ z.T).sum(1) - kernel(np.einsum("ij,ij->i", z, z)) for z in (x, y)]
    means = [within.sum() / (len(within) * (len(within) - 1)) for within in withins]
    kid = means[0] + means[1] - 2 * across.mean()
    variance = 0.0
    for within, other in zip(withins, (across.sum(1), across.sum(0)), strict=True):
        n, m = len(within), across.size // len(within)
        # The parts of the estimate without member i of this set; the other set's own stays.
        left = (within.sum() - 2 * within) / ((n - 1) * (n - 2))
        left -= 2 * (across.sum() - other) / ((n - 1) * m)
        variance += (n - 1) / n * np.square(left - left.mean()).sum()
    return KernelDistance(float(kid), float(np.sqrt(variance)))


def nearest(queries: Samples, candidates: Samples) -> np.ndarray:
    """Return for each query the index of the nearest candidate with the same label.

    Distances are Euclidean over pixels, exact in whole numbers; the first of equal ones is taken.
    Where either side has no labels, every candidate counts.

    - `queries`, `candidates`: uint8 images `(n, h, w)`, or `(n, h, w, 3)` in colour, of one size.

    Returns int64 `(n,)`, -1 where no candidate has the label. Raises TypeError for other images.
    """
    size = checks.pictures(queries.images, name="queries").shape[1:3]
    colour = queries.images.ndim == 4
    checks.pictures(candidates.images, name="candidates", colour=colour, size=size)
    own, others = queries.labels, candidates.labels
    if own is None or others is None:
        own, others = (np.zeros(len(side.images)) for side in (queries, candidates))
    found = np.full(len(own), -1, np.int64)
    for label in np.unique(own):
        asked, among = np.flatnonzero(own == label), np.flatnonzero(others == label)
        if len(among):
            # Sums of some thousand squares of bytes are exact in float64.
            apart = _squared(_flat(queries.images[asked]), _flat(candidates.images[among]))
            found[asked] = among[apart.argmin(1)]
    return found


def far_enough(samples: np.ndarray, training: np.ndarray, share: float = 0.05) -> np.ndarray:
    """Return which pictures are farther from all training pictures than real ones often are.

    The limit is the `share` quantile of the distances of real pictures to their nearest other real
    picture that is no exact copy, taken over at most 2,000 of them: a set with many pictures twice
    must not let near copies pass. Compared is in which direction pictures differ from the mean of
    the real ones, not how far: a faded copy is a copy, while an average of many faces, which lies
    near to all real ones, copies none. Distances are Euclidean, of pictures averaged down to
    32 x 32, less that mean and its mirror image, at length 1; all are also compared mirrored.

    - `samples`, `training`: uint8 `(n, h, w, 3)` and `(m, h, w, 3)`, m >= 2; `share`: from 0 to 1.

    Returns bool `(n,)`. Raises TypeError or ValueError for other types, shapes or shares.
    """
    checks.between("share", share, 0, 1, ends=True)
    size = checks.pictures(training, name="training pictures", colour=True, least=2).shape[1:3]
    checks.pictures(samples, name="samples", colour=True, size=size)
    real, found = small(training), small(samples)
    mean = real.mean(axis=0)
    mean = (mean + mean[..., ::-1]) / 2

    def directions(x: np.ndarray) -> np.ndarray:
        # Where there is nothing to lengthen they stay 0.
        lengths = np.sqrt(np.square(x - mean).sum((1, 2, 3), keepdims=True))
        return np.asarray((x - mean) / np.maximum(lengths, 1e-6))

    real, found = directions(real), directions(found)
    asked, between = some(len(real), MOST, "far enough"), []
    for part in np.array_split(asked, -(-len(asked) // ROWS)):
        apart = pixel_distances(real[part], real)
        # To others than itself and its copies.
        between.append(np.where(apart < _COPY, np.inf, apart).min(1))
    # Where all real pictures are one and the same nothing is far enough.
    least = np.concatenate(between)
    limit = np.quantile(least, share) if np.isfinite(least).all() else np.inf
    gaps = [pixel_distances(found[i : i + ROWS], real).min(1) for i in range(0, len(found), ROWS)]
    return np.asarray(np.concatenate([np.zeros(0), *gaps]) > limit)


class Memorisation:
    """Whether generated pictures lie nearer to those trained on than to others, held out.

    Nearest distances fall as sets grow, so both sets count as m pictures, m being the size of the
    smaller one: of the larger set the distance to the nearest of m is averaged over all its subsets
    of m, in closed form. Distances are those of `pixel_distances`.

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
        1 - m / N where N is much larger than m, and to 0 where both sets are of one size; NaN where
        every picture is an exact copy of a held-out one.

        - `pictures`: uint8 `(n, h, w, 3)` of the same size; of more than 2,000 a fixed 2,000.
        """
        x = small(subset(pictures))
        sums = np.zeros(2)
        for start in range(0, len(x), ROWS):
            for i, (side, weights) in enumerate(zip(self._sides, self._weights, strict=True)):
                distances = np.sort(pixel_distances(x[start : start + ROWS], side), 1)
                sums[i] += (distances[:, : len(weights)] @ weights).sum()
        return float(sums[0] / sums[1]) if sums[1] else float("nan")


def nearest_weights(n: int, m: int) -> np.ndarray:
    """Return how often the i-th nearest of n is the nearest of a random m, float `(n - m + 1,)`."""
    # C(n - 1 - i, m - 1) / C(n, m), of sum 1.
    i = np.arange(n - m)
    return np.asarray(m / n * np.concatenate([[1.0], np.cumprod((n - m - i) / (n - 1 - i))]))


def some(n: int, most: int, *purpose: int | str) -> np.ndarray:
    """Return a fixed choice, named by its purpose, of at most `most` of n, in order."""
    return np.sort(generator(0, *purpose).permutation(n)[:most])


def subset(pictures: np.ndarray, most: int = MOST) -> np.ndarray:
    """Return a fixed subset of at most `most` pictures, in order."""
    return np.asarray(pictures[some(len(pictures), most, "subset")])


def as_colour(pictures: np.ndarray) -> np.ndarray:
    """Return grey pictures `(n, h, w)` with three equal channels, a view; others as they are."""
    if pictures.ndim == 4:
        return pictures
    return np.broadcast_to(pictures[..., None], (*pictures.shape, 3))


def small(pictures: np.ndarray) -> np.ndarray:
    """Return uint8 `(n, h, w, 3)` as float32 `(n, 3, h, w)`, averaged down to at most 32 x 32."""
    # Only here, so that looking for the nearest digit needs no torch.
    import torch
    from torch.nn.functional import adaptive_avg_pool2d

    checks.pictures(pictures, name="pictures", colour=True)
    size = (min(SIDE, pictures.shape[1]), min(SIDE, pictures.shape[2]))
    parts = np.array_split(pictures.transpose(0, 3, 1, 2), range(ROWS, len(pictures), ROWS))
    found = [adaptive_avg_pool2d(torch.tensor(part, dtype=torch.float), size) for part in parts]
    return np.ascontiguousarray(torch.cat(found).numpy())


def pixel_distances(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return Euclidean distances `(n, m)` of what `small` returned, to b or its mirror image."""
    x, *sides = map(_flat, (a, b, b[..., ::-1]))
    return np.asarray(np.sqrt(np.minimum(*(_squared(x, side) for side in sides))))


def _flat(x: np.ndarray) -> np.ndarray:
    return x.reshape(len(x), -1).astype(np.float64)


def _squared(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    norms = np.einsum("ij,ij->i", x, x)[:, None] + np.einsum("ij,ij->i", y, y)
    return np.asarray(np.maximum(norms - 2 * x @ y.T, 0))


__getattr__ = renamed.lazy(__name__)
