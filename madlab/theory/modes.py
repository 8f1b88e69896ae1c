"""Loops on the 25-mode grid: modes die out as alleles do under neutral drift.

Beside the loops of many chains stands the Wright-Fisher model of population genetics, which shares
of modes would follow exactly if every generation reproduced them without error.
"""

from collections.abc import Collection, Iterator
from itertools import islice
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from madlab import checks
from madlab.data.samples import Dataset, Samples
from madlab.data.toy import MODES, modes
from madlab.loops import Loop
from madlab.metrics.reference import Reference
from madlab.models import em
from madlab.streams import derive, generator
from madlab.theory.simulation import Progress, check_sets, train
from madlab.training import device as choose_device

# A covariance needs two samples, so a mode of which there is one does not count as alive.
ALIVE = 2


class ModeStatistics(NamedTuple):
    """How samples lie about the 25 modes; a sample belongs to the mode it is nearest to.

    - `shares`: float64 `(25,)`, the share of samples of each mode, in the order of `MODES`.
    - `alive`: the number of modes that two samples or more belong to.
    - `total_variance`: trace of the covariance of all samples; `modal_variance`: that of a mode's,
      averaged over the modes alive; NaN where none is.
    """

    shares: np.ndarray
    alive: int
    total_variance: float
    modal_variance: float


class ModeLoops(NamedTuple):
    """What happened to every chain; g is the number of generations recorded.

    - `records`: a row a chain and generation recorded: chain, generation, loop, bias, n_real,
      n_synthetic and n_evaluate; then of `n_evaluate` fresh samples alive, total_variance and
      modal_variance (as in `ModeStatistics`), recall, precision and fd (as in
      `madlab.metrics.Scores`).
    - `shares`: those of the modes, float64 `(chains, g, 25)`.
    - `generations`: which generations these are, int64 `(g,)`.
    - `samples`: the samples measured in the generations that were to be kept, float64
      `(chains, n_evaluate, 2)` each.
    """

    records: pd.DataFrame
    shares: np.ndarray
    generations: np.ndarray
    samples: dict[int, np.ndarray]


def simulate_modes(
    loop: Loop,
    generations: int,
    chains: int = 8,
    bias: float = 1.0,
    seed: int = 0,
    *,
    every: int = 1,
    keep: Collection[int] = (),
    n_evaluate: int = 2_000,
    components: int = 25,
    data: Dataset | None = None,
    device: str | None = "cpu",
    progress: Progress | None = None,
) -> ModeLoops:
    """Run a loop of mixtures on the 25-mode grid, many chains at a time, and measure it.

    Chain i is `Chain(loop, models.create("mixture", components=25), data, bias=bias,
    seed=derive(seed, "chain", i), n_evaluate=n_evaluate)`, sample for sample on a CPU, whatever the
    other chains, `every`, `keep` and further generations.

    - `loop`: any loop; training sets need `components` points at least.
    - `generations`, `chains`: at least 1. `bias`: in (0, 1].
    - `every`: records generation 1, each that it divides, and the last.
    - `keep`: generations whose samples are kept, for pictures; they are recorded too.
    - `n_evaluate`: samples measured, at least 26, against as many held-out points.
    - `components`: Gaussians in every mixture, the same however few modes are left.
    - `data`: points in the plane; `madlab.data.modes()` where None.
    - `device`: as for `madlab.training.device`.
    - `progress`: called after each generation with the fraction done; an exception raised in it
      stops the run and passes through.

    Raises ValueError or TypeError for what cannot work, before any fit.
    Source: the paper's appendix B.2, Figs. 14 and 15.
    """
    data = modes() if data is None else data
    n_evaluate = checks.count("n_evaluate", n_evaluate, least=len(MODES) + 1)
    reference = Reference(data.held_out, n_evaluate=n_evaluate, features="points")
    every = checks.count("every", every, least=1)
    fitted = follow_modes(loop, generations, chains, bias, seed, components, data, device)
    every_t = range(1, generations + 1)
    if wrong := sorted(t for t in keep if t not in every_t):
        raise ValueError(f"keep holds {wrong}; there are generations 1 to {generations} to keep")
    wanted = {t for t in every_t if t % every == 0} | {1, generations} | {*keep}
    rows, shares, samples = [], [], {}
    seeds = [derive(seed, "chain", chain) for chain in range(chains)]
    for t, models in enumerate(fitted, start=1):
        if t in wanted:
            composition = loop.compose(t)
            sizes = {"n_real": composition.n_real, "n_synthetic": composition.n_synthetic}
            drawn = _draw(models, [derive(s, t, "evaluation", 0) for s in seeds], n_evaluate, bias)
            points = drawn.cpu().numpy()
            found = [mode_statistics(some) for some in points]
            shares.append([some.shares for some in found])
            for chain, some in enumerate(found):
                scores = reference.measure(Samples(points[chain]))
                row = {"chain": chain, "generation": t, "loop": loop.name, "bias": float(bias)}
                row |= {**sizes, "n_evaluate": n_evaluate, **some._asdict()}
                row |= {"recall": scores.recall, "precision": scores.precision, "fd": scores.fd}
                rows.append(row)
            if t in keep:
                samples[t] = points
        if progress is not None:
            progress(t / generations)
    records = pd.DataFrame(rows).drop(columns="shares")
    return ModeLoops(records, np.stack(shares, 1), np.array(sorted(wanted)), samples)


