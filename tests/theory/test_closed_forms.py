"""Closed forms against each other, against exact integrals, and against the reference tables."""

import subprocess
import sys

import numpy as np
import pytest
from scipy import integrate, special, stats

from madlab import theory
from madlab.loops import Loop
from madlab.theory.closed_forms import _digamma, _mean_root


@pytest.mark.parametrize("c", [1e-4, 0.05, 0.5, 0.99, 1.5, 4.0])
def test_the_mean_root_is_that_of_the_marchenko_pastur_law(c):
    low, high = (1 - np.sqrt(c)) ** 2, (1 + np.sqrt(c)) ** 2

    def density(x: float) -> float:
        return np.sqrt(max((high - x) * (x - low), 0)) / (2 * np.pi * c * x)

    options = {"points": [low + 1e-3 * (high - low)], "limit": 400}
    mass = integrate.quad(density, low, high, **options)[0]
    assert mass == pytest.approx(min(1, 1 / c), abs=1e-6)
    expected = integrate.quad(lambda x: np.sqrt(x) * density(x), low, high, **options)[0]
    assert _mean_root(np.array(c)) == pytest.approx(expected, abs=1e-5)


def test_one_dimension_has_an_exact_answer():
    # E of a standard deviation: a ratio of gamma functions.
    for n, tolerance in ((12, 0.015), (30, 0.006), (1_000, 2e-4)):
        root = np.exp(special.gammaln(n / 2) - special.gammaln((n - 1) / 2))
        exact = 1 / n + 2 - 2 * np.sqrt(2 / (n - 1)) * root
        assert theory.real_distance(1, n) == pytest.approx(exact, rel=tolerance)


def test_many_points_give_the_textbook_expansion():
    for d, n in ((1, 10_000), (5, 50_000), (100, 1_000_000)):
        assert theory.real_distance(d, n) == pytest.approx(d / n + (d**2 + d) / (4 * n), rel=1e-3)


def test_no_synthetic_data_is_real_data_alone():
    for n in (20, 100, 1_000):
        for bias in (0.5, 1.0):
            alone = theory.fresh_limit(20, n, 0, bias)
            assert alone == pytest.approx(theory.real_distance(20, n), rel=1e-9)
            assert theory.effective_ratio(20, n, 0, bias) == pytest.approx(1, rel=1e-4)


def test_mean_and_covariance_of_the_limit_solve_their_recursions():
    # The two linear equations, iterated instead of solved; many points make the rest of it small.
    d, n_r, n_s, bias = 3, 40_000, 200_000, 0.9
    n, s, v = n_r + n_s, 1.0, 0.0
    for _ in range(2_000):
        s, v = (
            (n_r + bias * s * n_s) / n + n_r * n_s / n * v / (n - 1),
            (n_r + n_s**2 * v + bias * s * n_s) / n**2,
        )
    expected = d * v + d * (1 - np.sqrt(s)) ** 2
    assert theory.fresh_limit(d, n_r, n_s, bias) == pytest.approx(expected, rel=0.01)


def test_many_points_without_bias_are_worth_a_known_ratio():
    for ratio in (0.1, 1.0, 10.0):
        n_r = 100_000
        found = theory.effective_ratio(4, n_r, ratio * n_r)
        assert found == pytest.approx(theory.large_sample_ratio(ratio), rel=0.003)
        assert theory.large_sample_ratio(ratio) == pytest.approx((1 + 2 * ratio) / (1 + ratio))
    assert theory.large_sample_ratio(10, np.array([1, 5, 100])) == pytest.approx(
        [1.909, 4.333, 10.09], abs=0.001
    )


# paper.md, A3: n_real, bias, and n_e / n_real at n_synthetic 10, 30, ..., 10,000 (+-3%).
NS = np.array([10, 30, 100, 300, 1_000, 3_000, 10_000])
TABLE = {
    (100, 0.9): (1.11, 1.28, 1.73, 2.31, 2.00, 1.13, 0.72),
    (100, 0.7): (1.10, 1.30, 1.71, 1.79, 1.07, 0.73, 0.53),
    (100, 0.3): (1.09, 1.23, 1.37, 1.09, 0.75, 0.56, 0.43),
    (250, 0.85): (1.05, 1.12, 1.34, 1.68, 1.40, 0.65, 0.34),
    (1_000, 0.9): (1.00, 1.03, 1.09, 1.25, 1.48, 1.02, 0.30),
    (1_000, 0.3): (1.00, 1.02, 1.03, 0.90, 0.39, 0.15, 0.08),
    (10_000, 0.7): (1.01, 1.00, 1.01, 1.03, 1.02, 0.68, 0.16),
}


