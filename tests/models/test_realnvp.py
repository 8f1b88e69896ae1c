import math

import numpy as np
import pytest
import torch
from scipy.stats import multivariate_normal

from madlab.data import rosenbrock
from madlab.models import create, load
from madlab.models.base import NotFittedError
from madlab.models.realnvp import BATCH, LOG_SCALE, Coupling, Couplings, RealNvp

DATA = rosenbrock(12_000)
SHORT = {"epochs": 10, "batch": 128}


def true_log_density(points):
    x, y = points.T
    return -(x**2) / 2 - (y - x**2) ** 2 - math.log(2 * math.pi) - math.log(0.5) / 2


@pytest.fixture(scope="module")
def fitted():
    model = RealNvp(**SHORT)
    model.fit(DATA.images[10_000:], seed=3)
    return model


@pytest.fixture(scope="module")
def default():
    model = create("coupling")
    model.fit(DATA.images[:10_000], seed=0)
    return model


def test_default_settings_are_those_of_the_paper():
    settings = create("coupling").settings
    assert {name: settings[name] for name in ("couplings", "hidden", "epochs", "batch")} == {
        "couplings": 8,
        "hidden": 64,
        "epochs": 20,
        "batch": 256,
    }


def test_it_learns_the_rosenbrock_density(default):
    # The mean difference is the Kullback-Leibler divergence from the truth, so about zero or more.
    # Measured for five seeds and training sets: 0.0002 to 0.0017 nats, of an entropy of 2.49.
    points = DATA.held_out.images
    gap = (true_log_density(points) - default.log_likelihood(points)).mean()
    assert -0.001 < gap < 0.005
    entropy = 1 + math.log(2 * math.pi) + math.log(0.5) / 2
    # The standard deviation of the true log-density is 1, so the mean of 10,000 has an error 0.01.
    assert default.log_likelihood(points).mean() == pytest.approx(-entropy, abs=0.045)


def test_samples_have_the_moments_of_the_rosenbrock_density(default):
    n = 100_000
    x, y = default.sample(n, seed=5).images.T
    assert (x.mean(), x.std(), y.mean()) == pytest.approx((0, 1, 1), abs=0.05)
    assert y.std() == pytest.approx(math.sqrt(2.5), rel=0.05)
    assert (y - x**2).var() == pytest.approx(0.5, rel=0.05)


def test_the_density_integrates_to_one(fitted):
    step = 0.04
    x, y = np.arange(-10, 10, step), np.arange(-12, 30, step)
    grid = np.stack(np.meshgrid(x, y, indexing="ij"), -1).reshape(-1, 2)
    density = np.exp(fitted.log_likelihood(grid))
    # Smooth and all but zero at the border, so the sum is exact to far more than this.
    assert density.sum() * step**2 == pytest.approx(1, abs=1e-4)


@pytest.mark.parametrize("d", [2, 3, 4, 5])
def test_log_likelihood_is_the_change_of_variables_of_the_whole_jacobian(d):
    rng = np.random.default_rng(d)
    points = 3 + rng.standard_normal((200, d)) @ rng.standard_normal((d, d))
    model = RealNvp(couplings=5, hidden=16, **SHORT)
    model.fit(points, seed=1)
    noise = 2 * rng.standard_normal((6, d))
    found = model.forward(noise)
    mean, scale = map(torch.from_numpy, (model.fitted["mean"], model.fitted["scale"]))
    for z, x in zip(noise, found, strict=True):
        jacobian = torch.autograd.functional.jacobian(
            lambda one: mean + scale * model._network(one[None])[0], torch.from_numpy(z)
        )
        wanted = multivariate_normal.logpdf(z, np.zeros(d)) - jacobian.slogdet().logabsdet.item()
        # Rounding in 1e-16 grows through the couplings; a wrong term would be far larger.
        assert model.log_likelihood(x[None])[0] == pytest.approx(wanted, abs=1e-9)


def test_fitted_to_a_gaussian_it_approaches_the_density_of_scipy():
    covariance = np.array([[2.0, 1.2, 0.0], [1.2, 1.0, -0.3], [0.0, -0.3, 0.5]])
    truth = multivariate_normal([5, -3, 0], covariance)
    model = create("coupling", epochs=10)
    model.fit(truth.rvs(8000, random_state=0), seed=0)
    points = truth.rvs(4000, random_state=1)
    difference = truth.logpdf(points) - model.log_likelihood(points)
    assert -0.002 < difference.mean() < 0.02
    assert np.median(abs(difference)) < 0.1


