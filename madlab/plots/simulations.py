"""Many chains at once: fans, settling, modes beside neutral drift, tails, and ellipses."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure

from madlab.plots.lines import Facet, Line, number, picture, words
from madlab.plots.picture import Picture
from madlab.plots.style import (
    BLACK,
    BLUE,
    DASHES,
    GREY,
    LOOKS,
    VERMILLION,
    WIDTH,
    Dash,
    legend,
    style_axes,
)

if TYPE_CHECKING:
    from madlab.theory import Simulation

Curves = Mapping[str, np.ndarray]
Steps = Sequence[int] | np.ndarray
Chain = tuple[np.ndarray, np.ndarray, np.ndarray]

_THEORY: dict[str, Dash] = {"mean, theory": (0, (4, 2)), "median, theory": (0, (1, 1.2))}
_CIRCLE = np.stack([f(np.linspace(0, 2 * np.pi, 100)) for f in (np.cos, np.sin)])
_ELLIPSES = 6


def fans(
    generations: Steps,
    values: Curves,
    theory: Mapping[str, Curves] | None = None,
    *,
    log: bool = False,
) -> Picture:
    """Draw a fan for each title, side by side.

    - `values`: by title, `(chains, g)`; `theory`: by title, curves by name; as for `fan`, which
      says what `generations` and `log` are and what is raised.
    """
    known = theory or {}
    facets = [fan(generations, own, title, known.get(title), log) for title, own in values.items()]
    return picture(facets, inches=3.5, columns=4)


def fan(
    generations: Steps,
    values: np.ndarray,
    title: str = "",
    theory: Curves | None = None,
    log: bool = False,
) -> Facet:
    """Return what many chains do: bands between quantiles, median and mean, and three chains.

    - `generations`: `(g,)`, rising; `values`: `(chains, g)`, finite and not negative, such as the
      traces, W2 squared or squared means of a `madlab.theory.Simulation`.
    - `theory`: curves `(g,)` by the names of the legend, drawn in black dashes.
    - `log`: whether the axis is logarithmic; what is below 1e-12 then lies at 1e-12, and a note
      says so. A linear axis begins at 0.

    Raises ValueError for values that do not fit.
    """
    t = np.asarray(generations)
    _check(f"{title or 'a fan'}, of the chains,", values, t, several=True)
    for name, curve in (theory or {}).items():
        _check(f"theory {name!r}", curve, t)
    if not np.isfinite(values).all() or np.min(values) < 0:
        raise ValueError("values hold numbers below 0 or not finite: a fan is of squares only")
    spread = {
        "90% of chains": np.quantile(values, (0.05, 0.95), axis=0),
        "half of chains": np.quantile(values, (0.25, 0.75), axis=0),
    }
    chains: dict[str, Any] = {"unit": "chains", "band": None}
    red, blue = (VERMILLION, "", "solid"), (BLUE, "", "-.")
    lines = [
        Line("median", t, values, red, 2.6, "median", spread=spread, thin=3, **chains),
        Line("mean", t, values, blue, **chains),
    ]
    for name, curve in (theory or {}).items():
        lines.append(Line(name, t, curve, (BLACK, "", _THEORY.get(name, DASHES[4])), 1.2))
    return Facet(title, lines, span=(t[0], max(t[-1], t[0] + 1)), log="y" if log else "")


def fan_words(generations: Steps, values: np.ndarray, name: str = "variance") -> str:
    """Return what `fan` shows, without a full stop: of `name`, what the values are."""
    return words([fan(generations, values, name)]).rstrip(".")


class Settling(NamedTuple):
    """One line of `settling`: W2 squared of many chains, `(chains, g)`, at `generations` `(g,)`."""

    generations: np.ndarray
    w2: np.ndarray


def settling(lines: Mapping[str, Settling], limits: Mapping[str, float] | None = None) -> Picture:
    """Draw the mean of W2 squared against the generation, with a band of two standard errors.

    - `lines`: by label, at most six; `limits`: by label, values drawn as grey lines across.

    Raises ValueError for more lines than can be told apart.
    """
    if len(lines) > len(LOOKS):
        raise ValueError(f"{len(lines)} lines cannot be told apart; draw at most {len(LOOKS)}")
    drawn = [
        Line(label, t, w2, look, band=("se", 2), unit="chains")
        for (label, (t, w2)), look in zip(lines.items(), LOOKS, strict=False)
    ]
    title = "W2 squared to the real distribution"
    return picture([Facet(title, drawn, across=limits or {})], inches=4.2)


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


def drift(found: Drift) -> Picture:
    """Draw modes alive, and the chance that two samples differ in mode, beside neutral drift.

    Chains are thin lines, their mean a thick one; neutral drift is dashed, its band holds 90% of
    its simulations. Raises ValueError for shapes that do not fit.
    """
    t = found.generations
    for name, values in found._asdict().items():
        _check(name, values, t, several=name not in ("generations", "neutral_differ"))
    law, dashed = "neutral drift, mean", (BLUE, "", DASHES[1])
    band = np.quantile(found.neutral_alive, (0.05, 0.95), axis=0)
    spread = {"neutral drift, 90% of simulations": band}
    alive = Line(law, t, found.neutral_alive.mean(0), dashed, spread=spread)
    differ = Line(law, t, found.neutral_differ, dashed)

    def chains(own: np.ndarray) -> Line:
        red = (VERMILLION, "", "solid")
        return Line("mixture, mean", t, own, red, band=None, unit="chains", thin=len(own))

    name = "chance that two samples differ in mode"
    facets = [
        Facet("modes alive", [alive, chains(found.alive)]),
        Facet(name, [differ, chains(found.differ)], limits=(0, 1)),
    ]
    return picture(facets, inches=3.7, columns=4)


def tails(
    generations: np.ndarray,
    shares: Mapping[str, np.ndarray],
    expected: Mapping[str, np.ndarray] | None = None,
    title: str = "share with |x| > 2",
) -> Picture:
    """Draw the share of samples in the tails against the generation, one look a label.

    Several seeds become a band from their least to their greatest value, each seed a thin line and
    their mean a thick one with markers.

    - `generations`: `(g,)`.
    - `shares`: by label, `(seeds, g)`; `expected`: by label, `(g,)`, drawn dashed in the same
      colour.

    Raises ValueError where there is nothing to draw and for shapes that do not fit.
    """
    t, expected = np.asarray(generations), expected or {}
    if not shares or not t.size:
        raise ValueError("there are no shares to draw: give one label and one generation at least")
    lines = []
    for (label, own), look in zip(shares.items(), LOOKS, strict=False):
        _check(f"the share of {label!r}", own, t, several=True)
        lines.append(Line(label, t, own, (*look[:2], "solid"), thin=len(own)))
        if label in expected:
            dashed = (look[0], "", DASHES[1])
            lines.append(Line(f"{label}, expected", t, expected[label], dashed, 1.4))
    for label, line in expected.items():
        if label not in shares:
            raise ValueError(f"expected has {label!r}, but shares are of {', '.join(shares)}")
        _check(f"expected[{label!r}]", line, t)
    return picture([Facet(title, lines, ticks=t[:: -(-len(t) // 10)])], inches=3.7, columns=4)


def _check(name: str, values: np.ndarray, t: np.ndarray, several: bool = False) -> None:
    """Raise unless there is a value for each generation, of one chain or of `several`."""
    shape, g = np.shape(values), np.size(t)
    if not g or len(shape) != 1 + several or shape[-1] != g or not shape[0]:
        wanted = f"(chains, {g})" if several else f"({g},)"
        raise ValueError(f"{name} has shape {shape}; it must be {wanted}, with one value at least")


def ellipses(run: "Simulation", chains: int = 3) -> Picture:
    """Draw the first chains of a simulation in the plane of their first two coordinates.

    Their models are ellipses of one standard deviation, later ones darker, joined at the means;
    that of the real data, N(0, I), is grey.

    - `run`: in two dimensions or more, with covariances; six of its generations are drawn.

    Raises ValueError where the covariances or the second dimension are missing.
    """
    figure = Figure(figsize=(WIDTH, 3.8), layout="constrained")
    draw_chains(figure, run, chains)
    return Picture(figure, f"{chains} chains; the first {ellipse_words(*in_the_plane(run, 0))}.")


def draw_chains(target: Figure | SubFigure, run: "Simulation", chains: int = 3) -> None:
    """Draw `ellipses` into a figure or a part of one, all on the same square axes."""
    grid = target.subplots(1, chains, squeeze=False, sharex=True, sharey=True)[0]
    for i, axes in enumerate(grid):
        _draw_ellipses(axes, *in_the_plane(run, i))
        style_axes(axes, "both", f"chain {i + 1}")
    reach = 1.05 * max(float(abs(axes.dataLim.extents).max()) for axes in grid)
    grid[0].set(xlim=(-reach, reach), ylim=(-reach, reach))
    legend(target, grid[0])


def _draw_ellipses(axes: Axes, means: np.ndarray, covariances: np.ndarray, t: np.ndarray) -> None:
    axes.fill(*_CIRCLE, facecolor=GREY, alpha=0.25, label="real data")
    axes.plot(*_CIRCLE, color=GREY, linewidth=1)
    axes.plot(*means.T, color=GREY, linewidth=0.8)
    # The palest end of the map would be lost on white.
    shades = colormaps["cividis_r"](np.linspace(0.2, 1, len(t)))
    named = {0, len(t) // 2, len(t) - 1}
    for i, (mean, covariance, shade) in enumerate(zip(means, covariances, shades, strict=True)):
        variances, directions = np.linalg.eigh(covariance)
        outline = mean[:, None] + directions * np.sqrt(variances.clip(0)) @ _CIRCLE
        label = f"generation {t[i]}" if i in named else None
        axes.plot(*outline, color=shade, linewidth=1.8, label=label)
        axes.plot(*mean, ".", color=shade, markersize=5)
    axes.set_aspect("equal")
    axes.locator_params(nbins=5)


def in_the_plane(run: "Simulation", chain: int, most: int = _ELLIPSES) -> Chain:
    """Return means `(g, 2)`, covariances `(g, 2, 2)` and generations `(g,)` of one chain.

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


def ellipse_words(means: np.ndarray, covariances: np.ndarray, generations: Steps) -> str:
    """Return centre and half-axes, standard deviations, of a chain's first and last ellipse.

    - `means`, `covariances`, `generations`: as `in_the_plane` returns them.
    """
    said = []
    for i in sorted({0, len(generations) - 1}):
        variances = np.linalg.eigvalsh(covariances[i])
        # What rounding leaves of the width of a needle is none.
        short, long = np.sqrt(np.where(variances > 1e-14 * variances[-1], variances, 0))
        x, y = means[i]
        said.append(
            f"in generation {generations[i]} centred at ({x:.2f}, {y:.2f}), half-axes "
            f"{number(long)} and {number(short)}"
        )
    return "; ".join(said)
