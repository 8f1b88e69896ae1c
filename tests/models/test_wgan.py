import copy

import numpy as np
import pytest
import torch
from toys import data_of, learner_and_batch, tiny, weights

from madlab import Chain, Loop
from madlab.data import mnist
from madlab.models.neural import CPU_BATCH
from madlab.models.wgan import PENALTY, Wgan, gradient_penalty
from madlab.streams import generator


@pytest.fixture(scope="module")
def fitted():
    model = tiny("wgan")
    model.fit(*data_of("wgan"), seed=3)
    return model


def test_penalty_of_a_linear_critic():
    # D(x) = w x has slope w everywhere: the penalty is (|w| - 1)^2 wherever it is taken.
    weight = (0.3 * torch.randn(5, 7)).requires_grad_()
    real, drawn = torch.randn(2, 9, 1, 5, 7)
    penalty = gradient_penalty(
        lambda x, _: (x[:, 0] * weight).sum((1, 2)), real, drawn, torch.zeros(9), torch.rand(9)
    )
    length = weight.detach().norm()
    assert penalty.item() == pytest.approx((length.item() - 1) ** 2, abs=1e-5)
    (slope,) = torch.autograd.grad(penalty, weight)
    torch.testing.assert_close(slope, 2 * (length - 1) * weight.detach() / length)


def test_penalty_is_taken_on_the_line_from_each_real_to_its_drawn_picture():
    # D(x) = |x|^2 / 2 has slope x; labels reach the critic row by row.
    real, drawn = torch.full((4, 1, 2, 2), 1.0), torch.full((4, 1, 2, 2), 3.0)
    places, labels = torch.tensor([0, 0.25, 0.5, 1]), torch.tensor([1, 1, 2, 2])
    penalty = gradient_penalty(
        lambda x, label: label * x.square().sum((1, 2, 3)) / 2, real, drawn, labels, places
    )
    lengths = np.array([1, 1, 2, 2]) * 2 * np.array([1, 1.5, 2, 3])
    assert penalty.item() == pytest.approx(((lengths - 1) ** 2).mean(), rel=1e-6)


def test_penalty_of_a_flat_critic_is_one_with_a_finite_gradient():
    weight = torch.zeros(4, 4, requires_grad=True)
    real, drawn = torch.randn(2, 3, 1, 4, 4)
    penalty = gradient_penalty(
        lambda x, _: (x[:, 0] * weight).sum((1, 2)), real, drawn, torch.zeros(3), torch.rand(3)
    )
    assert penalty.item() == 1
    assert torch.autograd.grad(penalty, weight)[0].isfinite().all()


def test_a_step_is_the_algorithm_of_the_original():
    learner, batch = learner_and_batch("wgan")
    # Adam's first step is the rate times the gradient's sign, which rounding decides where a
    # gradient should vanish: plain descent instead.
    learner.optimizers = {
        name: torch.optim.SGD(network.parameters(), 1e-3)
        for name, network in learner.networks.items()
    }
    draw, critic = (copy.deepcopy(network) for network in learner.networks.values())
    before = weights(learner)
    losses = learner.update(batch, "plain")

    # Algorithm 1 of Gulrajani et al., each term by a call of its own, with backward().
    slow = {network: torch.optim.SGD(network.parameters(), 1e-3) for network in (draw, critic)}
    wanted = []
    for k in range(3):
        rows = slice(10 * k, 10 * k + 10)
        real = (batch["images"][rows].float() / 127.5 - 1)[:, None]
        labels, e = batch["labels"][rows], batch["places"][rows, None, None, None]
        drawn = draw(batch["noise"][rows], labels).detach()
        between = ((1 - e) * real + e * drawn).requires_grad_()
        scores = critic(between, labels)
        (slopes,) = torch.autograd.grad(scores.sum(), between, create_graph=True)
        penalty = ((slopes.square().sum((1, 2, 3)).sqrt() - 1) ** 2).mean()
        loss = critic(drawn, labels).mean() - critic(real, labels).mean() + 10 * penalty
        critic.zero_grad()
        loss.backward()
        slow[critic].step()
        wanted.append(loss.item())
    loss = -critic(draw(batch["last"], batch["labels"][:10]), batch["labels"][:10]).mean()
    loss.backward()
    slow[draw].step()

    assert losses.tolist() == pytest.approx([np.mean(wanted), loss.item()], rel=1e-5)
    found = weights(learner)
    moved = (found - before).abs()
    assert moved.max().item() > 1e-3
    expected = torch.cat(
        [weight.detach().flatten() for network in (draw, critic) for weight in network.parameters()]
    )
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-3 * moved.max().item())


