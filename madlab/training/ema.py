"""A running average of weights."""

from collections.abc import Iterable

import torch
from torch import Tensor


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
