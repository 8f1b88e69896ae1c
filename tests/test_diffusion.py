import math

import numpy as np
import pytest
import torch

from madlab import training
from madlab.models import create, load, recipes
from madlab.models._nets.unet import UNet, adaptive_norm
from madlab.models.base import NotFittedError
from madlab.models.checks import check_model
from madlab.models.diffusion import Diffusion, guidance
from madlab.models.neural import CPU_BATCH
from madlab.models.recipes import Ddpm, heun, velocity
from madlab.streams import generator

TINY = {"channels": 4, "steps": 30, "batch": 16}


def halves(n=60, seed=0):
    """Pictures of 8 x 8 pixels, the upper half bright in class 0, the lower in class 1."""
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % 2
    images = rng.integers(0, 60, (n, 8, 8))
    images[labels == 0, :4] += 150
    images[labels == 1, 4:] += 150
    return images.astype(np.uint8), labels


@pytest.fixture(scope="module")
def fitted():
    model = Diffusion(**TINY)
    model.fit(*halves(), seed=3)
    return model


def test_the_default_network_has_fewer_than_100_000_weights():
    network = UNet(Diffusion().channels, 10)
    assert sum(weight.numel() for weight in network.parameters()) < 100_000
    assert network(torch.zeros(2, 1, 28, 28), torch.zeros(2), torch.tensor([0, 10])).shape == (
        2,
        1,
        28,
        28,
    )


def test_adaptive_norm_equals_group_norm_then_scale_and_shift():
    x, scale, shift = torch.randn(3, 8, 5, 5), torch.randn(3, 8), torch.randn(3, 8)
    plain = torch.nn.functional.group_norm(x, 4) * scale[..., None, None] + shift[..., None, None]
    torch.testing.assert_close(adaptive_norm(x, scale, shift), plain)


@pytest.mark.parametrize(("bias", "weight"), [(1, 0), (0.5, 1), (0.25, 3), (0.8, 0.25)])
def test_guidance_weight(bias, weight):
    assert guidance(bias) == pytest.approx(weight)


@pytest.mark.parametrize("steps", [1, 4, 7])
def test_exact_prediction_of_a_single_picture_leads_to_it(steps):
    target = torch.randn(1, 8, 8)
    noise = torch.randn(5, 1, 8, 8)
    found = heun(lambda x, now: velocity(target, x, now), noise, steps)
    torch.testing.assert_close(found, target.expand_as(found))


def test_heun_converges_with_order_two_to_the_flow_of_a_gaussian():
    # Data N(m, s^2): E[picture | x_t] is linear, and the flow takes x_0 to m + s x_0 exactly.
    m, s = 0.7, 0.4
    noise = torch.linspace(-2, 2, 9, dtype=torch.float64)

    def field(x, now):
        variance = (1 - now) ** 2 + (now * s) ** 2
        return velocity(m + now * s**2 / variance * (x - now * m), x, now)

    errors = [(heun(field, noise, n) - (m + s * noise)).abs().max().item() for n in (32, 64, 128)]
    orders = [math.log2(errors[i] / errors[i + 1]) for i in (0, 1)]
    assert orders == pytest.approx([2, 2], abs=0.15)
    assert errors[-1] < 1e-3


def test_heun_takes_seven_evaluations_for_four_steps():
    times = []

    def field(x, now):
        times.append(now)
        return x

    heun(field, torch.zeros(1), 4)
    assert times == [0, 0.25, 0.25, 0.5, 0.5, 0.75, 0.75]


class Spy(torch.nn.Module):
    """Stands in for the network: keeps what it is given and predicts a constant."""

    classes = 2

    def __init__(self):
        super().__init__()
        self.constant = torch.nn.Parameter(torch.tensor(0.3))

    def forward(self, x, time, labels):
        self.given = x.double(), time.double(), labels
        return self.constant.expand_as(x)


def one_loss(spy, images, labels, seed, step, recipe="flow"):
    """Return the loss of one training step on these very pictures."""
    learner = Diffusion(recipe)._learner(spy, images.shape[1:], Spy.classes, seed)
    batch = {"images": torch.from_numpy(images), "labels": torch.from_numpy(labels)}
    batch |= learner.draw(step, len(images))
    return learner.update(batch, learner.kind(step), 1).item()


