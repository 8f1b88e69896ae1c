"""Training: steps, half-done work on disk, divergence."""

import json
import math

import numpy as np
import pytest
import torch
from safetensors import safe_open
from torch import nn

from madlab import training
from madlab.training import (
    Draws,
    Ema,
    OneLoss,
    adam,
    batch_rows,
    descend,
    rate,
    seeded,
    train,
)


def line_data(n=200):
    """Points and what a known line makes of them."""
    x = np.random.default_rng(0).standard_normal((n, 3)).astype(np.float32)
    return {"x": x, "y": x @ np.array([1.0, -2.0, 0.5], np.float32) + 3}


class Line(OneLoss):
    """Fits a line by least squares on noisy inputs, and counts its steps."""

    def __init__(self, rate=0.05, **more):
        network = seeded(lambda: nn.Linear(3, 1), 0)

        def loss(batch):
            found = network(batch["x"] + 0.01 * batch["noise"])[:, 0]
            return (found - batch["y"]).square().mean()

        def draw(step, n):
            return {"noise": Draws(torch.device("cpu"), 1, "noise", step).normal(n, 3)}

        super().__init__(network, loss, draw, learning_rate=rate, **more)
        self.updates = 0

    def update(self, batch, kind):
        self.updates += 1
        return super().update(batch, kind)


def weights(learner):
    return torch.cat([w.detach().reshape(-1) for w in learner.averaged.parameters()]).numpy()


def identity(folder):
    """Return what the files in a folder say they are of."""
    path = next(folder.glob("*.safetensors"))
    with safe_open(path, "pt") as file:
        return json.loads(file.metadata()["identity"])


def fit(learner, steps=60, **more):
    train(learner, line_data(), **{"batch": 32, "seed": 5, "identity": {}, **more}, steps=steps)
    return weights(learner)


def test_train_finds_a_least_squares_solution():
    fractions = []
    found = fit(Line(), steps=400, progress=fractions.append)
    np.testing.assert_allclose(found, [1, -2, 0.5, 3], atol=0.02)
    np.testing.assert_allclose(fractions, np.arange(1, 401) / 400)


def test_train_leaves_the_averaged_weights_in_the_network():
    network = nn.Linear(1, 1, bias=False)
    seen = []

    class Spy(OneLoss):
        def update(self, batch, kind):
            found = super().update(batch, kind)
            seen.append(network.weight.item())
            return found

    learner = Spy(network, lambda batch: network.weight.square().sum(), learning_rate=0.1)
    train(learner, {"x": np.zeros(4)}, steps=10, batch=2, seed=0, identity={})
    k = np.arange(1, 11)
    share = (1 - (1 - 1 / k) ** 7.94) * (k / 10) ** 7.94
    assert network.weight.item() == pytest.approx(share @ np.array(seen), rel=1e-5)
    assert not network.training


def test_a_step_clips_the_gradient_and_leaves_other_networks_alone():
    network, other = nn.Linear(2, 1, bias=False), nn.Linear(2, 2)
    optimizer = adam(network.parameters(), 0.1)
    norms = []
    original = torch.optim.AdamW.step

    def spy(self, *arguments, **keywords):
        norms.append(network.weight.grad.norm().item())
        return original(self, *arguments, **keywords)

    x = torch.ones(3, 2)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.optim.AdamW, "step", spy)
        descend(optimizer, 1e6 * network(other(x)).mean(), clip=2.0)
    assert norms == pytest.approx([2.0], rel=1e-5)
    assert all(weight.grad is None for weight in other.parameters())


@pytest.mark.parametrize("kind", [torch.contiguous_format, torch.channels_last])
def test_a_step_is_adam_s_whatever_the_memory_format_of_the_gradients(kind):
    # Fused Adam reads memory without its strides; a second derivative has other ones.
    x = torch.randn(4, 3, 6, 6, generator=torch.Generator().manual_seed(0))
    x = x.to(memory_format=torch.channels_last)
    found = []
    for fused in (True, False):
        network = seeded(lambda: nn.Conv2d(3, 5, 3), 0).to(memory_format=kind)
        optimizer = torch.optim.AdamW(network.parameters(), 0.1, weight_decay=0.0, fused=fused)

        def loss(network=network):
            pictures = x.detach().requires_grad_()
            scores = network(pictures).square().mean()
            (slopes,) = torch.autograd.grad(scores, pictures, create_graph=True)
            return scores + slopes.square().sum()

        for _ in range(3):
            descend(optimizer, loss())
        found.append(torch.cat([w.detach().reshape(-1) for w in network.parameters()]))
    torch.testing.assert_close(found[0], found[1])


