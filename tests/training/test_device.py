"""Device, precision, mode and threads, and functions that may become graphs."""

import importlib
import json
import threading

import numpy as np
import pytest
import torch

from madlab import training
from madlab.training import (
    CudaGraph,
    Draws,
    Precision,
    captured,
    device,
    mode,
    provenance,
)


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


def test_a_function_is_called_plainly_on_the_cpu():
    calls, cpu = [], torch.device("cpu")

    def double(given):
        calls.append(1)
        return 2 * given["x"]

    assert captured(double, cpu) is double
    graph = CudaGraph(double, cpu)
    for value in range(6):
        assert graph({"x": torch.tensor(value)}).item() == 2 * value
    assert len(calls) == 6


def test_precision_and_mode_are_chosen_and_can_be_set(monkeypatch):
    monkeypatch.delenv("MADLAB_PRECISION", raising=False)
    monkeypatch.delenv("MADLAB_MODE", raising=False)
    cpu, cuda = torch.device("cpu"), torch.device("cuda")
    assert Precision(cpu).name == "float32"
    assert mode(cpu) == "eager"
    for capability, name in [((7, 5), "float16"), ((8, 0), "bfloat16"), ((9, 0), "bfloat16")]:
        monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _, c=capability: c)
        assert Precision(cuda).name == name
        assert mode(cuda) == ("eager" if name == "float16" else "graph")
    monkeypatch.setenv("MADLAB_MODE", "eager")
    assert mode(cuda) == "eager"
    monkeypatch.setenv("MADLAB_PRECISION", "bfloat16")
    with Precision(cpu).autocast():
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == torch.bfloat16
    monkeypatch.setenv("MADLAB_MODE", "fast")
    with pytest.raises(ValueError, match="MADLAB_MODE is 'fast'"):
        mode(cuda)
    monkeypatch.setenv("MADLAB_PRECISION", "int8")
    with pytest.raises(ValueError, match="MADLAB_PRECISION is 'int8'"):
        Precision(cpu)
    monkeypatch.setenv("MADLAB_PRECISION", "float16")
    with pytest.raises(ValueError, match="needs CUDA"):
        Precision(cpu)


def test_threads_inside_one_thread_leave_the_number_from_before_the_first():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    inside, leave, seen = threading.Event(), threading.Event(), []

    def stay() -> None:
        with training.one_thread():
            inside.set()
            leave.wait()
        seen.append(torch.get_num_threads())

    try:
        first = threading.Thread(target=stay)
        first.start()
        inside.wait()
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


def test_provenance_is_json_and_says_what_numbers_depend_on(monkeypatch):
    found = provenance()
    assert json.loads(json.dumps(found)) == found
    assert found["torch"] == torch.__version__
    assert found["threads"] == torch.get_num_threads()
    wanted = "python torch numpy madlab device precision threads commit"
    assert set(found) == set(wanted.split())

    def no_git(*_):
        raise FileNotFoundError("git")

    module = importlib.import_module("madlab.training.provenance")
    module._commit.cache_clear()
    monkeypatch.setattr(module, "_git", no_git)
    assert provenance()["commit"] is None
    module._commit.cache_clear()


def test_uniform_numbers_stay_below_one(monkeypatch):
    class Largest:
        def random(self, shape):
            return np.full(shape, 1 - 2.0**-53)

    module = importlib.import_module("madlab.training.device")
    monkeypatch.setattr(module, "generator", lambda *_: Largest())
    assert Draws(torch.device("cpu"), 0).uniform(3).max() < 1


@pytest.mark.parametrize("name", ["normal", "uniform"])
def test_draws_are_a_function_of_their_words(name):
    cpu = torch.device("cpu")
    one = getattr(Draws(cpu, 3, "noise", 7), name)(50, 2)
    assert torch.equal(one, getattr(Draws(cpu, 3, "noise", 7), name)(50, 2))
    assert not torch.equal(one, getattr(Draws(cpu, 3, "noise", 8), name)(50, 2))
    assert one.dtype == torch.float32
