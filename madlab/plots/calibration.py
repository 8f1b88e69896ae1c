"""What sampling bias does to one generation: quality against diversity, model by model."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from madlab.metrics.scores import KINDS, score_label
from madlab.plots.lines import Facet, Line, draw_facet, words
from madlab.plots.picture import Picture
from madlab.plots.style import (
    BLACK,
    BLUE,
    DASHES,
    GREEN,
    ORANGE,
    PURPLE,
    SKY,
    VERMILLION,
    WIDTH,
    Look,
    legend,
    stroke,
    style_axes,
)

# Colour, marker and dashes say which model.
_LOOKS: dict[str, Look] = {
    "mixture": (BLUE, "o", "solid"),
    "diffusion": (VERMILLION, "s", DASHES[1]),
    "picked": (ORANGE, "^", DASHES[2]),
    "gaussian": (GREEN, "D", "solid"),
    "coupling": (PURPLE, "v", DASHES[3]),
    "gan": (SKY, "P", DASHES[4]),
    "": (BLACK, "X", DASHES[1]),
}
_PLAIN = KINDS["digits"].shown
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
    found = found.astype(dict.fromkeys(_PLAIN, float))
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
    found = found.drop_duplicates([*place, *_PLAIN])
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


def calibration(records: pd.DataFrame) -> Picture:
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
    groups, chosen, said = blocks(found), looks(found), []
    figure = Figure(figsize=(WIDTH, _BLOCK * len(groups)), layout="constrained")
    parts = figure.subfigures(len(groups), 1, squeeze=False)[:, 0]
    for part, (title, block) in zip(parts, groups.items(), strict=True):
        facets = _facets(block, chosen)
        part.suptitle(title, fontsize=12, x=0.01, ha="left")
        grid = part.add_gridspec(2, 3, width_ratios=(1, 1, 1.75))
        for i, facet in enumerate(facets):
            axes = part.add_subplot(grid[divmod(i, 2)])
            draw_facet(axes, facet)
            if i < len(facets) - 2:
                axes.set_xlabel("")
        draw_plane(part.add_subplot(grid[:, 2]), block, chosen)
        legend(part, part.axes[-1])
        said.append(f"{title}. {words(facets)}")
    return Picture(figure, " ".join(said))


def _facets(block: pd.DataFrame, chosen: Mapping[str, Look]) -> list[Facet]:
    """Return the scores of a block against the bias, or the share kept, one facet a metric."""
    names = {False: "sampling bias λ", True: "share kept"}
    x_name = " or ".join(names[picks] for picks in sorted(block["picks"].unique()))
    facets = []
    for metric in _METRICS:
        lines = [
            Line.of(
                block[block["path"] == path], "strength", metric, "seed", path, look
            ).backwards()
            for path, look in chosen.items()
            if block.loc[block["path"] == path, metric].notna().any()
        ]
        if lines:
            limits = (0, None if metric == "fd" else 1)
            title, span = score_label(metric, block), (0, 1.03)
            facets.append(Facet(title, lines, x_name=x_name, limits=limits, span=span))
    return facets


def blocks(found: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Return the parts of `strengths` that can share axes, by a title that says which they are."""
    groups = {}
    for (features, n), block in found.groupby(["features", "n_evaluate"]):
        kind = str(features).split("-")[0]
        groups[f"{_KINDS.get(kind, f'features {kind}')}; {n:,} samples"] = block
    return groups


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
        axes.plot(*at.T, label=path, **stroke(chosen[path]))
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
    axes.set_xlabel(score_label("recall"), fontsize=10)
    axes.set_ylabel(score_label("precision"), fontsize=10)
    axes.set_xlim(left, 1)
    # Room for names above a precision of 1.
    axes.set_ylim(bottom, 1 + 0.06 * (1 - bottom))
    axes.set_yticks([tick for tick in axes.get_yticks() if bottom <= tick < 1.001])
    style_axes(axes, "both", "quality against diversity")


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
