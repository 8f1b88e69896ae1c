import copy
import math

import numpy as np
import pytest
import torch

from madlab.models import create, gan
from madlab.models._nets.digits import Discriminator, Generator
from madlab.models.base import NotFittedError
from madlab.models.checks import check_model
from madlab.models.gan import Gan, gradient_penalty, relative_loss
from madlab.models.neural import CPU_BATCH
from madlab.streams import generator
from madlab.training import seeded

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
    model = Gan(**TINY)
    model.fit(*halves(), seed=3)
    return model


def learner_and_batch(step, seed=5):
    """A learner of tiny networks, and all that its step `step` is given."""
    images, labels = halves(16)
    model = Gan(**TINY)
    network = seeded(lambda: model._make((8, 8), 2), seed)
    learner = model._learner(network, (8, 8), 2, seed)
    batch = {"images": torch.from_numpy(images), "labels": torch.from_numpy(labels)}
    return learner, batch | learner.draw(step, len(labels))


def weights(learner):
    return torch.cat([weight.detach().flatten() for weight in learner.networks.parameters()])


@pytest.mark.parametrize("shape", [(28, 28), (8, 12)])
def test_networks_map_shapes_and_look_at_each_picture_alone(shape):
    z, labels = torch.randn(6, 48), torch.tensor([0, 1, 2, 0, 1, 2])
    draw, judge = Generator(8, 3, shape=shape), Discriminator(8, 3, shape, blocks=1)
    pictures = draw(z, labels)
    assert pictures.shape == (6, 1, *shape)
    assert pictures.abs().max() < 1
    scores = judge(pictures, labels)
    assert scores.shape == (6,)
    # Other neighbours in the batch change at most the order of sums.
    torch.testing.assert_close(draw(z[2:4], labels[2:4]), pictures[2:4])
    torch.testing.assert_close(judge(pictures[2:4], labels[2:4]), scores[2:4])
    assert not torch.allclose(draw(z, 2 - labels)[0], pictures[0])
    assert not torch.allclose(judge(pictures, 2 - labels)[0], scores[0])


def test_default_networks_are_small():
    model = Gan()
    sizes = [
        sum(weight.numel() for weight in network.parameters())
        for network in (
            model._make((28, 28), 10),
            Discriminator(model.channels, 10, blocks=gan.BLOCKS),
        )
    ]
    assert sizes[0] < 180_000
    assert sizes[1] < 240_000


def test_penalty_of_a_linear_discriminator_is_the_squared_length_of_its_weights():
    weight = torch.randn(5, 7, requires_grad=True)
    pictures = torch.randn(9, 1, 5, 7, requires_grad=True)
    penalty = gradient_penalty((pictures[:, 0] * weight).sum((1, 2)), pictures)
    assert penalty.item() == pytest.approx(weight.square().sum().item(), rel=1e-5)
    (slope,) = torch.autograd.grad(penalty, weight)
    torch.testing.assert_close(slope, 2 * weight)


def test_penalty_of_a_quadratic_discriminator_is_the_mean_over_pictures():
    # D(x) = |x|^2 / 2 has gradient x.
    pictures = torch.randn(9, 1, 5, 7, requires_grad=True)
    penalty = gradient_penalty(pictures.square().sum((1, 2, 3)) / 2, pictures)
    assert penalty.item() == pytest.approx(35 * pictures.square().mean().item(), rel=1e-5)


def test_relative_loss_compares_pair_by_pair():
    a, b = torch.tensor([0.0, 3.0]), torch.tensor([0.0, 1.0])
    expected = (math.log(2) + math.log1p(math.exp(-2))) / 2
    assert relative_loss(a, b).item() == pytest.approx(expected)
    assert relative_loss(a + 7, b + 7).item() == pytest.approx(expected)


@pytest.mark.parametrize("step", [0, 1])
def test_a_step_is_the_two_updates_of_the_papers(step):
    learner, batch = learner_and_batch(step)
    assert learner.kind(step) == ("plain" if step % 4 else "penalty")
    draw, judge = (copy.deepcopy(network) for network in learner.networks.values())
    losses = learner.update(batch, learner.kind(step), 1)

    # The same again with plain Adam, backward() and one network call for each term.
    slow = {
        network: torch.optim.Adam(network.parameters(), 1.5e-3, (0.0, 0.99), foreach=False)
        for network in (draw, judge)
    }
    real = (batch["images"].float() / 127.5 - 1)[:, None].requires_grad_()
    labels = batch["labels"]
    fake = draw(batch["noise"], labels)
    apart = fake.detach().requires_grad_()
    on_real, on_fake = judge(real, labels), judge(apart, labels)
    telling = torch.log1p(torch.exp(on_fake - on_real)).mean()
    if learner.kind(step) == "penalty":
        for scores, pictures in ((on_real, real), (on_fake, apart)):
            (slopes,) = torch.autograd.grad(scores.sum(), pictures, create_graph=True)
            lengths = slopes.square().sum((1, 2, 3)).mean()
            telling = telling + 4 * 0.1 / 2 * lengths
    telling.backward(inputs=list(judge.parameters()))
    slow[judge].step()
    fooling = torch.log1p(torch.exp(judge(real, labels) - judge(fake, labels))).mean()
    fooling.backward(inputs=list(draw.parameters()))
    slow[draw].step()

    assert losses.tolist() == pytest.approx([telling.item(), fooling.item()], rel=1e-5)
    # Adam's first step is the rate times the gradient's sign: where a gradient is nearly zero its
    # rounding decides, so a few weights may differ, by two rates at most.
    for network, name in ((draw, "generator"), (judge, "discriminator")):
        for wanted, found in zip(
            network.parameters(), learner.networks[name].parameters(), strict=True
        ):
            assert ((wanted - found).abs() > 1e-5).double().mean().item() < 0.02


