"""What a training step is given: its rows of the data, its random numbers, its learning rate."""

import functools
from collections.abc import Callable
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from madlab.streams import derive, generator

Made = TypeVar("Made")


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


class Draws:
    """Random numbers on a device, in a stream that words name.

    On the CPU they are numpy's, from `madlab.streams`; elsewhere the device draws its own, which
    are others, but just as much a function of the words.

    - `where`: the device they are wanted on.
    - `seed`, `purpose`: as `madlab.streams.generator` takes them.
    """

    def __init__(self, where: torch.device, seed: int, *purpose: int | str) -> None:
        self._where = where
        self._numpy = generator(seed, *purpose) if where.type == "cpu" else None
        if self._numpy is None:
            self._torch = torch.Generator(where).manual_seed(derive(seed, *purpose))

    def normal(self, *shape: int) -> Tensor:
        """Return standard normal numbers, float32 of `shape`."""
        if self._numpy is not None:
            return torch.from_numpy(self._numpy.standard_normal(shape, dtype=np.float32))
        return torch.randn(shape, generator=self._torch, device=self._where)

    def uniform(self, *shape: int) -> Tensor:
        """Return numbers that are uniform in [0, 1), float32 of `shape`."""
        if self._numpy is not None:
            # Rounding to float32 would make 1 of the largest numbers below it.
            drawn = torch.from_numpy(self._numpy.random(shape)).float()
            return drawn.clamp_(max=1 - 2**-24)
        return torch.rand(shape, generator=self._torch, device=self._where)


def seeded(make: Callable[[], Made], seed: int) -> Made:
    """Return what `make` makes, with torch's random numbers on the CPU set by the seed.

    Used for initial weights: they are the same for every device.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive(seed, "weights"))
        return make()