class Still(torch.nn.Module):
    """A generator that draws one grey picture, whatever its only weight is."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))

    def forward(self, z, label):
        return torch.full((len(z), 1, 8, 8), -0.2) + 0 * self.weight


def test_the_critic_finds_the_distance_of_two_pictures():
    # All real pictures are one grey, all drawn ones another, at distance W. On the line between
    # them the best critic has one slope s, which maximises s W - 10 (s - 1)^2: s = 1 + W / 20.
    learner = Wgan(channels=4, batch=40, learning_rate=2e-3)._learner(Still(), (8, 8), 1, 0)
    images = torch.full((40, 8, 8), 128, dtype=torch.uint8)
    data = {"images": images, "labels": torch.zeros(40, dtype=torch.int64)}
    for step in range(60):
        for group in learner.optimizers["critic"].param_groups:
            group["lr"] = 2e-3 * (1 - step / 60)
        found = learner.update(data | learner.draw(step, 40), "plain")[0].item()
    distance = 8 * (128 / 127.5 - 1 + 0.2)
    assert found == pytest.approx(-(distance + distance**2 / (4 * PENALTY)), rel=0.02)


def test_half_precision_is_kept_from_the_penalty(monkeypatch):
    learner, batch = learner_and_batch("wgan")
    wanted = learner.update(batch, "plain")
    monkeypatch.setenv("MADLAB_PRECISION", "bfloat16")
    half, _ = learner_and_batch("wgan")
    formats = set()
    half.networks["critic"].units.register_forward_hook(
        lambda module, given, output: formats.add((output.dtype, len(output)))
    )
    found = half.update(batch, "plain")
    # 20 real and drawn digits to a score and 10 of the generator's in bfloat16, the 10 between in
    # float32.
    assert formats == {(torch.bfloat16, 20), (torch.bfloat16, 10), (torch.float32, 10)}
    # bfloat16 has 8 significant bits, and a step is three updates.
    torch.testing.assert_close(found, wanted, rtol=0.05, atol=0.05)


def test_the_optimizers_and_updates_are_the_originals():
    learner, batch = learner_and_batch("wgan")
    assert batch["last"].shape == (10, 48)
    assert not torch.equal(batch["noise"][:10], batch["last"])
    learner.update(batch, learner.kind(0))
    for optimizer in learner.optimizers.values():
        (group,) = optimizer.param_groups
        assert group["betas"] == (0.0, 0.9)
        assert group["weight_decay"] == 0
    steps = {
        name: {int(state["step"]) for state in optimizer.state.values()}
        for name, optimizer in learner.optimizers.items()
    }
    assert steps == {"critic": {3}, "generator": {1}}


def test_there_is_no_sampling_bias(fitted):
    assert not Wgan.biased
    for bias in (0.5, 0.999):
        with pytest.raises(ValueError, match="'wgan' has no sampling bias: leave it at 1"):
            fitted.sample(1, bias=bias, seed=0)
    with pytest.raises(ValueError, match="'wgan' has no sampling bias"):
        Chain(Loop.fully_synthetic(100), "wgan", mnist(), bias=0.8)


def test_pictures_are_what_the_averaged_generator_draws(fitted):
    labels = np.arange(CPU_BATCH) % 2
    found = fitted.sample(CPU_BATCH, seed=9, labels=labels)
    z = generator(9, "noise").standard_normal((CPU_BATCH, 48), dtype=np.float32)
    with torch.no_grad():
        wanted = fitted._network(torch.from_numpy(z), torch.from_numpy(labels))
    # Rounding may fall to either side.
    assert np.abs(found.images - (wanted[:, 0].numpy() + 1) * 127.5).max() < 0.51
