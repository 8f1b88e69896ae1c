"""The phase diagram of fresh data loops: a formula at once, Monte Carlo as it comes."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from madlab import checks, theory
from madlab.loops import Loop
from madlab.panels.background import BackgroundPanel, Run
from madlab.panels.panel import dropdown, slider
from madlab.plots.phase import Map, Points, phase_picture
from madlab.plots.picture import Picture, show
from madlab.streams import derive, generator

VIEWS = {
    "n_real and n_synthetic, one λ (Fig. 11)": "sizes",
    "λ and n_synthetic, one n_real (Fig. 12)": "bias",
}
_SIDE = 48
_SHEET = (0.7, 0.85, 1.0)
# Drawing costs as much as a point, so it waits for several of them.
_SECONDS = 1.0


class PhaseDiagram(BackgroundPanel):
    """Where synthetic data help in the fresh data loop: n_e / n_real, the paper's Figs. 11 and 12.

    The closed form fills the plane at once, and follows the controls as they are dragged; Start
    simulates points on a grid over it, with error bars in the cuts beside. What was simulated is
    kept while the panel lives, so a setting that was seen before shows its points again.

    - `d`: dimensions, 1 to 200; `bias`: lambda of the first view; `n_real`: of the second.
    - `view`: "sizes" (n_real from d to 10 d across) or "bias" (lambda from 0.1 to 0.9 across).
    - `side`: simulated points along each axis, at least 2.
    - `chains`, `measurements`: of each point, as for `madlab.theory.settled_distance`.
    - `seed`: of the simulation.
    - `start`: whether to simulate at once.

    `found` holds what was simulated: n_e / n_real with its standard error, by (d, bias, n_real,
    n_synthetic).

    Raises ValueError or TypeError for what cannot work.
    """

    def __init__(
        self,
        *,
        d: int = 100,
        bias: float = 0.85,
        n_real: int = 250,
        view: str = "sizes",
        side: int = 8,
        chains: int = 8,
        measurements: int = 8,
        seed: int = 0,
        start: bool = True,
    ) -> None:
        self._side = checks.count("side", side, least=2)
        self._options: dict[str, Any] = {
            "chains": checks.count("chains", chains, least=2),
            "measurements": checks.count("measurements", measurements, least=1),
        }
        self._seed = checks.count("seed", seed)
        self.found: dict[tuple[int, float, int, int], theory.Estimate] = {}
        checks.choice("view", view, VIEWS.values())
        checks.count("n_real", n_real, least=2)
        controls = {
            "view": dropdown("plane", VIEWS, view),
            "d": slider("dimensions", 1, 200, 1, checks.count("d", d, least=1, most=200)),
            "bias": slider("λ", 0.1, 1.0, 0.05, checks.bias(bias)),
            "n_real": slider("n_real", 10, 2_000, 10, n_real),
        }
        for name in ("d", "bias", "n_real"):
            controls[name].continuous_update = True
        super().__init__("mad-phase", controls, start=start)

    def settle(self) -> None:
        """End the run, and let only the control be moved that belongs to the view."""
        super().settle()
        self.bias.disabled = self.view.value != "sizes"
        self.n_real.disabled = self.view.value == "sizes"

    def work(self, run: Run) -> str:
        """Simulate the points of the grid, in random order."""
        d, places = run.chosen["d"], _places(run.chosen, self._side)
        self.say_of(run, "Fitting the curve of distances against real points.")
        theory.real_curve(d)
        for done, index in enumerate(generator(0, "phase diagram").permutation(len(places))):
            place = places[index]
            if place not in self.found:
                self.found[place] = self._simulate(run, *place)
            run.check()
            if run.due(_SECONDS):
                self.show_of(run, f"{done + 1} of {len(places)} points simulated.")
        self.show_of(run, "Every point is simulated.")
        return f"Finished. {self.render().alt}"

    def _simulate(
        self, run: Run, d: int, bias: float, n_real: int, n_synthetic: int
    ) -> theory.Estimate:
        options = {**self._options, "progress": lambda fraction: run.check()}
        # Neighbouring points have noise of their own, so that their error bars tell.
        options["seed"] = derive(self._seed, d, str(bias), n_real, n_synthetic)
        w2 = theory.settled_distance(Loop.fresh_data(n_real, n_synthetic), d, bias, **options)
        worth = theory.effective_size(w2.value, d, w2.error)
        return theory.Estimate(worth.value / n_real, worth.error / n_real)

    def stopped(self, run: Run) -> str:
        """Return how many points there are."""
        done = sum(place in self.found for place in _places(run.chosen, self._side))
        return f"Stopped after {done} of {self._side**2} points; Start goes on from there."

    def render(self) -> Picture:
        """Return the map with its points, beside cuts through it.

        In words: the range of the ratio, where it crosses one, and how far simulation differs.
        """
        chosen, phase = self.state, self._map()
        x, _ = _axes(chosen, self._side)
        cuts = {
            f"{phase.x_name} = {place:g}": (float(place), _ratio(chosen, place, phase.y))
            for place in x[np.unique(np.linspace(0, len(x) - 1, 4).round().astype(int))]
        }
        fixed = "n_real = {n_real:,}" if chosen["view"] == "bias" else "λ = {bias:g}"
        title = f"d = {chosen['d']}, {fixed.format(**chosen)}"
        last = theory.admissible_synthetic(chosen["d"], **_at(chosen, float(phase.x[-1])))
        reach = "always help" if last == np.inf else f"help up to n_synthetic = {last:,.0f}"
        picture = phase_picture({title: phase}, cuts)
        said = f"{picture.alt} At {phase.x_name} = {phase.x[-1]:g} synthetic data {reach}."
        points = phase.points
        if len(points.x):
            closed = _ratio(chosen, points.x, points.y)
            said += (
                f" {len(closed)} simulated points, with standard errors of at most "
                f"{(points.error / points.ratio).max():.1%}, differ from it by at most "
                f"{np.abs(closed / points.ratio - 1).max():.0%}."
            )
        about = (
            f"Fresh data loop on N(0, I) in {chosen['d']} dimensions. Colours and lines: closed "
            "form. Discs and error bars (two standard errors): simulation of "
            f"{self._options['chains']} chains a point, seed {self._seed}. "
            "Black line: n_e = n_real."
        )
        return show(picture, said, about)

    def sheet(self) -> list[Picture]:
        """Return the present state, and below it the plane of sizes for three biases."""
        maps = {f"λ = {bias:g}": self._map(view="sizes", bias=bias) for bias in _SHEET}
        below = "The paper's Fig. 11 by the closed form, with the points that were simulated."
        picture = phase_picture(maps)
        alt = f"The same plane for three sampling biases: {picture.alt}"
        return [self._shown, show(picture, alt, below)]

    def _map(self, **other: Any) -> Map:
        """Return the plane of the state with `other` values, and its points that were found."""
        chosen = {**self.state, **other}
        sizes = chosen["view"] == "sizes"
        simulated = [
            (place[2 if sizes else 1], place[3], *self.found[place])
            for place in _places(chosen, self._side)
            if place in self.found
        ]
        points = Points(*np.array(simulated, float).reshape(-1, 4).T)
        x, y = _axes(chosen, _SIDE, whole=False)
        ratio = _ratio(chosen, x[None], y[:, None])
        return Map(x, y, ratio, "n_real" if sizes else "λ", sizes, points)


def _axes(chosen: Mapping[str, Any], side: int, whole: bool = True) -> tuple[Any, Any]:
    """Return the places along x and y: sizes that grow with the dimensions, or biases."""
    sizes, least = chosen["view"] == "sizes", max(chosen["d"], 10)
    x = np.geomspace(least, 10 * least, side) if sizes else np.linspace(0.1, 0.9, side).round(2)
    y = np.geomspace(least if sizes else least / 10, 100 * least, side)
    return (x.round(0 if sizes else 2), y.round()) if whole else (x, y)


def _at(chosen: Mapping[str, Any], x: Any) -> dict[str, Any]:
    """Return real points and bias at `x` of the plane, as the theory calls them."""
    across = "n_real" if chosen["view"] == "sizes" else "bias"
    return {"n_real": chosen["n_real"], "bias": chosen["bias"], across: x}


def _places(chosen: Mapping[str, Any], side: int) -> list[tuple[int, float, int, int]]:
    """Return (d, bias, n_real, n_synthetic) of every point of the grid."""
    x, y = _axes(chosen, side)
    found = [(_at(chosen, a.item()), int(b)) for a in x for b in y]
    return [(chosen["d"], at["bias"], int(at["n_real"]), b) for at, b in found]


def _ratio(chosen: Mapping[str, Any], x: Any, y: np.ndarray) -> np.ndarray:
    """Return the closed form at places of the plane, which broadcast against each other."""
    return theory.effective_ratio(chosen["d"], n_synthetic=y, **_at(chosen, x))
