"""Which failure goes with which family: quality and diversity lost, a cell a family and loop."""

import math
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.patches import Patch

from madlab.findings.changes import COMPARED, Change, Replicates, replicates, signed
from madlab.plots.curves import LOOPS
from madlab.plots.picture import Picture
from madlab.plots.style import BLUE, GREY, LEGEND, SKY, VERMILLION, WIDTH

# Quality, quality, diversity: colour and hatching both say which.
BARS = {
    "precision": (BLUE, "", "precision (quality)"),
    "read": (SKY, "////", "read share (quality)"),
    "recall": (VERMILLION, "----", "recall (diversity)"),
}
MARKS = {"falls": "▼", "rises": "▲", "holds": "", "one seed": "?", "": ""}
# Where bars end, and where a cell does, with room for words.
_UP, _DOWN, _HIGH, _LOW = 0.3, -1.0, 0.52, -1.66


def families(records: pd.DataFrame) -> Picture:
    """Draw how much quality and diversity every family loses: a row a family, a column a loop.

    Bars hang down from zero by the percentage lost between generation 1 and the last, and stand up
    where a score grew; black lines reach one standard error either way. ▼ and ▲ mark what falls and
    rises beyond doubt, ? a single seed. Below is in how many generations, of how many, recall has
    halved, and the factor by which the distance grew.

    - `records`: as for `madlab.findings.failures`, which says what counts and what is raised.

    Raises ValueError for records without rows.
    """
    found = _sorted(records)
    cells = {(kind.family, kind.loop, kind.bias): kind for kind in found}
    rows = list(dict.fromkeys(family for family, _, _ in cells))
    columns = sorted({(loop, bias) for _, loop, bias in cells}, key=_place)
    engine = ConstrainedLayoutEngine(w_pad=0.02, h_pad=0.02, wspace=0.02)
    figure = Figure(figsize=(WIDTH, 1.25 * len(rows) + 1.0), layout=engine)
    grid = figure.subplots(len(rows), len(columns), squeeze=False)
    for line, family in zip(grid, rows, strict=True):
        for axes, (loop, bias) in zip(line, columns, strict=True):
            _draw_cell(axes, cells.get((family, loop, bias)))
        line[0].set_ylabel(family, fontsize=10, rotation=0, ha="right", va="bottom")
        line[0].text(-0.75, _LOW, "½ recall\nFD", ha="right", va="bottom", fontsize=7)
    # A loop's name stands above the first of its columns.
    first = dict(reversed(columns))
    for axes, (loop, bias) in zip(grid[0], columns, strict=True):
        over = loop.replace(" ", "\n", 1) if bias == first[loop] else "\n"
        axes.set_title(f"{over}\nλ = {bias:g}", fontsize=9, loc="left")
    patches = [
        Patch(facecolor=colour, hatch=hatch, edgecolor="white", label=label)
        for colour, hatch, label in BARS.values()
    ]
    figure.legend(handles=patches, loc="outside lower center", ncols=3, **LEGEND)
    said: dict[str, list[str]] = {}
    for kind in found:
        lost = {score: kind.changes[score].lost for score in BARS}
        known = [f"{name} {signed(one)}%" for name, one in lost.items() if not math.isnan(one)]
        words = f"{failure(kind)} ({', '.join(known) or 'no scores'})"
        said.setdefault(kind.family, []).append(f"{kind.loop}, λ = {kind.bias:g}: {words}")
    falls = ". ".join(f"{family}: {'; '.join(lines)}" for family, lines in said.items())
    return Picture(figure, f"What falls between the first generation and the last. {falls}.")


def failure_table(records: pd.DataFrame) -> pd.DataFrame:
    """Return what `madlab.findings.failures` finds as text to read, a row a family, loop and bias.

    Each score says how much it changed between generation 1 and the last, with its standard error
    over seeds, whether that counts as a fall or a rise, and in how many generations it halved.
    The last column names the failure: quality falls where precision or the read share does,
    diversity where recall does.

    - `records`: as for `madlab.findings.failures`, which says what is raised.
    """
    rows = [
        [*kind[:-1], *(_cell(kind.changes[score]) for score in COMPARED), failure(kind)]
        for kind in _sorted(records)
    ]
    return pd.DataFrame(rows, columns=[*Replicates._fields[:-1], *COMPARED, "falls"])


def failure(kind: Replicates) -> str:
    """Return which of quality and diversity falls, in words."""
    trends = {score: kind.changes[score].trend for score in BARS}
    if "one seed" in trends.values():
        return "one seed, not known"
    falls = {score for score, trend in trends.items() if trend == "falls"}
    quality, diversity = bool(falls & {"precision", "read"}), "recall" in falls
    return " and ".join(["quality"] * quality + ["diversity"] * diversity) or "neither"


def _sorted(records: pd.DataFrame) -> list[Replicates]:
    """Return what each family loses, family by family, in the order to show."""
    if not len(records):
        raise ValueError("there are no records to draw: run a chain first")
    found = replicates(records)
    order = list(dict.fromkeys(kind.family for kind in found))
    return sorted(found, key=lambda one: (order.index(one.family), *_place((one.loop, one.bias))))


def _place(column: tuple[str, float]) -> tuple[int, str, float]:
    loop, bias = column
    return list(LOOPS).index(loop) if loop in LOOPS else len(LOOPS), loop, -bias


def _cell(change: Change) -> str:
    if math.isnan(change.lost):
        return ""
    words = f"{change.percent} {MARKS[change.trend]}".strip()
    return f"{words}, {change.soon}" if math.isfinite(change.halves) else words


def _draw_cell(axes: Axes, kind: Replicates | None) -> None:
    small: dict[str, Any] = {"ha": "center", "fontsize": 7}
    pale: dict[str, Any] = {"ha": "center", "fontsize": 8, "color": GREY}
    axes.set(xlim=(-0.6, 2.6), ylim=(_LOW, _HIGH), xticks=[], yticks=[])
    axes.spines[:].set_visible(False)
    if kind is None:
        axes.text(1, -0.3, "not run", **pale)
        return
    axes.axhline(0, color=GREY, linewidth=1)
    for x, (score, (colour, hatch, _)) in enumerate(BARS.items()):
        lost, error, trend, _ = kind.changes[score]
        if math.isnan(lost):
            axes.text(x, -0.2, "·", **pale)
            continue
        tip = float(np.clip(-lost, _DOWN, _UP))
        axes.bar(x, tip, 0.8, color=colour, hatch=hatch, edgecolor="white", linewidth=0)
        if math.isfinite(error):
            ends = np.clip([-lost - error, -lost + error], _DOWN, _UP)
            axes.plot([x, x], ends, color="black", linewidth=1.2)
        # The number stands beyond the bar's end, the mark on the other side of zero.
        away, near, gap = ("top", "bottom", -0.05) if tip <= 0 else ("bottom", "top", 0.05)
        axes.text(x, tip + gap, signed(lost), va=away, **small)
        axes.text(x, -gap, MARKS[trend], va=near, **small)
    halves, times = kind.changes["recall"].halves, 1 - kind.changes["fd"].lost
    half = f"{halves:.1f} of" if math.isfinite(halves) else "not in"
    grown = f"× {times:.1f}" if math.isfinite(times) else ""
    axes.text(1, _LOW, f"{half} {kind.generations - 1}\n{grown}", va="bottom", **small)
    for text in axes.texts:
        # Bars take all the room there is, whatever the words below them need.
        text.set_in_layout(False)
