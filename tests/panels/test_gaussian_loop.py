import re

import numpy as np
import pytest
from panel_checks import check_controls, check_page

from madlab import Loop, panels, theory
from madlab.panels import gaussian_loop
from madlab.plots.lines import number

SIZES = {"n": 20, "generations": 12, "chains": 40, "seed": 3}


@pytest.fixture
def shown():
    return panels.GaussianLoop(**SIZES)


def simulated(d=1, bias=1.0, **sizes):
    sizes = SIZES | sizes
    loop = Loop.fully_synthetic(sizes.pop("n"))
    return theory.simulate(loop, d, bias=bias, **sizes)


def axes_of(shown):
    """The two fans, then the three chains."""
    upper, lower = shown.figure().subfigs
    return upper.axes, lower.axes


def lines_of(axes):
    handles, names = axes.get_legend_handles_labels()
    return {name: line for name, line in zip(names, handles, strict=True) if "chains" not in name}


@pytest.mark.parametrize("bias", [1.0, 0.7])
def test_the_fans_are_those_of_the_simulation_and_of_theory(bias):
    shown = panels.GaussianLoop(bias=bias, **SIZES)
    run, t = simulated(bias=bias), np.arange(1, 13)
    (variance, distance), _ = axes_of(shown)
    lines = lines_of(variance)
    for name, expected in {
        "median": np.median(run.traces, 0),
        "mean": run.traces.mean(0),
        "mean, theory": theory.expected_variance(t, bias),
        "median, theory": theory.median_variance(t, 20, bias),
    }.items():
        np.testing.assert_allclose(lines[name].get_ydata(), expected)
    lines = lines_of(distance)
    np.testing.assert_allclose(lines["mean"].get_ydata(), run.w2.mean(0))
    walk = theory.expected_mean_square(t, 1, 20, bias=bias)
    np.testing.assert_allclose(lines["E|μ|² alone, theory"].get_ydata(), walk)
    assert variance.get_yscale() == "log"
    assert distance.get_ylim()[0] == 0


def test_the_status_says_medians_means_and_the_half_life(shown):
    run = simulated()
    last = run.traces[:, -1]
    said = shown.status.value
    assert "From generation 1 to 12, 40 chains: median: Variance" in said
    assert f" to {number(np.median(last))} (90% of chains" in said
    assert f" to {number(last.mean())} (theory" in said
    expected = number(float(theory.median_variance(12, 20)))
    assert f"theory: mean 1.00, median {expected}" in shown.status.value
    medians = np.median(run.traces, 0)
    assert (medians[-1] > medians[0] / 2) == ("has not halved by generation 12" in shown.alt())
    shown.bias.value = 0.6
    medians = np.median(simulated(bias=0.6).traces, 0)
    half = next(t for t, median in enumerate(medians, 1) if median <= medians[0] / 2)
    assert f"The median has halved by generation {half}." in shown.status.value


def test_every_control_simulates_anew(shown):
    check_controls(shown)
    seen = [(shown.picture.value, shown.words())]
    for control, value in (
        (shown.n, 100),
        (shown.bias, 0.9),
        (shown.generations, 20),
        (shown.chains, 100),
        (shown.d, 2),
        (shown.seed, 4),
    ):
        control.value = value
        seen.append((shown.picture.value, shown.words()))
    assert len({picture for picture, _ in seen}) == len({words for _, words in seen}) == 7
    assert shown.settings() == (
        "Fully synthetic loops of Gaussians in 2 dimensions: 100 chains of 20 generations, seed 4, "
        "n = 100 points a generation, λ = 0.9."
    )
    run = simulated(2, 0.9, n=100, generations=20, chains=100, seed=4)
    assert f" to {number(run.w2[:, -1].mean())}. Ellipses" in shown.alt()


def test_one_simulation_serves_picture_and_words(shown, monkeypatch):
    calls = []
    real = theory.simulate
    monkeypatch.setattr(theory, "simulate", lambda *a, **k: calls.append(a[1]) or real(*a, **k))
    shown.words()
    shown.figure()
    assert calls == []
    shown.d.value = 2
    assert calls == [2]
    # Ellipses need a plane, which one dimension has not.
    shown.d.value = 1
    assert calls == [2, 1, 2]


def test_the_ellipses_are_the_chains_of_the_thin_lines(shown):
    assert "three more chains, in two dimensions" in shown.settings()
    for d, said in ((2, "of the thin lines"), (10, "of the thin lines, first two coordinates")):
        shown.d.value = d
        assert "more chains" not in shown.settings()
        title = shown.figure().subfigs[1].get_suptitle()
        assert title == f"the three chains {said}"
        run = simulated(d)
        (variance, _), chains = axes_of(shown)
        np.testing.assert_allclose(variance.lines[0].get_ydata(), run.traces[0] / d)
        for i, axes in enumerate(chains):
            (centre,) = [line for line in axes.lines if len(line.get_xdata()) == 1][-1:]
            assert centre.get_xydata().tolist() == [run.means[i, -1, :2].tolist()]
        # The closed form of the median is one-dimensional.
        assert "median, theory" not in lines_of(variance)


