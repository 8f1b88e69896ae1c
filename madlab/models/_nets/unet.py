"""Small U-Nets that are told the time: of digits and their classes, and of colour pictures."""

import math
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.functional import group_norm, pixel_shuffle, pixel_unshuffle, silu

GROUPS = 4
FREQUENCIES = 16
LARGEST_ATTENDED = 8
MOST_WIDENING = 4
HEAD = 32
# The standard deviation of a pixel's value among pictures in [-1, 1], roughly.
PIXEL = 0.5


def widths(channels: int, shape: tuple[int, int], most: int) -> list[int]:
    """Return the numbers of channels at half size, a quarter, ... while sides stay 4 wide.

    They double up to `most` times `channels`.
    """
    halved = 1
    while not any(side % 2 ** (halved + 1) or side < 2 ** (halved + 3) for side in shape):
        halved += 1
    return [channels * min(2**i, most) for i in range(halved)]


def zero(*layers: nn.Module) -> None:
    """Set all weights of layers to zero."""
    for layer in layers:
        for weight in layer.parameters():
            nn.init.zeros_(weight)


def adaptive_norm(x: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
    """Normalise groups of channels of `(n, c, h, w)`, then scale and shift each by `(n, c)`.

    On a CPU one call does both for the whole batch, seen as the channels of a single image.
    """
    if x.device.type != "cpu":
        return torch.addcmul(
            shift[:, :, None, None], group_norm(x, GROUPS), scale[:, :, None, None]
        )
    n, c, height, width = x.shape
    flat = x.reshape(1, n * c, height, width)
    return group_norm(flat, n * GROUPS, scale.reshape(-1), shift.reshape(-1)).view(x.shape)


def modulated(x: Tensor, condition: Tensor, layer: nn.Module) -> Tensor:
    """Return the SiLU of `x`, normalised, scaled and shifted as `layer` makes of `condition`."""
    scale, shift = layer(condition).chunk(2, dim=1)
    return silu(adaptive_norm(x, 1 + scale, shift))


class Block(nn.Module):
    """A residual block of two convolutions, conditioned by its norm; the identity at first."""

    def __init__(self, channels: int, condition: int) -> None:
        super().__init__()
        self.modulation = nn.Linear(condition, 2 * channels)
        self.first = nn.Conv2d(channels, channels, 3, padding=1)
        self.second = nn.Conv2d(channels, channels, 3, padding=1)
        zero(self.modulation, self.second)

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        """Map `(n, channels, height, width)` under `condition` `(n, d)` to the same shape."""
        hidden = self.first(modulated(x, condition, self.modulation))
        return x + self.second(silu(hidden))


class Timed(nn.Module):
    """A network that is told times by their cosines and sines at frequencies from 1 to 100."""

    frequencies: Tensor

    def __init__(self, condition: int) -> None:
        super().__init__()
        frequencies = torch.exp(torch.linspace(0.0, math.log(100.0), FREQUENCIES))
        self.register_buffer("frequencies", frequencies, persistent=False)
        self.time = nn.Sequential(
            nn.Linear(2 * FREQUENCIES, condition), nn.SiLU(), nn.Linear(condition, condition)
        )

    def told(self, time: Tensor) -> Tensor:
        """Map times `(n,)` from 0 to 1 to `(n, condition)`."""
        angles = time[:, None] * self.frequencies
        return self.time(torch.cat([angles.cos(), angles.sin()], dim=1))


class UNet(Timed):
    """Pictures in, pictures of the same shape out, given a time and a class.

    Two by two pixels become the channels of one place, so that the work is done at half and
    quarter size, with `channels`, a multiple of 4, and twice as many.

    - `classes`: how many; the class with this number stands for "no class given".
    """

    def __init__(self, channels: int, classes: int) -> None:
        condition = 48
        super().__init__(condition)
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
        """Map pictures `(n, 1, h, w)` at times `(n,)` from 0 to 1 and of int64 labels `(n,)`."""
        condition = silu(self.told(time) + self.label(label))
        fine = self.fine_in(self.enter(pixel_unshuffle(x, 2)), condition)
        coarse = self.down(fine)
        for block in self.coarse:
            coarse = block(coarse, condition)
        fine = fine + pixel_shuffle(self.up(coarse), 2)
        for block in self.fine_out:
            fine = block(fine, condition)
        return pixel_shuffle(self.leave(modulated(fine, condition, self.last)), 2)


class Attention(nn.Module):
    """Self-attention among the places of a map; the identity at first."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.heads = max(1, channels // HEAD)
        self.norm = nn.GroupNorm(GROUPS, channels)
        self.ask = nn.Conv2d(channels, 3 * channels, 1)
        self.answer = nn.Conv2d(channels, channels, 1)
        zero(self.answer)

    def forward(self, x: Tensor) -> Tensor:
        """Map `(n, channels, height, width)` to the same shape."""
        split = self.ask(self.norm(x)).flatten(2).unflatten(1, (3, self.heads, -1))
        query, key, value = split.transpose(3, 4).unbind(1)
        found = nn.functional.scaled_dot_product_attention(query, key, value)
        return x + self.answer(found.transpose(2, 3).reshape(x.shape))


class Level(nn.Module):
    """A `Block`, then attention where `attends`."""

    def __init__(self, channels: int, condition: int, attends: bool) -> None:
        super().__init__()
        self.block = Block(channels, condition)
        self.attention = Attention(channels) if attends else nn.Identity()

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        """Map as a `Block` does."""
        return self.attention(self.block(x, condition))


class FaceUNet(Timed):
    """Noisy colour pictures and times in, a velocity for each out; at first it is zero.

    Two by two pixels become the channels of one place. From there maps halve and `widths` double.
    Maps of at most 8 x 8 places, the smallest excepted, get attention. What comes in and goes out
    is scaled to a size of one by the time (Karras et al. 2022, arXiv 2206.00364).

    - `channels`: width at half size, a multiple of 4.
    - `shape`: height and width of the pictures, even.
    """

    def __init__(self, channels: int, shape: tuple[int, int]) -> None:
        condition = 3 * channels
        super().__init__(condition)
        wide = widths(channels, shape, MOST_WIDENING)

        def levels() -> nn.ModuleList:
            return nn.ModuleList(
                Level(width, condition, max(shape) >> i <= LARGEST_ATTENDED)
                for i, width in enumerate(wide[:-1], start=1)
            )

        steps = list(pairwise(wide))
        self.enter = nn.Conv2d(12, channels, 3, padding=1)
        self.inward = levels()
        self.down = nn.ModuleList(nn.Conv2d(fine, coarse, 2, stride=2) for fine, coarse in steps)
        self.bottom = nn.ModuleList(Block(wide[-1], condition) for _ in range(2))
        self.up = nn.ModuleList(nn.Conv2d(coarse, 4 * fine, 1) for fine, coarse in steps)
        self.outward = levels()
        self.finish = Block(channels, condition)
        self.last = nn.Linear(condition, 2 * channels)
        self.leave = nn.Conv2d(channels, 12, 1)
        zero(self.last, self.leave)

    def forward(self, x: Tensor, time: Tensor) -> Tensor:
        """Return `(n, 3, h, w)` for pictures of that shape at times `(n,)` from 0 to 1."""
        size = ((time * PIXEL).square() + (1 - time).square()).sqrt()[:, None, None, None]
        condition = silu(self.told(time))
        hidden = self.enter(pixel_unshuffle(x / size, 2))
        passed = []
        for level, down in zip(self.inward, self.down, strict=True):
            hidden = level(hidden, condition)
            passed.append(hidden)
            hidden = down(hidden)
        for block in self.bottom:
            hidden = block(hidden, condition)
        for up, level in zip(reversed(self.up), reversed(self.outward), strict=True):
            hidden = level(passed.pop() + pixel_shuffle(up(hidden), 2), condition)
        hidden = self.finish(hidden, condition)
        out = self.leave(modulated(hidden, condition, self.last))
        return pixel_shuffle(out, 2) * (PIXEL / size)
