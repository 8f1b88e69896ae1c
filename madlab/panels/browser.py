"""A browser through the generations of finished chains, live or from the gallery."""

import os
import textwrap
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import ipywidgets as widgets
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from madlab import checks, files
from madlab.panels.chain_view import ChainView, chain_views
from madlab.panels.panel import Panel, dropdown, labelled, slider, stepped_slider
from madlab.plots.picture import Picture
from madlab.plots.sheets import EMPTY, draw_histogram, draw_sheet, mosaic
from madlab.plots.spectra import draw_spectrum
from madlab.plots.style import WIDTH
from madlab.plots.timelapse import timelapse

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
_ZOOMS = (1, 2, 4)
# Milliseconds that a generation is shown while it plays.
_PACE = 800
# So many chains are shown together; of more, the chosen one alone.
_TOGETHER = 8
# Characters of a chain's name on a line: beside a row, and above all columns together.
_ROW, _TITLE = 24, 72
# Of what is shown without a kernel: contact sheets and spectra in a row, pictures in a row of a
# contact sheet of several chains and of one, and along a side of the cells of a matrix.
_SHEETS, _SPECTRA, _FEW, _MANY, _SIDE = 3, 4, 10, 20, 2


class State(NamedTuple):
    """What is shown: a chain, its generation, the number of a picture, and those beside it."""

    chain: ChainView
    t: int
    chosen: int
    zoom: int
    together: list[ChainView]

    @property
    def first(self) -> int:
        """The first generation that can be shown."""
        return self.chain.generations[0]

    @property
    def names(self) -> str:
        """The names of the chains shown together."""
        return ", ".join(chain.name for chain in self.together)

    @property
    def generations(self) -> list[int]:
        """All generations of the chains shown together."""
        return sorted({t for chain in self.together for t in chain.generations})


def _draw_first(state: State, axes: Axes) -> None:
    _draw_now(state._replace(t=state.first), axes)


def _draw_now(state: State, axes: Axes) -> None:
    """Draw as many pictures of a generation as make a square, of digits the chosen one framed."""
    images, across = _square(state)
    own = state.chain.follows_noise or state.t == state.first
    inside = own and state.chosen < len(images) and not state.chain.colour
    draw_sheet(axes, images, across, frame=state.chosen if inside else None)
    axes.set_title(f"generation {state.t}", fontsize=11, loc="left")
    axes.set_anchor("NW")


def _square(state: State) -> tuple[np.ndarray, int]:
    across = 5 if state.chain.colour else 10
    return state.chain.pictures(state.t)[: across**2], across


def _count(state: State) -> str:
    return f"{len(_square(state)[0])} pictures of generation {state.t}"


def _beside(state: State) -> str:
    return f"{_count(state)} beside those of generation {state.first}"


def _zoom(state: State) -> str:
    return "" if state.zoom == 1 else f", the middle ×{state.zoom}"


