"""What sampling bias does to one generation: quality against diversity, model by model."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure

from madlab.plots.colours import (
    BLACK,
    BLUE,
    GREEN,
    ORANGE,
    PURPLE,
    SKY,
    VERMILLION,
    WIDTH,
)
from madlab.plots.dress import dress
from madlab.plots.lines import METRICS, Dash, metric_label, number

Look = tuple[str, str, Dash]

# Colour, marker and dashes say which model.
_LOOKS: dict[str, Look] = {
    "mixture": (BLUE, "o", "solid"),
    "diffusion": (VERMILLION, "s", (0, (5, 2))),
    "picked": (ORANGE, "^", (0, (1.2, 1.6))),
    "gaussian": (GREEN, "D", "solid"),
    "coupling": (PURPLE, "v", (0, (7, 2, 1.2, 2))),
    "gan": (SKY, "P", (0, (3, 1.5, 1.2, 1.5, 1.2, 1.5))),
    "": (BLACK, "X", (0, (5, 2))),
}
_METRICS = ("precision", "recall", "fd", "read")
_KINDS = {"lenet": "Digits, on LeNet features", "points": "Points, on their coordinates"}
_BLOCK = 3.9
_SIDES: dict[str, dict[str, Any]] = {
    "above": {"xytext": (0, 7), "ha": "center", "va": "bottom"},
    "below": {"xytext": (0, -7), "ha": "center", "va": "top"},
    "right": {"xytext": (8, 0), "ha": "left", "va": "center"},
}


def strengths(records: pd.DataFrame) -> pd.DataFrame:
    """Return the records of generation 1 with three more columns, `path`, `strength` and `picks`.

    - `records`: rows as `Chain.records()` gives them, of any models. Two more columns may be
      there: `kept`, the per cent of its samples that a picked model keeps (missing where nothing
      is picked), and `label`, which names a path in place of its model.

    `path` names the curve that a row belongs to; `strength`, in (0, 1], says how far along: the
    share kept where `kept` is given (`picks` is then True), else the sampling bias.

    Raises ValueError for records without generation 1, for a `kept` outside (0, 100], and where
    two unequal records claim the same place on the same path.
    """
    found = records[records["generation"] == 1].copy()
    if not len(found):
        raise ValueError("there are no records of generation 1 to draw: run a chain first")
    found = found.astype(dict.fromkeys(METRICS, float))
    kept = found["kept"].astype(float) if "kept" in found else pd.Series(np.nan, found.index)
    wrong = kept[kept.notna() & ~kept.between(0, 100, inclusive="right")]
    if len(wrong):
        raise ValueError(f"kept is {wrong.iloc[0]:g}; it is a percentage above 0, at most 100")
    found["path"] = found["model"].astype(str)
    if "label" in found:
        found["path"] = found["path"].where(found["label"].isna(), found["label"].astype(str))
    found["strength"] = found["bias"].astype(float).where(kept.isna(), kept / 100)
    found["picks"] = kept.notna()
    place = ["features", "n_evaluate", "path", "seed", "strength"]
    # All loops share generation 1, so the same scores may come several times.
    found = found.drop_duplicates([*place, *METRICS])
    twice = found[found.duplicated(place)]
    if len(twice):
        row = twice.iloc[0]
        raise ValueError(
            f"two records of {row['path']} have strength {row['strength']:g} and seed "
            f"{row['seed']} but other scores: they come from other sizes or settings. Draw chosen "
            "chains only, or give the records a column 'label' or 'kept' that tells them apart"
        )
    return found.sort_values(["path", "strength"]).reset_index(drop=True)


def looks(found: pd.DataFrame) -> dict[str, Look]:
    """Return colour, marker and dashes of every path of `strengths`, in legend order."""
    chosen: dict[str, Look] = {}
    models = found.groupby("path")["model"].first()
    # Models before labelled variants of them, which take what is left.
    for path in sorted(models.index, key=lambda path: (path != models[path], path)):
        wanted = [_LOOKS.get(str(models[path]), _LOOKS[""]), *_LOOKS.values()]
        free = [look for look in wanted if look not in chosen.values()]
        chosen[str(path)] = (free or wanted)[0]
    return chosen


def calibration(records: pd.DataFrame) -> Figure:
    """Draw what sampling bias, or cherry-picking, does to generation 1 of every model.

    One block for each kind of features and number of samples, since no axis can hold two of them.
    On its left precision, recall, Frechet distance and read share against the bias (or the share
    kept), on its right precision against recall, one path a model. Several seeds become a band
    from their least to their greatest value and a line of their mean.

    Sets of points differ in their units: their shares compare, each being taken against its own
    held-out set, but their Frechet distances do so along a path only.

    - `records`: as for `strengths`, which says what is refused.
    """
    found = strengths(records)
    groups = blocks(found)
    figure = Figure(figsize=(WIDTH, _BLOCK * len(groups)), layout="constrained")
    parts = figure.subfigures(len(groups), 1, squeeze=False)[:, 0]
    chosen = looks(found)
    for part, (title, block) in zip(parts, groups.items(), strict=True):
        _draw_block(part, title, block, chosen)
    return figure


def blocks(found: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Return the parts of `strengths` that can share axes, by a title that says which they are."""
    groups = {}
    for (features, n), block in found.groupby(["features", "n_evaluate"]):
        kind = str(features).split("-")[0]
        groups[f"{_KINDS.get(kind, f'features {kind}')}; {n:,} samples"] = block
    return groups