@pytest.mark.parametrize(("n_real", "bias"), TABLE)
def test_the_closed_form_is_near_the_simulated_phase_diagram(n_real, bias):
    # The formula is good to 8% under bias; the table is rounded to 0.01.
    found = theory.effective_ratio(100, n_real, NS, bias)
    np.testing.assert_allclose(found, TABLE[n_real, bias], rtol=0.08, atol=0.01)


def test_limits_of_figure_10():
    assert theory.fresh_limit(100, 100, 900, 0.8) == pytest.approx(20.6, rel=0.03)
    # Without bias and with few points, the formula is known to be too high.
    assert 12.2 < theory.fresh_limit(100, 100, 900, 1.0) < 1.25 * 12.2


def test_the_admissible_threshold_is_where_the_ratio_crosses_one():
    for n_real, bias in ((100, 0.7), (1_000, 0.5), (1_000, 0.85), (10_000, 0.7)):
        threshold = theory.admissible_synthetic(100, bias, n_real)
        around = threshold * np.array([0.97, 1.03])
        above, below = theory.effective_ratio(100, n_real, around, bias)
        assert above > 1 > below
    # It saturates, at the second order of the expansion of tr Sigma^(1/2).
    for bias in (0.5, 0.7, 0.85):
        limit = theory.admissible_synthetic(100, bias)
        assert theory.admissible_synthetic(100, bias, 10**6) == pytest.approx(limit, rel=0.01)
        grown = [theory.admissible_synthetic(100, bias, n) for n in (10**3, 10**4, 10**5)]
        assert grown == sorted(grown)
        assert grown[-1] < limit
    assert theory.admissible_synthetic(100, 1.0) == np.inf
    # Real points so few that even a model without spread, at a distance of d, is nearer.
    for d, bias, n_real in ((100, 0.5, 5), (200, 0.9, 10), (1, 0.5, 2)):
        assert theory.admissible_synthetic(d, bias, n_real) == np.inf
        assert theory.effective_ratio(d, n_real, 1e8, bias) > 1


def test_the_biased_floor_is_the_limit_of_many_points():
    for bias, floor in ((0.97, 1.27), (0.95, 2.87), (0.93, 4.70), (0.9, 7.54)):
        assert theory.biased_floor(100, 0.1, bias) == pytest.approx(floor, abs=0.005)
        n = 1e7
        assert theory.fresh_limit(100, 0.1 * n, 0.9 * n, bias) == pytest.approx(floor, rel=0.01)
    assert theory.biased_floor(100, 0.1, 1.0) == 0
    assert theory.biased_floor(3, 1.0, 0.5) == 0


# (d, n_real, n_synthetic, bias) on the edges of the ranges that are promised, and how near.
EDGES = [
    (10, 10, 10, 0.5, 0.06, 0.08),
    (10, 10, 500, 0.9, 0.06, 0.08),
    (20, 20, 200, 0.9, 0.06, 0.08),
    (50, 50, 50, 0.3, 0.06, 0.08),
    (10, 100, 1_000, 1.0, 0.03, 0.05),
    (20, 200, 10_000, 1.0, 0.03, 0.05),
    (50, 500, 500, 0.7, 0.03, 0.05),
    (10, 10, 500, 1.0, 0.25, 0.2),
    (50, 50, 500, 1.0, 0.25, 0.2),
    (3, 3, 30, 0.5, 0.25, 0.34),
    (1, 3, 30, 0.9, 0.25, 0.34),
]


@pytest.mark.parametrize(("d", "n_real", "n_synthetic", "bias", "near", "worth"), EDGES)
def test_formulas_of_the_limit_keep_their_promises(d, n_real, n_synthetic, bias, near, worth):
    chains = 2_000 // d
    loop = Loop.fresh_data(n_real, n_synthetic)
    found = theory.settled_distance(loop, d, bias, chains=chains, measurements=4)
    # Two per cent for the simulation, four standard errors at most.
    assert found.error < 0.02 * found.value
    limit = float(theory.fresh_limit(d, n_real, n_synthetic, bias))
    assert limit == pytest.approx(found.value, rel=near + 2 * found.error / found.value)
    size = theory.effective_size(found.value, d, found.error)
    ratio = float(theory.effective_ratio(d, n_real, n_synthetic, bias)) * n_real
    assert ratio == pytest.approx(size.value, rel=worth + 2 * size.error / size.value)


