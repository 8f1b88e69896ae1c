"""Where fresh data loops settle, by Monte Carlo, and how many real points that is worth."""

import functools
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from madlab import checks
from madlab.loops import Loop
from madlab.theory.closed_forms import effective_ratio, invert, real_distance
from madlab.theory.simulation import Progress, simulate

# The curve is fitted once a dimension at so many sizes, from so many draws / (d + 1).
_SIZES, _DRAWS = 24, 40_000


class Estimate(NamedTuple):
    """A Monte-Carlo mean and its standard error."""

    value: float
    error: float


def settled_distance(
    loop: Loop,
    d: int,
    bias: float = 1.0,
    *,
    chains: int = 8,
    measurements: int = 8,
    seed: int = 0,
    device: str | None = "cpu",
    progress: Progress | None = None,
) -> Estimate:
    """Return the W2 squared at which a fresh data loop settles, by simulation.

    Chains start near the limit, from as many real points as the closed form says it is worth,
    whatever `loop.n_initial`. A period is 1 + n_synthetic / n_real generations, times (K + 1) / 2
    with memory K: they forget their start over six, and are then measured twice in each.

    - `loop`: a fresh data loop whose memory is a number.
    - `d`: dimensions; `bias`: in (0, 1].
    - `chains`: at least 2; the error is taken between their means. `measurements`: of each.
    - `seed`, `device`, `progress`: as for `simulate`.

    Raises ValueError for a loop without fresh data, which settles nowhere.
    Source: the paper's Eq. 3, Figs. 10 to 12 and 30.
    """
    if type(loop) is not Loop or loop.real != "fresh" or loop.memory is None:
        raise ValueError(
            f"loop is {loop!r}; only a loop with fresh real data, with memory K, settles: give "
            "Loop.fresh_data(n_real, n_synthetic)"
        )
    checks.count("chains", chains, least=2)
    checks.count("measurements", measurements, least=1)
    ratio = loop.n_synthetic / loop.n_real
    period = int(np.ceil((1 + ratio) * (loop.memory + 1) / 2))
    worth = effective_ratio(d, loop.n_real, loop.n_synthetic, bias) * loop.n_real
    loop = replace(loop, n_initial=max(2, round(float(worth))))
    at = [6 * period + (i + 1) * max(1, period // 2) for i in range(measurements)]
    run = simulate(
        loop, d, at[-1], chains, bias, seed,
        at=at, covariances=False, device=device, progress=progress,
    )  # fmt: skip
    found = run.w2.mean(1)
    return Estimate(float(found.mean()), float(found.std(ddof=1) / np.sqrt(chains)))


def effective_size(distance: float, d: int, error: float = 0.0) -> Estimate:
    """Return n_e, how many real points alone give a distance by `real_curve`, from 2 to 10^9.

    - `distance`: E W2 squared, above 0; `error`: its standard error.
    - `d`: dimensions.

    Raises ValueError unless `distance` is a finite number above 0.
    Source: the paper's Eq. 4.
    """
    if not 0 < distance < np.inf:
        raise ValueError(f"distance is {distance}; only a distance above 0 has an effective size")
    n, curve, uncertainty = real_curve(d)
    value = float(invert(distance, n, curve))
    # d log n / d log W2 at this place turns relative errors of W2 into those of n.
    slope = np.interp(np.log(value), np.log(n), np.gradient(np.log(n), np.log(curve)))
    relative = np.hypot(error / distance, np.interp(value, n, uncertainty))
    return Estimate(value, float(abs(slope) * relative * value))


@functools.cache
def real_curve(d: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return n, E W2^2 of a Gaussian fitted to n real points, and its relative error; `(points,)`.

    The closed form `real_distance` times a correction, which is simulated at some sizes, drawn
    through in between and 1 beyond 100 (d + 1) points. tr (Sigma - I)^2, |mu|^2 and tr Sigma, whose
    means are known, take most of the noise out of the simulation.

    - `d`: 1 to 500 dimensions. Raises ValueError for others; the arrays cannot be written to.
    """
    if checks.count("d", d, least=1) > 500:
        raise ValueError(f"d is {d}; the curve is simulated for 1 to 500 dimensions")
    sizes = np.unique(np.geomspace(2, 100 * (d + 1), _SIZES).round().astype(int))
    chains = max(400, _DRAWS // (d + 1))
    logs, errors = [], []
    for n in sizes.tolist():
        run = simulate(Loop.fully_synthetic(2, n_initial=n), d, 1, chains, seed=n)
        assert run.covariances is not None
        covariances = run.covariances[:, 0]
        apart = ((covariances - np.eye(d)) ** 2).sum((1, 2))
        shape = run.w2[:, 0] - (run.means[:, 0] ** 2).sum(1)
        known = np.stack([run.traces[:, 0] - d, apart - (d**2 + d) / (n - 1)], 1)
        weights = np.linalg.lstsq(known - known.mean(0), shape - shape.mean(), rcond=None)[0]
        left = shape - known @ weights
        total = d / n + left.mean()
        logs.append(np.log(total / real_distance(d, n)))
        errors.append(left.std() / np.sqrt(chains) / total)
    n = np.geomspace(2, 1e9, 4_000)
    correction = np.interp(np.log(n), np.log(sizes), logs, right=0.0)
    found = real_distance(d, n) * np.exp(correction)
    uncertainty = np.interp(np.log(n), np.log(sizes), errors)
    # They are shared by all that ask, so nobody may change them.
    for part in (n, found, uncertainty):
        part.flags.writeable = False
    return n, found, uncertainty
