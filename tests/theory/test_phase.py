"""Where fresh data loops settle: the paper's figures as the reference tables give them."""

import numpy as np
import pytest

from madlab.loops import Loop
from madlab.theory import (
    admissible_synthetic,
    biased_floor,
    effective_size,
    large_sample_ratio,
    real_curve,
    real_distance,
    settled_distance,
    simulate,
)

D = 100


@pytest.mark.parametrize("bias", [1.0, 0.8])
def test_figure_10_left_has_one_limit_whatever_the_first_set(bias):
    # paper.md: means of 8 runs at t = 1, 2, 3, 5, 10, 20 and the limit; n_initial 100 and 1000.
    table = {
        (100, 1.0): (32.2, 24.7, 21.1, 17.1, 13.5, 12.3, 12.1),
        (1_000, 1.0): (2.7, 4.7, 6.3, 8.5, 11.1, 12.1, 12.3),
        (100, 0.8): (31.7, 21.7, 18.1, 16.6, 19.0, 20.5, 20.6),
        (1_000, 0.8): (2.7, 5.2, 7.9, 12.7, 18.8, 20.5, 20.6),
    }
    at = [1, 2, 3, 5, 10, 20, 50]
    last = []
    for n_initial in (100, 1_000):
        loop = Loop.fresh_data(100, 900, n_initial=n_initial)
        w2 = simulate(loop, D, 50, 32, bias, seed=4, at=at, covariances=False).w2
        # The table's own error is that of 8 runs, and it is rounded to 0.1.
        error = w2.std(0) * np.sqrt(1 / 32 + 1 / 8) + 0.05
        assert (abs(w2.mean(0) - table[n_initial, bias]) < 4 * error).all()
        last.append(w2[:, -1])
    error = np.sqrt(sum(w2.var() / 32 for w2 in last))
    assert abs(last[0].mean() - last[1].mean()) < 4 * error
    limit = {1.0: 12.2, 0.8: 20.6}[bias]
    assert np.mean(last) == pytest.approx(limit, abs=4 * error + 0.1)


# paper.md, Figs. 11 and 12: n_e / n_real, +-3%.
RATIOS = [
    (100, 1.0, 100, 1.64),
    (100, 1.0, 1_000, 2.34),
    (100, 0.9, 300, 2.31),
    (100, 0.85, 1_000, 1.62),
    (100, 0.7, 1_000, 1.07),
    (100, 0.5, 3_000, 0.62),
    (100, 0.1, 10, 1.06),
    (250, 1.0, 3_000, 2.00),
    (250, 0.7, 300, 1.47),
    (1_000, 1.0, 10_000, 1.97),
    (1_000, 0.85, 3_000, 0.70),
    (1_000, 0.3, 300, 0.90),
]


@pytest.mark.parametrize(("n_real", "bias", "n_synthetic", "ratio"), RATIOS)
def test_figures_11_and_12_within_five_per_cent(n_real, bias, n_synthetic, ratio):
    distance = settled_distance(Loop.fresh_data(n_real, n_synthetic), D, bias)
    found = effective_size(distance.value, D, distance.error)
    assert found.value / n_real == pytest.approx(ratio, rel=0.05)
    assert found.error / found.value < 0.02


def test_synthetic_data_help_below_the_threshold_and_harm_above():
    d, n_real, bias = 20, 1_000, 0.5
    threshold = admissible_synthetic(d, bias, n_real)
    # Near 108, its limit for many real points; other expansions put it at 129.
    assert 95 < threshold < 108
    n, curve, _ = real_curve(d)
    alone = np.interp(n_real, n, curve)
    for factor, helps in ((0.87, True), (1.13, False)):
        loop = Loop.fresh_data(n_real, round(factor * threshold))
        found = settled_distance(loop, d, bias, chains=4_000, measurements=4)
        assert abs(found.value - alone) > 4 * found.error
        assert (found.value < alone) == helps


