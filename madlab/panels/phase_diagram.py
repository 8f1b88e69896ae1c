"""The phase diagram of fresh data loops: a formula at once, Monte Carlo as it comes."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from madlab import checks
from madlab.loops import Loop
from madlab.panels.background import BackgroundPanel, Run
from madlab.panels.panel import dropdown, slider
from madlab.plots.phase import Map, Points, phase_picture
from madlab.plots.picture import Picture, show
from madlab.streams import derive, generator
from madlab.theory import (
    Estimate,
    admissible_synthetic,
    effective_ratio,
    effective_size,
    real_curve,
    settled_distance,
)

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
        checks.choice("view", view, VIEWS.values())
        checks.count("d", d, least=1, most=200)
        self._side = checks.count("side", side, least=2)
        self._options: dict[str, Any] = {
            "chains": checks.count("chains", chains, least=2),
            "measurements": checks.count("measurements", measurements, least=1),
        }
        self._seed = checks.count("seed", seed)
        self.found: dict[tuple[int, float, int, int], Estimate] = {}
        self.view = dropdown("plane", "mad-view", list(VIEWS.items()), view)
        self.bias = slider("λ", "mad-bias", 0.1, 1.0, 0.05, checks.bias(bias))
        checks.count("n_real", n_real, least=2)
        self.n_real = slider("n_real", "mad-n-real", 10, 2_000, 10, n_real)
        self.d = slider("dimensions", "mad-d", 1, 200, 1, d)
        for control in (self.bias, self.n_real, self.d):
            control.continuous_update = True
        self._enable()
        super().__init__("mad-phase", [self.view, self.d, self.bias, self.n_real])
        if start:
            self.start_here()

    def _changed(self, change: Mapping[str, Any]) -> None:
        self.dismiss()
        self._enable()
        super()._changed(change)

    def _enable(self) -> None:
        """Only the control that belongs to the view can be moved."""
        self.bias.disabled = self.view.value != "sizes"
        self.n_real.disabled = self.view.value == "sizes"

    def chosen(self) -> dict[str, Any]:
        """Return the settings that the controls show."""
        return {
            "view": self.view.value,
            "d": self.d.value,
            "bias": round(self.bias.value, 6),
            "n_real": self.n_real.value,
        }

    def work(self, run: Run) -> str:
        """Simulate the points of the grid, in random order."""
        d, places = run.chosen["d"], _places(run.chosen, self._side)
        self.say_of(run, "Fitting the curve of distances against real points.")
        real_curve(d)
        for done, index in enumerate(generator(0, "phase diagram").permutation(len(places))):
            place = places[index]
            if place not in self.found:
                self.found[place] = self._simulate(run, *place)
            run.check()
            if run.due(_SECONDS):
                self.show_of(run, f"{done + 1} of {len(places)} points simulated.")
        self.show_of(run, "Every point is simulated.")
        return f"Finished. {self.render().alt}"

    def _simulate(self, run: Run, d: int, bias: float, n_real: int, n_synthetic: int) -> Estimate:
        loop = Loop.fresh_data(n_real, n_synthetic)
        # Neighbouring points have noise of their own, so that their error bars tell.
        seed = derive(self._seed, d, str(bias), n_real, n_synthetic)
        w2 = settled_distance(
            loop, d, bias, seed=seed, progress=lambda fraction: run.check(), **self._options
        )
        worth = effective_size(w2.value, d, w2.error)
        return Estimate(worth.value / n_real, worth.error / n_real)

    def stopped(self, run: Run) -> str:
        """Return how many points there are."""
        done = sum(place in self.found for place in _places(run.chosen, self._side))
        return f"Stopped after {done} of {self._side**2} points; Start goes on from there."

    def render(self) -> Picture:
        """Return the map with its points, beside cuts through it.

        In words: the range of the ratio, where it crosses one, and how far simulation differs.
        """
        chosen, across = self.chosen(), _across(self.chosen())
        phase = _map(chosen, self._side, self.found)
        x, _ = _axes(chosen, self._side)
        cuts = {
            f"{phase.x_name} = {place:g}": (float(place), _ratio(chosen, place, phase.y))
            for place in x[np.unique(np.linspace(0, len(x) - 1, 4).round().astype(int))]
        }
        d, bias, n_real = chosen["d"], chosen["bias"], chosen["n_real"]
        title = f"d = {d}, " + (f"λ = {bias:g}" if across == "n_real" else f"n_real = {n_real:,}")
        edge = {"n_real": n_real, "bias": bias, across: float(phase.x[-1])}
        last = admissible_synthetic(d, **edge)
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
            f"Fresh data loop on N(0, I) in {d} dimensions. Colours and lines: closed form. Discs "
            f"and error bars (two standard errors): simulation of {self._options['chains']} chains "
            f"a point, seed {self._seed}. Black line: n_e = n_real."
        )
        return show(picture, said, about)

    def sheet(self) -> list[Picture]:
        """Return the present state, and below it the plane of sizes for three biases."""
        chosen = {**self.chosen(), "view": "sizes"}
        maps = {
            f"λ = {bias:g}": _map({**chosen, "bias": bias}, self._side, self.found)
            for bias in _SHEET
        }
        below = "The paper's Fig. 11 by the closed form, with the points that were simulated."
        picture = phase_picture(maps)
        alt = f"The same plane for three sampling biases: {picture.alt}"
        return [self._shown, show(picture, alt, below)]


def _across(chosen: Mapping[str, Any]) -> str:
    """Return what the x of the plane is, as the theory calls it."""
    return "n_real" if chosen["view"] == "sizes" else "bias"


def _map(
    chosen: Mapping[str, Any], side: int, found: Mapping[tuple[int, float, int, int], Estimate]
) -> Map:
    """Return the closed form over the plane, and the points of the grid that were found."""
    x, y = _axes(chosen, _SIDE, whole=False)
    sizes = _across(chosen) == "n_real"
    simulated = [
        (place[2] if sizes else place[1], place[3], *found[place])
        for place in _places(chosen, side)
        if place in found
    ]
    points = Points(*np.array(simulated, float).reshape(-1, 4).T)
    ratio = _ratio(chosen, x[None], y[:, None])
    return Map(x, y, ratio, "n_real" if sizes else "λ", sizes, points)


def _axes(chosen: Mapping[str, Any], side: int, whole: bool = True) -> tuple[Any, Any]:
    """Return the places along x and y: sizes that grow with the dimensions, or biases."""
    least = max(chosen["d"], 10)
    if _across(chosen) == "n_real":
        x, y = np.geomspace(least, 10 * least, side), np.geomspace(least, 100 * least, side)
        return (x.round(), y.round()) if whole else (x, y)
    y = np.geomspace(least / 10, 100 * least, side)
    return np.linspace(0.1, 0.9, side).round(2), y.round() if whole else y


def _places(chosen: Mapping[str, Any], side: int) -> list[tuple[int, float, int, int]]:
    """Return (d, bias, n_real, n_synthetic) of every point of the grid."""
    x, y = _axes(chosen, side)
    found = [({**chosen, _across(chosen): a.item()}, b) for a in x for b in y]
    return [(one["d"], one["bias"], int(one["n_real"]), int(b)) for one, b in found]


def _ratio(chosen: Mapping[str, Any], x: Any, y: np.ndarray) -> np.ndarray:
    """Return the closed form at places of the plane, which broadcast against each other."""
    named = {"n_real": chosen["n_real"], "bias": chosen["bias"], _across(chosen): x}
    return effective_ratio(chosen["d"], n_synthetic=y, **named)
