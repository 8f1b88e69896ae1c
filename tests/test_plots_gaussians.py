import numpy as np
import pytest
from matplotlib.collections import PolyCollection
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from madlab import Loop, plots, theory
from madlab.plots.gaussians import FLOOR, draw_chains, in_the_plane, small

T = np.array([1, 4, 9])
COVARIANCES = np.array(
    [[[4.0, 0.0], [0.0, 1.0]], [[1.0, 0.6], [0.6, 1.0]], [[0.25, 0.0], [0.0, 0.01]]]
)
MEANS = np.array([[0.0, 0.0], [1.0, -0.5], [2.0, 3.0]])


@pytest.fixture
def axes():
    return Figure().subplots()


@pytest.fixture
def values():
    return np.random.default_rng(0).lognormal(size=(200, 3))


def named(axes):
    """Lines and bands by what the legend calls them."""
    handles, names = axes.get_legend_handles_labels()
    return dict(zip(names, handles, strict=True))


def edges(band):
    """Lower and upper edge of a band, from its corners."""
    corners = band.get_paths()[0].vertices
    found = [corners[corners[:, 0] == t, 1] for t in np.unique(corners[:, 0])]
    return [y.min() for y in found], [y.max() for y in found]


def test_a_fan_draws_quantiles_median_mean_and_single_chains(axes, values):
    curve = np.array([3.0, 2.0, 1.0])
    plots.draw_fan(axes, T, values, title="all", theory={"mean, theory": curve})
    drawn = named(axes)
    assert list(drawn) == [
        "90% of chains",
        "half of chains",
        "single chains",
        "median",
        "mean",
        "mean, theory",
    ]
    for name, (low, high) in {"90% of chains": (5, 95), "half of chains": (25, 75)}.items():
        assert isinstance(drawn[name], PolyCollection)
        expected = np.percentile(values, (low, high), axis=0)
        np.testing.assert_allclose(edges(drawn[name]), expected)
    for name, expected in {
        "single chains": values[0],
        "median": np.sort(values, 0)[99:101].mean(0),
        "mean": values.sum(0) / 200,
        "mean, theory": curve,
    }.items():
        np.testing.assert_array_equal(drawn[name].get_xdata(), T)
        np.testing.assert_allclose(drawn[name].get_ydata(), expected)
    assert len(axes.lines) == 3 + 2 + 1
    assert axes.get_ylim()[0] == 0
    assert axes.get_title(loc="left") == "all"
    # Without colours the lines still differ.
    styles = {drawn[name].get_linestyle() for name in ("median", "mean", "mean, theory")}
    assert len(styles) == 3


def test_closed_forms_differ_in_their_dashes(axes, values):
    curves = dict.fromkeys(("mean, theory", "median, theory", "E|μ|²"), np.ones(3))
    plots.draw_fan(axes, T, values, theory=curves, singles=0)
    patterns = {str(named(axes)[name]._unscaled_dash_pattern) for name in curves}
    assert len(patterns) == 3
    assert "single chains" not in named(axes)


def test_zeros_lie_on_the_floor_of_a_logarithmic_axis_which_says_so(axes, values):
    values[:, 2] = 0
    values[:150, 1] = 1e-200
    plots.draw_fan(axes, T, values, log=True)
    assert axes.get_yscale() == "log"
    assert named(axes)["median"].get_ydata().tolist() == [np.median(values[:, 0]), FLOOR, FLOOR]
    assert named(axes)["mean"].get_ydata()[2] == FLOOR
    assert edges(named(axes)["90% of chains"])[0][1:] == [FLOOR, FLOOR]
    assert [text.get_text() for text in axes.texts] == ["below 1e-12: drawn at 1e-12"]
    bottom, top = axes.get_ylim()
    assert 0 < bottom <= FLOOR < top


def test_a_logarithmic_axis_without_small_values_says_nothing(axes, values):
    plots.draw_fan(axes, T, values, log=True)
    assert not axes.texts
    bottom, top = axes.get_ylim()
    assert bottom > 1e-3
    assert top < 1e3


def test_one_generation_and_one_chain_that_vanished_can_be_drawn(values):
    for some in (values[:1, :1], np.zeros((1, 1)), np.zeros((5, 1))):
        for log in (False, True):
            figure = plots.fans([1], {"one": some}, log=log)
            assert len(plots.png(figure)) > 1000


def test_fans_share_one_legend(values):
    theory_of = {"a": {"mean, theory": np.ones(3)}}
    figure = plots.fans(T, {"a": values, "b": 2 * values}, theory_of)
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["a", "b"]
    assert len(figure.axes[0].lines) == len(figure.axes[1].lines) + 1
    (legend,) = figure.legends
    names = [text.get_text() for text in legend.get_texts()]
    assert len(names) == len(set(names)) == 6


def test_a_fan_in_words_has_both_ends(values):
    values[:, 2] *= 1e-9
    said = plots.describe_fan(T, values, "variance")
    low, high = np.percentile(values, (5, 95), axis=0)
    assert said.startswith(
        f"variance of 200 chains: in generation 1 median {np.median(values[:, 0]):.2f}, mean "
        f"{small(values[:, 0].mean())}, 90% between {low[0]:.2f} and {high[0]:.1f}; in generation 9"
    )
    assert f"median {np.median(values[:, 2]):.1e}" in said
    assert plots.describe_fan([7], np.ones((2, 1))).count("in generation") == 1


