"""Sizes of the notebooks on theory."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from madlab.presets.preset import Preset


@dataclass(frozen=True, kw_only=True)
class Gaussians(Preset):
    """Sizes of loops of Gaussians that theory simulates.

    - `n`, `generations`: points in every generation, and how many generations.
    - `chains`: how many chains are run for the laws of one dimension.
    """

    n: int
    generations: int
    chains: int


@dataclass(frozen=True, kw_only=True)
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


@dataclass(frozen=True, kw_only=True)
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


EATS_ITSELF = {
    "smoke": Gaussians(
        minutes=0.2,
        expect="every cell runs; twenty generations are too few to see a variance vanish",
        n=100,
        generations=20,
        chains=2_000,
    ),
    "quick": Gaussians(
        minutes=0.2,
        expect="without bias the median of the variance falls to 0.36 while its mean stays 1",
        n=100,
        generations=100,
        chains=20_000,
    ),
    "full": Gaussians(
        minutes=0.4,
        expect="after 300 generations the median is 0.05, and 1% of chains hold half the variance",
        n=100,
        generations=300,
        chains=50_000,
    ),
}

THREE_LOOPS = {
    "smoke": FreshData(
        minutes=0.1,
        expect="every cell runs; ten dimensions and few chains show little",
        dimensions=10,
        chains=20,
        generations=10,
        side=3,
        point_chains=2,
    ),
    "quick": FreshData(
        minutes=0.6,
        expect="limits of 12 and 21 from either start; a threshold near 840 at bias 0.7",
        dimensions=100,
        chains=64,
        generations=50,
        side=8,
        point_chains=8,
    ),
    "full": FreshData(
        expect="not run yet: the same with more chains and a finer grid",
        dimensions=100,
        chains=500,
        generations=100,
        side=20,
        point_chains=16,
    ),
}

MODES = {
    "smoke": ModesAndTails(
        minutes=0.2,
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
        minutes=1,
        megabytes=13,
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
        expect="not run as a whole; after 2,000 generations three modes or four are left",
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
