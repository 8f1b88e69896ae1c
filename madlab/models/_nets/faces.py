"""Two StyleGAN2-like networks of colour pictures: one draws them, one tells real ones from drawn.

Source: Karras et al. 2020, "Analyzing and Improving the Image Quality of StyleGAN", arXiv
1912.04958; what differs is said at each class.
"""

import math
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, interpolate, leaky_relu, pixel_shuffle, pixel_unshuffle

from madlab.models._nets.unet import halvings

LATENT = 64
UNITS = 128
SLOPE = 0.2
# Keeps the size of values through a leaky ReLU.
GAIN = 1.4
# How much more slowly some weights learn than the others.
SLOW = 0.1
RESIDUAL = 0.5
WIDEST = 8
GROUP = 8
UPSAMPLINGS = ("shuffle", "nearest", "bilinear")


def widths(channels: int, halved: int) -> list[int]:
    """Return the numbers of channels at half size, a quarter, ...: they double up to a limit."""
    return [channels * min(2**i, WIDEST) for i in range(halved)]


class Slow(nn.Module):
    """A linear map whose weights learn at a tenth of the rate: they are kept ten times as large."""

    def __init__(self, inner: int, outer: int) -> None:
        super().__init__()
        self.map = nn.Linear(inner, outer)

    @torch.no_grad()
    def start(self, weight: Tensor, bias: Tensor) -> None:
        """Set the map to `weight` `(outer, inner)` and `bias` `(outer,)`."""
        self.map.weight.copy_(weight / SLOW)
        self.map.bias.copy_(bias / SLOW)

    def forward(self, x: Tensor) -> Tensor:
        """Map `(n, inner)` to `(n, outer)`."""
        return SLOW * self.map(x)


class Mapping(nn.Module):
    """z to w, as z plus a small network's value: at the start w is z."""

    def __init__(self) -> None:
        super().__init__()
        self.enter = Slow(LATENT, LATENT)
        self.leave = Slow(LATENT, LATENT)
        start = torch.randn(LATENT, LATENT) / LATENT**0.5
        self.enter.start(start, torch.zeros(LATENT))
        self.leave.start(torch.zeros(LATENT, LATENT), torch.zeros(LATENT))

    def forward(self, z: Tensor) -> Tensor:
        """Map `(n, LATENT)` to `(n, LATENT)`."""
        return z + self.leave(GAIN * leaky_relu(self.enter(z), SLOPE))


class Modulated(nn.Module):
    """A leaky ReLU, then a convolution whose input channels each picture's w scales.

    Demodulation, which keeps the size of values whatever the scales are, divides what comes out and
    not the weights: so all pictures share one ordinary convolution.

    - `inner`, `outer`: channels in and out.
    - `grow`: how the size is doubled before, one of `UPSAMPLINGS`; None keeps it. "shuffle" doubles
      it after, by moving four times as many channels into pixels.
    - `noise`: whether a number for each pixel is added, as strongly as is learnt; from zero.
    """

    def __init__(
        self, inner: int, outer: int, *, grow: str | None = None, noise: bool = False
    ) -> None:
        super().__init__()
        self.grow = grow
        made = 4 * outer if grow == "shuffle" else outer
        self.style = nn.Linear(LATENT, inner)
        self.weight = nn.Parameter(torch.randn(made, inner, 3, 3) / (9 * inner) ** 0.5)
        self.bias = nn.Parameter(torch.zeros(made, 1, 1))
        self.strength = nn.Parameter(torch.zeros(())) if noise else None
        nn.init.zeros_(self.style.bias)

    def forward(self, x: Tensor, w: Tensor, noise: Tensor | None = None) -> Tensor:
        """Map `(n, inner, h, w)` to `(n, outer, h, w)`, or twice the size.

        - `noise`: `(n, h, w)` of the size that comes out.
        """
        scales = 1 + self.style(w)
        x = leaky_relu(x, SLOPE) * (GAIN * scales)[:, :, None, None]
        if self.grow in ("nearest", "bilinear"):
            x = interpolate(x, scale_factor=2, mode=self.grow)
        x = conv2d(x, self.weight, padding=1)
        sizes = (scales.square() @ self.weight.square().sum((2, 3)).T + 1e-8).rsqrt()
        x = torch.addcmul(self.bias, x, sizes[:, :, None, None])
        if self.grow == "shuffle":
            x = pixel_shuffle(x, 2)
        if noise is not None and self.strength is not None:
            x = x + self.strength * noise[:, None]
        return x


