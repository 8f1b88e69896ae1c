"""What a browser draws of chains, in a picture of parts or in contact sheets, and what it says."""

import textwrap
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from madlab.panels.chain_view import ChainView
from madlab.plots.picture import Picture
from madlab.plots.sheets import EMPTY, draw_histogram, draw_sheet, mosaic
from madlab.plots.spectra import draw_spectrum
from madlab.plots.style import WIDTH, places

# Characters of a chain's name on a line: beside a row, and above all columns together.
_ROW, _TITLE = 24, 72
# In contact sheets: sheets and spectra in a row, pictures in a row of several chains and of one,
# and along a side of the cells of a matrix.
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


def _draw_first(state: State, axes: Axes) -> str:
    _draw_now(state._replace(t=state.first), axes)
    return ""


def _draw_now(state: State, axes: Axes) -> str:
    """Draw as many pictures of a generation as make a square, of digits the chosen one framed."""
    images, across = _square(state)
    own = state.chain.follows_noise or state.t == state.first
    inside = own and state.chosen < len(images) and not state.chain.colour
    draw_sheet(axes, images, across, frame=state.chosen if inside else None)
    axes.set_anchor("NW")
    shown = _title(axes, state, "")
    return f"{len(images)} pictures of {shown} beside those of generation {state.first}"


def _square(state: State) -> tuple[np.ndarray, int]:
    across = 5 if state.chain.colour else 10
    return state.chain.pictures(state.t)[: across**2], across


def _title(axes: Axes, state: State, text: str) -> str:
    """Put the generation and a text above axes, and return them."""
    title = f"generation {state.t}{text}"
    axes.set_title(title, fontsize=11, loc="left")
    return title


def _draw_one(state: State, axes: Axes) -> str:
    picture = state.chain.followed(state.t)[state.chosen]
    return _draw_near(state, axes, picture, f"picture {state.chosen}")


def _draw_several(state: State, axes: Axes) -> str:
    images, across = _square(state)
    return _draw_near(state, axes, mosaic(images, across), f"{len(images)} pictures")


def _draw_near(state: State, axes: Axes, picture: np.ndarray, what: str) -> str:
    """Draw the middle of a picture, large."""
    h, w = picture.shape[:2]
    high, wide = -(-h // state.zoom), -(-w // state.zoom)
    top, left = (h - high) // 2, (w - wide) // 2
    axes.imshow(picture[top : top + high, left : left + wide], interpolation="nearest")
    axes.set_axis_off()
    what += "" if state.zoom == 1 else f", the middle ×{state.zoom}"
    _title(axes, state, f": {what}")
    return what


def _draw_matrix(state: State, axes: Axes) -> str:
    """Draw the chosen picture in every generation of the chains shown together."""
    cells = [pictures[state.chosen] for pictures in _cells(state, ChainView.followed)]
    place = state.together.index(state.chain) * len(state.generations)
    names = [f"{view.name}\n({view.how})" for view in state.together]
    _draw_cells(axes, state, np.stack(cells), names, place + state.generations.index(state.t))
    title = f"picture {state.chosen}, generation by generation"
    axes.set_title(title, fontsize=11, loc="left")
    labels = state.chain.preview(state.first).labels
    digit = "" if labels is None else f", a {labels[state.chosen]},"
    every = ", ".join(map(str, state.generations))
    return f"picture {state.chosen}{digit} in generations {every} of {state.names}"


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


def _draw_classes(state: State, axes: Axes) -> str:
    found, asked = state.chain.classes(state.t), state.chain.every(state.t).labels
    draw_histogram(axes, found, asked)
    _title(axes, state, ", as a separate reader sees it")
    share = f"{len(found):,} digits were read"
    if asked is not None:
        share = f"{np.mean(found == asked):.0%} of {len(found):,} digits are read as their label"
    counts = np.bincount(found, minlength=10)
    return (
        f"{share}; the classes have from {counts.min():,} ({counts.argmin()}) to "
        f"{counts.max():,} ({counts.argmax()})"
    )


def _draw_power(state: State, axes: Axes) -> str:
    power, whose = state.chain.yardstick
    draw_spectrum(axes, state.chain.power(state.t), power)
    _title(axes, state, f", power over {whose}")
    return state.chain.grid(state.t)


def _sheet_height(state: State) -> float:
    images, across = _square(state)
    return min(4.7 if state.chain.colour else 3.8, 0.4 + 4.4 * len(images) / across**2)


def _matrix_height(state: State) -> float:
    room, most = (WIDTH - 2, 1.0) if state.chain.colour else (WIDTH / 2 - 1, 0.55)
    chains = len(state.together)
    return 0.5 + chains * min(most, room / len(state.generations), 5 / chains)


class Part(NamedTuple):
    """A part of the picture: a function that draws it and says what it shows, and its inches."""

    draw: Callable[[State, Axes], str]
    height: Callable[[State], float]


_FIRST, _NOW = Part(_draw_first, _sheet_height), Part(_draw_now, _sheet_height)
_MATRIX, _CLASSES = Part(_draw_matrix, _matrix_height), Part(_draw_classes, lambda _: 2.2)
_ONE, _SEVERAL, _POWER = (
    Part(draw, lambda _: 3.5) for draw in (_draw_one, _draw_several, _draw_power)
)
# What colour pictures can be shown as, and how digits are: rows of parts.
VIEWS = {
    "one picture": [[_MATRIX], [_ONE, _POWER]],
    "25 pictures": [[_MATRIX], [_SEVERAL, _POWER]],
    "beside generation 1": [[_FIRST, _NOW]],
}
_DIGITS = [[_FIRST, _NOW], [_MATRIX, _CLASSES]]


def draw_parts(state: State, view: str) -> tuple[Figure, str]:
    """Return the parts of a picture, row by row, and what they show.

    - `view`: a key of `VIEWS`; digits have one view alone.
    """
    rows = VIEWS[view] if state.chain.colour else _DIGITS
    # Without samples beyond the preview there is nothing to be read.
    rows = [[part for part in row if part is not _CLASSES or state.chain.samples] for row in rows]
    heights = [max(part.height(state) for part in row) for row in rows]
    figure = Figure(figsize=(WIDTH, sum(heights)), layout="constrained")
    lines = figure.subfigures(len(rows), 1, height_ratios=heights, squeeze=False)[:, 0]
    said = [
        part.draw(state, axes)
        for line, row in zip(lines, rows, strict=True)
        for part, axes in zip(row, places(line, len(row), len(row)), strict=True)
    ]
    return figure, "; ".join(filter(None, said))


def _grid(count: int, across: int, high: float) -> tuple[Figure, list[Axes]]:
    """Return a figure with places in rows, each so many inches high, and these in order."""
    figure = Figure(figsize=(WIDTH, high * -(-count // across)), layout="constrained")
    return figure, places(figure, count, across)


def generations_sheet(chains: list[ChainView]) -> Picture:
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


def matrix_sheet(state: State) -> Picture:
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


def spectra_sheet(chains: list[ChainView]) -> Picture:
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
