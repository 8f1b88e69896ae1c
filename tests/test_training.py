import json
import math
import threading

import numpy as np
import pytest
import torch
from torch import nn

from madlab import training
from madlab.training import Ema, batch_rows, device, provenance, rate, train


def test_device_argument_comes_before_the_environment(monkeypatch):
    monkeypatch.setenv("MADLAB_DEVICE", "nonsense")
    assert device("cpu") == torch.device("cpu")
    with pytest.raises(ValueError, match=r"no device is named 'nonsense'; this machine has: .*cpu"):
        device()
    monkeypatch.setenv("MADLAB_DEVICE", "cpu")
    assert device() == torch.device("cpu")


def test_device_prefers_an_accelerator(monkeypatch):
    monkeypatch.delenv("MADLAB_DEVICE", raising=False)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert device().type == "mps"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert device().type == "cuda"


@pytest.mark.parametrize("name", ["cuda:99", "cpu:1", "meta"])
def test_device_refuses_what_is_not_there(name):
    with pytest.raises(ValueError, match=f"device '{name}' is not available here"):
        device(name)


def test_provenance_is_json_and_says_what_numbers_depend_on(monkeypatch):
    found = provenance()
    assert json.loads(json.dumps(found)) == found
    assert found["torch"] == torch.__version__
    assert found["threads"] == torch.get_num_threads()
    assert set(found) == {"python", "torch", "numpy", "madlab", "device", "threads", "commit"}

    def no_git(*_):
        raise FileNotFoundError("git")

    training._commit.cache_clear()
    monkeypatch.setattr(training, "_git", no_git)
    assert provenance()["commit"] is None
    training._commit.cache_clear()


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
    training._pass.cache_clear()
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


def test_train_finds_a_least_squares_solution():
    rng = torch.Generator().manual_seed(0)
    x = torch.randn(200, 3, generator=rng)
    truth = torch.tensor([1.0, -2.0, 0.5])
    network = nn.Linear(3, 1)
    fractions = []
    train(
        network,
        lambda step: (network(x)[:, 0] - x @ truth - 3).square().mean(),
        steps=400,
        learning_rate=0.05,
        progress=fractions.append,
    )
    np.testing.assert_allclose(network.weight.detach()[0], truth, atol=0.02)
    assert network.bias.item() == pytest.approx(3, abs=0.02)
    np.testing.assert_allclose(fractions, np.arange(1, 401) / 400)


def test_train_leaves_the_averaged_weights_in_the_network():
    network = nn.Linear(1, 1, bias=False)
    seen = []

    def loss(step):
        seen.append(network.weight.item())
        return network.weight.square().sum()

    train(network, loss, steps=10, learning_rate=0.1)
    # The average has the weights after steps 1 to 9 in it, and those after step 10, unseen here.
    k = np.arange(1, 11)
    share = (1 - (1 - 1 / k) ** 7.94) * (k / 10) ** 7.94
    last = (network.weight.item() - share[:9] @ np.array(seen[1:])) / share[9]
    assert abs(last - seen[-1]) < 0.1
    assert network.weight.item() != pytest.approx(last, abs=1e-4)


def test_train_clips_the_gradient():
    network = nn.Linear(2, 1, bias=False)
    norms = []

    def loss(step):
        if network.weight.grad is not None:
            norms.append(network.weight.grad.norm().item())
        return 1e6 * network.weight.sum()

    original = torch.optim.AdamW.step

    def spy(self, *arguments, **keywords):
        norms.append(network.weight.grad.norm().item())
        return original(self, *arguments, **keywords)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.optim.AdamW, "step", spy)
        train(network, loss, steps=3, learning_rate=0.1, clip=2.0)
    np.testing.assert_allclose(norms, 2.0, rtol=1e-5)


def test_train_stops_at_a_loss_that_is_not_a_number():
    network = nn.Linear(1, 1)
    with pytest.raises(FloatingPointError, match=r"loss is nan at step 3 of 5.*which is 0.01"):
        train(
            network,
            lambda step: network.weight.sum() * (math.nan if step == 2 else 1.0),
            steps=5,
            learning_rate=0.01,
        )


def test_an_exception_in_progress_stops_training():
    network = nn.Linear(1, 1)
    steps = []

    def loss(step):
        steps.append(step)
        return network.weight.sum()

    def progress(fraction):
        if fraction > 0.5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(network, loss, steps=4, learning_rate=0.01, progress=progress)
    assert steps == [0, 1, 2]


def test_threads_inside_one_thread_leave_the_number_from_before_the_first():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    inside, leave, seen = threading.Event(), threading.Event(), []

    def stay() -> None:
        with training.one_thread():
            inside.set()
            leave.wait(10)
        seen.append(torch.get_num_threads())

    try:
        first = threading.Thread(target=stay)
        first.start()
        inside.wait(10)
        with training.one_thread():
            assert torch.get_num_threads() == 1
        leave.set()
        first.join()
        later = threading.Thread(target=lambda: seen.append(torch.get_num_threads()))
        later.start()
        later.join()
        assert seen == [2, 2]
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_work_in_float64_is_never_given_to_mps(monkeypatch):
    monkeypatch.delenv("MADLAB_DEVICE", raising=False)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert training.device().type == "mps"
    assert training.device(float64=True).type == "cpu"
    with pytest.raises(ValueError, match="'mps' is not available here"):
        training.device("mps", float64=True)