def _draw_near(state: State, axes: Axes, picture: np.ndarray, what: str) -> None:
    """Draw the middle of a picture, large."""
    h, w = picture.shape[:2]
    high, wide = -(-h // state.zoom), -(-w // state.zoom)
    top, left = (h - high) // 2, (w - wide) // 2
    middle = picture[top : top + high, left : left + wide]
    axes.imshow(middle, interpolation="nearest")
    axes.set_axis_off()
    axes.set_title(f"generation {state.t}: {what}{_zoom(state)}", fontsize=11, loc="left")


def _draw_one(state: State, axes: Axes) -> None:
    picture = state.chain.followed(state.t)[state.chosen]
    _draw_near(state, axes, picture, f"picture {state.chosen}")


def _draw_several(state: State, axes: Axes) -> None:
    images, across = _square(state)
    _draw_near(state, axes, mosaic(images, across), f"{len(images)} pictures")


def _draw_matrix(state: State, axes: Axes) -> None:
    """Draw the chosen picture in every generation of the chains shown together."""
    cells = [pictures[state.chosen] for pictures in _cells(state, ChainView.followed)]
    place = state.together.index(state.chain) * len(state.generations)
    names = [f"{view.name}\n({view.how})" for view in state.together]
    _draw_cells(axes, state, np.stack(cells), names, place + state.generations.index(state.t))
    title = f"picture {state.chosen}, generation by generation"
    axes.set_title(title, fontsize=11, loc="left")


def _draw_cells(
    axes: Axes, state: State, cells: np.ndarray, names: list[str], frame: int | None = None
) -> None:
    heads = [str(t) for t in state.generations]
    rows = ["\n".join(textwrap.fill(line, _ROW) for line in name.splitlines()) for name in names]
    draw_sheet(axes, cells, len(heads), rows=rows, heads=heads, frame=frame)


def _cells(state: State, give: Callable[[ChainView, int], np.ndarray]) -> list[np.ndarray]:
    """Return pictures of each chain and generation, of one size, blank where there are none."""
    sizes = {view: len(view.pictures(view.generations[0])[0]) for view in state.together}
    largest = max(sizes.values())
    if any(largest % size for size in sizes.values()):
        found = " and ".join(map(str, sorted(set(sizes.values()))))
        raise ValueError(
            f"pictures are {found} pixels a side; sizes that are shown together must be multiples "
            "of each other: choose chains of one size"
        )
    cells = []
    for view, size in sizes.items():
        blank = np.full_like(give(view, view.generations[0]), 255 - EMPTY if view.colour else EMPTY)
        for t in state.generations:
            pictures = give(view, t) if t in view.generations else blank
            cells.append(pictures.repeat(largest // size, 1).repeat(largest // size, 2))
    return cells


def _say_matrix(state: State) -> str:
    labels = state.chain.preview(state.first).labels
    digit = "" if labels is None else f", a {labels[state.chosen]},"
    every = ", ".join(map(str, state.generations))
    return f"picture {state.chosen}{digit} in generations {every} of {state.names}"


def _draw_classes(state: State, axes: Axes) -> None:
    draw_histogram(axes, state.chain.classes(state.t), state.chain.every(state.t).labels)
    axes.set_title(f"generation {state.t}, as a separate reader sees it", fontsize=11, loc="left")


def _say_classes(state: State) -> str:
    found, asked = state.chain.classes(state.t), state.chain.every(state.t).labels
    share = f"{len(found):,} digits were read"
    if asked is not None:
        share = f"{np.mean(found == asked):.0%} of {len(found):,} digits are read as their label"
    counts = np.bincount(found, minlength=10)
    return (
        f"{share}; the classes have from {counts.min():,} ({counts.argmin()}) to "
        f"{counts.max():,} ({counts.argmax()})"
    )


def _draw_power(state: State, axes: Axes) -> None:
    power, whose = state.chain.yardstick
    draw_spectrum(axes, state.chain.power(state.t), power)
    axes.set_title(f"generation {state.t}, power over {whose}", fontsize=11, loc="left")


def _sheet_height(state: State) -> float:
    images, across = _square(state)
    return min(4.7 if state.chain.colour else 3.8, 0.4 + 4.4 * len(images) / across**2)


def _matrix_height(state: State) -> float:
    room, most = (WIDTH - 2, 1.0) if state.chain.colour else (WIDTH / 2 - 1, 0.55)
    chains = len(state.together)
    return 0.5 + chains * min(most, room / len(state.generations), 5 / chains)


class Part(NamedTuple):
    """A part of the picture: how it is drawn, its inches of height, and what it says."""

    draw: Callable[[State, Axes], None]
    height: Callable[[State], float]
    words: Callable[[State], str] | None


_PARTS = {
    "first": Part(_draw_first, _sheet_height, _beside),
    "now": Part(_draw_now, _sheet_height, None),
    "matrix": Part(_draw_matrix, _matrix_height, _say_matrix),
    "one": Part(_draw_one, lambda _: 3.5, lambda state: f"picture {state.chosen}{_zoom(state)}"),
    "several": Part(_draw_several, lambda _: 3.5, lambda state: f"{_count(state)}{_zoom(state)}"),
    "classes": Part(_draw_classes, lambda _: 2.2, _say_classes),
    "power": Part(_draw_power, lambda _: 3.5, lambda state: state.chain.grid(state.t)),
}
# What the pictures of a chain can be shown as, in grey and in colour: rows of parts.
_VIEWS: dict[bool, dict[str, list[list[str]]]] = {
    False: {"digits": [["first", "now"], ["matrix", "classes"]]},
    True: {
        "one picture": [["matrix"], ["one", "power"]],
        "25 pictures": [["matrix"], ["several", "power"]],
        "beside generation 1": [["first", "now"]],
    },
}


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
        shown = list(_VIEWS[True])
        self.view = labelled(widgets.ToggleButtons, "show", "mad-view", options=shown)
        zooms = [(f"×{zoom}", zoom) for zoom in _ZOOMS]
        self.zoom = labelled(widgets.ToggleButtons, "zoom", "mad-zoom", options=zooms)
        self.view.style.button_width, self.zoom.style.button_width = "auto", "4em"
        if view is not None:
            self.view.value = checks.choice("view", view, shown)
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

    def _rows(self) -> list[list[str]]:
        """Return the parts that are shown, row by row."""
        views = _VIEWS[self.chain.colour]
        rows = views.get(self.view.value) or next(iter(views.values()))
        # Without samples beyond the preview there is nothing to be read.
        able = {*_PARTS} - (set() if self.chain.samples else {"classes"})
        return [[part for part in row if part in able] for row in rows]

    def render(self) -> Picture:
        """Return the present state, of colour pictures in full colour."""
        self.colours = None if self.chain.colour else 256
        return super().render()

    def figure(self) -> Figure:
        """Return the parts that belong to the present state, row by row."""
        state, rows = self._state, self._rows()
        heights = [max(_PARTS[part].height(state) for part in row) for row in rows]
        figure = Figure(figsize=(WIDTH, sum(heights)), layout="constrained")
        lines = figure.subfigures(len(rows), 1, height_ratios=heights, squeeze=False)[:, 0]
        for line, row in zip(lines, rows, strict=True):
            for part, axes in zip(row, np.ravel(line.subplots(1, len(row))), strict=True):
                _PARTS[part].draw(state, axes)
        return figure

    def alt(self) -> str:
        """Return the generation, its scores beside the first's, and what each part shows."""
        state = self._state
        parts = [_PARTS[part] for row in self._rows() for part in row]
        shown = [part.words(state) for part in parts if part.words]
        brackets = "" if state.t == state.first else f", generation {state.first}'s in brackets"
        return (
            f"Generation {state.t} of {self.chain.generations[-1]}, {self.chain.name}. "
            f"Scores{brackets}: {self.chain.scores(state.t)}. Shown: {'; '.join(shown)}."
        )

    def settings(self) -> str:
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
            return [_generations(state.together)]
        if self.view.value == "beside generation 1":
            return [_generations([self.chain])]
        return [_matrix(state), _spectra(state.together)]

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


def _grid(count: int, across: int, high: float) -> tuple[Figure, list[Axes]]:
    """Return a figure with places in rows, each so many inches high, and these in order."""
    down = -(-count // across)
    figure = Figure(figsize=(WIDTH, high * down), layout="constrained")
    axes = list(figure.subplots(down, across, squeeze=False).ravel())
    for one in axes[count:]:
        one.set_axis_off()
    return figure, axes[:count]


def _generations(chains: list[ChainView]) -> Picture:
    """Return a contact sheet of each chain: one row a generation, each from the same noise."""
    across = min(_SHEETS, len(chains))
    columns = 12 if chains[0].colour else _MANY if across == 1 else _FEW
    most = max(len(chain.generations) for chain in chains)
    high = (WIDTH / across - 0.6) * most / columns + 0.7
    figure, grid = _grid(len(chains), across, high)
    said = []
    for axes, chain in zip(grid, chains, strict=True):
        previews = [chain.preview(t) for t in chain.generations]
        images = [preview.images[:columns] for preview in previews]
        blank = np.full_like(images[0], 255 - EMPTY if chain.colour else EMPTY)
        images += [blank] * (most - len(images))
        labels = previews[0].labels
        heads = [] if labels is None else [str(label) for label in labels[:columns]]
        rows = [str(t) for t in chain.generations]
        draw_sheet(axes, np.concatenate(images), len(images[0]), rows=rows, heads=heads)
        axes.set_title(textwrap.fill(chain.name, _TITLE // across), fontsize=10)
        axes.set_ylabel("generation", fontsize=10)
        last = chain.generations[-1]
        said.append(
            f"{chain.name}, generations {', '.join(rows)}; generation {last}: {chain.scores(last)}"
        )
    alt = f"Contact sheet, one row of pictures a generation. {'. '.join(said)}."
    captions = " ".join(chain.about for chain in chains)
    return Picture(figure, alt, captions, None if chains[0].colour else 256)


def _matrix(state: State) -> Picture:
    """Return pictures of each generation of each chain: a row a chain, a column a generation."""
    cells = [mosaic(own[: _SIDE**2], _SIDE, 1) for own in _cells(state, ChainView.pictures)]
    side = min(1.6, (WIDTH - 2) / len(state.generations), 8 / len(state.together))
    figure, (axes,) = _grid(1, 1, side * len(state.together) + 0.5)
    _draw_cells(axes, state, np.stack(cells), [one.name for one in state.together])
    said = [f"{one.name}: {one.scores(one.generations[-1])}" for one in state.together]
    alt = (
        f"Contact sheet: a row for each of {state.names}, a "
        f"column for each of generations {', '.join(map(str, state.generations))}, "
        f"{_SIDE**2} pictures in each cell. Last generations: {'; '.join(said)}."
    )
    return Picture(figure, alt, " ".join(one.about for one in state.together), None)


def _spectra(chains: list[ChainView]) -> Picture:
    """Return the spectrum of each chain's last generation."""
    across = min(_SPECTRA, len(chains))
    figure, grid = _grid(len(chains), across, 2.9)
    said = []
    for place, (axes, chain) in enumerate(zip(grid, chains, strict=True)):
        t = chain.generations[-1]
        draw_spectrum(axes, chain.power(t), chain.yardstick[0], bar=place == across - 1)
        title = textwrap.fill(chain.name, _TITLE // across)
        axes.set_title(f"{title}\ngeneration {t}", fontsize=10, loc="left")
        said.append(f"{chain.name}, generation {t}: {chain.grid(t)}")
    whose = " or ".join(dict.fromkeys(chain.yardstick[1] for chain in chains))
    alt = f"Power spectra. {'; '.join(said)}."
    return Picture(figure, alt, f"Mean power of all pictures over that of {whose}.")


def face_explorer(source: "Source") -> Browser:
    """Return what `FaceExplorer` was in version 0.4: the colour pictures of a source."""
    return Browser(_in_colour(source))


def time_lapse(source: "Source") -> Browser:
    """Return what `TimeLapse` was in version 0.4: colour pictures, to be played."""
    found = _in_colour(source)
    first = min(chain.generations[0] for chain in found.values())
    return Browser(found, view="beside generation 1", generation=first)


def _in_colour(source: "Source") -> dict[str, ChainView]:
    found = {name: chain for name, chain in chain_views(source).items() if chain.colour}
    if not found:
        raise ValueError("there are no chains of colour pictures to show: give at least one")
    return found
