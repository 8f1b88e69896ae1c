"""A browser through the generations of finished chains, live or from the gallery."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ipywidgets as widgets

from madlab import checks, files
from madlab.panels.chain_pictures import (
    VIEWS,
    State,
    draw_parts,
    generations_sheet,
    matrix_sheet,
    spectra_sheet,
)
from madlab.panels.chain_view import ChainView, chain_views
from madlab.panels.panel import Panel, buttons, dropdown, labelled, slider, stepped_slider
from madlab.plots.picture import Picture
from madlab.plots.sheets import timelapse

if TYPE_CHECKING:
    from madlab.panels.chain_view import Source

# The lists that choose a chain: their labels, and the classes by which tests find them.
_LISTS = {
    "chain": ("chain", "mad-chain"),
    "subject": ("pictures of", "mad-subject"),
    "family": ("model", "mad-model"),
    "loop": ("loop", "mad-loop"),
    "bias": ("sampling bias", "mad-bias"),
    "n": ("training-set size", "mad-size"),
}
_BESIDE = "beside generation 1"
_ZOOMS = (1, 2, 4)
# Milliseconds that a generation is shown while it plays.
_PACE = 800
# So many chains are shown together; of more, the chosen one alone.
_TOGETHER = 8


class Browser(Panel):
    """Pictures of any generation of finished chains, and one of them followed through all.

    Digits: a hundred of the chosen generation beside those of the first, and what a separate reader
    makes of the scored samples. In colour: one picture or 25, at a zoom that shows single pixels,
    beside the mean power spectrum of all the generation's pictures over that of real held-out ones,
    in which a grid that the eye may miss stands out as bright dots; or 25 pictures beside those of
    generation 1, which Play takes through all generations. Real pictures are never shown; in the
    gallery, which has none, spectra are held against generation 1.

    A matrix has the chosen picture in each generation, a row for each of up to eight chains of one
    kind; of more, the chosen one alone. It is followed by its noise where the model says that equal
    noise gives corresponding pictures; elsewhere each generation's nearest picture with the same
    label is shown, said to be matched.

    - `source`: a chain of pictures that has run, several by the names to show, what `chain_views`
      returned, or a gallery.
    - `view`: what to begin with: of colour pictures "one picture", "25 pictures" or "beside
      generation 1".
    - `generation`: the generation to begin with, the last where None.
    - `first`: the chain to begin with, by `chain`, its name, or of a gallery by columns of
      `Gallery.chains`: `subject`, `family` (the model, with its recipe where it has several),
      `loop`, `bias`. Where not given: digits, the fully synthetic loop, the largest bias.

    Without a kernel it shows a contact sheet over all generations, in colour with spectra.

    Raises ValueError where there is no chain to show, or one that has not run, and KeyError for
    what to begin with where there is no such thing.
    """

    def __init__(
        self,
        source: "Source",
        *,
        view: str | None = None,
        generation: int | None = None,
        **first: Any,
    ) -> None:
        self.chains = chain_views(source)
        self._places: dict[str, Mapping[str, Any]] = {
            name: chain.lists or {"chain": name} for name, chain in self.chains.items()
        }
        if len({tuple(place) for place in self._places.values()}) > 1:
            self._places = {name: {"chain": name} for name in self.chains}
        keys = next(iter(self._places.values()))
        self.lists = {key: dropdown(*_LISTS[key], [], None) for key in keys}
        self.generation = stepped_slider("generation", "mad-generation", [("1", 1)], 1)
        self.play = labelled(widgets.Play, "play", "mad-play", interval=_PACE)
        self.chosen = slider("picture", "mad-picture-number", 0, 1, 1, 0)
        self.view = buttons("show", "mad-view", [*VIEWS], "auto")
        self.zoom = buttons("zoom", "mad-zoom", [(f"×{zoom}", zoom) for zoom in _ZOOMS], "4em")
        if view is not None:
            self.view.value = checks.choice("view", view, VIEWS)
        self._begin(first, generation)
        widgets.link((self.generation, "index"), (self.play, "value"))
        ways = [self.generation, widgets.Box([widgets.Label("play"), self.play]), self.chosen]
        super().__init__("mad-browser", [*self.lists.values()], ways, [self.view, self.zoom])

    def _begin(self, first: Mapping[str, Any], generation: int | None) -> None:
        """Choose what to begin with, or raise KeyError where there is no such chain."""
        self._settle(first, generation)
        wrong = [
            key for key in first if key not in self.lists or self.lists[key].value != first[key]
        ]
        if wrong:
            said = ", ".join(f"{key} {_label(value)}" for key, value in first.items())
            keys = [key for key in first if key in self.lists] or [*self.lists]
            places = [
                ", ".join(_label(place[key]) for key in keys) for place in self._places.values()
            ]
            raise KeyError(
                f"there is no chain of {said} to show; by {' and '.join(keys)} there are: "
                f"{'; '.join(dict.fromkeys(places))}"
            )
        if generation not in (None, *self.chain.generations):
            known = ", ".join(map(str, self.chain.generations))
            raise KeyError(f"{self.chain.name} has no generation {generation} to show, but {known}")

    def _settle(self, wished: Mapping[str, Any], t: int | None) -> None:
        """Offer in every list what there is with the ones before it, and keep what was chosen."""
        self._settling = True
        names = list(self._places)
        for key, control in self.lists.items():
            offered = list(dict.fromkeys(self._places[name][key] for name in names))
            control.options = [(_label(value), value) for value in offered]
            control.value = wished[key] if wished.get(key) in offered else offered[0]
            names = [name for name in names if self._places[name][key] == control.value]
        self.chain = self.chains[names[0]]
        steps = self.chain.generations
        self.play.max = len(steps) - 1
        for control in (self.generation, self.generation.box.children[0]):
            control.options = [(str(one), one) for one in steps]
        self.generation.value = steps[-1] if t is None else self.chain.at(t)
        for control in self.chosen.box.children:
            control.max = min(len(chain.pictures(chain.generations[0])) for chain in self._together)
            control.max -= 1
        for control in (self.view, self.zoom):
            control.layout.display = "" if self.chain.colour else "none"
        self.zoom.disabled = self.view.value == _BESIDE
        self._settling = False

    def _changed(self, change: Mapping[str, Any]) -> None:
        if self._settling:
            return
        wished = {key: control.value for key, control in self.lists.items()}
        self._settle(wished, self.generation.value)
        super()._changed(change)

    @property
    def _together(self) -> list[ChainView]:
        """The chains of one kind with the chosen one, or that one alone where they are many."""
        found = [chain for chain in self.chains.values() if chain.colour == self.chain.colour]
        return found if len(found) <= _TOGETHER else [self.chain]

    @property
    def _state(self) -> State:
        t, chosen, zoom = self.generation.value, self.chosen.value, self.zoom.value
        return State(self.chain, t, chosen, zoom, self._together)

    def render(self) -> Picture:
        """Return the parts that belong to the present state, with scores beside the first's.

        Colour pictures have all their colours.
        """
        state = self._state
        figure, shown = draw_parts(state, self.view.value)
        brackets = "" if state.t == state.first else f", generation {state.first}'s in brackets"
        alt = (
            f"Generation {state.t} of {self.chain.generations[-1]}, {self.chain.name}. "
            f"Scores{brackets}: {self.chain.scores(state.t)}. Shown: {shown}."
        )
        return Picture(figure, alt, self._about(), None if self.chain.colour else 256)

    def _about(self) -> str:
        """Return the chains with their sizes, and how pictures were followed."""
        together = self._together
        said = [chain.about for chain in together]
        matched = [chain.name for chain in together if not chain.follows_noise]
        if len(matched) < len(together):
            said.append("The same noise gives a chain's pictures in every generation.")
        if matched:
            whose = "Pictures" if len(matched) == len(together) else " and ".join(matched)
            said.append(
                f"{whose} are matched: of each generation the picture nearest to that of "
                "generation 1, not the same noise."
            )
        return " ".join(said)

    def sheet(self) -> list[Picture]:
        """Return contact sheets over all generations, in colour with each chain's last spectrum."""
        state = self._state
        if not self.chain.colour:
            return [generations_sheet(state.together)]
        if self.view.value == _BESIDE:
            return [generations_sheet([self.chain])]
        return [matrix_sheet(state), spectra_sheet(state.together)]

    def export(self, path: str | os.PathLike[str]) -> Path:
        """Write the chosen chain as an animated GIF, one frame a generation, and return its path.

        - `path`: the file; one that is there is replaced.

        Raises OSError where it cannot be written.
        """
        target = Path(path).expanduser()
        frames = {t: self.chain.preview(t) for t in self.chain.generations}
        files.write(target, timelapse(frames))
        return target


def _label(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def face_explorer(source: "Source", **begin: Any) -> Browser:
    """Return what `FaceExplorer` was in version 0.4: the colour pictures of a source."""
    found = {name: chain for name, chain in chain_views(source).items() if chain.colour}
    if not found:
        raise ValueError("there are no chains of colour pictures to show: give at least one")
    return Browser(found, **begin)


def time_lapse(source: "Source") -> Browser:
    """Return what `TimeLapse` was in version 0.4: colour pictures, to be played."""
    shown = face_explorer(source, view=_BESIDE)
    shown.generation.index = 0
    return shown
