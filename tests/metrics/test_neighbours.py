"""Precision, recall, density and coverage against prdc, torch-fidelity and brute force."""

import contextlib
import io

import numpy as np
import pytest
import torch
from prdc import compute_prdc
from torch_fidelity.metric_prc import calculate_precision_recall_full

from madlab.metrics import neighbours as measure
from madlab.metrics.neighbours import distinct, squared_radii
from madlab.streams import generator


def brute(real, synthetic, k=5):
    """The definitions, word for word, in exact arithmetic for small whole numbers."""

    def apart(a, b):
        return ((a[:, None, :] - b[None]) ** 2).sum(-1)

    def radii(x):
        squared = apart(x, x)
        np.fill_diagonal(squared, np.inf)
        return np.sort(squared, 1)[:, k - 1]

    squared = apart(real, synthetic)
    in_real = squared <= radii(real)[:, None]
    in_synthetic = squared <= radii(synthetic)[None]
    precision, recall = in_real.any(0).mean(), in_synthetic.any(1).mean()
    return precision, recall, in_real.sum() / (k * len(synthetic)), in_real.any(1).mean()


def normal(n, d, seed=0, scale=1.0):
    return scale * generator(seed, "points").normal(size=(n, d))


@pytest.mark.parametrize("k", [1, 3, 5])
@pytest.mark.parametrize(("n", "m", "d"), [(700, 700, 2), (900, 400, 16), (300, 1100, 84)])
def test_equals_prdc_and_torch_fidelity_where_nothing_ties(n, m, d, k):
    real, synthetic = normal(n, d), normal(m, d, 1, 1.1) + 0.05
    ours = measure(real, synthetic, k)
    with contextlib.redirect_stdout(io.StringIO()):
        theirs = compute_prdc(real, synthetic, k)
    for name, value in theirs.items():
        assert getattr(ours, name) == pytest.approx(value, abs=1e-12)
    pair = calculate_precision_recall_full(torch.tensor(synthetic), torch.tensor(real), k)
    assert (ours.precision, ours.recall) == pytest.approx(pair, abs=1e-6)
    assert 0.01 < ours.precision <= 1
    assert 0.01 < ours.recall <= 1


@pytest.mark.parametrize("seed", range(6))
def test_equals_brute_force_with_ties_and_duplicates(seed):
    rng = generator(seed, "lattice")
    real = rng.integers(0, 6, (400, 3)).astype(float)
    synthetic = rng.integers(1, 8, (350, 3)).astype(float)
    assert measure(real, synthetic) == pytest.approx(brute(real, synthetic), abs=1e-12)


def test_copies_of_real_points_count_as_inside():
    real = normal(300, 5)
    memorised = real[:200]
    found = measure(real, memorised)
    assert found == pytest.approx(brute(real, memorised), abs=1e-12)
    assert found.precision == 1.0


@pytest.mark.parametrize("where", [0.0, 3.0, 1000.0])
def test_a_collapsed_set_equals_brute_force(where):
    real = normal(300, 4)
    for point in (np.full(4, where), real[7]):
        same = np.repeat(point[None], 250, 0)
        assert measure(real, same) == pytest.approx(brute(real, same), abs=1e-12)
        assert measure(same, real) == pytest.approx(brute(same, real), abs=1e-12)
        assert measure(same, same) == pytest.approx((1, 1, 50, 1))


def test_a_few_distinct_points_repeated_equal_brute_force():
    few = normal(8, 6)[generator(0, "repeat").integers(0, 8, 300)]
    real = np.concatenate([normal(200, 6, 1), few[:40]])
    assert measure(real, few) == pytest.approx(brute(real, few), abs=1e-12)


def test_near_copies_far_from_the_centre_are_told_apart():
    # In single precision alone these distances drown in the size of the coordinates.
    real = 1e-5 * normal(300, 10) + 40.0
    real[150:] -= 80.0
    synthetic = real[:250] + 1e-6 * normal(250, 10, 2)
    assert measure(real, synthetic) == pytest.approx(brute(real, synthetic), abs=1e-12)


@pytest.mark.parametrize("k", [1, 5])
def test_crowded_clusters_of_a_collapsed_model_are_told_apart(k):
    centres = normal(2, 20)
    synthetic = np.repeat(centres, 350, 0) + 1e-5 * normal(700, 20, 1)
    real = np.concatenate([normal(200, 20, 2), synthetic[:100] + 1e-6 * normal(100, 20, 3)])
    assert measure(real, synthetic, k) == pytest.approx(brute(real, synthetic, k), abs=1e-12)
    radii = squared_radii(synthetic, k)
    exact = ((synthetic[:, None] - synthetic[None]) ** 2).sum(-1)
    np.testing.assert_allclose(radii, np.sort(exact, 1)[:, k], rtol=1e-12)


def test_one_diverged_sample_spoils_nothing():
    real, synthetic = normal(400, 10), normal(400, 10, 1)
    synthetic[17] = 1e7
    assert measure(real, synthetic) == pytest.approx(brute(real, synthetic), abs=1e-12)


def test_radii_equal_brute_force_and_can_be_reused():
    real, synthetic = normal(600, 12).astype(np.float32), normal(500, 12, 1)
    exact = ((real[:, None].astype(float) - real[None]) ** 2).sum(-1)
    radii = squared_radii(real, 4)
    np.testing.assert_allclose(radii, np.sort(exact, 1)[:, 4], rtol=1e-12)
    assert measure(real, synthetic, 4, radii) == measure(real, synthetic, 4)


def test_the_smallest_sets_and_the_largest_k():
    real, synthetic = normal(4, 2), normal(3, 2, 1)
    assert measure(real, synthetic, 2) == pytest.approx(brute(real, synthetic, 2))


def test_precision_and_recall_are_not_swapped():
    real, narrow = normal(1000, 4), normal(1000, 4, 1, 0.1)
    found = measure(real, narrow)
    assert found.precision > 0.95
    assert found.recall < 0.05


def test_distinct_rows_rebuild_the_array():
    rows = generator(0, "rows").integers(0, 3, (50, 2, 2)).astype(np.uint8)
    first, inverse = distinct(rows)
    assert (rows[first][inverse] == rows).all()
    assert len(first) == len(np.unique(rows.reshape(50, 4), axis=0))
    assert [len(part) for part in distinct(rows[:0])] == [0, 0]


@pytest.mark.parametrize(
    ("k", "message"),
    [
        (0, "k is 0; it must be at least 1"),
        (2.5, "k must be a whole number, not 2.5"),
        (True, "k must be a whole number, not True"),
        (10, "k = 10 neighbours need at least 11 synthetic points; there are 10"),
    ],
)
def test_k_that_does_not_fit_is_refused(k, message):
    with pytest.raises((ValueError, TypeError), match=message):
        measure(normal(20, 2), normal(10, 2), k)


def test_points_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="d = 2 dimensions and synthetic ones 3"):
        measure(normal(20, 2), normal(20, 3))
    bad = normal(20, 2)
    bad[3] = np.nan
    with pytest.raises(ValueError, match=r"real points have NaN .* rows \[3\]"):
        measure(bad, normal(20, 2))
