"""Sizes for every notebook: smoke for tests, quick for a class on two cores, full for long runs."""

import contextlib
import tomllib
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from madlab import checks

_SMOKE = (
    "**A smoke run.** Its sizes are the smallest with which every cell runs. It shows that all"
    " works here, and nothing of what the text says: for that take the preset quick."
)
NAMES = ("smoke", "quick", "full")


class Preset(SimpleNamespace):
    """What a notebook's runs take and what they should show; `presets.toml` explains its sizes.

    - `machine`, `minutes`, `megabytes`: the machine it is meant for, how long the notebook took
      there and how much disk its store took; None where that was not measured.
    - `expect`: what the reader should see.
    """


def tables() -> dict[str, dict[str, dict[str, Any]]]:
    """Return what `presets.toml` says: by notebook and field, the value in each preset."""
    return tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))


def begin(notebook: str, preset: str, *, seed: int, store: Any) -> Preset:
    """Return what `get` does, and refuse other parameters that a notebook cannot be run with.

    Of smoke it shows what that is good for, in a notebook and in whatever is made of it.

    Raises KeyError as `get` does, TypeError or ValueError for a seed that is no whole number from 0
    and for a store that is no path.
    """
    found = get(notebook, preset)
    checks.count("seed", seed)
    if isinstance(store, (bool, int, float)) or not store:
        raise TypeError(f"store is {store!r}; it must be the name of a folder, as text")
    if preset == "smoke":
        with contextlib.suppress(ImportError):
            from IPython.display import Markdown, display

            display(Markdown(_SMOKE))
    return found


def get(notebook: str, preset: str) -> Preset:
    """Return the sizes of a notebook.

    - `notebook`: its file name without `.ipynb`.
    - `preset`: "smoke", "quick" or "full".

    Raises KeyError for a name that is not known.
    """
    known = tables()
    checks.known("notebook with presets", notebook, known)
    checks.known("preset", preset, NAMES)
    given = {field: values[preset] for field, values in known[notebook].items() if preset in values}
    sizes = {"machine": "two cores", "minutes": None, "megabytes": None, **given}
    return Preset(**{k: tuple(v) if isinstance(v, list) else v for k, v in sizes.items()})
