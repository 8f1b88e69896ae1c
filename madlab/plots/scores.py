"""What scores say of damaged digits and of small samples, and the balls that they rest on."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import PatchCollection
from matplotlib.figure import Figure, SubFigure
from matplotlib.patches import Circle

from madlab.plots.colours import (
    BLACK,
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    PURPLE,
    SKY,
    VERMILLION,
    WIDTH,
)
from madlab.plots.dress import dress
from madlab.plots.lines import METRICS, metric_label, number
from madlab.plots.points import check_points
from madlab.plots.sheets import draw_sheet

LOOKS = {
    "drop": (VERMILLION, "o"),
    "shrink": (BLUE, "s"),
    "shift": (GREEN, "^"),
    "duplicate": (PURPLE, "D"),
    "noise": (ORANGE, "v"),
}
_SIZES = ((BLACK, "o", "-"), (VERMILLION, "s", "--"), (BLUE, "^", ":"), (GREEN, "D", "-."))
_SHARES = ("precision", "recall", "read", "coverage")
_OTHER = (SKY, "P")


def draw_damage(target: Figure | SubFigure, curve: pd.DataFrame, strength: float) -> None:
    """Draw the six scores of one damage against its strength, with a dot at `strength`.

    - `curve`: a row a strength, which is among them: columns `damage`, `strength`, `features` and
      the scores. The scores at strength 0 are drawn as grey lines.
    """
    now = curve[curve["strength"] == strength].iloc[0]
    for axes, metric in zip(target.subplots(2, 3).ravel(), METRICS, strict=True):
        _draw_damage(axes, curve, metric)
        axes.plot(strength, now[metric], "o", ms=12, mfc="none", mec=BLACK, clip_on=False)
        name = _label(metric, curve)
        axes.set_title(f"{name} {number(now[metric])}", fontsize=11, loc="left", pad=9)
        _limit(axes, metric, curve)
    target.supxlabel("strength of the damage (grey: undamaged)", fontsize=10)


def draw_damages(
    figure: Figure, curves: pd.DataFrame, pictures: Mapping[str, np.ndarray] | None = None
) -> None:
    """Draw a contact sheet: a row a damage, a column a score, each against the strength.

    - `curves`: as for `draw_damage`, of several damages.
    - `pictures`: ten damaged images of each, shown before its row.
    """
    names = list(dict.fromkeys(curves["damage"]))
    ratios = [1.5] + [1.0] * len(METRICS)
    grid = figure.subplots(len(names), 1 + len(METRICS), squeeze=False, width_ratios=ratios)
    for name, (first, *line) in zip(names, grid, strict=True):
        if pictures is None:
            first.set_axis_off()
        else:
            draw_sheet(first, pictures[name], columns=5)
            first.set(xticks=[], yticks=[])
        first.set_title(name, fontsize=10, loc="left")
        for axes, metric in zip(line, METRICS, strict=True):
            _draw_damage(axes, curves[curves["damage"] == name], metric)
            _limit(axes, metric, curves)
            axes.tick_params(labelsize=8)
            axes.set_xticks([0, 1])
            if metric in _SHARES:
                axes.set_yticks([0, 0.5, 1])
            if name == names[0]:
                axes.set_title(_label(metric, curves), fontsize=10, loc="left")
            if name != names[-1]:
                axes.set_xticklabels([])
    figure.supxlabel("strength of the damage (grey: undamaged)", fontsize=10)


def _draw_damage(axes: Axes, curve: pd.DataFrame, metric: str) -> None:
    curve = curve.sort_values("strength")
    colour, marker = LOOKS.get(curve["damage"].iloc[0], _OTHER)
    axes.axhline(curve[metric].iloc[0], color=GREY, linewidth=1)
    axes.plot(
        curve["strength"],
        curve[metric],
        color=colour,
        marker=marker,
        linewidth=1.6,
        markersize=5,
        markeredgecolor="white",
        markeredgewidth=0.5,
        clip_on=False,
    )
    axes.set_xlim(-0.03, 1.03)
    dress(axes)


def describe_damages(curves: pd.DataFrame) -> str:
    """Return in words what `draw_damages` shows: the scores undamaged, and at the last strength."""
    start = curves.sort_values("strength").iloc[0]
    last = curves[curves["strength"] == curves["strength"].max()]
    said = [f"{row['damage']} {_scores(row, curves)}" for _, row in last.iterrows()]
    return (
        f"Undamaged: {_scores(start, curves)}. "
        f"At strength {curves['strength'].max():g}: {'; '.join(said)}."
    )


def describe_damage(curve: pd.DataFrame, strength: float) -> str:
    """Return in words what `draw_damage` shows: the scores at `strength`, and undamaged."""
    now = curve[curve["strength"] == strength].iloc[0]
    start = curve.sort_values("strength").iloc[0]
    return f"{_scores(now, curve)}; undamaged {_scores(start, curve)}."


def _scores(row: pd.Series, table: pd.DataFrame) -> str:
    return ", ".join(f"{_label(metric, table)} {number(row[metric])}" for metric in METRICS)


def _label(metric: str, table: pd.DataFrame) -> str:
    return metric_label(metric, table).split(" (")[0]


def size_curves(scores: pd.DataFrame) -> Figure:
    """Draw scores against the size of the samples: means, with bands from least to greatest.

    - `scores`: rows as `madlab.metrics.subsample_scores` gives them; a column `label`, where there
      is one, names the sets, at most four. A score that is missing is left out.

    Raises ValueError for more than four labels, and for scores on different features.
    """
    looks = sorted(set(scores["features"]))
    if len(looks) > 1:
        raise ValueError(f"scores on {' and '.join(looks)} cannot share an axis: select one")
    figure = Figure(figsize=(WIDTH, 5.2), layout="constrained")
    for axes, metric in zip(figure.subplots(2, 3).ravel(), METRICS, strict=True):
        for (name, own), look in zip(_by_label(scores), _SIZES, strict=False):
            colour, marker, dash = look
            over = own.dropna(subset=[metric]).groupby("n")[metric]
            if not len(over):
                continue
            mean = over.mean()
            axes.fill_between(
                mean.index, over.min(), over.max(), color=colour, alpha=0.15, linewidth=0
            )
            axes.plot(
                *(mean.index, mean, dash),
                color=colour,
                marker=marker,
                ms=5,
                label=name,
                clip_on=False,
            )
        sizes = sorted(scores["n"].unique())
        axes.set_xscale("log")
        axes.minorticks_off()
        dress(axes)
        axes.set_xticks(sizes, [f"{n:,}" for n in sizes], fontsize=8)
        axes.set_title(_label(metric, scores), fontsize=11, loc="left")
        _limit(axes, metric, scores)
    for axes in figure.axes[3:]:
        axes.set_xlabel("n, samples of each kind", fontsize=10)
    drawn, names = figure.axes[0].get_legend_handles_labels()
    if len(names) > 1:
        figure.legend(drawn, names, loc="outside lower center", ncols=4, fontsize=9, frameon=False)
    return figure


def describe_sizes(scores: pd.DataFrame) -> str:
    """Return in words what `size_curves` shows: mean scores at the least and the greatest n."""
    said = []
    for name, own in _by_label(scores):
        low, high = own["n"].min(), own["n"].max()
        first, last = own[own["n"] == low], own[own["n"] == high]
        parts = [
            f"{_label(metric, scores)} {number(first[metric].mean())} to "
            f"{number(last[metric].mean())}"
            for metric in METRICS
            if own[metric].notna().any()
        ]
        said.append(f"{name}, n = {low:,} to {high:,}: {', '.join(parts)}")
    return f"Scores against the size of the samples. {'; '.join(said)}."


def _by_label(scores: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    if "label" not in scores:
        return [("samples", scores)]
    found = scores.groupby("label", sort=False)
    if len(found) > len(_SIZES):
        raise ValueError(f"there are {len(found)} labels; at most {len(_SIZES)} can be told apart")
    return [(str(name), own) for name, own in found]


def balls(real: np.ndarray, synthetic: np.ndarray, k: int = 5) -> Figure:
    """Draw what precision and recall ask: which points lie in balls around the other set's.

    - `real`, `synthetic`: points `(n, 2)` and `(m, 2)`; `k` < n, m: the neighbour that a ball
      reaches to. Points inside at least one ball are filled, the others hollow.

    Raises TypeError for anything but points in the plane, ValueError for k that does not fit.
    """
    # Here, because it loads torch, which no other picture needs.
    from madlab.metrics.neighbours import squared_radii

    sides = (
        (check_points(real), "real", BLUE, "s"),
        (check_points(synthetic), "synthetic", VERMILLION, "o"),
    )
    figure = Figure(figsize=(WIDTH, 4.2), layout="constrained")
    left, right = figure.subplots(1, 2, sharex=True, sharey=True)
    for axes, name, (centres, points) in (
        (left, "precision", sides),
        (right, "recall", sides[::-1]),
    ):
        _draw_balls(axes, centres, np.sqrt(squared_radii(centres[0], k)), points, name)
    return figure


_Side = tuple[np.ndarray, str, str, str]


def _draw_balls(axes: Axes, centres: _Side, radii: np.ndarray, points: _Side, name: str) -> None:
    middle, kind, colour, marker = centres
    asked, other, ink, sign = points
    discs = [Circle((x, y), r) for (x, y), r in zip(middle, radii, strict=True)]
    axes.add_collection(PatchCollection(discs, facecolor=colour, edgecolor=colour, alpha=0.1))
    axes.plot(*middle.T, marker, ms=3, color=colour, label=f"{kind}, with balls")
    apart = np.linalg.norm(middle[:, None] - asked[None], axis=2)
    inside = (apart <= radii[:, None]).any(0)
    axes.plot(*asked[inside].T, sign, ms=6, color=ink, label=f"{other}, inside a ball")
    axes.plot(*asked[~inside].T, sign, ms=6, mfc="none", mec=ink, label=f"{other}, outside")
    share = f"{name}: {inside.sum()} of {len(inside)} {other} points inside"
    axes.set_title(share, fontsize=11, loc="left")
    axes.set_aspect("equal")
    dress(axes, None)
    axes.legend(fontsize=8, frameon=False, loc="upper center", bbox_to_anchor=(0.5, -0.08), ncols=3)


def _limit(axes: Axes, metric: str, table: pd.DataFrame) -> None:
    """Let an axis start at zero, and a share's end at one."""
    top = 1.0 if metric in _SHARES else max(1.05 * float(table[metric].max()), 1e-9)
    axes.set_ylim(0, top)
