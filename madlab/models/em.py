"""Our own EM, as scikit-learn's neither fits many chains at a time nor repeats their bits.

It fits mixtures of Gaussians with full covariances to many sets of points at a time.

Everything is batched over chains, independent sets of points of one size, and each chain's result
is that of fitting it alone, bit for bit on a CPU: no sum runs over more than one chain, one thread
does them all, and points are filled up to a multiple of eight, so that every chain's numbers lie
in memory as the first one's do, which matrix products would notice.
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

TOLERANCE = 1e-3
ROUNDS = 100
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
    """Mixtures of `k` Gaussians for `c` chains, float64 on the device of the points.

    - `weights`: `(c, k)`, summing to 1; 0 for a component that no point was left to.
    - `means`: `(c, k, d)`.
    - `covariances`: `(c, k, d, d)`, with no eigenvalue below `FLOOR`.
    - `rounds`: whole numbers `(c,)`, the rounds of EM that each chain took.
    """

    weights: Tensor
    means: Tensor
    covariances: Tensor
    rounds: Tensor


@one_thread()
def fit(
    points: Tensor,
    k: int,
    seeds: Sequence[int],
    *,
    tolerance: float = TOLERANCE,
    rounds: int = ROUNDS,
    floor: float = FLOOR,
) -> Fitted:
    """Fit a mixture of `k` Gaussians to each chain's points, from nothing.

    The start are the clusters of greedy k-means++; rounds of expectation and maximisation follow
    until one improves a chain's mean log-likelihood of a point by less than `tolerance`, or
    `rounds` are done. Chains that are done drop out while the others go on.

    Covariances maximise the likelihood among those whose eigenvalues are all at least `floor`.
    Unlike a ridge added in every fit, which a loop of n points a component would pile up to n
    ridges, this leaves a variance as it is until it has collapsed to the floor; there, at a
    standard deviation of 1e-5, it stays for good.

    - `points`: float64 `(c, n, d)`, finite, with n of at least `k`; equal points may occur.
    - `k`: components, at least 1.
    - `seeds`: c whole numbers; chain i's start depends on `seeds[i]` and its points alone.
    - `tolerance`, `rounds`: as scikit-learn's defaults, 1e-3 and 100.
    - `floor`: the least variance in any direction, more than 0, in squared units of the points.

    Raises TypeError for anything but float64 points, ValueError for fewer points than components,
    for values that are not finite and for sizes that do not match.
    """
    _check(points, checks.count("k", k, 1), seeds)
    if not floor > 0:
        raise ValueError(f"floor is {floor!r}; it must be more than 0")
    # Squares of coordinates lose the digits that a distant origin takes. A mean alone does not
    # depend on the other chains, whichever way torch sums.
    centre = torch.stack([chain.mean(0) for chain in points])[:, None]
    points = points - centre
    labels = k_means_plus_plus(points, k, seeds)
    start = (torch.arange(k, device=points.device)[:, None] == labels[:, None]).to(points.dtype)
    weights, means, covariances, taken = _climb(
        _features(points), _fill(start), tolerance, checks.count("rounds", rounds), floor
    )
    return Fitted(weights, means + centre, covariances, taken)


@one_thread()
def log_likelihood(points: Tensor, fitted: Fitted) -> Tensor:
    """Return each chain's mean log-likelihood of a point, `(c,)`.

    - `points`: float64 `(c, n, d)`; the chains are those of `fitted`, in order.
    """
    joint = torch.bmm(_coefficients(*fitted[:3]), _features(points))
    return torch.logsumexp(joint, 1)[:, : points.shape[1]].mean(1)


def draw(fitted: Fitted, uniforms: Tensor, normals: Tensor, bias: float = 1.0) -> Tensor:
    """Return samples `(c, n, d)`: component means plus noise of `bias` times their covariances.

    - `uniforms`: `(c, n)` in [0, 1), which choose the components.
    - `normals`: `(c, n, d)`, standard normal. Sample i of a chain depends on row i alone.
    - `bias`: in (0, 1].
    """
    edges = fitted.weights.cumsum(1)
    chosen = torch.searchsorted(edges, uniforms * edges[:, -1:], right=True)
    last = (fitted.weights > 0).to(torch.int64).cumsum(1).argmax(1)
    chosen = torch.minimum(chosen, last[:, None])
    variances, axes = torch.linalg.eigh(fitted.covariances)
    factors = axes * (checks.bias(bias) * variances.clamp(min=0)).sqrt()[:, :, None]
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

    Centres are drawn from the points one by one, with probabilities proportional to the squared
    distance from those there are; of `CANDIDATES` the one that lowers the sum of these distances
    most is taken. EM never finds a mode again that its start has missed.

    - `points`: float64 `(c, n, d)`; where fewer than `k` of them differ, some centres coincide
      and only the first of them is the nearest of any point.

    Source: Arthur & Vassilvitskii 2007; the greedy choice as in
    scikit-learn, which takes 2 + log(k) candidates.
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
        place = 1 + centre * CANDIDATES
        wanted = uniforms[:, place : place + CANDIDATES] * edges[:, -1:]
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


def _check(points: Tensor, k: int, seeds: Sequence[int]) -> None:
    if not isinstance(points, Tensor) or points.dtype != torch.float64 or points.ndim != 3:
        kind = type(points).__name__
        if isinstance(points, Tensor):
            kind = f"{points.dtype} with shape {tuple(points.shape)}"
        raise TypeError(f"points must be a float64 tensor of shape (c, n, d), not {kind}")
    c, n, d = points.shape
    if not c or not d:
        raise ValueError(f"points have shape {(c, n, d)}; there must be a chain and a dimension")
    if n < k:
        raise ValueError(f"{n} points are too few for {k} components: give at least {k} points")
    if len(seeds) != c:
        raise ValueError(f"{len(seeds)} seeds are given for {c} chains: give one each")
    if not points.isfinite().all():
        raise ValueError("the points hold NaN or infinite values: remove them first")


def _fill(values: Tensor) -> Tensor:
    """Return `(c, m, n)` with zeros at the end, to a multiple of eight points."""
    return pad(values, (0, -values.shape[2] % 8))


def _features(points: Tensor) -> Tensor:
    """Return 1, the coordinates and their products, `(c, 1 + d + d (d + 1) / 2, n)`, filled up.

    A logarithm of a Gaussian density is a linear function of them, and their means give mean and
    covariance: both steps of EM become one matrix product each. Points filled in count nothing,
    as they have zeros for all of them.
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


