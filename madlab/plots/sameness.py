"""How alike pictures are: their pairwise distances, generation by generation."""

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from madlab.plots.colours import BLACK, GREY, VERMILLION, WIDTH
from madlab.plots.dress import dress

Distances = Mapping[str, Mapping[int, np.ndarray]]

_BINS = 80
_ACROSS = 3
# Each row of a stack reaches over the next one by so much.
_OVERLAP = 1.5


def sameness(distances: Distances, real: np.ndarray | None = None) -> Figure:
    """Draw how pairwise distances among pictures are spread: one hill a generation, in stacks.

    Hills that move to the left say that pictures grow alike; one at 0, that they are one picture.

    - `distances`: for each chain, by name and generation, the distances of all pairs of its
      pictures, float `(pairs,)`, for instance from `metrics.pairwise`.
    - `real`: those of as many real pictures, the grey hill at the top of each stack; distances are
      shown as multiples of their mean. None: multiples of the first generation's mean.

    Raises ValueError where there are no distances.
    """
    unit = _unit(distances, real)
    across = min(_ACROSS, len(distances))
    down = -(-len(distances) // across)
    most = max(len(own) for own in distances.values()) + (real is not None)
    figure = Figure(figsize=(WIDTH, down * (0.38 * most + 1.3)), layout="constrained")
    grid = figure.subplots(down, across, squeeze=False, sharex=True).ravel()
    edge = 1.05 * max(float(np.max(one)) for one in _all(distances, real)) / unit
    for axes in grid[len(distances) :]:
        axes.set_axis_off()
    for axes, (name, own) in zip(grid, distances.items(), strict=False):
        _draw_stack(axes, own, real, unit, edge)
        axes.set_title(name, fontsize=11, loc="left")
        axes.set_ylim(len(own) + (real is not None) - most - 0.1, None)
    grid[0].set_ylabel("generation", fontsize=10)
    of = "real pictures" if real is not None else "generation 1"
    figure.supxlabel(f"distance of two pictures, as a multiple of the mean of {of}", fontsize=10)
    return figure


def _draw_stack(
    axes: Axes,
    own: Mapping[int, np.ndarray],
    real: np.ndarray | None,
    unit: float,
    edge: float,
) -> None:
    rows = [("real", real)] if real is not None else []
    rows += [(str(t), found) for t, found in sorted(own.items())]
    places = np.arange(len(rows))[::-1].astype(float)
    edges = np.linspace(0, edge, _BINS + 1)
    middles = (edges[1:] + edges[:-1]) / 2
    for place, (label, found) in zip(places, rows, strict=True):
        assert found is not None
        colour = GREY if label == "real" else VERMILLION
        counts = np.histogram(found / unit, edges)[0].astype(float)
        hill = place + _OVERLAP * counts / max(counts.max(), 1)
        # Lower rows lie in front of higher ones.
        order = 2 + len(rows) - place
        axes.fill_between(middles, place, hill, color=colour, alpha=0.55, linewidth=0, zorder=order)
        axes.plot(middles, hill, color=colour, linewidth=1, zorder=order)
        mean = float(np.mean(found)) / unit
        axes.plot([mean, mean], [place, place + 0.5], color=BLACK, linewidth=1.5, zorder=order)
    axes.set_yticks(places, [label for label, _ in rows])
    axes.set_xlim(0, edge)
    axes.set_ylim(top=len(rows) - 1 + _OVERLAP + 0.1)
    dress(axes, None)


def _unit(distances: Distances, real: np.ndarray | None) -> float:
    sets = _all(distances, real)
    if not distances or not all(distances.values()) or not all(len(one) for one in sets):
        raise ValueError("there are no distances to draw: give those of two pictures at least")
    own = next(iter(distances.values()))
    return float(np.mean(own[min(own)] if real is None else real))


def _all(distances: Distances, real: np.ndarray | None) -> list[np.ndarray]:
    found = [one for own in distances.values() for one in own.values()]
    return found if real is None else [real, *found]


def describe_sameness(distances: Distances, real: np.ndarray | None = None) -> str:
    """Return in words what `sameness` shows: mean distances of the first and last generation."""
    unit = _unit(distances, real)
    said = []
    for name, own in distances.items():
        first, last = min(own), max(own)
        a, b = (float(np.mean(own[t])) / unit for t in (first, last))
        said.append(f"{name}: {a:.2f} in generation {first}, {b:.2f} in generation {last}")
    of = "that of real pictures" if real is not None else "that of the first chain's generation 1"
    return f"Mean distance of two pictures as a multiple of {of}. {'; '.join(said)}."
