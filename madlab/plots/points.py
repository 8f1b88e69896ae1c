"""Clouds of points in the plane, generation after generation, all on the same axes."""

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from madlab.data.samples import Samples
from madlab.plots.colours import GREY, VERMILLION, WIDTH
from madlab.plots.dress import dress
from madlab.plots.lines import number

Points = np.ndarray | Samples
Rows = Mapping[str, Mapping[int, Points]]
Limits = tuple[tuple[float, float], tuple[float, float]]

# Inches: the widest and the highest that one cloud is drawn.
_WIDEST, _HIGHEST = 2.2, 2.8


def cloud_limits(*sets: Points) -> Limits:
    """Return the limits in x and in y that hold all points of the `sets`, with a margin of 4%.

    - `sets`: at least one, each as for `draw_cloud`, which says what is raised.
    """
    points = np.concatenate([check_points(one) for one in sets])
    low, high = points.min(axis=0), points.max(axis=0)
    margin = 0.04 * np.where(high > low, high - low, 25)
    x, y = np.stack([low - margin, high + margin], axis=1).tolist()
    return (x[0], x[1]), (y[0], y[1])


def check_points(points: Points) -> np.ndarray:
    """Return points as an array, or raise unless they are finite numbers `(n >= 1, 2)`."""
    found = np.asarray(points.images if isinstance(points, Samples) else points)
    if found.dtype.kind != "f" or found.ndim != 2 or found.shape[1] != 2:
        raise TypeError(
            f"a cloud is drawn of points with shape (n, 2), not of {found.dtype} with shape "
            f"{found.shape}; pictures have sheets, and more dimensions need a choice of two"
        )
    if not len(found):
        raise ValueError("there are no points to draw: give at least one")
    if not np.isfinite(found).all():
        raise ValueError("the points hold NaN or infinite values: remove them first")
    return found


def draw_cloud(
    axes: Axes,
    points: Points,
    limits: Limits | None = None,
    *,
    real: Points | None = None,
) -> int:
    """Draw points as small dots on equal axes, over real data in grey, and count those outside.

    - `points`: finite, float `(n, 2)`, as an array or as samples.
    - `limits`: those of x, then of y, for instance of `cloud_limits`; those of the points and the
      real data where None.
    - `real`: real data to draw behind, as `points`.

    Returns how many points lie outside the limits; the corner says it too. Raises TypeError for
    anything but points in the plane, ValueError where there is none or one is not finite.
    """
    layers = [(check_points(points), VERMILLION, 1.0)]
    if real is not None:
        layers.insert(0, (check_points(real), GREY, 0.6))
    limits = limits or cloud_limits(*(some for some, _, _ in layers))
    (left, right), (bottom, top) = limits
    outside = 0
    for some, ink, strength in layers:
        inside = some[((some >= (left, bottom)) & (some <= (right, top))).all(axis=1)]
        alpha = strength * np.clip(1500 / len(some), 0.25, 0.8)
        axes.plot(*inside.T, ls="none", marker=".", ms=2.4, mew=0, color=ink, alpha=alpha)
        outside = len(some) - len(inside)
    axes.set(xlim=(left, right), ylim=(bottom, top), aspect="equal")
    axes.locator_params(nbins=4)
    dress(axes, None)
    if outside:
        axes.text(
            *(0.98, 0.98),
            f"+{outside:,} outside",
            transform=axes.transAxes,
            ha="right",
            va="top",
            fontsize=8,
            bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 1},
        )
    return outside


def clouds(
    rows: Rows,
    *,
    real: Points | None = None,
    limits: Limits | None = None,
    names: tuple[str, str] = ("x", "y"),
) -> Figure:
    """Draw points in the plane going MAD: a row a key, a column a generation, all on equal axes.

    - `rows`: `{"λ = 1": {1: points, 8: points, ...}, ...}`; points as for `draw_cloud`. A place
      stays empty where one row lacks a generation of another.
    - `real`: as for `draw_cloud`.
    - `limits`: the same for every cloud; those of the real data and of each row's first
      generation where None. Points outside are counted in the corner of their cloud.
    - `names`: of the coordinates, for the axes of the last row and of the first column.

    Raises ValueError where there is nothing to draw, and as `draw_cloud`.
    """
    columns = _generations(rows)
    limits = limits or cloud_limits(
        *(cells[min(cells)] for cells in rows.values()), *(() if real is None else (real,))
    )
    wide, high = (end - start for start, end in limits)
    scale = min(_WIDEST / wide, (WIDTH - 1) / len(columns) / wide, _HIGHEST / high)
    size = (len(columns) * scale * wide + 1, len(rows) * (scale * high + 0.1) + 0.7)
    figure = Figure(figsize=size, layout="constrained")
    grid = figure.subplots(len(rows), len(columns), sharex=True, sharey=True, squeeze=False)
    for line, (name, cells) in zip(grid, rows.items(), strict=True):
        line[0].set_ylabel(f"{name}\n{names[1]}", fontsize=10)
        for axes, t in zip(line, columns, strict=True):
            if t in cells:
                draw_cloud(axes, cells[t], limits, real=real)
            else:
                axes.set_axis_off()
                axes.set_aspect("equal")
    for axes in grid[-1]:
        axes.set_xlabel(names[0], fontsize=10)
    for axes, t in zip(grid[0], columns, strict=True):
        axes.set_title(f"generation {t}" if t == columns[0] else f"{t}", fontsize=10)
    return figure


def describe_clouds(rows: Rows, *, real: Points | None = None) -> str:
    """Return in words what `clouds` shows: how wide each row's first and last cloud is.

    - `rows`, `real`: as for `clouds`; widths are standard deviations in x and y.
    """
    _generations(rows)
    said = [] if real is None else [f"real data: {_widths(real)}"]
    for name, cells in rows.items():
        first, last = min(cells), max(cells)
        words = f"{name}: {_widths(cells[first])} in generation {first}"
        if last > first:
            words += f", {_widths(cells[last])} in generation {last}"
        said.append(words)
    return f"Clouds of points, standard deviations in x and y; {'; '.join(said)}."


def _widths(points: Points) -> str:
    return " and ".join(map(number, check_points(points).std(axis=0)))


def _generations(rows: Rows) -> list[int]:
    """Return all generations of the rows in order, or raise where there are none."""
    empty = [name for name, cells in rows.items() if not cells]
    if empty or not rows:
        where = f"row {empty[0]!r}" if empty else "the mapping of rows"
        raise ValueError(f"{where} is empty: give each row at least one generation")
    return sorted({t for cells in rows.values() for t in cells})
