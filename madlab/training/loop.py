"""The step loop of every trained model: resumable, frugal with memory, and never past a NaN."""

import hashlib
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from madlab.training.checkpoint import Slots, restore, state
from madlab.training.ema import Ema
from madlab.training.learner import Learner, scale_rates
from madlab.training.replay import Replay
from madlab.training.schedule import batch_rows, rate

SAVE_SECONDS = 15.0
CHECK_EVERY = 100
MOST_PIECES = 16


class _Run:
    """One training: the learner, its data on the device, and how far it is."""

    def __init__(
        self,
        learner: Learner,
        data: Mapping[str, np.ndarray],
        steps: int,
        batch: int,
        seed: int,
        schedule: Callable[[int, int], float],
        gamma: float,
        slots: Slots | None,
    ) -> None:
        self.learner = learner
        self.where = next(learner.averaged.parameters()).device
        self.data = {
            name: torch.from_numpy(np.array(values)).to(self.where) for name, values in data.items()
        }
        self.n = len(next(iter(self.data.values())))
        self.steps, self.batch, self.seed = steps, batch, seed
        self.schedule = schedule
        self.slots = slots
        self.average = Ema(learner.averaged.parameters(), gamma)
        self.pieces = 1
        self.done = 0
        self.losses: Tensor | None = None
        self._first = (0, state(learner, self.average))
        self._replays: dict[str, Replay] = {}

    def resume(self) -> None:
        """Go back to the newest state that was kept, or to the start."""
        kept = self.slots.newest() if self.slots else None
        self.done, tensors = kept or self._first
        restore(self.learner, self.average, self.done, tensors)
        self.losses = None
        self._replays.clear()

    def step(self) -> None:
        """Take the next step."""
        number = self.done
        for optimizer in self.learner.optimizers.values():
            scale_rates(optimizer, self.schedule(number, self.steps))
        rows = torch.from_numpy(batch_rows(self.n, self.batch, self.seed, number))
        rows = rows.to(self.where, non_blocking=True)
        batch = {name: values[rows] for name, values in self.data.items()}
        batch |= self.learner.draw(number, self.batch)
        self.losses = self._replay(self.learner.kind(number))(batch)
        self.average.update()
        self.done += 1
        if self.where.type == "cpu" or not self.done % CHECK_EVERY:
            self.check()

    def _replay(self, kind: str) -> Replay:
        if kind not in self._replays:

            def update(batch: Mapping[str, Tensor]) -> Tensor:
                return self.learner.update(batch, kind, self.pieces)

            self._replays[kind] = Replay(update, self.where)
        return self._replays[kind]

    def check(self) -> None:
        """Raise FloatingPointError unless the last losses are finite numbers."""
        found = [] if self.losses is None else self.losses.reshape(-1).tolist()
        bad = [value for value in found if not np.isfinite(value)]
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

    def keep(self) -> None:
        """Save the state as it is, unless it diverged."""
        if self.slots and self.done:
            self.check()
            self.check_weights()
            self.slots.save(self.done, state(self.learner, self.average))

    def halve(self) -> None:
        """Compute gradients in twice as many pieces from now on, from a state before the error."""
        if 2 * self.pieces > min(MOST_PIECES, self.batch):
            raise MemoryError(
                f"the device has too little memory for batches of {self.batch}, even in "
                f"{self.pieces} pieces: take a smaller batch or network"
            )
        self.pieces *= 2
        self._replays.clear()
        if self.where.type == "cuda":
            torch.cuda.empty_cache()
        self.resume()


def _out_of_memory(error: RuntimeError) -> bool:
    # MPS has no class of its own for it.
    return isinstance(error, torch.OutOfMemoryError) or "out of memory" in str(error)


def _digest(data: Mapping[str, np.ndarray]) -> str:
    found = hashlib.sha256()
    for name in sorted(data):
        found.update(name.encode())
        found.update(np.ascontiguousarray(data[name]).tobytes())
    return found.hexdigest()


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
    function of (`seed`, step). Where a GPU runs out of memory, the gradients of each batch are
    computed in pieces.

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
    device has too little memory even for pieces, ValueError for a checkpoint of another training.
    """
    slots = None
    if checkpoint is not None:
        slots = Slots(checkpoint, {**identity, "seed": seed, "data": _digest(data)})
    learner.networks.train()
    run = _Run(learner, data, steps, batch, seed, schedule, gamma, slots)
    run.resume()
    kept = time.monotonic()
    while run.done < steps:
        short = False
        try:
            run.step()
        except RuntimeError as error:
            if not _out_of_memory(error):
                raise
            short = True
        if short:
            # Outside of the handler, which would hold on to the step's tensors.
            run.halve()
            continue
        if progress is not None:
            try:
                progress(run.done / steps)
            except BaseException:
                run.keep()
                raise
        if time.monotonic() - kept > SAVE_SECONDS:
            run.keep()
            kept = time.monotonic()
    run.check()
    run.check_weights()
    run.average.copy_back()
    learner.networks.eval()
