"""The GAN of faces: its start, its bias, its switches, its augmentations and its promises."""

import copy
from functools import partial

import numpy as np
import pytest
import torch
from toys import data_of, learner_and_batch, spots, started, tiny

from madlab.models._nets.faces import (
    LATENT,
    UPSAMPLINGS,
    Discriminator,
    Generator,
    Modulated,
    deviation,
)
from madlab.models._nets.unet import widths
from madlab.models.augment import NUMBERS, augmented, flipped
from madlab.models.face_gan import FaceGan
from madlab.models.neural import CPU_BATCH
from madlab.models.principal import Principal
from madlab.streams import generator


@pytest.fixture(scope="module")
def fitted():
    model = tiny("face_gan")
    model.fit(*data_of("face_gan"), seed=3)
    return model


@pytest.mark.parametrize(
    ("shape", "halved", "coarse"),
    [
        ((8, 8), 1, (4, 4)),
        ((16, 16), 2, (4, 4)),
        ((20, 28), 2, (5, 7)),
        ((32, 32), 3, (4, 4)),
        ((64, 64), 4, (4, 4)),
        ((128, 128), 5, (4, 4)),
    ],
)
def test_networks_start_at_four_pixels_and_map_shapes(shape, halved, coarse):
    draw, judge = Generator(4, shape), Discriminator(4, shape)
    assert widths(3, shape, 8) == [3, 6, 12, 24, 24][:halved]
    assert draw.coarse == coarse
    pictures = draw(torch.randn(2, LATENT), torch.zeros(2))
    assert pictures.shape == (2, 3, *shape)
    assert judge(pictures, torch.zeros(2)).shape == (2,)


@pytest.mark.parametrize("upsampling", UPSAMPLINGS)
@pytest.mark.parametrize("noise", [False, True])
@pytest.mark.parametrize("linear", [False, True])
def test_every_switch_trains_and_samples(upsampling, noise, linear):
    model = tiny("face_gan", steps=2, upsampling=upsampling, noise=noise, linear=linear)
    model.fit(spots(20), seed=0)
    found = model.sample(5, seed=1)
    assert found.images.shape == (5, 16, 16, 3)
    assert found.images.std() > 0
    assert found.labels is None


def test_default_networks_are_small():
    model = FaceGan()
    sizes = [
        sum(weight.numel() for weight in network.parameters())
        for network in (model._make((32, 32), 1), Discriminator(model.channels))
    ]
    assert sizes[0] < 420_000
    assert sizes[1] < 240_000


def test_it_starts_as_the_principal_component_gaussian():
    model = tiny("face_gan")
    model.fit(spots(), seed=0)
    model._network = started(model, spots())
    control = Principal()
    control.fit(spots(), seed=0)
    for bias in (1.0, 0.6):
        found = model.sample(150, bias=bias, seed=4).images.astype(int)
        wanted = control.sample(150, bias=bias, seed=4).images.astype(int)
        # wavg, over 4,096 z, is not quite zero; at bias 1 only float32 and rounding differ.
        if bias == 1:
            assert np.abs(found - wanted).max() <= 1
            assert (found != wanted).mean() < 0.001
        else:
            assert np.abs(found - wanted).mean() < 1
    assert wanted.std() > 10


def test_without_the_linear_picture_nothing_is_started():
    model = tiny("face_gan", linear=False)
    network = started(model, spots())
    assert network.linear is None
    assert all(level.skip is None for level in network.levels)
    assert torch.equal(network.leave.weight, started(model, spots(seed=1)).leave.weight)
    assert network.leave.weight.std() > 0


@pytest.mark.parametrize("bias", [1.0, 0.7, 0.01])
def test_bias_draws_w_to_its_average(fitted, bias):
    network = fitted._network
    z = generator(9, "noise").standard_normal((CPU_BATCH, LATENT), dtype=np.float32)
    fixed = generator(0, "truncation").standard_normal((4096, LATENT), dtype=np.float32)
    seen = []
    hook = network.enter.register_forward_hook(lambda _, given, __: seen.append(given[0]))
    fitted.sample(CPU_BATCH, bias=bias, seed=9)
    hook.remove()
    with torch.no_grad():
        w, average = (network.mapping(torch.from_numpy(x)) for x in (z, fixed))
        centre = average.mean(0)
    torch.testing.assert_close(seen[0], centre + bias * (w - centre), atol=1e-5, rtol=1e-5)


def test_demodulation_equals_that_of_weights():
    layer = Modulated(6, 5)
    x, w = torch.randn(3, 6, 7, 7), torch.randn(3, LATENT)
    found = layer(x, w, iter(()))
    for i in range(3):
        weight = layer.weight * (1 + layer.style(w[i]))[None, :, None, None]
        weight = weight / weight.square().sum((1, 2, 3), keepdim=True).sqrt()
        before = 1.4 * torch.where(x[i] < 0, 0.2 * x[i], x[i])
        wanted = torch.nn.functional.conv2d(before[None], weight, padding=1)[0]
        torch.testing.assert_close(found[i], wanted, atol=1e-5, rtol=1e-4)


def test_noise_for_each_pixel_acts_once_its_strength_is_learnt():
    network = Generator(4, (16, 16), noise=True)
    assert network.noise_length == LATENT + 2 * 8 * 8
    z = torch.randn(4, network.noise_length)
    z[1:] = torch.cat([z[:1, :LATENT].expand(3, -1), z[1:, LATENT:]], dim=1)
    torch.nn.init.normal_(network.leave.weight)
    pictures = network(z, torch.zeros(4))
    torch.testing.assert_close(pictures[1:], pictures[:1].expand(3, -1, -1, -1))
    with torch.no_grad():
        network.levels[0].fine.strength.fill_(1)
    assert (network(z, torch.zeros(4))[1] - pictures[0]).abs().mean() > 0.01


