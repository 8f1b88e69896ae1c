import matplotlib.colors
import numpy as np
import pytest
from matplotlib.figure import Figure

from madlab import plots
from madlab.data import Samples
from madlab.metrics import neighbours
from madlab.plots.points import cloud_limits
from madlab.plots.style import GREY, VERMILLION
from madlab.streams import generator

SQUARE = np.array([[-1.0, 0.0], [1.0, 0.0], [0.0, -1.0], [0.0, 2.0]])


@pytest.fixture
def axes():
    return Figure().subplots()


def drawn(axes):
    return [line.get_xydata() for line in axes.lines]


def test_limits_hold_all_points_with_a_margin_of_4_percent():
    (left, right), (bottom, top) = cloud_limits(SQUARE, Samples(SQUARE / 2))
    assert (left, right, bottom, top) == pytest.approx((-1.08, 1.08, -1.12, 2.12))
    # A single spot has no width, but limits all the same.
    assert cloud_limits(np.full((3, 2), 5.0)) == ((4, 6), (4, 6))


def test_a_cloud_lies_over_real_data_on_equal_axes(axes):
    plots.draw_cloud(axes, Samples(SQUARE), real=3 * SQUARE)
    behind, above = axes.lines
    np.testing.assert_array_equal(behind.get_xydata(), 3 * SQUARE)
    np.testing.assert_array_equal(above.get_xydata(), SQUARE)
    assert (behind.get_color(), above.get_color()) == (GREY, VERMILLION)
    assert behind.get_alpha() < above.get_alpha()
    assert axes.get_aspect() == 1
    assert (axes.get_xlim(), axes.get_ylim()) == cloud_limits(3 * SQUARE)
    assert not axes.texts


def test_points_outside_the_limits_are_counted_and_said(axes):
    points = np.concatenate([SQUARE, np.full((1234, 2), 7.0)])
    limits = cloud_limits(SQUARE)
    # Real data outside do not count.
    assert plots.draw_cloud(axes, points, limits, real=9 * SQUARE) == 1234
    assert [text.get_text() for text in axes.texts] == ["+1,234 outside"]
    np.testing.assert_array_equal(drawn(axes)[1], SQUARE)
    assert (axes.get_xlim(), axes.get_ylim()) == limits


def test_dots_become_paler_with_their_number_but_never_vanish():
    rng = np.random.default_rng(0)
    alphas = []
    for n in (10, 3000, 100_000):
        axes = Figure().subplots()
        plots.draw_cloud(axes, rng.standard_normal((n, 2)))
        alphas.append(axes.lines[0].get_alpha())
    assert alphas == pytest.approx([0.8, 0.5, 0.25])


def test_clouds_share_the_limits_of_the_first_generations():
    rows = {"λ = 1": {2: SQUARE, 5: 4 * SQUARE}, "λ = 0.5": {2: 2 * SQUARE, 5: SQUARE, 9: SQUARE}}
    figure = plots.clouds(rows).figure
    grid = np.array(figure.axes).reshape(2, 3)
    assert [axes.get_title() for axes in grid[0]] == ["generation 2", "5", "9"]
    assert [axes.get_ylabel() for axes in grid[:, 0]] == ["λ = 1\ny", "λ = 0.5\ny"]
    assert [axes.get_xlabel() for axes in grid[:, 1]] == ["", "x"]
    for axes in figure.axes:
        assert (axes.get_xlim(), axes.get_ylim()) == cloud_limits(2 * SQUARE)
    assert grid[0, 1].texts[0].get_text() == "+4 outside"
    assert not grid[0, 2].lines
    assert not grid[0, 2].axison
    np.testing.assert_array_equal(drawn(grid[1, 0])[0], 2 * SQUARE)


def test_real_data_widen_every_cloud():
    rows = {"a": {1: SQUARE, 2: SQUARE}}
    wide = plots.clouds(rows, real=5 * SQUARE).figure
    assert [axes.get_xlim() for axes in wide.axes] == [cloud_limits(5 * SQUARE)[0]] * 2
    assert all(len(axes.lines) == 2 for axes in wide.axes)


