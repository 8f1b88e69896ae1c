"""Small U-Nets that are told the time: of digits and their classes, and of colour pictures."""

import itertools
import math

import torch
from torch import Tensor, nn
from torch.nn.functional import (
    group_norm,
    pixel_shuffle,
    pixel_unshuffle,
    scaled_dot_product_attention,
    silu,
)

GROUPS = 4
FREQUENCIES = 16
LARGEST_ATTENDED = 8
MOST_WIDENING = 4
HEAD = 32
# The standard deviation of a pixel's value among pictures in [-1, 1], roughly.
PIXEL = 0.5


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
        return x + self.second(silu(self.first(hidden)))


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


class Attention(nn.Module):
    """Self-attention among the places of a map; it starts as the identity."""

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
        found = scaled_dot_product_attention(query, key, value)
        return x + self.answer(found.transpose(2, 3).reshape(x.shape))


class Level(nn.Module):
    """A block, then attention where `attends`."""

    def __init__(self, channels: int, condition: int, attends: bool) -> None:
        super().__init__()
        self.block = Block(channels, condition)
        self.attention = Attention(channels) if attends else nn.Identity()

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        """Map `(n, channels, height, width)` under `condition` `(n, d)` to the same shape."""
        return self.attention(self.block(x, condition))


class FaceUNet(nn.Module):
    """Noisy colour pictures and times in, a velocity for each out; at first it is zero.

    Two by two pixels become the channels of one place. From there maps halve while their sides
    are even and at least 8 places, down to 4 x 4 for 32, 64 and 128 pixels; widths double, up to
    four times `channels`. Maps of at most 8 x 8 places, the smallest excepted, get attention.
    What comes in and goes out is scaled to a size of one by the time (Karras et al. 2022, arXiv
    2206.00364).

    - `channels`: width at half size, a multiple of 4.
    - `shape`: height and width of the pictures, even.
    """

    def __init__(self, channels: int, shape: tuple[int, int]) -> None:
        super().__init__()
        halved = halvings(shape)
        widths = [channels * min(2**i, MOST_WIDENING) for i in range(halved)]
        sides = [(shape[0] >> i, shape[1] >> i) for i in range(1, halved + 1)]
        condition = 3 * channels
        self.waves = Waves()
        self.time = nn.Sequential(
            nn.Linear(2 * FREQUENCIES, condition), nn.SiLU(), nn.Linear(condition, condition)
        )

        def levels() -> nn.ModuleList:
            return nn.ModuleList(
                Level(width, condition, max(places) <= LARGEST_ATTENDED)
                for width, places in zip(widths[:-1], sides[:-1], strict=True)
            )

        steps = list(itertools.pairwise(widths))
        self.enter = nn.Conv2d(12, channels, 3, padding=1)
        self.inward = levels()
        self.down = nn.ModuleList(nn.Conv2d(fine, coarse, 2, stride=2) for fine, coarse in steps)
        self.bottom = nn.ModuleList(Block(widths[-1], condition) for _ in range(2))
        self.up = nn.ModuleList(nn.Conv2d(coarse, 4 * fine, 1) for fine, coarse in steps)
        self.outward = levels()
        self.finish = Block(channels, condition)
        self.last = nn.Linear(condition, 2 * channels)
        self.leave = nn.Conv2d(channels, 12, 1)
        zero(self.last, self.leave)

    def forward(self, x: Tensor, time: Tensor) -> Tensor:
        """Return `(n, 3, h, w)` for pictures of that shape at times `(n,)` from 0 to 1."""
        size = ((time * PIXEL).square() + (1 - time).square()).sqrt()[:, None, None, None]
        condition = silu(self.time(self.waves(time)))
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
        scale, shift = self.last(condition).chunk(2, dim=1)
        out = self.leave(silu(adaptive_norm(hidden, 1 + scale, shift)))
        return pixel_shuffle(out, 2) * (PIXEL / size)


def halvings(shape: tuple[int, int]) -> int:
    """Return how often both sides can be halved and stay at least 4 wide, at least once."""
    found = 1
    while not any(side % 2 ** (found + 1) or side < 2 ** (found + 3) for side in shape):
        found += 1
    return found


def zero(*layers: nn.Module) -> None:
    """Set all weights of layers to zero."""
    for layer in layers:
        for weight in layer.parameters():
            nn.init.zeros_(weight)
