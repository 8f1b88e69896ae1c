"""Gaussian loops: fans over many chains, and the ellipses of single chains in the plane."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from matplotlib import colormaps
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from madlab.plots.colours import BLACK, BLUE, GREY, VERMILLION, WIDTH
from madlab.plots.dress import dress
from madlab.plots.lines import Dash, number

if TYPE_CHECKING:
    from madlab.theory import Simulation

Curves = Mapping[str, np.ndarray]
Steps = Sequence[int] | np.ndarray
Chain = tuple[np.ndarray, np.ndarray, np.ndarray]

# Smaller values lie on this line of a logarithmic axis, zeros too.
FLOOR = 1e-12
_THEORY: dict[str, Dash] = {"mean, theory": (0, (4, 2)), "median, theory": (0, (1, 1.2))}
_OTHER: Dash = (0, (5, 1.5, 1, 1.5, 1, 1.5))
_CIRCLE = np.stack([f(np.linspace(0, 2 * np.pi, 100)) for f in (np.cos, np.sin)])
_ELLIPSES = 6


def draw_fan(
    axes: Axes,
    generations: Steps,
    values: np.ndarray,
    *,
    title: str = "",
    theory: Curves | None = None,
    log: bool = False,
    singles: int = 3,
) -> None:
    """Draw what many chains do as bands between quantiles, median and mean, and a few chains.

    - `generations`: `(g,)`, rising; `values`: `(chains, g)`, finite and not negative, such as the
      traces, W2 squared or squared means of a `madlab.theory.Simulation`.
    - `theory`: curves `(g,)` by the names of the legend, drawn in black dashes.
    - `log`: whether the axis is logarithmic; what is below 1e-12 then lies at 1e-12, and a note
      says so. A linear axis begins at 0.
    - `singles`: how many chains, the first ones, become thin lines.

    The caller adds a legend. Raises ValueError for values that do not fit.
    """
    t, values = _checked(generations, values)
    curves = {name: np.asarray(curve, float) for name, curve in (theory or {}).items()}
    for name, curve in curves.items():
        if curve.shape != t.shape:
            raise ValueError(
                f"theory {name!r} has shape {curve.shape}; it needs a value for each of the "
                f"{len(t)} generations"
            )
    least = FLOOR if log else 0.0
    quantiles = np.quantile(values, (0.05, 0.25, 0.75, 0.95), axis=0)
    median, mean = np.median(values, 0), values.mean(0)
    for i, alpha, label in ((0, 0.15, "90% of chains"), (1, 0.25, "half of chains")):
        low, high = quantiles[i].clip(least), quantiles[3 - i].clip(least)
        axes.fill_between(t, low, high, color=VERMILLION, alpha=alpha, linewidth=0, label=label)
    for i, chain in enumerate(values[:singles].clip(least)):
        label = "" if i else "single chains"
        axes.plot(t, chain, color=GREY, linewidth=0.8, label=label)
    axes.plot(t, median.clip(least), color=VERMILLION, linewidth=2.6, label="median")
    axes.plot(t, mean.clip(least), color=BLUE, linewidth=2, linestyle="-.", label="mean")
    for name, curve in curves.items():
        dash = _THEORY.get(name, _OTHER)
        axes.plot(t, curve.clip(least), color=BLACK, linewidth=1.2, linestyle=dash, label=name)
    if log:
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter(FuncFormatter(_power))
        if min(quantiles.min(), values[:singles].min(initial=1)) < FLOOR:
            note = f"below {FLOOR:g}: drawn at {FLOOR:g}"
            axes.annotate(note, (1, 1), xycoords="axes fraction", ha="right", va="top", fontsize=8)
    else:
        axes.set_ylim(bottom=0)
    axes.set_title(title, fontsize=11, loc="left")
    axes.set_xlabel("generation", fontsize=10)
    axes.set_xlim(t[0], max(t[-1], t[0] + 1))
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    dress(axes, "both")


def fans(
    generations: Steps,
    values: Curves,
    theory: Mapping[str, Curves] | None = None,
    *,
    log: bool = False,
) -> Figure:
    """Draw a fan for each title, side by side.

    - `values`: by title, `(chains, g)`; `theory`: by title, curves by name; as for `draw_fan`,
      which says what `generations` and `log` are and what is raised.
    """
    figure = Figure(figsize=(WIDTH, 3.5), layout="constrained")
    grid = figure.subplots(1, len(values), squeeze=False)[0]
    for axes, (title, own) in zip(grid, values.items(), strict=True):
        curves = (theory or {}).get(title)
        draw_fan(axes, generations, own, title=title, theory=curves, log=log)
    add_legend(figure, *grid)
    return figure


def describe_fan(generations: Steps, values: np.ndarray, name: str = "variance") -> str:
    """Return in words what `draw_fan` shows: median, mean and middle 90% at both ends.

    - `generations`, `values`: as for `draw_fan`; `name`: what the values are.
    """
    t, values = _checked(generations, values)
    said = []
    for i in sorted({0, len(t) - 1}):
        own = values[:, i]
        low, high = np.quantile(own, (0.05, 0.95))
        said.append(
            f"in generation {t[i]} median {small(np.median(own))}, mean {small(own.mean())}, 90% "
            f"between {small(low)} and {small(high)}"
        )
    return f"{name} of {len(values):,} chains: {'; '.join(said)}"


def draw_ellipses(
    axes: Axes,
    means: np.ndarray,
    covariances: np.ndarray,
    generations: Steps,
    *,
    title: str = "",
) -> None:
    """Draw the models of one chain in the plane as ellipses, later ones darker, on equal axes.

    The ellipse of the real data, N(0, I), is grey, and a line joins the means.

    - `means`: `(g, 2)`; `covariances`: `(g, 2, 2)`, singular ones too; `generations`: `(g,)`.

    First, middle and last have names for a legend, which the caller adds. Raises ValueError for
    shapes that do not fit or numbers that are not finite.
    """
    means, covariances, t = _checked_chain(means, covariances, generations)
    axes.fill(*_CIRCLE, facecolor=GREY, alpha=0.25, label="real data")
    axes.plot(*_CIRCLE, color=GREY, linewidth=1)
    axes.plot(*means.T, color=GREY, linewidth=0.8)
    # The palest end of the map would be lost on white.
    shades = colormaps["cividis_r"](np.linspace(0.2, 1, len(t)))
    named = {0, len(t) // 2, len(t) - 1}
    for i, (mean, covariance, shade) in enumerate(zip(means, covariances, shades, strict=True)):
        variances, directions = np.linalg.eigh(covariance)
        root = directions * np.sqrt(variances.clip(0))
        label = f"generation {t[i]}" if i in named else None
        outline = mean[:, None] + root @ _CIRCLE
        axes.plot(*outline, color=shade, linewidth=1.8, label=label)
        axes.plot(*mean, ".", color=shade, markersize=5)
    axes.set_aspect("equal")
    axes.set_title(title, fontsize=11, loc="left")
    axes.locator_params(nbins=5)
    dress(axes, "both")


def ellipses(run: "Simulation", chains: int = 3) -> Figure:
    """Draw the first chains of a simulation in the plane of their first two coordinates.

    - `run`: in two dimensions or more, with covariances; six of its generations are drawn.

    Raises ValueError where the covariances or the second dimension are missing.
    """
    figure = Figure(figsize=(WIDTH, 3.8), layout="constrained")
    draw_chains(figure, run, chains)
    return figure


def draw_chains(target: Figure | SubFigure, run: "Simulation", chains: int = 3) -> None:
    """Draw `ellipses` into a figure or a part of one, all on the same square axes."""
    grid = target.subplots(1, chains, squeeze=False, sharex=True, sharey=True)[0]
    for i, axes in enumerate(grid):
        draw_ellipses(axes, *in_the_plane(run, i), title=f"chain {i + 1}")
    reach = 1.05 * max(float(abs(axes.dataLim.extents).max()) for axes in grid)
    grid[0].set(xlim=(-reach, reach), ylim=(-reach, reach))
    add_legend(target, grid[0])


def in_the_plane(run: "Simulation", chain: int, most: int = _ELLIPSES) -> Chain:
    """Return means, covariances and generations of one chain, for `draw_ellipses`.

    - `run`: as for `ellipses`; `most`: how many generations, first and last among them.
    """
    if run.covariances is None or run.means.shape[-1] < 2:
        raise ValueError(
            f"the run has {run.means.shape[-1]} dimensions and "
            f"{'no' if run.covariances is None else 'its'} covariances; ellipses need two "
            "dimensions and covariances=True"
        )
    g = len(run.generations)
    at = np.unique(np.linspace(0, g - 1, min(g, most)).round().astype(int))
    return run.means[chain, at, :2], run.covariances[chain, at, :2, :2], run.generations[at]


def describe_ellipses(means: np.ndarray, covariances: np.ndarray, generations: Steps) -> str:
    """Return in words what `draw_ellipses` shows: centre and half-axes of the first and last.

    Arguments as for `draw_ellipses`; half-axes are standard deviations.
    """
    means, covariances, t = _checked_chain(means, covariances, generations)
    said = []
    for i in sorted({0, len(t) - 1}):
        variances = np.linalg.eigvalsh(covariances[i])
        # What rounding leaves of the width of a needle is none.
        short, long = np.sqrt(np.where(variances > 1e-14 * variances[-1], variances, 0))
        x, y = means[i]
        said.append(
            f"in generation {t[i]} centred at ({x:.2f}, {y:.2f}), half-axes {small(long)} and "
            f"{small(short)}"
        )
    return "; ".join(said)


def small(value: float) -> str:
    """Return a number that may be far below 1 as text, with two or three figures."""
    return f"{value:.1e}" if 0 < abs(value) < 0.001 else number(float(value))


def add_legend(target: Figure | SubFigure, *grid: Axes) -> None:
    """Put one legend of all that has a name in the axes of `grid` below a figure."""
    found: dict[str, Artist] = {}
    for axes in grid:
        handles, names = axes.get_legend_handles_labels()
        found.update(zip(names, handles, strict=True))
    target.legend(
        list(found.values()),
        list(found),
        loc="outside lower center",
        ncols=4,
        fontsize=9,
        frameon=False,
        handlelength=4,
    )


def _power(value: float, _: int | None = None) -> str:
    """Return a power of ten, at a tick of a logarithmic axis, as text."""
    return f"{value:g}" if value >= 0.001 else f"$10^{{{round(np.log10(value))}}}$"


def _checked(generations: Steps, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    t, values = np.asarray(generations), np.asarray(values, float)
    if values.ndim != 2 or not values.size or t.shape != values.shape[1:]:
        raise ValueError(
            f"values have shape {values.shape} and generations {t.shape}; needed are (chains, g) "
            "and (g,), with one chain and one generation at least"
        )
    if not np.isfinite(values).all() or (values < 0).any():
        raise ValueError("values hold numbers below 0 or not finite: a fan is of squares only")
    return t, values


def _checked_chain(means: np.ndarray, covariances: np.ndarray, generations: Steps) -> Chain:
    means, covariances, t = (np.asarray(part) for part in (means, covariances, generations))
    g = len(t) if t.ndim == 1 else 0
    if not g or means.shape != (g, 2) or covariances.shape != (g, 2, 2):
        raise ValueError(
            f"means have shape {means.shape}, covariances {covariances.shape} and generations "
            f"{t.shape}; needed are (g, 2), (g, 2, 2) and (g,): one chain, two coordinates"
        )
    if not (np.isfinite(means).all() and np.isfinite(covariances).all()):
        raise ValueError("means or covariances hold NaN or infinite values: remove them first")
    return means, covariances, t
