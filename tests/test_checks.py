"""Every question asked of an argument: what passes comes back, what fails is told in full."""

import math
import subprocess
import sys

import numpy as np
import pytest

from madlab import checks

GREY = np.zeros((3, 28, 28), np.uint8)
COLOUR = np.zeros((2, 16, 20, 3), np.uint8)


def test_a_hint_names_what_is_nearly_the_same_and_nothing_else():
    assert checks.hint("mixtures", ["gan", "mixture"]) == "; did you mean 'mixture'?"
    assert checks.hint("zebra", ["gan", "mixture"]) == ""
    assert checks.hint(3, ["gan"]) == ""


def test_a_choice_is_one_of_what_is_allowed():
    assert checks.choice("budget", "fixed", ["fixed", "growing"]) == "fixed"
    assert checks.choice("side", 16, (16, 32)) == 16
    wrong = "budget is 'grown'; it must be one of 'fixed', 'growing'; did you mean 'growing'"
    with pytest.raises(ValueError, match=wrong):
        checks.choice("budget", "grown", iter(["fixed", "growing"]))
    with pytest.raises(ValueError, match=r"side is 20; it must be one of 16, 32$"):
        checks.choice("side", 20, (16, 32))


@pytest.mark.parametrize("value", [0, 7, np.int64(7), np.uint8(7)])
def test_a_count_comes_back_as_an_int(value):
    found = checks.count("n", value)
    assert type(found) is int
    assert found == value


@pytest.mark.parametrize("value", [True, 2.0, "2", None, np.float64(2)])
def test_a_count_is_a_whole_number(value):
    with pytest.raises(TypeError, match="n must be a whole number, not"):
        checks.count("n", value)


def test_a_count_keeps_within_its_ends():
    assert checks.count("n", 5, least=5, most=5) == 5
    with pytest.raises(ValueError, match=r"n is 4; it must be at least 5$"):
        checks.count("n", 4, least=5)
    for wrong in (4, 60_001):
        with pytest.raises(ValueError, match=f"n is {wrong}.* at least 5 and at most 60,000$"):
            checks.count("n", wrong, least=5, most=60_000)


def test_a_name_is_one_that_is_known():
    checks.known("model", "gan", {"gan": 1, "mixture": 2})
    checks.known("bias", 1, iter([1.0, 0.5, 1.0]))
    wrong = "there is no model 'mixtur'; there are: gan, mixture; did you mean 'mixture'"
    with pytest.raises(KeyError, match=wrong):
        checks.known("model", "mixtur", ["gan", "mixture"])
    with pytest.raises(KeyError, match=r"there is no bias 0\.77; there are: 1, 0\.7\W*$"):
        checks.known("bias", 0.77, [1.0, 0.7, 1.0])
    with pytest.raises(KeyError, match="there are: none"):
        checks.known("model", "gan", [])


def test_a_side_is_a_multiple_of_4_that_is_neither_small_nor_large():
    assert checks.side("size", np.int64(16)) == 16
    assert checks.side("size", 256) == 256
    for value in (0, 12, 30, 260):
        with pytest.raises(
            ValueError, match=f"size is {value}; it must be a multiple of 4 from 16"
        ):
            checks.side("size", value)
    with pytest.raises(TypeError, match=r"size must be a whole number, not 32\.0"):
        checks.side("size", 32.0)


@pytest.mark.parametrize("value", [2, -0.5, np.float32(0.5), np.int16(3)])
def test_a_number_comes_back_as_a_float(value):
    found = checks.number("x", value)
    assert type(found) is float
    assert found == value


@pytest.mark.parametrize("value", [True, "1", None, 1j, [1.0]])
def test_a_number_is_a_number(value):
    with pytest.raises(TypeError, match="x must be a number, not"):
        checks.number("x", value)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("ask", [checks.number, checks.positive])
def test_a_number_is_finite(ask, value):
    with pytest.raises(ValueError, match="it must be finite"):
        ask("x", value)


def test_between_is_without_its_ends_unless_they_are_asked_for():
    assert checks.between("rate", 0.5, 0, 1) == 0.5
    for wrong in (0, 1, -3):
        with pytest.raises(ValueError, match="must lie between 0 and 1, not on them"):
            checks.between("rate", wrong, 0, 1)
    assert checks.between("share", 0, 0, 1, ends=True) == 0.0
    with pytest.raises(ValueError, match=r"share is 1\.5; it must lie between 0 and 1$"):
        checks.between("share", 1.5, 0, 1, ends=True)
    assert checks.between("rate", 3, 0, math.inf) == 3.0


def test_positive_is_above_nothing():
    assert checks.positive("distance", np.float32(0.25)) == 0.25
    for wrong in (0, -1):
        with pytest.raises(ValueError, match=f"distance is {wrong}; it must be above 0"):
            checks.positive("distance", wrong)


@pytest.mark.parametrize("value", [1, 0.5, 1e-9, np.float32(0.25)])
def test_a_bias_lies_above_0_and_reaches_1(value):
    found = checks.bias(value)
    assert type(found) is float
    assert found == value