def test_deviation_is_over_groups_that_never_mix_the_halves():
    x = torch.randn(32, 5)
    x[:16] *= 3
    found = deviation(x)
    for k in range(4):
        part = x[8 * k : 8 * k + 8]
        wanted = part.std(dim=0, correction=0).mean()
        torch.testing.assert_close(found[8 * k : 8 * k + 8, 0], wanted.expand(8))
    # Twelve real and twelve drawn: groups of four.
    torch.testing.assert_close(
        deviation(x[:24])[12], x[12:16].std(dim=0, correction=0).mean()[None]
    )
    # An odd number has no halves, as where a generator of batch 17 is scored alone.
    torch.testing.assert_close(deviation(x[:17]), torch.full((17, 1), 1e-4))


def numbers(n, **columns):
    """Numbers that choose no change but those of the columns given."""
    found = torch.full((n, NUMBERS), 0.999)
    for name, value in columns.items():
        found[:, int(name[1:])] = value
    return found


def test_unchosen_pictures_are_left_as_they_are():
    x = torch.randn(4, 3, 16, 16)
    torch.testing.assert_close(augmented(x, numbers(4), 0.5), x)


def test_each_change_is_what_it_says():
    x, augment = torch.randn(4, 3, 16, 16), partial(augmented, probability=0.5)
    torch.testing.assert_close(augment(x, numbers(4, c0=0.1, c1=0.75)), x + 0.25)
    grey = x.mean(1, keepdim=True).expand_as(x)
    torch.testing.assert_close(augment(x, numbers(4, c2=0.1, c3=0.0)), grey)
    middle = x.mean((1, 2, 3), keepdim=True)
    half = augment(x, numbers(4, c4=0.1, c5=0.0))
    torch.testing.assert_close(half, middle + (x - middle) / 2)
    moved = augment(x, numbers(4, c6=0.1, c7=1.0, c8=0.25))
    torch.testing.assert_close(moved[:, :, 2:, :15], x[:, :, :14, 1:])
    assert moved[:, :, :2].abs().max() == moved[:, :, :, 15].abs().max() == 0
    cut = augment(x, numbers(4, c9=0.1, c10=0.5, c11=0.0))
    assert (cut[0, 0] == 0).sum() == 6 * 3
    torch.testing.assert_close(cut[:, :, 5:11, :3].abs().max(), torch.tensor(0.0))
    assert torch.equal(cut[:, :, :, 3:], x[:, :, :, 3:])


def test_changes_come_with_their_probability_and_pass_gradients():
    x = torch.randn(2000, 3, 8, 8, requires_grad=True)
    drawn = torch.from_numpy(np.random.default_rng(0).random((2000, NUMBERS), dtype=np.float32))
    found = augmented(x, drawn, 0.3)
    same = (found - x).abs().flatten(1).amax(1) < 1e-5
    # Five changes, of which a shift by under half a pixel is none: 0.7^5 and a little more.
    assert 0.14 < same.double().mean().item() < 0.24
    (slope,) = torch.autograd.grad(found.square().sum(), x)
    assert (slope.flatten(1).abs().amax(1) > 0).all()


def test_flips_mirror_half_of_the_pictures():
    x = torch.randn(2, 3, 8, 8)
    found = flipped(x, torch.tensor([0.2, 0.7]))
    assert torch.equal(found[0], x[0].flip(2))
    assert torch.equal(found[1], x[1])


@pytest.mark.parametrize("step", [0, 1])
def test_a_step_is_that_of_the_digits_on_augmented_pictures(step):
    learner, batch = learner_and_batch("face_gan", step)
    draw, judge = (copy.deepcopy(network) for network in learner.networks.values())
    losses = learner.update(batch, learner.kind(step))

    augment = partial(augmented, probability=0.3)
    real = (batch["images"].float() / 127.5 - 1).permute(0, 3, 1, 2)
    real = torch.where(batch["flips"][:, None, None, None] < 0.5, real.flip(3), real)
    real = augment(real, batch["on_real"]).requires_grad_()
    fake = augment(draw(batch["noise"], None), batch["on_drawn"])
    apart = fake.detach().requires_grad_()
    on_real, on_fake = judge(real, None), judge(apart, None)
    telling = torch.log1p(torch.exp(on_fake - on_real)).mean()
    if step == 0:
        for scores, pictures in ((on_real, real), (on_fake, apart)):
            (slopes,) = torch.autograd.grad(scores.sum(), pictures, create_graph=True)
            telling = telling + 4 * 0.3 / 2 * slopes.square().sum((1, 2, 3)).mean()
    slow = torch.optim.Adam(judge.parameters(), 2e-3, (0.0, 0.99), foreach=False)
    telling.backward(inputs=list(judge.parameters()))
    slow.step()
    fooling = torch.log1p(torch.exp(judge(real, None) - judge(fake, None))).mean()
    assert losses.tolist() == pytest.approx([telling.item(), fooling.item()], rel=1e-4)


def test_learning_rate_warms_up_and_falls_over_the_last_30_percent():
    factors = [FaceGan()._schedule(step, 1000) for step in (0, 24, 49, 699, 850)]
    assert factors == pytest.approx([0.02, 0.5, 1, 1, 0.5])


def test_it_learns_the_mean_picture_from_nothing():
    images = spots(200)
    wanted = images.mean(axis=0)

    def away(steps):
        model = tiny("face_gan", steps=steps, augmentation=0, linear=False)
        model.fit(images, seed=0)
        return np.abs(model.sample(100, seed=1).images.mean(axis=0) - wanted).mean()

    assert away(200) < away(1) / 3
