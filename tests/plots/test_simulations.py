import numpy as np
import pytest
from matplotlib.collections import PolyCollection
from matplotlib.colors import to_hex, to_rgb
from matplotlib.figure import Figure

from madlab import Loop, plots, theory
from madlab.plots.lines import FLOOR, draw_facet, number, words
from madlab.plots.simulations import _draw_ellipses, draw_chains, ellipse_words, fan, in_the_plane
from madlab.plots.style import BLUE, GREY, LOOKS, VERMILLION

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
    draw_facet(axes, fan(T, values, "all", {"mean, theory": curve}))
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
    draw_facet(axes, fan(T, values, theory=curves))
    patterns = {str(named(axes)[name]._unscaled_dash_pattern) for name in curves}
    assert len(patterns) == 3


def test_zeros_lie_on_the_floor_of_a_logarithmic_axis_which_says_so(axes, values):
    values[:, 2] = 0
    values[:150, 1] = 1e-200
    draw_facet(axes, fan(T, values, log=True))
    assert axes.get_yscale() == "log"
    assert named(axes)["median"].get_ydata().tolist() == [np.median(values[:, 0]), FLOOR, FLOOR]
    assert named(axes)["mean"].get_ydata()[2] == FLOOR
    assert edges(named(axes)["90% of chains"])[0][1:] == [FLOOR, FLOOR]
    assert [text.get_text() for text in axes.texts] == ["below 1e-12: drawn at 1e-12"]
    bottom, top = axes.get_ylim()
    assert 0 < bottom <= FLOOR < top


def test_a_logarithmic_axis_without_small_values_says_nothing(axes, values):
    draw_facet(axes, fan(T, values, log=True))
    assert not axes.texts
    bottom, top = axes.get_ylim()
    assert bottom > 1e-3
    assert top < 1e3


def test_one_generation_and_one_chain_that_vanished_can_be_drawn(values):
    for some in (values[:1, :1], np.zeros((1, 1)), np.zeros((5, 1))):
        for log in (False, True):
            figure = plots.fans([1], {"one": some}, log=log).figure
            assert len(plots.png(figure)) > 1000


def test_fans_share_one_legend(values):
    theory_of = {"a": {"mean, theory": np.ones(3)}}
    figure = plots.fans(T, {"a": values, "b": 2 * values}, theory_of).figure
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["a", "b"]
    assert len(figure.axes[0].lines) == len(figure.axes[1].lines) + 1
    (legend,) = figure.legends
    names = [text.get_text() for text in legend.get_texts()]
    assert len(names) == len(set(names)) == 6


def test_a_fan_in_words_has_both_ends(values):
    values[:, 2] *= 1e-9
    said = words([fan(T, values, "variance")])
    low, high = np.percentile(values, (5, 95), axis=0)
    assert said.startswith(
        f"From generation 1 to 9, 200 chains: median: variance {np.median(values[:, 0]):.2f} to "
        f"{np.median(values[:, 2]):.1e} (90% of chains {low[0]:.2f} to {high[0]:.1f}, then "
    )
    assert f"; mean: variance {number(values[:, 0].mean())} to " in said


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (np.ones(3), r"variance has shape \(3,\); it must be \(chains, 3\)"),
        (np.ones((5, 2)), r"variance has shape \(5, 2\); it must be \(chains, 3\)"),
        (np.ones((0, 3)), "one value at least"),
        (np.full((2, 3), -1.0), "variance has numbers below 0 or not finite"),
        (np.full((2, 3), np.nan), "variance has numbers below 0 or not finite"),
    ],
)
def test_what_is_no_fan_is_refused(wrong, message):
    with pytest.raises(ValueError, match=message):
        plots.fans(T, {"variance": wrong})


def test_theory_of_another_length_is_refused(axes, values):
    with pytest.raises(ValueError, match=r"theory 'x' has shape \(2,\); it must be \(3,\)"):
        fan(T, values, theory={"x": np.ones(2)})


