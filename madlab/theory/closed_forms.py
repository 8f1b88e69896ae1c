"""Closed forms of Gaussian loops against N(0, I): what theory says without a simulation.

Generation 1 is an unbiased fit to real data, so a bias first acts on generation 2. All of it
follows the model itself, whose covariance is Sigma_t; what is sampled from it has bias * Sigma_t.
Distances are W2 squared, |mu|^2 + tr(Sigma + I - 2 Sigma^(1/2)), as in the paper's figures.
"""

import math

import numpy as np

from madlab import checks

Array = np.ndarray

# Midpoints in [0, pi]: with so many the mean below is good to 1e-5.
_ANGLES = (np.arange(256) + 0.5) * np.pi / 256


def expected_variance(t: int | Array, bias: float = 1.0) -> Array:
    """Return E[Sigma_t] in units of Sigma_1's expectation, bias^(t - 1), fully synthetic loop.

    - `t`: generations, from 1.

    Exact, although Sigma_t itself goes to 0 almost surely, even at bias 1: rare chains that grow
    carry the mean. Source: the paper's Eq. 2, with its origin of time moved by one.
    """
    return np.asarray(checks.bias(bias) ** (_generations(t) - 1.0))


def expected_mean_square(
    t: int | Array, d: int, n_synthetic: int, n_initial: int | None = None, bias: float = 1.0
) -> Array:
    """Return E|mu_t|^2 of the fully synthetic loop: the random walk of the mean.

    d / n_initial + d (bias + ... + bias^(t - 1)) / n_synthetic: it grows as d t / n at bias 1, and
    freezes for a smaller one, at d / ((1 - bias) n) where n_initial is n.

    - `t`: generations, from 1; `d`: dimensions.
    - `n_synthetic`, `n_initial`: at least 2; n_initial defaults to n_synthetic.

    Exact. Source: ours; its step is the law of mu_t given the past below the paper's Eq. 1.
    """
    steps, bias = _generations(t) - 1.0, checks.bias(bias)
    n = checks.count("n_synthetic", n_synthetic, least=2)
    first = 1 / (n if n_initial is None else checks.count("n_initial", n_initial, least=2))
    walked = steps if bias == 1 else bias * (1 - bias**steps) / (1 - bias)
    return np.asarray(checks.count("d", d, least=1) * (first + walked / n))


def median_variance(t: int | Array, n: int, bias: float = 1.0) -> Array:
    """Return the median of the variance of generation t in one dimension, fully synthetic.

    About bias^(t - 1) exp(-t / (n - 1)): it halves every 0.69 n generations at bias 1, while its
    mean stays where it is.

    - `t`: generations, from 1; `n`: points in every generation, at least 2.

    Within 2% for n >= 30. Source: ours; log Sigma_t is a sum of t independent logs of chi-squared
    variables over n - 1, and the exponential of its mean the median up to the sum's skewness.
    """
    half = (checks.count("n", n, least=2) - 1) / 2
    t = _generations(t)
    step = _digamma(half) - math.log(half)
    return np.asarray(checks.bias(bias) ** (t - 1.0) * np.exp(t * step))


def real_distance(d: int, n: float | Array) -> Array:
    """Return E W2^2 of a Gaussian fitted to n real points: d / n + 2 d - 2 d E[x^(1/2)].

    x is an eigenvalue of the sample covariance, taken to follow the Marchenko-Pastur law with the
    exact variance (d + 1) / (n - 1).

    - `d`: dimensions; `n`: points, above 1, a fraction where it stands for an effective size.

    Within 1.5% for n >= d + 10, and within 3.5% for every n where d >= 20; up to a third above the
    truth for fewer points in fewer dimensions. Source: ours.
    """
    n = np.asarray(n, float)
    if not (n > 1).all():
        raise ValueError(f"n is {n.min():g}; a covariance needs more than one point")
    d = checks.count("d", d, least=1)
    return np.asarray(d / n + 2 * d - 2 * d * _mean_root((d + 1) / (n - 1)))


