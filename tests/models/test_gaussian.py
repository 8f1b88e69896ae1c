import numpy as np
import pytest

from madlab.models import create
from madlab.models.gaussian import Gaussian


@pytest.fixture
def points():
    rng = np.random.default_rng(1)
    return rng.standard_normal((500, 3)) @ np.array([[2.0, 0, 0], [1, 1, 0], [0, 3, 0.5]]) + 5


def test_fit_is_the_sample_mean_and_the_unbiased_covariance(points):
    model = Gaussian()
    model.fit(points, seed=0)
    np.testing.assert_allclose(model.fitted["mean"], points.mean(axis=0), rtol=1e-13)
    np.testing.assert_allclose(model.fitted["covariance"], np.cov(points.T), rtol=1e-12)


@pytest.mark.parametrize("bias", [1.0, 0.7, 0.01])
def test_bias_scales_the_covariance(points, bias):
    model = Gaussian()
    model.fit(points, seed=0)
    n = 100_000
    drawn = model.sample(n, bias=bias, seed=3).images
    assert drawn.dtype == np.float64
    # Standard errors of a sample mean and of a sample covariance of Gaussian points.
    variances = bias * np.diag(model.fitted["covariance"])
    error = np.sqrt(variances / n)
    assert (abs(drawn.mean(axis=0) - model.fitted["mean"]) < 5 * error).all()
    wanted = bias * model.fitted["covariance"]
    error = np.sqrt((wanted**2 + np.outer(variances, variances)) / n)
    assert (abs(np.cov(drawn.T) - wanted) < 5 * error).all()


def test_one_dimension_and_two_points():
    model = Gaussian()
    model.fit(np.array([[1.0], [3.0]]), seed=0)
    assert model.fitted["mean"].tolist() == [2.0]
    assert model.fitted["covariance"].tolist() == [[2.0]]


def test_singular_covariance_is_sampled_within_its_plane():
    line = np.linspace(-1, 1, 50)[:, None] * np.array([1.0, 2.0, 0.0])
    model = Gaussian()
    model.fit(line, seed=0)
    drawn = model.sample(1000, seed=0).images
    np.testing.assert_allclose(drawn[:, 1], 2 * drawn[:, 0], atol=1e-7)
    np.testing.assert_allclose(drawn[:, 2], 0, atol=1e-7)
    same = np.ones((4, 2))
    model.fit(same, seed=0)
    np.testing.assert_array_equal(model.sample(5, seed=0).images, np.ones((5, 2)))


@pytest.mark.parametrize("bias", [1.0, 0.7])
def test_the_mean_wanders_as_theory_says(bias):
    # Fully synthetic, n points: mu_t^2 grows by the variance of the last samples over n.
    n, chains, generations = 20, 800, 8
    means = np.empty((chains, generations))
    for chain in range(chains):
        points = np.random.default_rng(chain).standard_normal((n, 1))
        for t in range(generations):
            model = Gaussian()
            model.fit(points, seed=0)
            means[chain, t] = model.fitted["mean"][0]
            points = model.sample(n, bias=bias, seed=1000 * chain + t).images
    expected = np.cumsum(bias ** np.arange(generations)) / n
    squares = means**2
    error = squares.std(axis=0) / np.sqrt(chains)
    assert (abs(squares.mean(axis=0) - expected) < 4 * error).all()


def test_bad_points_are_refused(points):
    model = create("gaussian")
    with pytest.raises(ValueError, match="1 rows of points; give at least 2"):
        model.fit(points[:1], seed=0)
    with pytest.raises(TypeError, match=r"points must be float64.*not uint8"):
        model.fit(np.zeros((5, 28, 28), np.uint8), seed=0)
    with pytest.raises(TypeError, match="points must be float64"):
        model.fit(points[:, 0], seed=0)
    with pytest.raises(ValueError, match="NaN or infinite"):
        model.fit(np.array([[1.0], [np.nan]]), seed=0)