def test_ellipses_lie_at_a_mahalanobis_distance_of_one(axes):
    _draw_ellipses(axes, MEANS, COVARIANCES, T)
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
    _draw_ellipses(axes, np.zeros((g, 2)), np.tile(np.eye(2), (g, 1, 1)), t)
    outlines = [line for line in axes.lines if len(line.get_xdata()) == 100][1:]
    # Relative luminance, as for contrast on white.
    shades = [np.dot(to_rgb(line.get_color()), (0.2126, 0.7152, 0.0722)) for line in outlines]
    assert shades == sorted(shades, reverse=True)
    assert shades[0] < 0.75
    names = ["real data", "generation 10", "generation 13", "generation 16"]
    assert list(named(axes)) == names


def test_needles_and_points_are_ellipses_too(axes):
    covariances = np.array([[[1.0, 1.0], [1.0, 1.0]], [[0.0, 0.0], [0.0, 0.0]]])
    _draw_ellipses(axes, np.zeros((2, 2)), covariances, [1, 2])
    needle, point = [line.get_xydata() for line in axes.lines if len(line.get_xdata()) == 100][1:]
    np.testing.assert_allclose(needle[:, 0], needle[:, 1], atol=1e-7)
    assert needle[:, 0].max() == pytest.approx(1, abs=0.01)
    assert not point.any()
    said = ellipse_words(np.zeros((2, 2)), covariances / 3, [1, 2])
    assert "half-axes 0.82 and 0.00; in generation 2" in said
    assert said.endswith("half-axes 0.00 and 0.00")


def test_ellipses_in_words_name_centres_and_half_axes():
    assert ellipse_words(MEANS, COVARIANCES, T) == (
        "in generation 1 centred at (0.00, 0.00), half-axes 2.0 and 1.00; in generation 9 centred "
        "at (2.00, 3.00), half-axes 0.50 and 0.10"
    )


def test_chains_of_a_simulation_share_square_axes_that_hold_them_all():
    run = theory.simulate(Loop.fully_synthetic(20), 3, 30, 5, seed=1)
    figure = Figure()
    draw_chains(figure, run)
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["chain 1", "chain 2", "chain 3"]
    for i, axes in enumerate(figure.axes):
        (left, right), (bottom, top) = axes.get_xlim(), axes.get_ylim()
        assert -left == right == -bottom == top
        assert abs(axes.dataLim.extents).max() < right
        means, covariances, t = in_the_plane(run, i)
        assert t.tolist() == [1, 7, 13, 18, 24, 30]
        np.testing.assert_array_equal(means, run.means[i, t - 1, :2])
        np.testing.assert_array_equal(covariances, run.covariances[i, t - 1, :2, :2])
    picture = plots.ellipses(run)
    assert len(picture.png()) > 1000
    assert picture.alt.startswith("3 chains; the first in generation 1 centred at (")


def test_simulations_without_a_plane_are_refused():
    loop = Loop.fully_synthetic(20)
    with pytest.raises(ValueError, match="the run has 1 dimensions and its covariances"):
        plots.ellipses(theory.simulate(loop, 1, 2, 3))
    with pytest.raises(ValueError, match="the run has 2 dimensions and no covariances"):
        plots.ellipses(theory.simulate(loop, 2, 2, 3, covariances=False))


STEPS = np.array([1, 10, 20])
ALIVE = np.array([[25, 20, 9], [25, 22, 12]])
DIFFER = np.array([[0.96, 0.9, 0.6], [0.96, 0.86, 0.8]])
NEUTRAL = np.array([0.96, 0.87, 0.71])
SHARES = {
    "λ = 1": np.array([[0.05, 0.04, 0.08], [0.03, 0.05, 0.06]]),
    "λ = 0.75": np.array([[0.02, 0.001, 0.0]]),
}
EXPECTED = {"λ = 1": np.full(3, 0.0455), "λ = 0.75": np.array([0.021, 0.0005, 0.0])}


def found(**other):
    simulated = np.random.default_rng(0).integers(5, 25, (200, 3))
    return plots.Drift(STEPS, ALIVE, simulated, DIFFER, NEUTRAL)._replace(**other)


