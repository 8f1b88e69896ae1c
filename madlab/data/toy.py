"""Toy data whose theory is known."""

import hashlib

import numpy as np

from madlab.data.samples import Dataset, Samples
from madlab.streams import generator


def gaussian(
    dimensions: int = 1, n: int = 100_000, seed: int = 0, n_held_out: int = 10_000
) -> Dataset:
    """Return points drawn from the standard normal distribution N(0, I).

    - `dimensions`: coordinates of each point, at least 1.
    - `n`: points in the training pool, at least 1; points are float64 `(n, dimensions)`.
    - `seed`: names the draw; another seed gives independent points.
    - `n_held_out`: further points that are never trained on, at least 1.

    Raises ValueError for a size below 1 and TypeError for one that is no whole number.
    """
    sizes = {"dimensions": dimensions, "n": n, "n_held_out": n_held_out}
    for name, value in sizes.items():
        if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
            raise TypeError(f"{name} must be a whole number, not {value!r}")
        if value < 1:
            raise ValueError(f"{name} is {value}; it must be at least 1")
    points = [
        generator(seed, "gaussian", part).standard_normal((size, dimensions))
        for part, size in (("pool", n), ("held out", n_held_out))
    ]
    digest = hashlib.sha256()
    for array in points:
        array.flags.writeable = False
        digest.update(repr(array.shape).encode())
        digest.update(array.tobytes())
    return Dataset(
        id=f"gaussian-{dimensions}d-{digest.hexdigest()[:8]}",
        images=points[0],
        labels=None,
        held_out=Samples(points[1]),
    )
