import numpy as np
import pytest

from madlab.metrics.spectrum import grid_power, high_share, power_spectrum


def noise(n, size, seed=0):
    """Return white noise of mean 128 and standard deviation 20, rounded to bytes."""
    drawn = np.random.default_rng(seed).normal(128, 20, (n, size, size))
    return np.rint(drawn).astype(np.uint8)


def hann(size):
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(size) / size)
    return np.outer(window, window)


def test_white_noise_is_flat():
    power = power_spectrum(noise(2000, 16))
    outer = np.ones((16, 16), bool)
    outer[7:10, 7:10] = False
    # Rounding adds a variance of 1/12; each entry has a relative error of about 1/sqrt(2000).
    wanted = (20**2 + 1 / 12) / 255**2
    assert np.allclose(power[outer], wanted, rtol=6 / np.sqrt(2000))
    assert power[outer].mean() == pytest.approx(wanted, rel=0.01)
    assert power[8, 8] < wanted


def test_a_checkerboard_has_its_power_at_the_highest_frequency():
    board = np.indices((32, 32)).sum(0) % 2
    power = power_spectrum(np.where(board, 148, 108).astype(np.uint8)[None])
    amplitude, window = 20 / 255, hann(32)
    assert np.unravel_index(power.argmax(), power.shape) == (0, 0)
    assert power[0, 0] == pytest.approx(amplitude**2 * window.sum() ** 2 / (window**2).sum())
    # A Hann window halves the amplitude one frequency away and has nothing beyond.
    assert power[1, 0] == pytest.approx(power[0, 0] / 4)
    assert power[2:-1, 2:-1].max() < 1e-9 * power[0, 0]


@pytest.mark.parametrize(("down", "right"), [(3, 0), (0, 5), (4, -6)])
def test_a_wave_has_its_power_at_its_frequency(down, right):
    y, x = np.indices((32, 32))
    wave = 128 + 100 * np.cos(2 * np.pi * (down * y + right * x) / 32)
    power = power_spectrum(np.rint(wave).astype(np.uint8)[None])
    window = hann(32)
    # Half the amplitude at the frequency and half at its negative; rounding moves it by up to 0.3%.
    wanted = (50 / 255) ** 2 * window.sum() ** 2 / (window**2).sum()
    for sign in (1, -1):
        assert power[16 + sign * down, 16 + sign * right] == pytest.approx(wanted, rel=5e-3)
    assert power.max() == pytest.approx(wanted, rel=5e-3)


def test_colour_counts_by_its_luminance_and_chunks_do_not_matter():
    grey = noise(300, 16)
    colour = np.repeat(grey[..., None], 3, -1)
    assert np.allclose(power_spectrum(colour), power_spectrum(grey))
    halves = (power_spectrum(grey[:150]) + power_spectrum(grey[150:])) / 2
    assert np.allclose(power_spectrum(grey), halves)
    green = colour.copy()
    green[..., [0, 2]] = 0
    assert np.allclose(power_spectrum(green), 0.587**2 * power_spectrum(grey))


def test_power_is_what_the_plain_sum_over_pixels_gives():
    images = noise(2, 8)
    power = power_spectrum(images)
    y, x = np.indices((8, 8))
    for i, j in ((0, 0), (4, 5), (6, 1)):
        wave = np.exp(-2j * np.pi * ((i - 4) * y + (j - 4) * x) / 8)
        found = []
        for image in images / 255:
            centred = (image - image.mean()) * hann(8)
            found.append(abs((centred * wave).sum()) ** 2 / (hann(8) ** 2).sum())
        assert power[i, j] == pytest.approx(np.mean(found))


def test_fine_detail_is_a_known_share_of_white_noise_and_none_of_a_broad_wave():
    # Frequencies from -8 to 8 of -16 to 15 are not fine: 17 x 17 of 32 x 32.
    assert high_share(noise(500, 32)) == pytest.approx(1 - (17 / 32) ** 2, rel=0.01)
    x = np.indices((32, 32))[1]
    wave = np.rint(128 + 100 * np.cos(2 * np.pi * 4 * x / 32)).astype(np.uint8)[None]
    assert high_share(wave) < 1e-4
    power = power_spectrum(noise(50, 32))
    assert high_share(power) == high_share(noise(50, 32))


def smooth(n, seed):
    """Return pictures whose power falls with the frequency, as photographs' does."""
    rng = np.random.default_rng(seed)
    f = np.fft.fftfreq(32)
    fall = 1 / (0.03 + np.hypot(f[:, None], f))
    drawn = np.fft.ifft2(np.fft.fft2(rng.standard_normal((n, 32, 32))) * fall).real
    return np.clip(np.rint(128 + 40 * drawn / drawn.std()), 0, 255).astype(np.uint8)


@pytest.mark.parametrize("period", [2, 4])
def test_a_faint_grid_shows_as_power_at_its_frequencies(period):
    pictures, reference = smooth(400, 0), smooth(400, 1)
    # Ratios of means over 400 pictures scatter by 7% each, their mean over 130 by far less.
    assert grid_power(pictures, reference) == pytest.approx(1, abs=0.05)
    y, x = np.indices((32, 32))
    board = np.where((y + x) % 2, 4, -4) if period == 2 else 8 * np.where((x % 4) < 2, 1, -1)
    scarred = np.clip(pictures + board, 0, 255).astype(np.uint8)
    assert grid_power(scarred, reference) > 1.2
    assert grid_power(power_spectrum(scarred), power_spectrum(reference)) == pytest.approx(
        grid_power(scarred, reference)
    )
    # Stripes of another period, as strong, are no grid.
    other = np.clip(pictures + np.rint(8 * np.cos(2 * np.pi * 11 * x / 32)), 0, 255)
    assert grid_power(other.astype(np.uint8), reference) == pytest.approx(1, abs=0.1)


def test_a_grid_over_the_reference_is_a_known_multiple():
    white, board = noise(2000, 16), np.indices((16, 16)).sum(0) % 2
    found = grid_power(white + np.where(board, 20, 0).astype(np.uint8), white)
    # Amplitude 10: one peak and, for the window, halves of it in two directions; 15 grid
    # frequencies have 3 x 3 entries each. Noise and wave add where they are independent.
    window = hann(16)
    peak = 10**2 * window.sum() ** 2 / (window**2).sum() / (20**2 + 1 / 12)
    wanted = 1 + peak * (1 + 4 / 4 + 4 / 16) / (15 * 9)
    assert found == pytest.approx(wanted, rel=0.1)


def test_arrays_that_are_no_square_pictures_are_refused():
    with pytest.raises(TypeError, match="pictures must be uint8"):
        power_spectrum(np.zeros((3, 8, 8)))
    with pytest.raises(TypeError, match="pictures must be uint8"):
        power_spectrum(np.zeros((3, 8, 8, 4), np.uint8))
    with pytest.raises(ValueError, match="0 pictures"):
        power_spectrum(np.zeros((0, 8, 8), np.uint8))
    with pytest.raises(ValueError, match="8 x 10 pixels"):
        power_spectrum(np.zeros((1, 8, 10), np.uint8))
    flat = np.full((2, 16, 16), 7, np.uint8)
    with pytest.raises(ValueError, match="no contrast"):
        high_share(flat)
    with pytest.raises(ValueError, match="reference has no power"):
        grid_power(noise(2, 16), flat)
    with pytest.raises(ValueError, match="both must have one size"):
        grid_power(noise(2, 16), noise(2, 32))
