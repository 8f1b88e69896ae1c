"""The step loop of every trained model: resumable, and never past a NaN."""

import functools
import hashlib
import math
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from madlab.streams import generator
from madlab.training.checkpoint import Checkpoints, restore, state
from madlab.training.device import Precision, TensorFunction, captured

SAVE_SECONDS = 15.0
CHECK_EVERY = 100


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


class Ema:
    """Our own average of weights, as torch has none that looks back over a share of the training.

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


class Learner(ABC):
    """What is trained, and what one step does to it.

    - `networks`: everything with weights, on the device.
    - `optimizers`: by name, made by `adam`.
    - `averaged`: the network whose weights are averaged; it has the average when training is over.
    """

    networks: nn.ModuleDict
    optimizers: Mapping[str, torch.optim.Optimizer]
    averaged: nn.Module

    def kind(self, step: int) -> str:
        """Return which kind of step `step` is; steps of one kind run the same operations."""
        return "plain"

    @abstractmethod
    def draw(self, step: int, n: int) -> dict[str, Tensor]:
        """Return all random tensors of a step on a batch of `n`, a function of (seed, step)."""

    @abstractmethod
    def update(self, batch: Mapping[str, Tensor], kind: str) -> Tensor:
        """Take one step and return its losses, detached float `(k,)`.

        - `batch`: `n` rows of the data by name, for instance "images" and "labels", and what
          `draw` returned.

        It neither waits for the device nor draws random numbers: it may be captured as a graph.
        """


def adam(
    parameters: Iterable[nn.Parameter],
    learning_rate: float,
    betas: tuple[float, float] = (0.9, 0.99),
) -> torch.optim.Optimizer:
    """Return Adam without weight decay, run as one kernel where the parameters' device can.

    - `learning_rate`: the largest; the step loop scales it by its schedule.
    """
    weights = list(parameters)
    where = weights[0].device
    on_cuda = where.type == "cuda"
    optimizer = torch.optim.AdamW(
        weights,
        # A tensor can change under a captured graph.
        lr=torch.tensor(learning_rate, device=where) if on_cuda else learning_rate,
        betas=betas,
        weight_decay=0.0,
        fused=where.type in ("cpu", "cuda"),
        capturable=on_cuda,
    )
    for group in optimizer.param_groups:
        group["initial_lr"] = learning_rate
    return optimizer


def descend(
    optimizer: torch.optim.Optimizer,
    loss: Tensor,
    *,
    precision: Precision | None = None,
    clip: float | None = None,
) -> Tensor:
    """Take one step of an optimizer on a loss, a scalar, and return it, detached.

    - `precision`: where given, its scaler guards float16 gradients.
    - `clip`: the largest norm of the gradient; longer ones are scaled down to it.

    Only the optimizer's own parameters get gradients.
    """
    weights = [weight for group in optimizer.param_groups for weight in group["params"]]
    scaler = precision.scaler if precision else None
    gradients = torch.autograd.grad(scaler.scale(loss) if scaler else loss, weights)
    for weight, gradient in zip(weights, gradients, strict=True):
        # Fused optimizers need both in one memory format, which autograd.grad does not promise.
        alike = gradient.stride() == weight.stride()
        weight.grad = gradient if alike else torch.empty_like(weight).copy_(gradient)
    if scaler:
        scaler.unscale_(optimizer)
    if clip is not None:
        nn.utils.clip_grad_norm_(weights, clip)
    if scaler:
        scaler.step(optimizer)
        scaler.update()
    else:
        optimizer.step()
    for weight in weights:
        weight.grad = None
    return loss.detach()


def train(
    learner: Learner,
    data: Mapping[str, np.ndarray],
    *,
    steps: int,
    batch: int,
    seed: int,
    identity: Mapping[str, Any],
    schedule: Callable[[int, int], float] = rate,
    gamma: float = 6.94,
    progress: Callable[[float], None] | None = None,
    checkpoint: Path | None = None,
) -> None:
    """Train a learner and leave the averaged weights in its `averaged` network, set to `eval`.

    The data stay on the device as they are given, pictures as bytes; the batch of a step is a
    function of (`seed`, step).

    - `data`: arrays of equal length n by name, for instance "images" uint8 `(n, height, width)` and
      "labels" int64 `(n,)`; a step is given the same rows of each.
    - `steps`, `batch`: how many steps, and how many rows in each, both at least 1.
    - `identity`: JSON values that say, beside the seed and the data, which training this is; a
      checkpoint of another is refused.
    - `schedule`: maps (step, steps) to the factor on the learning rates.
    - `gamma`: the width of the weights' average, see `Ema`.
    - `progress`: called after each step with the fraction done; an exception that it raises
      passes through, after the state was kept.
    - `checkpoint`: a folder in which the state is kept every 15 seconds; a training that was
      stopped goes on from there, on a CPU with the same result bit for bit. It stays for the
      caller to remove.

    Raises FloatingPointError where a loss is no longer a finite number, MemoryError where the
    device has too little memory, CheckpointMismatch for a checkpoint of another training.
    """
    learner.networks.train()
    where = next(learner.averaged.parameters()).device
    there = {name: torch.from_numpy(np.array(rows)).to(where) for name, rows in data.items()}
    n = len(next(iter(there.values())))
    average = Ema(learner.averaged.parameters(), gamma)
    updates: dict[str, TensorFunction] = {}
    losses = torch.zeros(0)
    done, saved, kept = 0, time.monotonic(), None
    if checkpoint is not None:
        kept = Checkpoints(checkpoint, {**identity, "seed": seed, "data": _digest(data)})
        newest = kept.newest()
        if newest:
            done, tensors = newest
            restore(learner, average, done, tensors)

    def keep() -> None:
        if kept and done:
            _check_losses(learner, losses, f"{done} of {steps}")
            _check_weights(average, f"{done} of {steps}")
            kept.save(done, state(learner, average))

    while done < steps:
        for optimizer in learner.optimizers.values():
            _scale_rates(optimizer, schedule(done, steps))
        kind = learner.kind(done)
        if kind not in updates:
            # One graph for each kind of step.
            updates[kind] = captured(functools.partial(learner.update, kind=kind), where)
        rows = torch.from_numpy(batch_rows(n, batch, seed, done)).to(where, non_blocking=True)
        with _memory_advice(where, batch):
            given = {name: values[rows] for name, values in there.items()}
            losses = updates[kind](given | learner.draw(done, batch))
        average.update()
        done += 1
        if where.type == "cpu" or not done % CHECK_EVERY:
            _check_losses(learner, losses, f"{done} of {steps}")
        if progress is not None:
            try:
                progress(done / steps)
            except BaseException:
                keep()
                raise
        if time.monotonic() - saved > SAVE_SECONDS:
            keep()
            saved = time.monotonic()
    _check_losses(learner, losses, f"{done} of {steps}")
    _check_weights(average, f"{done} of {steps}")
    average.copy_back()
    learner.networks.eval()


@contextmanager
def _memory_advice(where: torch.device, batch: int) -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:
        # MPS has no class of its own for it.
        if isinstance(error, torch.OutOfMemoryError) or "out of memory" in str(error):
            raise MemoryError(
                f"the {where.type} device has too little memory for a step on {batch}: lower the "
                f"setting batch, which is {batch}, or channels"
            ) from error
        raise


def _check_losses(learner: Learner, losses: Tensor, step: str) -> None:
    bad = [value for value in losses.reshape(-1).tolist() if not math.isfinite(value)]
    if bad:
        rates = {one.param_groups[0]["initial_lr"] for one in learner.optimizers.values()}
        raise FloatingPointError(
            f"the loss is {bad[0]} at step {step}: training diverged; lower the learning rate, "
            f"which is {' and '.join(f'{rate:g}' for rate in sorted(rates))}"
        )


def _check_weights(average: Ema, step: str) -> None:
    # Losses lag a step.
    if not all(bool(torch.isfinite(weight).all()) for weight in average.average):
        raise FloatingPointError(
            f"weights are not finite after step {step}: training diverged; lower the learning rate"
        )


def _scale_rates(optimizer: torch.optim.Optimizer, factor: float) -> None:
    """Set every learning rate to `factor` times its largest value."""
    for group in optimizer.param_groups:
        value = group["initial_lr"] * factor
        if isinstance(group["lr"], Tensor):
            group["lr"].fill_(value)
        else:
            group["lr"] = value


def _digest(data: Mapping[str, np.ndarray]) -> str:
    found = hashlib.sha256()
    for name in sorted(data):
        found.update(name.encode())
        found.update(np.ascontiguousarray(data[name]).tobytes())
    return found.hexdigest()
