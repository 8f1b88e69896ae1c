"""The Frechet distance against scipy, torch-fidelity and closed forms."""

import numpy as np
import pytest
import torch
from scipy.linalg import sqrtm
from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric

from madlab.metrics import frechet_distance
from madlab.metrics.frechet import distance, moments
from madlab.streams import generator


def by_sqrtm(a, b):
    s, t = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    root = np.real(sqrtm(s @ t))
    return np.sum((a.mean(0) - b.mean(0)) ** 2) + np.trace(s + t - 2 * root)


def features(n, d, *, scale=1.0, seed=0):
    rng = generator(seed, n, d)
    return scale * rng.normal(size=(n, d)) @ rng.normal(size=(d, d)) / d**0.5 + rng.normal(size=d)


@pytest.mark.parametrize(("n", "m", "d"), [(400, 300, 2), (500, 900, 20), (600, 600, 84)])
def test_equals_sqrtm_and_torch_fidelity(n, m, d):
    a, b = features(n, d), features(m, d, scale=0.7, seed=1)
    ours = frechet_distance(a, b)
    assert ours == pytest.approx(by_sqrtm(a, b), rel=1e-8)
    statistics = [fid_features_to_statistics(torch.from_numpy(x)) for x in (a, b)]
    theirs = fid_statistics_to_metric(*statistics, verbose=False)["frechet_inception_distance"]
    assert ours == pytest.approx(theirs, rel=1e-8)


def test_equals_the_closed_form_in_one_dimension():
    a, b = features(50, 1), features(70, 1, seed=1)
    expected = (a.mean() - b.mean()) ** 2 + (a.std(ddof=1) - b.std(ddof=1)) ** 2
    assert frechet_distance(a, b) == pytest.approx(expected, rel=1e-12)


def test_equals_the_closed_form_of_gaussians_with_one_basis():
    # Columns made exactly orthogonal: covariances are diagonal, so their roots commute.
    q = np.linalg.qr(features(200, 6) - features(200, 6).mean(0))[0] * 199**0.5
    a, b = q * np.arange(1, 7), q * np.arange(3, 9) + 2.0
    assert frechet_distance(a, b) == pytest.approx(6 * 4 + 6 * 4, rel=1e-10)


@pytest.mark.parametrize(("n", "m"), [(40, 300), (300, 40), (40, 30), (2, 2), (64, 65)])
def test_sets_smaller_than_the_dimension_give_what_the_full_matrices_give(n, m):
    a, b = features(n, 64), features(m, 64, scale=2, seed=1)
    s, t = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    values, vectors = np.linalg.eigh(s)
    half = vectors * np.sqrt(values.clip(0)) @ vectors.T
    overlap = np.sqrt(np.linalg.eigvalsh(half @ t @ half).clip(0)).sum()
    full = np.sum((a.mean(0) - b.mean(0)) ** 2) + np.trace(s) + np.trace(t) - 2 * overlap
    assert frechet_distance(a, b) == pytest.approx(full, rel=1e-5)


def test_singular_sets_are_exact_where_the_answer_is_known():
    a = features(300, 5)
    wide = np.hstack([a, np.zeros((300, 3)), a[:, :2]])
    moved = wide + 1.0
    assert frechet_distance(wide, wide) == pytest.approx(0, abs=1e-6)
    assert frechet_distance(wide, moved) == pytest.approx(10, rel=1e-6)


def test_a_collapsed_set_leaves_mean_and_spread():
    a, point = features(300, 8), np.full((20, 8), 0.25)
    expected = np.sum((a.mean(0) - 0.25) ** 2) + np.trace(np.cov(a, rowvar=False))
    assert frechet_distance(a, point) == pytest.approx(expected, rel=1e-12)
    assert frechet_distance(point, point) == 0.0


def test_is_symmetric_zero_on_itself_and_never_negative():
    a, b = features(500, 30), features(400, 30, seed=3)
    assert frechet_distance(a, b) == pytest.approx(frechet_distance(b, a), rel=1e-10)
    assert 0 <= frechet_distance(a, a) < 1e-9
    assert 0 <= frechet_distance(a.astype(np.float32), a) < 1e-6


def test_float32_features_far_from_the_origin_lose_nothing():
    a, b = features(500, 10), features(500, 10, seed=1)
    far = [(x + 1000).astype(np.float32) for x in (a, b)]
    assert frechet_distance(*far) == pytest.approx(by_sqrtm(*[x.astype(float) for x in far]))


def test_cached_moments_give_the_same_distance():
    a, b = features(500, 10), features(50, 10, seed=1)
    assert distance(moments(a), moments(b)) == frechet_distance(a, b)


def test_one_row_is_refused_with_its_number():
    with pytest.raises(ValueError, match="1 rows of synthetic features; give at least 2"):
        frechet_distance(features(10, 3), np.zeros((1, 3)))


def test_rows_that_are_not_finite_are_named():
    bad = features(20, 3)
    bad[[4, 7], 1] = np.nan, np.inf
    with pytest.raises(ValueError, match=r"synthetic features .* in rows \[4, 7\]"):
        frechet_distance(features(20, 3), bad)


def test_other_shapes_are_refused():
    with pytest.raises(ValueError, match="d = 3 dimensions and synthetic ones 4"):
        frechet_distance(features(20, 3), features(20, 4))
    with pytest.raises(ValueError, match=r"shape \(n, d\)"):
        frechet_distance(np.zeros(5), np.zeros(5))
