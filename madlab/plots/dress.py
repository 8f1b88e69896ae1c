"""The plain look that all axes share."""

from typing import Literal

from matplotlib.axes import Axes

from madlab.plots.colours import PALE


def dress(axes: Axes, grid: Literal["x", "y", "both"] | None = "y") -> None:
    """Take the box off an axis and lay a pale grid behind what is drawn.

    - `grid`: along which axis; None for no grid.
    """
    axes.tick_params(labelsize=9)
    axes.spines[["top", "right"]].set_visible(False)
    if grid is not None:
        axes.grid(axis=grid, color=PALE, linewidth=1)
        axes.set_axisbelow(True)
