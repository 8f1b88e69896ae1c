import io

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from madlab import plots
from madlab.data.samples import Samples
from madlab.plots import sheets


def pixels(content):
    return np.asarray(Image.open(io.BytesIO(content)).convert("RGB"))


def test_mosaic_puts_every_picture_in_its_place_in_dark_ink():
    images = np.arange(5 * 4, dtype=np.uint8).reshape(5, 2, 2)
    sheet = sheets.mosaic(images, columns=3, gap=1)
    assert sheet.shape == (5, 8)
    assert np.array_equal(sheet[0:2, 3:5], 255 - images[1])
    assert np.array_equal(sheet[3:5, 0:2], 255 - images[3])
    assert (sheet[3:5, 6:8] == 255).all()


def shades(values, labels=None):
    """Pictures of one shade each, told apart by it."""
    images = np.repeat(np.array(values, np.uint8), 28 * 28).reshape(-1, 28, 28)
    return Samples(images, None if labels is None else np.array(labels))


def cells(axes, columns):
    """The shades that a sheet shows, row after row."""
    drawn = 255 - np.asarray(axes.images[0].get_array())
    return drawn[::30, ::30][:, :columns].tolist()


def test_a_wall_shows_as_many_digits_of_each_class_in_a_row_each():
    axes = Figure().subplots()
    said = sheets.draw_wall(axes, shades(range(10, 17), [1, 0, 1, 0, 1, 5, 5]))
    assert said == "2 digits of each class"
    assert cells(axes, 2) == [[11, 13], [10, 12], [15, 16]]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["0", "1", "5"]


def test_a_wall_of_one_class_or_of_no_classes_shows_the_first():
    axes = Figure().subplots()
    said = sheets.draw_wall(axes, shades(range(60), [0, 1] * 30), 1)
    assert said == "25 digits of class 1"
    assert cells(axes, 5) == np.arange(1, 51, 2).reshape(5, 5).tolist()
    axes = Figure().subplots()
    assert sheets.draw_wall(axes, shades(range(20))) == "20 digits"
    assert cells(axes, 10) == np.arange(20).reshape(2, 10).tolist()


def test_strips_show_some_digits_of_some_classes_chain_by_chain():
    first = shades(range(10, 18), [2, 3, 2, 3, 2, 3, 4, 4])
    last = shades(range(30, 38), first.labels)
    shown = sheets.strips({"a": {1: first, 9: last}, "b": {1: last}}, classes=(3, 2), each=2)
    axes = shown.figure.axes
    assert cells(axes[0], 2) == [[11, 13], [10, 12]]
    assert cells(axes[1], 2) == [[31, 33], [30, 32]]
    assert [one.get_title() for one in axes] == ["generation 1", "generation 9", "generation 1", ""]
    assert not axes[3].axison
    assert shown.alt.endswith("Generations from left to right: a: 1, 9; b: 1.")
    assert "2 each of the classes 3, 2" in shown.alt
    with pytest.raises(ValueError, match="samples of 'c' have no labels"):
        sheets.strips({"c": {1: shades([1])}})


def test_colour_pictures_are_shown_as_they_are():
    images = np.random.default_rng(0).integers(0, 256, (5, 4, 4, 3)).astype(np.uint8)
    shown = sheets.mosaic(images, columns=3, gap=1)
    assert shown.shape == (9, 14, 3)
    assert np.array_equal(shown[0:4, 5:9], images[1])
    assert np.array_equal(shown[5:9, 0:4], images[3])
    assert (shown[5:9, 10:14] == 255).all()
    drawn = plots.sheet(images, columns=3).figure.axes[0].images[0]
    assert np.array_equal(np.asarray(drawn.get_array()), sheets.mosaic(images, 3))


def test_a_sheet_makes_no_coarse_pattern_of_a_fine_one():
    board = np.indices((128, 128)).sum(0) % 2 * 200
    images = np.repeat(board.astype(np.uint8)[None, ..., None], 3, -1)
    drawn = pixels(plots.png(plots.sheet(np.repeat(images, 20, 0), columns=20), colours=None))
    inside = drawn[20:50, 20:50].astype(float)
    # 128 pixels are drawn on about 60: one in two left out would leave all of the contrast.
    assert inside.mean() == pytest.approx(100, abs=5)
    assert inside.std() < 15


@pytest.mark.parametrize("images", [np.zeros((4, 2)), np.zeros((4, 8, 8, 4), np.uint8)])
def test_points_and_other_channels_have_no_picture(images):
    with pytest.raises(TypeError, match="images must be uint8 with shape"):
        plots.sheet(images)


def test_a_histogram_shows_read_and_asked():
    axes = Figure().subplots()
    sheets.draw_histogram(axes, np.array([1, 1, 7]), np.array([1, 2, 7]))
    assert [bar.get_height() for bar in axes.patches] == [0, 2, 0, 0, 0, 0, 0, 1, 0, 0]
    asked = [segment[0][1] for segment in axes.collections[0].get_segments()]
    assert asked == [0, 1, 1, 0, 0, 0, 0, 1, 0, 0]


def test_a_sheet_says_how_many_pictures_it_shows_and_keeps_every_colour():
    digits = plots.sheet(np.zeros((4, 8, 8), np.uint8), 2, rows=["a", "b"], heads=["0", "1"])
    assert digits.alt == "4 pictures in rows of 2; rows: a, b; columns: 0, 1."
    assert digits.colours == 256
    assert plots.sheet(np.zeros((4, 8, 8, 3), np.uint8), 2).colours is None


def noise(n=20, size=32, seed=0, scale=20.0):
    drawn = np.random.default_rng(seed).normal(128, scale, (n, size, size, 3))
    return np.clip(np.rint(drawn), 0, 255).astype(np.uint8)


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
    with pytest.raises(TypeError, match="images must be uint8 with shape"):
        plots.timelapse({1: Samples(np.zeros((3, 2)))})
    for wrong in ({"columns": 0}, {"scale": 0}, {"seconds": 0.01}):
        name, value = next(iter(wrong.items()))
        with pytest.raises(ValueError, match=f"{name} is {value}"):
            plots.timelapse({1: some}, **wrong)
