"""Colours, markers and dashes, and the plain look that all figures share."""

from collections.abc import Iterable
from typing import Any, Literal

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure

# Okabe and Ito's palette, which people with any colour vision can tell apart.
BLACK, ORANGE, SKY, GREEN = "#000000", "#E69F00", "#56B4E9", "#009E73"
YELLOW, BLUE, VERMILLION, PURPLE = "#F0E442", "#0072B2", "#D55E00", "#CC79A7"
GREY = "#767676"
PALE = "#F2F2F2"

# Inches; every figure is drawn for a page of this width.
WIDTH = 9.0

# The look of every legend.
LEGEND: dict[str, Any] = {"fontsize": 9, "frameon": False}

Dash = tuple[int, tuple[float, ...]] | str
# Colour, marker and dashes: any one of them tells two lines apart.
Look = tuple[str, str, Dash]

DASHES: tuple[Dash, ...] = (
    "solid",
    (0, (5, 2)),
    (0, (1.2, 1.6)),
    (0, (7, 2, 1.2, 2)),
    (0, (3, 1.5, 1.2, 1.5, 1.2, 1.5)),
    (0, (2, 1)),
)
# Colour and marker.
INKS = tuple(zip((VERMILLION, BLUE, GREEN, PURPLE, ORANGE, SKY, BLACK), "os^DvPX", strict=True))
LOOKS: tuple[Look, ...] = tuple(
    (*ink, dash) for ink, dash in zip(INKS[:5] + INKS[6:], DASHES, strict=True)
)


def distinct(labels: Iterable[str]) -> dict[str, Look]:
    """Return a look for each label, or raise ValueError where there are too many to tell apart."""
    names = list(labels)
    if len(names) > len(LOOKS):
        raise ValueError(f"{len(names)} lines cannot be told apart: draw at most {len(LOOKS)}")
    return dict(zip(names, LOOKS, strict=False))


def stroke(look: Look, width: float = 1.8) -> dict[str, Any]:
    """Return how matplotlib and seaborn draw a line of this look; without dashes, markers alone."""
    colour, marker, dash = look
    return {
        "color": colour,
        "linestyle": dash or "none",
        "linewidth": width,
        "marker": marker or "none",
        "markersize": 5.5 if dash else max(width, 5.5),
        "markeredgecolor": "white",
        "markeredgewidth": 0.6,
        # Markers at 0 and at 1 stay whole.
        "clip_on": False,
    }


def style_axes(axes: Axes, grid: Literal["x", "y", "both"] | None = "y", title: str = "") -> None:
    """Take the box off an axis, lay a pale grid behind what is drawn and put a title above.

    - `grid`: along which axis; None for no grid.
    """
    axes.tick_params(labelsize=9)
    axes.spines[["top", "right"]].set_visible(False)
    if grid is not None:
        axes.grid(axis=grid, color=PALE, linewidth=1)
        axes.set_axisbelow(True)
    if title:
        axes.set_title(title, fontsize=11, loc="left")


def places(target: Figure | SubFigure, count: int, across: int, **more: Any) -> list[Axes]:
    """Return `count` axes in rows of `across`, in order; the last row's other places are blank.

    - `more`: as for `Figure.subplots`.
    """
    grid = target.subplots(-(-count // across), across, squeeze=False, **more).ravel()
    for axes in grid[count:]:
        axes.set_axis_off()
    return list(grid[:count])


def legend(target: Figure | SubFigure, *grid: Axes, columns: int = 4) -> None:
    """Put one legend of all that has a name in the axes of `grid` below a figure."""
    found: dict[str, Artist] = {}
    for axes in grid:
        handles, names = axes.get_legend_handles_labels()
        found.update(zip(names, handles, strict=True))
    place: dict[str, Any] = {"loc": "outside lower center", "ncols": columns, "handlelength": 4}
    target.legend(list(found.values()), list(found), **place, **LEGEND)
