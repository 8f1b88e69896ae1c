import copy
import math

import numpy as np
import pytest
import torch
from toys import data_of, learner_and_batch, tiny

from madlab.models import gan
from madlab.models.gan import Discriminator, Gan, Generator, relative_loss, squared_slopes
from madlab.models.neural import CPU_BATCH
from madlab.streams import generator


@pytest.fixture(scope="module")
def fitted():
    model = tiny("gan")
    model.fit(*data_of("gan"), seed=3)
    return model


@pytest.mark.parametrize("shape", [(28, 28), (8, 12)])
def test_networks_map_shapes_and_look_at_each_picture_alone(shape):
    z, labels = torch.randn(6, 48), torch.tensor([0, 1, 2, 0, 1, 2])
    draw, judge = Generator(8, 3, 48, shape), Discriminator(8, 3, shape, blocks=1)
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
            Discriminator(model.channels, 10, (28, 28), gan.BLOCKS),
        )
    ]
    assert sizes[0] < 180_000
    assert sizes[1] < 240_000


def test_penalty_of_a_linear_discriminator_is_the_squared_length_of_its_weights():
    weight = torch.randn(5, 7, requires_grad=True)
    pictures = torch.randn(9, 1, 5, 7, requires_grad=True)
    penalty = squared_slopes((pictures[:, 0] * weight).sum((1, 2)), pictures)
    assert penalty.item() == pytest.approx(weight.square().sum().item(), rel=1e-5)
    (slope,) = torch.autograd.grad(penalty, weight)
    torch.testing.assert_close(slope, 2 * weight)


def test_penalty_of_a_quadratic_discriminator_is_the_mean_over_pictures():
    # D(x) = |x|^2 / 2 has gradient x.
    pictures = torch.randn(9, 1, 5, 7, requires_grad=True)
    penalty = squared_slopes(pictures.square().sum((1, 2, 3)) / 2, pictures)
    assert penalty.item() == pytest.approx(35 * pictures.square().mean().item(), rel=1e-5)


def test_relative_loss_compares_pair_by_pair():
    a, b = torch.tensor([0.0, 3.0]), torch.tensor([0.0, 1.0])
    expected = (math.log(2) + math.log1p(math.exp(-2))) / 2
    assert relative_loss(a, b).item() == pytest.approx(expected)
    assert relative_loss(a + 7, b + 7).item() == pytest.approx(expected)


@pytest.mark.parametrize("step", [0, 1])
def test_a_step_is_the_two_updates_of_the_papers(step):
    learner, batch = learner_and_batch("gan", step)
    assert learner.kind(step) == ("plain" if step % 4 else "penalty")
    draw, judge = (copy.deepcopy(network) for network in learner.networks.values())
    losses = learner.update(batch, learner.kind(step))

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


def test_learning_rate_is_held_and_then_falls_to_a_twentieth():
    factors = [Gan()._schedule(step, 1000) for step in (0, 699, 700, 850, 1000)]
    assert factors == pytest.approx([1, 1, 1, 0.525, 0.05])


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
