"""How the modes of the grid die: samples, shares and scores, generation by generation."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from madlab.data.toy import MODES
from madlab.panels.panel import Panel, dropdown, page, stepped_slider
from madlab.plots.lines import Facet, Line, draw, number
from madlab.plots.picture import Picture
from madlab.plots.points import Points, draw_cloud
from madlab.plots.style import BLACK, BLUE, VERMILLION, style_axes
from madlab.theory.modes import ModeLoops

_LIMITS = ((-3.0, 3.0), (-3.0, 3.0))
_LINES = {
    "recall": "recall (diversity)",
    "modal_variance": "variance within a mode",
    "total_variance": "total variance",
}
_SHEET = 6
# Lines of many chains, which lie on each other.
_FAINT = "#adadad"


class ModeDrift(Panel):
    """One chain's samples on the 25-mode grid, the shares of the modes, and the scores.

    A slider goes through the generations whose samples were kept. The bars are the shares of the
    modes, in the order of `madlab.data.toy.MODES`, against 1/25; the lines are recall, the variance
    within a mode and the total variance of all chains, with a marker at the chosen one.

    - `run`: what `madlab.theory.modes.simulate_modes` returned, with samples kept.
    - `real`: real points to draw behind the samples, in grey.

    Raises ValueError where no samples were kept.
    """

    def __init__(self, run: ModeLoops, *, real: Points | None = None) -> None:
        if not run.samples:
            raise ValueError(
                "the run kept no samples to draw: give simulate_modes the generations to keep, "
                "for instance keep=[1, 10, 100]"
            )
        self.run, self.real = run, real
        kept = sorted(run.samples)
        controls = {
            "chain": dropdown("chain", range(len(run.shares)), 0),
            "generation": stepped_slider("generation", kept, kept[-1]),
        }
        super().__init__("mad-drift", controls)

    def _shares(self, t: int) -> np.ndarray:
        return self.run.shares[self.chain.value, self.run.generations == t][0]

    def _scores(self, t: int) -> "pd.Series[Any]":
        return self.run.records.set_index(["chain", "generation"]).loc[self.chain.value, t]

    def render(self) -> Picture:
        """Return the chosen generation's samples and shares, and the lines of every chain."""
        t, first = self.generation.value, int(self.run.generations[0])
        now, then = self._scores(t), self._scores(first)
        figure, (top, bottom) = page(6.6, 1.6, 1, below=True)
        cloud, bars = top.subplots(1, 2, width_ratios=(1, 1.35))
        self._draw_grid(cloud, bars, t)
        cloud.set(xlabel="x", ylabel="y")
        cloud.set_title(f"samples of generation {t}, chain {self.chain.value}", fontsize=11)
        bars.text(len(MODES) - 0.4, 1 / len(MODES), " 1/25", fontsize=9, va="center")
        bars.set_title(f"{now['alive']:.0f} of 25 modes alive", fontsize=11)
        bars.set_xlabel("mode, column by column of the grid", fontsize=10)
        bars.set_ylabel("share of the samples", fontsize=10)
        draw(bottom, self._facets([t]))
        said = ", ".join(
            f"{title.split(' (')[0]} {number(now[name])} ({number(then[name])})"
            for name, title in _LINES.items()
        )
        alt = (
            f"Samples of generation {t} of chain {self.chain.value}: {now['alive']:.0f} of 25 "
            f"modes are alive, the largest share is {self._shares(t).max():.2f}. In brackets the "
            f"scores of generation {first}: {said}."
        )
        return Picture(figure, alt, self._about())

    def _draw_grid(self, cloud: Axes, axes: Axes, t: int) -> None:
        """Draw a generation's samples, and beside them the shares of the modes."""
        draw_cloud(cloud, self.run.samples[t][self.chain.value], _LIMITS, real=self.real)
        top = max(self._shares(kept).max() for kept in self.run.samples)
        axes.bar(np.arange(len(MODES)), self._shares(t), color=BLUE, width=0.8)
        axes.axhline(1 / len(MODES), color=BLACK, linewidth=1, linestyle=(0, (5, 2)))
        axes.set(xlim=(-0.8, len(MODES) - 0.2), ylim=(0, 1.05 * top))
        axes.set_xticks(range(0, len(MODES), 5))
        style_axes(axes, None)

    def _facets(self, marked: list[int]) -> list[Facet]:
        """Return the scores of all chains, the chosen one's thick, with markers at generations."""
        facets = []
        for name, title in _LINES.items():
            runs = self.run.records.pivot_table(name, index="chain", columns="generation")
            t, own = runs.columns.to_numpy(), runs.loc[self.chain.value]
            every = runs.to_numpy()
            lines = [
                *(Line("", t, one, (_FAINT, "", "solid"), 0.7) for one in every),
                Line("", t, own.to_numpy(), (VERMILLION, "", "solid")),
                Line("", np.array(marked), own[marked].to_numpy(), (VERMILLION, "o", ""), 8),
            ]
            facets.append(Facet(title, lines, limits=(0, 1.05 * np.nanmax(every))))
        return facets

    def _about(self) -> str:
        """Return loop, sizes, bias, the number of chains and what the marks mean."""
        last = self.run.records.iloc[-1]
        real = "" if self.real is None else " Grey dots are real data."
        return (
            f"Loop: {last['loop']}; n_real {last['n_real']:,} and n_synthetic "
            f"{last['n_synthetic']:,} from generation 2 on; model mixture; sampling bias "
            f"{last['bias']:g}; scores on {last['n_evaluate']:,} samples. A mode is alive while "
            f"two samples are nearest to it. Thin lines are all {len(self.run.shares)} chains, the "
            f"thick one is chain {self.chain.value}.{real}"
        )

    def sheet(self) -> list[Picture]:
        """Return a contact sheet: samples and shares of some generations, and the lines."""
        kept = sorted(self.run.samples)
        # Evenly on a logarithmic scale: most happens early.
        places = np.linspace(np.log(kept[0]), np.log(kept[-1]), _SHEET)
        chosen = sorted({min(kept, key=lambda t: abs(np.log(t) - place)) for place in places})
        figure, (top, bottom) = page(5.4, 1.3, 1, below=True)
        grid = top.subplots(2, len(chosen), squeeze=False, sharey="row", height_ratios=(1.3, 1))
        for cloud, bars, t in zip(*grid, chosen, strict=True):
            self._draw_grid(cloud, bars, t)
            cloud.set_title(f"generation {t}" if t == chosen[0] else f"{t}", fontsize=10)
        grid[1, 0].set_ylabel("share", fontsize=10)
        draw(bottom, self._facets(chosen))
        alive = [f"{self._scores(t)['alive']:.0f} in generation {t}" for t in chosen]
        alt = (
            f"Contact sheet of chain {self.chain.value}: samples and shares of the modes in "
            f"generations {', '.join(map(str, chosen))}, above lines of recall, variance within a "
            f"mode and total variance. Modes alive: {', '.join(alive)}."
        )
        return [Picture(figure, alt, self._about())]
