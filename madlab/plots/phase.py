"""Where synthetic data help and where they harm: maps of what they are worth."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.cm import ScalarMappable
from matplotlib.colors import TwoSlopeNorm
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter

from madlab.plots.lines import Facet, Line, draw_facet, number
from madlab.plots.picture import Picture
from madlab.plots.style import BLACK, GREY, LEGEND, LOOKS, WIDTH

# Orange harms, purple helps, white is neither: told apart with any colour vision.
_COLOURS, _NORM = "PuOr", TwoSlopeNorm(vmin=0, vcenter=1, vmax=2.5)
_LEVELS = np.linspace(0, 2.5, 26)
_WORTH = "n_e / n_real"


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


Cuts = Mapping[str, tuple[float, np.ndarray]]


def phase_picture(maps: Mapping[str, Map], cuts: Cuts | None = None) -> Picture:
    """Draw maps as colours, side by side on one scale, with a line where n_e = n_real.

    Simulated points are discs over them: one that cannot be seen agrees with the map.

    - `maps`: by title; `cuts`: along y through the first one, drawn beside it with two standard
      errors of the points that lie on them: by label, the place x and the ratio there `(rows,)`.

    Raises ValueError where there is no map.
    """
    if not maps:
        raise ValueError("there are no maps to draw: give at least one")
    figure = Figure(figsize=(WIDTH, 3.9 if cuts else 3.2), layout="constrained")
    ratios = [1.25] * len(maps) + [1.0] * bool(cuts)
    grid = figure.subplots(1, len(ratios), squeeze=False, width_ratios=ratios)[0].tolist()
    said = []
    for axes, (title, phase) in zip(grid, maps.items(), strict=not cuts):
        colours = _draw_map(axes, phase)
        axes.set_title(title, fontsize=11, loc="left")
        axes.label_outer()
        said.append(f"{title}: {number(phase.ratio.min())} to {number(phase.ratio.max())}")
    shown = grid[: len(maps)]
    bar = figure.colorbar(colours, ax=shown, label=_WORTH, ticks=[0, 0.5, 1, 1.5, 2, 2.5])
    bar.ax.tick_params(labelsize=9)
    if cuts:
        _draw_cuts(grid[-1], next(iter(maps.values())), cuts)
    return Picture(figure, f"{_WORTH}, {'; '.join(said)} by the closed form.")


def _draw_map(axes: Axes, phase: Map) -> ScalarMappable:
    look: dict[str, Any] = {"cmap": _COLOURS, "norm": _NORM}
    plane = phase.x, phase.y, phase.ratio
    # Steps, not shades: what a report keeps of a figure has 256 colours.
    colours = axes.contourf(*plane, levels=_LEVELS, extend="max", **look)
    axes.set_xscale("log" if phase.logarithmic else "linear")
    axes.set_yscale("log")
    if phase.ratio.min() < 1 < phase.ratio.max():
        axes.contour(*plane, levels=[1], colors=BLACK, linewidths=2)
    axes.contour(*plane, levels=[0.5, 1.5, 2], colors=GREY, linewidths=0.8)
    x, y, ratio, _ = phase.points
    discs = axes.scatter(x, y, c=ratio, s=42, edgecolors=BLACK, zorder=3, **look)
    discs.set(linewidth=0.7, clip_on=False)
    for axis in (axes.xaxis, axes.yaxis)[not phase.logarithmic :]:
        _plain(axis)
    axes.set(xlabel=phase.x_name, ylabel="n_synthetic")
    axes.tick_params(labelsize=9)
    return colours


def _draw_cuts(axes: Axes, phase: Map, cuts: Cuts) -> None:
    lines = []
    for (label, (x, ratio)), (colour, marker, dash) in zip(cuts.items(), LOOKS, strict=False):
        lines.append(Line(label, phase.y, ratio, (colour, "", dash), 1.6))
        y, simulated, error = (one[np.isclose(phase.points.x, x)] for one in phase.points[1:])
        lines.append(Line("", y, simulated, (colour, marker, ""), errors=2 * error))
    draw_facet(axes, Facet(_WORTH, lines, x_name="n_synthetic", log="x"))
    axes.axhline(1, color=BLACK, linewidth=1)
    _plain(axes.xaxis)
    axes.legend(handlelength=3.5, **LEGEND)


def _plain(axis: Axis) -> None:
    """Label a logarithmic axis at 1, 2 and 5 of every power of ten, in plain numbers."""
    low, high = axis.get_view_interval()
    axis.set_major_locator(LogLocator(subs=(1, 2, 5) if high < 20 * low else (1,)))
    axis.set_major_formatter("{x:,.0f}")
    axis.set_minor_formatter(NullFormatter())
