"""Toy data have the distribution that they name."""

import numpy as np
import pytest
from scipy import stats

from madlab.data import gaussian, modes, rosenbrock
from madlab.data.toy import MODE_STD, MODES


def test_toy_gaussian_is_standard_normal():
    data = gaussian(dimensions=3, n=20_000, seed=4, n_held_out=500)
    assert data.images.shape == (20_000, 3)
    assert data.images.dtype == np.float64
    assert data.held_out.images.shape == (500, 3)
    assert data.labels is None
    assert data.held_out.labels is None
    assert abs(data.images.mean(axis=0)).max() < 5 / np.sqrt(20_000)
    assert abs(np.cov(data.images.T) - np.eye(3)).max() < 5 * np.sqrt(2 / 20_000)
    assert not np.isin(data.held_out.images, data.images).any()
    assert not data.images.flags.writeable


def test_toy_gaussian_is_named_by_its_content():
    first, again = gaussian(n=100), gaussian(n=100)
    np.testing.assert_array_equal(first.images, again.images)
    others = [gaussian(n=100, seed=1), gaussian(n=101), gaussian(dimensions=2, n=100)]
    others.append(gaussian(n=100, n_held_out=5))
    assert first.id == again.id
    assert len({data.id for data in [first, *others]}) == 5


@pytest.mark.parametrize("name", ["dimensions", "n", "n_held_out"])
def test_toy_gaussian_refuses_bad_sizes(name):
    with pytest.raises(ValueError, match=f"{name} is 0"):
        gaussian(**{name: 0})
    with pytest.raises(TypeError, match=f"{name} must be a whole number"):
        gaussian(**{name: 1.5})


def test_toy_modes_lie_evenly_on_their_grid():
    data = modes(n=50_000, seed=3, n_held_out=500)
    assert data.images.shape == (50_000, 2)
    assert data.held_out.images.shape == (500, 2)
    assert not data.images.flags.writeable
    # Ten standard deviations lie between two modes, so rounding finds each point's own.
    nearest = np.rint(data.images).clip(-2, 2)
    counts = [(nearest == mode).all(1).sum() for mode in MODES]
    assert abs(np.array(counts) - 2_000).max() < 5 * np.sqrt(2_000)
    apart = data.images - nearest
    assert abs(apart.mean(0)).max() < 5 * MODE_STD / np.sqrt(50_000)
    assert apart.var(0) == pytest.approx(MODE_STD**2, rel=5 * np.sqrt(2 / 50_000))
    assert np.trace(np.cov(data.images.T)) == pytest.approx(4.02, rel=0.02)
    assert modes(n=50).id == modes(n=50).id != modes(n=50, seed=1).id


def test_toy_rosenbrock_has_the_density_it_names():
    x, y = rosenbrock(n=50_000, seed=3).images.T
    assert stats.kstest(x, "norm").pvalue > 1e-4
    assert stats.kstest((y - x**2) * np.sqrt(2), "norm").pvalue > 1e-4
    assert abs(np.corrcoef(x, y - x**2)[0, 1]) < 5 / np.sqrt(50_000)