@pytest.mark.parametrize(("columns", "stretch"), [(1, 1), (1, 20), (12, 1), (3, 0.05)])
def test_a_sheet_fits_the_page_and_is_not_empty_when_drawn(columns, stretch):
    points = SQUARE * (1, stretch)
    figure = plots.clouds({"a": dict.fromkeys(range(1, columns + 1), points)}).figure
    width, height = figure.get_size_inches()
    assert width <= 9
    assert height <= 3.7
    assert len(plots.png(figure)) > 1000


def test_clouds_in_words_name_first_and_last_widths():
    rows = {"λ = 1": {1: SQUARE, 8: np.ones((5, 2)), 4: 9 * SQUARE}, "λ = 0.5": {1: 2 * SQUARE}}
    x, y = SQUARE.std(axis=0)
    assert plots.clouds(rows, real=SQUARE * 100).alt == (
        f"Clouds of points, standard deviations in x and y; real data: {100 * x:.1f} and "
        f"{100 * y:.0f}; λ = 1: {x:.2f} and {y:.2f} in generation 1, 0.00 and 0.00 in generation "
        f"8; λ = 0.5: {2 * x:.2f} and {2 * y:.1f} in generation 1."
    )


@pytest.mark.parametrize(
    ("points", "error", "message"),
    [
        (np.zeros((4, 28, 28), np.uint8), ValueError, r"shape \(n, 2\), not \(4, 28, 28\)"),
        (np.zeros((4, 3)), ValueError, r"shape \(n, 2\), not \(4, 3\)"),
        (np.full((4, 2), "x"), TypeError, "must be real numbers"),
        (np.zeros((0, 2)), ValueError, "0 rows of points.*at least 1"),
        (np.array([[0.0, np.nan]]), ValueError, "NaN or infinite"),
    ],
)
def test_what_is_no_cloud_is_refused(axes, points, error, message):
    for call in (
        lambda: plots.draw_cloud(axes, points),
        lambda: plots.draw_cloud(axes, SQUARE, real=points),
        lambda: plots.clouds({"a": {1: points}}),
    ):
        with pytest.raises(error, match=message):
            call()


def test_no_rows_and_empty_rows_are_refused():
    with pytest.raises(ValueError, match="the mapping of rows is empty"):
        plots.clouds({})
    with pytest.raises(ValueError, match="row 'b' is empty"):
        plots.clouds({"a": {1: SQUARE}, "b": {}})


def test_balls_fill_the_points_that_precision_and_recall_count():
    real = generator(0, "real").standard_normal((30, 2))
    synthetic = generator(0, "synthetic").normal([2.0, 0], 0.6, (20, 2))
    figure = plots.balls(real, synthetic, k=3).figure
    expected = neighbours(real, synthetic, k=3)
    shares = (expected.precision, expected.recall)
    for axes, share, asked in zip(figure.axes, shares, (synthetic, real), strict=True):
        middle, inside, outside = axes.lines
        count = len(inside.get_xdata())
        assert 0 < count < len(asked)
        assert count == round(share * len(asked))
        assert count + len(outside.get_xdata()) == len(asked)
        assert matplotlib.colors.to_rgba(inside.get_markerfacecolor())[3] == 1
        assert outside.get_markerfacecolor() == "none"
        assert len(axes.collections[0].get_paths()) == len(middle.get_xdata())
        assert f"{count} of {len(asked)}" in axes.get_title(loc="left")


def test_balls_need_the_plane_and_enough_points():
    with pytest.raises(ValueError, match=r"must have shape \(n, 2\)"):
        plots.balls(np.zeros((9, 3)), np.zeros((9, 3)))
    with pytest.raises(ValueError, match="k is 5; it must be at least 1 and at most 1"):
        plots.balls(np.eye(2), np.eye(2))
