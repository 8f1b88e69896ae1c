"""Lines and facets: a figure as data, from which both its picture and its words come."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.ticker import MaxNLocator

from madlab.plots.picture import Picture
from madlab.plots.style import GREY, WIDTH, Look, legend, places, stroke, style_axes

# Smaller values lie on this line of a logarithmic axis, zeros too.
FLOOR = 1e-12


@dataclass(frozen=True)
class Line:
    """What one label does along x: one run, or several, through whose middle a line is drawn.

    - `x`: `(g,)`; `runs`: `(runs, g)` or `(g,)`, NaN where a run has no value.
    - `look`: colour, marker and dashes, each but the colour "" for none; `width`: in points, of
      markers alone too.
    - `middle`: "mean" or "median" of the runs; `unit`: what one of several runs is.
    - `band`: what lies around the middle, as seaborn's `errorbar`; None for nothing.
    - `spread`: bands of one's own by their names in the legend, `(2, g)` each, widest first.
    - `thin`: how many of several runs also become thin lines, grey where the line has no marker.
    - `errors`: half the length of the bars at each x, `(g,)`; None for no bars.
    """

    label: str
    x: np.ndarray
    runs: np.ndarray
    look: Look
    width: float = 1.8
    middle: str = "mean"
    unit: str = "seeds"
    band: tuple[str, float] | None = ("pi", 100)
    spread: Mapping[str, np.ndarray] = field(default_factory=dict)
    thin: int = 0
    errors: np.ndarray | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "x", np.asarray(self.x))
        object.__setattr__(self, "runs", np.atleast_2d(np.asarray(self.runs, float)))

    @classmethod
    def of(cls, table: pd.DataFrame, x: str, y: str, label: str, look: Look, **more: Any) -> "Line":
        """Return the line of two columns of a tidy table, of whose `seed`s each is a run.

        - `table`: with its rows in order along x.

        A single run gets bars where there is a column of its errors.
        """
        error, numbers = f"{y}_error", table.astype({y: float})
        found = numbers.pivot_table(y, index="seed", columns=x, dropna=False)[table[x].unique()]
        if len(found) == 1 and error in table and table[error].notna().any():
            more["errors"] = table[error].to_numpy(float)
        return cls(label, found.columns.to_numpy(), found.to_numpy(), look, **more)

    @property
    def along(self) -> np.ndarray:
        """The middle of the runs at each x, `(g,)`."""
        found = np.full(len(self.x), np.nan)
        known = ~np.isnan(self.runs).all(0)
        found[known] = getattr(np, f"nan{self.middle}")(self.runs[:, known], axis=0)
        return found


@dataclass(frozen=True)
class Facet:
    """One pair of axes: lines of one quantity, and grey lines across by their names.

    - `title`: what y is; words leave out what stands in brackets. `x_name`: what x is.
    - `limits`: of y; None where the data say it. `span`: of x; `ticks`: places along x.
    - `log`: which axis is logarithmic, "x" or "y"; y then shows at 1e-12 what is below it.
    """

    title: str
    lines: Sequence[Line]
    across: Mapping[str, float] = field(default_factory=dict)
    x_name: str = "generation"
    limits: tuple[float | None, float | None] = (0, None)
    span: tuple[float, float] | None = None
    ticks: Sequence[float] | np.ndarray | None = None
    log: str = ""

    @property
    def name(self) -> str:
        """The title without what stands in brackets."""
        return self.title.split(" (")[0]


def draw_facet(axes: Axes, facet: Facet) -> None:
    """Draw a facet; whoever calls adds a legend."""
    small: dict[str, Any] = {"ha": "right", "fontsize": 9}
    for name, value in facet.across.items():
        alone = len(facet.across) == 1
        axes.axhline(value, color=GREY, linewidth=1, label=name if alone else "")
        if not alone:
            axes.text(1, value, name, transform=axes.get_yaxis_transform(), va="bottom", **small)
    for line in facet.lines:
        _draw_line(axes, line, FLOOR if facet.log == "y" else -np.inf)
    if facet.log:
        axes.set(**{f"{facet.log}scale": "log"})
        axes.minorticks_off()
    if facet.log == "y":
        if min(line.runs.min() for line in facet.lines) < FLOOR:
            note = f"below {FLOOR:g}: drawn at {FLOOR:g}"
            axes.text(1, 1, note, transform=axes.transAxes, va="top", **{**small, "fontsize": 8})
        axes.yaxis.set_major_formatter(_power)
    else:
        axes.set_ylim(*facet.limits)
    if facet.span is not None:
        axes.set_xlim(*facet.span)
    if facet.ticks is not None:
        axes.set_xticks(list(facet.ticks), [f"{tick:,g}" for tick in facet.ticks])
    elif facet.x_name == "generation":
        axes.xaxis.set_major_locator(MaxNLocator(8, steps=(1, 2, 5, 10), integer=True))
    axes.set_xlabel(facet.x_name, fontsize=10)
    axes.set_ylabel("")
    style_axes(axes, title=facet.title)


def _power(value: float, place: float) -> str:
    """Return a power of ten, at a tick of a logarithmic axis, as text."""
    return f"{value:g}" if value >= 0.001 else f"$10^{{{round(np.log10(value))}}}$"


def _draw_line(axes: Axes, line: Line, least: float) -> None:
    (colour, marker, _), several = line.look, len(line.runs) > 1
    for i, (name, ends) in enumerate(line.spread.items()):
        shade: dict[str, Any] = {"color": colour, "alpha": 0.15 + 0.1 * i, "linewidth": 0}
        axes.fill_between(line.x, *np.clip(ends, least, None), label=name, **shade)
    for i, run in enumerate(line.runs[: line.thin].clip(least) if several else []):
        ink: dict[str, Any] = {"color": colour, "alpha": 0.45} if marker else {"color": GREY}
        name = "" if i or marker else f"single {line.unit}"
        axes.plot(line.x, run, label=name, linewidth=0.7, **ink)
    look = {**stroke(line.look, line.width), "label": line.label, "in_layout": False}
    look["markevery"] = max(1, len(line.x) // 12)
    if several and line.band:
        # Here, because it takes a second to load, which figures without bands do not need.
        import seaborn

        x, y = np.tile(line.x, len(line.runs)), line.runs.clip(least).ravel()
        shade = {"alpha": 0.15, "linewidth": 0}
        how: dict[str, Any] = {"estimator": line.middle, "errorbar": line.band, "err_kws": shade}
        seaborn.lineplot(x=x, y=y, ax=axes, legend=False, **how, **look)
    else:
        axes.plot(line.x, line.along.clip(least), **look)
    if line.errors is not None:
        bars: dict[str, Any] = {"fmt": "none", "ecolor": colour, "capsize": 3, "alpha": 0.8}
        axes.errorbar(line.x, line.along, line.errors, **bars)


def columns_of(count: int) -> int:
    """Return in how many columns `count` facets are drawn."""
    return 2 if count == 4 else min(max(count, 1), 3)


def height(count: int) -> float:
    """Return how high a figure of `count` facets is, in inches."""
    return 1.1 + 2.4 * -(-count // columns_of(count))


def draw(target: Figure | SubFigure, facets: Sequence[Facet], columns: int = 3) -> None:
    """Draw facets into a figure or a part of one, with one legend of all their lines."""
    grid = places(target, len(facets), columns_of(len(facets)))
    for axes, facet in zip(grid, facets, strict=True):
        draw_facet(axes, facet)
    if len({name for axes in grid for name in axes.get_legend_handles_labels()[1]}) > 1:
        legend(target, *grid, columns=columns)


def picture(facets: Sequence[Facet], inches: float | None = None, columns: int = 3) -> Picture:
    """Return facets as a picture with their words.

    - `inches`: its height, usual for so many facets where None; `columns`: those of the legend.
    """
    figure = Figure(figsize=(WIDTH, inches or height(len(facets))), layout="constrained")
    draw(figure, facets, columns)
    return Picture(figure, words(facets))


def words(facets: Sequence[Facet]) -> str:
    """Return what facets show: each line's first and last value, and how far it went between."""
    said: dict[str, dict[str, list[str]]] = {}
    grey: dict[str, list[str]] = {}
    for facet in facets:
        for name, value in facet.across.items():
            grey.setdefault(name, []).append(f"{facet.name} {number(value)}")
        for line in facet.lines:
            known = np.flatnonzero(~np.isnan(line.along))
            if not line.label or not len(known):
                continue
            x, values = line.x[known], f"{facet.name} {path(line.x[known], line.along[known])}"
            for name, ends in list(line.spread.items())[:1]:
                (a, b), (c, d) = (map(number, ends[:, at]) for at in known[[0, -1]])
                values += f" ({name} {a} to {b}, then {c} to {d})"
            of = "" if line.label == line.middle else f"{line.middle} of "
            over = f", {of}{len(line.runs):,} {line.unit}" if len(line.runs) > 1 else ""
            span = said.setdefault(f"From {facet.x_name} {x[0]:,g} to {x[-1]:,g}{over}", {})
            span.setdefault(line.label, []).append(values)
    text = ". ".join(f"{span}: {listed(lines)}" for span, lines in said.items())
    floors = {name: dict.fromkeys(values) for name, values in grey.items()}
    return f"{text}; {listed(floors)}." if grey else f"{text}."


def listed(said: Mapping[str, Iterable[str]]) -> str:
    """Return what is said of each name as text: "a: one, two; b: three"."""
    return "; ".join(f"{name}: {', '.join(values)}" for name, values in said.items())


def path(x: np.ndarray, y: np.ndarray) -> str:
    """Return first and last of `y`, and the farthest it went beyond both in between, as text."""
    low, high = sorted((y[0], y[-1]))
    beyond = np.maximum(y - high, low - y)
    turn = int(beyond.argmax())
    via = ""
    if beyond[turn] > 0.1 * np.abs(y).max():
        via = f"via {number(y[turn])} at {x[turn]:,g} "
    return f"{number(y[0])} {via}to {number(y[-1])}"


def number(value: Any) -> str:
    """Return a score as text, with two or three figures."""
    size = abs(value)
    if 0 < size < 0.0005:
        return f"{value:.1e}"
    digits = 3 if 0 < size < 0.1 else 2 if size < 1.5 else 1 if size < 100 else 0
    return f"{value:z,.{digits}f}"
