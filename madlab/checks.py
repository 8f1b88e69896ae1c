"""Every question that is asked of an argument, asked once; needs numpy alone."""

import difflib
import math
from collections.abc import Iterable
from typing import Any

import numpy as np

# Tables of classes are as long as the largest label.
CLASSES = 100_000


def hint(wrong: object, known: Iterable[str]) -> str:
    """Return "; did you mean 'x'?" for the one of the `known` names like `wrong`, or nothing."""
    close = difflib.get_close_matches(str(wrong), list(known), n=1)
    return f"; did you mean {close[0]!r}?" if close else ""


def choice(name: str, value: Any, allowed: Iterable[Any]) -> Any:
    """Return `value`, or raise ValueError unless it is one of the `allowed` values."""
    known = list(allowed)
    if value not in known:
        meant = hint(value, filter(lambda one: isinstance(one, str), known))
        words = ", ".join(map(repr, known))
        raise ValueError(f"{name} is {value!r}; it must be one of {words}{meant}")
    return value


def known(what: str, name: Any, names: Iterable[Any]) -> None:
    """Raise KeyError unless `name` is one of the `names` that there are, naming them."""
    there = list(dict.fromkeys(names))
    if name not in there:
        words = [f"{one:g}" if isinstance(one, float) else str(one) for one in there]
        meant = hint(name, words) if isinstance(name, str) else ""
        listed = f"{', '.join(words) or 'none'}{meant}"
        raise KeyError(f"there is no {what} {name!r}; there are: {listed}")


def flag(name: str, value: bool) -> bool:
    """Return `value`, or raise TypeError unless it is True or False."""
    if not isinstance(value, bool):
        raise TypeError(f"{name} must be True or False, not {value!r}")
    return value


def count(name: str, value: int, least: int = 0, most: int | None = None) -> int:
    """Return `value` as an int, or raise unless it is a whole number from `least` to `most`."""
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
        raise TypeError(f"{name} must be a whole number, not {value!r}")
    if value < least or (most is not None and value > most):
        over = "" if most is None else f" and at most {most:,}"
        raise ValueError(f"{name} is {value}; it must be at least {least}{over}")
    return int(value)


def side(name: str, value: int) -> int:
    """Return a picture's side as an int, or raise unless it is a multiple of 4 from 16 to 256."""
    if count(name, value) % 4 or not 16 <= value <= 256:
        raise ValueError(f"{name} is {value}; it must be a multiple of 4 from 16 to 256 pixels")
    return int(value)


def number(name: str, value: float) -> float:
    """Return `value` as a float, or raise unless it is a finite number."""
    if isinstance(value, bool) or not isinstance(value, (int, float, np.number)):
        raise TypeError(f"{name} must be a number, not {value!r}")
    if not math.isfinite(value):
        raise ValueError(f"{name} is {value}; it must be finite")
    return float(value)


def between(name: str, value: float, low: float, high: float, *, ends: bool = False) -> float:
    """Return `value` as a float, or raise unless low < value < high, or <= with `ends`."""
    found = number(name, value)
    if not (low <= found <= high if ends else low < found < high):
        words = "" if ends else ", not on them"
        raise ValueError(f"{name} is {value}; it must lie between {low} and {high}{words}")
    return found


def positive(name: str, value: float) -> float:
    """Return `value` as a float, or raise unless it is a finite number above 0."""
    if number(name, value) <= 0:
        raise ValueError(f"{name} is {value}; it must be above 0")
    return float(value)


def bias(value: float) -> float:
    """Return a sampling bias as a float, or raise ValueError unless 0 < bias <= 1."""
    if isinstance(value, bool) or not isinstance(value, (int, float, np.number)):
        raise TypeError(f"bias must be a number, not {value!r}")
    if not 0 < value <= 1:
        raise ValueError(
            f"bias is {value!r}; it must lie in (0, 1]: 1 samples without bias, "
            "towards 0 only the modes remain"
        )
    return float(value)


