"""What a step of training is given, and what it adds to: rows, random numbers, rate, average."""

import functools
from collections.abc import Callable, Iterable
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