def follow_modes(
    loop: Loop,
    generations: int,
    chains: int = 8,
    bias: float = 1.0,
    seed: int = 0,
    components: int = 25,
    data: Dataset | None = None,
    device: str | None = "cpu",
) -> Iterator[em.Fitted]:
    """Return an iterator over the mixtures of all chains, with arguments as `simulate_modes`."""
    data = modes() if data is None else data
    generations = checks.count("generations", generations, least=1)
    chains, seed = checks.count("chains", chains, least=1), checks.count("seed", seed)
    components, bias = checks.count("components", components, least=1), checks.bias(bias)
    if data.images.dtype != np.float64 or data.images.shape[1:] != (2,):
        raise ValueError(
            f"{data.id} holds {data.images.dtype} of shape {data.images.shape}; the modes lie in "
            "the plane: give float64 points (n, 2), such as madlab.data.modes()"
        )
    check_sets(loop, components, f"a mixture of {components} components", generations)
    needed = loop.needs(generations)
    if needed > len(data):
        raise ValueError(
            f"{loop.describe()}; {generations} generations need {needed:,} real points, but "
            f"{data.id} has {len(data):,}: give data=madlab.data.modes({needed}), take fewer "
            "generations or smaller sets"
        )
    where = choose_device(device, float64=True)
    seeds = [derive(seed, "chain", chain) for chain in range(chains)]
    orders = [generator(seed, "permutation").permutation(len(data))[:needed] for seed in seeds]

    def real(t: int) -> list[Tensor]:
        block = loop.compose(t).real
        if block is None:
            return []
        points = [data.images[order[slice(*block)]] for order in orders]
        return [torch.from_numpy(np.stack(points)).to(where)]

    def draw(models: em.Fitted, g: int, n: int, reader: int) -> Tensor:
        # The streams have the names that `Chain` gives them.
        return _draw(models, [derive(seed, g, "training", reader) for seed in seeds], n, bias)

    def fit(t: int, parts: list[Tensor]) -> em.Fitted:
        return em.fit(torch.cat(parts, 1), components, [derive(seed, t, "fit") for seed in seeds])

    return islice(train(loop, real, draw, fit), generations)


def _draw(models: em.Fitted, streams: list[int], n: int, bias: float) -> Tensor:
    where = models.means.device
    uniforms, normals = em.noise(streams, n, models.means.shape[2])
    return em.draw(models, uniforms.to(where), normals.to(where), bias)


def mode_statistics(points: np.ndarray) -> ModeStatistics:
    """Return how samples lie about the 25 modes of the grid.

    - `points`: float64 `(n, 2)`, n of at least 2.
    """
    nearest = ((points[:, None] - MODES) ** 2).sum(axis=2).argmin(axis=1)
    counts = np.bincount(nearest, minlength=len(MODES))
    sums = np.stack([np.bincount(nearest, axis, len(MODES)) for axis in points.T], axis=1)
    apart = points - (sums / np.maximum(counts, 1)[:, None])[nearest]
    squares = np.bincount(nearest, (apart**2).sum(axis=1), len(MODES))
    alive = counts >= ALIVE
    within = squares[alive] / (counts[alive] - 1)
    modal = float(within.mean()) if alive.any() else float("nan")
    total = float(points.var(axis=0, ddof=1).sum())
    return ModeStatistics(counts / len(points), int(alive.sum()), total, modal)


def wright_fisher(
    shares: np.ndarray, n: int, resamplings: int, chains: int = 1_000, seed: int = 0
) -> np.ndarray:
    """Return shares of types under neutral drift, float64 `(chains, resamplings + 1, types)`.

    Each resampling draws n individuals, each of type i with the present share of type i; the first
    entry of each chain is `shares` themselves.

    - `shares`: `(types,)`, not negative, with sum 1.
    - `n`: individuals, at least 1. `resamplings`: at least 0. `chains`: at least 1.

    Raises ValueError or TypeError for what does not fit.
    Source: Fisher 1930, Wright 1931; in a loop the individuals are the samples that a generation
    trains on, and the types are the modes.
    """
    start, n = _check_shares(shares), checks.count("n", n, least=1)
    steps = checks.count("resamplings", resamplings)
    rng = generator(checks.count("seed", seed), "wright-fisher")
    found = np.empty((checks.count("chains", chains, least=1), steps + 1, len(start)))
    found[:, 0] = start
    for step in range(steps):
        found[:, step + 1] = rng.multinomial(n, found[:, step]) / n
    return found


def heterozygosity(resamplings: int, n: int, shares: np.ndarray) -> float:
    """Return the expected E[1 - sum p^2] after neutral drift: (1 - 1/n)^t (1 - sum p0^2).

    It is the chance that two individuals, drawn with replacement, are of different types.

    - `resamplings`: t, how often n individuals were drawn, at least 0.
    - `n`: individuals, at least 1; `shares`: p0, `(types,)`, as for `wright_fisher`.
    """
    start = _check_shares(shares)
    kept = 1 - 1 / checks.count("n", n, least=1)
    return float(kept ** checks.count("resamplings", resamplings) * (1 - (start**2).sum()))


def _check_shares(shares: np.ndarray) -> np.ndarray:
    found = np.asarray(shares, dtype=np.float64)
    if found.ndim != 1 or not len(found) or not (found >= 0).all() or abs(found.sum() - 1) > 1e-9:
        raise ValueError(
            f"shares have shape {found.shape} and sum {found.sum():g}; they must be a list of "
            "numbers that are not negative and sum to 1"
        )
    return found