def _draw_block(
    target: SubFigure, title: str, block: pd.DataFrame, chosen: Mapping[str, Look]
) -> None:
    target.suptitle(title, fontsize=12, x=0.01, ha="left")
    grid = target.add_gridspec(2, 3, width_ratios=(1, 1, 1.75))
    cells = [(row, column) for row in range(2) for column in range(2)]
    drawn = [metric for metric in _METRICS if block[metric].notna().any()]
    for metric, cell in zip(drawn, cells, strict=False):
        axes = target.add_subplot(grid[cell])
        _draw_metric(axes, block, metric, chosen)
        if cell[0] or len(drawn) < 3:
            axes.set_xlabel(_turned(block), fontsize=10)
    draw_plane(target.add_subplot(grid[:, 2]), block, chosen)
    handles, names = target.axes[-1].get_legend_handles_labels()
    target.legend(
        handles,
        names,
        loc="outside lower center",
        ncols=4,
        fontsize=9,
        frameon=False,
        handlelength=4,
    )


def _turned(block: pd.DataFrame) -> str:
    names = {False: "sampling bias λ", True: "share kept"}
    return " or ".join(names[picks] for picks in sorted(block["picks"].unique()))


def _draw_metric(axes: Axes, block: pd.DataFrame, metric: str, chosen: Mapping[str, Look]) -> None:
    for path, look in chosen.items():
        over = block[block["path"] == path].groupby("strength")[metric]
        if not len(over) or over.mean().isna().all():
            continue
        low, high = over.min(), over.max()
        axes.fill_between(low.index, low, high, color=look[0], alpha=0.15, linewidth=0)
        axes.plot(over.mean().index, over.mean(), **_stroke(look))
    axes.set_title(metric_label(metric, block), fontsize=10, loc="left")
    axes.set_xlim(0, 1.03)
    axes.set_ylim(0, max(1.05 * axes.get_ylim()[1], 1e-9) if metric == "fd" else 1)
    dress(axes, "both")


