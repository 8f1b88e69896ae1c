"""Toy data whose distribution is known, so that theory can be checked against it."""

import hashlib
from collections.abc import Callable

import numpy as np

from madlab import checks
from madlab.data.samples import Dataset, Samples
from madlab.streams import generator

# The grid of Che et al. 2020 (arXiv 2003.06060): 25 modes one apart, of variance 0.01 each.
MODES = np.mgrid[-2.0:3, -2.0:3].reshape(2, 25).T.copy()
MODES.flags.writeable = False
MODE_STD = 0.1
_Draw = Callable[[np.random.Generator, int], np.ndarray]


def gaussian(
    dimensions: int = 1, n: int = 100_000, seed: int = 0, n_held_out: int = 10_000
) -> Dataset:
    """Return points drawn from the standard normal distribution N(0, I).

    - `dimensions`: coordinates of each point, at least 1.
    - `n`: points in the training pool, at least 1; points are float64 `(n, dimensions)`.
    - `seed`: names the points; another seed gives independent points.
    - `n_held_out`: further points that are never trained on, at least 1.

    Raises ValueError for a size below 1 and TypeError for one that is no whole number.
    """
    checks.count("dimensions", dimensions, 1)

    def points(rng: np.random.Generator, size: int) -> np.ndarray:
        return rng.standard_normal((size, dimensions))

    return _points("gaussian", points, n, n_held_out, seed, f"-{dimensions}d")


def modes(n: int = 100_000, seed: int = 0, n_held_out: int = 10_000) -> Dataset:
    """Return points of an equal mixture of 25 Gaussians on a 5 x 5 grid, without labels.

    Means are one apart, from -2 to 2 in each coordinate (`MODES`), and every mode has variance
    0.01 in each coordinate, so the trace of the covariance is 4.02, of which a mode has 0.02.

    - `n`, `seed`, `n_held_out`: as for `gaussian`, as are errors; points are float64 `(n, 2)`.

    Source: the 25-mode set-up of Che et al. 2020, which the paper follows in its appendix B.2
    without saying these numbers; they fit the axes of its Fig. 15.
    """

    def points(rng: np.random.Generator, size: int) -> np.ndarray:
        return MODES[rng.integers(25, size=size)] + MODE_STD * rng.standard_normal((size, 2))

    return _points("modes", points, n, n_held_out, seed)


def rosenbrock(n: int = 100_000, seed: int = 0, n_held_out: int = 10_000) -> Dataset:
    """Return points of the banana-shaped density exp(-x^2 / 2 - (y - x^2)^2), up to a constant.

    So x is standard normal and y, given x, normal with mean x^2 and variance 1/2.

    - `n`, `seed`, `n_held_out`: as for `gaussian`, as are errors; points are float64 `(n, 2)`.

    Source: the Rosenbrock density of the paper's appendix B.4, whose inner coefficient is
    uncertain.
    """

    def points(rng: np.random.Generator, size: int) -> np.ndarray:
        x, y = rng.standard_normal((size, 2)).T
        return np.stack([x, x**2 + np.sqrt(0.5) * y], axis=1)

    return _points("rosenbrock", points, n, n_held_out, seed)


def _points(
    name: str, points: _Draw, n: int, n_held_out: int, seed: int, more: str = ""
) -> Dataset:
    pool = points(generator(seed, name, "pool"), checks.count("n", n, 1))
    size = checks.count("n_held_out", n_held_out, 1)
    return named(name + more, pool, points(generator(seed, name, "held out"), size))


def named(name: str, pool: np.ndarray, held_out: np.ndarray) -> Dataset:
    """Return a data set without labels, read-only, whose id is `name` and a hash of its content."""
    digest = hashlib.sha256()
    for array in (pool, held_out):
        array.flags.writeable = False
        digest.update(repr(array.shape).encode())
        digest.update(array.tobytes())
    return Dataset(f"{name}-{digest.hexdigest()[:8]}", pool, None, Samples(held_out)).sealed()
