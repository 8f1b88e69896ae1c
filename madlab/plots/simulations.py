"""Many chains at once: fans, settling, modes beside neutral drift, tails, and ellipses."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure

from madlab.plots import style
from madlab.plots.lines import Facet, Line, number, picture, words
from madlab.plots.picture import Picture

if TYPE_CHECKING:
    from madlab.theory import Simulation

Curves = Mapping[str, np.ndarray]
Steps = Sequence[int] | np.ndarray

_THEORY: dict[str, style.Dash] = {"mean, theory": (0, (4, 2)), "median, theory": (0, (1, 1.2))}
_RED: style.Look = (style.VERMILLION, "", "solid")
_CIRCLE = np.stack([f(np.linspace(0, 2 * np.pi, 100)) for f in (np.cos, np.sin)])


def fans(
    generations: Steps,
    values: Curves,
    theory: Mapping[str, Curves] | None = None,
    *,
    log: bool = False,
) -> Picture:
    """Draw a fan for each title, side by side.

    - `values`, `theory`: those of `fan` by title; the rest, and what is raised, as for `fan`.
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
    t, named = np.asarray(generations), title or "a fan"
    values = _fitting(named, values, t)
    if not np.isfinite(values).all() or np.min(values) < 0:
        raise ValueError(f"{named} has numbers below 0 or not finite: a fan is of squares only")
    bands = {"90% of chains": (0.05, 0.95), "half of chains": (0.25, 0.75)}
    spread = {name: np.quantile(values, ends, axis=0) for name, ends in bands.items()}
    lines = [
        Line("median", t, values, _RED, 2.6, "median", "chains", band=None, spread=spread, thin=3),
        Line("mean", t, values, (style.BLUE, "", "-."), unit="chains", band=None),
    ]
    for name, curve in (theory or {}).items():
        look = (style.BLACK, "", _THEORY.get(name, style.DASHES[4]))
        lines.append(Line(name, t, _fitting(f"theory {name!r}", curve, t, axes=1), look, 1.2))
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

    - `lines`: by label; `limits`: by label, values drawn as grey lines across.

    Raises ValueError for more lines than can be told apart.
    """
    drawn = [
        Line(label, *lines[label], look, band=("se", 2), unit="chains")
        for label, look in style.distinct(lines).items()
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
    t, law, dashed = found.generations, "neutral drift, mean", (style.BLUE, "", style.DASHES[1])
    _fitting("generations", t, t, axes=1)
    neutral = _fitting("neutral_alive", found.neutral_alive, t)
    band = {"neutral drift, 90% of simulations": np.quantile(neutral, (0.05, 0.95), axis=0)}
    alive = Line(law, t, neutral.mean(0), dashed, spread=band)
    differ = Line(law, t, _fitting("neutral_differ", found.neutral_differ, t, axes=1), dashed)
    sides = {
        "alive": ("modes alive", alive, None),
        "differ": ("chance that two samples differ in mode", differ, 1),
    }
    facets = []
    for field, (title, drifting, top) in sides.items():
        own = _fitting(field, getattr(found, field), t)
        mixture = Line("mixture, mean", t, own, _RED, band=None, unit="chains", thin=len(own))
        facets.append(Facet(title, [drifting, mixture], limits=(0, top)))
    return picture(facets, inches=3.7, columns=4)


def tails(generations: np.ndarray, shares: Curves, expected: Curves | None = None) -> Picture:
    """Draw the share of samples in the tails against the generation, one look a label.

    Several seeds are thin lines in a band, their mean a thick line with markers.

    - `generations`: `(g,)`; `shares`: by label, of |x| > 2, `(seeds, g)`; the first six are drawn.
    - `expected`: by label, `(g,)`, drawn dashed in the same colour.

    Raises ValueError where there is nothing to draw and for what does not fit.
    """
    t, expected = np.asarray(generations), expected or {}
    if not shares or not t.size:
        raise ValueError("there are no shares to draw: give one label and one generation at least")
    if alone := set(expected) - set(shares):
        raise ValueError(f"expected has {alone.pop()!r}, but shares are of {', '.join(shares)}")
    lines = []
    for label, (colour, marker, _) in zip(shares, style.LOOKS, strict=False):
        own = _fitting(f"the share of {label!r}", shares[label], t)
        lines.append(Line(label, t, own, (colour, marker, "solid"), thin=len(own)))
        if label in expected:
            law = _fitting(f"expected[{label!r}]", expected[label], t, axes=1)
            dashed = (colour, "", style.DASHES[1])
            lines.append(Line(f"{label}, expected", t, law, dashed, 1.4))
    facet = Facet("share with |x| > 2", lines, ticks=t[:: -(-len(t) // 10)])
    return picture([facet], inches=3.7, columns=4)


def _fitting(name: str, values: Any, t: np.ndarray, axes: int = 2) -> np.ndarray:
    """Return `(chains, g)`, or `(g,)` of one axis; raise unless each generation has a value."""
    found, g = np.asarray(values), t.size
    if not found.size or found.ndim != axes or found.shape[-1] != g:
        wanted = f"({g},)" if axes == 1 else f"(chains, {g})"
        raise ValueError(
            f"{name} has shape {found.shape}; it must be {wanted}, with one value at least"
        )
    return found


def ellipses(run: "Simulation") -> Picture:
    """Draw the first three chains of a simulation in the plane of their first two coordinates.

    Their models are ellipses of one standard deviation, later ones darker, joined at the means;
    that of the real data, N(0, I), is grey.

    - `run`: in two dimensions or more, with covariances; six of its generations are drawn.

    Raises ValueError where the covariances or the second dimension are missing.
    """
    figure = Figure(figsize=(style.WIDTH, 3.8), layout="constrained")
    draw_chains(figure, run)
    alt = f"{len(figure.axes)} chains; the first {ellipse_words(*in_the_plane(run, 0))}."
    return Picture(figure, alt)


def draw_chains(target: Figure | SubFigure, run: "Simulation") -> None:
    """Draw `ellipses` into a figure or a part of one, all on the same square axes."""
    chains = min(3, len(run.means))
    grid = style.places(target, chains, chains, sharex=True, sharey=True)
    for i, axes in enumerate(grid):
        _draw_ellipses(axes, *in_the_plane(run, i))
        style.style_axes(axes, "both", f"chain {i + 1}")
    reach = 1.05 * max(float(np.abs(axes.dataLim.extents).max()) for axes in grid)
    grid[0].set(xlim=(-reach, reach), ylim=(-reach, reach))
    style.legend(target, grid[0])


def _draw_ellipses(axes: Axes, means: np.ndarray, covariances: np.ndarray, t: np.ndarray) -> None:
    axes.fill(*_CIRCLE, facecolor=style.GREY, alpha=0.25, label="real data")
    axes.plot(*_CIRCLE, color=style.GREY, linewidth=1)
    axes.plot(*means.T, color=style.GREY, linewidth=0.8)
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


def in_the_plane(run: "Simulation", chain: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return means `(g, 2)`, covariances `(g, 2, 2)` and generations `(g,)` of one chain.

    - `run`: as for `ellipses`; g is six at most, with the first and the last generation.
    """
    dimensions, covariances = run.means.shape[-1], run.covariances
    if covariances is None or dimensions < 2:
        raise ValueError(
            f"the run has {dimensions} dimensions and {'no' if covariances is None else 'its'} "
            "covariances; ellipses need two dimensions and covariances=True"
        )
    g = len(run.generations)
    at = np.unique(np.linspace(0, g - 1, min(g, 6)).round().astype(int))
    return run.means[chain, at, :2], covariances[chain, at, :2, :2], run.generations[at]


def ellipse_words(means: np.ndarray, covariances: np.ndarray, generations: Steps) -> str:
    """Return centre and half-axes of a chain's first and last ellipse, as of `in_the_plane`."""
    said = []
    for i in sorted({0, len(generations) - 1}):
        variances = np.linalg.eigvalsh(covariances[i])
        # What rounding leaves of the width of a needle is none.
        short, long = np.sqrt(np.where(variances > 1e-14 * variances[-1], variances, 0))
        where = "({:.2f}, {:.2f})".format(*means[i])
        half = f"half-axes {number(long)} and {number(short)}"
        said.append(f"in generation {generations[i]} centred at {where}, {half}")
    return "; ".join(said)
