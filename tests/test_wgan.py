import copy
import math

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from madlab import Chain, Loop
from madlab.data import mnist
from madlab.models import create, load, wgan
from madlab.models.base import NotFittedError
from madlab.models.checks import check_model
from madlab.models.neural import CPU_BATCH
from madlab.models.wgan import PENALTY, Wgan, gradient_penalty
from madlab.streams import generator
from madlab.training import seeded

TINY = {"channels": 4, "steps": 20, "batch": 30, "critic_updates": 3}


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
    model = Wgan(**TINY)
    model.fit(*halves(), seed=3)
    return model


def learner_and_batch(step=0, seed=5, plain_descent=0.0):
    """A learner of tiny networks, and all that its step `step` is given.

    With `plain_descent` its optimizers follow the gradient at that rate: Adam's first step is the
    rate times the gradient's sign, which rounding decides where a gradient should vanish.
    """
    images, labels = halves(30)
    model = Wgan(**TINY)
    network = seeded(lambda: model._make((8, 8), 2), seed)
    learner = model._learner(network, (8, 8), 2, seed)
    if plain_descent:
        learner.optimizers = {
            name: torch.optim.SGD(network.parameters(), plain_descent)
            for name, network in learner.networks.items()
        }
    batch = {"images": torch.from_numpy(images), "labels": torch.from_numpy(labels)}
    return learner, batch | learner.draw(step, len(labels))


def weights(learner):
    return torch.cat([weight.detach().flatten() for weight in learner.networks.parameters()])


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
    learner, batch = learner_and_batch(plain_descent=1e-3)
    draw, critic = (copy.deepcopy(network) for network in learner.networks.values())
    before = weights(learner)
    losses = learner.update(batch, "plain", 1)

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
        found = learner.update(data | learner.draw(step, 40), "plain", 1)[0].item()
    distance = 8 * (128 / 127.5 - 1 + 0.2)
    assert found == pytest.approx(-(distance + distance**2 / (4 * PENALTY)), rel=0.02)


def test_pieces_change_a_step_by_rounding_only():
    found, losses = [], []
    for pieces in (1, 3, 16):
        learner, batch = learner_and_batch(plain_descent=1e-3)
        before = weights(learner)
        losses.append(learner.update(batch, "plain", pieces))
        found.append(weights(learner))
    size = (found[0] - before).abs().max().item()
    for other, loss in zip(found[1:], losses[1:], strict=True):
        torch.testing.assert_close(other, found[0], rtol=0, atol=1e-3 * size)
        torch.testing.assert_close(loss, losses[0], rtol=1e-5, atol=1e-5)


class Spy(TorchDispatchMode):
    """Notes the name of every operation, those of the backward passes included."""

    def __init__(self):
        super().__init__()
        self.seen = set()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.seen.add(func.overloadpacket.__name__)
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("pieces", [1, 3])
def test_a_step_can_be_captured_as_a_graph(pieces):
    # None of these may be in a CUDA graph: they wait for the device, have shapes that depend on
    # values, or draw random numbers.
    forbidden = {"_local_scalar_dense", "equal", "nonzero", "masked_select", "unique_dim"}
    forbidden |= {"randn", "rand", "randint", "randperm", "normal_", "uniform_", "bernoulli_"}
    learner, batch = learner_and_batch()
    with Spy() as spy:
        learner.update(batch, "plain", pieces)
    assert {"convolution", "convolution_backward", "_fused_adamw_"} <= spy.seen
    assert not spy.seen & forbidden


def test_half_precision_is_kept_from_the_penalty(monkeypatch):
    learner, batch = learner_and_batch()
    wanted = learner.update(batch, "plain", 1)
    monkeypatch.setenv("MADLAB_PRECISION", "bfloat16")
    half, _ = learner_and_batch()
    formats = set()
    half.networks["critic"].units.register_forward_hook(
        lambda module, given, output: formats.add((output.dtype, len(output)))
    )
    found = half.update(batch, "plain", 1)
    # 20 real and drawn digits to a score and 10 of the generator's in bfloat16, the 10 between in
    # float32.
    assert formats == {(torch.bfloat16, 20), (torch.bfloat16, 10), (torch.float32, 10)}
    # bfloat16 has 8 significant bits, and a step is three updates.
    torch.testing.assert_close(found, wanted, rtol=0.05, atol=0.05)