def test_loss_is_the_squared_error_of_the_velocity():
    images, labels = halves(4000)
    spy = Spy()
    loss = one_loss(spy, images, labels, 5, 0)
    x, time, given = spy.given
    data = torch.from_numpy(images)[:, None].double() / 127.5 - 1
    at = time[:, None, None, None]
    noise = (x - at * data) / (1 - at)
    assert noise.mean().item() == pytest.approx(0, abs=0.01)
    assert noise.std().item() == pytest.approx(1, abs=0.01)
    found, wanted = (0.3 - x) / (1 - at), data - noise
    near = (1 - at) < recipes.NEAREST
    error = (found - wanted).square() * torch.where(near, (1 - at) / recipes.NEAREST, 1) ** 2
    assert loss == pytest.approx(error.mean().item(), rel=1e-4)
    # t = sigmoid(N(0, 1)); a tenth of the labels is dropped, the others are as they were.
    logit = time.logit()
    assert (logit.mean().item(), logit.std().item()) == pytest.approx((0, 1), abs=0.05)
    dropped = given == Spy.classes
    assert dropped.double().mean().item() == pytest.approx(0.1, abs=0.02)
    np.testing.assert_array_equal(given[~dropped], labels[~dropped.numpy()])


def kept_by_hand():
    """The share of the picture at each of the 500 levels, multiplied up one by one."""
    kept, share = [], 1.0
    for t in range(500):
        share *= 1 - (2e-4 + (0.04 - 2e-4) * t / 499)
        kept.append(share)
    return np.array(kept)


def test_ddpm_mixes_noise_in_and_is_taught_to_predict_it():
    images, labels = halves(4000)
    spy = Spy()
    loss = one_loss(spy, images, labels, 5, 0, recipe="ddpm")
    x, time, _ = spy.given
    levels = (time.numpy() * 500).round().astype(int)
    assert levels.min() >= 1
    assert levels.max() <= 500
    np.testing.assert_allclose(np.histogram(levels, 5, (1, 500))[0], 800, atol=120)
    kept = kept_by_hand()[levels - 1][:, None, None, None]
    data = images[:, None] / 127.5 - 1
    noise = (x.numpy() - np.sqrt(kept) * data) / np.sqrt(1 - kept)
    assert (noise.mean(), noise.std()) == pytest.approx((0, 1), abs=0.01)
    assert loss == pytest.approx(((0.3 - noise) ** 2).mean(), rel=1e-3)
    assert kept_by_hand()[-1] < 1e-4


def spread_after(steps, kept, s):
    """The deviation of samples of N(m, s^2) data: each step maps Gaussians to Gaussians."""
    levels = np.linspace(500 / steps, 500, steps).round().astype(int) - 1
    variance = 1.0
    for here, before in zip(kept[levels][::-1], np.r_[1.0, kept[levels]][-2::-1], strict=True):
        # What is left of x in the mean of the next level, through the predicted picture too.
        towards = np.sqrt(here) * s**2 / (here * s**2 + 1 - here)
        step = here / before
        if before == 1.0:
            return math.sqrt(towards**2 * variance)
        gain = np.sqrt(before) * (1 - step) / (1 - here) * towards
        gain += np.sqrt(step) * (1 - before) / (1 - here)
        variance = gain**2 * variance + 1 - step


@pytest.mark.parametrize("steps", [500, 50])
def test_ancestral_sampling_of_a_gaussian_has_its_mean_and_deviation(steps):
    # Data N(m, s^2): the noise in x_t is known in closed form, so only the sampler can err.
    m, s = 0.2, 0.15
    kept = kept_by_hand()

    def predict(x, times):
        a = kept[int(times[0] * 500 + 0.5) - 1]
        variance = a * s**2 + 1 - a
        return math.sqrt(1 - a) * (x - math.sqrt(a) * m) / variance

    draws = training.Draws(torch.device("cpu"), 0, "test")
    found = Ddpm().pictures(predict, draws.normal(16_000, 1, 2, 2), steps, draws).numpy()
    assert found.mean() == pytest.approx(m, abs=0.005)
    expected = spread_after(steps, kept, s)
    # 64,000 numbers: a standard error of 0.3%.
    assert found.std() == pytest.approx(expected, rel=0.012)
    assert expected == pytest.approx(s, rel=0.015 if steps == 500 else 0.07)


