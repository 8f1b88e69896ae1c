"""What sampling bias does to one generation: quality against diversity, model by model."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from madlab.metrics.scores import KINDS, score_label, scored_on
from madlab.plots import style
from madlab.plots.curves import check_once, score_facets
from madlab.plots.lines import Facet, draw_facet, words
from madlab.plots.picture import Picture
from madlab.plots.style import BLACK, DASHES, WIDTH, Look, legend, stroke, style_axes

# Colour, marker and dashes say which model.
_LOOKS: dict[str, Look] = {
    "mixture": (style.BLUE, "o", "solid"),
    "diffusion": (style.VERMILLION, "s", DASHES[1]),
    "picked": (style.ORANGE, "^", DASHES[2]),
    "gaussian": (style.GREEN, "D", "solid"),
    "coupling": (style.PURPLE, "v", DASHES[3]),
    "gan": (style.SKY, "P", DASHES[4]),
    "": (BLACK, "X", DASHES[1]),
}
_PLAIN = KINDS["digits"].shown
_METRICS = ("precision", "recall", "fd", "read")
# Where the name of a point stands: offset in points, and how it is aligned.
_ABOVE: dict[str, Any] = {"xytext": (0, 7), "ha": "center", "va": "bottom"}
_BELOW: dict[str, Any] = {"xytext": (0, -7), "ha": "center", "va": "top"}
_RIGHT: dict[str, Any] = {"xytext": (8, 0), "ha": "left", "va": "center"}


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
    found = records[records["generation"] == 1].astype(dict.fromkeys(_PLAIN, float))
    if not len(found):
        raise ValueError("there are no records of generation 1 to draw: run a chain first")
    kept = found.get("kept", pd.Series(np.nan, found.index)).astype(float)
    wrong = kept[kept.notna() & ~kept.between(0, 100, inclusive="right")]
    if len(wrong):
        raise ValueError(f"kept is {wrong.iloc[0]:g}; it is a percentage above 0, at most 100")
    found["path"] = found.get("label", found["model"]).combine_first(found["model"]).astype(str)
    found["strength"] = (kept / 100).combine_first(found["bias"].astype(float))
    found["picks"] = kept.notna()
    place = ["features", "n_evaluate", "path", "strength"]
    # All loops share generation 1, so the same scores may come several times.
    found = found.drop_duplicates([*place, "seed", *_PLAIN])
    check_once(found, "of {path}, strength {strength:g}, seed {seed}, with other scores", *place)
    return found.sort_values(["path", "strength"]).reset_index(drop=True)


def looks(found: pd.DataFrame) -> dict[str, Look]:
    """Return colour, marker and dashes of every path of `strengths`, in legend order."""
    chosen: dict[str, Look] = {}
    models = found.groupby("path")["model"].first().astype(str)
    # Models before labelled variants of them, which take what is left.
    for path in sorted(models.index, key=lambda path: (path != models[path], path)):
        own = _LOOKS.get(models[path], _LOOKS[""])
        free = (look for look in (own, *_LOOKS.values()) if look not in chosen.values())
        chosen[path] = next(free, own)
    return chosen


def calibration(records: pd.DataFrame) -> Picture:
    """Draw what sampling bias, or cherry-picking, does to generation 1 of every model.

    One block for each kind of features and number of samples, since no axis can hold two of them.
    On its left precision, recall, Frechet distance and read share against the bias (or the share
    kept), on its right precision against recall, one path a model. Several seeds become a band.

    Sets of points differ in their units: their shares compare, each being taken against its own
    held-out set, but their Frechet distances do so along a path only.

    - `records`: as for `strengths`, which says what is refused.
    """
    found = strengths(records)
    groups, chosen, said = blocks(found), looks(found), []
    figure = Figure(figsize=(WIDTH, 3.9 * len(groups)), layout="constrained")
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
    names = {False: "sampling bias λ", True: "share kept"}
    x_name = " or ".join(names[picks] for picks in sorted(block["picks"].unique()))
    x: dict[str, Any] = {"x_name": x_name, "span": (0, 1.03)}
    return score_facets(block, "strength", _METRICS, "path", chosen, {}, backwards=True, **x)


def blocks(found: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Return the parts of `strengths` that can share axes, by a title that says which they are."""
    groups = found.groupby(["features", "n_evaluate"])
    return {f"{scored_on(block)}; {n:,} samples": block for (_, n), block in groups}


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
    means = found.groupby(["path", "strength"])[["recall", "precision", "picks"]].mean()
    least = means[["recall", "precision"]].min().to_numpy()
    left, bottom = np.clip(0.1 * np.floor(10 * least - 0.3), 0, 0.8).tolist()
    for count, path in enumerate(path for path in chosen if path in means.index):
        own = means.loc[path]
        strength, at, picks = own.index, own.to_numpy()[:, :2], own["picks"].any()
        axes.plot(*at.T, label=path, **stroke(chosen[path]))
        named = _apart(at, 0.07 * np.array([1 - left, 1 - bottom]))
        if marked is not None:
            named = np.flatnonzero(strength == marked[1]).tolist() if path == marked[0] else []
        wide, high = np.ptp(at, axis=0) / (1 - left, 1 - bottom)
        # Names of one path lie above it, those of the next below; those of a steep one beside it.
        beside = _RIGHT if high > wide else _BELOW if count % 2 else _ABOVE
        look = {**beside, "textcoords": "offset points", "annotation_clip": False}
        for i in named:
            name = f"{100 * strength[i]:.3g}%" if picks else f"{strength[i]:.3g}"
            axes.annotate(name, at[i], color=chosen[path][0], fontsize=8, **look)
            if marked is not None:
                axes.plot(*at[i], "o", ms=15, mfc="none", mec=BLACK, mew=2, clip_on=False)
    axes.set(xlabel=score_label("recall"), ylabel=score_label("precision"))
    # Room for names above a precision of 1.
    axes.set(xlim=(left, 1), ylim=(bottom, 1 + 0.06 * (1 - bottom)))
    axes.set_yticks([tick for tick in axes.get_yticks() if bottom <= tick < 1.001])
    style_axes(axes, "both", "quality against diversity")


def _apart(at: np.ndarray, least: np.ndarray) -> list[int]:
    """Return both ends of a path, then the points that lie `least` apart from all returned."""
    found: list[int] = []
    for i in [len(at) - 1, *range(len(at) - 1)]:
        if (abs(at[found] - at[i]) > least).any(1).all():
            found.append(i)
    return found
