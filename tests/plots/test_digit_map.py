"""Digits in the plane: what is drawn over the real ones, and the words for it."""

import numpy as np
import pytest
from matplotlib.colors import to_rgb

from madlab import plots
from madlab.plots import digit_map
from madlab.plots import points as drawing

CENTRES = 10 * np.stack([np.cos(np.arange(10) * 0.628), np.sin(np.arange(10) * 0.628)], axis=1)


def digits(n=100, width=1.0, shift=0):
    """Points around the centre of their digit, or `shift` digits further."""
    labels = np.arange(n) % 10
    spread = width * np.random.default_rng(n).standard_normal((n, 2)) / 5
    return CENTRES[(labels + shift) % 10] + spread, labels


REAL = digits(200)
SHOWN = {1: digits(), 5: digits(width=0.5), 2: digits(shift=1)}


def test_there_is_a_panel_a_generation_all_on_the_same_axes():
    figure = digit_map(*REAL, SHOWN).figure
    assert [axes.get_title() for axes in figure.axes] == [f"generation {t}" for t in (1, 2, 5)]
    assert len({(axes.get_xlim(), axes.get_ylim()) for axes in figure.axes}) == 1
    for axes in figure.axes:
        assert axes.get_aspect() == 1
        np.testing.assert_array_equal(axes.lines[0].get_xydata(), REAL[0])
        (left, right), (bottom, top) = axes.get_xlim(), axes.get_ylim()
        for line in axes.lines:
            assert (
                (line.get_xydata() >= (left, bottom)) & (line.get_xydata() <= (right, top))
            ).all()


def test_digits_have_their_points_their_look_and_their_number_at_the_median():
    points, labels = SHOWN[5]
    (axes,) = digit_map(*REAL, {5: (points, labels)}).figure.axes
    looks = set()
    for digit, line in enumerate(axes.lines[1:]):
        np.testing.assert_array_equal(line.get_xydata(), points[labels == digit])
        looks.add((line.get_color(), line.get_marker()))
    # Colour and shape together tell all ten apart, and from the real digits.
    assert len(looks) == 10
    assert axes.lines[0].get_color() not in {colour for colour, _ in looks}
    assert len(axes.texts) == 10
    for digit, text in enumerate(axes.texts):
        assert text.get_text() == str(digit)
        np.testing.assert_allclose(text.get_position(), np.median(points[labels == digit], axis=0))
        assert text.get_color() == axes.lines[1 + digit].get_color()


def test_digits_that_look_alike_differ_in_brightness():
    def brightness(digit):
        return float(np.dot(to_rgb(drawing._COLOURS[digit]), (0.2126, 0.7152, 0.0722)))

    for one, other in ((4, 9), (3, 5), (3, 8), (5, 8), (7, 9), (2, 7)):
        assert drawing._COLOURS[one] != drawing._COLOURS[other]
        assert abs(brightness(one) - brightness(other)) > 0.04


def test_a_digit_that_died_out_has_no_number():
    points, labels = digits()
    (axes,) = digit_map(*REAL, {9: (points[labels < 4], labels[labels < 4])}).figure.axes
    assert [text.get_text() for text in axes.texts] == ["0", "1", "2", "3"]


@pytest.mark.parametrize("count", [1, 2, 4, 6])
def test_the_figure_fits_the_page_and_is_drawn(count):
    figure = digit_map(*REAL, {t: digits() for t in range(1, count + 1)}).figure
    width, height = figure.get_size_inches()
    assert width <= 9
    assert height <= 5
    assert len(plots.png(figure)) > 3000


def test_words_say_how_digits_lie_and_how_wide_they_are():
    said = digit_map(*REAL, SHOWN).alt
    assert said.startswith("Synthetic digits among 200 real ones")
    # Shifted by one digit, none lies at its own; half as wide is half as wide.
    shares = [part.split(",")[0] for part in said.split("; ")[1:]]
    assert shares == ["generation 1: 100%", "generation 2: 0%", "generation 5: 100%"]
    spreads = [float(part.split("spread ")[1].rstrip(".")) for part in said.split("; ")[1:]]
    assert spreads[0] == pytest.approx(1, abs=0.2)
    assert spreads[1] == spreads[0]
    assert spreads[2] == pytest.approx(spreads[0] / 2, abs=0.02)


@pytest.mark.parametrize(
    ("generations", "error", "message"),
    [
        ({}, ValueError, "no generations to draw"),
        (
            {1: (np.zeros((3, 3)), np.zeros(3, int))},
            ValueError,
            r"must have shape \(n, 2\), not \(3, 3\)",
        ),
        ({1: (np.zeros((0, 2)), np.zeros(0, int))}, ValueError, "0 rows of points.*at least 1"),
        ({1: (np.full((1, 2), np.nan), np.zeros(1, int))}, ValueError, "NaN or infinite"),
        (
            {4: (np.zeros((3, 2)), np.zeros(2, int))},
            ValueError,
            r"labels have shape \(2,\); 3 images need shape \(3,\)",
        ),
        ({4: (np.zeros((1, 2)), np.array([10]))}, ValueError, "up to 10; 10 classes have 0 to 9"),
        ({4: (np.zeros((1, 2)), np.array([-1]))}, ValueError, "run from -1"),
        ({4: (np.zeros((1, 2)), np.array([1.0]))}, TypeError, "not float64"),
    ],
)
def test_what_cannot_be_drawn_is_refused(generations, error, message):
    with pytest.raises(error, match=message):
        digit_map(*REAL, generations)
    if generations:
        ((points, labels),) = generations.values()
        with pytest.raises(error, match=message):
            digit_map(points, labels, SHOWN)
