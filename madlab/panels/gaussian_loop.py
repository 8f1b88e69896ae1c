"""Many chains of Gaussians at once, simulated anew at every turn of a control."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from madlab import checks
from madlab.loops import Loop
from madlab.panels.panel import Panel, dropdown, slider, whole_number
from madlab.plots.lines import draw_facet, number
from madlab.plots.picture import Picture
from madlab.plots.simulations import draw_chains, ellipse_words, fan, fan_words, in_the_plane
from madlab.plots.style import WIDTH, legend
from madlab.theory import (
    Simulation,
    expected_mean_square,
    expected_variance,
    median_variance,
    simulate,
)

_POINTS = (10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000)
_DIMENSIONS = (1, 2, 10)
_CHAINS = (30, 100, 300, 1_000)
_SINGLES = 3
# W2 takes longest in more than two dimensions: so many generations are recorded there at most.
_RECORDED = 61
# The contact sheet's rows, columns, and the most chains and recorded generations of each fan.
_SHEET_BIASES, _SHEET_POINTS, _SHEET_SIZES = (1.0, 0.95, 0.8), (10, 100, 1_000), (300, 31)


class GaussianLoop(Panel):
    """Fully synthetic loops of Gaussians on real data from N(0, I), many chains at once.

    A change of a control simulates anew, through `madlab.theory.simulate`: fans over the chains of
    the variance, tr Sigma / d, and of W2 squared, each with its closed forms, and the ellipses of
    three chains in the plane. Those are the chains of the thin lines, in their first two
    coordinates; in one dimension, which has no ellipses, three chains run in two.

    - `n`: points in every generation, at least 2; `bias`: lambda in (0, 1].
    - `generations`: at least 2; `chains`: at least 3; `d`: dimensions, at least 1.
    - `seed`: names all randomness.

    The controls offer 300 generations of 1,000 chains in ten dimensions, about a second; larger
    sizes given here are offered too and take longer. Without a kernel it shows a contact sheet over
    n and lambda.

    Raises ValueError or TypeError for sizes and a bias that cannot work.
    """

    def __init__(
        self,
        *,
        n: int = 100,
        bias: float = 1.0,
        generations: int = 100,
        chains: int = 300,
        d: int = 1,
        seed: int = 0,
    ) -> None:
        n, bias = checks.count("n", n, least=2), checks.bias(bias)
        generations = checks.count("generations", generations, least=2)
        chains = checks.count("chains", chains, least=_SINGLES)
        d, seed = checks.count("d", d, least=1), checks.count("seed", seed)
        self.n = _sizes("points a generation, n", "mad-n", _POINTS, n)
        self.bias = slider("sampling bias λ", "mad-bias", 0.1, 1.0, 0.01, bias)
        self.generations = slider("generations", "mad-generations", 2, 300, 1, generations)
        self.chains = _sizes("chains", "mad-chains", _CHAINS, chains)
        self.d = _sizes("dimensions, d", "mad-d", _DIMENSIONS, d)
        self.seed = whole_number("seed", "mad-seed", 0, 2**31 - 1, seed)
        controls = [self.n, self.bias, self.generations, self.chains, self.d, self.seed]
        super().__init__("mad-gaussian-loop", controls)

    @property
    def _state(self) -> tuple[int, float, int, int, int, int]:
        """Points, bias, generations, chains, dimensions and seed, as the controls have them."""
        n, bias, generations = self.n.value, round(self.bias.value, 6), self.generations.value
        return n, bias, generations, self.chains.value, self.d.value, self.seed.value

    def render(self) -> Picture:
        """Return the two fans above the ellipses of three chains."""
        n, bias, generations, chains, d, seed = self._state
        run = _simulate(n, bias, generations, chains, d, seed)
        plane = run if d > 1 else _simulate(n, bias, generations, _SINGLES, 2, seed)
        variance, t = run.traces / d, run.generations
        figure = Figure(figsize=(WIDTH, 6.6), layout="constrained")
        upper, lower = figure.subfigures(2, 1, height_ratios=(1.15, 1), squeeze=False)[:, 0]
        left, right = upper.subplots(1, 2)
        _draw_variance(left, run, n, bias, d)
        left.set_title("variance" if d == 1 else "variance, tr Σ / d", fontsize=11, loc="left")
        walk = {"E|μ|² alone, theory": expected_mean_square(t, d, n, bias=bias)}
        draw_facet(right, fan(t, run.w2, "W₂ squared to the real data", walk))
        legend(upper, left, right)
        which = {1: "three chains in two dimensions", 2: "the three chains of the thin lines"}
        more = "the three chains of the thin lines, first two coordinates"
        lower.suptitle(which.get(d, more), fontsize=11)
        draw_chains(lower, plane)
        theory = f"theory: mean {number(float(expected_variance(generations, bias)))}"
        if d == 1:
            theory += f", median {number(float(median_variance(generations, n, bias)))}"
        alt = (
            f"{fan_words(t, variance, 'Variance')} ({theory}). {_halved(t, variance)} "
            f"{fan_words(t, run.w2, 'W₂ squared')}. Ellipses of three chains, the first "
            f"{ellipse_words(*in_the_plane(plane, 0))}."
        )
        extra = " The ellipses are of three more chains, in two dimensions." if d == 1 else ""
        about = f"{self._common(chains)}, n = {n:,} points a generation, λ = {bias:g}.{extra}"
        return Picture(figure, alt, about)

    def _common(self, chains: int) -> str:
        _, _, generations, _, d, seed = self._state
        return (
            f"Fully synthetic loops of Gaussians in {d} dimension{'s' if d > 1 else ''}: "
            f"{chains:,} chains of {generations} generations, seed {seed}"
        )

    def sheet(self) -> list[Picture]:
        """Return a contact sheet of the variance: one row a bias, one column an n."""
        _, _, generations, chains, d, seed = self._state
        chains, recorded = min(chains, _SHEET_SIZES[0]), _SHEET_SIZES[1]
        figure = Figure(figsize=(WIDTH, 6.4), layout="constrained")
        grid = figure.subplots(3, 3, sharex=True, sharey="row")
        said = []
        for bias, line in zip(_SHEET_BIASES, grid, strict=True):
            for n, axes in zip(_SHEET_POINTS, line, strict=True):
                run = _simulate(n, bias, generations, chains, d, seed, recorded)
                _draw_variance(axes, run, n, bias, d)
                axes.set_title(f"λ = {bias:g}, n = {n:,}", fontsize=10, loc="left")
                axes.label_outer()
                last = run.traces[:, -1] / d
                said.append(
                    f"λ = {bias:g}, n = {n:,}: {number(np.median(last))} and {number(last.mean())}"
                )
        legend(figure, grid[0, 0])
        alt = (
            "Contact sheet, one row for each sampling bias λ and one column for each n: fans of "
            f"the variance. Median and mean in generation {generations}: {'; '.join(said)}."
        )
        return [Picture(figure, alt, f"{self._common(chains)}; λ and n vary.")]


def _sizes(label: str, hook: str, offered: Sequence[int], value: int) -> Any:
    options = [(f"{count:,}", count) for count in sorted({*offered, value})]
    return dropdown(label, hook, options, value)


def _simulate(
    n: int, bias: float, generations: int, chains: int, d: int, seed: int, recorded: int = 0
) -> Simulation:
    """Run a fully synthetic loop; record `recorded` generations at most, or as many as is quick."""
    most = min(generations, recorded or (generations if d <= 2 else _RECORDED))
    at = np.unique(np.linspace(1, generations, most).round().astype(int))
    return simulate(Loop.fully_synthetic(n), d, generations, chains, bias, seed, at=at.tolist())


def _draw_variance(axes: Axes, run: Simulation, n: int, bias: float, d: int) -> None:
    t = run.generations
    theory = {"mean, theory": expected_variance(t, bias)}
    if d == 1:
        theory["median, theory"] = median_variance(t, n, bias)
    draw_facet(axes, fan(t, run.traces / d, theory=theory, log=True))


def _halved(t: np.ndarray, variance: np.ndarray) -> str:
    """Return by which generation the median has halved."""
    medians = np.median(variance, 0)
    below = np.flatnonzero(medians <= medians[0] / 2)
    if not len(below):
        return f"The median has not halved by generation {t[-1]}."
    return f"The median has halved by generation {t[below[0]]}."
