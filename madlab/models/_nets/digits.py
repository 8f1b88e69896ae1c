"""Two small class-conditional networks: one draws pictures of one channel, one scores them."""

import torch
from torch import Tensor, nn
from torch.nn.functional import leaky_relu, pixel_shuffle, pixel_unshuffle, silu

GROUPS = 8
UNITS = 128


class Generator(nn.Module):
    """Latent vectors and classes in, pictures in (-1, 1) out.

    It starts at a quarter of the size with 2 `channels` and doubles the size twice by moving
    channels into pixels.

    - `channels`: width at half size, a multiple of 4.
    - `classes`: how many; `latent`: length of a latent vector, and of a class's vector beside it.
    - `shape`: height and width of a picture, multiples of 4.
    """

    def __init__(
        self, channels: int, classes: int, latent: int = 48, shape: tuple[int, int] = (28, 28)
    ) -> None:
        super().__init__()
        self.coarse = (shape[0] // 4, shape[1] // 4)
        places = self.coarse[0] * self.coarse[1]
        self.label = nn.Embedding(classes, latent)
        self.enter = nn.Linear(2 * latent, places * 2 * channels)
        self.norm = nn.GroupNorm(GROUPS, 2 * channels)
        self.up = nn.Conv2d(2 * channels, 4 * channels, 3, padding=1)
        self.fine = nn.Conv2d(channels, channels, 3, padding=1)
        self.leave = nn.Conv2d(channels, 4, 3, padding=1)

    def forward(self, z: Tensor, label: Tensor) -> Tensor:
        """Return `(n, 1, height, width)` for `z` `(n, latent)` and `label` int64 `(n,)`."""
        x = self.enter(torch.cat([z, self.label(label)], dim=1))
        # Channels last, as the convolutions have it.
        x = x.unflatten(1, (*self.coarse, -1)).permute(0, 3, 1, 2)
        x = pixel_shuffle(self.up(silu(self.norm(x))), 2)
        x = x + self.fine(silu(x))
        return pixel_shuffle(self.leave(silu(x)), 2).float().tanh()


class Discriminator(nn.Module):
    """Pictures and classes in, one score each out; no normalisation, so each image is alone.

    - `channels`: width at half size.
    - `classes`: how many; the class enters by a projection (Miyato and Koyama 2018, arXiv
      1802.05637): a score is linear in the last units, with weights for each class.
    - `shape`: height and width of a picture, multiples of 4.
    - `blocks`: how many residual convolutions there are at a quarter of the size.
    """

    def __init__(
        self, channels: int, classes: int, shape: tuple[int, int] = (28, 28), blocks: int = 0
    ) -> None:
        super().__init__()
        places = shape[0] // 4 * (shape[1] // 4)
        self.fine = nn.Conv2d(4, channels, 3, padding=1)
        self.coarse = nn.Conv2d(4 * channels, 2 * channels, 3, padding=1)
        self.blocks = nn.ModuleList(
            nn.Conv2d(2 * channels, 2 * channels, 3, padding=1) for _ in range(blocks)
        )
        self.units = nn.Linear(places * 2 * channels, UNITS)
        # Losses look at differences of scores, so a bias would go nowhere.
        self.score = nn.Linear(UNITS, 1, bias=False)
        self.label = nn.Embedding(classes, UNITS)

    def forward(self, x: Tensor, label: Tensor) -> Tensor:
        """Return scores `(n,)` of pictures `(n, 1, height, width)` of classes int64 `(n,)`."""
        x = pixel_unshuffle(x, 2).contiguous(memory_format=torch.channels_last)
        x = leaky_relu(self.fine(x), 0.2)
        x = leaky_relu(self.coarse(pixel_unshuffle(x, 2)), 0.2)
        for block in self.blocks:
            x = x + leaky_relu(block(x), 0.2)
        x = leaky_relu(self.units(x.permute(0, 2, 3, 1).flatten(1)), 0.2)
        return self.score(x)[:, 0] + (x * self.label(label)).sum(1) / UNITS**0.5
