"""How rare things die in a loop: modes beside neutral drift, and tails beside what bias leaves."""

from collections.abc import Mapping
from itertools import cycle
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from madlab.plots.colours import BLACK, BLUE, GREY, SKY, VERMILLION, WIDTH
from madlab.plots.dress import dress
from madlab.plots.lines import Dash, number
from madlab.plots.phase import LOOKS

_DASH: Dash = (0, (5, 2))
_ALIVE, _DIFFER = "modes alive", "chance that two samples differ in mode"


class Drift(NamedTuple):
    """Modes of a loop's chains beside those of neutral drift, at `generations` `(g,)`.

    - `alive`: modes alive in every chain, `(chains, g)`; `neutral_alive`: the same of simulated
      neutral drift, `(any number, g)`.
    - `differ`: the chance that two samples of a chain differ in mode, `(chains, g)`;
      `neutral_differ`: what neutral drift expects, `(g,)`.
    """

    generations: np.ndarray
    alive: np.ndarray
    neutral_alive: np.ndarray
    differ: np.ndarray
    neutral_differ: np.ndarray


def drift(found: Drift) -> Figure:
    """Draw modes alive, and the chance that two samples differ in mode, beside neutral drift.

    Chains are thin lines, their mean a thick one; neutral drift is dashed, its band holds 90% of
    its simulations. Raises ValueError for shapes that do not fit.
    """
    _check_drift(found)
    figure = Figure(figsize=(WIDTH, 3.7), layout="constrained")
    left, right = figure.subplots(1, 2)
    t = found.generations
    low, high = np.quantile(found.neutral_alive, (0.05, 0.95), axis=0)
    label = "neutral drift, 90% of simulations"
    left.fill_between(t, low, high, color=SKY, alpha=0.35, linewidth=0, label=label)
    _draw_chains(left, t, found.alive, found.neutral_alive.mean(0))
    _draw_chains(right, t, found.differ, found.neutral_differ)
    _label(left, _ALIVE)
    _label(right, _DIFFER)
    right.set_ylim(0, 1)
    _add_legend(figure, left)
    return figure


def _draw_chains(axes: Axes, t: np.ndarray, chains: np.ndarray, neutral: np.ndarray) -> None:
    for i, chain in enumerate(chains):
        axes.plot(t, chain, color=GREY, linewidth=0.7, label="" if i else "mixture, single chains")
    axes.plot(t, chains.mean(0), color=VERMILLION, linewidth=2, label="mixture, mean")
    axes.plot(t, neutral, color=BLUE, linewidth=1.8, linestyle=_DASH, label="neutral drift, mean")


def describe_drift(found: Drift) -> str:
    """Return in words what `drift` shows: the means of both sides in first and last generation."""
    _check_drift(found)
    said = [
        f"{what}: mixture {number(own[0])} to {number(own[-1])}, neutral drift "
        f"{number(neutral[0])} to {number(neutral[-1])}"
        for what, own, neutral in (
            (_ALIVE, found.alive.mean(0), found.neutral_alive.mean(0)),
            (_DIFFER, found.differ.mean(0), found.neutral_differ),
        )
    ]
    first, last = found.generations[[0, -1]]
    return f"Generation {first} to {last}, means over chains; {'; '.join(said)}."


def _check_drift(found: Drift) -> None:
    g = np.size(found.generations)
    for name, values in found._asdict().items():
        shape, chains = np.shape(values), name not in ("generations", "neutral_differ")
        if not g or shape[chains:] != (g,) or not shape[0]:
            wanted = f"(chains, {g})" if chains else f"({g},)" if g else "(g,), not empty"
            raise ValueError(
                f"{name} has shape {shape}; it must be {wanted}: a value for each generation"
            )


def tails(
    generations: np.ndarray,
    shares: Mapping[str, np.ndarray],
    expected: Mapping[str, np.ndarray] | None = None,
    title: str = "share with |x| > 2",
) -> Figure:
    """Draw the share of samples in the tails against the generation, one look a label.

    Several seeds become a band from their least to their greatest value, each seed a thin line and
    their mean a thick one with markers.

    - `generations`: `(g,)`.
    - `shares`: by label, `(seeds, g)`; `expected`: by label, `(g,)`, drawn dashed in the same
      colour.

    Raises ValueError where there is nothing to draw and for shapes that do not fit.
    """
    expected = expected or {}
    _check_tails(generations, shares, expected)
    figure = Figure(figsize=(WIDTH, 3.7), layout="constrained")
    axes = figure.subplots()
    for (label, lines), (colour, marker, _) in zip(shares.items(), cycle(LOOKS), strict=False):
        low, high = lines.min(0), lines.max(0)
        axes.fill_between(generations, low, high, color=colour, alpha=0.15, linewidth=0)
        if len(lines) > 1:
            axes.plot(generations, lines.T, color=colour, alpha=0.45, linewidth=0.7)
        (mean,) = axes.plot(generations, lines.mean(0), color=colour, marker=marker, label=label)
        mean.set(linewidth=1.8, markersize=5.5, markeredgecolor="white", markeredgewidth=0.6)
        mean.set_clip_on(False)
        if label in expected:
            axes.plot(generations, expected[label], color=colour, linewidth=1.4, linestyle=_DASH)
    if expected:
        axes.plot([], [], color=BLACK, linewidth=1.4, linestyle=_DASH, label="expected")
    _label(axes, title)
    axes.set_xticks(generations[:: -(-len(generations) // 10)])
    _add_legend(figure, axes)
    return figure


def describe_tails(generations: np.ndarray, shares: Mapping[str, np.ndarray]) -> str:
    """Return in words what `tails` shows: each seed's share in first and last generation.

    - `generations`, `shares`: as for `tails`, which says what is raised.
    """
    _check_tails(generations, shares, {})
    said = []
    for label, lines in shares.items():
        ends = ", ".join(f"{line[0]:.3f} to {line[-1]:.3f}" for line in lines)
        said.append(f"{label}: {ends}")
    return (
        f"Share of samples in the tails, generation {generations[0]} to {generations[-1]}, each "
        f"seed; {'; '.join(said)}."
    )


def _check_tails(
    generations: np.ndarray, shares: Mapping[str, np.ndarray], expected: Mapping[str, np.ndarray]
) -> None:
    size = np.shape(generations)
    if not shares or len(size) != 1 or not size[0]:
        raise ValueError("there are no shares to draw: give one label and one generation at least")
    for label, lines in shares.items():
        shape = np.shape(lines)
        if len(shape) != 2 or shape[1:] != size or not shape[0]:
            raise ValueError(
                f"the shares of {label!r} have shape {shape}; they must be (seeds, {size[0]}), a "
                "value for each generation"
            )
    for label, line in expected.items():
        if label not in shares or np.shape(line) != size:
            raise ValueError(
                f"expected[{label!r}] has shape {np.shape(line)}; it must be ({size[0]},) and the "
                f"label one of {', '.join(shares)}"
            )


def _label(axes: Axes, title: str) -> None:
    axes.set_title(title, fontsize=11, loc="left")
    axes.set_xlabel("generation", fontsize=10)
    axes.xaxis.set_major_locator(MaxNLocator(8, integer=True))
    axes.set_ylim(0, None)
    dress(axes)


def _add_legend(figure: Figure, axes: Axes) -> None:
    drawn, names = axes.get_legend_handles_labels()
    place = "outside lower center"
    figure.legend(drawn, names, loc=place, ncols=4, fontsize=9, frameon=False, handlelength=4)
