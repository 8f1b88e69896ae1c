"""Our own EM, as scikit-learn's neither fits many chains at a time nor repeats their bits.

It fits mixtures of Gaussians with full covariances to chains, independent sets of points of one
size. Each chain's result is that of fitting it alone, bit for bit on a CPU: no sum runs over more
than one chain, one thread does them all, and points are filled up to a multiple of eight, so that
every chain's numbers lie in memory as the first one's do, which matrix products would notice.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import pad

from madlab import checks
from madlab.streams import generator
from madlab.training import one_thread

# Scikit-learn's defaults.
TOLERANCE = 1e-3
ROUNDS = 100
# In squared units of the points: a standard deviation of 1e-5.
FLOOR = 1e-10
# Of 1,000 fits to 2,500 points of 25 well separated modes, 1 misses a mode with 20 candidates;
# with 5, as scikit-learn would take, 92 do, and with 1 candidate 917.
CANDIDATES = 20
# A component that answers for less than a hundred-millionth of a point is empty.
EMPTY = 1e-8
# Below e^-600 a share is as good as none, and above it no product of shares is denormal, which
# would cost the processor a hundred times as much.
LEAST = -600.0
NEVER = -1e300


class Fitted(NamedTuple):
    """Mixtures of `k` Gaussians for `c` chains: `(c, k)`, `(c, k, d)` and `(c, k, d, d)`.

    A component that no point was left to has weight 0. `rounds`, `(c,)`, are those each chain took.
    """

    weights: Tensor
    means: Tensor
    covariances: Tensor
    rounds: Tensor


@one_thread()
def fit(points: Tensor, k: int, seeds: Sequence[int]) -> Fitted:
    """Fit a mixture of `k` Gaussians to each chain's points, from nothing.

    From the clusters of greedy k-means++ rounds of EM go on until one improves a chain's mean
    log-likelihood of a point by less than `TOLERANCE`, or `ROUNDS` are done. Variances in any
    direction are at least `FLOOR`; unlike a ridge, which a loop would add anew in every fit, it
    leaves larger ones as they are.

    - `points`: float64 `(c, n, d)`, finite, with n of at least `k`; equal points may occur.
    - `seeds`: c whole numbers; chain i's start depends on `seeds[i]` and its points alone.

    Raises TypeError or ValueError for other points.
    """
    if points.dtype != torch.float64 or points.ndim != 3:
        shape = tuple(points.shape)
        raise TypeError(f"points must be float64 (c, n, d), not {points.dtype} with shape {shape}")
    n = points.shape[1]
    if n < checks.count("k", k, 1):
        raise ValueError(f"{n} points are too few for {k} components: give at least {k} points")
    if not points.isfinite().all():
        raise ValueError("the points hold NaN or infinite values: remove them first")
    # Squares of coordinates lose the digits that a distant origin takes. A mean alone does not
    # depend on the other chains, whichever way torch sums.
    centre = torch.stack([chain.mean(0) for chain in points])[:, None]
    points = points - centre
    labels = k_means_plus_plus(points, k, seeds)
    start = (torch.arange(k, device=points.device)[:, None] == labels[:, None]).to(points.dtype)
    found = _climb(_features(points), _fill(start))
    return found._replace(means=found.means + centre)


@one_thread()
def log_likelihood(points: Tensor, fitted: Fitted) -> Tensor:
    """Return each chain's mean log-likelihood of a point, `(c,)`; points are `(c, n, d)`."""
    joint = torch.bmm(_coefficients(*fitted[:3]), _features(points))
    return torch.logsumexp(joint, 1)[:, : points.shape[1]].mean(1)


def draw(fitted: Fitted, uniforms: Tensor, normals: Tensor, bias: float = 1.0) -> Tensor:
    """Return samples `(c, n, d)`: component means plus noise of `bias` times their covariances.

    `uniforms` `(c, n)` choose the components, `normals` `(c, n, d)` are the noise.
    """
    edges = fitted.weights.cumsum(1)
    chosen = torch.searchsorted(edges, uniforms * edges[:, -1:], right=True)
    last = (fitted.weights > 0).to(torch.int64).cumsum(1).argmax(1)
    chosen = torch.minimum(chosen, last[:, None])
    variances, axes = torch.linalg.eigh(fitted.covariances)
    factors = axes * (bias * variances.clamp(min=0)).sqrt()[:, :, None]
    rows = torch.arange(len(chosen), device=chosen.device)[:, None]
    drawn = fitted.means[rows, chosen]
    # One product and one sum at a time: a matrix product may round differently with n.
    for i in range(normals.shape[2]):
        drawn = drawn + factors[rows, chosen, :, i] * normals[:, :, i : i + 1]
    return drawn


def noise(seeds: Sequence[int], n: int, d: int) -> tuple[Tensor, Tensor]:
    """Return what `draw` needs for `n` samples of each chain, from one seed a chain, on the CPU."""
    uniforms = [generator(seed, "mixture", "components").random(n) for seed in seeds]
    normals = [generator(seed, "mixture", "noise").standard_normal((n, d)) for seed in seeds]
    return torch.from_numpy(np.stack(uniforms)), torch.from_numpy(np.stack(normals))


