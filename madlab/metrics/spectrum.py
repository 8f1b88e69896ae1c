"""Power spectra of pictures, in which the grid of an upsampling network stands out."""

import numpy as np

from madlab import checks

# Weights of red, green and blue in the luminance (ITU-R BT.601).
LUMINANCE = np.array([0.299, 0.587, 0.114])
# Periods, in pixels, of the grids that a network makes which doubles its pictures' sides.
PERIODS = (4, 2)

_CHUNK = 256
# Less power than this is the rounding of sums, not contrast of any picture.
_NOTHING = 1e-20


def power_spectrum(images: np.ndarray) -> np.ndarray:
    """Return the mean power spectrum of the luminance of pictures.

    Each picture's luminance, from 0 to 1, less its own mean, is multiplied by a Hann window, so
    that its borders, which do not meet, make no cross in the spectrum. White noise of variance s
    has power s at every frequency, but at zero and its eight neighbours.

    - `images`: uint8 `(n, size, size, 3)`, or `(n, size, size)` where they are grey; n at least 1,
      size even and at least 8.

    Returns float64 `(size, size)`: entry `[size // 2 + i, size // 2 + j]` is the power at i cycles
    a picture from top to bottom and j from left to right, both from -size / 2 to size / 2 - 1.

    Raises TypeError for other arrays and ValueError for no pictures or a size that is not allowed.
    """
    checks.pictures(images, name="pictures", least=1)
    n, height, width = images.shape[:3]
    if height != width or height % 2 or height < 8:
        raise ValueError(
            f"pictures are {height} x {width} pixels; they must be square, of an even size from 8"
        )
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(height) / height)
    window = np.outer(window, window)
    total = np.zeros((height, height))
    for start in range(0, n, _CHUNK):
        part = images[start : start + _CHUNK] / 255
        grey = part @ LUMINANCE if part.ndim == 4 else part
        grey = (grey - grey.mean((1, 2), keepdims=True)) * window
        total += (np.abs(np.fft.fft2(grey)) ** 2).sum(0)
    return np.asarray(np.fft.fftshift(total) / (n * (window**2).sum()))


def high_share(pictures: np.ndarray) -> float:
    """Return the share of power in fine detail: what pictures of half the size could not hold.

    It is the power above a quarter of a cycle a pixel in either direction: of white noise about
    3/4, of photographs a few per cent. Grain, sharp edges and grids raise it, blur lowers it.

    - `pictures`: as for `power_spectrum`, or the spectrum that it returned.

    Raises what `power_spectrum` raises, and ValueError for pictures without any contrast.
    """
    power = _power(pictures)
    i = np.abs(np.arange(len(power)) - len(power) // 2)
    fine = np.maximum(i[:, None], i) > len(power) // 4
    total = power.sum()
    if not total > _NOTHING:
        raise ValueError(
            "the pictures have no contrast at all, so no share of power is fine detail"
        )
    return float(power[fine].sum() / total)


def grid_power(pictures: np.ndarray, reference: np.ndarray) -> float:
    """Return how many times the reference's power pictures have at the frequencies of a grid.

    The mean ratio over all frequencies, up to one cycle a picture around them, at which a pattern
    that repeats every 2 or 4 pixels in either direction has its power: 1 where pictures are like
    the reference, far above where a cross-hatched scar is laid over all of them.

    - `pictures`, `reference`: as for `power_spectrum`, or spectra that it returned; of one size, a
      multiple of 4 from 16.

    Raises what `power_spectrum` raises, and ValueError for sizes that are not allowed and for a
    reference that has no power there.
    """
    ratios, near = _ratios(pictures, reference)
    return float(ratios[near].mean())


def grid_peak(pictures: np.ndarray, reference: np.ndarray) -> float:
    """Return how many times more a grid stands out in pictures than in the reference.

    It is `grid_power` over the mean ratio at all other frequencies: where all contrast fades, or
    grows, alike, it stays 1.

    - `pictures`, `reference`: as for `grid_power`, which says what is raised.
    """
    ratios, near = _ratios(pictures, reference)
    return float(ratios[near].mean() / ratios[~near & ~_middle(len(near))].mean())


def _ratios(pictures: np.ndarray, reference: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the ratios of powers at all frequencies, and which of these are a grid's."""
    power, other = _power(pictures), _power(reference)
    size = len(power)
    if power.shape != other.shape or size % 4 or size < 16:
        raise ValueError(
            f"pictures are {size} pixels a side and the reference {len(other)}; both must have one "
            "size, a multiple of 4 from 16"
        )
    # At most one from a multiple of a quarter, but zero.
    i = np.arange(size) - size // 2
    off = np.minimum(i % (size // PERIODS[0]), -i % (size // PERIODS[0]))
    near = (np.maximum(off[:, None], off) <= 1) & ~_middle(size)
    if not (other[near] > _NOTHING).all():
        raise ValueError("the reference has no power at the frequencies of a grid: give pictures")
    return power / np.where(other > _NOTHING, other, np.inf), near


def _middle(size: int) -> np.ndarray:
    i = np.abs(np.arange(size) - size // 2)
    return np.asarray(np.maximum(i[:, None], i) <= 1)


def _power(pictures: np.ndarray) -> np.ndarray:
    return pictures if pictures.dtype == np.float64 else power_spectrum(pictures)
