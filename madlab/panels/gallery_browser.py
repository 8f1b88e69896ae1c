"""A browser through the gallery: digits and scores of chains that have run before."""

from collections.abc import Mapping
from typing import Any

import ipywidgets as widgets
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from madlab import models
from madlab.gallery import Gallery
from madlab.panels.panel import Panel, choice_slider, labelled, row
from madlab.plots import pages
from madlab.plots.colours import WIDTH
from madlab.plots.lines import LOOPS, USUAL, metric_label, number
from madlab.plots.sheets import draw_sheet

_ACROSS = 20


class GalleryBrowser(Panel):
    """Digits of any generation of a finished chain beside those of its generation 1.

    Lists choose model, loop, sampling bias and training-set size, each offering what there is with
    the ones before it; a slider goes through the generations whose digits were kept. The scores of
    that generation and of generation 1 stand below, with the size and the device.

    - `gallery`: what `madlab.gallery.open` returned.
    - `family`, `loop`, `bias`, `generation`: what to begin with, `family` being a model's recipe
      where it has several, else its name. Where not given: the first model, the fully synthetic
      loop, the largest bias and the last generation.

    Without a kernel it shows a contact sheet over the generations of the chosen chain.

    Raises KeyError for what the gallery does not have, and ValueError where it has no sheets.
    """

    def __init__(
        self,
        gallery: Gallery,
        family: str | None = None,
        loop: str | None = None,
        bias: float | None = None,
        generation: int | None = None,
    ) -> None:
        self.gallery = gallery
        found = gallery.chains()
        self._chains = found[(found["subject"] == "digits") & (found["sheet"].map(len) > 0)]
        if self._chains.empty:
            raise ValueError(f"the gallery in {gallery.folder} has no sheets of digits to show")
        self.family = labelled(widgets.Dropdown, "model", "mad-model")
        self.loop = labelled(widgets.Dropdown, "loop", "mad-loop")
        self.bias = labelled(widgets.Dropdown, "sampling bias", "mad-bias")
        self.chain = labelled(widgets.Dropdown, "training-set size", "mad-size")
        self.generation, box = choice_slider("generation", "mad-generation", [("1", 1)], 1)
        self._generations = (self.generation, box.children[0])
        rows = [row(self.family, self.loop, self.bias), row(self.chain, box)]
        super().__init__(rows, "mad-gallery")
        self._begin({"family": family, "loop": loop, "bias": bias}, generation)
        self.follow(self.family, self.loop, self.bias, self.chain, self.generation)
        self.redraw()

    def _begin(self, given: Mapping[str, Any], generation: int | None) -> None:
        wanted = {name: value for name, value in given.items() if value is not None}
        self.gallery.chains(**wanted)
        self._settle(given)
        missed = {name for name, value in wanted.items() if getattr(self, name).value != value}
        if missed:
            said = ", ".join(f"{name} {value}" for name, value in wanted.items())
            there = self._chains[["family", "loop", "bias"]].drop_duplicates().astype(str)
            raise KeyError(
                f"the gallery has no digits of {said} together; it has: "
                f"{'; '.join(there.agg(', '.join, axis=1))}"
            )
        if generation is None:
            self.generation.value = self._row["sheet"][-1]
        else:
            self.gallery.sheet(self.chain.value, generation)
            self.generation.value = generation

    def _settle(self, wished: Mapping[str, Any]) -> None:
        """Offer in every list what there is with the ones before it, and keep what was chosen."""
        self._settling = True
        found, t = self._chains, self.generation.value
        for name in ("family", "loop", "bias", "chain"):
            control, options = getattr(self, name), _options(name, found)
            control.options = options
            values = [value for _, value in options]
            control.value = wished[name] if wished.get(name) in values else values[0]
            found = found[found[name] == control.value]
        kept = self._row["sheet"]
        for control in self._generations:
            control.options = [(str(one), one) for one in kept]
        self.generation.value = max(one for one in kept if one <= t)
        self._settling = False

    def _changed(self, change: Mapping[str, Any]) -> None:
        if self._settling:
            return
        names = ("family", "loop", "bias", "chain")
        self._settle({name: getattr(self, name).value for name in names})
        super()._changed(change)

    @property
    def _row(self) -> "pd.Series[Any]":
        row: pd.Series[Any] = self._chains[self._chains["chain"] == self.chain.value].iloc[0]
        return row

    def figure(self) -> Figure:
        """Return the digits of generation 1 and of the chosen generation."""
        figure = Figure(figsize=(WIDTH, 2.6), layout="constrained")
        grid = figure.subplots(1, 2, gridspec_kw={"wspace": 0.08})
        for axes, t in zip(grid, (1, self.generation.value), strict=True):
            draw_sheet(axes, self.gallery.sheet(self.chain.value, t).images)
            axes.set_title(f"generation {t}", fontsize=11, loc="left")
        return figure

    def _scores(self) -> str:
        """Return the scores of the chosen generation, and in brackets those of generation 1."""
        records = self.gallery.records(chain=self.chain.value)
        first, now = (
            records[records["generation"] == t].iloc[0] for t in (1, self.generation.value)
        )
        said = [
            f"{metric_label(metric, records).split(' (')[0]} {number(now[metric])} "
            f"({number(first[metric])})"
            for metric in USUAL
            if pd.notna(now[metric]) and pd.notna(first[metric])
        ]
        return ", ".join(said)

    def _facts(self) -> str:
        """Return the chain, the scores of the chosen generation and the first, size and device."""
        chain, t = self._row, self.generation.value
        return (
            f"{chain['family']}, {chain['loop']}, sampling bias {chain['bias']:g}. Scores of "
            f"generation {t}, with those of generation 1 in brackets: {self._scores()}. Trained on "
            f"{chain['sizes']} digits, on {chain['device']}."
        )

    def alt(self) -> str:
        """Return the generation and the chain, its scores beside the first, the size and device."""
        t, last = self.generation.value, self._row["generations"]
        return f"Digits of generation {t} of {last} beside those of generation 1: {self._facts()}"

    def settings(self) -> str:
        """Return seed, scores, cost and what is the same in every generation."""
        chain = self._row
        alike = len(self.gallery.chains(setup=chain["setup"]))
        return (
            f"Gallery of {self.gallery.about['built'][:10]}; seed {chain['seed']}, one of {alike} "
            f"that were run; scores on {chain['n_evaluate']:,} samples with features "
            f"{chain['features']}; {chain['generations']} generations took {chain['seconds']:,.0f} "
            f"seconds.{self._noise()}"
        )

    def _noise(self) -> str:
        if not models.kind(self._row["model"]).follows_noise:
            return ""
        return " Digits in the same place come from the same noise in every generation."

    def fallback(self) -> str:
        """Return a contact sheet of the chosen chain: one row a generation, two of each digit."""
        chain = self._row
        sheets = {t: self.gallery.sheet(chain["chain"], t) for t in chain["sheet"]}
        figure = Figure(figsize=(WIDTH, 0.43 * len(sheets) + 0.45), layout="constrained")
        axes = figure.subplots()
        labels = sheets[1].labels
        draw_sheet(
            axes,
            np.concatenate([found.images[:_ACROSS] for found in sheets.values()]),
            _ACROSS,
            rows=[str(t) for t in sheets],
            heads=[] if labels is None else [str(label) for label in labels[:_ACROSS]],
        )
        axes.set_ylabel("generation", fontsize=10)
        alt = (
            f"Contact sheet of generations {', '.join(map(str, sheets))}, one row each, with "
            f"{_ACROSS} digits: {self._facts()}"
        )
        content, width = pages.png(figure), pages.page_size(figure)[0]
        return pages.embed(content, width, alt, f"{self._facts()} {self.settings()}")


def _options(name: str, chains: pd.DataFrame) -> list[tuple[str, Any]]:
    """Return what a list offers, the usual choice first."""
    if name == "chain":
        chains = chains.sort_values(["n", "generations"], ascending=False, kind="stable")
        return list(zip(_labels(chains), chains["chain"], strict=True))
    found = chains[name].drop_duplicates().tolist()
    if name == "bias":
        return [(f"{bias:g}", bias) for bias in sorted(found, reverse=True)]
    known = list(LOOPS)
    if name == "loop":
        found.sort(key=lambda loop: known.index(loop) if loop in known else len(known))
    return [(value, value) for value in found]


def _labels(chains: pd.DataFrame) -> list[str]:
    """Return the sizes of chains, with the digest in their names where others are as large."""
    alike = chains["sizes"].duplicated(keep=False)
    digest = " (" + chains["setup"] + ")"
    return chains["sizes"].add(digest.where(alike, "")).tolist()
