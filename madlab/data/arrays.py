"""Arrays of one's own, in whatever shape they come, as samples and as a data set."""

import hashlib
from typing import Any

import numpy as np

from madlab import checks
from madlab.data.samples import Dataset, Samples
from madlab.streams import generator

# Pictures whose brightest byte is darker are on another scale, such as 0 to 1 or 0 to 16.
_DARK = 32
_SIDE = 4


def from_arrays(
    images: Any, labels: Any, held_out: Any, name: str, seed: int, kind: type[Dataset]
) -> Dataset:
    """Return a data set, see `Dataset.from_arrays`."""
    if not isinstance(name, str) or not name.strip():
        raise TypeError(f"name is {name!r}; it must be some words that name the data")
    pool = as_samples(images, labels)
    if isinstance(held_out, (bool, int, float, np.number)):
        pool, held = _split(pool, held_out, checks.count("seed", seed))
    else:
        pair = isinstance(held_out, tuple) and len(held_out) == 2
        one, of_it = held_out if pair else (held_out, None)
        held = as_samples(one, of_it, "held-out ")
        if held.images.dtype != pool.images.dtype or held.images.shape[1:] != pool.images.shape[1:]:
            raise ValueError(
                f"held-out images are {held.images.dtype} {held.images.shape}, images "
                f"{pool.images.dtype} {pool.images.shape}; they must be of one type and size"
            )
    digest = hashlib.sha256()
    for array in (*pool, *held):
        digest.update(content(array).encode())
        if array is not None:
            array.flags.writeable = False
    return kind(f"{name}-{digest.hexdigest()[:16]}", *pool, held).sealed()


def content(array: np.ndarray | None) -> str:
    """Return the SHA-256 of an array, its type and shape, 64 hexadecimal digits; of None its word.

    It is read in parts, as it may be a file larger than memory.
    """
    if array is None:
        return "None"
    digest = hashlib.sha256(f"{array.dtype.str} {array.shape}".encode())
    for start in range(0, len(array), 1000):
        digest.update(np.ascontiguousarray(array[start : start + 1000]).data.cast("B"))
    return digest.hexdigest()


def as_samples(images: Any, labels: Any = None, what: str = "") -> Samples:
    """Return images or points, and labels where there are any, as `Samples`: copies."""
    found = as_images(images, f"{what}images")
    return Samples(found, None if labels is None else as_labels(labels, len(found), what))


def as_images(values: Any, name: str = "images") -> np.ndarray:
    """Return pictures as uint8 `(n, h, w)` or `(n, h, w, 3)`, or points as float64 `(n, d)`.

    - `values`: as `Dataset.from_arrays` says, which also says what is raised.
    """
    found = _array(values, name)
    if found.dtype.kind not in "biuf":
        raise TypeError(f"{name} must be numbers, not {found.dtype}")
    if found.ndim == 2:
        if found.dtype.kind == "b" or found.dtype == np.uint8:
            raise TypeError(
                f"{name} are {found.dtype} of shape {found.shape}: for pictures give shape "
                "(n, height, width), for points floats"
            )
        return checks.rows(name, found, least=1).astype(np.float64)
    shape = found.shape
    if found.ndim == 4 and shape[3] not in (1, 3) and shape[1] in (1, 3):
        found = found.transpose(0, 2, 3, 1)
    if found.ndim == 4 and found.shape[3] == 1:
        found = found[..., 0]
    pictures = found.ndim == 3 or (found.ndim == 4 and found.shape[3] == 3)
    if not pictures or not len(found) or min(found.shape[1:3]) < _SIDE:
        raise ValueError(
            f"{name} have shape {shape}; give pictures (n, height, width), (n, height, width, 3) "
            f"or (n, 3, height, width), at least one, of {_SIDE} pixels a side or more, or points "
            "(n, d)"
        )
    return np.array(_bytes(found, name), np.uint8, order="C")


def _bytes(found: np.ndarray, name: str) -> np.ndarray:
    """Return pixels on the scale from 0 to 255, or raise ValueError where that is not plain."""
    low, high = found.min(), found.max()
    if not np.isfinite(high - low if found.dtype.kind == "f" else 0):
        raise ValueError(f"{name} have NaN or infinite values; look at those, or leave them out")
    if found.dtype.kind == "b":
        return found * np.uint8(255)
    if found.dtype.kind == "f" and low >= 0 and high <= 1:
        return np.rint(found * 255)
    whole = found.dtype.kind in "iu" or bool((found == np.rint(found)).all())
    if low < 0 or high > 255 or not whole or 0 < high < _DARK:
        raise ValueError(
            f"{name} are {found.dtype} from {low:g} to {high:g}; pictures are whole numbers from 0 "
            "to 255, or floats from 0 to 1: scale them, so that black is 0 and white 255 or 1.0"
        )
    return found


def as_labels(values: Any, n: int, what: str = "") -> np.ndarray:
    """Return labels as int64 `(n,)`; whole numbers may be of any type."""
    name = f"{what}labels"
    found = _array(values, name)
    if found.dtype.kind in "OSU":
        raise TypeError(
            f"{name} are {found.dtype}, not whole numbers: number the classes, "
            "np.unique(labels, return_inverse=True)[1]"
        )
    if found.shape == (n, 1):
        found = found[:, 0]
    elif found.ndim == 2 and len(found) == n:
        raise ValueError(
            f"{name} have shape {found.shape}; {n} images need shape ({n},): for one column a "
            "class give labels.argmax(1)"
        )
    if found.dtype.kind == "f" and found.size and not (found == np.rint(found)).all():
        wrong = found[found != np.rint(found)][0]
        raise TypeError(f"{name} must be whole numbers, not {found.dtype} such as {wrong}")
    if found.dtype.kind in "bf":
        found = found.astype(np.int64)
    return checks.labels(found, n, name=name).copy()


def _array(values: Any, name: str) -> np.ndarray:
    """Return a copy, or a view, of arrays, tensors, or lists of them as one array."""
    if isinstance(values, (list, tuple)) and len(values) and not np.isscalar(values[0]):
        parts = [_array(one, name) for one in values]
        shapes = list(dict.fromkeys(part.shape for part in parts))
        if len(shapes) > 1:
            raise ValueError(
                f"{name} have different shapes, {shapes[0]} and {shapes[1]}: bring them to one size"
            )
        return np.stack(parts)
    if hasattr(values, "detach"):
        values = values.detach().cpu()
        values = values.double() if values.is_floating_point() else values
    if isinstance(values, (str, bytes, dict, set)) or values is None:
        raise TypeError(f"{name} are {type(values).__name__}; give an array, a tensor or a list")
    return np.asarray(values)


def _split(pool: Samples, held_out: Any, seed: int) -> tuple[Samples, Samples]:
    """Return training pool and held-out set, each in the order given."""
    n = len(pool.images)
    if n > 1 and not isinstance(held_out, (float, np.floating)):
        m = checks.count("held_out", held_out, least=1, most=n - 1)
    else:
        share = checks.between("held_out", held_out, 0, 1)
        m = min(max(1, round(share * n)), n - 1)
    if not m:
        raise ValueError("one image cannot be split: give at least 2, or a held_out of its own")
    chosen = np.zeros(n, bool)
    chosen[generator(seed, "held out").permutation(n)[:m]] = True
    images, labels = pool
    held, rest = (
        Samples(images[rows], None if labels is None else labels[rows])
        for rows in (chosen, ~chosen)
    )
    return rest, held