@pytest.mark.parametrize("bias", [1.0, 0.75, 0.01])
def test_bias_is_the_variance_of_the_noise(fitted, bias):
    n = 50_000
    noise = fitted.inverse(fitted.sample(n, bias=bias, seed=2).images)
    # Five standard errors of a variance of Gaussian numbers, and of a mean.
    assert noise.var(axis=0) == pytest.approx(bias, abs=5 * bias * math.sqrt(2 / n))
    assert noise.mean(axis=0) == pytest.approx(0, abs=5 * math.sqrt(bias / n))
    unbiased = fitted.inverse(fitted.sample(n, seed=2).images)
    np.testing.assert_allclose(noise, math.sqrt(bias) * unbiased, atol=1e-9)


@pytest.mark.parametrize("far", [1, 100, 10_000])
def test_forward_and_inverse_undo_each_other_far_outside_the_data_too(default, far):
    away = far * np.random.default_rng(0).standard_normal((3000, 2))
    scale = default.fitted["scale"]
    points = default.fitted["mean"] + scale * away
    again = default.forward(default.inverse(points))
    assert (abs(again - points) / scale).max() < 1e-5
    assert abs(default.inverse(default.forward(away)) - away).max() < 1e-5
    assert np.isfinite(default.log_likelihood(points)).all()


def test_a_density_does_not_depend_on_how_many_are_asked_for(fitted):
    every = fitted.sample(2 * BATCH + 30, bias=0.7, seed=4).images
    density = fitted.log_likelihood(every)
    for some in (0, 1, BATCH - 1, BATCH, BATCH + 1):
        np.testing.assert_array_equal(fitted.log_likelihood(every[:some]), density[:some])


def test_one_seed_gives_corresponding_points_in_models_of_other_data(default, fitted):
    one, two = (model.sample(2000, seed=6).images for model in (default, fitted))
    for a, b in zip(one.T, two.T, strict=True):
        assert np.corrcoef(a, b)[0, 1] > 0.9


def test_log_scales_are_bounded_and_a_new_flow_only_permutes():
    network = Coupling(1, 2, 4)
    with torch.no_grad():
        network.leave.weight.fill_(1e6)
        scale, shift = network(torch.tensor([[1e6], [-3.0], [0.5]]))
    assert scale.shape == shift.shape == (3, 2)
    assert abs(scale).max() <= LOG_SCALE
    x = torch.randn(4, 3)
    noise, determinant = Couplings(3, couplings=2, hidden=4).inverse(x)
    torch.testing.assert_close(noise.sort(dim=1).values, x.sort(dim=1).values)
    assert determinant.tolist() == [0, 0, 0, 0]


@pytest.mark.parametrize("d", [2, 3, 6])
def test_two_couplings_move_every_coordinate(d):
    flow = Couplings(d, couplings=2, hidden=4)
    with torch.no_grad():
        for coupling in flow.couplings:
            _, shift = coupling.leave.bias.chunk(2)
            shift.fill_(100)
    assert flow(torch.randn(5, d)).min() > 50


def test_initial_weights_depend_on_the_seed():
    one, same, other = (
        RealNvp(couplings=2, hidden=4)._make(2, seed).couplings[0].enter.weight
        for seed in (1, 1, 2)
    )
    assert torch.equal(one, same)
    assert not torch.equal(one, other)


def test_saved_models_do_exactly_as_before(fitted, tmp_path):
    fitted.save(tmp_path)
    again = load(tmp_path)
    assert isinstance(again, RealNvp)
    assert again.settings == fitted.settings
    points = fitted.sample(20, bias=0.3, seed=5).images
    np.testing.assert_array_equal(again.sample(20, bias=0.3, seed=5).images, points)
    np.testing.assert_array_equal(again.log_likelihood(points), fitted.log_likelihood(points))
    np.testing.assert_array_equal(again.inverse(points), fitted.inverse(points))