def fresh_limit(
    d: int, n_real: float | Array, n_synthetic: float | Array, bias: float | Array = 1.0
) -> Array:
    """Return the limit of E W2^2 in the fresh data loop, WD(n_real, n_synthetic, bias).

    The mean covariance s I and the variance V of each coordinate of the mean solve two linear
    equations exactly; F = E |Sigma - s I|^2 is taken to leading order, and the eigenvalues to
    follow the Marchenko-Pastur law of that mean and variance.

    - `d`: dimensions; `n_real`, `n_synthetic`: fresh and synthetic points a generation, at least 1
      and 0; `bias`: in (0, 1]. Arrays broadcast.

    For d >= 10 within 6% where bias <= 0.9 and n_real >= d, and within 3% where n_real >= 10 d; too
    high by up to a quarter at bias 1 and n_real = d, and off by up to a quarter in fewer dimensions
    or with fewer points. Source: the limit is the paper's Eq. 3, observed; the formula is ours.
    """
    d = checks.count("d", d, least=1)
    n_r, n_s, b = (np.asarray(value, float) for value in (n_real, n_synthetic, bias))
    if not (n_r >= 1).all():
        raise ValueError(f"n_real is {n_r.min():g}; fresh data need at least 1 real point")
    if not (n_s >= 0).all():
        raise ValueError(f"n_synthetic is {n_s.min():g}; it must not be negative")
    for value in np.unique(b):
        checks.bias(float(value))
    n = n_r + n_s
    if (n < 2).any():
        raise ValueError(f"n_real + n_synthetic is {n.min():g}; a covariance needs 2 points")
    real, kept = n_r / n, n_s / n
    between = n_r * kept / (n - 1)
    # s (1 - b kept) = real + between V and V (1 - kept^2) = (real + b kept s) / n.
    determinant = (1 - b * kept) * (1 - kept**2) - between * b * kept / n
    s = real * (1 - kept**2 + between / n) / determinant
    v = real / n / determinant
    f = (d**2 + d) * (real + (b * s) ** 2 * kept) / (n - 1) / (1 - (b * kept) ** 2)
    root = np.sqrt(s) * _mean_root(f / (d * s**2))
    return np.asarray(d * v + d * (1 + s) - 2 * d * root)


def effective_ratio(
    d: int, n_real: float | Array, n_synthetic: float | Array, bias: float | Array = 1.0
) -> Array:
    """Return n_e / n_real of the fresh data loop: above 1 synthetic data help ("admissible").

    n_e real points alone give the distance that the loop settles at. Arguments as for
    `fresh_limit`.

    For d >= 10 within 8% where bias <= 0.9 and n_real >= d, and within 5% where n_real >= 10 d; too
    low by up to a fifth at bias 1 and n_real = d, and off by up to a third in fewer dimensions or
    with fewer points. Source: the paper's Eq. 4, by our two formulas.
    """
    limit = fresh_limit(d, n_real, n_synthetic, bias)
    grid = np.exp(np.linspace(np.log(1.01), np.log(1e9), 4_000))
    return np.asarray(invert(limit, grid, real_distance(d, grid)) / np.asarray(n_real, float))


def invert(distance: Array | float, n: Array, curve: Array) -> Array:
    """Return where a falling curve over rising n, both `(points,)`, has the value `distance`.

    - `distance`: any shape; values beyond the ends give the ends.
    """
    return np.asarray(np.exp(np.interp(-np.log(distance), -np.log(curve), np.log(n))))


def large_sample_ratio(ratio: float | Array, memory: int | Array = 1) -> Array:
    """Return n_e / n_real at bias 1 for many points: 1 + r K / (K + r), below 1 + K.

    - `ratio`: r = n_synthetic / n_real, at least 0.
    - `memory`: K, the last generations that synthetic data are drawn from, at least 1.

    Within 3% for n_real >= 10 d and at least 100. Source: ours; the paper's Fig. 30 simulates it.
    """
    r, k = np.asarray(ratio, float), np.asarray(memory, float)
    if not ((r >= 0).all() and (k >= 1).all()):
        raise ValueError(f"ratio is {ratio} and memory {memory}; at least 0 and 1 are needed")
    return np.asarray(1 + r * k / (k + r))