def _maximise(features: Tensor, shares: Tensor, floor: float) -> tuple[Tensor, Tensor, Tensor]:
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
    covariances = (axes * variances.clamp(min=floor)[..., None, :]) @ axes.mT
    counts = torch.where(counts > EMPTY, counts, 0.0)[..., 0]
    return counts / counts.sum(1, keepdim=True), means, covariances


def _climb(
    features: Tensor, shares: Tensor, tolerance: float, rounds: int, floor: float
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Run EM from the shares of a start; `shares` is overwritten."""
    found = _maximise(features, shares, floor)
    chains, n = len(features), features[0, 0].sum()
    going = torch.arange(chains, device=features.device)
    taken = torch.zeros_like(going)
    before = features.new_full((chains,), -math.inf)
    for _ in range(rounds):
        # log(weight x density), then shares before they are divided by their sum over components.
        joint = shares[: len(going)]
        torch.bmm(_coefficients(*(part[going] for part in found)), features, out=joint)
        most = joint.amax(1, keepdim=True)
        joint.sub_(most).clamp_(min=LEAST).exp_()
        sums = joint.sum(1, keepdim=True)
        now = ((most + sums.log())[:, 0] * features[:, 0]).sum(1) / n
        better = _maximise(features / sums, joint, floor)
        for part, value in zip(found, better, strict=True):
            part[going] = value
        taken[going] += 1
        on = now - before >= tolerance
        before = now
        if not on.all():
            going, features, before = going[on], features[on], before[on]
            if not len(going):
                break
    return *found, taken