@pytest.mark.parametrize("memory", [1, 2, 5, 10])
def test_figure_30_memory_within_three_per_cent(memory):
    # The ratio does not depend on d, and in few dimensions many chains cost little.
    d, n_real, n_synthetic = 4, 1_000, 10_000
    loop = Loop.fresh_data(n_real, n_synthetic, memory=memory)
    distance = settled_distance(loop, d, chains=1_500, measurements=4)
    found = effective_size(distance.value, d, distance.error)
    expected = large_sample_ratio(n_synthetic / n_real, memory)
    assert found.error / found.value < 0.008
    assert found.value / n_real == pytest.approx(expected, rel=0.03)


def test_figure_31_left_synthetic_shares_slow_progress():
    # At one size, the smaller the real share the larger the distance; all fall with the size.
    found = {
        (n, share): settled_distance(
            Loop.fresh_data(round(n * share), n - round(n * share)), 20, measurements=4
        ).value
        for n in (1_000, 4_000)
        for share in (0.5, 0.1, 0.03)
    }
    for n in (1_000, 4_000):
        assert found[n, 0.5] < found[n, 0.1] < found[n, 0.03]
    for share in (0.5, 0.1, 0.03):
        assert found[4_000, share] < 0.5 * found[1_000, share]


def test_figure_31_right_bias_leaves_a_floor():
    found = []
    for bias in (1.0, 0.97, 0.95, 0.93, 0.9):
        distance = settled_distance(Loop.fresh_data(1_000, 9_000), D, bias, measurements=2)
        found.append(distance.value)
        floor = biased_floor(D, 0.1, bias)
        assert distance.value > floor
        if bias < 1:
            # Ten thousand points leave little above the floor, and less of it the lower the bias.
            assert distance.value < floor + 1.6
    assert found == sorted(found)


@pytest.mark.parametrize("d", [1, 3, 20])
def test_the_curve_of_real_points_is_that_of_drawn_points(d):
    n, curve, error = real_curve(d)
    assert error.max() < 0.003
    assert (np.diff(curve) < 0).all()
    rng = np.random.default_rng(0)
    for size in (5, 40):
        runs = 4_000
        points = rng.standard_normal((runs, size, d))
        mean = points.mean(1)
        apart = points - mean[:, None]
        variances = np.linalg.eigvalsh(apart.swapaxes(1, 2) @ apart / (size - 1)).clip(0)
        w2 = (mean**2).sum(1) + ((1 - np.sqrt(variances)) ** 2).sum(1)
        known = float(np.exp(np.interp(np.log(size), np.log(n), np.log(curve))))
        assert abs(w2.mean() - known) < 4 * w2.std() / np.sqrt(runs) + 0.01 * known
    assert np.interp(1e6, n, curve) == pytest.approx(float(real_distance(d, 1e6)), rel=1e-3)


def test_an_effective_size_is_the_size_and_carries_its_error():
    n, curve, _ = real_curve(5)
    for size in (3, 30, 3_000):
        distance = float(np.interp(size, n, curve))
        exact = effective_size(distance, 5)
        assert exact.value == pytest.approx(size, rel=2e-3)
        assert exact.error < 0.004 * size
        # For many points n_e is inverse to the distance, so relative errors are alike.
        if size == 3_000:
            assert effective_size(distance, 5, 0.1 * distance).error == pytest.approx(300, rel=0.02)
    assert effective_size(1e9, 5).value == pytest.approx(2)


def test_what_settles_nowhere_is_refused():
    for loop in (Loop.fully_synthetic(5), Loop.synthetic_augmentation(5, 5)):
        with pytest.raises(ValueError, match="only a loop with fresh real data"):
            settled_distance(loop, 2)
    with pytest.raises(ValueError, match="with memory K"):
        settled_distance(Loop.fresh_data(5, 5, memory=None), 2)
    with pytest.raises(ValueError, match="1 to 500 dimensions"):
        real_curve(900)
    with pytest.raises(ValueError, match="read-only"):
        real_curve(5)[1][0] = 1.0
    with pytest.raises(ValueError, match="measurements is 0; it must be at least 1"):
        settled_distance(Loop.fresh_data(5, 5), 2, measurements=0)
    with pytest.raises(ValueError, match="chains is 1; it must be at least 2"):
        settled_distance(Loop.fresh_data(5, 5), 2, chains=1)
    for distance in (0.0, -1.0, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="only a distance above 0"):
            effective_size(distance, 2)
