"""Sizes for every notebook: smoke for tests, quick for a class on two cores, full for long runs."""

import difflib
from collections.abc import Mapping
from typing import Any

from madlab.presets import digits, faces, theory
from madlab.presets.preset import Preset

PRESETS: dict[str, Mapping[str, Preset]] = {
    "00_start_here": digits.START,
    "01_a_model_eats_itself": theory.EATS_ITSELF,
    "02_three_loops_one_equation": theory.THREE_LOOPS,
    "03_sampling_bias": digits.SAMPLING_BIAS,
    "04_modes_die_first": theory.MODES,
    "05_measuring_madness": digits.MEASURING,
    "06_digits_fully_synthetic": digits.FULLY_SYNTHETIC,
    "07_digits_augmentation_and_fresh": digits.WITH_REAL_DATA,
    "08_faces": faces.FACES,
}


def get(notebook: str, preset: str) -> Preset:
    """Return the sizes of a notebook.

    - `notebook`: its file name without `.ipynb`.
    - `preset`: "smoke", "quick" or "full".

    Raises KeyError for a name that is not known.
    """
    if notebook not in PRESETS:
        raise KeyError(f"no presets for {notebook!r}{_hint(notebook, PRESETS)}")
    known = PRESETS[notebook]
    if preset not in known:
        raise KeyError(f"{notebook} has no preset {preset!r}{_hint(preset, known)}")
    return known[preset]


def _hint(wrong: str, known: Mapping[str, Any]) -> str:
    close = difflib.get_close_matches(str(wrong), known, n=1)
    meant = f"; did you mean {close[0]!r}?" if close else ";"
    return f"{meant} There are: {', '.join(known)}."