def test_train_stops_at_a_loss_that_is_not_a_number():
    class Bad(Line):
        def update(self, batch, kind):
            found = super().update(batch, kind)
            return found * math.nan if self.updates == 3 else found

    with pytest.raises(FloatingPointError, match=r"loss is nan at step 3 of 5.*which is 0.01"):
        fit(Bad(rate=0.01), steps=5)


class Stop(Exception):  # noqa: N818 - a request, not an error
    pass


def stop_at(fraction):
    def progress(done):
        if done >= fraction:
            raise Stop

    return progress


def test_a_stopped_training_goes_on_with_the_same_result_to_the_last_bit(tmp_path):
    expected = fit(Line())
    with pytest.raises(Stop):
        fit(Line(), progress=stop_at(0.3), checkpoint=tmp_path)
    with pytest.raises(Stop):
        fit(Line(), progress=stop_at(0.7), checkpoint=tmp_path)
    again = Line()
    np.testing.assert_array_equal(fit(again, checkpoint=tmp_path), expected)
    assert again.updates == 18
    done = Line()
    with pytest.raises(Stop):
        fit(done, progress=stop_at(1.0), checkpoint=tmp_path)
    nothing = Line()
    np.testing.assert_array_equal(fit(nothing, checkpoint=tmp_path), expected)
    assert nothing.updates == 0


def test_a_killed_training_goes_on_from_the_newest_file(tmp_path, monkeypatch):
    # Saves after every step; the "kill" comes in the middle of one.
    monkeypatch.setattr(training.loop, "SAVE_SECONDS", -1.0)
    expected = fit(Line())

    class Killed(Line):
        def update(self, batch, kind):
            found = super().update(batch, kind)
            if self.updates == 25:
                raise KeyboardInterrupt
            return found

    with pytest.raises(KeyboardInterrupt):
        fit(Killed(), checkpoint=tmp_path)
    again = Line()
    np.testing.assert_array_equal(fit(again, checkpoint=tmp_path), expected)
    assert again.updates == 60 - 24


