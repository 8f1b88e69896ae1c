"""Nearest pictures: which sample of one generation looks most like a sample of another."""

import numpy as np

from madlab.data.samples import Samples


def nearest(queries: Samples, candidates: Samples) -> np.ndarray:
    """Return for each query the index of the nearest candidate with the same label.

    Distances are Euclidean over pixels, exact in whole numbers; the first of equal ones is taken.
    Where either side has no labels, every candidate counts.

    - `queries`: uint8 images `(n, h, w)`, or `(n, h, w, 3)` in colour, with labels or without.
    - `candidates`: uint8 images `(m, h, w)` or `(m, h, w, 3)`.

    Returns int64 `(n,)`, -1 where no candidate has the label.

    Raises TypeError for images that are not uint8 and ValueError for other shapes.
    """
    for name, images in (("queries", queries.images), ("candidates", candidates.images)):
        if images.dtype != np.uint8 or images.ndim < 3 or images.shape[3:] not in ((), (3,)):
            raise TypeError(
                f"{name} must be uint8 images of shape (n, height, width) or (n, height, width, "
                f"3), not {images.dtype} of shape {images.shape}"
            )
    if queries.images.shape[1:] != candidates.images.shape[1:]:
        raise ValueError(
            f"queries are {queries.images.shape[1:]} pixels and candidates "
            f"{candidates.images.shape[1:]}; both must have one size"
        )
    if queries.labels is None or candidates.labels is None:
        return _nearest(queries.images, candidates.images)
    found = np.full(len(queries.images), -1, np.int64)
    for label in np.unique(queries.labels):
        asked = np.flatnonzero(queries.labels == label)
        among = np.flatnonzero(candidates.labels == label)
        if len(among):
            found[asked] = among[_nearest(queries.images[asked], candidates.images[among])]
    return found


def _nearest(queries: np.ndarray, candidates: np.ndarray) -> np.ndarray:
    if not len(candidates):
        return np.full(len(queries), -1, np.int64)
    # Sums of some thousand squares of bytes are exact in float64.
    a = queries.reshape(len(queries), -1).astype(np.float64)
    b = candidates.reshape(len(candidates), -1).astype(np.float64)
    found: np.ndarray = np.argmin((b**2).sum(1) - 2 * a @ b.T, axis=1)
    return found
