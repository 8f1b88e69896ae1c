"""Power spectra of pictures, in which the grid of an upsampling network stands out."""

import numpy as np

from madlab import checks

# Weights of red, green and blue in the luminance (ITU-R BT.601).
LUMINANCE = np.array([0.299, 0.587, 0.114])
_CHUNK = 256
# Less power than this is the rounding of sums, not contrast of any picture.
_NOTHING = 1e-20


def power_spectrum(images: np.ndarray) -> np.ndarray:
    """Return the mean power spectrum of the luminance of pictures.

    Each picture's luminance, from 0 to 1, less its own mean, is multiplied by a Hann window, so
    that its borders, which do not meet, make no cross in the spectrum. White noise of variance s
    has power s at every frequency, but at zero and its eight neighbours.

    - `images`: uint8 `(n, size, size, 3)`, or `(n, size, size)` in grey; n >= 1, size even, >= 8.

    Returns float64 `(size, size)`: entry `[size // 2 + i, size // 2 + j]` is the power at i cycles
    a picture from top to bottom and j from left to right. Raises TypeError for other arrays and
    ValueError for no pictures or another size.
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
    3/4, of photographs a few per cent.

    - `pictures`: as for `power_spectrum`, or the spectrum that it returned.

    Raises what `power_spectrum` raises, and ValueError for pictures without any contrast.
    """
    power = _power(pictures)
    i = np.abs(np.arange(len(power)) - len(power) // 2)
    fine = np.maximum(i[:, None], i) > len(power) // 4
    total = power.sum()
    if not total > _NOTHING:
        raise ValueError("the pictures have no contrast, so no share of power is fine detail")
    return float(power[fine].sum() / total)


def grid_power(pictures: np.ndarray, reference: np.ndarray) -> float:
    """Return how many times the reference's power pictures have at the frequencies of a grid.

    The mean ratio over all frequencies, up to one cycle a picture around them, at which a pattern
    that repeats every 2 or 4 pixels in either direction has its power: 1 where pictures are like
    the reference, far above where a cross-hatched scar is laid over all of them.

    - `pictures`, `reference`: as for `high_share`; of one size, a multiple of 4 from 16.

    Raises what `power_spectrum` raises, and ValueError for a reference without power there.
    """
    return _ratios(pictures, reference)[0]


def grid_peak(pictures: np.ndarray, reference: np.ndarray) -> float:
    """Return how many times more a grid stands out in pictures than in the reference.

    It is `grid_power`, which says what is given and raised, over the mean ratio at all other
    frequencies: where all contrast fades, or grows, alike, it stays 1.
    """
    grid, elsewhere = _ratios(pictures, reference)
    return grid / elsewhere


def _ratios(pictures: np.ndarray, reference: np.ndarray) -> tuple[float, float]:
    """Return the mean ratios of powers at the frequencies of a grid, and at all others but zero."""
    power, other = _power(pictures), _power(reference)
    size = len(power)
    if power.shape != other.shape or size % 4 or size < 16:
        raise ValueError(
            f"pictures are {size} pixels a side and the reference {len(other)}; both must have one "
            "size, a multiple of 4 from 16"
        )
    i = np.arange(size) - size // 2
    # At most one from a multiple of a quarter, but zero: periods of 4 and 2 pixels.
    off = np.minimum(i % (size // 4), -i % (size // 4))
    middle = np.maximum(abs(i[:, None]), abs(i)) <= 1
    grid = (np.maximum(off[:, None], off) <= 1) & ~middle
    if not (other[grid] > _NOTHING).all():
        raise ValueError("the reference has no power at the frequencies of a grid: give pictures")
    ratios = power / np.where(other > _NOTHING, other, np.inf)
    return float(ratios[grid].mean()), float(ratios[~grid & ~middle].mean())


def _power(pictures: np.ndarray) -> np.ndarray:
    return pictures if pictures.dtype == np.float64 else power_spectrum(pictures)