def legend(figure):
    return [text.get_text() for text in figure.legends[0].get_texts()]


def test_chains_and_their_mean_stand_beside_neutral_drift():
    shown = found()
    figure = plots.drift(shown).figure
    expected = {"modes alive": ALIVE, "chance that two samples differ in mode": DIFFER}
    neutral = (shown.neutral_alive.mean(0), NEUTRAL)
    for axes, (title, chains), law in zip(figure.axes, expected.items(), neutral, strict=True):
        assert axes.get_title(loc="left") == title
        assert axes.get_ylim()[0] == 0
        lines = [line for line in axes.lines if line.get_color() == GREY]
        np.testing.assert_array_equal([line.get_ydata() for line in lines], chains)
        drawn = named(axes)
        np.testing.assert_allclose(drawn["mixture, mean"].get_ydata(), chains.mean(0))
        np.testing.assert_allclose(drawn["neutral drift, mean"].get_ydata(), law)
        assert all(list(line.get_xdata()) == [1, 10, 20] for line in axes.lines)
        colours = [drawn[name].get_color() for name in ("mixture, mean", "neutral drift, mean")]
        assert colours == [VERMILLION, BLUE]
    band = named(figure.axes[0])["neutral drift, 90% of simulations"]
    np.testing.assert_allclose(edges(band), np.percentile(shown.neutral_alive, (5, 95), axis=0))
    assert figure.axes[1].get_ylim() == (0, 1)
    assert sorted(legend(figure)) == sorted(named(figure.axes[0]))
    assert len(plots.png(figure)) > 1000


def test_drift_in_words_names_both_ends_of_both_sides():
    said = plots.drift(found(neutral_alive=np.array([[25, 21, 10], [25, 19, 11]]))).alt
    assert said == (
        "From generation 1 to 20: neutral drift, mean: modes alive 25.0 to 10.5 (neutral drift, "
        "90% of simulations 25.0 to 25.0, then 10.1 to 10.9), chance that two samples differ in "
        "mode 0.96 to 0.71. From generation 1 to 20, mean of 2 chains: mixture, mean: modes alive "
        "25.0 to 10.5, chance that two samples differ in mode 0.96 to 0.70."
    )


@pytest.mark.parametrize(
    ("other", "message"),
    [
        ({"alive": ALIVE[:, :2]}, r"alive has shape \(2, 2\); it must be \(chains, 3\)"),
        ({"neutral_alive": ALIVE[0]}, r"neutral_alive has shape \(3,\)"),
        ({"differ": DIFFER[:0]}, r"differ has shape \(0, 3\)"),
        ({"neutral_differ": DIFFER}, r"neutral_differ has shape \(2, 3\); it must be \(3,\)"),
        ({"generations": STEPS[:0]}, r"generations has shape \(0,\)"),
        ({"generations": STEPS[None]}, r"generations has shape \(1, 3\)"),
    ],
)
def test_a_drift_that_does_not_fit_is_refused(other, message):
    with pytest.raises(ValueError, match=message):
        plots.drift(found(**other))


def test_tails_are_bands_of_seeds_with_what_is_expected_in_dashes():
    figure = plots.tails(STEPS, SHARES, EXPECTED).figure
    (axes,) = figure.axes
    drawn = named(axes)
    every = [name for label in SHARES for name in (label, f"{label}, expected")]
    assert list(drawn) == every == legend(figure)
    bands = axes.collections
    for (label, lines), (colour, marker, _), band in zip(
        SHARES.items(), LOOKS, bands, strict=False
    ):
        np.testing.assert_allclose(drawn[label].get_ydata(), lines.mean(0))
        assert (drawn[label].get_color(), drawn[label].get_marker()) == (colour, marker)
        np.testing.assert_allclose(edges(band), [lines.min(0), lines.max(0)])
        assert to_hex(band.get_facecolor()[0]) == colour.lower()
        own = [line for line in axes.lines if line.get_color() == colour]
        dashed = [line for line in own if line.get_linestyle() == "--"]
        np.testing.assert_allclose([line.get_ydata() for line in dashed], [EXPECTED[label]])
        # Thin lines where there are several seeds, then the mean and what is expected.
        assert len(own) == 2 + (len(lines) if len(lines) > 1 else 0)
    assert axes.get_title(loc="left") == "share with |x| > 2"
    assert axes.get_ylim()[0] == 0
    assert len(plots.png(figure)) > 1000


