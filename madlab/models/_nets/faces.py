"""Two StyleGAN2-like networks of colour pictures: one draws them, one tells real ones from drawn.

Source: Karras et al. 2020, arXiv 1912.04958; what differs is said at each class.
"""

import math
from collections.abc import Iterator
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, interpolate, leaky_relu, pixel_shuffle, pixel_unshuffle

from madlab.models._nets.unet import widths, zero

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


def styled(x: Tensor, scales: Tensor) -> Tensor:
    """Return a leaky ReLU of `(n, c, h, w)` whose channels `scales`, `(n, c)`, scale."""
    return leaky_relu(x, SLOPE) * (GAIN * scales)[:, :, None, None]


class Slow(nn.Module):
    """A linear map whose weights, kept ten times as large, learn at a tenth of the rate."""

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
        zero(self.leave)

    def forward(self, z: Tensor) -> Tensor:
        """Map `(n, LATENT)` to the same shape."""
        return z + self.leave(GAIN * leaky_relu(self.enter(z), SLOPE))


class Modulated(nn.Module):
    """A leaky ReLU, then a convolution whose input channels each picture's w scales.

    Demodulation, which keeps the size of values whatever the scales are, divides what comes out and
    not the weights: so all pictures share one ordinary convolution.

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

    def forward(self, x: Tensor, w: Tensor, noise: Iterator[Tensor]) -> Tensor:
        """Map `(n, inner, h, w)` to `(n, outer, h, w)` or twice the size; take the next `noise`."""
        scales = 1 + self.style(w)
        x = styled(x, scales)
        if self.grow in ("nearest", "bilinear"):
            x = interpolate(x, scale_factor=2, mode=self.grow)
        x = conv2d(x, self.weight, padding=1)
        sizes = (scales.square() @ self.weight.square().sum((2, 3)).T + 1e-8).rsqrt()
        x = torch.addcmul(self.bias, x, sizes[:, :, None, None])
        if self.grow == "shuffle":
            x = pixel_shuffle(x, 2)
        if self.strength is not None:
            x = x + self.strength * next(noise).reshape(-1, 1, *x.shape[2:])
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
        self, x: Tensor, w: Tensor, picture: Tensor | None, noise: Iterator[Tensor]
    ) -> Tensor:
        """Return features of twice the size; `picture` is the linear one, full size."""
        x = self.up(x, w, noise)
        if self.skip is not None and picture is not None:
            x = x + self.skip(pixel_unshuffle(picture, self.shrink))
        return x + self.fine(x, w, noise)


class Generator(nn.Module):
    """Latent vectors in, colour pictures out, about in [-1, 1].

    A picture is a linear function of w, which may start as principal components, plus a residual
    from modulated convolutions, zero at first, which see the linear picture at each size.

    - `channels`: at half size; they double where the size halves, up to eightfold.
    - `shape`: height and width of a picture, multiples of 4.
    - `upsampling`, `noise`: as for `Modulated`.
    - `linear`: whether there is the linear picture; without it this is a plain StyleGAN2.
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
        self.shape = shape
        wide = widths(channels, shape, WIDEST)[::-1]
        self.coarse, *sizes = [(shape[0] >> i, shape[1] >> i) for i in range(len(wide), 0, -1)]
        self.mapping = Mapping()
        self.linear = Slow(LATENT, 3 * shape[0] * shape[1]) if linear else None
        self.enter = nn.Linear(LATENT, wide[0] * self.coarse[0] * self.coarse[1])
        self.levels = nn.ModuleList(
            Level(inner, outer, shape[0] // height, upsampling, linear, noise)
            for (inner, outer), (height, _) in zip(pairwise(wide), sizes, strict=True)
        )
        self.style = nn.Linear(LATENT, channels)
        nn.init.zeros_(self.style.bias)
        self.leave = nn.Conv2d(channels, 12, 3, padding=1)
        if linear:
            zero(self.leave)
        # Random numbers of a picture: z, then the noise of each convolution.
        self.parts = [LATENT, *(h * w for h, w in sizes for _ in range(2) if noise)]
        self.noise_length = sum(self.parts)

    def forward(
        self, noise: Tensor, label: Tensor, truncation: float = 1.0, centre: Tensor | None = None
    ) -> Tensor:
        """Return `(n, 3, height, width)`, given `noise` `(n, noise_length)`; `label` is not used.

        - `truncation`, `centre`: w is moved to `centre` plus `truncation` times its way from there.
        """
        z, *maps = torch.split(noise, self.parts, dim=1)
        w = self.mapping(z)
        if centre is not None:
            w = centre + truncation * (w - centre)
        picture = None
        if self.linear is not None:
            picture = self.linear(w).float().reshape(-1, 3, *self.shape)
        x = self.enter(w).unflatten(1, (*self.coarse, -1)).permute(0, 3, 1, 2)
        rest = iter(maps)
        for level in self.levels:
            x = level(x, w, picture, rest)
        residual = pixel_shuffle(self.leave(styled(x, 1 + self.style(w))), 2).float()
        return residual if picture is None else picture + RESIDUAL * residual


class Discriminator(nn.Module):
    """Colour pictures in, one score each out.

    The size is halved by moving pixels into channels before each convolution; between the first
    size and the last there is a residual convolution too. The last units also see how much a group
    of pictures varies (minibatch deviation), so a score depends a little on its neighbours.
    """

    def __init__(self, channels: int, shape: tuple[int, int] = (32, 32)) -> None:
        super().__init__()
        wide = widths(channels, shape, WIDEST)
        self.halve = nn.ModuleList(
            nn.Conv2d(4 * inner, outer, 3, padding=1) for inner, outer in pairwise([3, *wide])
        )
        self.blocks = nn.ModuleList(nn.Conv2d(width, width, 3, padding=1) for width in wide[1:-1])
        places = (shape[0] >> len(wide)) * (shape[1] >> len(wide))
        self.units = nn.Linear(places * wide[-1] + 1, UNITS)
        # Losses look at differences of scores, so a bias would go nowhere.
        self.score = nn.Linear(UNITS, 1, bias=False)
        for layer in (*self.halve, *self.blocks, self.units):
            nn.init.kaiming_normal_(layer.weight, SLOPE)

    def forward(self, x: Tensor, label: Tensor) -> Tensor:
        """Return scores `(n,)` of pictures `(n, 3, height, width)`; `label` is not used."""
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

    Of up to 8 neighbours, never across the middle of the batch: real and drawn ones do not mix.
    """
    # An odd number of pictures has no halves: each is its own group.
    size = max(math.gcd(len(x), 2 * GROUP) // 2, 1)
    groups = x.float().reshape(-1, size, x.shape[1])
    around = groups - groups.mean(1, keepdim=True)
    found = (around.square().mean(1) + 1e-8).sqrt().mean(1)
    return found[:, None].expand(-1, size).reshape(-1, 1).to(x.dtype)