def labels(
    given: np.ndarray | None, n: int, classes: int | None = None, *, name: str = "labels"
) -> np.ndarray:
    """Return labels as int64 `(n,)`, or raise where they do not match `n` or `classes`."""
    if given is None:
        raise ValueError("this model is class-conditional: give labels, one for each image")
    found = np.asarray(given)
    if found.shape != (n,):
        raise ValueError(f"{name} have shape {found.shape}; {n} images need shape ({n},)")
    if found.dtype.kind not in "iu":
        raise TypeError(f"{name} must be whole numbers, not {found.dtype}")
    if n and found.min() < 0:
        raise ValueError(f"{name} run from {found.min()}; they must not be negative")
    if n and classes is None and found.max() >= CLASSES:
        raise ValueError(
            f"{name} run up to {found.max()}; at most {CLASSES - 1:,} will do: number the classes, "
            "np.unique(labels, return_inverse=True)[1]"
        )
    if n and classes is not None and found.max() >= classes:
        raise ValueError(
            f"{name} run up to {found.max()}; {classes} classes have 0 to {classes - 1}"
        )
    return np.asarray(found, dtype=np.int64)


def is_pictures(images: np.ndarray) -> bool:
    """Whether `images` are uint8 pictures, `(n, height, width)` or `(n, height, width, 3)`."""
    return images.dtype == np.uint8 and (images.ndim == 3 or images.shape[3:] == (3,))


def pictures(
    images: np.ndarray,
    *,
    name: str = "images",
    colour: bool | None = None,
    size: tuple[int, int] | None = None,
    least: int = 0,
) -> np.ndarray:
    """Return `images` as an array; raise TypeError unless they are uint8 pictures as wanted.

    - `name`: what the message calls them.
    - `colour`: True for `(n, height, width, 3)`, False for `(n, height, width)`, None for either.
    - `size`: their height and width; `least`: how many there must be, else ValueError is raised.
    """
    found = np.asarray(images)
    fits = is_pictures(found) and (colour is None or (found.ndim == 4) == colour)
    if not fits or (size is not None and found.shape[1:3] != size):
        sides = "height, width" if size is None else f"{size[0]}, {size[1]}"
        shapes = {False: f"(n, {sides})", True: f"(n, {sides}, 3), in colour"}
        wanted = f"{shapes[False]} or (n, {sides}, 3)" if colour is None else shapes[colour]
        raise TypeError(
            f"{name} must be uint8 with shape {wanted}, not {found.dtype} with shape {found.shape}"
        )
    if len(found) < least:
        raise ValueError(f"there are {len(found)} {name}; give at least {least}")
    return found


def digits(images: np.ndarray, *, name: str = "images", least: int = 0) -> np.ndarray:
    """Return `images`, or raise TypeError unless they are uint8 `(n, 28, 28)`, 255 = ink."""
    return pictures(images, name=name, colour=False, size=(28, 28), least=least)


def rows(name: str, values: np.ndarray, *, d: int | None = None, least: int = 0) -> np.ndarray:
    """Return points or features as float64 `(n, d)`, or raise ValueError unless all are finite."""
    found = np.asarray(values)
    if found.ndim != 2 or not found.shape[1] or (d is not None and found.shape[1] != d):
        raise ValueError(
            f"{name} must have shape (n, {'d' if d is None else d}), not {found.shape}"
        )
    if found.dtype.kind not in "iuf":
        raise TypeError(f"{name} must be real numbers, not {found.dtype}")
    if len(found) < least:
        raise ValueError(f"there are {len(found)} rows of {name}; give at least {least}")
    wrong = np.flatnonzero(~np.isfinite(found).all(1))
    if len(wrong):
        raise ValueError(
            f"{name} have NaN or infinite values in rows {wrong[:5].tolist()}. Look at those: "
            "where a model made them, its training may have diverged"
        )
    return found.astype(np.float64, copy=False)


def points(values: np.ndarray, *, d: int | None = None, least: int = 1) -> np.ndarray:
    """Return points as `rows` does, or raise TypeError unless they are float64 `(n, d)` already."""
    found = np.asarray(values)
    if found.dtype != np.float64 or found.ndim != 2:
        raise TypeError(
            f"points must be float64 with shape (n, d), not {found.dtype} with shape {found.shape}"
        )
    return rows("points", found, d=d, least=least)
