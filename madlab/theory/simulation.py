"""Exact simulation of Gaussian loops from sufficient statistics, many chains at once.

A Gaussian is fitted through the mean and the scatter of its points and nothing else, and both have
known laws: for n points of N(m, F F^T) the mean is m + F z / sqrt(n), and the scatter F A A^T F^T
with Bartlett's triangular A. So no point is ever drawn, and a generation costs the same for any n.
"""

import itertools
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple, TypeVar

import numpy as np
import torch
from torch import Tensor

from madlab import checks
from madlab.loops import Loop
from madlab.streams import derive
from madlab.training import device as choose_device
from madlab.training import one_thread

# Bytes of results, and of a block of chains' covariances, so that a CPU core's cache holds them.
_LARGEST, _CACHE = 2**31, 2**20
# Rows at a time: as many as keep a product quick where half of it is left out.
_ROWS = 25

Progress = Callable[[float], None]
_Model = TypeVar("_Model")
_Part = TypeVar("_Part")


class Simulation(NamedTuple):
    """What happened to every chain, float64; g is the number of generations recorded.

    - `means`: mu_t, `(chains, g, d)`; `traces`: tr Sigma_t, `(chains, g)`.
    - `covariances`: Sigma_t, the models' own and not their samples', `(chains, g, d, d)`, or None.
    - `w2`: W2 squared between N(mu_t, Sigma_t) and N(0, I), `(chains, g)`.
    - `generations`: which generations these are, int64 `(g,)`.
    """

    means: np.ndarray
    covariances: np.ndarray | None
    w2: np.ndarray
    traces: np.ndarray
    generations: np.ndarray


class _Fitted(NamedTuple):
    """A fitted Gaussian of every chain, of covariance scale^2 F F^T.

    F is lower triangular. A number for all chains is cheaper to carry than to multiply.
    """

    mean: Tensor  # (chains, d)
    root: Tensor  # F, (chains, d, k), k <= d
    scale: float

    def covariance(self) -> Tensor:
        return self.scale**2 * (self.root @ self.root.mT)


class _Statistics(NamedTuple):
    """n points: `mean` is `(chains, d)`; `root @ root.mT` is the sum of squares about it."""

    n: int
    mean: Tensor
    root: Tensor


