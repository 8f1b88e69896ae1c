"""The step loop of every trained model: resumable, and never past a NaN."""

import hashlib
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from madlab.training.checkpoint import Checkpoints, restore, state
from madlab.training.device import TensorFunction, captured
from madlab.training.learner import Learner, scale_rates
from madlab.training.schedule import Ema, batch_rows, rate

SAVE_SECONDS = 15.0
CHECK_EVERY = 100


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
    average = Ema(learner.averaged.parameters(), gamma)
    run = _Run(learner, data, steps, batch, seed, schedule, average)
    kept = None
    if checkpoint is not None:
        kept = Checkpoints(checkpoint, {**identity, "seed": seed, "data": _digest(data)})
        newest = kept.newest()
        if newest:
            run.done, tensors = newest
            restore(learner, average, run.done, tensors)

    def keep() -> None:
        if kept and run.done:
            run.check_losses()
            run.check_weights()
            kept.save(run.done, state(learner, average))

    saved = time.monotonic()
    while run.done < steps:
        run.step()
        if progress is not None:
            try:
                progress(run.done / steps)
            except BaseException:
                keep()
                raise
        if time.monotonic() - saved > SAVE_SECONDS:
            keep()
            saved = time.monotonic()
    run.check_losses()
    run.check_weights()
    average.copy_back()
    learner.networks.eval()


@dataclass(eq=False)
class _Run:
    """One training: the learner, its data on the device, and how far it is."""

    learner: Learner
    arrays: Mapping[str, np.ndarray]
    steps: int
    batch: int
    seed: int
    schedule: Callable[[int, int], float]
    average: Ema
    done: int = 0

    def __post_init__(self) -> None:
        self.where = next(self.learner.averaged.parameters()).device
        self.data = {
            name: torch.from_numpy(np.array(values)).to(self.where)
            for name, values in self.arrays.items()
        }
        self.n = len(next(iter(self.data.values())))
        self.losses = torch.zeros(0)
        self._updates: dict[str, TensorFunction] = {}

    def step(self) -> None:
        """Take the next step; MemoryError where the device has too little memory for it."""
        number = self.done
        for optimizer in self.learner.optimizers.values():
            scale_rates(optimizer, self.schedule(number, self.steps))
        rows = torch.from_numpy(batch_rows(self.n, self.batch, self.seed, number))
        rows = rows.to(self.where, non_blocking=True)
        try:
            batch = {name: values[rows] for name, values in self.data.items()}
            batch |= self.learner.draw(number, self.batch)
            self.losses = self._update(self.learner.kind(number))(batch)
        except RuntimeError as error:
            # MPS has no class of its own for it.
            if isinstance(error, torch.OutOfMemoryError) or "out of memory" in str(error):
                raise MemoryError(
                    f"the {self.where.type} device has too little memory for a step on "
                    f"{self.batch}: lower the setting batch, which is {self.batch}, or channels"
                ) from error
            raise
        self.average.update()
        self.done += 1
        if self.where.type == "cpu" or not self.done % CHECK_EVERY:
            self.check_losses()

    def _update(self, kind: str) -> TensorFunction:
        """Return the learner's update, one graph for each kind of step."""
        if kind not in self._updates:

            def update(batch: Mapping[str, Tensor]) -> Tensor:
                return self.learner.update(batch, kind)

            self._updates[kind] = captured(update, self.where)
        return self._updates[kind]

    def check_losses(self) -> None:
        """Raise FloatingPointError unless the last losses are finite numbers."""
        bad = [value for value in self.losses.reshape(-1).tolist() if not np.isfinite(value)]
        if bad:
            rates = {
                f"{optimizer.param_groups[0]['initial_lr']:g}"
                for optimizer in self.learner.optimizers.values()
            }
            raise FloatingPointError(
                f"the loss is {bad[0]} at step {self.done} of {self.steps}: training diverged; "
                f"lower the learning rate, which is {' and '.join(sorted(rates))}"
            )

    def check_weights(self) -> None:
        """Raise FloatingPointError unless the averaged weights are finite, as losses lag a step."""
        if not all(bool(torch.isfinite(weight).all()) for weight in self.average.average):
            raise FloatingPointError(
                f"weights are not finite after step {self.done} of {self.steps}: training "
                "diverged; lower the learning rate"
            )


def _digest(data: Mapping[str, np.ndarray]) -> str:
    found = hashlib.sha256()
    for name in sorted(data):
        found.update(name.encode())
        found.update(np.ascontiguousarray(data[name]).tobytes())
    return found.hexdigest()