@pytest.mark.parametrize("d", [1, 3, 10, 20, 50])
def test_the_formula_of_real_points_keeps_its_promises(d):
    n, curve, _ = theory.real_curve(d)
    off = theory.real_distance(d, n) / curve - 1
    # The curve itself is good to about 0.2%.
    assert abs(off[n >= d + 10]).max() < 0.017
    assert abs(off).max() < (0.037 if d >= 20 else 0.34)


def test_the_walk_of_the_mean_freezes_only_under_bias():
    t = np.array([1, 2, 10, 1_000])
    assert theory.expected_mean_square(t, 1, 100) == pytest.approx(t / 100)
    frozen = theory.expected_mean_square(1_000, 2, 100, bias=0.8)
    assert frozen == pytest.approx(2 / (0.2 * 100))
    assert theory.expected_mean_square(2, 3, 10, n_initial=50, bias=0.5) == pytest.approx(
        3 * (1 / 50 + 0.5 / 10)
    )
    assert theory.expected_variance(np.array([1, 2, 4]), 0.5).tolist() == [1, 0.5, 0.125]


@pytest.mark.parametrize(("n", "t"), [(30, 1), (30, 40), (100, 10)])
def test_the_median_variance_is_that_of_a_product_of_chi_squares(n, t):
    rng = np.random.default_rng(1)
    logs = np.log(stats.chi2.rvs(n - 1, size=(200_000, t), random_state=rng) / (n - 1)).sum(1)
    # 1.25 sd / sqrt(200,000) is the error of a sample median.
    error = 4 * 1.25 * logs.std() / np.sqrt(200_000)
    apart = np.median(logs) - np.log(theory.median_variance(t, n))
    assert abs(apart) < error + 0.02


def test_digamma_is_that_of_scipy():
    for x in (0.5, 1.0, 2.5, 11.5, 12.0, 500.0, 5e5):
        assert _digamma(x) == pytest.approx(special.digamma(x), rel=1e-13, abs=1e-14)


def test_closed_forms_need_no_torch():
    code = (
        "import sys, madlab\n"
        "assert madlab.theory.fresh_limit(10, 100, 50, 0.9) > 0\n"
        "assert madlab.theory.median_variance(3, 100) > 0\n"
        "print('torch' in sys.modules)"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "False"


def test_bad_values_are_refused():
    with pytest.raises(ValueError, match="n is 1; a covariance needs more than one point"):
        theory.real_distance(2, 1)
    with pytest.raises(ValueError, match="n_real is 0; fresh data need at least 1"):
        theory.fresh_limit(2, [0, 5], 10)
    with pytest.raises(ValueError, match="n_synthetic is -1"):
        theory.fresh_limit(2, 5, -1)
    with pytest.raises(ValueError, match=r"n_real \+ n_synthetic is 1; a covariance needs 2"):
        theory.fresh_limit(2, 1, 0)
    for bias in (0.0, 1.5, float("nan")):
        with pytest.raises(ValueError, match=r"must lie in \(0, 1\]"):
            theory.fresh_limit(2, 5, 5, bias)
        with pytest.raises(ValueError, match=r"must lie in \(0, 1\]"):
            theory.admissible_synthetic(2, bias)
    with pytest.raises(ValueError, match="d is 0"):
        theory.real_distance(0, 5)
    with pytest.raises(ValueError, match="generation 0 does not exist"):
        theory.expected_variance(0)
    with pytest.raises(TypeError, match="whole numbers"):
        theory.median_variance(1.5, 10)
    with pytest.raises(ValueError, match="n is 1; it must be at least 2"):
        theory.median_variance(3, 1)
    with pytest.raises(ValueError, match="n_synthetic is 1; it must be at least 2"):
        theory.expected_mean_square(3, 1, 1)
    for call, given in (
        (theory.real_distance, (5, np.nan)),
        (theory.fresh_limit, (5, np.nan, 3)),
        (theory.fresh_limit, (5, 3, np.nan)),
        (theory.admissible_synthetic, (5, 0.5, np.nan)),
        (theory.large_sample_ratio, (np.nan,)),
    ):
        with pytest.raises(ValueError, match="nan"):
            call(*given)
    with pytest.raises(ValueError, match="n_real is 1; more than one real point"):
        theory.admissible_synthetic(5, 0.5, 1)
    with pytest.raises(ValueError, match="n_initial is 1; it must be at least 2"):
        theory.expected_mean_square(3, 1, 5, n_initial=1)
    with pytest.raises(ValueError, match="real_share is 0"):
        theory.biased_floor(2, 0, 0.5)
    with pytest.raises(ValueError, match="at least 0 and 1 are needed"):
        theory.large_sample_ratio(-1)