def test_many_dimensions_record_fewer_generations_but_the_last_always():
    shown = panels.GaussianLoop(n=50, d=3, generations=200, chains=5)
    t = lines_of(axes_of(shown)[0][0])["mean"].get_xdata()
    assert (t[0], t[-1], len(t)) == (1, 200, 61)
    shown.d.value = 2
    t = lines_of(axes_of(shown)[0][0])["mean"].get_xdata()
    assert t.tolist() == list(range(1, 201))


def test_vanished_variances_are_drawn_and_said():
    shown = panels.GaussianLoop(n=2, generations=300, bias=0.1, chains=30)
    (variance, _), _ = axes_of(shown)
    assert [text.get_text() for text in variance.texts] == ["below 1e-12: drawn at 1e-12"]
    assert re.search(
        r"median: Variance .* to 0\.00 \(90%.*mean: Variance .* to 0\.00 ", shown.alt()
    )


def test_without_a_kernel_it_shows_a_sheet_over_n_and_bias(shown, monkeypatch):
    made = []
    real = gaussian_loop.fan

    def fan(t, values, **options):
        made.append((len(values), values.shape[1], t[-1], options["theory"]))
        return real(t, values, **options)

    monkeypatch.setattr(gaussian_loop, "fan", fan)
    (sheet,) = shown.sheet()
    made.clear()
    page = shown._repr_mimebundle_()["text/html"]
    assert [(chains, g, last) for chains, g, last, _ in made] == [(40, 12, 12)] * 9
    labels = [axes.get_xlabel() for axes in sheet.figure.axes]
    assert labels == [""] * 6 + ["generation"] * 3
    biases = [float(curves["mean, theory"][1]) for *_, curves in made]
    assert biases == [1, 1, 1, 0.95, 0.95, 0.95, 0.8, 0.8, 0.8]
    alt = check_page(page)
    assert alt.startswith("Contact sheet, one row for each sampling bias λ and one column for each")
    run = simulated(n=100, bias=0.95)
    median, mean = np.median(run.traces[:, -1]), run.traces[:, -1].mean()
    assert f"λ = 0.95, n = 100: {number(median)} and {number(mean)};" in alt
    caption = re.search(r"<figcaption>(.+)</figcaption>", page)[1]
    assert caption == (
        "Fully synthetic loops of Gaussians in 1 dimension: 40 chains of 12 generations, seed 3; "
        "λ and n vary."
    )
    # The state at hand is kept apart from it.
    assert "12, 40 chains: median: Variance" in shown.html()


def test_the_sheet_says_how_many_chains_it_has():
    shown = panels.GaussianLoop(n=20, generations=5, chains=1_000)
    assert "300 chains of 5 generations" in shown.fallback()
    assert "1,000 chains of 5 generations" in shown.settings()


def test_sizes_given_beyond_the_offered_are_offered_too():
    sizes = {"n": 37, "bias": 0.05, "generations": 310, "chains": 7, "d": 3, "seed": 2**40}
    shown = panels.GaussianLoop(**sizes)
    assert shown.state == sizes
    assert ("37", 37) in shown.n.options
    assert ("1,000", 1000) in shown.n.options


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ({"n": 1}, ValueError, "n is 1; it must be at least 2"),
        ({"n": 2.5}, TypeError, "n must be a whole number"),
        ({"bias": 0}, ValueError, r"must lie in \(0, 1\]"),
        ({"bias": float("nan")}, ValueError, r"must lie in \(0, 1\]"),
        ({"generations": 1}, ValueError, "generations is 1"),
        ({"chains": 2}, ValueError, "chains is 2; it must be at least 3"),
        ({"d": 0}, ValueError, "d is 0"),
        ({"seed": -1}, ValueError, "seed is -1"),
    ],
)
def test_what_cannot_work_is_refused(given, error, message):
    with pytest.raises(error, match=message):
        panels.GaussianLoop(**SIZES | given)


def test_what_goes_wrong_at_a_control_is_said_and_raised(shown, monkeypatch):
    def simulate(*_, **__):
        raise ValueError("need 9 GiB of results")

    monkeypatch.setattr(theory, "simulate", simulate)
    with pytest.raises(ValueError, match="need 9 GiB"):
        shown.d.value = 10
    assert "This cannot be shown: need 9 GiB of results" in shown.status.value
