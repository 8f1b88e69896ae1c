import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from madlab.plots.lines import FLOOR, Facet, Line, draw, draw_facet, number, picture, words
from madlab.plots.style import GREY

X = np.array([1, 2, 4])
RUNS = np.array([[1.0, 5.0, 3.0], [3.0, 7.0, np.nan], [2.0, 9.0, 5.0]])
LOOK = ("#D55E00", "o", "solid")


@pytest.fixture
def axes():
    return Figure().subplots()


def test_the_middle_of_several_runs_has_a_band_and_thin_lines(axes):
    draw_facet(axes, Facet("score", [Line("a", X, RUNS, LOOK, thin=2)]))
    *thin, middle = axes.lines
    np.testing.assert_allclose(middle.get_xydata(), [[1, 2], [2, 7], [4, 4]])
    assert thin[0].get_ydata().tolist() == [1, 5, 3]
    assert len(thin) == 2
    corners = axes.collections[0].get_paths()[0].vertices
    assert [set(corners[corners[:, 0] == x, 1]) for x in X] == [{1, 3}, {5, 9}, {3, 5}]
    assert axes.get_ylim()[0] == 0
    assert (axes.get_title(loc="left"), axes.get_xlabel()) == ("score", "generation")


def test_one_run_is_a_line_with_its_gap_and_its_errors(axes):
    line = Line("a", X, [1.0, np.nan, 2.0], LOOK, errors=np.array([0.5, 0.5, 0.25]))
    draw_facet(axes, Facet("score", [line]))
    assert np.isnan(axes.lines[0].get_ydata()).tolist() == [False, True, False]
    spans = [one[:, 1].tolist() for one in axes.collections[0].get_segments() if len(one)]
    assert spans[0] == [0.5, 1.5]
    assert spans[-1] == [1.75, 2.25]


def test_a_tidy_table_becomes_a_line_whatever_the_order_of_its_rows():
    rows = [{"t": t, "seed": s, "v": 10 * s + t} for t in X for s in (3, 8) if (t, s) != (2, 8)]
    table = pd.DataFrame(rows).sample(frac=1, random_state=0).sort_values("t")
    line = Line.of(table, "t", "v", "a", LOOK)
    assert line.x.tolist() == X.tolist()
    np.testing.assert_array_equal(line.runs, [[31, 32, 34], [81, np.nan, 84]])
    np.testing.assert_array_equal(line.along, [56, 32, 59])


def test_logarithmic_axes_show_what_is_below_their_floor_at_the_floor(axes):
    line = Line("a", X, [[1e-3, 0, 1e-20]], LOOK, spread={"band": np.zeros((2, 3))})
    draw_facet(axes, Facet("score", [line], log="y"))
    assert axes.lines[0].get_ydata().tolist() == [1e-3, FLOOR, FLOOR]
    assert axes.texts[0].get_text() == "below 1e-12: drawn at 1e-12"
    ticks = Facet("score", [line], log="x", ticks=[1, 1000])
    other = Figure().subplots()
    draw_facet(other, ticks)
    assert [label.get_text() for label in other.get_xticklabels()] == ["1", "1,000"]


def test_lines_across_are_named_in_the_legend_or_where_there_are_several_on_the_axes(axes):
    draw_facet(axes, Facet("score", [], across={"real": 0.5}))
    assert axes.lines[0].get_color() == GREY
    assert axes.get_legend_handles_labels()[1] == ["real"]
    other = Figure().subplots()
    draw_facet(other, Facet("score", [], across={"one": 0.5, "two": 0.7}))
    assert [text.get_text() for text in other.texts] == ["one", "two"]


@pytest.mark.parametrize(("count", "places"), [(1, 1), (2, 2), (3, 3), (4, 4), (5, 6)])
def test_facets_stand_in_a_grid_with_one_legend_of_all_lines(count, places):
    labels = "abcde"[:count]
    figure = Figure()
    draw(figure, [Facet(label, [Line(label, X, RUNS[:1], LOOK)]) for label in labels])
    assert len(figure.axes) == places
    assert [axes.axison for axes in figure.axes] == [True] * count + [False] * (places - count)
    named = [text.get_text() for one in figure.legends for text in one.get_texts()]
    assert named == (list(labels) if count > 1 else [])


def test_words_come_from_the_lines_that_are_drawn():
    several = Line("a", X, RUNS, LOOK, spread={"all": np.array([[1, 5, 3], [3, 9, 5]])})
    one = Line("b", X, [0.5, 0.4, 0.25], LOOK)
    facets = [Facet("score (best: 1)", [several, one], across={"real": 0.7}), Facet("rest", [one])]
    assert words(facets) == (
        "From generation 1 to 4, mean of 3 seeds: a: score 2.0 via 7.0 at 2 to 4.0 (all 1.00 to "
        "3.0, then 3.0 to 5.0). From generation 1 to 4: b: score 0.50 to 0.25, rest 0.50 to 0.25; "
        "real: score 0.70."
    )
    assert picture(facets).alt == words(facets)


def test_words_leave_out_what_is_nowhere_known():
    line = Line("a", X, [np.nan, 2.0, 3.0], LOOK)
    gone = Line("b", X, [np.nan] * 3, LOOK)
    assert words([Facet("score", [line, gone])]) == "From generation 2 to 4: a: score 2.0 to 3.0."


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0.00"),
        (0.0203, "0.020"),
        (0.123, "0.12"),
        (2.34, "2.3"),
        (1234.6, "1,235"),
        (-0.0002, "-2.0e-04"),
        (0.0009, "0.001"),
        (-0.002, "-0.002"),
    ],
)
def test_numbers_have_about_three_figures(value, text):
    assert number(value) == text
