"""A small class-conditional U-Net for pictures of one channel."""

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import group_norm, pixel_shuffle, pixel_unshuffle, silu

GROUPS = 4
FREQUENCIES = 16


def adaptive_norm(x: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
    """Normalise groups of channels, then scale and shift each channel of each image.

    On a CPU one call of group normalisation does both for the whole batch: it sees the batch as the
    channels of a single image.

    - `x`: `(n, c, height, width)`; `scale`, `shift`: `(n, c)`.
    """
    if x.device.type != "cpu":
        return torch.addcmul(
            shift[:, :, None, None], group_norm(x, GROUPS), scale[:, :, None, None]
        )
    n, c, height, width = x.shape
    flat = x.reshape(1, n * c, height, width)
    flat = group_norm(flat, n * GROUPS, scale.reshape(-1), shift.reshape(-1))
    return flat.view(n, c, height, width)


class Block(nn.Module):
    """A residual block of two convolutions, conditioned through its normalisation.

    It starts as the identity: the last convolution is zero.
    """

    def __init__(self, channels: int, condition: int) -> None:
        super().__init__()
        self.modulation = nn.Linear(condition, 2 * channels)
        self.first = nn.Conv2d(channels, channels, 3, padding=1)
        self.second = nn.Conv2d(channels, channels, 3, padding=1)
        zero(self.modulation, self.second)

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        """Map `(n, channels, height, width)` under `condition` `(n, d)` to the same shape."""
        scale, shift = self.modulation(condition).chunk(2, dim=1)
        hidden = silu(adaptive_norm(x, 1 + scale, shift))
        change: Tensor = self.second(silu(self.first(hidden)))
        return x + change


class Waves(nn.Module):
    """Cosines and sines of a time at frequencies from 1 to 100, what networks are told it by."""

    frequencies: Tensor

    def __init__(self) -> None:
        super().__init__()
        frequencies = torch.exp(torch.linspace(0.0, math.log(100.0), FREQUENCIES))
        self.register_buffer("frequencies", frequencies, persistent=False)

    def forward(self, time: Tensor) -> Tensor:
        """Map times `(n,)` from 0 to 1 to `(n, 2 * FREQUENCIES)`."""
        angles = time[:, None] * self.frequencies
        return torch.cat([angles.cos(), angles.sin()], dim=1)


class UNet(nn.Module):
    """Pictures in, pictures of the same shape out, given a time and a class.

    Two by two pixels become the channels of one place, so that the work is done at half and
    quarter size, with `channels` and twice as many.

    - `channels`: a multiple of 4; 16 gives fewer than 100,000 weights.
    - `classes`: how many; the class with this number stands for "no class given".
    - `condition`: length of the vector that time and class are turned into.
    """

    def __init__(self, channels: int, classes: int, condition: int = 48) -> None:
        super().__init__()
        self.classes = classes
        self.waves = Waves()
        self.time = nn.Sequential(
            nn.Linear(2 * FREQUENCIES, condition), nn.SiLU(), nn.Linear(condition, condition)
        )
        self.label = nn.Embedding(classes + 1, condition)
        self.enter = nn.Conv2d(4, channels, 3, padding=1)
        self.fine_in = Block(channels, condition)
        self.down = nn.Conv2d(channels, 2 * channels, 2, stride=2)
        self.coarse = nn.ModuleList(Block(2 * channels, condition) for _ in range(3))
        self.up = nn.Conv2d(2 * channels, 4 * channels, 1)
        self.fine_out = nn.ModuleList(Block(channels, condition) for _ in range(2))
        self.last = nn.Linear(condition, 2 * channels)
        self.leave = nn.Conv2d(channels, 4, 1)
        zero(self.last, self.leave)

    def forward(self, x: Tensor, time: Tensor, label: Tensor) -> Tensor:
        """Return `(n, 1, height, width)` for pictures of that shape, sides multiples of 4.

        - `time`: float `(n,)`, from 0 to 1; `label`: int64 `(n,)`, from 0 to `classes`.
        """
        condition = silu(self.time(self.waves(time)) + self.label(label))
        fine = self.fine_in(self.enter(pixel_unshuffle(x, 2)), condition)
        coarse = self.down(fine)
        for block in self.coarse:
            coarse = block(coarse, condition)
        fine = fine + pixel_shuffle(self.up(coarse), 2)
        for block in self.fine_out:
            fine = block(fine, condition)
        scale, shift = self.last(condition).chunk(2, dim=1)
        fine = silu(adaptive_norm(fine, 1 + scale, shift))
        return pixel_shuffle(self.leave(fine), 2)


def zero(*layers: nn.Module) -> None:
    """Set all weights of layers to zero."""
    for layer in layers:
        for weight in layer.parameters():
            nn.init.zeros_(weight)
