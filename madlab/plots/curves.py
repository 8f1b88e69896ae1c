"""Curves of scores: against the generation, the size of samples, and the strength of damage."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure, SubFigure

from madlab.metrics.scores import KINDS, SCORES, Scores, defined, kind_of_records, score_label
from madlab.plots.lines import Facet, Line, draw_facet, number, picture, words
from madlab.plots.picture import Picture
from madlab.plots.sheets import draw_sheet
from madlab.plots.style import BLACK, DASHES, INKS, LOOKS, Look, distinct, places
from madlab.tables import told_apart

# Colour and marker say which loop, the line style says which bias (and model or label). Where all
# lines are of one loop, colour and marker say what the line style says.
LOOPS = dict(zip(("fully synthetic", "synthetic augmentation", "fresh data"), INKS, strict=False))
_DAMAGES = dict(zip(("drop", "shrink", "shift", "duplicate", "noise"), LOOKS, strict=False))

# Of digits and points, in the order of figures.
_PLAIN = KINDS["digits"].shown


def offered(records: pd.DataFrame) -> dict[str, str]:
    """Return the metrics that records can be drawn by, with their names."""
    own = [name for name, score in SCORES.items() if score.own]
    shown = [*kind_of_records(records).shown, *own]
    return {name: score_label(name, records) for name in shown if defined(name, records)}


def tidy(records: pd.DataFrame) -> pd.DataFrame:
    """Return records that can share one axis, with a column `line` that names each curve.

    - `records`: rows as `Chain.records()` gives them, of any number of chains; a column `label`,
      where there is one, tells apart chains that differ in what the other columns do not show.
      Chains of other settings, data or sizes are lines of their own, and their label says it.

    Raises ValueError for records without rows, with other `n_evaluate` or `features`, which no
    axis can hold together, and where two rows claim the same place on the same curve.
    """
    if not len(records):
        raise ValueError("there are no records to draw: run a chain first")
    _check_alike(records, "n_evaluate", "features")
    tidied = records.drop_duplicates([*({"id", "label"} & set(records))])
    numbers = {name: float for name in SCORES if name in tidied}
    tidied = tidied.astype(numbers).reset_index(drop=True)
    same = [*({"loop", "model", "label", "bias"} & set(tidied))]
    for name in told_apart(tidied):
        words = name.rpartition(".")[2] + " " + tidied[name].map(str)
        if words.groupby([tidied[one] for one in same]).nunique().max() > 1:
            tidied["label"] = tidied["label"] + ", " + words if "label" in tidied else words
            same.append(name)
    found = tidied.assign(bias=tidied["bias"].map("bias {:g}".format))
    if "biases" in tidied:
        # A bias that changes by generation makes one line all the same.
        changing = tidied["biases"].notna()
        found.loc[changing, "bias"] = "bias " + tidied["biases"][changing]
    parts = ["loop", "label", "bias"] if "label" in tidied else ["loop", "bias"]
    parts[1:1] = ["model"] if len(set(tidied["model"])) > 1 else []
    tidied["line"] = found[parts].astype(str).agg(", ".join, axis=1)
    check_once(tidied, "generation {generation} of {line}, seed {seed}", "generation", "line")
    return tidied


def _check_alike(records: pd.DataFrame, *columns: str) -> None:
    for column in columns:
        found = sorted(records[column].unique().tolist())
        if len(found) > 1:
            raise ValueError(
                f"the records have {len(found)} values of {column}: {', '.join(map(str, found))}. "
                "Scores of different sizes or features cannot share an axis; select one, for "
                f"instance records[records.{column} == {found[0]!r}]"
            )


def check_once(table: pd.DataFrame, named: str, *place: str) -> None:
    """Raise ValueError where two rows of one seed claim the same place, with its name."""
    twice = table[table.duplicated([*place, "seed"])]
    if len(twice):
        raise ValueError(
            f"two records are {named.format(**twice.iloc[0])}: they come from chains of other "
            "sizes or settings. Draw chosen chains only, or give the records a column 'label' "
            "that tells the chains apart"
        )


def styles(records: pd.DataFrame) -> dict[str, Look]:
    """Return colour, marker and dashes of every `line` of tidy records, in legend order."""
    lines, inks = records.drop_duplicates("line"), list(INKS)
    label = lines.get("label", pd.Series("", lines.index)).astype(str)
    # An unbiased chain is solid wherever it appears.
    first = 0 if (records["bias"] == 1).any() else 1
    dash = lines.groupby(["model", label, -lines["bias"]]).ngroup() + first
    loops = [*LOOPS, *sorted(set(lines["loop"]) - set(LOOPS))]
    ink = lines["loop"].map(loops.index)
    if len(set(ink)) == 1:
        # The first line keeps the loop's look; those of the other named loops come last.
        own = inks[ink.iloc[0] % len(inks)]
        inks = [own, *(other for other in inks[3:] + inks[:3] if other != own)]
        ink = dash - first
    order = sorted(zip(ink, dash, lines["line"], strict=True))
    return {line: (*inks[i % len(inks)], DASHES[d % len(DASHES)]) for i, d, line in order}


def curves(
    records: pd.DataFrame,
    metrics: Sequence[str] | None = None,
    floor: Scores | None = None,
    generations: int | None = None,
) -> Picture:
    """Draw metrics against the generation, one line a loop, model and bias.

    Several seeds are thin lines in a band, their mean a thick one; a single one gets bars where its
    scores come with their errors.

    - `records`: as for `tidy`, which says what cannot share an axis.
    - `metrics`: keys of `madlab.metrics.scores.SCORES`; one that is nowhere defined is left out.
      The headline ones of the records where None.
    - `floor`: the scores of real digits or pictures, drawn as a grey line.
    - `generations`: how far the axis reaches; to the last record where None.
    """
    return picture(curve_facets(tidy(records), metrics, floor, generations))


def curve_facets(
    records: pd.DataFrame,
    metrics: Sequence[str] | None = None,
    floor: Scores | None = None,
    generations: int | None = None,
    looks: Mapping[str, Look] | None = None,
) -> list[Facet]:
    """Return the facets of `curves`, one a metric.

    - `records`: as `tidy` returns them.
    - `looks`: the styles of a larger table, so that choosing among its lines changes no style.
    """
    metrics = kind_of_records(records).headline if metrics is None else metrics
    last = generations or int(records["generation"].max())
    real = (f"real {kind_of_records(records).name}", {} if floor is None else floor._asdict())
    x: dict[str, Any] = {"span": (0.7, max(last, 2) + 0.3)}
    x["ticks"] = range(1, last + 1, -(-last // 10))
    looks, thin = looks or styles(records), {"thin": len(records)}
    facets = score_facets(records, "generation", metrics, "line", looks, thin, real, **x)
    if not facets:
        raise ValueError(f"none of the metrics {', '.join(metrics)} is in the records: choose one")
    return facets


def score_facets(
    table: pd.DataFrame,
    x: str,
    metrics: Sequence[str],
    by: str,
    looks: Mapping[str, Look],
    line: Mapping[str, Any],
    across: tuple[str, Mapping[str, float]] = ("", {}),
    backwards: bool = False,
    **more: Any,
) -> list[Facet]:
    """Return a facet for each metric that has numbers, with a line for each group of a column.

    - `x`, `by`: the columns along x and of the groups; `looks`: of the groups, in the order of the
      lines; `line`, `more`: as for `Line` and `Facet`.
    - `across`: scores to draw as grey lines, after what they are called.
    - `backwards`: from the last x to the first, as words are to tell it.
    """
    groups = dict(list(table.sort_values(x, ascending=not backwards).groupby(by)))
    facets = []
    for metric in dict.fromkeys(metrics):
        title, score = score_label(metric, table), SCORES[metric]
        lines = [
            Line.of(groups[name], x, metric, name, look, **line)
            for name, look in looks.items()
            if name in groups and defined(metric, groups[name])
        ]
        if lines:
            value = across[1].get(metric, np.nan)
            grey = {across[0]: value} if score.floor and np.isfinite(value) else {}
            # At 0, and shares at 1, so that no fall misleads.
            low = min(0.0, table[metric].min(), *grey.values()) if score.low is None else 0.0
            facets.append(Facet(title, lines, grey, limits=(low, score.high), **more))
    return facets


def size_curves(scores: pd.DataFrame) -> Picture:
    """Draw scores against the size of the samples: means, with bands from least to greatest.

    - `scores`: rows as `madlab.metrics.subsample_scores` gives them; a column `label`, where there
      is one, names the sets. A score that is missing is left out.

    Raises ValueError for more labels than can be told apart, and for scores on different features.
    """
    _check_alike(scores, "features")
    scores = scores.assign(label=scores["label"].astype(str) if "label" in scores else "samples")
    scores["seed"] = scores.groupby(["label", "n"]).cumcount()
    looks = distinct(scores["label"].unique())
    x: dict[str, Any] = {"x_name": "n, samples of each kind", "ticks": sorted(scores["n"].unique())}
    subsets = {"unit": "subsets"}
    facets = score_facets(scores, "n", _PLAIN, "label", looks, subsets, log="x", **x)
    return picture(facets, inches=5.2, columns=4)


def damage_facets(curves: pd.DataFrame, name: str) -> list[Facet]:
    """Return the six scores of one damage against its strength, one facet a score.

    - `curves`: a row a damage and strength: columns `damage`, `strength`, `features` and the
      scores. Axes fit all damages, and the scores at strength 0 are lines across.
    """
    own = curves[curves["damage"] == name].assign(seed=0)
    look = {name: (*_DAMAGES.get(name, LOOKS[5])[:2], "solid")}
    least = own.sort_values("strength").iloc[0]
    floor = ("undamaged", {metric: float(least[metric]) for metric in _PLAIN})
    x: dict[str, Any] = {"x_name": "strength", "span": (-0.03, 1.03)}
    facets = score_facets(own, "strength", _PLAIN, "damage", look, {}, floor, **x)
    tops = [SCORES[metric].high or max(1.05 * curves[metric].max(), 1e-9) for metric in _PLAIN]
    return [replace(one, limits=(0, top)) for one, top in zip(facets, tops, strict=True)]


def draw_damage(target: Figure | SubFigure, curve: pd.DataFrame, strength: float) -> None:
    """Draw the six scores of one damage against its strength, with a ring at `strength`.

    - `curve`: as for `damage_facets`, of one damage; `strength` is among its rows.
    """
    now = curve[curve["strength"] == strength].iloc[0]
    facets = damage_facets(curve, now["damage"])
    for axes, facet, metric in zip(places(target, 6, 3), facets, _PLAIN, strict=True):
        draw_facet(axes, facet)
        axes.plot(strength, now[metric], "o", ms=12, mfc="none", mec=BLACK, clip_on=False)
        axes.set_title(f"{facet.name} {number(now[metric])}", fontsize=11, loc="left", pad=9)
        axes.set_xlabel("")
    target.supxlabel("strength of the damage (grey: undamaged)", fontsize=10)


def draw_damages(figure: Figure, curves: pd.DataFrame, pictures: Mapping[str, np.ndarray]) -> None:
    """Draw a contact sheet: a row a damage, a column a score, each against the strength.

    - `curves`: as for `damage_facets`; `pictures`: ten damaged images of each damage.
    """
    names, ratios = [*pictures], [1.5] + [1.0] * len(_PLAIN)
    grid = figure.subplots(len(names), len(ratios), squeeze=False, width_ratios=ratios)
    for name, (first, *line) in zip(names, grid, strict=True):
        draw_sheet(first, pictures[name], columns=5)
        first.set_title(name, fontsize=10, loc="left")
        for axes, facet in zip(line, damage_facets(curves, name), strict=True):
            draw_facet(axes, facet)
            axes.set(xlabel="", xticks=[0, 1])
            axes.set_title(facet.name if name == names[0] else "", fontsize=10, loc="left")
            axes.tick_params(labelsize=8, labelbottom=name == names[-1])
            if facet.limits[1] == 1:
                axes.set_yticks([0, 0.5, 1])
    figure.supxlabel("strength of the damage (grey: undamaged)", fontsize=10)


def damage_words(curves: pd.DataFrame, strength: float = 1.0) -> str:
    """Return what the scores are without damage, and at `strength`, of every damage in `curves`."""
    shown = curves[curves["strength"] <= strength]
    return words([one for name in shown["damage"].unique() for one in damage_facets(shown, name)])
