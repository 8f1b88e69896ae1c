"""A dial for sampling bias: the digits of one fitted model, drawn again at every setting."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from madlab.metrics.scores import kind_of_records, score_label
from madlab.panels.panel import Panel, dropdown, in_full, stepped_slider
from madlab.plots.calibration import blocks, draw_plane, looks, strengths
from madlab.plots.lines import number
from madlab.plots.picture import Picture
from madlab.plots.sheets import draw_sheet
from madlab.plots.style import WIDTH, places

if TYPE_CHECKING:
    from madlab.chain import Chain

_SHEETS = 3


class BiasDial(Panel):
    """One hundred digits of generation 1 at a sampling bias of choice, and their scores.

    All settings of the dial draw from the same fitted model and the same noise, so each place of
    the sheet shows one digit as the bias changes it. Beside the sheet precision stands against
    recall, one path for each model, with a ring where the dial is.

    - `chains`: by the model names to show, chains of images that have run one generation at least
      and differ in their bias alone; the same two biases or more for every model.

    Without a kernel it shows a contact sheet over all biases of every model.

    Raises ValueError for chains that have not run, have other biases or seeds, or whose scores
    no axis can hold together.
    """

    def __init__(self, chains: Mapping[str, Sequence["Chain"]]) -> None:
        if not chains:
            raise ValueError("there are no chains to draw from: give at least one model's")
        self._chains = {name: _by_bias(name, own) for name, own in chains.items()}
        biases = {name: list(own) for name, own in self._chains.items()}
        self.biases = next(iter(biases.values()))
        if any(own != self.biases for own in biases.values()):
            said = "; ".join(f"{name}: {own}" for name, own in biases.items())
            raise ValueError(f"every model needs the same biases, but they are: {said}")
        records = [
            chain.records().assign(label=name)
            for name, own in self._chains.items()
            for chain in own.values()
        ]
        self._found = strengths(pd.concat(records))
        if len(blocks(self._found)) > 1:
            raise ValueError(
                "the chains have several n_evaluate or features: "
                f"{'; '.join(blocks(self._found))}. Such scores cannot share an axis"
            )
        self._looks = looks(self._found)
        names = list(self._chains)
        self.model = dropdown("model", "mad-model", names, names[0])
        steps = [(f"{bias:g}", bias) for bias in self.biases]
        self.bias = stepped_slider("sampling bias λ", "mad-bias", steps, self.biases[-1])
        super().__init__("mad-bias-dial", [self.model, self.bias])

    def render(self) -> Picture:
        """Return the digits at the present bias, and quality against diversity."""
        name, bias = self.model.value, self.bias.value
        figure = Figure(figsize=(WIDTH, 4.3), layout="constrained")
        left, right = figure.subfigures(1, 2, width_ratios=(1, 1.1), squeeze=False)[0]
        sheet = left.subplots()
        sheet.set_anchor("N")
        draw_sheet(sheet, self._chains[name][bias].preview(1).images)
        sheet.set_title(f"{name}, λ = {bias:g}: 100 digits", fontsize=11, loc="left")
        draw_plane(right.subplots(), self._found, self._looks, (name, bias))
        right.legend(loc="outside lower center", ncols=3, fontsize=9, frameon=False, handlelength=4)
        at = (self._found["path"] == name) & (self._found["strength"] == bias)
        scores = ", ".join(
            f"{score_label(metric, self._found, short=True)} "
            f"{number(float(self._found.loc[at, metric].iloc[0]))}"
            for metric in kind_of_records(self._found).headline
            if self._found.loc[at, metric].notna().all()
        )
        alt = f"100 digits of {name} at a sampling bias λ of {bias:g}. {scores}."
        return Picture(figure, alt, self._settings(name))

    def _settings(self, name: str) -> str:
        chain = next(iter(self._chains[name].values()))
        return (
            f"Model {in_full(chain.model)}; generation 1, trained on {chain.loop.n_initial:,} "
            f"real digits, seed {chain.seed}. The same noise at every λ; scores on "
            f"{chain.n_evaluate:,} samples."
        )

    def sheet(self) -> list[Picture]:
        """Return a contact sheet: one row a bias, one column a digit, models side by side."""
        across = min(_SHEETS, len(self._chains))
        down = -(-len(self._chains) // across)
        width = WIDTH / max(across, 2)
        size = (width * across, down * ((width - 0.6) * len(self.biases) / 10 + 0.55))
        figure = Figure(figsize=size, layout="constrained")
        rows, heads = [f"{bias:g}" for bias in self.biases[::-1]], [str(i) for i in range(10)]
        for axes, (name, own) in zip(
            places(figure, len(self._chains), across), self._chains.items(), strict=True
        ):
            pictures = [own[bias].preview(1).images[:10] for bias in self.biases[::-1]]
            draw_sheet(axes, np.concatenate(pictures), rows=rows, heads=heads)
            axes.set_title(name, fontsize=10)
            axes.set_ylabel("λ", fontsize=10, rotation=0)
        alt = (
            f"Contact sheet of {' and '.join(self._chains)}: one row for each sampling bias λ, "
            f"{', '.join(rows)}, with a digit of every class from 0 to 9 in columns."
        )
        captions = " ".join(f"{name}: {self._settings(name)}" for name in self._chains)
        return [Picture(figure, alt, captions)]


def _by_bias(name: str, chains: Sequence["Chain"]) -> "dict[float, Chain]":
    """Return the chains of one model by their bias, ascending, or raise where they do not fit."""
    found = {chain.bias: chain for chain in sorted(chains, key=lambda chain: chain.bias)}
    if len(found) < 2 or len(found) < len(chains):
        raise ValueError(
            f"the chains of {name!r} have biases {sorted(chain.bias for chain in chains)}; give "
            "two at least, all different"
        )
    seeds = sorted({chain.seed for chain in chains})
    if len(seeds) > 1:
        raise ValueError(f"the chains of {name!r} have seeds {seeds}; give chains of one seed")
    for chain in chains:
        if chain.data.images.dtype != np.uint8:
            raise ValueError(f"the chains of {name!r} have points, not images to show")
        if not len(chain.records()):
            raise ValueError(
                f"the chain of {name!r} with bias {chain.bias:g} has not run: run it first, "
                "list(chain.run(1))"
            )
    return found
