"""A time-lapse: a sheet of pictures through the generations of a chain, and the same as a GIF."""

import os
from pathlib import Path

import ipywidgets as widgets
import numpy as np
from matplotlib.figure import Figure

from madlab.data.samples import Samples
from madlab.panels.face_runs import FaceRun, Source, face_runs
from madlab.panels.panel import Panel, choice_slider, labelled, row
from madlab.plots import pages
from madlab.plots.colours import WIDTH
from madlab.plots.sheets import draw_sheet
from madlab.plots.timelapse import timelapse

_ACROSS, _DOWN = 10, 5
_STRIP = 12
# Milliseconds that a generation is shown while it plays.
_PACE = 800


class TimeLapse(Panel):
    """Fifty pictures of a generation, played through all generations of a chain.

    A button plays them, a slider goes through them by hand, and `export` writes them as a GIF. All
    generations draw from the same noise; where the model says that equal noise gives corresponding
    pictures, each place shows what became of one picture.

    - `source`: a chain of colour pictures that has run, several by the names to show, or a gallery.

    Without a kernel it shows a strip of the chosen chain: one row a generation.

    Raises ValueError where there is no such chain, or one that has not run.
    """

    def __init__(self, source: Source) -> None:
        self.runs = face_runs(source)
        self._drawn: dict[tuple[str, int], tuple[bytes, tuple[int, int]]] = {}
        names = list(self.runs)
        every = sorted({t for run in self.runs.values() for t in run.generations})
        self.chain = labelled(widgets.Dropdown, "chain", "mad-chain", options=names, value=names[0])
        choices = [(str(t), t) for t in every]
        self.generation, box = choice_slider("generation", "mad-generation", choices, every[0])
        self.play = widgets.Play(max=len(every) - 1, interval=_PACE).add_class("mad-play")
        self.play.description = "play"
        widgets.link((self.play, "value"), (self.generation, "index"))
        super().__init__([row(self.chain, box, widgets.Label("play"), self.play)], "mad-lapse")
        self.follow(self.chain, self.generation)
        self.redraw()

    @property
    def _state(self) -> tuple[FaceRun, int]:
        """The chain that is shown, and the generation: its last before the slider's."""
        run = self.runs[self.chain.value]
        return run, run.at(self.generation.value)

    def render(self) -> tuple[bytes, tuple[int, int]]:
        """Return the present state as a PNG in full colour, drawn once, and its size."""
        run, t = self._state
        if (run.name, t) not in self._drawn:
            figure = self.figure()
            drawn = pages.png(figure, colours=None), pages.page_size(figure)
            self._drawn[run.name, t] = drawn
        return self._drawn[run.name, t]

    def figure(self) -> Figure:
        """Return the pictures of the chosen generation."""
        run, t = self._state
        figure = Figure(figsize=(WIDTH, WIDTH * _DOWN / _ACROSS + 0.4), layout="constrained")
        axes = figure.subplots()
        draw_sheet(axes, run.pictures(t)[: _ACROSS * _DOWN], _ACROSS)
        title = f"{run.name}: generation {t} of {run.generations[-1]}"
        axes.set_title(title, fontsize=11, loc="left")
        return figure

    def export(self, path: str | os.PathLike[str]) -> Path:
        """Write the chosen chain as an animated GIF, one frame a generation, and return its path.

        - `path`: the file; one that is there is replaced.

        Raises OSError where it cannot be written.
        """
        run, _ = self._state
        target = Path(path).expanduser()
        target.write_bytes(timelapse({t: Samples(run.pictures(t)) for t in run.generations}))
        return target

    def _places(self, run: FaceRun) -> str:
        if run.follows_noise:
            return "Pictures in the same place come from the same noise in every generation."
        return "Pictures in the same place do not correspond from one generation to another."

    def alt(self) -> str:
        """Return the chain, the generation and its scores."""
        run, t = self._state
        count = min(_ACROSS * _DOWN, len(run.pictures(t)))
        return (
            f"{count} pictures of generation {t} of {run.generations[-1]}, {run.name}: "
            f"{run.scores(t)}."
        )

    def settings(self) -> str:
        """Return the chain with its sizes, and whether places correspond."""
        run, _ = self._state
        return f"{run.about} {self._places(run)}"

    def fallback(self) -> str:
        """Return a strip of the chosen chain: one row of pictures a generation."""
        run, _ = self._state
        rows = np.concatenate([run.pictures(t)[:_STRIP] for t in run.generations])
        side = (WIDTH - 0.5) / _STRIP
        size = (WIDTH, side * len(run.generations) + 0.4)
        figure = Figure(figsize=size, layout="constrained")
        axes = figure.subplots()
        draw_sheet(axes, rows, _STRIP, rows=[str(t) for t in run.generations])
        axes.set_ylabel("generation", fontsize=10)
        scores = "; ".join(f"generation {t}: {run.scores(t)}" for t in run.generations)
        alt = f"Strip of {run.name}, {_STRIP} pictures of each generation, one row each. {scores}."
        content = pages.png(figure, colours=None)
        return pages.embed(content, pages.page_size(figure)[0], alt, self.settings())
