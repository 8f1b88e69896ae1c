"""Sizes for every notebook: smoke for tests, quick for a class on two cores, full for a GPU."""

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any


@dataclass(frozen=True)
class Preset:
    """What a notebook's runs take and what they should show; its kinds add the sizes.

    - `machine`, `minutes`, `megabytes`: the machine it is meant for, how long the notebook took
      there and how much disk its store took; None where that was not measured.
    - `expect`: what the reader should see.
    """

    machine: str
    minutes: float | None
    megabytes: int | None
    expect: str


@dataclass(frozen=True)
class Digits(Preset):
    """Sizes of loops on digits.

    - `n`, `generations`, `seeds`: training-set size, length and number of the `mixture` chains.
    - `flow_n`, `flow_generations`, `flow`: the same of the `diffusion` chains, and its settings.
    - `n_evaluate`: samples scored in each generation of every chain.
    """

    n: int
    generations: int
    n_evaluate: int
    seeds: tuple[int, ...] = (0,)
    flow_n: int = 0
    flow_generations: int = 0
    flow: Mapping[str, Any] = field(default_factory=dict)


_START = {
    "smoke": Digits(
        machine="two cores",
        minutes=0.2,
        megabytes=None,
        expect="every cell runs; two generations are too few to read anything from",
        n=500,
        generations=2,
        n_evaluate=200,
    ),
    "quick": Digits(
        machine="two cores",
        minutes=0.5,
        megabytes=None,
        expect="recall falls to under half in six generations, to almost none at bias 0.5",
        n=5_000,
        generations=6,
        n_evaluate=5_000,
    ),
    "full": Digits(
        machine="two cores",
        minutes=None,
        megabytes=None,
        expect="not run yet: the same loops with 60,000 digits",
        n=60_000,
        generations=6,
        n_evaluate=10_000,
    ),
}

_FULLY_SYNTHETIC = {
    "smoke": Digits(
        machine="two cores",
        minutes=0.3,
        megabytes=None,
        expect="every cell runs; two generations are too few to read anything from",
        n=500,
        generations=2,
        n_evaluate=200,
        flow_n=300,
        flow_generations=2,
        flow={"steps": 30},
    ),
    "quick": Digits(
        machine="two cores",
        minutes=6,
        megabytes=None,
        expect="scribbles without bias, look-alikes with it",
        n=5_000,
        generations=6,
        n_evaluate=2_000,
        seeds=(0, 1, 2),
        flow_n=2_500,
        flow_generations=4,
        flow={"steps": 600},
    ),
    "full": Digits(
        machine="one GPU",
        minutes=None,
        megabytes=None,
        expect="not run yet: more digits, longer training, ten generations",
        n=60_000,
        generations=10,
        n_evaluate=10_000,
        seeds=(0, 1, 2),
        flow_n=60_000,
        flow_generations=10,
        flow={"steps": 20_000, "heun_steps": 8},
    ),
}

# The same sizes as notebook 06, so that its fully synthetic chains are read from the store, which
# minutes and megabytes of the quick preset suppose. Fresh data are never reused: ten generations
# of the 60,000 digits hold at most 60,000 / 5.5 each.
_WITH_REAL_DATA = {
    "smoke": replace(_FULLY_SYNTHETIC["smoke"], expect="every cell runs, no more"),
    "quick": replace(
        _FULLY_SYNTHETIC["quick"],
        minutes=2,
        megabytes=920,
        expect="fresh data settle, augmentation falls slowly",
    ),
    "full": replace(
        _FULLY_SYNTHETIC["full"],
        n=10_000,
        flow_n=10_000,
        expect="not run yet: more digits, longer training, ten generations",
    ),
}

PRESETS: dict[str, Mapping[str, Preset]] = {
    "00_start_here": _START,
    "06_digits_fully_synthetic": _FULLY_SYNTHETIC,
    "07_digits_augmentation_and_fresh": _WITH_REAL_DATA,
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
