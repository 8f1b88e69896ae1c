"""The kernel distance: brute force, torch-fidelity, and its error against many fresh draws."""

import itertools

import numpy as np
import pytest
import torch
from torch_fidelity.metric_kid import kid_features_to_metric

from madlab.metrics import kernel_distance
from madlab.streams import generator


def sets(n, m, d=6, shift=0.0, seed=0):
    rng = generator(0, "sets", seed)
    return rng.normal(size=(n, d)), rng.normal(size=(m, d)) + shift


def brute(x, y):
    def kernel(a, b):
        return (float(a @ b) / len(a) + 1) ** 3

    pairs = [np.mean([kernel(a, b) for a, b in itertools.permutations(side, 2)]) for side in (x, y)]
    return sum(pairs) - 2 * np.mean([kernel(a, b) for a in x for b in y])


def test_the_estimate_is_the_double_sum_over_all_pairs():
    x, y = sets(9, 14, shift=0.5)
    assert kernel_distance(x, y).kid == pytest.approx(brute(x, y), rel=1e-12)


def test_the_error_is_the_jackknife_that_leaves_out_one_at_a_time():
    x, y = sets(8, 11, shift=0.3)
    variance = 0.0
    for side, other, turn in ((x, y, 1), (y, x, -1)):
        n = len(side)
        left = [brute(*[np.delete(side, i, 0), other][::turn]) for i in range(n)]
        variance += (n - 1) / n * np.square(left - np.mean(left)).sum()
    assert kernel_distance(x, y).error == pytest.approx(variance**0.5, rel=1e-9)


def test_it_is_torch_fidelitys_on_one_subset_of_everything():
    x, y = sets(40, 40, d=30, shift=0.2)
    theirs = kid_features_to_metric(
        torch.from_numpy(x), torch.from_numpy(y), kid_subsets=1, kid_subset_size=40, verbose=False
    )
    mean = theirs["kernel_inception_distance_mean"]
    assert kernel_distance(x, y).kid == pytest.approx(mean, rel=1e-9)


def test_it_is_symmetric_and_takes_no_notice_of_order():
    x, y = sets(20, 30, shift=0.4)
    there, back = kernel_distance(x, y), kernel_distance(y[::-1], x)
    assert there == pytest.approx(back, rel=1e-9)


@pytest.mark.parametrize(("shift", "least", "most"), [(0.0, 0.95, 1.5), (0.3, 0.9, 1.15)])
def test_the_error_is_that_of_fresh_draws_and_too_wide_only_where_nothing_differs(
    shift, least, most
):
    # 600 draws know a standard deviation to 3% (6% for the skew law at no difference).
    found = np.array([kernel_distance(*sets(30, 80, 6, shift, seed)) for seed in range(600)])
    spread = found[:, 0].std(ddof=1)
    assert least <= np.sqrt((found[:, 1] ** 2).mean()) / spread <= most
    if not shift:
        assert abs(found[:, 0].mean()) < 4 * spread / np.sqrt(600)


def test_the_interval_holds_the_true_distance_nineteen_times_in_twenty():
    truth = np.mean([kernel_distance(*sets(300, 300, 6, 0.3, seed)).kid for seed in range(100)])
    found = [kernel_distance(*sets(60, 160, 6, 0.3, 1000 + seed)) for seed in range(400)]
    held = np.mean([abs(kid - truth) <= 1.96 * error for kid, error in found])
    # Binomial error .011 around .95; small sets and a skew law cost a little.
    assert 0.9 <= held <= 0.98


def test_what_does_not_fit_is_refused():
    x, y = sets(10, 10)
    with pytest.raises(ValueError, match="2 rows of synthetic features; give at least 3"):
        kernel_distance(x, y[:2])
    with pytest.raises(ValueError, match="d = 6 dimensions and synthetic ones 5"):
        kernel_distance(x, y[:, :5])
    y[4] = np.nan
    with pytest.raises(ValueError, match="synthetic features have NaN"):
        kernel_distance(x, y)