def k_means_plus_plus(points: Tensor, k: int, seeds: Sequence[int]) -> Tensor:
    """Return the nearest of `k` spread-out points for each point, whole numbers `(c, n)`.

    Centres are drawn from the points `(c, n, d)` one by one, with probabilities proportional to the
    squared distance from those there are; of `CANDIDATES` the one that lowers the sum of these
    distances most is taken. EM never finds a mode again that its start has missed. Of centres that
    coincide only the first is the nearest of any point.

    Source: Arthur & Vassilvitskii 2007; the greedy choice as in scikit-learn.
    """
    chains, n, d = points.shape
    numbers = [generator(seed, "mixture", "k-means++").random(1 + k * CANDIDATES) for seed in seeds]
    uniforms = torch.from_numpy(np.stack(numbers)).to(points.device)
    axes = points.mT.contiguous()
    rows = torch.arange(chains, device=points.device)
    # A linear function of 1, the point, its square and `closest` is the distance to a candidate
    # less that to the nearest centre; what is negative of it is what the candidate would win.
    first = _squared(axes, axes[rows, :, (uniforms[:, 0] * n).long()])[:, None]
    parts = [torch.ones_like(first), axes, axes.square().sum(1, keepdim=True), first]
    terms = _fill(torch.cat(parts, 1))
    closest = terms[:, -1, :n]
    labels = torch.zeros(chains, n, dtype=torch.int64, device=points.device)
    gain = points.new_empty(chains, CANDIDATES, terms.shape[2])
    linear = points.new_ones(chains, CANDIDATES, d + 3)
    linear[..., -1] = -1
    for centre in range(1, k):
        edges = closest.cumsum(1)
        wanted = uniforms[:, 1 + centre * CANDIDATES :][:, :CANDIDATES] * edges[:, -1:]
        tried = torch.searchsorted(edges, wanted, right=True).clamp_(max=n - 1)
        candidates = axes[rows[:, None], :, tried]
        linear[..., 0] = candidates.square().sum(2)
        linear[..., 1 : 1 + d] = -2 * candidates
        best = torch.bmm(linear, terms, out=gain).clamp_(max=0).sum(2).argmin(1)
        distance = _squared(axes, candidates[rows, best])
        labels = torch.where(distance < closest, centre, labels)
        torch.minimum(closest, distance, out=closest)
    return labels


def _squared(axes: Tensor, centres: Tensor) -> Tensor:
    """Return squared distances `(c, n)` of points `(c, d, n)` to one centre a chain, `(c, d)`."""
    return (axes - centres[:, :, None]).square_().sum(1)


def _fill(values: Tensor) -> Tensor:
    """Return `(c, m, n)` with zeros at the end, to a multiple of eight points."""
    return pad(values, (0, -values.shape[2] % 8))


def _features(points: Tensor) -> Tensor:
    """Return 1, the coordinates and their products, `(c, 1 + d + d (d + 1) / 2, n)`, filled up.

    A Gaussian's log-density is a linear function of them, and their means give its mean and
    covariance: both steps of EM become one matrix product each. Zeros filled in count nothing.
    """
    axes = points.mT
    i, j = torch.triu_indices(axes.shape[1], axes.shape[1], device=points.device)
    return _fill(torch.cat([torch.ones_like(axes[:, :1]), axes, axes[:, i] * axes[:, j]], 1))


def _coefficients(weights: Tensor, means: Tensor, covariances: Tensor) -> Tensor:
    """Return the coefficients of features, `(c, k, p)`, in log(weight x density)."""
    d = means.shape[2]
    variances, axes = torch.linalg.eigh(covariances)
    precisions = (axes / variances[..., None, :]) @ axes.mT
    linear = (precisions @ means[..., None])[..., 0]
    constant = (linear * means).sum(2) + variances.log().sum(2) + d * math.log(2 * math.pi)
    i, j = torch.triu_indices(d, d, device=means.device)
    twice = torch.where(i == j, 0.5, 1.0).to(means)
    # A weight of 0 has a finite logarithm, for an infinite one times a zero would be NaN.
    constant = weights.log().clamp(min=NEVER) - 0.5 * constant
    return torch.cat([constant[..., None], linear, -twice * precisions[..., i, j]], 2)


def _maximise(features: Tensor, shares: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return weights, means and covariances, given each component's share `(c, k, n)` of points."""
    d = math.isqrt(2 * features.shape[1]) - 1
    moments = torch.bmm(shares, features.mT)
    counts = moments[..., :1]
    moments = torch.where(counts > EMPTY, moments / counts.clamp(min=EMPTY), 0.0)
    means = moments[..., 1 : 1 + d]
    i, j = torch.triu_indices(d, d, device=features.device)
    products = moments.new_zeros(*moments.shape[:2], d, d)
    products[..., i, j] = products[..., j, i] = moments[..., 1 + d :]
    variances, axes = torch.linalg.eigh(products - means[..., None] * means[..., None, :])
    covariances = (axes * variances.clamp(min=FLOOR)[..., None, :]) @ axes.mT
    counts = torch.where(counts > EMPTY, counts, 0.0)[..., 0]
    return counts / counts.sum(1, keepdim=True), means, covariances


def _climb(features: Tensor, shares: Tensor) -> Fitted:
    """Run EM from the shares of a start; `shares` is overwritten."""
    found = _maximise(features, shares)
    chains, n = len(features), features[0, 0].sum()
    going = torch.arange(chains, device=features.device)
    taken = torch.zeros_like(going)
    before = features.new_full((chains,), -math.inf)
    for _ in range(ROUNDS):
        # log(weight x density), then shares before they are divided by their sum over components.
        joint = shares[: len(going)]
        torch.bmm(_coefficients(*(part[going] for part in found)), features, out=joint)
        most = joint.amax(1, keepdim=True)
        joint.sub_(most).clamp_(min=LEAST).exp_()
        sums = joint.sum(1, keepdim=True)
        now = ((most + sums.log())[:, 0] * features[:, 0]).sum(1) / n
        better = _maximise(features / sums, joint)
        for part, value in zip(found, better, strict=True):
            part[going] = value
        taken[going] += 1
        on = now - before >= TOLERANCE
        before = now
        if not on.all():
            going, features, before = going[on], features[on], before[on]
            if not len(going):
                break
    return Fitted(*found, taken)