def test_the_device_of_other_models_does_not_matter(monkeypatch):
    monkeypatch.setenv("MADLAB_DEVICE", "no such device")
    model = RealNvp(epochs=1)
    model.fit(DATA.images[:50], seed=0)
    assert np.isfinite(model.sample(5, seed=0).images).all()


def test_a_collapsing_loop_stays_finite_until_it_is_told_that_it_collapsed():
    model = RealNvp(couplings=4, hidden=8, epochs=2)
    points = DATA.images[:64]
    spreads = []

    def generations():
        nonlocal points
        for t in range(40):
            model.fit(points, seed=t)
            points = model.sample(64, bias=0.05, seed=t).images
            spreads.append(points.std(axis=0).max())
            assert np.isfinite(points).all()

    with pytest.raises(ValueError, match=r"constant, or nearly so .* stop a generation earlier"):
        generations()
    assert min(spreads) < 1e-8
    assert spreads == sorted(spreads, reverse=True)


def test_two_points_are_enough():
    model = create("coupling")
    points = np.array([[0.0, 1.0], [2.0, 5.0]])
    model.fit(points, seed=0)
    drawn = model.sample(1000, seed=0).images
    assert np.isfinite(drawn).all()
    assert drawn.std(axis=0) == pytest.approx(points.std(axis=0), rel=0.3)


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"couplings": 1}, ValueError, "couplings is 1; it must be at least 2"),
        ({"hidden": 0}, ValueError, "hidden is 0"),
        ({"epochs": 0}, ValueError, "epochs is 0"),
        ({"epochs": 1.5}, TypeError, "epochs must be a whole number"),
        ({"batch": -1}, ValueError, "batch is -1"),
        ({"learning_rate": 0}, ValueError, "learning_rate is 0; it must be above 0"),
        ({"learning_rate": math.nan}, ValueError, "learning_rate is nan"),
        ({"learning_rate": "fast"}, TypeError, "learning_rate must be a number, not 'fast'"),
        ({"layers": 3}, TypeError, "has no setting 'layers'"),
    ],
)
def test_settings_that_cannot_work_are_refused(settings, error, message):
    with pytest.raises(error, match=message):
        create("coupling", **settings)


GOOD = DATA.images[:20]


@pytest.mark.parametrize(
    ("points", "error", "message"),
    [
        (GOOD[:1], ValueError, "there are 1 rows of points; give at least 2"),
        (GOOD[:, :1], ValueError, "1 coordinate; couplings need at least 2"),
        (GOOD[:, 0], TypeError, r"not float64 with shape \(20,\)"),
        (GOOD.astype(np.float32), TypeError, "not float32"),
        (np.zeros((5, 28, 28), np.uint8), TypeError, r"not uint8 with shape \(5, 28, 28\)"),
        (GOOD * [1, np.nan], ValueError, "have NaN"),
        (GOOD * [1, np.inf], ValueError, "infinite values"),
        (GOOD * 1e101, ValueError, r"beyond 1e\+100"),
        (GOOD * [1, 0] + [0, 0.1], ValueError, "coordinate 1 of the points is constant"),
        (GOOD * [1e-12, 1] + [7, 0], ValueError, "coordinate 0 of the points is constant, or near"),
    ],
)
def test_points_that_cannot_be_fitted_are_refused_and_change_nothing(points, error, message):
    model = RealNvp(**SHORT)
    model.fit(GOOD, seed=0)
    before = model.sample(3, seed=0).images
    with pytest.raises(error, match=message):
        model.fit(points, seed=0)
    np.testing.assert_array_equal(model.sample(3, seed=0).images, before)


def test_requests_that_cannot_work_are_refused(fitted):
    model = create("coupling")
    for call in (model.forward, model.inverse, model.log_likelihood):
        with pytest.raises(NotFittedError, match="call fit"):
            call(GOOD)
    for call in (fitted.forward, fitted.inverse, fitted.log_likelihood):
        with pytest.raises(ValueError, match=r"shape \(n, 2\), not \(4, 3\)"):
            call(np.zeros((4, 3)))
        with pytest.raises(TypeError, match="not int64"):
            call(np.zeros((4, 2), np.int64))
        with pytest.raises(ValueError, match="NaN"):
            call(np.full((4, 2), np.nan))
