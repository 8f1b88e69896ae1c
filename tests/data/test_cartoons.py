import colorsys

import numpy as np
import pytest

from madlab.data import drawn_faces
from madlab.data.cartoons.canvas import Canvas, bow, box, ellipse, stroke
from madlab.data.cartoons.person import pick
from madlab.streams import generator


def test_drawn_faces_are_a_data_set_of_colour_pictures():
    data = drawn_faces(40, 32, n_held_out=20)
    assert data.images.shape == (40, 32, 32, 3)
    assert data.held_out.images.shape == (20, 32, 32, 3)
    assert data.images.dtype == data.held_out.images.dtype == np.uint8
    assert data.labels is data.held_out.labels is None
    assert data.id.startswith("drawn-faces-32-")
    assert not data.images.flags.writeable
    assert not data.held_out.images.flags.writeable


def test_a_picture_depends_on_seed_part_and_place_alone():
    few, many = drawn_faces(5, 32, n_held_out=3), drawn_faces(9, 32, n_held_out=7)
    assert np.array_equal(few.images, many.images[:5])
    assert np.array_equal(few.held_out.images, many.held_out.images[:3])
    assert few.id != many.id
    other = drawn_faces(5, 32, seed=1, n_held_out=3)
    assert (other.images != few.images).any((1, 2, 3)).all()


def test_no_two_faces_are_equal_and_the_held_out_ones_are_others():
    data = drawn_faces(200, 32, n_held_out=100)
    every = np.concatenate([data.images, data.held_out.images]).reshape(300, -1)
    assert len(np.unique(every, axis=0)) == 300
    # The nearest two differ by 10 levels and more in root mean square: none is nearly a copy.
    every = every.astype(float)
    squared = (every**2).sum(1)
    apart = squared[:, None] + squared - 2 * every @ every.T
    apart[np.diag_indices(300)] = np.inf
    assert np.sqrt(apart.min() / every.shape[1]) > 10


@pytest.mark.parametrize("size", [16, 64, 128])
def test_a_face_is_the_same_at_every_size(size):
    a = drawn_faces(6, 32, n_held_out=1).images.astype(float)
    b = drawn_faces(6, size, n_held_out=1).images.astype(float)
    small, large = sorted([a, b], key=lambda faces: faces.shape[1])
    side, times = small.shape[1], large.shape[1] // small.shape[1]
    shrunk = large.reshape(6, side, times, side, times, 3).mean((2, 4))
    # Edges are a pixel soft at either size, so thin lines differ; other faces are 50 apart.
    assert np.abs(shrunk - small).mean() < 5
    assert np.abs(shrunk[::-1] - small).mean() > 25


def test_skin_reaches_over_the_whole_human_range():
    faces = drawn_faces(200, 32, n_held_out=1).images / 255
    # A cheek on either side, where neither hair, glasses nor beard is in most pictures.
    cheeks = faces[:, 18:20, [11, 20]].reshape(200, -1, 3).mean(1)
    light = cheeks @ [0.299, 0.587, 0.114]
    low, middle, high = np.quantile(light, [0.05, 0.5, 0.95])
    assert low < 0.25
    assert 0.35 < middle < 0.65
    assert high > 0.75
    hues = np.array([colorsys.rgb_to_hsv(*cheek)[0] for cheek in cheeks])
    # Reds and oranges, as skin of every tone is: 0 to 1/6 of the way round.
    assert np.mean(hues < 1 / 6) > 0.8


def test_faces_are_upright_and_look_alike_in_the_middle_only():
    faces = drawn_faces(200, 32, n_held_out=1).images / 255
    mean = faces.mean((0, 3))
    # Hair and eyes are darker than the cheeks between them and the mouth, on average.
    assert mean[4:8, 12:20].mean() < mean[18:21, 9:23].mean()
    assert mean[16, 12:20].mean() < mean[19, 12:20].mean() + 0.1
    spread = faces.std(0).mean(2)
    assert spread.min() > 0.1


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"n": 0}, ValueError, "n is 0"),
        ({"n_held_out": 0}, ValueError, "n_held_out is 0"),
        ({"size": 30}, ValueError, "multiple of 4 from 16 to 256"),
        ({"size": 512}, ValueError, "multiple of 4 from 16 to 256"),
        ({"n": 2.0}, TypeError, "n must be a whole number"),
        ({"n": True}, TypeError, "n must be a whole number"),
        ({"seed": "1"}, TypeError, "seed must be a whole number"),
    ],
)
def test_sizes_that_are_not_allowed_are_refused(arguments, error, message):
    with pytest.raises(error, match=message):
        drawn_faces(**arguments)


def test_shapes_measure_distances():
    at = Canvas(64).at
    x, y = at
    radius = np.hypot(x, y)
    assert np.allclose(ellipse(at, 0, 0, 0.5, 0.5), radius - 0.5, atol=1e-5)
    assert np.allclose(stroke(at, 0, 0, 0, 0, 0.1), radius - 0.1, atol=1e-5)
    assert np.allclose(box(at, 0.1, 0, 9, 0.2), np.abs(y) - 0.2, atol=1e-5)
    corner = box(at, 0, 0, 0.5, 0.5, 0.5)
    assert np.allclose(corner, radius - 0.5, atol=1e-5)
    assert np.allclose(bow(at, 0, 0.2, 2, 0, 0.05), np.abs(y - 0.2) - 0.05, atol=1e-5)


@pytest.mark.parametrize("size", [32, 128])
def test_painting_covers_the_area_of_a_shape(size):
    canvas = Canvas(size)
    canvas.paint(np.ones(3, np.float32), ellipse(canvas.at, 0.1, -0.2, 0.6, 0.3))
    area = canvas.picture().mean() / 255 * 4
    # Soft edges keep the area; levels are rounded to 1/255.
    assert area == pytest.approx(np.pi * 0.6 * 0.3, rel=0.01)


def test_choices_come_as_often_as_their_weights_say():
    rng = generator(0, "test of choices")
    found = [pick(rng, {"a": 1, "b": 3, "c": 6}) for _ in range(3000)]
    shares = [found.count(name) / 3000 for name in "abc"]
    # Five standard errors of the largest share are 0.045.
    assert np.allclose(shares, [0.1, 0.3, 0.6], atol=0.045)