def admissible_synthetic(d: int, bias: float, n_real: float | None = None) -> float:
    """Return the largest n_synthetic that still helps in the fresh data loop, at bias < 1.

    - `d`: dimensions; `bias`: in (0, 1]; at 1 the answer is infinity.
    - `n_real`: fresh points a generation; None takes the limit of many, where the threshold no
      longer grows: (4 (2 - bias) + (d + 1)(1 + 3 bias - 2 bias^2) / 2) / (1 - bias)^2.

    Returns 0 where no amount helps, and infinity where every amount does, as the distance of so few
    real points exceeds d, that of a model without spread. Range as for `fresh_limit`.
    Source: the plateau is a finding of the paper (Figs. 11 and 12); its formula is ours.
    """
    d, bias = checks.count("d", d, least=1), checks.bias(bias)
    if bias == 1:
        return float("inf")
    if n_real is None:
        return (4 * (2 - bias) + (d + 1) * (1 + 3 * bias - 2 * bias**2) / 2) / (1 - bias) ** 2
    if not n_real > 1:
        raise ValueError(f"n_real is {n_real}; more than one real point is needed to compare with")
    alone = real_distance(d, n_real)
    if alone >= d:
        return float("inf")
    # The ratio rises, then falls: the last sign change on a fine grid, refined by logs.
    n_s = np.exp(np.linspace(0, np.log(100 * admissible_synthetic(d, bias)), 2_000))
    worth = np.log(fresh_limit(d, n_real, n_s, bias) / alone)
    last = np.flatnonzero(worth < 0)
    if not len(last):
        return 0.0
    crossing = slice(last[-1], last[-1] + 2)
    return float(np.exp(np.interp(0, worth[crossing], np.log(n_s[crossing]))))


def biased_floor(d: int, real_share: float, bias: float) -> float:
    """Return the W2^2 that the fresh data loop keeps however large its sets: d (1 - s^(1/2))^2.

    s = p / (p + (1 - bias)(1 - p)) is the variance that real data hold up against the bias.

    - `d`: dimensions; `real_share`: p in (0, 1], the real share of each training set.

    Exact as the sets grow. Source: ours; the paper's Fig. 31, right, shows the plateaus.
    """
    if not 0 < real_share <= 1:
        raise ValueError(f"real_share is {real_share!r}; it must lie in (0, 1]")
    d, bias = checks.count("d", d, least=1), checks.bias(bias)
    s = real_share / (real_share + (1 - bias) * (1 - real_share))
    return float(d * (1 - np.sqrt(s)) ** 2)


def _generations(t: int | Array) -> Array:
    found = np.asarray(t)
    if found.dtype.kind not in "iu":
        raise TypeError(f"generations must be whole numbers, not {t!r}")
    if found.size and found.min() < 1:
        raise ValueError(f"generation {found.min()} does not exist: the first is 1")
    return found


def _digamma(x: float) -> float:
    """Return the logarithmic derivative of the gamma function: its recurrence, then Stirling's."""
    below = 0.0
    while x < 12:
        below += 1 / x
        x += 1
    y = 1 / x**2
    series = y * (1 / 12 - y * (1 / 120 - y * (1 / 252 - y * (1 / 240 - y / 132))))
    return math.log(x) - 1 / (2 * x) - series - below


def _mean_root(c: Array) -> Array:
    """Return E[x^(1/2)] under the Marchenko-Pastur law of mean 1 and variance c."""
    c = np.asarray(c, float)[..., None]
    eigenvalues = 1 + c + 2 * np.sqrt(c) * np.cos(_ANGLES)
    return np.asarray(2 * np.mean(np.sin(_ANGLES) ** 2 / np.sqrt(eigenvalues), -1))
