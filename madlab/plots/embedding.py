"""Digits placed in the plane: where those of each generation lie among the real ones."""

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke

from madlab.plots.colours import BLACK, BLUE, GREEN, ORANGE, VERMILLION, WIDTH
from madlab.plots.lines import number
from madlab.plots.points import check_points, cloud_limits

Placed = Mapping[int, tuple[np.ndarray, np.ndarray]]

_REAL = "#C4C4C4"
# Colour and shape together tell ten digits apart; those that look alike differ in colour.
_COLOURS = (BLACK, ORANGE, GREEN, BLUE, VERMILLION)
_LOOKS = {
    **{digit: (_COLOURS[digit], "o", 2.6) for digit in range(5)},
    **{
        digit: (colour, "^", 3.0)
        for digit, colour in {5: ORANGE, 6: GREEN, 7: BLACK, 8: VERMILLION, 9: BLUE}.items()
    },
}
# Inches: the widest that one panel is drawn.
_WIDEST = 3.6


def digit_map(real: np.ndarray, real_labels: np.ndarray, generations: Placed) -> Figure:
    """Draw digits of some generations over real ones, a panel a generation, all on equal axes.

    Real digits are pale grey points. Synthetic ones have the colour and the shape of the digit that
    was asked for, whose number stands at the median of its points. The axes have no numbers, since
    those of an embedding mean nothing.

    - `real`: float `(n, 2)`; `real_labels`: whole numbers `(n,)` from 0 to 9.
    - `generations`: `{5: (points, labels), ...}`, in the same way, as
      `madlab.gallery.Gallery.embedding` gives them.

    Raises TypeError or ValueError for other shapes, and where there is nothing to draw.

    Source: Alemohammad et al., "Self-Consuming Generative Models Go MAD", Figs. 5 and 7.
    """
    _check(real, real_labels, generations)
    limits = cloud_limits(real, *(points for points, _ in generations.values()))
    (left, right), (bottom, top) = limits
    side = min(_WIDEST, (WIDTH - 0.2) / len(generations))
    high = (side - 0.1) * min(1.5, (top - bottom) / (right - left))
    figure = Figure(figsize=(side * len(generations) + 0.2, high + 0.4), layout="constrained")
    grid = figure.subplots(1, len(generations), squeeze=False)[0]
    for axes, t in zip(grid, sorted(generations), strict=True):
        axes.plot(*real.T, ls="none", marker="o", ms=2, mew=0, color=_REAL)
        _draw(axes, *generations[t])
        axes.set(xlim=limits[0], ylim=limits[1], aspect="equal", xticks=[], yticks=[])
        axes.set_anchor("S")
        axes.spines[:].set_color(_REAL)
        axes.set_title(f"generation {t}", fontsize=11)
    return figure


def _draw(axes: Axes, points: np.ndarray, labels: np.ndarray) -> None:
    for digit, (colour, marker, size) in _LOOKS.items():
        own = points[labels == digit]
        axes.plot(*own.T, ls="none", marker=marker, ms=size, mew=0, color=colour, alpha=0.8)
    # Above all points, whichever digit they are.
    for digit in np.unique(labels):
        x, y = np.median(points[labels == digit], axis=0)
        axes.text(
            *(x, y, str(digit)),
            ha="center",
            va="center",
            fontsize=11,
            fontweight="bold",
            color=_LOOKS[int(digit)][0],
            path_effects=[withStroke(linewidth=2.5, foreground="white")],
        )


def describe_digit_map(real: np.ndarray, real_labels: np.ndarray, generations: Placed) -> str:
    """Return in words what `digit_map` shows: how digits lie among real ones, how wide they spread.

    The spread of a digit is the median distance from the median of its points, averaged over the
    digits and divided by that of the real ones.

    - `real`, `real_labels`, `generations`: as for `digit_map`, which says what is raised.
    """
    _check(real, real_labels, generations)
    width = _spread(real, real_labels)
    said = []
    for t in sorted(generations):
        points, labels = generations[t]
        distances = ((points[:, None] - real[None]) ** 2).sum(-1)
        share = np.mean(real_labels[distances.argmin(1)] == labels)
        spread = _spread(points, labels) / width
        said.append(f"generation {t}: {share:.0%}, spread {number(spread)}")
    return (
        f"Synthetic digits among {len(real)} real ones, placed in the plane together. Share whose "
        "nearest real digit is the digit that was asked for, and spread of a digit beside that of "
        f"the real ones; {'; '.join(said)}."
    )


def _spread(points: np.ndarray, labels: np.ndarray) -> float:
    widths = []
    for digit in np.unique(labels):
        own = points[labels == digit]
        widths.append(np.median(np.linalg.norm(own - np.median(own, axis=0), axis=1)))
    return float(np.mean(widths))


def _check(real: np.ndarray, real_labels: np.ndarray, generations: Placed) -> None:
    if not generations:
        raise ValueError("there are no generations to draw: give at least one")
    sets = {"real": (real, real_labels)}
    sets |= {f"generation {t}": placed for t, placed in generations.items()}
    for name, (points, labels) in sets.items():
        check_points(points)
        if np.shape(labels) != (len(points),):
            raise ValueError(
                f"the labels of {name} have shape {np.shape(labels)}; {len(points)} points need "
                f"shape ({len(points)},)"
            )
        if labels.dtype.kind not in "iu" or not 0 <= labels.min() <= labels.max() <= 9:
            raise ValueError(
                f"the labels of {name} are {labels.dtype} from {labels.min()} to {labels.max()}; "
                "they must be digits, whole numbers from 0 to 9"
            )
