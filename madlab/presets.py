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


@dataclass(frozen=True)
class Measuring(Preset):
    """Sizes for measuring what is not trained.

    - `n_evaluate`: digits that are scored where there is one size only.
    - `pool`: real digits on each side that subsets are drawn from.
    - `sizes`, `repeats`: how large the subsets are, and how many there are of each size.
    """

    n_evaluate: int
    pool: int
    sizes: tuple[int, ...]
    repeats: int


@dataclass(frozen=True)
class SamplingBias(Digits):
    """Sizes of a comparison of models under sampling bias; flow chains have one generation.

    - `n_points`: training-set size of the models of points.
    - `biases`: the sampling biases that generation 1 of every model is sampled at.
    - `candidates`: of how many samples the best one is picked.
    """

    n_points: int = 10_000
    biases: tuple[float, ...] = (1.0, 0.8, 0.6, 0.4, 0.2)
    candidates: tuple[int, ...] = (1, 2, 4, 8)


@dataclass(frozen=True)
class Gaussians(Preset):
    """Sizes of loops of Gaussians that theory simulates.

    - `n`, `generations`: points in every generation, and how many generations.
    - `chains`: how many chains are run for the laws of one dimension.
    """

    n: int
    generations: int
    chains: int


@dataclass(frozen=True)
class FreshData(Preset):
    """Sizes of Gaussian loops with real data, and of their phase diagram.

    - `dimensions`, `chains`, `generations`: of the loops.
    - `side`, `point_chains`: simulated points along each axis of the diagram, and chains in each.
    """

    dimensions: int
    chains: int
    generations: int
    side: int
    point_chains: int


@dataclass(frozen=True)
class ModesAndTails(Preset):
    """Sizes of loops on the 25-mode grid, and of flows on the Rosenbrock density.

    - `n`, `generations`, `chains`: of the mixtures on the grid, n in every generation.
    - `every`: one generation in so many is measured, on `n_evaluate` samples.
    - `flow_n`, `flow_generations`, `seeds`: of the `coupling` chains; `coupling` are its settings.
    """

    n: int
    generations: int
    chains: int
    every: int
    n_evaluate: int
    flow_n: int
    flow_generations: int
    seeds: tuple[int, ...] = (0,)
    coupling: Mapping[str, Any] = field(default_factory=dict)


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

_EATS_ITSELF = {
    "smoke": Gaussians(
        machine="two cores",
        minutes=0.2,
        megabytes=None,
        expect="every cell runs; twenty generations are too few to see a variance vanish",
        n=100,
        generations=20,
        chains=2_000,
    ),
    "quick": Gaussians(
        machine="two cores",
        minutes=0.2,
        megabytes=None,
        expect="without bias the median of the variance falls to 0.37 while its mean stays 1",
        n=100,
        generations=100,
        chains=20_000,
    ),
    "full": Gaussians(
        machine="two cores",
        minutes=0.4,
        megabytes=None,
        expect="after 300 generations the median is 0.05, and 1% of chains hold half the variance",
        n=100,
        generations=300,
        chains=50_000,
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

_THREE_LOOPS = {
    "smoke": FreshData(
        machine="two cores",
        minutes=None,
        megabytes=None,
        expect="every cell runs; ten dimensions and few chains show little",
        dimensions=10,
        chains=20,
        generations=10,
        side=3,
        point_chains=2,
    ),
    "quick": FreshData(
        machine="two cores",
        minutes=None,
        megabytes=None,
        expect="limits of 12 and 21 from either start; a threshold near 840 at bias 0.7",
        dimensions=100,
        chains=64,
        generations=50,
        side=8,
        point_chains=8,
    ),
    "full": FreshData(
        machine="two cores",
        minutes=None,
        megabytes=None,
        expect="not run yet: the same with more chains and a finer grid",
        dimensions=100,
        chains=500,
        generations=100,
        side=20,
        point_chains=16,
    ),
}

_SAMPLING_BIAS = {
    "smoke": SamplingBias(
        machine="two cores",
        minutes=0.3,
        megabytes=None,
        expect="every cell runs; two generations are too few to read anything from",
        n=300,
        generations=2,
        n_evaluate=200,
        flow_n=300,
        flow={"steps": 30},
        n_points=500,
        biases=(1.0, 0.5),
        candidates=(1, 2),
    ),
    "quick": SamplingBias(
        machine="two cores",
        minutes=2.3,
        megabytes=880,
        expect="the best of four looks like bias 0.7 at first, then strays far from real digits",
        n=5_000,
        generations=6,
        n_evaluate=2_000,
        seeds=(0, 1, 2),
        flow_n=2_500,
        flow={"steps": 600},
    ),
    "full": SamplingBias(
        machine="one GPU",
        minutes=None,
        megabytes=None,
        expect="not run yet: more digits, longer training, a finer picker",
        n=60_000,
        generations=10,
        n_evaluate=10_000,
        seeds=(0, 1, 2),
        flow_n=60_000,
        flow={"steps": 20_000, "heun_steps": 8},
        n_points=50_000,
        biases=(1.0, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1),
        candidates=(1, 2, 4, 8, 16),
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

_MEASURING = {
    "smoke": Measuring(
        machine="two cores",
        minutes=0.2,
        megabytes=None,
        expect="every cell runs; scores of 200 digits are too uncertain to read",
        n_evaluate=200,
        pool=1_000,
        sizes=(100, 200),
        repeats=3,
    ),
    "quick": Measuring(
        machine="two cores",
        minutes=0.8,
        megabytes=None,
        expect="FD and coverage notice every damage, precision and recall do not; all depend on n",
        n_evaluate=1_000,
        pool=10_000,
        sizes=(100, 200, 500, 1_000, 2_000, 5_000),
        repeats=20,
    ),
    "full": Measuring(
        machine="two cores",
        minutes=None,
        megabytes=None,
        expect="not run yet: more digits, more repeats",
        n_evaluate=5_000,
        pool=10_000,
        sizes=(100, 200, 500, 1_000, 2_000, 5_000),
        repeats=50,
    ),
}

_MODES = {
    "smoke": ModesAndTails(
        machine="two cores",
        minutes=None,
        megabytes=None,
        expect="every cell runs; too few points and generations to read anything from",
        n=200,
        generations=12,
        chains=3,
        every=4,
        n_evaluate=200,
        flow_n=500,
        flow_generations=2,
        coupling={"epochs": 2},
    ),
    "quick": ModesAndTails(
        machine="two cores",
        minutes=None,
        megabytes=None,
        expect="most modes die in 300 generations, as neutral drift says; tails go where bias is",
        n=1_000,
        generations=300,
        chains=8,
        every=10,
        n_evaluate=1_000,
        flow_n=2_500,
        flow_generations=16,
        seeds=(0, 1, 2),
    ),
    "full": ModesAndTails(
        machine="two cores",
        minutes=None,
        megabytes=None,
        expect="2,000 generations, of which three modes or four are left",
        n=2_500,
        generations=2_000,
        chains=8,
        every=20,
        n_evaluate=2_500,
        flow_n=10_000,
        flow_generations=16,
        seeds=(0, 1, 2),
    ),
}

PRESETS: dict[str, Mapping[str, Preset]] = {
    "00_start_here": _START,
    "02_three_loops_one_equation": _THREE_LOOPS,
    "01_a_model_eats_itself": _EATS_ITSELF,
    "04_modes_die_first": _MODES,
    "05_measuring_madness": _MEASURING,
    "03_sampling_bias": _SAMPLING_BIAS,
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
