import numpy as np
import pytest
from matplotlib.colors import to_hex

from madlab import plots
from madlab.plots.colours import BLUE, GREY, VERMILLION
from madlab.plots.phase import LOOKS

T = np.array([1, 10, 20])
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
    return plots.Drift(T, ALIVE, simulated, DIFFER, NEUTRAL)._replace(**other)


def named(axes):
    """Lines and bands by what the legend calls them."""
    handles, names = axes.get_legend_handles_labels()
    return dict(zip(names, handles, strict=True))


def edges(band):
    """Lower and upper edge of a band, from its corners."""
    corners = band.get_paths()[0].vertices
    at = [corners[corners[:, 0] == t, 1] for t in T]
    return [y.min() for y in at], [y.max() for y in at]


def legend(figure):
    return [text.get_text() for text in figure.legends[0].get_texts()]


def test_chains_and_their_mean_stand_beside_neutral_drift():
    shown = found()
    figure = plots.drift(shown)
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
    said = plots.describe_drift(found(neutral_alive=np.array([[25, 21, 10], [25, 19, 11]])))
    assert said == (
        "Generation 1 to 20, means over chains; modes alive: mixture 25.0 to 10.5, neutral drift "
        "25.0 to 10.5; chance that two samples differ in mode: mixture 0.96 to 0.70, neutral drift "
        "0.96 to 0.71."
    )


@pytest.mark.parametrize(
    ("other", "message"),
    [
        ({"alive": ALIVE[:, :2]}, r"alive has shape \(2, 2\); it must be \(chains, 3\)"),
        ({"neutral_alive": ALIVE[0]}, r"neutral_alive has shape \(3,\)"),
        ({"differ": DIFFER[:0]}, r"differ has shape \(0, 3\)"),
        ({"neutral_differ": DIFFER}, r"neutral_differ has shape \(2, 3\); it must be \(3,\)"),
        ({"generations": T[:0]}, r"generations has shape \(0,\); it must be \(g,\), not empty"),
        ({"generations": T[None]}, r"generations has shape \(1, 3\)"),
    ],
)
def test_a_drift_that_does_not_fit_is_refused(other, message):
    for call in (plots.drift, plots.describe_drift):
        with pytest.raises(ValueError, match=message):
            call(found(**other))


def test_tails_are_bands_of_seeds_with_what_is_expected_in_dashes():
    figure = plots.tails(T, SHARES, EXPECTED)
    (axes,) = figure.axes
    drawn = named(axes)
    assert list(drawn) == [*SHARES, "expected"] == legend(figure)
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
    figure = plots.tails(T, SHARES, title="far out")
    assert legend(figure) == list(SHARES)
    assert {line.get_linestyle() for line in figure.axes[0].lines} == {"-"}
    assert figure.axes[0].get_title(loc="left") == "far out"


def test_tails_in_words_name_the_ends_of_every_seed():
    assert plots.describe_tails(T, SHARES) == (
        "Share of samples in the tails, generation 1 to 20, each seed; λ = 1: 0.050 to 0.080, "
        "0.030 to 0.060; λ = 0.75: 0.020 to 0.000."
    )


@pytest.mark.parametrize(
    ("shares", "expected", "message"),
    [
        ({}, {}, "no shares to draw"),
        ({"a": np.ones((2, 4))}, {}, r"shares of 'a' have shape \(2, 4\); .* \(seeds, 3\)"),
        ({"a": np.ones(3)}, {}, r"shares of 'a' have shape \(3,\)"),
        ({"a": np.ones((0, 3))}, {}, r"shares of 'a' have shape \(0, 3\)"),
        ({"a": np.ones((2, 3))}, {"a": np.ones(2)}, r"expected\['a'\] has shape \(2,\)"),
        ({"a": np.ones((2, 3))}, {"b": np.ones(3)}, r"expected\['b'\].*label one of a"),
    ],
)
def test_tails_that_do_not_fit_are_refused(shares, expected, message):
    with pytest.raises(ValueError, match=message):
        plots.tails(T, shares, expected)
    if not expected:
        with pytest.raises(ValueError, match=message):
            plots.describe_tails(T, shares)


def test_no_generations_are_refused():
    with pytest.raises(ValueError, match="one generation at least"):
        plots.tails(T[:0], SHARES)
