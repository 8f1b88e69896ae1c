"""Scores of many chains against the generation, loops and biases at a choice."""

from collections.abc import Mapping, Sequence
from typing import Any

import ipywidgets as widgets
import pandas as pd
from matplotlib.figure import Figure

from madlab.metrics.scores import Scores, kind_of_records
from madlab.panels.panel import Panel
from madlab.plots.curves import curve_facets, offered, styles, tidy
from madlab.plots.lines import height, picture
from madlab.plots.picture import Picture
from madlab.plots.style import WIDTH


class LoopComparison(Panel):
    """Curves of every chain in a table of records, with bands over seeds.

    Boxes choose loops, biases and metrics; choosing changes no line's colour, marker or dashes.

    - `records`: rows of `Chain.records()` or `Store.records()`, of any number of chains.
    - `metrics`: the scores to begin with, keys of `madlab.metrics.scores.SCORES`; the headline ones
      of the records where None.
    - `floor`: the scores of real digits or pictures, drawn as a grey line.

    Raises ValueError for records that no axis can hold together: other `n_evaluate` or features.
    """

    def __init__(
        self,
        records: pd.DataFrame,
        *,
        metrics: Sequence[str] | None = None,
        floor: Scores | None = None,
    ) -> None:
        self.records = tidy(records)
        self.floor = floor
        self._looks = styles(self.records)
        self._generations = int(self.records["generation"].max())
        metrics = kind_of_records(self.records).headline if metrics is None else metrics
        loops = [str(name) for name in self.records["loop"].unique()]
        biases = sorted((float(bias) for bias in self.records["bias"].unique()), reverse=True)
        self.loops = {name: _box(name, True) for name in loops}
        self.biases = {bias: _box(f"bias {bias:g}", True) for bias in biases}
        names = offered(self.records)
        self.metrics = {name: _box(label, name in metrics) for name, label in names.items()}
        groups: list[tuple[str, dict[Any, Any]]] = [
            ("Loops:", self.loops),
            ("Sampling bias:", self.biases),
            ("Scores:", self.metrics),
        ]
        rows = [[widgets.Label(name), *boxes.values()] for name, boxes in groups]
        super().__init__("mad-comparison", *rows)

    def render(self) -> Picture:
        """Return the chosen curves, with the first and last score of every line in words."""
        loops, biases = _ticked(self.loops), _ticked(self.biases)
        metrics = _ticked(self.metrics)
        chosen = self.records[self.records["loop"].isin(loops) & self.records["bias"].isin(biases)]
        if not metrics or not len(chosen):
            figure = Figure(figsize=(WIDTH, height(0)), layout="constrained")
            figure.text(0.5, 0.5, "nothing chosen", ha="center", fontsize=12)
            alt = "Nothing is chosen: tick at least one loop, one bias and one score."
            return Picture(figure, alt, self._about())
        shown = picture(curve_facets(chosen, metrics, self.floor, self._generations, self._looks))
        return Picture(shown.figure, f"Scores against the generation. {shown.alt}", self._about())

    def _about(self) -> str:
        """Return what the chains have in common and the seeds they were run with."""
        found = self.records
        models = ", ".join(sorted({str(name) for name in found.get("family", found["model"])}))
        seeds = ", ".join(map(str, sorted(set(found["seed"].tolist()))))
        kind = kind_of_records(found).name
        real = "" if self.floor is None else f" The grey line is what real {kind} score."
        return (
            f"Model {models}; seeds {seeds} (thin lines, the band from least to greatest, thick "
            f"their mean); scores on {found['n_evaluate'].iloc[0]:,} samples with features "
            f"{found['features'].iloc[0]}.{real}"
        )


def _ticked(boxes: Mapping[Any, Any]) -> list[Any]:
    return [name for name, box in boxes.items() if box.value]


def _box(label: str, ticked: bool) -> widgets.Checkbox:
    layout = widgets.Layout(width="auto")
    return widgets.Checkbox(description=label, value=ticked, indent=False, layout=layout).add_class(
        f"mad-box-{label.split(' (')[0].replace(' ', '-').replace('.', '-').lower()}"
    )
