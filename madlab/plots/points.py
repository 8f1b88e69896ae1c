"""Points in the plane: clouds through the generations, maps of digits, and the balls of scores."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import PatchCollection
from matplotlib.figure import Figure
from matplotlib.patches import Circle
from matplotlib.patheffects import withStroke

from madlab import checks
from madlab.data.samples import Samples
from madlab.plots import style
from madlab.plots.lines import listed, number
from madlab.plots.picture import Picture
from madlab.plots.style import BLACK, BLUE, GREEN, GREY, ORANGE, VERMILLION, WIDTH

Points = np.ndarray | Samples
Rows = Mapping[str, Mapping[int, Points]]
Limits = tuple[tuple[float, float], tuple[float, float]]


def cloud_limits(*sets: Points) -> Limits:
    """Return the limits in x and in y that hold all points of the `sets`, with a margin of 4%.

    - `sets`: at least one, each as for `draw_cloud`, which says what is raised.
    """
    points = np.concatenate([check_points(one) for one in sets])
    low, high = points.min(axis=0), points.max(axis=0)
    margin = 0.04 * np.where(high > low, high - low, 25)
    (left, bottom), (right, top) = (low - margin).tolist(), (high + margin).tolist()
    return (left, right), (bottom, top)


def check_points(points: Points) -> np.ndarray:
    """Return points as float64, or raise unless they are finite numbers `(n >= 1, 2)`."""
    found = points.images if isinstance(points, Samples) else points
    return checks.rows("points of a cloud", found, d=2, least=1)


def draw_cloud(
    axes: Axes, points: Points, limits: Limits | None = None, *, real: Points | None = None
) -> int:
    """Draw points as small dots on equal axes, over real data in grey.

    - `points`: finite, float `(n, 2)`, as an array or as samples.
    - `limits`: those of x, then of y, for instance of `cloud_limits`; those of the points and the
      real data where None.
    - `real`: real data to draw behind, as `points`.

    Returns how many points lie outside the limits; the corner says it too. Raises ValueError for
    anything but finite points in the plane, one at least.
    """
    layers = [] if real is None else [(check_points(real), GREY, 0.6)]
    layers.append((check_points(points), VERMILLION, 1.0))
    (left, right), (bottom, top) = limits or cloud_limits(*(some for some, _, _ in layers))
    for some, ink, strength in layers:
        inside = some[((some >= (left, bottom)) & (some <= (right, top))).all(axis=1)]
        alpha = strength * np.clip(1500 / len(some), 0.25, 0.8)
        axes.plot(*inside.T, ls="none", marker=".", ms=2.4, mew=0, color=ink, alpha=alpha)
    axes.set(xlim=(left, right), ylim=(bottom, top), aspect="equal")
    axes.locator_params(nbins=4)
    style.style_axes(axes, None)
    if outside := len(some) - len(inside):
        box = {"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 1}
        corner: dict[str, Any] = {"transform": axes.transAxes, "ha": "right", "va": "top"}
        axes.text(0.98, 0.98, f"+{outside:,} outside", fontsize=8, bbox=box, **corner)
    return outside


def clouds(rows: Rows, *, real: Points | None = None) -> Picture:
    """Draw points in the plane going MAD: a row a key, a column a generation, all on equal axes.

    - `rows`: `{"λ = 1": {1: points, 8: points, ...}, ...}`; points as for `draw_cloud`. A place
      stays empty where one row lacks a generation of another.
    - `real`: as for `draw_cloud`.

    The limits are those of the real data and of each row's first generation; points outside are
    counted in the corner of their cloud. Raises ValueError where there is nothing to draw, and as
    `draw_cloud`.
    """
    empty = [name for name, cells in rows.items() if not cells]
    if empty or not rows:
        where = f"row {empty[0]!r}" if empty else "the mapping of rows"
        raise ValueError(f"{where} is empty: give each row at least one generation")
    columns = sorted({t for cells in rows.values() for t in cells})
    first = [cells[min(cells)] for cells in rows.values()]
    limits = cloud_limits(*first, *([] if real is None else [real]))
    wide, high = np.ptp(limits, axis=1)
    scale = min(min(2.2, (WIDTH - 1) / len(columns)) / wide, 2.8 / high)
    size = (len(columns) * scale * wide + 1, len(rows) * (scale * high + 0.1) + 0.7)
    figure = Figure(figsize=size, layout="constrained")
    grid = figure.subplots(len(rows), len(columns), sharex=True, sharey=True, squeeze=False)
    said = {} if real is None else {"real data": [_widths(real)]}
    for line, (name, cells) in zip(grid, rows.items(), strict=True):
        line[0].set_ylabel(f"{name}\ny")
        for axes, t in zip(line, columns, strict=True):
            if t in cells:
                draw_cloud(axes, cells[t], limits, real=real)
            else:
                axes.set_axis_off()
                axes.set_aspect("equal")
        ends = sorted({min(cells), max(cells)})
        said[name] = [f"{_widths(cells[t])} in generation {t}" for t in ends]
    for top, bottom, t in zip(grid[0], grid[-1], columns, strict=True):
        top.set_title(f"generation {t}" if t == columns[0] else f"{t}", fontsize=10)
        bottom.set_xlabel("x")
    alt = f"Clouds of points, standard deviations in x and y; {listed(said)}."
    return Picture(figure, alt)


def _widths(points: Points) -> str:
    return " and ".join(map(number, check_points(points).std(axis=0)))


Placed = Mapping[int, tuple[np.ndarray, np.ndarray]]

_REAL = "#C4C4C4"
# Colour and shape together tell ten digits apart; those that look alike differ in colour.
_COLOURS = (BLACK, ORANGE, GREEN, BLUE, VERMILLION, ORANGE, GREEN, BLACK, VERMILLION, BLUE)


def digit_map(real: np.ndarray, real_labels: np.ndarray, generations: Placed) -> Picture:
    """Draw digits of some generations over real ones, a panel a generation, all on equal axes.

    Real digits are pale grey points. Synthetic ones have the colour and the shape of the digit that
    was asked for, whose number stands at the median of its points. Axes have no numbers, as those
    of an embedding mean nothing. The spread that words name is the median distance from that
    median, averaged over the digits.

    - `real`: float `(n, 2)`; `real_labels`: whole numbers `(n,)` from 0 to 9.
    - `generations`: `{5: (points, labels), ...}`, as `madlab.gallery.Gallery.embedding` has them.

    Raises TypeError or ValueError for other shapes, and where there is nothing to draw.

    Source: Alemohammad et al., "Self-Consuming Generative Models Go MAD", Figs. 5 and 7.
    """
    if not generations:
        raise ValueError("there are no generations to draw: give at least one")
    real, real_labels = _labelled(real, real_labels)
    shown = {t: _labelled(*generations[t]) for t in sorted(generations)}
    limits = cloud_limits(real, *(points for points, _ in shown.values()))
    wide, high = np.ptp(limits, axis=1)
    side = min(3.6, (WIDTH - 0.2) / len(shown))
    size = (side * len(shown) + 0.2, (side - 0.1) * min(1.5, high / wide) + 0.4)
    figure, said = Figure(figsize=size, layout="constrained"), {}
    grid = style.places(figure, len(shown), len(shown))
    for axes, (t, (points, labels)) in zip(grid, shown.items(), strict=True):
        axes.plot(*real.T, ls="none", marker="o", ms=2, mew=0, color=_REAL)
        _draw_digits(axes, points, labels)
        axes.set(xlim=limits[0], ylim=limits[1], aspect="equal", xticks=[], yticks=[], anchor="S")
        axes.spines[:].set_color(_REAL)
        axes.set_title(f"generation {t}", fontsize=11)
        nearest = ((points[:, None] - real[None]) ** 2).sum(-1).argmin(1)
        share = np.mean(real_labels[nearest] == labels)
        spread = _spread(points, labels) / _spread(real, real_labels)
        said[f"generation {t}"] = [f"{share:.0%}", f"spread {number(spread)}"]
    alt = (
        f"Synthetic digits among {len(real)} real ones, placed in the plane together. Share whose "
        "nearest real digit is the digit that was asked for, and spread of a digit beside that of "
        f"the real ones; {listed(said)}."
    )
    return Picture(figure, alt)


def _labelled(points: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return check_points(points), checks.labels(labels, len(points), 10)


def _draw_digits(axes: Axes, points: np.ndarray, labels: np.ndarray) -> None:
    # Numbers lie above all points, whichever digit they are.
    look: dict[str, Any] = {"fontsize": 11, "fontweight": "bold", "ha": "center", "va": "center"}
    look |= {"path_effects": [withStroke(linewidth=2.5, foreground="white")], "zorder": 4}
    for digit in np.unique(labels):
        colour, own = _COLOURS[digit], points[labels == digit]
        marker, size = ("o", 2.6) if digit < 5 else ("^", 3.0)
        axes.plot(*own.T, marker, ms=size, mew=0, color=colour, alpha=0.8)
        x, y = np.median(own, axis=0)
        axes.text(x, y, str(digit), color=colour, **look)


def _spread(points: np.ndarray, labels: np.ndarray) -> float:
    middles = pd.DataFrame(points).groupby(labels).transform("median")
    away = pd.Series(np.linalg.norm(points - middles, axis=1))
    return float(away.groupby(labels).median().mean())


def balls(real: np.ndarray, synthetic: np.ndarray, k: int = 5) -> Picture:
    """Draw what precision and recall ask: which points lie in balls around the other set's.

    - `real`, `synthetic`: points `(n, 2)` and `(m, 2)`; `k` < n, m: the neighbour that a ball
      reaches to. Points inside at least one ball are filled, the others hollow.

    Raises TypeError or ValueError for anything but points in the plane and k that does not fit.
    """
    sets = {
        "real": (check_points(real), BLUE, "s"),
        "synthetic": (check_points(synthetic), VERMILLION, "o"),
    }
    checks.count("k", k, least=1, most=min(len(real), len(synthetic)) - 1)
    figure, said = Figure(figsize=(WIDTH, 4.2), layout="constrained"), []
    grid = style.places(figure, 2, 2, sharex=True, sharey=True)
    questions = (("precision", "real", "synthetic"), ("recall", "synthetic", "real"))
    for axes, (score, kind, other) in zip(grid, questions, strict=True):
        (middle, colour, marker), (points, ink, sign) = sets[kind], sets[other]
        # The nearest of its own is the centre itself.
        radii = np.sort(np.linalg.norm(middle[:, None] - middle[None], axis=2))[:, k]
        inside = (np.linalg.norm(middle[:, None] - points[None], axis=2) <= radii[:, None]).any(0)
        discs = [Circle(centre, r) for centre, r in zip(middle, radii, strict=True)]
        axes.add_collection(PatchCollection(discs, facecolor=colour, edgecolor=colour, alpha=0.1))
        axes.plot(*middle.T, marker, ms=3, color=colour, label=f"{kind}, with balls")
        axes.plot(*points[inside].T, sign, ms=6, color=ink, label=f"{other}, inside a ball")
        axes.plot(*points[~inside].T, sign, ms=6, mfc="none", mec=ink, label=f"{other}, outside")
        said.append(f"{score}: {inside.sum()} of {len(inside)} {other} points inside")
        axes.set_aspect("equal")
        style.style_axes(axes, None, said[-1])
        below = {"loc": "upper center", "bbox_to_anchor": (0.5, -0.08), "ncols": 3}
        axes.legend(fontsize=8, frameon=False, **below)
    return Picture(figure, f"Real and synthetic points with balls; {'; '.join(said)}.")
