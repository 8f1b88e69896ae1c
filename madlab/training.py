"""Training shared by the neural models: device, data order, averaged weights and the step loop."""

import functools
import math
import os
import platform
import subprocess
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

import madlab
from madlab.streams import generator

Loss = Callable[[int], Tensor]


def device(name: str | None = None, *, float64: bool = False) -> torch.device:
    """Return the device to compute on.

    - `name`: "cpu", "cuda", "cuda:1", "mps", ...; None takes the environment variable
      `MADLAB_DEVICE`, and where that is not set the first of cuda, mps and cpu that is there.
    - `float64`: whether the work needs float64, which mps lacks: it is then never chosen.

    Raises ValueError for a device that torch does not know or that this machine does not have.
    """
    found = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if float64:
        found["mps"] = False
    wanted = name or os.environ.get("MADLAB_DEVICE")
    if not wanted:
        return torch.device(next((kind for kind, there in found.items() if there), "cpu"))
    here = ", ".join([kind for kind, there in found.items() if there] + ["cpu"])
    try:
        chosen = torch.device(wanted)
    except RuntimeError:
        raise ValueError(f"no device is named {wanted!r}; this machine has: {here}") from None
    count = {"cuda": torch.cuda.device_count(), "mps": int(found["mps"]), "cpu": 1}
    if (chosen.index or 0) >= count.get(chosen.type, 0):
        raise ValueError(
            f"device {wanted!r} is not available here; this machine has: {here}. "
            "Give one of these, or set MADLAB_DEVICE to it"
        )
    return chosen


class _Threads:
    """How many are inside `one_thread`, and how many threads torch had before the first came."""

    lock = threading.Lock()
    inside = 0
    before = 1


@contextmanager
def one_thread() -> Iterator[None]:
    """Keep torch to one thread: for many small matrices, more of them mostly wait.

    Several threads may be inside at a time; each leaves with the number from before the first.
    """
    with _Threads.lock:
        if not _Threads.inside:
            _Threads.before = torch.get_num_threads()
        _Threads.inside += 1
    torch.set_num_threads(1)
    try:
        yield
    finally:
        with _Threads.lock:
            _Threads.inside -= 1
        torch.set_num_threads(_Threads.before)


class Clock:
    """Wall and processor seconds since it was made."""

    def __init__(self) -> None:
        self._wall, self._cpu = time.perf_counter(), time.process_time()

    def read(self) -> dict[str, float]:
        """Return `seconds` on the wall and `cpu_seconds` of this process, all threads."""
        wall, cpu = time.perf_counter() - self._wall, time.process_time() - self._cpu
        return {"seconds": wall, "cpu_seconds": cpu}


def provenance() -> dict[str, Any]:
    """Return what numbers depend on beside settings and seed, as JSON values.

    The keys are python, torch, numpy and madlab (versions), device (a description), threads, and
    commit: that of the source tree madlab was imported from, with "+" where tracked files
    differ from it, or None where there is no git.
    """
    return {
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": np.__version__,
        "madlab": madlab.__version__,
        "device": _describe(device()),
        "threads": torch.get_num_threads(),
        "commit": _commit(),
    }


def _describe(where: torch.device) -> str:
    if where.type == "cuda":
        return f"cuda: {torch.cuda.get_device_name(where)}"
    return f"{where.type}: {platform.system()} {platform.machine()}"


@functools.cache
def _commit() -> str | None:
    tree = Path(__file__).resolve().parent.parent
    if not (tree / ".git").exists():
        return None
    try:
        commit = _git(tree, "rev-parse", "HEAD")
        changed = _git(tree, "status", "--porcelain", "--untracked-files=no")
    except (OSError, subprocess.SubprocessError):
        return None
    return commit + ("+" if changed else "")


def _git(tree: Path, *command: str) -> str:
    return subprocess.run(
        ["git", "-C", str(tree), *command], capture_output=True, text=True, check=True, timeout=10
    ).stdout.strip()