class Level(nn.Module):
    """Doubles the size: an upsampling convolution, the linear picture's part, a residual one."""

    def __init__(
        self, inner: int, outer: int, shrink: int, upsampling: str, linear: bool, noise: bool
    ) -> None:
        super().__init__()
        self.shrink = shrink
        self.up = Modulated(inner, outer, grow=upsampling, noise=noise)
        self.fine = Modulated(outer, outer, noise=noise)
        self.skip = nn.Conv2d(3 * shrink**2, outer, 3, padding=1) if linear else None

    def forward(
        self, x: Tensor, w: Tensor, picture: Tensor | None, noise: tuple[Tensor | None, ...]
    ) -> Tensor:
        """Return features of twice the size.

        - `picture`: the linear picture, full size; `noise`: for the two convolutions.
        """
        x = self.up(x, w, noise[0])
        if self.skip is not None and picture is not None:
            x = x + self.skip(pixel_unshuffle(picture, self.shrink))
        return x + self.fine(x, w, noise[1])


class Generator(nn.Module):
    """Latent vectors in, colour pictures out, about in [-1, 1].

    A picture is a linear function of w, which may start as the training pictures' principal
    components, plus a residual from modulated convolutions, which starts at zero. The linear
    picture is also shown to the convolutions of each size.

    - `channels`: at half size; they double where the size halves, up to eightfold.
    - `shape`: height and width of a picture, multiples of 4.
    - `upsampling`: one of `UPSAMPLINGS`.
    - `linear`: whether there is the linear picture; without it this is a plain StyleGAN2.
    - `noise`: whether convolutions get noise for each pixel.
    """

    def __init__(
        self,
        channels: int,
        shape: tuple[int, int] = (32, 32),
        upsampling: str = "shuffle",
        linear: bool = True,
        noise: bool = False,
    ) -> None:
        super().__init__()
        halved = halvings(shape)
        self.shape = shape
        self.coarse = (shape[0] >> halved, shape[1] >> halved)
        wide = [*reversed(widths(channels, halved))]
        self.mapping = Mapping()
        self.linear = Slow(LATENT, 3 * shape[0] * shape[1]) if linear else None
        self.enter = nn.Linear(LATENT, wide[0] * self.coarse[0] * self.coarse[1])
        self.levels = nn.ModuleList(
            Level(inner, outer, 2 ** (halved - 1 - i), upsampling, linear, noise)
            for i, (inner, outer) in enumerate(pairwise(wide))
        )
        self.style = nn.Linear(LATENT, channels)
        nn.init.zeros_(self.style.bias)
        self.leave = nn.Conv2d(channels, 12, 3, padding=1)
        if linear:
            for weight in self.leave.parameters():
                nn.init.zeros_(weight)
        sizes = [(shape[0] >> k, shape[1] >> k) for k in range(halved - 1, 0, -1)]
        self.maps = [size for size in sizes for _ in range(2)] if noise else []

    @property
    def noise_length(self) -> int:
        """How many random numbers a picture takes: z, then the noise of each convolution."""
        return LATENT + sum(height * width for height, width in self.maps)

    def forward(
        self, noise: Tensor, label: Tensor, truncation: float = 1.0, centre: Tensor | None = None
    ) -> Tensor:
        """Return `(n, 3, height, width)`.

        - `noise`: `(n, noise_length)`; `label`: not used.
        - `truncation`, `centre`: w is moved to `centre` plus `truncation` times its way from there.
        """
        w = self.mapping(noise[:, :LATENT])
        if centre is not None:
            w = centre + truncation * (w - centre)
        maps = self._split(noise[:, LATENT:])
        flat = None if self.linear is None else self.linear(w).float()
        picture = None if flat is None else flat.reshape(-1, 3, *self.shape)
        x = self.enter(w).unflatten(1, (*self.coarse, -1)).permute(0, 3, 1, 2)
        for i, level in enumerate(self.levels):
            x = level(x, w, picture, maps[2 * i : 2 * i + 2])
        x = leaky_relu(x, SLOPE) * (GAIN * (1 + self.style(w)))[:, :, None, None]
        residual = pixel_shuffle(self.leave(x), 2).float()
        return residual if picture is None else picture + RESIDUAL * residual

    def _split(self, noise: Tensor) -> tuple[Tensor | None, ...]:
        if not self.maps:
            return (None,) * (2 * len(self.levels))
        parts = torch.split(noise, [height * width for height, width in self.maps], dim=1)
        return tuple(part.reshape(-1, *size) for part, size in zip(parts, self.maps, strict=True))


