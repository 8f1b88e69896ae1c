"""Features and scores of one's own: a function, its name, and what tells that it was changed."""

import math
import re
from collections.abc import Callable
from typing import Any

import numpy as np

from madlab import checks
from madlab.data.samples import Samples
from madlab.metrics.scores import KINDS, SCORES, know_own


class OwnFeatures:
    """A feature map of one's own, for the `features` of a chain or a `Reference`.

    - `name`: letters, digits and underscores; no name of madlab's own features.
    - `function`: takes images as the data set has them and returns real numbers `(n, d)`, row i for
      image i.
    - `version`: a whole number to raise where what it returns changes. Where None, its code tells:
      its text without comments counts, not what it calls.

    Its full name, `name` and the version or a hash of the code, goes on every record. Raises
    ValueError or TypeError for other names, and for code without text where there is no version.
    """

    def __init__(
        self, name: str, function: Callable[[np.ndarray], Any], version: int | None = None
    ) -> None:
        taken = {one for kind in KINDS.values() for one in kind.features} | {"appearance"}
        self.name = f"{_name(name, taken)}-{_mark(function, version)}"
        self._function = function

    def embed(self, images: np.ndarray) -> np.ndarray:
        """Return features, float64 `(n, d)`; ValueError where the function gives others."""
        found = checks.rows(f"features {self.name!r}", self._function(images))
        if len(found) != len(images):
            raise ValueError(
                f"features {self.name!r} have {len(found)} rows for {len(images)} images"
            )
        return found


class OwnScore:
    """A score of one's own, for the `scores` of a chain or a `Reference`.

    - `name`: the column of records; letters, digits and underscores, no other column's name.
    - `function`: takes the generated `Samples` and the held-out images, and returns a number.
    - `version`: as for `OwnFeatures`.

    Raises as `OwnFeatures` does.
    """

    def __init__(
        self,
        name: str,
        function: Callable[[Samples, np.ndarray], float],
        version: int | None = None,
    ) -> None:
        from madlab.tables import COLUMNS

        taken = {one for one, score in SCORES.items() if not score.own} | {*COLUMNS}
        taken |= {"own", "scored", "config", "cost", "provenance", "data", "version", "check"}
        self.name = _name(name, taken)
        self.id = f"{name}-{_mark(function, version)}"
        self._function = function
        know_own([name])

    def measure(self, samples: Samples, held_out: np.ndarray) -> float:
        """Return the score, NaN where it is not finite; TypeError where it is no number."""
        found = np.asarray(self._function(samples, held_out))
        if found.size != 1 or found.dtype.kind not in "biuf":
            raise TypeError(
                f"the score {self.name!r} is {found.dtype} of shape {found.shape}; its function "
                "must return one number"
            )
        return float(found.item()) if np.isfinite(found).all() else math.nan


def _name(name: Any, taken: set[str]) -> str:
    if not isinstance(name, str) or not re.fullmatch("[A-Za-z][A-Za-z0-9_]*", name):
        raise ValueError(
            f"name is {name!r}; it must be letters, digits and underscores, a letter first"
        )
    if name in taken:
        raise ValueError(f"name is {name!r}, which madlab uses itself; choose another")
    return name


def _mark(function: Any, version: int | None) -> str:
    """Return what tells one function under a name from another."""
    from madlab.models.own import hash_of_code

    if not callable(function):
        raise TypeError(f"function is {function!r}; it must be a function")
    if version is not None:
        return f"v{checks.count('version', version)}"
    try:
        return hash_of_code([function])[:8]
    except (OSError, SyntaxError, TypeError) as error:
        raise ValueError(
            "the function has no text of its own that could tell one from another: write it with "
            "def in a file or a cell, or give a version, a whole number"
        ) from error
