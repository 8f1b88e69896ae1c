"""Sizes for every notebook: smoke for tests, quick for a class on two cores, full for long runs."""

import tomllib
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from madlab import checks

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