def simulate(
    loop: Loop,
    d: int,
    generations: int,
    chains: int = 1_000,
    bias: float = 1.0,
    seed: int = 0,
    *,
    at: Sequence[int] | None = None,
    covariances: bool = True,
    device: str | None = "cpu",
    progress: Progress | None = None,
) -> Simulation:
    """Run a loop of d-dimensional Gaussians on real data from N(0, I), without drawing a point.

    Every chain has the law of `Chain` with the model `gaussian` and unlimited real data.
    Covariances that vanish after many generations become 0, and W2 squared then |mu_t|^2 + d. The
    number of torch's threads changes no bit.

    - `loop`: any loop; every training set needs 2 points, and n_real may exceed any pool.
    - `d`: dimensions, at least 1; `generations`: at least 1; `chains`: at least 1.
    - `bias`: in (0, 1], the factor on the covariance of samples.
    - `seed`: names all randomness; the same on one device gives the same bits.
    - `at`: the generations to record, rising; all where None.
    - `covariances`: whether to keep them; they need 8 d^2 bytes a chain and generation.
    - `device`: as for `madlab.training.device`. A GPU draws other numbers than a CPU.
    - `progress`: called again and again with the fraction done, from any thread, one call at a
      time; an exception that it raises ends the run and passes through.

    Raises ValueError or TypeError for sizes that do not fit, before any work.
    Source: the paper's Eq. 1 and the lines below it; Bartlett 1933.
    """
    generations = checks.count("generations", generations, least=1)
    chains = checks.count("chains", chains, least=1)
    every = range(1, generations + 1)
    recorded = [checks.count("at", t, least=1) for t in (every if at is None else at)]
    if not recorded or any(b <= a for a, b in itertools.pairwise([*recorded, generations + 1])):
        raise ValueError(f"at is {at}; give rising generations from 1 to {generations}")
    d = checks.count("d", d, least=1)
    size = 8 * chains * len(recorded) * d * (d + 1 if covariances else 1)
    if size > _LARGEST:
        raise ValueError(
            f"{chains:,} chains x {len(recorded):,} generations in {d} dimensions need "
            f"{size / 2**30:.1f} GiB of results; record fewer generations with at=[...], take "
            "fewer chains, or leave the covariances out with covariances=False"
        )
    seed = checks.count("seed", seed)
    places = {t: place for place, t in enumerate(recorded)}
    means = np.empty((chains, len(places), d))
    kept = np.empty((chains, len(places), d, d)) if covariances else None
    w2, traces = np.empty((2, chains, len(places)))
    finished, lock, ended = 0, threading.Lock(), threading.Event()

    def report(count: int) -> None:
        nonlocal finished
        if ended.is_set():
            raise KeyboardInterrupt
        with lock:
            finished += count
            if progress is not None:
                progress(finished / (chains * generations))

    def run(start: int) -> None:
        rows = slice(start, min(start + block, chains))
        count = rows.stop - rows.start
        states = follow(loop, d, count, bias, derive(seed, "chains", start), device)
        for t, fitted in zip(every, states, strict=False):
            if t in places:
                place = rows, places[t]
                covariance = fitted.covariance()
                trace = covariance.diagonal(dim1=-2, dim2=-1).sum(-1)
                apart = fitted.mean.square().sum(-1) + trace + d - 2 * _trace_of_root(covariance)
                means[place], traces[place] = fitted.mean.cpu(), trace.cpu()
                w2[place] = apart.clamp(min=0).cpu()
                if kept is not None:
                    kept[place] = covariance.cpu()
            report(count)

    on_cpu = choose_device(device, float64=True).type == "cpu"
    block = max(1, _CACHE // (8 * d**2)) if on_cpu else chains
    workers = torch.get_num_threads() if on_cpu else 1
    # Threads within products as small as these mostly wait; those with blocks of their own do not.
    with one_thread(), ThreadPoolExecutor(workers) as pool:
        runs = [pool.submit(run, start) for start in range(0, chains, block)]
        try:
            for done in runs:
                done.result()
        except BaseException:
            ended.set()
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return Simulation(means, kept, w2, traces, np.array(recorded))


def follow(
    loop: Loop, d: int, chains: int, bias: float = 1.0, seed: int = 0, device: str | None = "cpu"
) -> Iterator[_Fitted]:
    """Return an endless iterator over the models of all chains, with arguments as `simulate`."""
    d, bias = checks.count("d", d, least=1), checks.bias(bias)
    chains, seed = checks.count("chains", chains, least=1), checks.count("seed", seed)
    check_sets(loop, 2, "a covariance")
    noise = _Noise(chains, d, seed, choose_device(device, float64=True))
    first, fixed = _first_real(loop, noise)

    def real(t: int) -> list[_Statistics]:
        if t == 1:
            return list(first)
        if loop.real == "fresh":
            return [_sample(noise, loop.n_real)]
        return list(fixed) if loop.real == "fixed" else []

    def draw(model: _Fitted, g: int, n: int, reader: int) -> _Statistics:
        return _sample(noise, n, model._replace(scale=bias**0.5 * model.scale))

    return train(loop, real, draw, lambda t, parts: _fit(parts))


def check_sets(loop: Loop, least: int, what: str, generations: int = 2) -> None:
    """Raise unless every generation of a loop trains on the `least` points that `what` needs."""
    if type(loop) is not Loop:
        raise TypeError(
            f"loop is {loop!r}; it must be a Loop such as Loop.fresh_data(...), whose sizes "
            "stay the same: theory follows no other, a madlab.Chain does"
        )
    # Later generations have no fewer points than the second.
    for t in range(1, min(generations, 2) + 1):
        composition = loop.compose(t)
        n = composition.n_real + composition.n_synthetic
        if n < least:
            raise ValueError(
                f"generation {t} of this loop trains on {n} point{'s' * (n > 1)}; {what} needs at "
                f"least {least}: raise n_initial, n_real or n_synthetic"
            )


def train(
    loop: Loop,
    real: Callable[[int], list[_Part]],
    draw: Callable[[_Model, int, int, int], _Part],
    fit: Callable[[int, list[_Part]], _Model],
) -> Iterator[_Model]:
    """Yield the models of generations 1, 2, ... of a loop, without end; only needed ones are kept.

    - `real`: gives the real parts of the training set of generation t.
    - `draw`: gives samples of a model, from its generation, their number and who trains on them.
    - `fit`: gives the model of generation t, from the parts of its training set.
    """
    fitted: dict[int, _Model] = {}
    drawn: dict[int, _Part] = {}
    growing = loop.budget == "growing"
    for t in itertools.count(1):
        shares = loop.compose(t).synthetic
        needed = {share.generation for share in shares}
        drawn = {g: part for g, part in drawn.items() if g in needed}
        fitted = {g: model for g, model in fitted.items() if g in needed - set(drawn)}
        parts = real(t)
        for share in shares:
            g = share.generation
            if g in drawn:
                parts.append(drawn[g])
                continue
            parts.append(draw(fitted[g], g, share.n, g + 1 if growing else t))
            # A growing pool keeps what was once drawn; otherwise each reader has new samples.
            if growing:
                drawn[g] = parts[-1]
        fitted[t] = fit(t, parts)
        yield fitted[t]


def _first_real(loop: Loop, noise: "_Noise") -> tuple[list[_Statistics], list[_Statistics]]:
    """Return the first real data and the fixed ones, of which the larger begins with the other."""
    if loop.real != "fixed" or loop.n_real == loop.n_initial:
        both = [_sample(noise, loop.n_initial)]
        return both, both
    less, more = sorted((loop.n_initial, loop.n_real))
    both = [_sample(noise, less), _sample(noise, more - less)]
    return (both[:1], both) if loop.n_initial == less else (both, both[:1])


def _sample(noise: "_Noise", n: int, source: _Fitted | None = None) -> _Statistics:
    """Draw the statistics of n points of a fitted Gaussian, of N(0, I) where there is none."""
    if source is None:
        return _Statistics(n, noise.normal(noise.d) / n**0.5, noise.bartlett(noise.d, n - 1))
    mean, root, scale = source
    k = root.shape[-1]
    mean = mean + (root @ noise.normal(k, 1)).squeeze(-1) * (scale / n**0.5)
    return _Statistics(n, mean, _product(root, noise.bartlett(k, n - 1).mul_(scale)))


def _product(left: Tensor, right: Tensor) -> Tensor:
    """Return left @ right of lower triangles, in the place of `right` where that is a square."""
    d, k = left.shape[-2:]
    if d != k:
        return left @ right
    # From below upwards, so that the rows above, which are needed, still stand.
    for top in reversed(range(0, d, _ROWS)):
        end = top + _ROWS
        right[:, top:end, :end] = left[:, top:end, :end] @ right[:, :end, :end]
    return right


def _lower_gram(root: Tensor) -> Tensor:
    """Return root @ root^T on and below the diagonal; what lies above is not set."""
    chains, d, _ = root.shape
    found = root.new_empty(chains, d, d)
    for top in range(0, d, _ROWS):
        end = top + _ROWS
        found[:, top:end, :end] = root[:, top:end] @ root[:, :end].mT
    return found


def _pool(parts: list[_Statistics]) -> _Statistics:
    """Return the statistics of several sets of points taken together."""
    if len(parts) == 1:
        return parts[0]
    n = sum(part.n for part in parts)
    mean = sum(part.n / n * part.mean for part in parts)
    assert isinstance(mean, Tensor)
    between = [part.n**0.5 * (part.mean - mean)[..., None] for part in parts]
    return _Statistics(n, mean, torch.cat([*(part.root for part in parts), *between], -1))


def _fit(parts: list[_Statistics]) -> _Fitted:
    """Return the Gaussian with the points' mean and unbiased covariance."""
    n, mean, root = _pool(parts)
    # One set's root is a triangle already; that of several sets is not even square.
    if len(parts) > 1:
        scatter = _lower_gram(root)
        root, failed = torch.linalg.cholesky_ex(scatter)
        if failed.any():
            # Singular: a root from eigenvalues, turned into a triangle.
            values, vectors = torch.linalg.eigh(scatter)
            upright = values.clamp(min=0).sqrt()[..., None] * vectors.mT
            root = torch.linalg.qr(upright).R.mT
    return _Fitted(mean, root, (n - 1) ** -0.5)


def _trace_of_root(covariance: Tensor) -> Tensor:
    """Return tr Sigma^(1/2) of covariances `(chains, d, d)`."""
    if covariance.shape[-1] == 1:
        return covariance[..., 0, 0].sqrt()
    return torch.linalg.eigvalsh(covariance).clamp(min=0).sqrt().sum(-1)


class _Noise:
    """Random numbers for all chains at once.

    Normal numbers have single precision's 24 bits, at a sixth of the cost: none lies beyond 5.8
    standard deviations, where one in 10^8 should.
    """

    def __init__(self, chains: int, d: int, seed: int, device: torch.device) -> None:
        self.chains, self.d = chains, d
        self._generator = torch.Generator(device).manual_seed(derive(seed, "theory"))

    def normal(self, *shape: int) -> Tensor:
        return self._single(self.chains, *shape).double()

    def _single(self, *size: int) -> Tensor:
        return torch.randn(size, generator=self._generator, device=self._generator.device)

    def bartlett(self, d: int, freedom: int) -> Tensor:
        """Return A `(chains, d, k)`, k = min(d, freedom), so that A A^T is Wishart(I, freedom)."""
        k = min(d, freedom)
        if k == d:
            # A square of numbers holds two triangles: the chains of each half share squares.
            squares = self._single((self.chains + 1) // 2, d, d)
            found = torch.cat([squares, squares.mT])[: self.chains].double().tril_(-1)
        else:
            found = self.normal(d, k).tril_(-1)
        degrees = freedom - torch.arange(k, dtype=torch.float64, device=found.device)
        half = (degrees / 2).repeat(self.chains, 1)
        chi = (2 * torch._standard_gamma(half, generator=self._generator)).sqrt()
        found.diagonal(dim1=-2, dim2=-1).copy_(chi)
        return found
