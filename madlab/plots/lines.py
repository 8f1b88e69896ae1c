"""Curves of scores against the generation, in one visual language."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure

from madlab.plots.colours import (
    BLACK,
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    PALE,
    PURPLE,
    SKY,
    VERMILLION,
    WIDTH,
)

if TYPE_CHECKING:
    from madlab.metrics import AnyScores

Dash = tuple[int, tuple[float, ...]] | str

# Colour and marker say which loop, the line style says which bias (and model or label). Where all
# lines are of one loop, colour and marker say what the line style says.
LOOPS: dict[str, tuple[str, str]] = {
    "fully synthetic": (VERMILLION, "o"),
    "synthetic augmentation": (BLUE, "s"),
    "fresh data": (GREEN, "^"),
}
_OTHER_LOOPS = ((PURPLE, "D"), (ORANGE, "v"), (SKY, "P"), (BLACK, "X"))
_DASHES: tuple[Dash, ...] = (
    "solid",
    (0, (5, 2)),
    (0, (1.2, 1.6)),
    (0, (7, 2, 1.2, 2)),
    (0, (3, 1.5, 1.2, 1.5, 1.2, 1.5)),
)

METRICS = {
    "fd": "Fréchet distance",
    "precision": "precision (quality)",
    "recall": "recall (diversity)",
    "read": "read share",
    "density": "density",
    "coverage": "coverage",
}
# Of small sets of colour pictures, whose Fréchet distance says nothing except beside its floor.
PICTURE_METRICS = {
    "kid": "KID",
    "recall": METRICS["recall"],
    "distance": "pairwise distance / real",
    "precision": METRICS["precision"],
    "fd_ratio": "Fréchet distance / floor",
    "memorisation": "memorisation (1 = none)",
    "density": METRICS["density"],
    "coverage": METRICS["coverage"],
}
USUAL = ("fd", "precision", "recall", "read")
PICTURES_USUAL = ("kid", "recall", "distance", "precision")
_NAMES = {**PICTURE_METRICS, **METRICS}
_SHARES = ("precision", "recall", "read", "coverage")
# Scores that are named after their features.
_OF_FEATURES = {"fd": "FD-{}", "kid": "KID-{}", "fd_ratio": "FD-{} / floor"}
_FEATURES = {
    "lenet": "LeNet",
    "efficientnet": "EfficientNet",
    "inception": "Inception",
    "dinov2": "DINOv2",
    "pca": "PCA",
}


def of_pictures(records: pd.DataFrame) -> bool:
    """Return whether records are of colour pictures, scored by `metrics.PictureScores`."""
    return _defined("kid", records)


def _defined(metric: str, records: pd.DataFrame) -> bool:
    return metric in records and bool(records[metric].notna().any())


def offered(records: pd.DataFrame) -> dict[str, str]:
    """Return the metrics that records can be drawn by, with their names."""
    metrics = PICTURE_METRICS if of_pictures(records) else METRICS
    return {name: metric_label(name, records) for name in metrics if _defined(name, records)}


def usual(records: pd.DataFrame) -> tuple[str, ...]:
    """Return the metrics that are drawn where none are named: the headline ones of the records."""
    return PICTURES_USUAL if of_pictures(records) else USUAL


def metric_label(metric: str, records: pd.DataFrame) -> str:
    """Return the name of a metric as figures show it; FD and KID name their features."""
    if metric not in _NAMES:
        raise KeyError(f"no metric named {metric!r}; the metrics are: {', '.join(_NAMES)}")
    if metric not in _OF_FEATURES:
        return _NAMES[metric]
    kinds = {str(name).split("-")[0] for name in records["features"]}
    named = "/".join(sorted(_FEATURES.get(kind, kind) for kind in kinds))
    return _OF_FEATURES[metric].format(named)


def tidy(records: pd.DataFrame) -> pd.DataFrame:
    """Return records that can share one axis, with a column `line` that names each curve.

    - `records`: rows as `Chain.records()` gives them, of any number of chains; a column `label`,
      where there is one, tells apart chains that differ in what the other columns do not show.

    Raises ValueError for records without rows, with other `n_evaluate` or `features`, which no
    axis can hold together, and where two rows claim the same place on the same curve.
    """
    if not len(records):
        raise ValueError("there are no records to draw: run a chain first")
    for column in ("n_evaluate", "features"):
        found = sorted(records[column].unique().tolist())
        if len(found) > 1:
            raise ValueError(
                f"the records have {len(found)} values of {column}: {', '.join(map(str, found))}. "
                "Scores of different sizes or features cannot share an axis; select one, for "
                f"instance records[records.{column} == {found[0]!r}]"
            )
    tidied = records.drop_duplicates([*({"id", "label"} & set(records))])
    numbers = dict.fromkeys((name for name in _NAMES if name in tidied), float)
    tidied = tidied.astype(numbers).reset_index(drop=True)
    parts = ["loop"]
    parts += ["model"] if len(set(tidied["model"])) > 1 else []
    parts += ["label"] if "label" in tidied else []
    bias = "bias " + tidied["bias"].map("{:g}".format)
    tidied["line"] = tidied[parts].astype(str).agg(", ".join, axis=1) + ", " + bias
    twice = tidied[tidied.duplicated(["line", "seed", "generation"])]
    if len(twice):
        row = twice.iloc[0]
        raise ValueError(
            f"two records are generation {row['generation']} of {row['line']}, seed {row['seed']}: "
            "they come from chains of other sizes or settings. Draw chosen chains only, or give "
            "the records a column 'label' that tells the chains apart"
        )
    return tidied


def styles(records: pd.DataFrame) -> dict[str, tuple[str, str, Dash]]:
    """Return colour, marker and dashes of every `line` of tidy records, in legend order."""
    names = [*LOOPS, *sorted(set(records["loop"]) - set(LOOPS))]
    looks = [*LOOPS.values(), *_OTHER_LOOPS]
    lines = records.drop_duplicates("line")
    label = lines["label"].astype(str) if "label" in lines else [""] * len(lines)
    keys = list(zip(lines["model"], label, -lines["bias"], strict=True))
    # An unbiased chain is solid wherever it appears.
    first = 0 if (records["bias"] == 1).any() else 1
    dashes = {key: first + i for i, key in enumerate(sorted(set(keys)))}
    order = sorted(zip(lines["loop"].map(names.index), keys, lines["line"], strict=True))
    if len(set(lines["loop"])) == 1:
        # The first line keeps the loop's look; those of the other named loops come last.
        own = looks[order[0][0] % len(looks)]
        looks = [own, *(look for look in (*_OTHER_LOOPS, *LOOPS.values()) if look != own)]
        order = [(dashes[key] - first, key, line) for _, key, line in order]
    return {
        line: (*looks[place % len(looks)], _DASHES[dashes[key] % len(_DASHES)])
        for place, key, line in order
    }


def curves(
    records: pd.DataFrame,
    metrics: Sequence[str] | None = None,
    floor: "AnyScores | None" = None,
    generations: int | None = None,
) -> Figure:
    """Draw metrics against the generation, one line a loop, model and bias.

    Several seeds become a band from their least to their greatest value, each seed a thin line
    and their mean a thick one. Where a score of a single seed comes with its error, a bar spans it.

    - `records`: as for `tidy`, which says what cannot share an axis.
    - `metrics`: keys of `METRICS`, or of `PICTURE_METRICS` for colour pictures; one that is nowhere
      defined is left out. The usual ones of the records where None.
    - `floor`: the scores of real digits or pictures, drawn as a grey line.
    - `generations`: how far the axis reaches; to the last record where None.
    """
    chosen = usual(records) if metrics is None else metrics
    figure = Figure(figsize=(WIDTH, height(len(chosen))), layout="constrained")
    draw_curves(figure, tidy(records), chosen, floor, generations)
    return figure


def _columns(count: int) -> int:
    return 2 if count == 4 else min(count, 3)


def height(count: int) -> float:
    """Return how high a figure of `count` metrics is, in inches."""
    return 1.1 + 2.4 * -(-count // _columns(count)) if count else 1.1


def draw_curves(
    target: Figure | SubFigure,
    records: pd.DataFrame,
    metrics: Sequence[str] | None = None,
    floor: "AnyScores | None" = None,
    generations: int | None = None,
    looks: Mapping[str, tuple[str, str, Dash]] | None = None,
) -> None:
    """Draw `curves` of tidy records into a figure or a part of one.

    - `looks`: the styles of a larger table, so that choosing among its lines changes no style.
    """
    looks = looks or styles(records)
    metrics = usual(records) if metrics is None else metrics
    names = {metric: metric_label(metric, records) for metric in metrics}
    defined = [metric for metric in names if _defined(metric, records)]
    if not defined:
        raise ValueError(f"none of the metrics {', '.join(metrics)} is in the records: choose one")
    columns = _columns(len(defined))
    grid = target.subplots(-(-len(defined) // columns), columns, squeeze=False).ravel()
    last = generations or int(records["generation"].max())
    for axes, metric in zip(grid, defined, strict=False):
        _draw_lines(axes, records, metric, looks)
        # Real training pictures are all copies of training pictures: no floor of memorisation.
        floored = floor is not None and metric != "memorisation"
        if floored and np.isfinite(getattr(floor, metric)):
            real = "real pictures" if of_pictures(records) else "real digits"
            axes.axhline(getattr(floor, metric), color=GREY, linewidth=1, label=real)
        _dress(axes, names[metric], last)
        # Axes start at zero, and shares end at one, so that no fall looks larger than it is.
        # A KID as good as real pictures' may fall a little below it.
        low = min(0.0, axes.dataLim.y0) if metric == "kid" else 0.0
        axes.set_ylim(low, 1 if metric in _SHARES else max(1.05 * axes.get_ylim()[1], 1e-9))
    for axes in grid[len(defined) :]:
        axes.set_axis_off()
    drawn, legend = grid[0].get_legend_handles_labels()
    if len(legend) > 1:
        target.legend(
            drawn,
            legend,
            loc="outside lower center",
            ncols=3,
            fontsize=9,
            frameon=False,
            handlelength=4,
        )


def _draw_lines(
    axes: Axes,
    records: pd.DataFrame,
    metric: str,
    looks: Mapping[str, tuple[str, str, Dash]],
) -> None:
    for line, (colour, marker, dash) in looks.items():
        own = records[records["line"] == line]
        if own.empty:
            continue
        over = own.groupby("generation")[metric]
        if own["seed"].unique().size > 1:
            t, low, high = over.mean().index, over.min(), over.max()
            axes.fill_between(t, low, high, color=colour, alpha=0.15, linewidth=0)
            for _, one in own.sort_values("generation").groupby("seed"):
                axes.plot(one["generation"], one[metric], color=colour, alpha=0.45, linewidth=0.7)
        elif _defined(f"{metric}_error", own):
            bars = own[f"{metric}_error"].astype(float)
            axes.errorbar(
                own["generation"],
                own[metric],
                bars,
                fmt="none",
                ecolor=colour,
                capsize=3,
                alpha=0.8,
            )
        mean = over.mean()
        # Markers at 0 and at 1 stay whole.
        axes.plot(
            mean.index,
            mean,
            color=colour,
            linestyle=dash,
            linewidth=1.8,
            marker=marker,
            markersize=5.5,
            markeredgecolor="white",
            markeredgewidth=0.6,
            label=line,
            clip_on=False,
            in_layout=False,
        )


def _dress(axes: Axes, title: str, last: int) -> None:
    axes.set_title(title, fontsize=11, loc="left")
    axes.set_xlabel("generation", fontsize=10)
    axes.set_ylabel("")
    axes.set_xlim(0.7, max(last, 2) + 0.3)
    axes.set_xticks(range(1, last + 1, -(-last // 10)))
    axes.tick_params(labelsize=9)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", color=PALE, linewidth=1)
    axes.set_axisbelow(True)


def describe_curves(records: pd.DataFrame, metrics: Sequence[str] | None = None) -> str:
    """Return in words what `curves` shows: each line's first and last value, mean over seeds."""
    found = tidy(records)
    metrics = usual(records) if metrics is None else metrics
    metrics = [metric for metric in metrics if _defined(metric, found)]
    said = []
    for line in styles(found):
        own = found[found["line"] == line]
        first, last = own["generation"].min(), own["generation"].max()
        means = own.groupby("generation")[metrics].mean().loc[[first, last]].to_numpy()
        parts = [
            f"{metric_label(metric, found).split(' (')[0]} {number(a)} to {number(b)}"
            for metric, (a, b) in zip(metrics, means.T, strict=True)
        ]
        seeds = own["seed"].unique().size
        over = f", mean of {seeds} seeds" if seeds > 1 else ""
        said.append((line, f"generation {first} to {last}{over}", ", ".join(parts)))
    if len({span for _, span, _ in said}) == 1:
        return f"From {said[0][1]}: " + "; ".join(f"{a}: {c}" for a, _, c in said) + "."
    return "; ".join(f"{a} (from {b}): {c}" for a, b, c in said) + "."


def number(value: float) -> str:
    """Return a score as text, with about three figures."""
    size = abs(value)
    digits = 3 if 0 < size < 0.1 else 2 if size < 1.5 else 1 if size < 100 else 0
    return f"{value:z,.{digits}f}"