class Ema:
    """A running average of weights that looks back over a fixed share of the training so far.

    After update n the average is beta a + (1 - beta) w with beta = (1 - 1/n)^(gamma + 1): the
    power-law profile of Karras et al. 2024 (arXiv 2312.02696), which forgets the initial weights.

    - `weights`: the tensors to average, of floating point; they are read at each `update`.
    - `gamma`: the width; 6.94 averages over the last 10% of the training (one standard deviation).
    """

    def __init__(self, weights: Iterable[Tensor], gamma: float = 6.94) -> None:
        self.gamma = gamma
        self.n = 0
        self._weights = [weight.detach() for weight in weights]
        self.average = [weight.clone() for weight in self._weights]

    def update(self) -> None:
        """Take the weights as they are now into the average."""
        self.n += 1
        beta = (1 - 1 / self.n) ** (self.gamma + 1)
        torch._foreach_lerp_(self.average, self._weights, 1 - beta)

    def copy_back(self) -> None:
        """Overwrite the weights with their average."""
        torch._foreach_copy_(self._weights, self.average)


@functools.lru_cache(maxsize=2)
def _pass(n: int, seed: int, number: int) -> np.ndarray:
    return generator(seed, "order", number).permutation(n)


def batch_rows(n: int, batch: int, seed: int, step: int) -> np.ndarray:
    """Return which of `n` training images make up the batch of `step`, int64 `(batch,)`.

    The data are gone through pass by pass, each in its own random order; the rows are a function
    of the arguments alone, so a run may resume at any step.
    """
    places = np.arange(step * batch, (step + 1) * batch)
    passes, places = places // n, places % n
    rows = np.empty(batch, dtype=np.int64)
    for number in np.unique(passes):
        chosen = passes == number
        rows[chosen] = _pass(n, seed, int(number))[places[chosen]]
    return rows


def rate(step: int, steps: int, *, warm_up: int = 50, decay: float = 0.5) -> float:
    """Return the factor on the learning rate at `step`, counted from 0.

    It rises linearly over the first `warm_up` steps and falls linearly to zero over the last share
    `decay` of the `steps`.
    """
    return min(1.0, (step + 1) / warm_up, (steps - step) / max(decay * steps, 1))


def train(
    network: nn.Module,
    loss: Loss,
    *,
    steps: int,
    learning_rate: float,
    betas: tuple[float, float] = (0.9, 0.99),
    clip: float = 2.0,
    progress: Callable[[float], None] | None = None,
) -> None:
    """Train a network by AdamW without weight decay and leave the averaged weights in it.

    - `network`: its parameters are changed.
    - `loss`: returns the loss of step 0, 1, ... as a scalar tensor.
    - `steps`: how many steps, at least 1.
    - `learning_rate`: the largest; `rate` says how it rises and falls.
    - `clip`: the largest norm of the gradient; longer ones are scaled down to it.
    - `progress`: called after each step with the fraction done.

    Raises FloatingPointError where the loss is no longer a finite number.
    """
    weights = list(network.parameters())
    optimizer = torch.optim.AdamW(
        weights, lr=learning_rate, betas=betas, weight_decay=0.0, fused=_can_fuse(weights)
    )
    average = Ema(weights)
    network.train()
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = learning_rate * rate(step, steps)
        optimizer.zero_grad()
        value = loss(step)
        size = float(value.detach())
        if not math.isfinite(size):
            raise FloatingPointError(
                f"the loss is {size} at step {step + 1} of {steps}: training diverged; lower the "
                f"learning rate, which is {learning_rate:g}"
            )
        value.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(weights, clip)
        optimizer.step()
        average.update()
        if progress is not None:
            progress((step + 1) / steps)
    average.copy_back()
    network.eval()


def _can_fuse(weights: list[nn.Parameter]) -> bool:
    return weights[0].device.type in ("cpu", "cuda")
