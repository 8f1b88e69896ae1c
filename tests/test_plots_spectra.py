import io

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from madlab import plots
from madlab.data.samples import Samples
from madlab.metrics.spectrum import grid_power, high_share, power_spectrum
from madlab.plots.spectra import LIMIT


def noise(n=20, size=32, seed=0, scale=20.0):
    drawn = np.random.default_rng(seed).normal(128, scale, (n, size, size, 3))
    return np.clip(np.rint(drawn), 0, 255).astype(np.uint8)


def images_of(figure):
    return [axes.images[0] for axes in figure.axes if axes.images]


def test_spectra_share_one_scale_and_one_colour_bar():
    named = {str(i): power_spectrum(noise(seed=i)) for i in range(5)}
    for reference in (None, power_spectrum(noise(seed=9))):
        figure = plots.spectra(named, reference)
        drawn = images_of(figure)
        assert [axes.get_title(loc="left") for axes in figure.axes if axes.images] == list(named)
        assert len({(image.norm.vmin, image.norm.vmax) for image in drawn}) == 1
        assert len({image.cmap.name for image in drawn}) == 1
        # Eight places for five spectra, and the bar.
        assert len(figure.axes) == 9
    label = figure.axes[-1].get_ylabel()
    assert label == "times the reference's power"


def test_ratios_are_drawn_at_their_frequencies_around_white():
    reference = power_spectrum(noise())
    power = reference.copy()
    power[0, 0] *= 10
    power[16 + 8, 16] *= 1e6
    image = images_of(plots.spectra({"scarred": power}, reference))[0]
    drawn = np.asarray(image.get_array())
    # The highest frequency is drawn on both sides.
    assert drawn.shape == (33, 33)
    assert np.allclose(drawn[[0, 0, -1, -1], [0, -1, 0, -1]], 10)
    assert drawn[24, 16] == LIMIT
    rest = np.ones((33, 33), bool)
    rest[[0, 0, -1, -1, 24], [0, -1, 0, -1, 16]] = False
    assert (drawn[rest] == 1).all()
    edge = 0.5 + 1 / 64
    assert image.get_extent() == pytest.approx([-edge, edge, edge, -edge])
    middle = image.cmap(image.norm(1.0))
    assert min(middle[:3]) > 0.95
    # More is reddish, less bluish: orange and purple.
    more, less = image.cmap(image.norm(20.0)), image.cmap(image.norm(0.05))
    assert more[0] > more[2]
    assert less[2] > less[0]


def test_one_spectrum_can_be_drawn_into_axes_with_its_own_bar():
    figure = Figure()
    axes = figure.subplots()
    power = power_spectrum(noise())
    drawn = plots.draw_spectrum(axes, power)
    assert len(figure.axes) == 2
    values = np.asarray(drawn.get_array())[:-1, :-1]
    off_middle = np.ones((32, 32), bool)
    off_middle[16, 16] = False
    assert np.allclose(values[off_middle], power[off_middle])
    assert drawn.norm.vmax == power[off_middle].max()


def test_a_reference_without_power_divides_nothing_by_zero():
    power = power_spectrum(noise())
    image = images_of(plots.spectra({"one": power}, np.zeros_like(power)))[0]
    assert (np.asarray(image.get_array()) == 1).all()
    flat = images_of(plots.spectra({"flat": np.zeros_like(power)}))[0]
    assert np.isfinite(np.asarray(flat.get_array())).all()


def test_spectra_in_words_name_fine_detail_and_the_grid():
    power, reference = power_spectrum(noise(scale=40.0)), power_spectrum(noise(seed=1))
    text = plots.describe_spectra({"generation 3": power}, reference)
    times = grid_power(power, reference)
    assert 3 < times < 5
    assert f"generation 3: {high_share(power):.1%} of the power is fine detail" in text
    assert f"{times:.1f} times the reference's power" in text
    assert f"{high_share(reference):.1%} is fine detail." in text
    assert "reference" not in plots.describe_spectra({"generation 3": power})


