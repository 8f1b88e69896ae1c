"""Scores of many chains against the generation, loops and biases at a choice."""

from collections.abc import Sequence

import pandas as pd
from matplotlib.figure import Figure

from madlab.metrics.scores import Scores, kind_of_records
from madlab.panels.panel import Panel, Ticks
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
        loops = self.records["loop"].unique().tolist()
        biases = sorted(self.records["bias"].unique().tolist(), reverse=True)
        metrics = kind_of_records(self.records).headline if metrics is None else metrics
        groups = {
            "loops": Ticks("Loops:", {name: name for name in loops}, loops),
            "biases": Ticks("Sampling bias:", {b: f"bias {b:g}" for b in biases}, biases),
            "metrics": Ticks("Scores:", offered(self.records), metrics),
        }
        super().__init__("mad-comparison", *({name: group} for name, group in groups.items()))

    def render(self) -> Picture:
        """Return the chosen curves, with the first and last score of every line in words."""
        loops, biases, metrics = self.state.values()
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