@pytest.mark.parametrize("step", [0, 1])
def test_pieces_change_a_step_by_rounding_only(step):
    found = []
    for pieces in (1, 3):
        learner, batch = learner_and_batch(step)
        losses = learner.update(batch, learner.kind(step), pieces)
        found.append((weights(learner), losses))
    torch.testing.assert_close(found[0][1], found[1][1], rtol=1e-4, atol=1e-5)
    # As above, the sign of a vanishing gradient is left to rounding.
    moved = (found[0][0] - weights(learner_and_batch(step)[0])).abs()
    apart = (found[0][0] - found[1][0]).abs()
    assert moved.median().item() > 1e-3
    assert (apart > 1e-5).double().mean().item() < 0.02


def test_the_discriminator_is_not_taught_by_the_generators_loss():
    learner, batch = learner_and_batch(1)
    for network in learner.networks.values():
        learner.update(batch, "plain", 1)
        assert all(weight.grad is None for weight in network.parameters())


def test_learning_rate_is_held_and_then_falls_to_a_twentieth():
    factors = [Gan()._schedule(step, 1000) for step in (0, 699, 700, 850, 1000)]
    assert factors == pytest.approx([1, 1, 1, 0.525, 0.05])


def test_noise_of_a_step_is_a_function_of_seed_and_step():
    drawn = [
        learner_and_batch(step, seed)[1]["noise"] for seed, step in [(1, 0), (1, 1), (2, 0), (1, 0)]
    ]
    assert drawn[0].shape == (16, 48)
    torch.testing.assert_close(drawn[0], drawn[3], rtol=0, atol=0)
    assert not torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[0], drawn[2])


@pytest.mark.parametrize("bias", [1.0, 0.4])
def test_bias_scales_the_latent_vectors(fitted, bias):
    labels = np.arange(CPU_BATCH) % 2
    found = fitted.sample(CPU_BATCH, bias=bias, seed=9, labels=labels)
    z = generator(9, "noise").standard_normal((CPU_BATCH, 48), dtype=np.float32)
    with torch.no_grad():
        wanted = fitted._network(torch.from_numpy(bias * z), torch.from_numpy(labels))
    expected = (wanted[:, 0].numpy() + 1) * 127.5
    # Rounding may fall to either side.
    assert np.abs(found.images - expected).max() < 0.51


def test_it_keeps_the_promises_of_a_model():
    check_model(Gan(**TINY), *halves())


def test_it_learns_the_classes():
    model = Gan(**{**TINY, "steps": 300})
    model.fit(*halves(200), seed=0)
    images, labels = model.sample(100, seed=1)
    upper, lower = images[:, :4].mean((1, 2)), images[:, 4:].mean((1, 2))
    assert ((lower > upper) == (labels == 1)).mean() > 0.9
    assert labels.mean() == pytest.approx(0.5, abs=0.15)


def test_the_same_seed_gives_the_same_bits(fitted):
    def tensors(seed):
        model = Gan(**TINY)
        model.fit(*halves(), seed=seed)
        return model._network.state_dict()

    wanted = fitted._network.state_dict()
    assert all(torch.equal(value, wanted[name]) for name, value in tensors(3).items())
    assert not any(torch.equal(value, wanted[name]) for name, value in tensors(4).items())


@pytest.mark.parametrize("steps", [7, 8])
def test_a_stopped_fit_goes_on_bit_for_bit(fitted, tmp_path, steps):
    def stop(done):
        if done >= steps / TINY["steps"]:
            raise KeyboardInterrupt

    model = Gan(**TINY)
    with pytest.raises(KeyboardInterrupt):
        model.fit(*halves(), seed=3, progress=stop, checkpoint=tmp_path)
    with pytest.raises(NotFittedError):
        model.sample(1, seed=0)
    seen = []
    model.fit(*halves(), seed=3, progress=seen.append, checkpoint=tmp_path)
    assert len(seen) == TINY["steps"] - steps
    wanted = fitted._network.state_dict()
    for name, value in model._network.state_dict().items():
        assert torch.equal(value, wanted[name])


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"channels": 6}, ValueError, "channels is 6; it must be a multiple of 4"),
        ({"channels": 0}, ValueError, "channels is 0"),
        ({"steps": 0}, ValueError, "steps is 0"),
        ({"batch": 1.5}, TypeError, "batch must be a whole number"),
        ({"learning_rate": 0}, ValueError, "learning_rate is 0"),
    ],
)
def test_settings_are_checked(settings, error, message):
    with pytest.raises(error, match=message):
        create("gan", **settings)


def test_a_fit_that_diverges_is_stopped(monkeypatch):
    monkeypatch.setattr(gan, "PENALTY", math.nan)
    with pytest.raises(FloatingPointError, match="lower the learning rate, which is"):
        Gan(**TINY).fit(*halves(), seed=0)


def test_half_precision_trains_as_float32_does(monkeypatch):
    # What a GPU does by itself; a CPU has to be told.
    learner, batch = learner_and_batch(0)
    wanted = learner.update(batch, "penalty", 1)
    monkeypatch.setenv("MADLAB_PRECISION", "bfloat16")
    learner, batch = learner_and_batch(0)
    found = learner.update(batch, "penalty", 1)
    assert found.dtype == torch.float32
    assert not torch.equal(found, wanted)
    # bfloat16 has three decimal digits.
    torch.testing.assert_close(found, wanted, rtol=0.02, atol=0.02)
