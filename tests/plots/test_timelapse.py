import io

import numpy as np
import pytest
from PIL import Image

from madlab import plots
from madlab.data.samples import Samples


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