class Discriminator(nn.Module):
    """Colour pictures in, one score each out.

    The size is halved by moving pixels into channels before each convolution; between the first
    size and the last there is a residual convolution too. The last units also see how much a group
    of pictures varies (minibatch deviation), so a score depends a little on its neighbours.

    - `channels`: at half size; they double where the size halves, up to eightfold.
    - `shape`: height and width of a picture, multiples of 4.
    """

    def __init__(self, channels: int, shape: tuple[int, int] = (32, 32)) -> None:
        super().__init__()
        halved = halvings(shape)
        wide = widths(channels, halved)
        self.halve = nn.ModuleList(
            nn.Conv2d(4 * inner, outer, 3, padding=1) for inner, outer in pairwise([3, *wide])
        )
        self.blocks = nn.ModuleList(nn.Conv2d(width, width, 3, padding=1) for width in wide[1:-1])
        places = (shape[0] >> halved) * (shape[1] >> halved)
        self.units = nn.Linear(places * wide[-1] + 1, UNITS)
        # Losses look at differences of scores, so a bias would go nowhere.
        self.score = nn.Linear(UNITS, 1, bias=False)
        for layer in (*self.halve, *self.blocks, self.units):
            nn.init.kaiming_normal_(layer.weight, SLOPE)

    def forward(self, x: Tensor, label: Tensor) -> Tensor:
        """Return scores `(n,)` of pictures `(n, 3, height, width)`; `label` is not used.

        Groups are made among each half of the pictures: real and drawn ones do not mix.
        """
        x = pixel_unshuffle(x, 2).contiguous(memory_format=torch.channels_last)
        for i, halve in enumerate(self.halve):
            x = leaky_relu(halve(x if i == 0 else pixel_unshuffle(x, 2)), SLOPE)
            if 0 < i < len(self.halve) - 1:
                x = x + leaky_relu(self.blocks[i - 1](x), SLOPE)
        x = x.permute(0, 2, 3, 1).flatten(1)
        x = leaky_relu(self.units(torch.cat([x, deviation(x)], dim=1)), SLOPE)
        return self.score(x)[:, 0]


def deviation(x: Tensor) -> Tensor:
    """Return `(n, 1)`, the mean standard deviation of features `(n, d)` in each one's group.

    Groups are of up to 8 neighbours, never across the middle of the batch.
    """
    # An odd number of pictures has no halves: each is its own group.
    size = max(math.gcd(len(x), 2 * GROUP) // 2, 1)
    groups = x.float().reshape(-1, size, x.shape[1])
    around = groups - groups.mean(1, keepdim=True)
    found = (around.square().mean(1) + 1e-8).sqrt().mean(1)
    return found[:, None].expand(-1, size).reshape(-1, 1).to(x.dtype)
