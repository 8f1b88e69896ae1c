"""Power spectra of pictures as maps, in which a network's grid shows as bright dots."""

from collections.abc import Mapping

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure, SubFigure

from madlab.plots.colours import WIDTH
from madlab.plots.lines import number

# How many times more, or less, power than the reference the ends of the colours mean.
LIMIT = 30.0
_TICKS = {1 / 30: "1/30", 0.1: "1/10", 1 / 3: "1/3", 1: "1", 3: "3", 10: "10", 30: "30"}
# Steps, not shades: what a report keeps of a figure has 256 colours. Orange is more, purple less.
_RATIOS = matplotlib.colormaps["PuOr_r"].resampled(25)
_QUARTERS = {-0.5: "-1/2", -0.25: "-1/4", 0: "0", 0.25: "1/4", 0.5: "1/2"}
_ACROSS = 4


def spectra(named: Mapping[str, np.ndarray], reference: np.ndarray | None = None) -> Figure:
    """Draw power spectra side by side, as ratios to a reference or as they are.

    A grid that repeats every 2 or 4 pixels shows as dots at frequencies 1/2 and 1/4; grain lifts
    the outer parts; blur sinks them.

    - `named`: what `metrics.spectrum.power_spectrum` returned, by what to call it.
    - `reference`: the spectrum that others are divided by, for instance of real pictures; None
      draws powers. Colours end at ratios of 1/30 and 30, in every figure alike.

    Raises ValueError for no spectra and for arrays that are no spectra of one size.
    """
    _check(named, reference)
    across = min(_ACROSS, len(named))
    down = -(-len(named) // across)
    width = min(WIDTH, 2.1 * across + 2.2)
    figure = Figure(figsize=(width, 0.5 + down * (width - 1.6) / across), layout="constrained")
    grid = figure.subplots(down, across, squeeze=False, sharex=True, sharey=True).ravel()
    span = None if reference is not None else _span(named)
    for axes, (name, power) in zip(grid, named.items(), strict=False):
        drawn = draw_spectrum(axes, power, reference, span=span, bar=False)
        axes.set_title(name, fontsize=11, loc="left")
        axes.set(xlabel="", ylabel="")
    for axes in grid[len(named) :]:
        axes.set_axis_off()
    figure.supxlabel("cycles a pixel, left to right", fontsize=10)
    figure.supylabel("top to bottom", fontsize=10)
    _add_bar(figure, drawn, list(grid), reference is not None)
    return figure


def draw_spectrum(
    axes: Axes,
    power: np.ndarray,
    reference: np.ndarray | None = None,
    *,
    span: tuple[float, float] | None = None,
    bar: bool = True,
) -> ScalarMappable:
    """Draw one of `spectra` and return what a colour bar is made from.

    - `span`: the least and greatest power that colours tell apart, without a reference; its own
      where None.
    - `bar`: whether it gets a colour bar of its own.
    """
    _check({"power": power}, reference)
    if reference is None:
        values, colours = power, matplotlib.colormaps["cividis"]
        least, most = span or _span({"power": power})
    else:
        # Where the reference has no power, nothing can be said: drawn as equal.
        values = np.divide(power, reference, out=np.ones_like(power), where=reference > 0)
        colours, least, most = _RATIOS, 1 / LIMIT, LIMIT
    half = 0.5 / len(power)
    drawn = axes.imshow(
        # The highest frequency is both 1/2 and -1/2; drawn at both, the map is symmetric.
        np.pad(np.clip(values, least, most), ((0, 1), (0, 1)), mode="wrap"),
        cmap=colours,
        norm=LogNorm(least, most),
        extent=(-0.5 - half, 0.5 + half, 0.5 + half, -0.5 - half),
        interpolation="nearest",
    )
    axes.set_xticks(list(_QUARTERS), list(_QUARTERS.values()), fontsize=9)
    axes.set_yticks(list(_QUARTERS), list(_QUARTERS.values()), fontsize=9)
    axes.set_xlabel("cycles a pixel, left to right", fontsize=10)
    axes.set_ylabel("top to bottom", fontsize=10)
    if bar:
        _add_bar(axes.figure, drawn, [axes], reference is not None)
    return drawn


def _add_bar(
    figure: Figure | SubFigure, drawn: ScalarMappable, axes: list[Axes], ratio: bool
) -> None:
    label = "times the reference's power" if ratio else "power"
    bar = figure.colorbar(drawn, ax=axes, label=label, shrink=0.8, extend="both" if ratio else None)
    bar.ax.minorticks_off()
    if ratio:
        bar.set_ticks(list(_TICKS), labels=list(_TICKS.values()))


def describe_spectra(named: Mapping[str, np.ndarray], reference: np.ndarray | None = None) -> str:
    """Return in words what `spectra` shows: fine detail, and the power at a grid's frequencies.

    - `named`, `reference`: as for `spectra`.
    """
    # Here, because it loads torch, which no picture needs.
    from madlab.metrics.spectrum import grid_power, high_share

    _check(named, reference)
    said = []
    for name, power in named.items():
        text = f"{name}: {high_share(power):.1%} of the power is fine detail"
        if reference is not None:
            times = grid_power(power, reference)
            text += f", {number(times)} times the reference's power at the frequencies of a grid"
        said.append(text)
    end = ""
    if reference is not None:
        end = f" Of the reference's power, {high_share(reference):.1%} is fine detail."
    return f"Power spectra. {'; '.join(said)}.{end}"


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


def _span(named: Mapping[str, np.ndarray]) -> tuple[float, float]:
    """Return the least and greatest power, the middle left out, from which pictures' means went."""
    outer = np.concatenate([np.delete(power.ravel(), len(power) * (len(power) + 1) // 2)
                            for power in named.values()])  # fmt: skip
    top = float(outer.max()) or 1.0
    return max(float(outer.min()), 1e-6 * top), top
