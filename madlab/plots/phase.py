"""Where synthetic data help and where they harm: maps of what they are worth."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.cm import ScalarMappable
from matplotlib.colors import TwoSlopeNorm
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from madlab.plots.lines import Facet, Line, draw_facet
from madlab.plots.style import BLACK, GREY, LOOKS, WIDTH

# Orange harms, purple helps, white is neither: told apart with any colour vision.
_COLOURS, _NORM = "PuOr", TwoSlopeNorm(vmin=0, vcenter=1, vmax=2.5)
_LEVELS = np.linspace(0, 2.5, 26)
WORTH = "n_e / n_real"


class Points(NamedTuple):
    """Simulated points of a map, float64 `(k,)` each: places, ratios and their standard errors."""

    x: np.ndarray
    y: np.ndarray
    ratio: np.ndarray
    error: np.ndarray


class Map(NamedTuple):
    """The ratio n_e / n_real over a plane, and points that were simulated in it.

    - `x`, `y`: float64 `(columns,)` and `(rows,)`; y is n_synthetic. `ratio`: `(rows, columns)`.
    - `x_name`: what x is; `logarithmic`: whether its axis is.
    - `points`: the simulated points, none to many.
    """

    x: np.ndarray
    y: np.ndarray
    ratio: np.ndarray
    x_name: str
    logarithmic: bool
    points: Points


def draw_phase(axes: Axes, phase: Map, title: str = "") -> ScalarMappable:
    """Draw the map as colours with the line n_e = n_real, and its points as discs over it.

    A disc that cannot be seen agrees with the map. Returns what a colour bar is made from.
    """
    # Steps, not shades: what a report keeps of a figure has 256 colours.
    colours = axes.contourf(
        phase.x, phase.y, phase.ratio, levels=_LEVELS, cmap=_COLOURS, norm=_NORM, extend="max"
    )
    axes.set_xscale("log" if phase.logarithmic else "linear")
    axes.set_yscale("log")
    if phase.ratio.min() < 1 < phase.ratio.max():
        axes.contour(phase.x, phase.y, phase.ratio, levels=[1], colors=BLACK, linewidths=2)
    axes.contour(phase.x, phase.y, phase.ratio, levels=[0.5, 1.5, 2], colors=GREY, linewidths=0.8)
    found = phase.points
    discs = axes.scatter(
        found.x, found.y, c=found.ratio, s=42, cmap=_COLOURS, norm=_NORM, edgecolors=BLACK, zorder=3
    )
    discs.set(linewidth=0.7, clip_on=False)
    for axis in (axes.xaxis, axes.yaxis)[not phase.logarithmic :]:
        _plain(axis)
    axes.set(xlabel=phase.x_name, ylabel="n_synthetic")
    axes.set_title(title, fontsize=11, loc="left")
    axes.tick_params(labelsize=9)
    return colours


def draw_cuts(axes: Axes, phase: Map, cuts: Mapping[str, tuple[float, np.ndarray]]) -> None:
    """Draw cuts of the map along y, with the error bars of the points that lie on them.

    - `cuts`: by label, the place x and the ratio there `(rows,)`.
    """
    lines = []
    for (label, (x, ratio)), (colour, marker, dash) in zip(cuts.items(), LOOKS, strict=False):
        lines.append(Line(label, phase.y, ratio, (colour, "", dash), 1.6))
        y, simulated, error = (one[np.isclose(phase.points.x, x)] for one in phase.points[1:])
        # Two standard errors either way.
        lines.append(Line("", y, simulated, (colour, marker, ""), errors=2 * error))
    draw_facet(axes, Facet(WORTH, lines, x_name="n_synthetic", log="x"))
    axes.axhline(1, color=BLACK, linewidth=1)
    _plain(axes.xaxis)
    axes.legend(fontsize=9, frameon=False, handlelength=3.5)


def phase_figure(
    phase: Map, cuts: Mapping[str, tuple[float, np.ndarray]], title: str = ""
) -> Figure:
    """Draw a map beside cuts through it."""
    figure = Figure(figsize=(WIDTH, 3.9), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(1.25, 1))
    colours = draw_phase(left, phase, title)
    bar = figure.colorbar(colours, ax=left, label=WORTH, ticks=[0, 0.5, 1, 1.5, 2, 2.5])
    bar.ax.tick_params(labelsize=9)
    draw_cuts(right, phase, cuts)
    return figure


def phase_sheet(maps: Mapping[str, Map]) -> Figure:
    """Draw several maps side by side, on one scale of colours; ValueError where there is none."""
    if not maps:
        raise ValueError("there are no maps to draw: give at least one")
    figure = Figure(figsize=(WIDTH, 3.2), layout="constrained")
    grid = figure.subplots(1, len(maps), sharey=True, squeeze=False)[0]
    for axes, (title, phase) in zip(grid, maps.items(), strict=True):
        colours = draw_phase(axes, phase, title)
        axes.set_ylabel("n_synthetic" if axes is grid[0] else "")
    figure.colorbar(colours, ax=list(grid), label=WORTH, ticks=[0, 0.5, 1, 1.5, 2, 2.5])
    return figure


def _plain(axis: Axis) -> None:
    """Label a logarithmic axis at 1, 2 and 5 of every power of ten, in plain numbers."""
    low, high = axis.get_view_interval()
    axis.set_major_locator(LogLocator(subs=(1, 2, 5) if high < 20 * low else (1,)))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    axis.set_minor_formatter(NullFormatter())