def test_without_expectation_tails_have_no_dashes():
    figure = plots.tails(STEPS, SHARES).figure
    assert legend(figure) == list(SHARES)
    assert {line.get_linestyle() for line in figure.axes[0].lines} == {"-"}


def test_tails_in_words_name_the_ends_of_every_line():
    assert plots.tails(STEPS, SHARES).alt == (
        "From generation 1 to 20, mean of 2 seeds: λ = 1: share with |x| > 2 0.040 to 0.070. From "
        "generation 1 to 20: λ = 0.75: share with |x| > 2 0.020 to 0.00."
    )


@pytest.mark.parametrize(
    ("shares", "expected", "message"),
    [
        ({}, {}, "no shares to draw"),
        ({"a": np.ones((2, 4))}, {}, r"share of 'a' has shape \(2, 4\); .* \(chains, 3\)"),
        ({"a": np.ones(3)}, {}, r"share of 'a' has shape \(3,\)"),
        ({"a": np.ones((0, 3))}, {}, r"share of 'a' has shape \(0, 3\)"),
        ({"a": np.ones((2, 3))}, {"a": np.ones(2)}, r"expected\['a'\] has shape \(2,\)"),
        ({"a": np.ones((2, 3))}, {"b": np.ones(3)}, r"expected has 'b', but shares are of a"),
    ],
)
def test_tails_that_do_not_fit_are_refused(shares, expected, message):
    with pytest.raises(ValueError, match=message):
        plots.tails(STEPS, shares, expected)


def test_of_many_tails_the_first_six_are_drawn():
    shares = {name: np.ones((2, 3)) for name in "abcdefg"}
    assert legend(plots.tails(STEPS, shares).figure) == [*"abcdef"]


def test_what_is_not_known_is_a_gap(values):
    law = np.array([np.nan, 0.5, 0.7])
    (*_, line) = fan(T, values, theory={"x": law}).lines
    np.testing.assert_array_equal(line.runs, [law])
    said = plots.tails(STEPS, {"a": law[None]}, {"a": law}).alt
    assert said.count("From generation 10 to 20: a") == 1
    assert "a, expected: share with |x| > 2 0.50 to 0.70" in said
    said = plots.drift(found(differ=np.stack([law, law]), neutral_differ=law)).alt
    assert "From generation 10 to 20: neutral drift, mean: chance" in said


def test_no_generations_are_refused():
    with pytest.raises(ValueError, match="one generation at least"):
        plots.tails(STEPS[:0], SHARES)


def test_settling_draws_means_with_their_errors():
    t = np.array([1, 2, 3])
    w2 = np.array([[3.0, 2.0, 1.0], [5.0, 2.0, 3.0]])
    picture = plots.settling({"one": plots.Settling(t, w2)}, {"a limit": 1.5})
    (axes,) = picture.figure.axes
    limit, mean = axes.lines
    np.testing.assert_allclose(mean.get_xydata(), [[1, 4], [2, 2], [3, 2]])
    assert limit.get_ydata()[0] == 1.5
    assert limit.get_label() == "a limit"
    low, high = edges(axes.collections[0])
    np.testing.assert_allclose(np.subtract(high, low), 4 * w2.std(0, ddof=1) / np.sqrt(2))
    assert picture.alt == (
        "From generation 1 to 3, mean of 2 chains: one: W2 squared to the real distribution 4.0 "
        "to 2.0; a limit: W2 squared to the real distribution 1.5."
    )


def test_more_lines_than_looks_are_refused():
    line = plots.Settling(np.array([1]), np.ones((2, 1)))
    with pytest.raises(ValueError, match="7 lines cannot be told apart"):
        plots.settling({str(i): line for i in range(7)})
