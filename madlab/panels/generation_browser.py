"""A browser through the generations of finished chains, picture by picture."""

from collections.abc import Mapping

import ipywidgets as widgets
import numpy as np
from matplotlib.figure import Figure

from madlab.chain import Chain
from madlab.data.samples import Samples
from madlab.metrics import features
from madlab.metrics.matching import nearest
from madlab.panels.panel import Panel, labelled, row, slider
from madlab.plots import pages
from madlab.plots.colours import WIDTH
from madlab.plots.sheets import draw_generations, draw_histogram, draw_sheet

_STRIP = 8
_SHEETS = 3


class GenerationBrowser(Panel):
    """One hundred digits of any generation, and one of them followed through all generations.

    The chosen digit is followed by its noise where equal noise means a corresponding picture
    (the model says so: `follows_noise`); otherwise each generation's nearest picture with the same
    label is shown, and the caption says that they are matched. A histogram shows what a separate
    reader makes of the generation's scored samples.

    - `chains`: a chain of images that has run, or several by the names to show.

    Without a kernel it shows a contact sheet over all generations of every chain.

    Raises ValueError where there is no chain, or one without generations.
    """

    def __init__(self, chains: Chain | Mapping[str, Chain]) -> None:
        if isinstance(chains, Chain):
            name = f"{chains.loop.name}, {chains.model.name}, bias {chains.bias:g}"
            chains = {name: chains}
        if not chains:
            raise ValueError("there are no chains to browse: give at least one")
        self.chains = dict(chains)
        self._generations = {name: _finished(name, chain) for name, chain in chains.items()}
        self._read: dict[tuple[str, int], np.ndarray] = {}
        self._followed: dict[str, list[np.ndarray]] = {}
        names = list(self.chains)
        self.chain = labelled(widgets.Dropdown, "chain", "mad-chain", options=names, value=names[0])
        most = max(len(found) for found in self._generations.values())
        # A slider needs two places at least.
        self.generation, generation_box = slider(
            "generation", "mad-generation", 1, max(2, most), 1, 1
        )
        self.chosen, chosen_box = slider("picture", "mad-picture-number", 0, 99, 1, 0)
        super().__init__([row(self.chain, generation_box, chosen_box)], "mad-browser")
        self.follow(self.chain, self.generation, self.chosen)
        self.redraw()

    @property
    def _state(self) -> tuple[str, Chain, int, int]:
        """The chain's name and the chain, the generation and the picture that are shown."""
        name = self.chain.value
        # A chain with fewer generations than the slider has shows its last.
        t = min(self.generation.value, self._generations[name][-1])
        return name, self.chains[name], t, self.chosen.value

    def _reading(self, name: str, t: int) -> tuple[np.ndarray, Samples]:
        """Return what the scored samples of generation `t` are read as, and those samples."""
        samples = self.chains[name].samples(t)
        if (name, t) not in self._read:
            self._read[name, t] = features.read(samples.images)
        return self._read[name, t], samples

    def _strip(self, name: str) -> list[np.ndarray]:
        """Return for each generation the 100 pictures that belong to generation 1's preview."""
        if name not in self._followed:
            chain = self.chains[name]
            first = chain.preview(1)
            found = [first.images]
            for t in self._generations[name][1:]:
                if follows_noise(chain):
                    found.append(chain.preview(t).images)
                else:
                    samples = chain.samples(t)
                    index = nearest(first, samples)
                    pictures = samples.images[index]
                    pictures[index < 0] = 0
                    found.append(pictures)
            self._followed[name] = found
        return self._followed[name]

    def figure(self) -> Figure:
        """Return the preview, the chosen picture through the generations, and the histogram."""
        name, chain, t, chosen = self._state
        strip = np.stack([pictures[chosen] for pictures in self._strip(name)])
        columns = min(_STRIP, max(len(strip), 6))
        rows = -(-len(strip) // columns)
        figure = Figure(figsize=(WIDTH, 3.9 + 0.7 * rows), layout="constrained")
        left, right = figure.subfigures(1, 2, width_ratios=(1, 1.2), squeeze=False)[0]
        preview = left.subplots()
        preview.set_anchor("N")
        own = follows_noise(chain) or t == 1
        draw_sheet(preview, chain.preview(t).images, frame=chosen if own else None)
        preview.set_title(f"100 digits of generation {t}", fontsize=11, loc="left")
        top, bottom = right.subplots(2, height_ratios=(0.9 * rows, 2.2))
        top.set_anchor("NW")
        draw_sheet(top, strip, columns=columns, frame=t - 1, gap=4)
        how = "same noise" if follows_noise(chain) else "nearest pictures"
        title = f"picture {chosen}, generations 1 to {len(strip)} ({how})"
        top.set_title(title, fontsize=11, loc="left")
        read, samples = self._reading(name, t)
        draw_histogram(bottom, read, samples.labels)
        return figure

    def alt(self) -> str:
        """Return what is shown, how many digits are read as asked, and the class counts."""
        name, chain, t, chosen = self._state
        read, samples = self._reading(name, t)
        labels = chain.preview(t).labels
        digit = "" if labels is None else f", a {labels[chosen]},"
        counts = np.bincount(read, minlength=10)
        share = "" if samples.labels is None else f"{np.mean(read == samples.labels):.0%} of "
        as_asked = " are read as their label" if share else " were read"
        return (
            f"Generation {t} of {self._generations[name][-1]}, {name}: 100 digits, and picture "
            f"{chosen}{digit} through all generations. {share}{len(read):,} digits{as_asked}; the "
            f"classes have from {counts.min():,} ({counts.argmin()}) to {counts.max():,} "
            f"({counts.argmax()})."
        )

    def settings(self) -> str:
        """Return the chain with its sizes, and how pictures were followed."""
        return _settings(self._state[1])

    def fallback(self) -> str:
        """Return a contact sheet: one row a generation, one column a digit, chains side by side."""
        names = list(self.chains)
        most = max(len(found) for found in self._generations.values())
        across = min(_SHEETS, len(names))
        down = -(-len(names) // across)
        width = WIDTH / max(across, 2)
        size = (width * across, down * ((width - 0.6) * most / 10 + 0.7))
        figure = Figure(figsize=size, layout="constrained")
        grid = figure.subplots(down, across, squeeze=False).ravel()
        for axes in grid[len(names) :]:
            axes.set_axis_off()
        for name, axes in zip(names, grid, strict=False):
            previews = {t: self.chains[name].preview(t) for t in self._generations[name]}
            draw_generations(axes, previews, most)
            axes.set_title(name, fontsize=10)
        alt = (
            f"Contact sheet of generations 1 to {most}, one row each, with a digit of every class "
            f"from 0 to 9 in columns, for {' and '.join(names)}."
        )
        captions = [f"{name}: {_settings(chain)}" for name, chain in self.chains.items()]
        return pages.embed(pages.png(figure), pages.page_size(figure)[0], alt, " ".join(captions))


def follows_noise(chain: Chain) -> bool:
    """Return whether equal noise gives corresponding pictures in a chain's generations."""
    return chain.model.follows_noise


def _finished(name: str, chain: Chain) -> list[int]:
    if chain.data.images.dtype != np.uint8:
        raise ValueError(f"the chain {name!r} has points, not images: there is nothing to browse")
    found = [int(t) for t in chain.records()["generation"]]
    if not found:
        raise ValueError(f"the chain {name!r} has not run: run it first, list(chain.run(6))")
    return found


def _settings(chain: Chain) -> str:
    how = (
        "Every generation's pictures come from the same noise."
        if follows_noise(chain)
        else "Pictures of later generations are matched to those of generation 1: the nearest of "
        f"{chain.n_evaluate:,} samples with the same label, not the same noise."
    )
    return (
        f"{chain.loop.describe()}. Model {chain.model.name}; sampling bias {chain.bias:g}; "
        f"seed {chain.seed}. {how}"
    )
