import copy
import math

import numpy as np
import pytest
import torch
from toys import started, tiny

from madlab.models import load
from madlab.models._nets.unet import FaceUNet
from madlab.models.diffusion import heun
from madlab.models.face_flow import WIDER, FaceFlow, GaussianFlow
from madlab.streams import generator
from madlab.training import Ema


def blots(n=80, size=16, seed=0):
    """Pictures in colour: a disc of any colour somewhere, on a ground of any colour."""
    rng = np.random.default_rng(seed)
    middles = rng.uniform(size * 0.3, size * 0.7, (2, n, 1, 1))
    rows, columns = np.mgrid[:size, :size]
    inside = (rows - middles[0]) ** 2 + (columns - middles[1]) ** 2 < (size / 4) ** 2
    disc, ground = rng.uniform(20, 235, (2, n, 1, 1, 3))
    images = np.where(inside[..., None], disc, ground) + rng.normal(0, 8, (n, size, size, 3))
    return images.clip(0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def fitted():
    model = tiny("face_flow")
    model.fit(blots(), seed=3)
    return model


def learner_of(model, images, seed=5):
    network = started(model, images, seed)
    return network, model._learner(network, images.shape[1:3], 1, seed)


def batch_of(learner, images, step):
    batch = {"images": torch.from_numpy(images), "labels": torch.zeros(len(images)).long()}
    return batch | learner.draw(step, len(images))


@pytest.mark.parametrize(("size", "levels"), [(8, 0), (20, 1), (32, 2), (64, 3), (128, 4)])
def test_the_network_maps_pictures_of_all_sizes_and_starts_at_zero(size, levels):
    network = FaceUNet(4, (size, size))
    x, time = torch.randn(2, 3, size, size), torch.tensor([0.0, 1.0])
    found = network(x, time)
    assert found.shape == x.shape
    assert not found.any()
    assert len(network.down) == levels
    for weight in network.parameters():
        torch.nn.init.normal_(weight, 0, 0.1)
    # Other neighbours in the batch change at most the order of sums.
    torch.testing.assert_close(network(x[1:], time[1:]), network(x, time)[1:])


def test_attention_joins_places_that_no_convolution_does():
    network = FaceUNet(4, (64, 64)).eval()
    for weight in network.parameters():
        torch.nn.init.normal_(weight, 0, 0.3)
    # Of the two levels with attention, without what lies below them: their own reach alone.
    level, maps = network.inward[-1], torch.randn(1, 16, 8, 8, requires_grad=True)
    level(maps, torch.zeros(1, 12))[0, 0, 0, 0].backward()
    assert maps.grad[0, :, 7, 7].any()
    assert [type(level.attention).__name__ for level in network.inward] == [
        "Identity",
        "Identity",
        "Attention",
    ]


def test_the_default_network_fits_a_cpu():
    weights = FaceUNet(FaceFlow().channels, (32, 32)).parameters()
    assert sum(weight.numel() for weight in weights) < 275_000


def gaussian_pictures(seed=0, size=12, count=3):
    """A linear flow with known mean and covariance, and that covariance written out."""
    rng = np.random.default_rng(seed)
    axes = np.linalg.qr(rng.normal(size=(size, count)))[0].T
    components = axes * np.array([4.0, 1.5, 0.6])[:, None]
    mean, rest = rng.normal(size=size), 0.04
    flow = GaussianFlow(size, count).double()
    total = (components**2).sum() + rest * (size - count)
    flow.become(torch.from_numpy(mean), torch.from_numpy(components), total)
    covariance = components.T @ components + rest * (np.eye(size) - axes.T @ axes)
    return flow, mean, covariance


def test_the_velocity_is_that_of_the_gaussian_with_this_mean_and_covariance():
    flow, mean, covariance = gaussian_pictures()
    x, times = torch.randn(5, 3, 2, 2).double(), torch.tensor([0.0, 0.1, 0.5, 0.9, 1.0]).double()
    for wider in (1.0, 2.0):
        found = flow.velocity(x, times, wider).flatten(1).numpy()
        for row, t, v in zip(x.flatten(1).numpy(), times.numpy(), found, strict=True):
            # E[picture - noise | x_t] of jointly Gaussian picture, noise and x_t.
            among = (1 - t) ** 2 * np.eye(12) + t**2 * wider * covariance
            cross = t * wider * covariance - (1 - t) * np.eye(12)
            expected = mean + cross @ np.linalg.solve(among, row - t * mean)
            np.testing.assert_allclose(v, expected, rtol=1e-6, atol=1e-6)


def test_the_flow_follows_its_own_velocity_and_ends_with_the_covariance():
    flow, mean, covariance = gaussian_pictures()
    u = torch.randn(2, 3, 2, 2).double()

    def at(t):
        return flow.coloured(u, u.new_full((2,), t))

    torch.testing.assert_close(at(0.0), u)
    for t in (0.2, 0.7):
        slope = (at(t + 1e-5) - at(t - 1e-5)) / 2e-5
        now = u.new_full((2,), t)
        torch.testing.assert_close(slope, flow.velocity(at(t), now), rtol=1e-6, atol=1e-6)
        torch.testing.assert_close(
            flow.whitened(flow.coloured(u, now), now),
            u + flow.whitened((t * flow.mean).expand(2, 12).reshape(2, 3, 2, 2), now),
        )
    end = torch.from_numpy(np.eye(12)).reshape(12, 3, 2, 2)
    root = flow.coloured(end, end.new_ones(12)).flatten(1).numpy() - mean
    np.testing.assert_allclose(root.T @ root, covariance, rtol=1e-6, atol=1e-6)


def test_an_untrained_model_samples_the_gaussian_of_its_pictures():
    images = blots(300)
    model = tiny("face_flow")
    model.fit(images, seed=0)
    network, _ = learner_of(model, images)
    model._network = network.eval()
    found = model.sample(600, seed=1).images / 255.0
    mirrored = np.concatenate([images, images[:, :, ::-1]]) / 255.0
    # Clipped at black and white, so the spread falls a little; 600 draws: 6% at most.
    assert found.var(0).sum() == pytest.approx(mirrored.var(0).sum(), rel=0.1)
    assert np.abs(found.mean(0) - mirrored.mean(0)).mean() < 0.02


class Constant(torch.nn.Module):
    """Stands in for a network: predicts one number and counts its calls."""

    def __init__(self, value):
        super().__init__()
        self.value = torch.nn.Parameter(torch.tensor(float(value)))
        self.calls = 0

    def forward(self, x, time):
        self.calls += 1
        self.given = x, time
        return self.value.expand_as(x)


def constants(model, images, main, early):
    network = started(model, images)
    network.main, network.early = Constant(main), Constant(early)
    model._network = network
    model._fitted = {"shape": np.array(images.shape[1:3]), "frequencies": np.ones(1)}
    return network


def test_at_bias_1_one_network_alone_is_evaluated():
    model = tiny("face_flow")
    network = constants(model, blots(), 0.1, 0.3)
    model.sample(5, seed=0)
    assert (network.main.calls, network.early.calls) == (2 * 3 - 1, 0)
    model.sample(5, bias=0.5, seed=0)
    assert (network.main.calls, network.early.calls) == (10, 5)


@pytest.mark.parametrize("bias", [1.0, 0.6])
def test_samples_follow_the_guided_velocity(bias):
    # In plain coordinates, by many small steps: d + w (d - e) with the two constant networks.
    model = tiny("face_flow", sampling_steps=20)
    network = constants(model, blots(), 0.1, 0.3)
    found = model.sample(4, bias=bias, seed=9).images.astype(float)
    x = torch.from_numpy(generator(9, "noise").standard_normal((4, 3, 16, 16), dtype=np.float32))
    x, linear, w = x.double(), copy.deepcopy(network.linear).double(), 1 / bias - 1

    def field(x, now):
        times = x.new_full((4,), now)
        d = linear.velocity(x, times) + 0.1
        e = linear.velocity(x, times, WIDER) + 0.3
        return d + w * (d - e)

    expected = (heun(field, x, 200).permute(0, 2, 3, 1).numpy() + 1) * 127.5
    np.testing.assert_allclose(found, expected.clip(0, 255), atol=3)


def test_guidance_against_a_wider_gaussian_narrows_as_its_closed_form_says():
    # One value N(0, s^2), seen by the wider guide as N(0, 2 s^2): each step is linear in x.
    flow = GaussianFlow(3, 1).double()
    s = 3.0
    flow.become(torch.zeros(3), torch.tensor([[s, 0.0, 0.0]]).double(), s**2 + 2.0)
    noise = torch.tensor([1.0, 0.0, 0.0]).double().reshape(1, 3, 1, 1)
    for w in (0.5, 1.0, 3.0):

        def field(x, now, w=w):
            d, e = (flow.velocity(x, x.new_full((1,), now), wider) for wider in (1.0, WIDER))
            return d + w * (d - e)

        found = heun(field, noise, 400)[0, 0, 0, 0].item()
        # Integral of (1 + w) slope(s^2) - w slope(2 s^2), each the derivative of log sqrt(S_t).
        assert found == pytest.approx(s ** (1 + w) * (s * math.sqrt(WIDER)) ** -w, rel=1e-3)


def test_the_loss_is_the_squared_error_of_the_velocity_on_half_mirrored_pictures():
    images = blots(400)
    model = tiny("face_flow")
    network, _ = learner_of(model, images)
    network.main, network.early = Constant(0.2), Constant(0.2)
    spy = network.main
    learner = model._learner(network, (16, 16), 1, 5)
    batch = batch_of(learner, images, 0)
    linear = copy.deepcopy(network.linear).double()
    loss = learner.update(batch, learner.kind(0)).item()
    x, times = (given.double() for given in spy.given)
    data = torch.from_numpy(images).double().permute(0, 3, 1, 2) / 127.5 - 1
    mirrored = batch["mirrored"] < 0.5
    assert mirrored.double().mean().item() == pytest.approx(0.5, abs=0.1)
    data[mirrored] = data[mirrored].flip(3)
    at = times[:, None, None, None]
    noise = batch["noise"].double()
    torch.testing.assert_close(x, (1 - at) * noise + at * data, rtol=1e-5, atol=1e-5)
    error = linear.velocity(x, times) + 0.2 - (data - noise)
    weight = ((1 - at) / (1 - at).clamp(min=0.05)).square()
    assert loss == pytest.approx((weight * error.square()).mean().item(), rel=1e-4)


def test_the_guide_is_the_average_up_to_the_early_share_and_stays():
    images = blots(16)
    model = tiny("face_flow", steps=12, early=0.5)
    network, learner = learner_of(model, images)
    average = Ema(network.main.parameters())
    kept = {}
    for step in range(12):
        learner.update(batch_of(learner, images, step), "plain")
        if step < 6:
            average.update()
        kept[step] = [weight.clone() for weight in network.early.parameters()]
    for found, expected in zip(kept[5], average.average, strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-7)
    assert all(torch.equal(a, b) for a, b in zip(kept[5], kept[11], strict=True))
    assert any(not torch.equal(a, b) for a, b in zip(kept[4], kept[5], strict=True))
    assert [learner.draw(step, 1)["rate"] > 0 for step in range(12)] == [True] * 6 + [False] * 6


def test_only_the_main_network_is_optimised_and_averaged():
    network, learner = learner_of(tiny("face_flow"), blots(16))
    main = {id(weight) for weight in network.main.parameters()}
    (group,) = learner.optimizers["network"].param_groups
    assert {id(weight) for weight in group["params"]} == main
    assert {id(weight) for weight in learner.averaged.parameters()} == main
    assert not any(weight.requires_grad for weight in network.early.parameters())
    kept = set(learner.networks.state_dict())
    assert {"pair.early.enter.weight", "pair.main.enter.weight", "pair.linear.axes"} <= kept


def test_the_linear_part_is_not_trained(fitted):
    network, _ = learner_of(tiny("face_flow"), blots(), seed=3)
    for name, value in network.linear.state_dict().items():
        torch.testing.assert_close(fitted._network.linear.state_dict()[name], value, rtol=0, atol=0)


def test_a_smaller_bias_lowers_the_spread_step_by_step(fitted):
    spreads = [
        fitted.sample(200, bias=bias, seed=2).images.astype(float).var(0).sum()
        for bias in (1.0, 0.7, 0.4)
    ]
    assert spreads[0] > 1.1 * spreads[1] > 1.1**2 * spreads[2]


def test_faces_of_64_pixels_have_their_shape_and_follow_the_noise(tmp_path):
    model = FaceFlow(channels=4, steps=2, batch=4, sampling_steps=1)
    model.fit(blots(12, 64), seed=0)
    one = model.sample(3, bias=0.5, seed=1)
    assert one.images.shape == (3, 64, 64, 3)
    assert one.images.dtype == np.uint8
    assert one.labels is None
    model.save(tmp_path)
    again = load(tmp_path)
    assert isinstance(again, FaceFlow)
    assert {path.name for path in tmp_path.iterdir()} == {"model.safetensors", "model.json"}
    np.testing.assert_array_equal(again.sample(3, bias=0.5, seed=1).images, one.images)


def test_the_same_noise_gives_corresponding_pictures_after_other_data(fitted):
    other = tiny("face_flow")
    other.fit(blots(seed=1), seed=4)
    one, two = (model.sample(100, seed=6).images.astype(float) for model in (fitted, other))
    one, two = one - one.mean(0), two - two.mean(0)
    found = (one * two).sum() / math.sqrt((one**2).sum() * (two**2).sum())
    assert found > 0.7