@pytest.mark.parametrize("damage", ["empty", "half", "flipped", "garbage"])
def test_a_damaged_file_is_passed_over_for_the_other_one(tmp_path, damage):
    expected = fit(Line())
    for fraction in (0.3, 0.7):
        with pytest.raises(Stop):
            fit(Line(), progress=stop_at(fraction), checkpoint=tmp_path)
    newest = max(tmp_path.iterdir(), key=lambda path: path.stat().st_mtime_ns)
    content = bytearray(newest.read_bytes())
    content[-5] ^= 1
    newest.write_bytes(
        {
            "empty": b"",
            "half": content[: len(content) // 2],
            "flipped": bytes(content),
            "garbage": b"x" * 500,
        }[damage]
    )
    again = Line()
    with pytest.warns(RuntimeWarning, match="is damaged and passed over"):
        found = fit(again, checkpoint=tmp_path)
    np.testing.assert_array_equal(found, expected)
    assert again.updates == 60 - 18


def test_a_checkpoint_of_another_training_is_refused(tmp_path):
    with pytest.raises(Stop):
        fit(Line(), progress=stop_at(0.5), checkpoint=tmp_path, identity={"steps": 1})
    with pytest.raises(ValueError, match=r'holds another training .*"steps": 1.* than this one'):
        fit(Line(), checkpoint=tmp_path, identity={"steps": 2})


def test_a_disk_that_takes_no_checkpoint_is_reported_once_and_training_goes_on(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(training.loop, "SAVE_SECONDS", -1.0)
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    expected = fit(Line())
    with pytest.warns(RuntimeWarning, match="half-done training could not be kept") as seen:
        found = fit(Line(), checkpoint=blocked / "half-done")
    assert len(seen) == 1
    np.testing.assert_array_equal(found, expected)


def test_a_diverged_state_is_never_kept(tmp_path, monkeypatch):
    monkeypatch.setattr(training.loop, "SAVE_SECONDS", -1.0)

    class Bad(Line):
        def update(self, batch, kind):
            found = super().update(batch, kind)
            return found * math.nan if self.updates == 9 else found

    with pytest.raises(FloatingPointError):
        fit(Bad(), checkpoint=tmp_path)
    found = training.checkpoint.Checkpoints(tmp_path, identity(tmp_path)).newest()
    step, tensors = found
    assert step == 8
    assert all(bool(torch.isfinite(value).all()) for value in tensors.values())


class SlopeOfNaN(torch.autograd.Function):
    """A finite loss whose gradient is not a number."""

    @staticmethod
    def forward(ctx, x):
        return x.clone()

    @staticmethod
    def backward(ctx, slope):
        return slope * math.nan


def test_weights_that_the_last_step_spoiled_are_noticed(tmp_path):
    network = nn.Linear(3, 1)
    learner = OneLoss(
        network, lambda batch: SlopeOfNaN.apply(network(batch["x"]).mean()), learning_rate=0.1
    )
    data = {"x": np.zeros((8, 3), np.float32)}
    with pytest.raises(FloatingPointError, match="weights are not finite after step 1 of 1"):
        train(learner, data, steps=1, batch=4, seed=0, identity={}, checkpoint=tmp_path)
    assert not list(tmp_path.iterdir())


def test_weights_in_another_memory_format_are_kept_and_come_back_in_it(tmp_path):
    def learner():
        network = seeded(lambda: nn.Conv2d(3, 4, 3), 0).to(memory_format=torch.channels_last)
        return OneLoss(
            network, lambda batch: network(batch["x"]).square().mean(), learning_rate=0.1
        )

    data = {"x": np.random.default_rng(0).standard_normal((8, 3, 5, 5)).astype(np.float32)}
    options = {"steps": 6, "batch": 4, "seed": 0, "identity": {}}
    whole, stopped, again = learner(), learner(), learner()
    train(whole, data, **options)
    with pytest.raises(Stop):
        train(stopped, data, **options, checkpoint=tmp_path, progress=stop_at(0.5))
    train(again, data, **options, checkpoint=tmp_path)
    np.testing.assert_array_equal(weights(again), weights(whole))


@pytest.mark.parametrize("change", [{"seed": 6}, {"data": {"x": 2}}])
def test_a_checkpoint_of_other_data_or_another_seed_is_refused(tmp_path, change):
    def run(seed=5, data=None, **more):
        kept = line_data()
        kept["x"] = kept["x"] * (data or {"x": 1})["x"]
        train(Line(), kept, steps=20, batch=8, seed=seed, identity={}, checkpoint=tmp_path, **more)

    with pytest.raises(Stop):
        run(progress=stop_at(0.5))
    with pytest.raises(training.CheckpointMismatch, match="holds another training"):
        run(**change)


def test_too_little_memory_names_what_to_lower():
    class Hopeless(Line):
        def update(self, batch, kind):
            raise torch.OutOfMemoryError("no memory")

    with pytest.raises(MemoryError, match=r"cpu device .* lower the setting batch, which is 32"):
        fit(Hopeless())


def test_ema_is_the_power_law_average_of_all_weights_so_far():
    weight = torch.zeros(1, dtype=torch.float64)
    gamma, n = 6.94, 500
    ema = Ema([weight], gamma)
    values = np.random.default_rng(0).standard_normal(n)
    for value in values:
        weight.fill_(value)
        ema.update()
    k = np.arange(1, n + 1)
    share = (1 - (1 - 1 / k) ** (gamma + 1)) * (k / n) ** (gamma + 1)
    assert share.sum() == pytest.approx(1)
    assert ema.average[0].item() == pytest.approx(share @ values, rel=1e-9)
    spread = math.sqrt(share @ (k / n) ** 2 - (share @ (k / n)) ** 2)
    assert spread == pytest.approx(0.1, abs=0.005)
    ema.copy_back()
    assert weight.item() == ema.average[0].item()


@pytest.mark.parametrize(("n", "batch"), [(10, 3), (10, 10), (4, 11), (1, 2)])
def test_batches_go_through_the_data_pass_by_pass(n, batch):
    steps = range(20)
    rows = [batch_rows(n, batch, 7, step) for step in steps]
    training.loop._pass.cache_clear()
    again = {step: batch_rows(n, batch, 7, step) for step in reversed(steps)}
    for step in steps:
        np.testing.assert_array_equal(rows[step], again[step])
    stream = np.concatenate(rows)
    for start in range(0, len(stream) - n + 1, n):
        assert sorted(stream[start : start + n]) == list(range(n))


def test_batches_differ_between_passes_and_seeds():
    one, two = (np.concatenate([batch_rows(50, 50, seed, 0)]) for seed in (1, 2))
    assert (one != two).any()
    assert (batch_rows(50, 50, 1, 1) != one).any()


def test_rate_warms_up_stays_and_falls_to_nearly_zero():
    factors = [rate(step, 1000) for step in range(1000)]
    np.testing.assert_allclose(factors[:50], np.arange(1, 51) / 50)
    assert set(factors[50:501]) == {1.0}
    np.testing.assert_allclose(np.diff(factors[501:]), -1 / 500)
    assert factors[-1] == pytest.approx(1 / 500)
    assert rate(0, 1) > 0
