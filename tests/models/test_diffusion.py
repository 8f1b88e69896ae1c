import math

import numpy as np
import pytest
import torch
from toys import data_of, halves, tiny

from madlab import training
from madlab.models import diffusion
from madlab.models._nets.unet import UNet, adaptive_norm
from madlab.models.diffusion import Ddpm, Diffusion, heun
from madlab.models.neural import CPU_BATCH
from madlab.streams import generator


@pytest.fixture(scope="module")
def fitted():
    model = tiny("diffusion")
    model.fit(*data_of("diffusion"), seed=3)
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


@pytest.mark.parametrize("steps", [1, 4, 7])
def test_exact_prediction_of_a_single_picture_leads_to_it(steps):
    target = torch.randn(1, 8, 8)
    noise = torch.randn(5, 1, 8, 8)
    found = heun(lambda x, now: (target - x) / (1 - now), noise, steps)
    torch.testing.assert_close(found, target.expand_as(found))


def test_heun_converges_with_order_two_to_the_flow_of_a_gaussian():
    # Data N(m, s^2): E[picture | x_t] is linear, and the flow takes x_0 to m + s x_0 exactly.
    m, s = 0.7, 0.4
    noise = torch.linspace(-2, 2, 9, dtype=torch.float64)

    def field(x, now):
        variance = (1 - now) ** 2 + (now * s) ** 2
        picture = m + now * s**2 / variance * (x - now * m)
        return (picture - x) / (1 - now)

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
    return learner.update(batch, learner.kind(step)).item()


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
    near = (1 - at) < diffusion.NEAREST
    error = (found - wanted).square() * torch.where(near, (1 - at) / diffusion.NEAREST, 1) ** 2
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
