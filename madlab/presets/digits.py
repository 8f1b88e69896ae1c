"""Sizes of the notebooks on digits."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from madlab.presets.preset import Preset


@dataclass(frozen=True, kw_only=True)
class Digits(Preset):
    """Sizes of loops on digits.

    - `n`, `generations`, `seeds`: training-set size, length and number of the `mixture` chains.
    - `flow_n`, `flow_generations`, `flow`: the same of the `diffusion` chains, and its settings.
    - `n_evaluate`: samples scored in each generation of every chain.
    - `classifier_steps`: training steps of a classifier that learns from one generation's samples.
    """

    n: int
    generations: int
    n_evaluate: int
    seeds: tuple[int, ...] = (0,)
    flow_n: int = 0
    flow_generations: int = 0
    flow: Mapping[str, Any] = field(default_factory=dict)
    classifier_steps: int = 0


@dataclass(frozen=True, kw_only=True)
class SamplingBias(Digits):
    """Sizes of a comparison of models under sampling bias; flow chains have one generation.

    - `n_points`: training-set size of the models of points.
    - `biases`: the sampling biases that generation 1 of every model is sampled at.
    - `candidates`: of how many samples the best one is picked.
    """

    n_points: int = 10_000
    biases: tuple[float, ...] = (1.0, 0.8, 0.6, 0.4, 0.2)
    candidates: tuple[int, ...] = (1, 2, 4, 8)


@dataclass(frozen=True, kw_only=True)
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


START = {
    "smoke": Digits(
        minutes=0.2,
        expect="every cell runs; two generations are too few to read anything from",
        n=500,
        generations=2,
        n_evaluate=200,
    ),
    "quick": Digits(
        minutes=0.5,
        expect="recall falls to under half in six generations, to almost none at bias 0.5",
        n=5_000,
        generations=6,
        n_evaluate=5_000,
    ),
    "full": Digits(
        expect="not run yet: the same loops with 60,000 digits",
        n=60_000,
        generations=6,
        n_evaluate=10_000,
    ),
}

FULLY_SYNTHETIC = {
    "smoke": Digits(
        minutes=0.3,
        expect="every cell runs; two generations are too few to read anything from",
        n=500,
        generations=2,
        n_evaluate=200,
        flow_n=300,
        flow_generations=2,
        flow={"steps": 30},
        classifier_steps=20,
    ),
    "quick": Digits(
        minutes=3,
        expect="scribbles without bias, look-alikes with it",
        n=5_000,
        generations=6,
        n_evaluate=2_000,
        seeds=(0, 1, 2),
        flow_n=2_500,
        flow_generations=4,
        flow={"steps": 600},
        classifier_steps=250,
    ),
    "full": Digits(
        machine="one GPU",
        expect="not run yet: more digits, longer training, ten generations",
        n=60_000,
        generations=10,
        n_evaluate=10_000,
        seeds=(0, 1, 2),
        flow_n=60_000,
        flow_generations=10,
        flow={"steps": 20_000, "sampling_steps": 8},
        classifier_steps=1_000,
    ),
}

# The same sizes as notebook 06, so that its fully synthetic chains are read from the store, which
# minutes and megabytes of the quick preset suppose. Fresh data are never reused: ten generations
# of the 60,000 digits hold at most 60,000 / 5.5 each.
WITH_REAL_DATA = {
    "smoke": replace(FULLY_SYNTHETIC["smoke"], expect="every cell runs, no more"),
    "quick": replace(
        FULLY_SYNTHETIC["quick"],
        minutes=1.5,
        megabytes=920,
        expect="fresh data settle, augmentation falls slowly",
    ),
    "full": replace(
        FULLY_SYNTHETIC["full"],
        n=10_000,
        flow_n=10_000,
        expect="not run yet: more digits, longer training, ten generations",
    ),
}

SAMPLING_BIAS = {
    "smoke": SamplingBias(
        minutes=0.3,
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
        minutes=1.4,
        megabytes=880,
        expect="the best of four loses little more than bias 0.7 at first, then strays far off",
        n=5_000,
        generations=6,
        n_evaluate=2_000,
        seeds=(0, 1, 2),
        flow_n=2_500,
        flow={"steps": 600},
    ),
    "full": SamplingBias(
        machine="one GPU",
        expect="not run yet: more digits, longer training, a finer picker",
        n=60_000,
        generations=10,
        n_evaluate=10_000,
        seeds=(0, 1, 2),
        flow_n=60_000,
        flow={"steps": 20_000, "sampling_steps": 8},
        n_points=50_000,
        biases=(1.0, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1),
        candidates=(1, 2, 4, 8, 16),
    ),
}

MEASURING = {
    "smoke": Measuring(
        minutes=0.2,
        expect="every cell runs; scores of 200 digits are too uncertain to read",
        n_evaluate=200,
        pool=1_000,
        sizes=(100, 200),
        repeats=3,
    ),
    "quick": Measuring(
        minutes=0.5,
        expect="FD and coverage notice every damage, precision and recall do not; all depend on n",
        n_evaluate=1_000,
        pool=10_000,
        sizes=(100, 200, 500, 1_000, 2_000, 5_000),
        repeats=20,
    ),
    "full": Measuring(
        expect="not run yet: more digits, more repeats",
        n_evaluate=5_000,
        pool=10_000,
        sizes=(100, 200, 500, 1_000, 2_000, 5_000),
        repeats=50,
    ),
}