def test_ancestral_sampling_visits_equally_spaced_levels_down_to_the_first():
    seen = []

    def predict(x, times):
        seen.append(round(float(times[0]) * 500))
        return x

    draws = training.Draws(torch.device("cpu"), 0, "test")
    Ddpm().pictures(predict, draws.normal(1, 1, 2, 2), 5, draws)
    assert seen == [500, 400, 300, 200, 100]
    seen.clear()
    Ddpm().pictures(predict, draws.normal(1, 1, 2, 2), 500, draws)
    assert seen == list(range(500, 0, -1))


def test_training_noise_is_a_function_of_seed_and_step():
    losses = [
        one_loss(Spy(), *halves(8), seed, step) for seed, step in [(1, 0), (1, 1), (2, 0), (1, 0)]
    ]
    assert losses[0] == losses[3]
    assert len(set(losses)) == 3


@pytest.mark.parametrize("bias", [1.0, 0.4])
def test_sampling_follows_the_guided_velocity(fitted, bias):
    network, n = fitted._network, CPU_BATCH
    labels = np.arange(n) % 2
    found = fitted.sample(n, bias=bias, seed=9, labels=labels)
    x = torch.from_numpy(generator(9, "noise").standard_normal((n, 1, 8, 8), dtype=np.float32))
    asked, nothing = torch.from_numpy(labels), torch.full((n,), 2)
    w = 1 / bias - 1

    def slope(x, t):
        with torch.no_grad():
            c, u = (
                (network(x, torch.full((n,), t), given) - x) / (1 - t) for given in (asked, nothing)
            )
        return c + w * (c - u)

    for t in (0, 0.25, 0.5):
        first = slope(x, t)
        x = x + 0.125 * (first + slope(x + 0.25 * first, t + 0.25))
    x = x + 0.25 * slope(x, 0.75)
    expected = (x[:, 0].numpy() + 1) * 127.5
    # Rounding may fall to either side where the two orders of adding differ.
    assert np.abs(found.images - expected.clip(0, 255)).max() < 0.51


def test_it_keeps_the_promises_of_a_model():
    # Classes that overlap: even shades, dark in class 0 and light in class 1, so that guidance has
    # something to push away from.
    labels = np.arange(400) % 2
    rng = np.random.default_rng(0)
    shades = rng.normal(np.where(labels == 0, 90, 165), 40).clip(0, 255)
    images = np.tile(shades[:, None, None], (1, 8, 8)).astype(np.uint8)
    model = Diffusion(channels=8, steps=120, batch=32, label_dropout=0.3)
    check_model(model, images, labels, bias=0.25)


def test_ddpm_keeps_the_promises_of_a_model():
    labels = np.arange(400) % 2
    rng = np.random.default_rng(0)
    shades = rng.normal(np.where(labels == 0, 90, 165), 40).clip(0, 255)
    images = np.tile(shades[:, None, None], (1, 8, 8)).astype(np.uint8)
    settings = {"channels": 8, "steps": 120, "batch": 32, "sampling_steps": 10}
    check_model(Diffusion("ddpm", **settings, label_dropout=0.3), images, labels, bias=0.25)


@pytest.mark.parametrize("recipe", ["flow", "ddpm"])
def test_it_learns_the_classes(recipe):
    model = Diffusion(**{**TINY, "steps": 150}, recipe=recipe)
    model.fit(*halves(200), seed=0)
    images, labels = model.sample(100, seed=1)
    upper, lower = images[:, :4].mean((1, 2)), images[:, 4:].mean((1, 2))
    assert ((lower > upper) == (labels == 1)).mean() > 0.9
    assert labels.mean() == pytest.approx(0.5, abs=0.15)


def test_digit_i_does_not_depend_on_how_many_are_drawn(fitted):
    labels = np.random.default_rng(0).integers(0, 2, 230)
    every = fitted.sample(230, bias=0.5, seed=4, labels=labels)
    for n in (0, 1, 99, 100, 101):
        some = fitted.sample(n, bias=0.5, seed=4, labels=labels[:n])
        np.testing.assert_array_equal(some.images, every.images[:n])
    np.testing.assert_array_equal(
        fitted.sample(7, seed=4).labels, fitted.sample(130, seed=4).labels[:7]
    )


