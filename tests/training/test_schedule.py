"""What a step is given: rows, random numbers, learning rate; and the average of weights."""

import math

import numpy as np
import pytest
import torch

from madlab import training
from madlab.training import (
    Draws,
    Ema,
    batch_rows,
    rate,
)


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
    training.schedule._pass.cache_clear()
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


def test_uniform_numbers_stay_below_one(monkeypatch):
    class Largest:
        def random(self, shape):
            return np.full(shape, 1 - 2.0**-53)

    monkeypatch.setattr(training.schedule, "generator", lambda *_: Largest())
    assert Draws(torch.device("cpu"), 0).uniform(3).max() < 1


@pytest.mark.parametrize("name", ["normal", "uniform"])
def test_draws_are_a_function_of_their_words(name):
    cpu = torch.device("cpu")
    one = getattr(Draws(cpu, 3, "noise", 7), name)(50, 2)
    assert torch.equal(one, getattr(Draws(cpu, 3, "noise", 7), name)(50, 2))
    assert not torch.equal(one, getattr(Draws(cpu, 3, "noise", 8), name)(50, 2))
    assert one.dtype == torch.float32
