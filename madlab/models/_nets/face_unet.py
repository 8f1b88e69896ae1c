"""A U-Net for pictures in colour that is told the time, with attention where maps are small."""

import itertools

from torch import Tensor, nn
from torch.nn.functional import pixel_shuffle, pixel_unshuffle, scaled_dot_product_attention, silu

from madlab.models._nets.unet import FREQUENCIES, GROUPS, Block, Waves, adaptive_norm, zero

LARGEST_ATTENDED = 8
SMALLEST = 4
MOST_WIDENING = 4
HEAD = 32
# The standard deviation of a pixel's value among pictures in [-1, 1], roughly.
PIXEL = 0.5


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
        change: Tensor = self.answer(found.transpose(2, 3).reshape(x.shape))
        return x + change


class Level(nn.Module):
    """A block, then attention where `attends`."""

    def __init__(self, channels: int, condition: int, attends: bool) -> None:
        super().__init__()
        self.block = Block(channels, condition)
        self.attention = Attention(channels) if attends else nn.Identity()

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        """Map `(n, channels, height, width)` under `condition` `(n, d)` to the same shape."""
        found: Tensor = self.attention(self.block(x, condition))
        return found


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
        widths, sides = [channels], [(shape[0] // 2, shape[1] // 2)]
        while not any(side % 2 or side < 2 * SMALLEST for side in sides[-1]):
            widths.append(min(2 * widths[-1], MOST_WIDENING * channels))
            sides.append((sides[-1][0] // 2, sides[-1][1] // 2))
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
        here = self.enter(pixel_unshuffle(x / size, 2))
        passed = []
        for level, down in zip(self.inward, self.down, strict=True):
            here = level(here, condition)
            passed.append(here)
            here = down(here)
        for block in self.bottom:
            here = block(here, condition)
        for up, level in zip(reversed(self.up), reversed(self.outward), strict=True):
            here = level(passed.pop() + pixel_shuffle(up(here), 2), condition)
        here = self.finish(here, condition)
        scale, shift = self.last(condition).chunk(2, dim=1)
        found: Tensor = self.leave(silu(adaptive_norm(here, 1 + scale, shift)))
        return pixel_shuffle(found, 2) * (PIXEL / size)
