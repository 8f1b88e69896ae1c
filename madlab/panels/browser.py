"""A browser through the generations of finished chains, live or from the gallery."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import ipywidgets as widgets

from madlab import checks, files
from madlab.panels import chain_pictures as pictures
from madlab.panels import panel
from madlab.panels.chain_view import ChainView, Source, chain_views
from madlab.plots.picture import Picture
from madlab.plots.sheets import timelapse

# The labels of lists that are not called what they choose.
_LABELS = {
    "subject": "pictures of",
    "family": "model",
    "bias": "sampling bias",
    "n": "training-set size",
}
_BESIDE = "beside generation 1"
_ZOOMS = (1, 2, 4)
# Milliseconds that a generation is shown while it plays.
_PACE = 800
# So many chains are shown together; of more, the chosen one alone.
_TOGETHER = 8


class Browser(panel.Panel):
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

    Raises ValueError where there is no chain to show, or one that has not run, and KeyError for
    what to begin with where there is no such thing.
    """

    def __init__(
        self,
        source: Source,
        *,
        view: str | None = None,
        generation: int | None = None,
        **first: Any,
    ) -> None:
        self.chains = chain_views(source)
        self._places = {name: chain.lists for name, chain in self.chains.items()}
        if not all(self._places.values()) or len({*map(tuple, self._places.values())}) > 1:
            self._places = {name: {"chain": name} for name in self.chains}
        begin = self._find(first)
        shown = self.chains[begin]
        if generation not in (None, *shown.generations):
            known = ", ".join(map(str, shown.generations))
            raise KeyError(f"{shown.name} has no generation {generation} to show, but {known}")
        place, steps = self._places[begin], shown.generations
        self.lists = {
            key: panel.dropdown(_LABELS.get(key, key), [value], value)
            for key, value in place.items()
        }
        self.play = panel.labelled(widgets.Play, "play", interval=_PACE).add_class("mad-play")
        ways = {
            "generation": panel.stepped_slider("generation", steps, generation or steps[-1]),
            "player": widgets.Box([widgets.Label("play"), self.play]),
            "chosen": panel.slider("picture", 0, 1, 1, 0),
        }
        looks = {
            "view": panel.buttons("show", list(pictures.VIEWS), "auto"),
            "zoom": panel.buttons("zoom", {f"×{zoom}": zoom for zoom in _ZOOMS}, "4em"),
        }
        if view is not None:
            looks["view"].value = checks.choice("view", view, pictures.VIEWS)
        widgets.link((ways["generation"], "index"), (self.play, "value"))
        super().__init__("mad-browser", self.lists, ways, looks)

    def _find(self, wanted: Mapping[str, Any]) -> str:
        """Return the name of the first chain in these places, or raise KeyError."""
        for name, place in self._places.items():
            if wanted.items() <= place.items():
                return name
        keys = [key for key in wanted if key in place] or [*place]
        said = ", ".join(f"{key} {panel.named(value)}" for key, value in wanted.items())
        known = [", ".join(panel.named(own[key]) for key in keys) for own in self._places.values()]
        raise KeyError(
            f"there is no chain of {said} to show; by {' and '.join(keys)} there are: "
            f"{'; '.join(dict.fromkeys(known))}"
        )

    def settle(self) -> None:
        """Offer in every list what there is with the ones before it, and keep what was chosen."""
        names, t = list(self.chains), self.generation.value
        for key, control in self.lists.items():
            offered = list(dict.fromkeys(self._places[name][key] for name in names))
            value = control.value if control.value in offered else offered[0]
            control.options = panel.pairs(offered)
            control.value = value
            names = [name for name in names if self._places[name][key] == value]
        self.chain = self.chains[names[0]]
        self.play.max = len(self.chain.generations) - 1
        for control in (self.generation, self.generation.box.children[0]):
            control.options = panel.pairs(self.chain.generations)
        self.generation.value = self.chain.at(t)
        self.chosen.max = min(len(chain.pictures(chain.first)) for chain in self._together) - 1
        for control in (self.view, self.zoom):
            control.layout.display = "" if self.chain.colour else "none"
        self.zoom.disabled = self.view.value == _BESIDE

    @property
    def _together(self) -> list[ChainView]:
        """The chains of one kind with the chosen one, or that one alone where they are many."""
        found = [chain for chain in self.chains.values() if chain.colour == self.chain.colour]
        return found if len(found) <= _TOGETHER else [self.chain]

    @property
    def _state(self) -> pictures.State:
        t, chosen, view, zoom = list(self.state.values())[-4:]
        return pictures.State(self.chain, t, chosen, view, zoom, self._together)

    def render(self) -> Picture:
        """Return the parts that belong to the present state, with scores beside the first's.

        Colour pictures have all their colours.
        """
        state, chain = self._state, self.chain
        figure, shown = pictures.draw_rows(state)
        brackets = "" if state.t == chain.first else f", generation {chain.first}'s in brackets"
        alt = (
            f"Generation {state.t} of {chain.last}, {chain.name}. "
            f"Scores{brackets}: {chain.scores(state.t)}. Shown: {shown}."
        )
        return Picture(figure, alt, self._about(), None if chain.colour else 256)

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
            return [pictures.generations_sheet(state.together)]
        if self.view.value == _BESIDE:
            return [pictures.generations_sheet([self.chain])]
        return [pictures.matrix_sheet(state), pictures.spectra_sheet(state.together)]

    def export(self, path: str | os.PathLike[str]) -> Path:
        """Write the chosen chain as an animated GIF, one frame a generation, and return its path.

        - `path`: the file; one that is there is replaced.

        Raises OSError where it cannot be written.
        """
        target = files.expanded(path)
        files.write(target, timelapse({t: self.chain.preview(t) for t in self.chain.generations}))
        return target


def face_explorer(source: Source, **begin: Any) -> Browser:
    """Return what `FaceExplorer` was in version 0.4: the colour pictures of a source."""
    return Browser({name: one for name, one in chain_views(source).items() if one.colour}, **begin)


def time_lapse(source: Source) -> Browser:
    """Return what `TimeLapse` was in version 0.4: colour pictures, to be played."""
    shown = face_explorer(source, view=_BESIDE)
    shown.generation.index = 0
    return shown
