"""Random changes of pictures that keep a discriminator from knowing the real ones by heart."""

import torch
from torch import Tensor

# Random numbers for each picture: whether and how strongly, for each kind of change.
NUMBERS = 12
BRIGHTNESS = 0.5
CONTRAST = (0.5, 1.5)
SATURATION = (0.0, 2.0)
# Shares of a side.
SHIFT = 1 / 8
HOLE = 3 / 8


def augmented(pictures: Tensor, numbers: Tensor, probability: float) -> Tensor:
    """Return pictures `(n, 3, h, w)`, in [-1, 1] before, each changed by chance.

    A discriminator that sees real and drawn pictures alike through these changes cannot tell the
    real ones by heart, and a generator does not learn them (Zhao et al. 2020, "DiffAugment", arXiv
    2006.10738; a fixed probability as in Karras et al. 2020, arXiv 2006.06676). The changes: up to
    +-0.25 of the range in brightness, 0 to 2 times the saturation, 0.5 to 1.5 times the contrast,
    a shift by up to an eighth of each side with zeros (mid-grey) moved in, and a hole of zeros,
    three eighths of each side.

    - `numbers`: uniform `(n, NUMBERS)`; row i decides about picture i alone.
    - `probability`: of each change to each picture, 0 to 1.
    """
    _, _, height, width = pictures.shape
    number = numbers.T
    chosen = (number < probability).to(numbers.dtype)

    def factor(column: int, low: float, high: float) -> Tensor:
        change = low + (high - low) * number[column + 1] - 1
        return (1 + chosen[column] * change)[:, None, None, None]

    light = chosen[0] * BRIGHTNESS * (2 * number[1] - 1)
    colour, contrast = factor(2, *SATURATION), factor(4, *CONTRAST)
    # In one sum: grey values and the mean brightness of each picture are kept by what follows.
    grey = pictures.mean(1, keepdim=True)
    middle = grey.mean((2, 3), keepdim=True)
    shade = (contrast * (1 - colour)) * grey + ((1 - contrast) * middle)
    x = (contrast * colour) * pictures + (shade + light[:, None, None, None])

    # A shift is a product with a matrix: fast, and so is its gradient.
    down = _shift(height, chosen[6] * (2 * number[7] - 1))
    right = _shift(width, chosen[6] * (2 * number[8] - 1))
    x = down[:, None] @ x @ right[:, None].transpose(2, 3)

    rows, columns = _hole(height, number[10]), _hole(width, number[11])
    hole = (rows & (chosen[9] > 0)[:, None])[:, :, None] & columns[:, None, :]
    return x * ~hole[:, None]


def flipped(pictures: Tensor, numbers: Tensor) -> Tensor:
    """Mirror the pictures, of `(n, 3, h, w)`, whose uniform number, of `(n,)`, is under 1/2."""
    return torch.where((numbers < 0.5)[:, None, None, None], pictures.flip(3), pictures)


def _shift(side: int, share: Tensor) -> Tensor:
    """Return matrices `(n, side, side)` that move by `share` in [-1, 1] of the largest shift."""
    places = torch.arange(side, device=share.device)
    by = torch.round(share * (side * SHIFT)).long()
    return (places[None, :, None] - by[:, None, None] == places).to(share.dtype)


def _hole(side: int, place: Tensor) -> Tensor:
    """Return where a hole is, bool `(n, side)`; `place` in [0, 1) says where its middle lies."""
    away = torch.arange(side, device=place.device) + 0.5 - side * place[:, None]
    return away.abs() <= side * HOLE / 2
