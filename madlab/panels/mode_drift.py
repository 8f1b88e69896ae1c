"""How the modes of the grid die: samples, shares and scores, generation by generation."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from madlab.data.toy import MODES
from madlab.panels.panel import Panel, dropdown, stepped_slider
from madlab.plots.lines import number
from madlab.plots.picture import Picture
from madlab.plots.points import Points, draw_cloud
from madlab.plots.style import BLACK, BLUE, GREY, VERMILLION, WIDTH, style_axes
from madlab.theory.modes import ModeLoops

_LIMITS = ((-3.0, 3.0), (-3.0, 3.0))
_LINES = {
    "recall": "recall (diversity)",
    "modal_variance": "variance within a mode",
    "total_variance": "total variance",
}
_SHEET = 6


class ModeDrift(Panel):
    """One chain's samples on the 25-mode grid, the shares of the modes, and the scores.

    A slider goes through the generations whose samples were kept. The bars are the shares of the
    modes, in the order of `madlab.data.toy.MODES`, against 1/25; the lines are recall, the variance
    within a mode and the total variance of all chains, with a marker at the chosen one.

    - `run`: what `madlab.theory.modes.simulate_modes` returned, with samples kept.
    - `real`: real points to draw behind the samples, in grey.

    Without a kernel it shows a contact sheet over the generations of the chosen chain.

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
        self.chain = dropdown("chain", "mad-chain", range(len(run.shares)), 0)
        steps = [(str(t), t) for t in kept]
        self.generation = stepped_slider("generation", "mad-generation", steps, kept[-1])
        super().__init__("mad-drift", [self.chain, self.generation])

    def _shares(self, t: int) -> np.ndarray:
        found: np.ndarray = self.run.shares[self.chain.value, self.run.generations == t][0]
        return found

    def _scores(self, t: int) -> dict[str, float]:
        records = self.run.records
        own = records[(records["chain"] == self.chain.value) & (records["generation"] == t)]
        return {name: float(own[name].iloc[0]) for name in (*_LINES, "alive")}

    def render(self) -> Picture:
        """Return the chosen generation's samples and shares, and the lines of every chain."""
        t, first = self.generation.value, int(self.run.generations[0])
        now, then = self._scores(t), self._scores(first)
        figure = Figure(figsize=(WIDTH, 6.6), layout="constrained")
        top, bottom = figure.subfigures(2, 1, height_ratios=(1.6, 1), squeeze=False)[:, 0]
        cloud, bars = top.subplots(1, 2, width_ratios=(1, 1.35))
        self._draw_cloud(cloud, t)
        cloud.set(xlabel="x", ylabel="y")
        cloud.set_title(f"samples of generation {t}, chain {self.chain.value}", fontsize=11)
        self._draw_shares(bars, t)
        bars.text(len(MODES) - 0.4, 1 / len(MODES), " 1/25", fontsize=9, va="center")
        bars.set_title(f"{now['alive']:.0f} of 25 modes alive", fontsize=11)
        bars.set_xlabel("mode, column by column of the grid", fontsize=10)
        bars.set_ylabel("share of the samples", fontsize=10)
        self._draw_lines(bottom.subplots(1, 3).tolist(), [t])
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

    def _draw_cloud(self, axes: Axes, t: int) -> None:
        points = self.run.samples[t][self.chain.value]
        draw_cloud(axes, points, _LIMITS, real=self.real)

    def _draw_shares(self, axes: Axes, t: int) -> None:
        top = max(self._shares(kept).max() for kept in self.run.samples)
        axes.bar(np.arange(len(MODES)), self._shares(t), color=BLUE, width=0.8)
        axes.axhline(1 / len(MODES), color=BLACK, linewidth=1, linestyle=(0, (5, 2)))
        axes.set(xlim=(-0.8, len(MODES) - 0.2), ylim=(0, 1.05 * top))
        axes.set_xticks(range(0, len(MODES), 5))
        style_axes(axes, None)

    def _draw_lines(self, grid: list[Axes], marked: list[int]) -> None:
        for axes, (name, title) in zip(grid, _LINES.items(), strict=True):
            lines = self.run.records.pivot_table(name, index="generation", columns="chain")
            axes.plot(lines.index, lines, color=GREY, linewidth=0.7, alpha=0.6)
            own = lines[self.chain.value]
            axes.plot(own.index, own, color=VERMILLION, linewidth=1.8)
            axes.plot(marked, own[marked], ls="none", marker="o", color=VERMILLION, markersize=7)
            axes.set_title(title, fontsize=11, loc="left")
            axes.set_xlabel("generation", fontsize=10)
            axes.set_ylim(0, 1.05 * np.nanmax(lines.to_numpy()))
            style_axes(axes)

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
        figure = Figure(figsize=(WIDTH, 5.4), layout="constrained")
        top, bottom = figure.subfigures(2, 1, height_ratios=(1.3, 1), squeeze=False)[:, 0]
        grid = top.subplots(2, len(chosen), squeeze=False, sharey="row", height_ratios=(1.3, 1))
        for cloud, bars, t in zip(*grid, chosen, strict=True):
            self._draw_cloud(cloud, t)
            cloud.set_title(f"generation {t}" if t == chosen[0] else f"{t}", fontsize=10)
            self._draw_shares(bars, t)
        grid[1, 0].set_ylabel("share", fontsize=10)
        self._draw_lines(bottom.subplots(1, 3).tolist(), chosen)
        alive = [f"{self._scores(t)['alive']:.0f} in generation {t}" for t in chosen]
        alt = (
            f"Contact sheet of chain {self.chain.value}: samples and shares of the modes in "
            f"generations {', '.join(map(str, chosen))}, above lines of recall, variance within a "
            f"mode and total variance. Modes alive: {', '.join(alive)}."
        )
        return [Picture(figure, alt, self._about())]