def test_digit_i_does_not_depend_on_other_labels(fitted):
    one, two = np.zeros(20, np.int64), np.r_[np.zeros(10, np.int64), np.ones(10, np.int64)]
    first = fitted.sample(20, seed=4, labels=one).images
    second = fitted.sample(20, seed=4, labels=two).images
    np.testing.assert_array_equal(first[:10], second[:10])
    assert (first[10:] != second[10:]).any()


def test_equal_seeds_give_equal_models_and_torch_s_own_randomness_is_left_alone(fitted):
    torch.manual_seed(123)
    before = torch.get_rng_state()
    again = Diffusion(**TINY)
    again.fit(*halves(30, seed=8), seed=77)
    again.fit(*halves(), seed=3)
    assert torch.equal(torch.get_rng_state(), before)
    other = Diffusion(**TINY)
    other.fit(*halves(), seed=4)
    expected = fitted.sample(50, seed=1).images
    np.testing.assert_array_equal(again.sample(50, seed=1).images, expected)
    assert (other.sample(50, seed=1).images != expected).any()
    assert (fitted.sample(50, seed=2).images != expected).any()


def test_saved_models_sample_exactly_as_before(fitted, tmp_path):
    fitted.save(tmp_path)
    again = load(tmp_path)
    assert isinstance(again, Diffusion)
    assert again.settings == fitted.settings
    one, two = (model.sample(12, bias=0.3, seed=5) for model in (fitted, again))
    np.testing.assert_array_equal(one.images, two.images)
    np.testing.assert_array_equal(one.labels, two.labels)


def test_an_exception_in_progress_stops_the_fit_and_leaves_no_model():
    model = Diffusion(**TINY)
    model.fit(*halves(), seed=0)

    def progress(fraction):
        raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        model.fit(*halves(), seed=0, progress=progress)
    with pytest.raises(NotFittedError):
        model.sample(1, seed=0)


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"recipe": "edm"}, ValueError, "no recipe is named 'edm'; there are: flow, ddpm"),
        ({"recipe": "ddpm", "sampling_steps": 501}, ValueError, "'ddpm' takes at most 500"),
        ({"channels": 6}, ValueError, "channels is 6; it must be a multiple of 4"),
        ({"channels": 0}, ValueError, "channels is 0"),
        ({"steps": 0}, ValueError, "steps is 0"),
        ({"steps": 1.5}, TypeError, "steps must be a whole number"),
        ({"batch": -1}, ValueError, "batch is -1"),
        ({"sampling_steps": 0}, ValueError, "sampling_steps is 0"),
        ({"learning_rate": -1e-3}, ValueError, "learning_rate is -0.001"),
        ({"learning_rate": math.nan}, ValueError, "learning_rate is nan"),
        ({"learning_rate": "fast"}, TypeError, "learning_rate must be a number, not 'fast'"),
        ({"label_dropout": 0.0}, ValueError, "label_dropout is 0.0"),
        ({"label_dropout": 1.0}, ValueError, "label_dropout is 1.0"),
        ({"step": 3}, TypeError, "did you mean 'steps'"),
    ],
)
def test_settings_that_cannot_work_are_refused(settings, error, message):
    with pytest.raises(error, match=message):
        create("diffusion", **settings)


def test_data_that_cannot_work_are_refused(fitted):
    images, labels = halves()
    model = Diffusion(**TINY)
    with pytest.raises(NotFittedError):
        model.sample(1, seed=0)
    with pytest.raises(ValueError, match="give labels"):
        model.fit(images, seed=0)
    with pytest.raises(ValueError, match="need shape"):
        model.fit(images, labels[1:], seed=0)
    with pytest.raises(ValueError, match="7 x 8 pixels; both sides must be multiples of 4"):
        model.fit(images[:, 1:], labels, seed=0)
    with pytest.raises(TypeError, match="uint8"):
        model.fit(images / 255, labels, seed=0)
    with pytest.raises(ValueError, match="2 classes"):
        fitted.sample(1, seed=0, labels=np.array([2]))
    gap = Diffusion(**{**TINY, "steps": 1})
    gap.fit(images, labels * 2, seed=0)
    with pytest.raises(ValueError, match="label 1 is on no training image"):
        gap.sample(3, seed=0, labels=np.array([0, 1, 2]))
    for bias in (0, -1, 1.1, math.nan):
        with pytest.raises(ValueError, match="bias is"):
            fitted.sample(1, bias=bias, seed=0)
    with pytest.raises(ValueError, match="n is -1"):
        fitted.sample(-1, seed=0)