def test_other_biases_are_refused_with_what_they_would_do():
    for wrong in (0, -0.1, 1.0001, math.nan, math.inf):
        with pytest.raises(ValueError, match=r"it must lie in \(0, 1\]: 1 samples without bias"):
            checks.bias(wrong)
    for wrong in (True, "1", None):
        with pytest.raises(TypeError, match="bias must be a number, not"):
            checks.bias(wrong)


def test_labels_come_back_as_int64():
    found = checks.labels([0, 2, 1], 3, classes=3)
    assert found.dtype == np.int64
    assert found.tolist() == [0, 2, 1]
    assert checks.labels(np.empty(0, np.uint8), 0, classes=1).shape == (0,)


@pytest.mark.parametrize(
    ("given", "error", "match"),
    [
        (None, ValueError, "class-conditional: give labels"),
        ([0, 1], ValueError, r"labels have shape \(2,\); 3 images need shape \(3,\)"),
        ([[0], [1], [2]], ValueError, r"labels have shape \(3, 1\)"),
        ([0.0, 1.0, 2.0], TypeError, "whole numbers, not float64"),
        ([True, False, True], TypeError, "whole numbers, not bool"),
        ([0, -1, 2], ValueError, "labels run from -1"),
        ([0, 1, 3], ValueError, "labels run up to 3; 3 classes have 0 to 2"),
    ],
)
def test_labels_that_do_not_fit_are_refused(given, error, match):
    with pytest.raises(error, match=match):
        checks.labels(given, 3, classes=3)


def test_pictures_are_bytes_of_one_or_three_channels():
    assert checks.is_pictures(GREY)
    assert checks.is_pictures(COLOUR)
    for wrong in (GREY.astype(float), GREY[0], COLOUR[..., :2], np.zeros((3, 2))):
        assert not checks.is_pictures(wrong)


def test_pictures_come_back_as_they_are():
    for images in (GREY, COLOUR):
        assert checks.pictures(images) is images
    assert checks.pictures(COLOUR, colour=True, size=(16, 20), least=2) is COLOUR
    assert checks.pictures(GREY[:0]).shape == (0, 28, 28)
    assert checks.digits(GREY, least=3) is GREY


@pytest.mark.parametrize(
    ("images", "asked", "wanted"),
    [
        (GREY / 255, {}, r"\(n, height, width\) or \(n, height, width, 3\), not float64 with"),
        (GREY, {"colour": True}, r"\(n, height, width, 3\), in colour, not uint8 with"),
        (COLOUR, {"colour": False}, r"\(n, height, width\), not uint8 with shape \(2, 16, 20, 3\)"),
        (COLOUR, {"size": (16, 16)}, r"\(n, 16, 16\) or \(n, 16, 16, 3\), not uint8"),
        (GREY, {"colour": True, "size": (8, 8)}, r"\(n, 8, 8, 3\), in colour"),
    ],
)
def test_other_pictures_are_refused_with_the_shape_that_is_wanted(images, asked, wanted):
    with pytest.raises(TypeError, match=f"faces must be uint8 with shape {wanted}"):
        checks.pictures(images, name="faces", **asked)


def test_too_few_pictures_are_refused():
    with pytest.raises(ValueError, match="there are 3 digits; give at least 5"):
        checks.pictures(GREY, name="digits", least=5)
    with pytest.raises(ValueError, match="there are 0 images; give at least 1"):
        checks.digits(GREY[:0], least=1)


def test_digits_are_28_pixels_and_grey():
    for wrong in (GREY[:, :20], COLOUR):
        with pytest.raises(TypeError, match=r"uint8 with shape \(n, 28, 28\), not"):
            checks.digits(wrong)


def test_rows_come_back_as_float64():
    found = checks.rows("points", [[1, 2], [3, 4]], d=2, least=2)
    assert found.dtype == np.float64
    doubles = np.zeros((0, 3))
    assert checks.rows("points", doubles) is doubles


@pytest.mark.parametrize(
    ("values", "asked", "error", "match"),
    [
        (np.zeros(3), {}, ValueError, r"points must have shape \(n, d\), not \(3,\)"),
        (np.zeros((3, 0)), {}, ValueError, r"shape \(n, d\), not \(3, 0\)"),
        (np.zeros((3, 3)), {"d": 2}, ValueError, r"shape \(n, 2\), not \(3, 3\)"),
        (np.zeros((3, 2), complex), {}, TypeError, "real numbers, not complex128"),
        (np.zeros((3, 2)), {"least": 4}, ValueError, "3 rows of points; give at least 4"),
    ],
)
def test_other_rows_are_refused(values, asked, error, match):
    with pytest.raises(error, match=match):
        checks.rows("points", values, **asked)


def test_rows_that_are_not_finite_are_named():
    values = np.zeros((9, 2))
    values[2:8, 1] = [np.nan, np.inf, 0, -np.inf, np.nan, np.nan]
    values[8, 0] = np.inf
    with pytest.raises(
        ValueError, match=r"NaN or infinite values in rows \[2, 3, 5, 6, 7\]\. .*may have diverged$"
    ):
        checks.rows("features", values)


def test_asking_needs_numpy_alone():
    code = (
        "import sys, madlab.checks, madlab.files, madlab.loops, madlab.streams\n"
        "print([name for name in ('torch', 'pandas', 'matplotlib') if name in sys.modules])"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"
