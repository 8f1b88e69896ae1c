"""Sets of pictures as a whole: their power spectra, and how far any two of them lie apart."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure

from madlab.metrics.spectrum import grid_power, high_share
from madlab.plots.lines import listed, number
from madlab.plots.picture import Picture
from madlab.plots.style import BLACK, GREY, VERMILLION, WIDTH, places, style_axes

Distances = Mapping[str, Mapping[int, np.ndarray]]

# How many times more, or less, power than the reference the ends of the colours mean.
LIMIT = 30.0
_TICKS = {1 / 30: "1/30", 0.1: "1/10", 1 / 3: "1/3", 1: "1", 3: "3", 10: "10", 30: "30"}
# Steps, not shades: what a report keeps of a figure has 256 colours. Orange is more, purple less.
_RATIOS = colormaps["PuOr_r"].resampled(25)
_QUARTERS = {-0.5: "-1/2", -0.25: "-1/4", 0: "0", 0.25: "1/4", 0.5: "1/2"}
# Each hill of a stack has so many steps and reaches over the next one by so much.
_BINS, _OVERLAP = 80, 1.5


def spectra(named: Mapping[str, np.ndarray], reference: np.ndarray | None = None) -> Picture:
    """Draw power spectra side by side, as ratios to a reference or as they are.

    A grid that repeats every 2 or 4 pixels shows as dots at frequencies 1/2 and 1/4; grain lifts
    the outer parts; blur sinks them.

    - `named`: what `metrics.spectrum.power_spectrum` returned, by what to call it.
    - `reference`: the spectrum that others are divided by, for instance of real pictures; None
      draws powers. Colours end at ratios of 1/30 and 30, in every figure alike.

    Raises ValueError for no spectra and for arrays that are no spectra of one size.
    """
    _check(named, reference)
    across = min(4, len(named))
    width = min(WIDTH, 2.1 * across + 2.2)
    size = (width, 0.5 - (-len(named) // across) * (width - 1.6) / across)
    figure, said = Figure(figsize=size, layout="constrained"), {}
    grid = places(figure, len(named), across, sharex=True, sharey=True)
    # Without a reference, colours tell apart what lies between the least and the greatest power.
    span = None if reference is not None else _span(*named.values())
    for axes, (name, power) in zip(grid, named.items(), strict=True):
        drawn = draw_spectrum(axes, power, reference, span=span, bar=False)
        axes.set_title(name, fontsize=11, loc="left")
        axes.set(xlabel="", ylabel="")
        said[name] = _words(power, reference)
    figure.supxlabel("cycles a pixel, left to right", fontsize=10)
    figure.supylabel("top to bottom", fontsize=10)
    _add_bar(drawn, figure.axes)
    if reference is not None:
        said["reference"] = _words(reference)
    return Picture(figure, f"Power spectra. {listed(said)}.")


def _words(power: np.ndarray, reference: np.ndarray | None = None) -> list[str]:
    try:
        said = [f"{high_share(power):.1%} of the power is fine detail"]
        if reference is not None:
            times = number(grid_power(power, reference))
            said.append(f"{times} times the reference's power at the frequencies of a grid")
    except ValueError as reason:
        return [str(reason)]
    return said


def draw_spectrum(
    axes: Axes,
    power: np.ndarray,
    reference: np.ndarray | None = None,
    *,
    span: tuple[float, float] | None = None,
    bar: bool = True,
) -> ScalarMappable:
    """Draw one of `spectra` and return what a colour bar is made from.

    - `span`: the ends of the colours without a reference; those of this power where None.
    - `bar`: whether it gets a colour bar of its own.
    """
    _check({"power": power}, reference)
    if reference is None:
        values, colours, ends = power, colormaps["cividis"], span or _span(power)
    else:
        # Where the reference has no power, nothing can be said: drawn as equal.
        values = np.divide(power, reference, out=np.ones_like(power), where=reference > 0)
        colours, ends = _RATIOS, (1 / LIMIT, LIMIT)
    # The highest frequency is both 1/2 and -1/2; drawn at both, the map is symmetric.
    values = np.pad(values.clip(*ends), ((0, 1), (0, 1)), mode="wrap")
    edge = 0.5 + 0.5 / len(power)
    sides = (-edge, edge, edge, -edge)
    drawn = axes.imshow(values, colours, LogNorm(*ends), extent=sides, interpolation="nearest")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_ticks(list(_QUARTERS), list(_QUARTERS.values()), fontsize=9)
    axes.set(xlabel="cycles a pixel, left to right", ylabel="top to bottom")
    if bar:
        _add_bar(drawn, [axes])
    return drawn


def _add_bar(drawn: ScalarMappable, axes: list[Axes]) -> None:
    look: dict[str, Any] = {"label": "power"}
    if drawn.get_cmap() == _RATIOS:
        look = {"label": "times the reference's power", "extend": "both", "ticks": list(_TICKS)}
    bar = axes[0].figure.colorbar(drawn, ax=axes, shrink=0.8, **look)
    bar.ax.minorticks_off()
    if "ticks" in look:
        bar.set_ticklabels(list(_TICKS.values()))


def _check(named: Mapping[str, np.ndarray], reference: np.ndarray | None) -> None:
    if not named:
        raise ValueError("there are no spectra to draw: give at least one by name")
    found = dict(named) if reference is None else {**named, "reference": reference}
    size = len(next(iter(found.values())))
    for name, power in found.items():
        if power.shape != (size, size) or power.dtype != np.float64 or not (power >= 0).all():
            raise ValueError(
                f"{name!r} has {power.dtype} of shape {power.shape}; all must be float64 of shape "
                f"({size}, {size}) from 0, as metrics.spectrum.power_spectrum returns them"
            )


def _span(*powers: np.ndarray) -> tuple[float, float]:
    """Return the least and greatest power, the middle left out, from which pictures' means went."""
    outer = np.concatenate([np.delete(p, len(p) * (len(p) + 1) // 2) for p in powers])
    top = float(outer.max()) or 1.0
    return max(float(outer.min()), 1e-6 * top), top


def sameness(distances: Distances, real: np.ndarray | None = None) -> Picture:
    """Draw how pairwise distances among pictures are spread: one hill a generation, in stacks.

    Hills that move to the left say that pictures grow alike; one at 0, that they are one picture.

    - `distances`: for each chain, by name and generation, the distances of all pairs of its
      pictures, float `(pairs,)`, for instance from `metrics.distances`.
    - `real`: those of as many real pictures, the grey hill at the top of each stack; distances are
      shown as multiples of their mean. None: multiples of the first generation's mean.

    Raises ValueError where there are no distances.
    """
    top = [] if real is None else [("real", real)]
    stacks = {name: [*top, *sorted(own.items())] for name, own in distances.items()}
    every = [one for stack in stacks.values() for _, one in stack]
    if not distances or not all(distances.values()) or not all(map(len, every)):
        raise ValueError("there are no distances to draw: give those of two pictures at least")
    unit = float(np.mean(every[0]))
    across, most = min(3, len(stacks)), max(map(len, stacks.values()))
    size = (WIDTH, -(-len(stacks) // across) * (0.38 * most + 1.3))
    figure = Figure(figsize=size, layout="constrained")
    grid = places(figure, len(stacks), across, sharex=True)
    edge, said = 1.05 * max(float(np.max(one)) for one in every) / unit, {}
    for axes, (name, stack) in zip(grid, stacks.items(), strict=True):
        _draw_stack(axes, {str(label): one / unit for label, one in stack}, edge)
        style_axes(axes, None, name)
        axes.set_ylim(len(stack) - most - 0.1, len(stack) - 1 + _OVERLAP + 0.1)
        ends = (stack[len(top)], stack[-1])
        said[name] = [f"{np.mean(one) / unit:.2f} in generation {t}" for t, one in ends]
    grid[0].set_ylabel("generation", fontsize=10)
    of = "generation 1" if real is None else "real pictures"
    figure.supxlabel(f"distance of two pictures, as a multiple of the mean of {of}", fontsize=10)
    whose = "the first chain's generation 1" if real is None else "real pictures"
    alt = f"Mean distance of two pictures as a multiple of that of {whose}. {listed(said)}."
    return Picture(figure, alt)


def _draw_stack(axes: Axes, rows: Mapping[str, np.ndarray], edge: float) -> None:
    edges = np.linspace(0, edge, _BINS + 1)
    middles, bottoms = (edges[1:] + edges[:-1]) / 2, np.arange(len(rows))[::-1]
    for bottom, (label, found) in zip(bottoms, rows.items(), strict=True):
        counts = np.histogram(found, edges)[0]
        hill, mean = bottom + _OVERLAP * counts / max(counts.max(), 1), np.mean(found)
        # Lower rows lie in front of higher ones.
        front = 2 + len(rows) - bottom
        ink: dict[str, Any] = {"color": GREY if label == "real" else VERMILLION, "zorder": front}
        axes.fill_between(middles, bottom, hill, alpha=0.55, linewidth=0, **ink)
        axes.plot(middles, hill, linewidth=1, **ink)
        axes.plot([mean, mean], [bottom, bottom + 0.5], color=BLACK, linewidth=1.5, zorder=front)
    axes.set_yticks(bottoms, list(rows))
    axes.set_xlim(0, edge)