def draw_plane(
    axes: Axes,
    found: pd.DataFrame,
    chosen: Mapping[str, Look],
    marked: tuple[str, float] | None = None,
) -> None:
    """Draw precision against recall, one path for each model, its points named by strength.

    - `found`: rows of `strengths` that share features and number of samples.
    - `chosen`: the `looks` of a table that holds these rows.
    - `marked`: path and strength of the point that gets a ring, and alone a name.
    """
    # A plane has no base line: its axes begin where the paths do, but show a fifth at least.
    ways = {path: _way(found, path) for path in chosen if (found["path"] == path).any()}
    least = np.min([at.min(0) for _, at in ways.values()], axis=0)
    left, bottom = np.clip(0.1 * np.floor(10 * least - 0.3), 0, 0.8).tolist()
    for count, (path, (strength, at)) in enumerate(ways.items()):
        axes.plot(*at.T, label=path, **_stroke(chosen[path]))
        named = _apart(at, 0.07 * np.array([1 - left, 1 - bottom]))
        if marked is not None:
            named = np.flatnonzero(strength == marked[1]).tolist() if path == marked[0] else []
        picks = found.loc[found["path"] == path, "picks"].any()
        wide, high = np.ptp(at, axis=0) / (1 - left, 1 - bottom)
        # Names of one path lie above it, those of the next below; those of a steep one beside it.
        side = "right" if high > wide else "below" if count % 2 else "above"
        for i in named:
            axes.annotate(
                f"{100 * strength[i]:.3g}%" if picks else f"{strength[i]:.3g}",
                (at[i, 0], at[i, 1]),
                textcoords="offset points",
                **_SIDES[side],
                fontsize=8,
                color=chosen[path][0],
                annotation_clip=False,
            )
            if marked is not None:
                x, y = at[i]
                ring = axes.plot(x, y, "o", color=BLACK, clip_on=False)[0]
                ring.set(markersize=15, markerfacecolor="none", markeredgewidth=2)
    axes.set_title("quality against diversity", fontsize=11, loc="left")
    axes.set_xlabel(METRICS["recall"], fontsize=10)
    axes.set_ylabel(METRICS["precision"], fontsize=10)
    axes.set_xlim(left, 1)
    # Room for names above a precision of 1.
    axes.set_ylim(bottom, 1 + 0.06 * (1 - bottom))
    axes.set_yticks([tick for tick in axes.get_yticks() if bottom <= tick < 1.001])
    dress(axes, "both")


def _way(found: pd.DataFrame, path: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the strengths of a path `(n,)`, and recall and precision there `(n, 2)`."""
    means = found[found["path"] == path].groupby("strength")[["recall", "precision"]].mean()
    return means.index.to_numpy(), means.to_numpy()


def _apart(at: np.ndarray, least: np.ndarray) -> list[int]:
    """Return both ends of a path, then those points that lie apart from all returned before.

    - `at`: float64 `(n, 2)`; `least`: float64 `(2,)`, the distance in one or the other direction.
    """
    found: list[int] = []
    for i in [len(at) - 1, *range(len(at) - 1)]:
        if (abs(at[found] - at[i]) > least).any(1).all():
            found.append(i)
    return found


def _stroke(look: Look) -> dict[str, Any]:
    colour, marker, dash = look
    return {
        "color": colour,
        "linestyle": dash,
        "linewidth": 1.8,
        "marker": marker,
        "markersize": 5.5,
        "markeredgecolor": "white",
        "markeredgewidth": 0.6,
        # Markers at 0 and at 1 stay whole.
        "clip_on": False,
    }


def describe_calibration(
    records: pd.DataFrame, metrics: Sequence[str] = ("precision", "recall", "fd", "read")
) -> str:
    """Return in words what `calibration` shows: the two ends of every path, mean over seeds."""
    found = strengths(records)
    said = []
    for title, block in blocks(found).items():
        parts = []
        for path in looks(found):
            own = block[block["path"] == path]
            if own.empty:
                continue
            shown = [metric for metric in metrics if own[metric].notna().all()]
            means = own.groupby("strength")[shown].mean().sort_index(ascending=False)
            top, bottom = means.iloc[0], means.iloc[-1]
            scores = ", ".join(
                f"{metric_label(metric, block).split(' (')[0]} {number(top[metric])} to "
                f"{number(bottom[metric])}"
                for metric in shown
            )
            turned = "share kept" if own["picks"].any() else "λ"
            parts.append(
                f"{path}, {turned} {means.index[0]:.3g} to {means.index[-1]:.3g}: {scores}"
            )
        said.append(f"{title}: {'; '.join(parts)}.")
    return " ".join(said)