def test_the_optimizers_are_the_originals_and_leave_no_gradients():
    learner, batch = learner_and_batch()
    learner.update(batch, learner.kind(0), 1)
    for optimizer in learner.optimizers.values():
        (group,) = optimizer.param_groups
        assert group["betas"] == (0.0, 0.9)
        assert group["weight_decay"] == 0
    steps = {
        name: {int(state["step"]) for state in optimizer.state.values()}
        for name, optimizer in learner.optimizers.items()
    }
    assert steps == {"critic": {3}, "generator": {1}}
    assert all(weight.grad is None for weight in learner.networks.parameters())


def test_random_numbers_of_a_step_are_a_function_of_seed_and_step():
    drawn = [learner_and_batch(step, seed)[1] for seed, step in [(1, 0), (1, 1), (2, 0), (1, 0)]]
    shapes = {"noise": (30, 48), "places": (30,), "last": (10, 48)}
    for name, shape in shapes.items():
        first, *others, again = [batch[name] for batch in drawn]
        assert first.shape == shape
        assert torch.equal(first, again)
        assert not any(torch.equal(first, other) for other in others)
    assert not torch.equal(drawn[0]["noise"][:10], drawn[0]["last"])


def test_it_keeps_the_promises_of_a_model():
    check_model(Wgan(**TINY), *halves(), bias=None)


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


def test_it_learns_the_classes():
    model = Wgan(**{**TINY, "steps": 120})
    model.fit(*halves(200), seed=0)
    images, labels = model.sample(100, seed=1)
    upper, lower = images[:, :4].mean((1, 2)), images[:, 4:].mean((1, 2))
    assert ((lower > upper) == (labels == 1)).mean() > 0.9
    assert labels.mean() == pytest.approx(0.5, abs=0.15)


def test_the_same_seed_gives_the_same_bits(fitted):
    def tensors(seed):
        model = Wgan(**TINY)
        model.fit(*halves(), seed=seed)
        return model._network.state_dict()

    wanted = fitted._network.state_dict()
    assert all(torch.equal(value, wanted[name]) for name, value in tensors(3).items())
    assert not any(torch.equal(value, wanted[name]) for name, value in tensors(4).items())


def test_a_stopped_fit_goes_on_bit_for_bit(fitted, tmp_path):
    def stop(done):
        if done >= 7 / TINY["steps"]:
            raise KeyboardInterrupt

    model = Wgan(**TINY)
    with pytest.raises(KeyboardInterrupt):
        model.fit(*halves(), seed=3, progress=stop, checkpoint=tmp_path)
    with pytest.raises(NotFittedError):
        model.sample(1, seed=0)
    seen = []
    model.fit(*halves(), seed=3, progress=seen.append, checkpoint=tmp_path)
    assert len(seen) == TINY["steps"] - 7
    wanted = fitted._network.state_dict()
    assert all(torch.equal(v, wanted[name]) for name, v in model._network.state_dict().items())


def test_saved_models_sample_exactly_as_before(fitted, tmp_path):
    fitted.save(tmp_path)
    again = load(tmp_path)
    assert isinstance(again, Wgan)
    assert again.settings == fitted.settings
    found, wanted = again.sample(12, seed=5), fitted.sample(12, seed=5)
    np.testing.assert_array_equal(found.images, wanted.images)
    np.testing.assert_array_equal(found.labels, wanted.labels)


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"channels": 6}, ValueError, "channels is 6; it must be a multiple of 4"),
        ({"channels": 0}, ValueError, "channels is 0"),
        ({"steps": 0}, ValueError, "steps is 0"),
        ({"batch": 1.5}, TypeError, "batch must be a whole number"),
        ({"critic_updates": 0}, ValueError, "critic_updates is 0"),
        ({"batch": 64}, ValueError, "batch is 64; it must be a multiple of critic_updates, .* 5"),
        ({"learning_rate": 0}, ValueError, "learning_rate is 0"),
        ({"bias": 0.5}, TypeError, "has no setting 'bias'"),
    ],
)
def test_settings_are_checked(settings, error, message):
    with pytest.raises(error, match=message):
        create("wgan", **settings)


def test_a_fit_that_diverges_is_stopped(monkeypatch):
    monkeypatch.setattr(wgan, "PENALTY", math.nan)
    with pytest.raises(FloatingPointError, match="lower the learning rate, which is"):
        Wgan(**TINY).fit(*halves(), seed=0)