@pytest.mark.parametrize(
    ("named", "message"),
    [
        ({}, "no spectra"),
        ({"a": np.ones((8, 9))}, "'a' has float64 of shape"),
        ({"a": np.ones((8, 8)), "b": np.ones((16, 16))}, "'b' has float64 of shape"),
        ({"a": np.ones((8, 8), np.uint8)}, "'a' has uint8"),
        ({"a": np.full((8, 8), np.nan)}, "from 0"),
    ],
)
def test_arrays_that_are_no_spectra_are_refused(named, message):
    with pytest.raises(ValueError, match=message):
        plots.spectra(named)


def frames(content):
    gif = Image.open(io.BytesIO(content))
    found = []
    for i in range(gif.n_frames):
        gif.seek(i)
        found.append((np.asarray(gif.convert("RGB")), gif.info["duration"]))
    return found, gif


def test_a_time_lapse_has_a_frame_a_generation_and_loops():
    samples = {t: Samples(noise(9, 8, seed=t)) for t in (3, 1, 2)}
    found, gif = frames(plots.timelapse(samples, columns=2, scale=3, seconds=0.5))
    assert [duration for _, duration in found] == [500, 500, 1000]
    assert gif.info["loop"] == 0
    side = 3 * (2 * 8 + 2)
    for picture, _ in found:
        # So small a sheet is widened for the whole of its heading.
        assert picture.shape[0] == side + 30
        assert picture.shape[1] > side
        assert (picture[:, -4:] == 255).all()
        # A heading in black on white.
        assert (picture[:30].reshape(-1, 3) == 255).all(1).mean() > 0.5
        assert (picture[:30] == 0).any()
    assert (found[0][0][:30] != found[1][0][:30]).any()


def test_frames_show_the_pictures_of_their_generation_undithered():
    samples = {t: Samples(noise(4, 8, seed=t)) for t in (1, 2)}
    assert frames(plots.timelapse({1: Samples(noise(64))}))[0][0][0].shape == (30 + 810, 810, 3)
    for (picture, _), t in zip(frames(plots.timelapse(samples, 2, 2))[0], (1, 2), strict=True):
        shown = picture[30:]
        # Every pixel of a picture became a block of one colour.
        assert (shown[::2] == shown[1::2]).all()
        assert (shown[:, ::2] == shown[:, 1::2]).all()
        first = shown[::2, ::2][:8, :8].astype(int)
        # 256 pixels in 240 colours: most keep their own, the others the nearest.
        assert np.abs(first - samples[t].images[0]).mean() < 3


def test_soft_shades_get_the_nearest_of_240_colours_each():
    ramp = np.broadcast_to(np.arange(64, dtype=np.uint8)[:, None] * 4, (64, 64))
    image = np.stack([ramp, ramp.T, 255 - ramp], -1)[None]
    picture = frames(plots.timelapse({1: Samples(image)}, 1, 1))[0][0][0][30:, :64]
    colours = np.unique(picture.reshape(-1, 3), axis=0)
    assert len(colours) <= 240
    apart = np.linalg.norm(image[0].reshape(-1, 1, 3).astype(float) - colours, axis=2)
    own = np.linalg.norm(image[0].reshape(-1, 3).astype(float) - picture.reshape(-1, 3), axis=1)
    # No pixel was given a farther colour to imitate one that is missing, but for rounding.
    assert np.quantile(own - apart.min(1), 0.95) < 1


def test_a_time_lapse_of_digits_loses_nothing():
    images = np.arange(256, dtype=np.uint8).reshape(1, 16, 16)
    picture = frames(plots.timelapse({1: Samples(images)}, 1, 1))[0][0][0][30:, :16]
    assert np.array_equal(picture, np.repeat(255 - images[0][..., None], 3, -1))


def test_what_gives_no_time_lapse_is_refused():
    some = Samples(noise(4, 8))
    with pytest.raises(ValueError, match=r"generations none"):
        plots.timelapse({})
    with pytest.raises(ValueError, match="generations 1, 2 have pictures of shapes"):
        plots.timelapse({1: some, 2: Samples(noise(4, 16))})
    with pytest.raises(ValueError, match="at least one"):
        plots.timelapse({1: Samples(some.images[:0])})
    with pytest.raises(TypeError, match="points have no picture"):
        plots.timelapse({1: Samples(np.zeros((3, 2)))})
    with pytest.raises(ValueError, match="columns is 0"):
        plots.timelapse({1: some}, columns=0)