@pytest.mark.parametrize(
    ("t", "wrong", "message"),
    [
        (T, np.ones(3), r"values have shape \(3,\) and generations \(3,\)"),
        (T, np.ones((5, 2)), r"needed are \(chains, g\) and \(g,\)"),
        (T, np.ones((0, 3)), "one chain and one generation at least"),
        (T, np.full((2, 3), -1.0), "below 0 or not finite"),
        (T, np.full((2, 3), np.nan), "below 0 or not finite"),
    ],
)
def test_what_is_no_fan_is_refused(axes, t, wrong, message):
    for call in (lambda: plots.draw_fan(axes, t, wrong), lambda: plots.describe_fan(t, wrong)):
        with pytest.raises(ValueError, match=message):
            call()


def test_theory_of_another_length_is_refused(axes, values):
    with pytest.raises(
        ValueError, match=r"theory 'x' has shape \(2,\).* each of the 3 generations"
    ):
        plots.draw_fan(axes, T, values, theory={"x": np.ones(2)})


def test_ellipses_lie_at_a_mahalanobis_distance_of_one(axes):
    plots.draw_ellipses(axes, MEANS, COVARIANCES, T)
    outlines = [line for line in axes.lines if len(line.get_xdata()) == 100]
    real, *models = [line.get_xydata() for line in outlines]
    np.testing.assert_allclose(np.hypot(*real.T), 1)
    for outline, mean, covariance in zip(models, MEANS, COVARIANCES, strict=True):
        apart = outline - mean
        squared = (apart @ np.linalg.inv(covariance) * apart).sum(1)
        np.testing.assert_allclose(squared, 1)
    (path,) = [line.get_xydata() for line in axes.lines if len(line.get_xdata()) == 3]
    np.testing.assert_array_equal(path, MEANS)
    assert axes.get_aspect() == 1


def test_later_ellipses_are_darker_and_three_have_names(axes):
    g = 7
    t = np.arange(10, 10 + g)
    plots.draw_ellipses(axes, np.zeros((g, 2)), np.tile(np.eye(2), (g, 1, 1)), t)
    outlines = [line for line in axes.lines if len(line.get_xdata()) == 100][1:]
    # Relative luminance, as for contrast on white.
    shades = [np.dot(to_rgb(line.get_color()), (0.2126, 0.7152, 0.0722)) for line in outlines]
    assert shades == sorted(shades, reverse=True)
    assert shades[0] < 0.75
    names = ["real data", "generation 10", "generation 13", "generation 16"]
    assert list(named(axes)) == names


def test_needles_and_points_are_ellipses_too(axes):
    covariances = np.array([[[1.0, 1.0], [1.0, 1.0]], [[0.0, 0.0], [0.0, 0.0]]])
    plots.draw_ellipses(axes, np.zeros((2, 2)), covariances, [1, 2])
    needle, point = [line.get_xydata() for line in axes.lines if len(line.get_xdata()) == 100][1:]
    np.testing.assert_allclose(needle[:, 0], needle[:, 1], atol=1e-7)
    assert needle[:, 0].max() == pytest.approx(1, abs=0.01)
    assert not point.any()
    said = plots.describe_ellipses(np.zeros((2, 2)), covariances / 3, [1, 2])
    assert "half-axes 0.82 and 0.00; in generation 2" in said
    assert said.endswith("half-axes 0.00 and 0.00")


def test_ellipses_in_words_name_centres_and_half_axes():
    assert plots.describe_ellipses(MEANS, COVARIANCES, T) == (
        "in generation 1 centred at (0.00, 0.00), half-axes 2.0 and 1.00; in generation 9 centred "
        "at (2.00, 3.00), half-axes 0.50 and 0.10"
    )


@pytest.mark.parametrize(
    ("means", "covariances", "message"),
    [
        (MEANS[:2], COVARIANCES, r"means have shape \(2, 2\)"),
        (np.zeros((3, 5)), COVARIANCES, "two coordinates"),
        (MEANS, COVARIANCES[0], r"covariances \(2, 2\)"),
        (MEANS * np.nan, COVARIANCES, "NaN or infinite"),
        (MEANS, COVARIANCES * np.nan, "NaN or infinite"),
    ],
)
def test_what_is_no_chain_in_the_plane_is_refused(axes, means, covariances, message):
    for call in (
        lambda: plots.draw_ellipses(axes, means, covariances, T),
        lambda: plots.describe_ellipses(means, covariances, T),
    ):
        with pytest.raises(ValueError, match=message):
            call()


def test_chains_of_a_simulation_share_square_axes_that_hold_them_all():
    run = theory.simulate(Loop.fully_synthetic(20), 3, 30, 5, seed=1)
    figure = Figure()
    draw_chains(figure, run, 3)
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["chain 1", "chain 2", "chain 3"]
    for i, axes in enumerate(figure.axes):
        (left, right), (bottom, top) = axes.get_xlim(), axes.get_ylim()
        assert -left == right == -bottom == top
        assert abs(axes.dataLim.extents).max() < right
        means, covariances, t = in_the_plane(run, i)
        assert t.tolist() == [1, 7, 13, 18, 24, 30]
        np.testing.assert_array_equal(means, run.means[i, t - 1, :2])
        np.testing.assert_array_equal(covariances, run.covariances[i, t - 1, :2, :2])
    assert len(plots.png(plots.ellipses(run))) > 1000


def test_simulations_without_a_plane_are_refused():
    loop = Loop.fully_synthetic(20)
    with pytest.raises(ValueError, match="the run has 1 dimensions and its covariances"):
        plots.ellipses(theory.simulate(loop, 1, 2, 3))
    with pytest.raises(ValueError, match="the run has 2 dimensions and no covariances"):
        plots.ellipses(theory.simulate(loop, 2, 2, 3, covariances=False))
