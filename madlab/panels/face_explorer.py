"""The artefact explorer: one face through generations and chains, up close, and its spectrum."""

import textwrap
from collections.abc import Iterator

import ipywidgets as widgets
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from madlab.metrics.spectrum import grid_power
from madlab.panels.face_runs import FaceRun, Source, face_runs
from madlab.panels.panel import Panel, choice_slider, labelled, row, slider
from madlab.plots import pages
from madlab.plots.colours import WIDTH
from madlab.plots.lines import number
from madlab.plots.sheets import draw_sheet, mosaic
from madlab.plots.spectra import draw_spectrum

_ZOOMS = (1, 2, 4)
_SHEET = 25
# Spectra in a row, and pictures along a side of the cells, of what is shown without a kernel.
_ACROSS, _SIDE = 4, 2
# Characters of a chain's name on a line: beside a row, and above all spectra together.
_ROW, _TITLE = 24, 72


class FaceExplorer(Panel):
    """One picture through all generations of several chains, one cell of it large, and the scars.

    Above, rows are chains and columns are generations. Below, the framed cell, or the first 25
    pictures of its generation, at a zoom that shows single pixels; beside it the mean power
    spectrum of all the generation's pictures over that of real held-out ones, in which a grid that
    the eye may miss stands out as bright dots. In the gallery, which has no real pictures, it is
    held against generation 1.

    Where the model says that equal noise gives corresponding pictures, a row shows pictures of one
    noise; elsewhere each generation's nearest picture to that of generation 1, said to be matched.

    - `source`: a chain of colour pictures that has run, several by the names to show, or a gallery.

    Without a kernel it shows four pictures of every generation of every chain, and the spectra.

    Raises ValueError where there is no such chain, or one that has not run.
    """

    def __init__(self, source: Source) -> None:
        self.runs = face_runs(source)
        names = list(self.runs)
        self._generations = sorted({t for run in self.runs.values() for t in run.generations})
        count = min(len(run.pictures(run.generations[0])) for run in self.runs.values())
        last = self._generations[-1]
        self.chain = labelled(widgets.Dropdown, "chain", "mad-chain", options=names, value=names[0])
        choices = [(str(t), t) for t in self._generations]
        self.generation, generation_box = choice_slider(
            "generation", "mad-generation", choices, last
        )
        self.chosen, chosen_box = slider("picture", "mad-picture-number", 0, count - 1, 1, 0)
        self.zoom = labelled(
            widgets.ToggleButtons,
            "zoom",
            "mad-zoom",
            options=[(f"×{zoom}", zoom) for zoom in _ZOOMS],
            value=1,
        )
        self.zoom.style.button_width = "3em"
        self.whole = labelled(
            widgets.Checkbox, f"{_SHEET} pictures", "mad-sheet", value=False, indent=False
        )
        rows = [row(self.chain, generation_box, chosen_box), row(self.zoom, self.whole)]
        super().__init__(rows, "mad-faces")
        self.follow(self.chain, self.generation, self.chosen, self.zoom, self.whole)
        self.redraw()

    @property
    def _state(self) -> tuple[FaceRun, int]:
        """The chain that is shown large, and which of its generations."""
        run = self.runs[self.chain.value]
        return run, run.at(self.generation.value)

    def render(self) -> tuple[bytes, tuple[int, int]]:
        """Return the present state as a PNG in full colour, and its size in CSS pixels."""
        figure = self.figure()
        return pages.png(figure, colours=None), pages.page_size(figure)

    def figure(self) -> Figure:
        """Return the matrix of pictures, the chosen cell up close, and the spectrum."""
        run, t = self._state
        side = min(1.0, (WIDTH - 2) / len(self._generations), 5 / len(self.runs))
        height = side * len(self.runs) + 0.5
        figure = Figure(figsize=(WIDTH, height + 3.5), layout="constrained")
        top, bottom = figure.subfigures(2, 1, height_ratios=(height, 3.5), squeeze=False)[:, 0]
        self._draw_matrix(top.subplots(), run, t)
        near, spectrum = bottom.subplots(1, 2)
        self._draw_near(near, run, t)
        power, whose = run.yardstick
        draw_spectrum(spectrum, run.power(t), power)
        spectrum.set_title(f"generation {t}, power over {whose}", fontsize=11, loc="left")
        return figure

    def _draw_matrix(self, axes: Axes, run: FaceRun, t: int) -> None:
        across = len(self._generations)
        place = list(self.runs).index(run.name) * across + self._generations.index(t)
        chosen = self.chosen.value
        cells = np.stack([pictures[chosen] for pictures in self._cells(follow=True)])
        names = [f"{name}\n({one.how})" for name, one in self.runs.items()]
        self._draw_cells(axes, cells, names, place)
        axes.set_title(f"picture {chosen}, generation by generation", fontsize=11, loc="left")

    def _draw_cells(
        self, axes: Axes, cells: np.ndarray, names: list[str], frame: int | None = None
    ) -> None:
        heads = [str(generation) for generation in self._generations]
        rows = [
            "\n".join(textwrap.fill(line, _ROW) for line in name.splitlines()) for name in names
        ]
        draw_sheet(axes, cells, len(heads), rows=rows, heads=heads, frame=frame)

    def _cells(self, follow: bool) -> Iterator[np.ndarray]:
        """Yield the pictures of each cell, row after row, pale grey where there is none."""
        size = max(run.size for run in self.runs.values())
        for run in self.runs.values():
            give = run.followed if follow else run.pictures
            for t in self._generations:
                there = t in run.generations
                found = give(t) if there else np.full_like(give(run.generations[0]), 245)
                yield found.repeat(size // run.size, 1).repeat(size // run.size, 2)

    def _draw_near(self, axes: Axes, run: FaceRun, t: int) -> None:
        if self.whole.value:
            picture = mosaic(run.pictures(t)[:_SHEET], 5)
        else:
            picture = run.followed(t)[self.chosen.value]
        zoom = self.zoom.value
        axes.imshow(_middle(picture, zoom), interpolation="nearest")
        axes.set_axis_off()
        part = "" if zoom == 1 else f", the middle ×{zoom}"
        axes.set_title(f"generation {t}: {self._what(run, t)}{part}", fontsize=11, loc="left")

    def _what(self, run: FaceRun, t: int) -> str:
        if not self.whole.value:
            return f"picture {self.chosen.value}"
        return f"{min(_SHEET, len(run.pictures(t)))} pictures"

    def _grid(self, run: FaceRun, t: int) -> str:
        power, whose = run.yardstick
        times = number(grid_power(run.power(t), power))
        return f"power at the frequencies of a grid {times} times that of {whose}"

    def alt(self) -> str:
        """Return what is shown large, with its scores, and what the spectrum says."""
        run, t = self._state
        return (
            f"Picture {self.chosen.value} of {', '.join(self.runs)}, generations "
            f"{', '.join(map(str, self._generations))}. Large, at zoom {self.zoom.value}: "
            f"{self._what(run, t)} of generation {t} of {run.name}. {run.scores(t)}; "
            f"{self._grid(run, t)}."
        )

    def settings(self) -> str:
        """Return the chains with their sizes, and how pictures were followed."""
        said = [run.about for run in self.runs.values()]
        matched = [name for name, run in self.runs.items() if not run.follows_noise]
        if len(matched) < len(self.runs):
            said.append("The same noise gives a row's pictures in every generation.")
        if matched:
            whose = "" if len(matched) == len(self.runs) else f" of {' and '.join(matched)}"
            said.append(
                f"Rows{whose} are matched: of each generation the picture nearest to that of "
                "generation 1, not the same noise."
            )
        return " ".join(said)

    def fallback(self) -> str:
        """Return four pictures of each generation of each chain, and each chain's last spectrum."""
        cells = np.stack(
            [mosaic(pictures[: _SIDE**2], _SIDE, 1) for pictures in self._cells(follow=False)]
        )
        side = min(1.6, (WIDTH - 2) / len(self._generations), 8 / len(self.runs))
        figure = Figure(figsize=(WIDTH, side * len(self.runs) + 0.5), layout="constrained")
        axes = figure.subplots()
        self._draw_cells(axes, cells, list(self.runs))
        last = [f"{name}: {run.scores(run.generations[-1])}" for name, run in self.runs.items()]
        alt = (
            f"Contact sheet: a row for each of {', '.join(self.runs)}, a column for each of "
            f"generations {', '.join(map(str, self._generations))}, four pictures in each cell. "
            f"Last generations: {'; '.join(last)}."
        )
        about = " ".join(run.about for run in self.runs.values())
        content = pages.png(figure, colours=None)
        sheet = pages.embed(content, pages.page_size(figure)[0], alt, about)
        return sheet + self._spectra()

    def _spectra(self) -> str:
        """Return the spectrum of each chain's last generation as HTML."""
        across = min(_ACROSS, len(self.runs))
        down = -(-len(self.runs) // across)
        figure = Figure(figsize=(WIDTH, 2.8 * down + 0.2), layout="constrained")
        grid = figure.subplots(down, across, squeeze=False).ravel()
        for axes in grid[len(self.runs) :]:
            axes.set_axis_off()
        said = []
        for axes, run in zip(grid, self.runs.values(), strict=False):
            t = run.generations[-1]
            draw_spectrum(axes, run.power(t), run.yardstick[0], bar=axes is grid[across - 1])
            title = textwrap.fill(run.name, _TITLE // across)
            axes.set_title(f"{title}\ngeneration {t}", fontsize=10, loc="left")
            said.append(f"{run.name}, generation {t}: {self._grid(run, t)}")
        caption = (
            "Mean power of all pictures over that of "
            f"{' or '.join(dict.fromkeys(run.yardstick[1] for run in self.runs.values()))}."
        )
        alt = f"Power spectra. {'; '.join(said)}."
        return pages.embed(pages.png(figure), pages.page_size(figure)[0], alt, caption)


def _middle(picture: np.ndarray, zoom: int) -> np.ndarray:
    """Return the middle of a picture `(h, w, 3)`, a `zoom`-th of its sides."""
    h, w = picture.shape[:2]
    high, wide = -(-h // zoom), -(-w // zoom)
    top, left = (h - high) // 2, (w - wide) // 2
    return picture[top : top + high, left : left + wide]
