"""Memorisation: whether generated pictures lie nearer to those trained on than to others."""

import numpy as np

from madlab.metrics.pairwise import ROWS, pixel_distances, small
from madlab.metrics.picture_features import subset

MOST = 10_000


class Memory:
    """Real pictures, trained on and held out, that generated ones are compared with.

    Nearest distances fall as sets grow, so both sets count as m pictures, m being the size of the
    smaller one: of the larger set the distance to the nearest of m is averaged over all its subsets
    of m, in closed form. Distances are Euclidean over pixels of pictures averaged down to 32 x 32,
    to the nearer of a picture and its mirror image.

    - `training`, `held_out`: uint8 `(n, h, w, 3)`; of more than 10,000 a fixed 10,000 are used.
    """

    def __init__(self, training: np.ndarray, held_out: np.ndarray) -> None:
        self._sides = [small(subset(pictures, MOST)) for pictures in (training, held_out)]
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
