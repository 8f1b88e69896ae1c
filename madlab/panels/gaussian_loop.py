"""Many chains of Gaussians at once, simulated anew at every turn of a control."""

from itertools import product
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from madlab import checks, theory
from madlab.loops import Loop
from madlab.panels.panel import Panel, dropdown, page, slider, whole_number
from madlab.plots.lines import Facet, draw_facet, number
from madlab.plots.picture import Picture
from madlab.plots.simulations import draw_chains, ellipse_words, fan, fan_words, in_the_plane
from madlab.plots.style import WIDTH, legend

_POINTS = (10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000)
_DIMENSIONS = (1, 2, 10)
_CHAINS = (30, 100, 300, 1_000)
_SINGLES = 3
# W2 takes longest in more than two dimensions: so many generations are recorded there at most.
_RECORDED = 61
# The contact sheet's rows, columns, and the most chains and recorded generations of each fan.
_SHEET_BIASES, _SHEET_POINTS = (1.0, 0.95, 0.8), (10, 100, 1_000)
_SHEET_CHAINS, _SHEET_RECORDED = 300, 31


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
    sizes given here are offered too and take longer.

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
        checks.count("n", n, least=2)
        checks.count("generations", generations, least=2)
        checks.count("chains", chains, least=_SINGLES)
        checks.count("d", d, least=1)
        controls = {
            "n": dropdown("points a generation, n", sorted({*_POINTS, n}), n),
            "bias": slider("sampling bias λ", 0.1, 1.0, 0.01, checks.bias(bias)),
            "generations": slider("generations", 2, 300, 1, generations),
            "chains": dropdown("chains", sorted({*_CHAINS, chains}), chains),
            "d": dropdown("dimensions, d", sorted({*_DIMENSIONS, d}), d),
            "seed": whole_number("seed", 0, 2**31 - 1, checks.count("seed", seed)),
        }
        super().__init__("mad-gaussian-loop", controls)

    def _simulate(self, recorded: int | None = None, **other: Any) -> theory.Simulation:
        """Run the loop of the state with `other` values, and record so many generations at most."""
        n, bias, generations, chains, d, seed = {**self.state, **other}.values()
        most = min(generations, recorded or (generations if d <= 2 else _RECORDED))
        at = np.unique(np.linspace(1, generations, most).round().astype(int)).tolist()
        return theory.simulate(Loop.fully_synthetic(n), d, generations, chains, bias, seed, at=at)

    def render(self) -> Picture:
        """Return the two fans above the ellipses of three chains."""
        n, bias, _, chains, d, _ = self.state.values()
        run = self._simulate()
        plane = run if d > 1 else self._simulate(chains=_SINGLES, d=2)
        variance, t = run.traces / d, run.generations
        figure, (upper, lower) = page(6.6, 1.15, 1, below=True)
        left, right = upper.subplots(1, 2)
        facet = _fan(run, n, bias, "variance" if d == 1 else "variance, tr Σ / d")
        draw_facet(left, facet)
        walk = {"E|μ|² alone, theory": theory.expected_mean_square(t, d, n, bias=bias)}
        draw_facet(right, fan(t, run.w2, "W₂ squared to the real data", walk))
        legend(upper, left, right)
        which = {1: "three chains in two dimensions", 2: "the three chains of the thin lines"}
        more = "the three chains of the thin lines, first two coordinates"
        lower.suptitle(which.get(d, more), fontsize=11)
        draw_chains(lower, plane)
        laws = {line.label.removesuffix(", theory"): line.along[-1] for line in facet.lines[2:]}
        said = ", ".join(f"{name} {number(value)}" for name, value in laws.items())
        alt = (
            f"{fan_words(t, variance, 'Variance')} (theory: {said}). {_halved(t, variance)} "
            f"{fan_words(t, run.w2, 'W₂ squared')}. Ellipses of three chains, the first "
            f"{ellipse_words(*in_the_plane(plane, 0))}."
        )
        extra = " The ellipses are of three more chains, in two dimensions." if d == 1 else ""
        about = f"{self._common(chains)}, n = {n:,} points a generation, λ = {bias:g}.{extra}"
        return Picture(figure, alt, about)

    def _common(self, chains: int) -> str:
        _, _, generations, _, d, seed = self.state.values()
        return (
            f"Fully synthetic loops of Gaussians in {d} dimension{'s' if d > 1 else ''}: "
            f"{chains:,} chains of {generations} generations, seed {seed}"
        )

    def sheet(self) -> list[Picture]:
        """Return a contact sheet of the variance: one row a bias, one column an n."""
        chains = min(self.chains.value, _SHEET_CHAINS)
        figure, said = Figure(figsize=(WIDTH, 6.4), layout="constrained"), []
        grid = figure.subplots(3, 3, sharex=True, sharey="row").ravel()
        for axes, (bias, n) in zip(grid, product(_SHEET_BIASES, _SHEET_POINTS), strict=True):
            run = self._simulate(_SHEET_RECORDED, n=n, bias=bias, chains=chains)
            draw_facet(axes, _fan(run, n, bias))
            title = f"λ = {bias:g}, n = {n:,}"
            axes.set_title(title, fontsize=10, loc="left")
            axes.label_outer()
            last = run.traces[:, -1] / self.d.value
            said.append(f"{title}: {number(np.median(last))} and {number(last.mean())}")
        legend(figure, grid[0])
        alt = (
            "Contact sheet, one row for each sampling bias λ and one column for each n: fans of "
            f"the variance. Median and mean in generation {self.generations.value}: "
            f"{'; '.join(said)}."
        )
        return [Picture(figure, alt, f"{self._common(chains)}; λ and n vary.")]


def _fan(run: theory.Simulation, n: int, bias: float, title: str = "") -> Facet:
    """Return the variance over its closed forms; that of the median is one-dimensional."""
    t, d = run.generations, run.means.shape[-1]
    laws = {"mean, theory": theory.expected_variance(t, bias)}
    if d == 1:
        laws["median, theory"] = theory.median_variance(t, n, bias)
    return fan(t, run.traces / d, title=title, theory=laws, log=True)


def _halved(t: np.ndarray, variance: np.ndarray) -> str:
    """Return by which generation the median has halved."""
    medians = np.median(variance, 0)
    below = np.flatnonzero(medians <= medians[0] / 2)
    if not len(below):
        return f"The median has not halved by generation {t[-1]}."
    return f"The median has halved by generation {t[below[0]]}."
