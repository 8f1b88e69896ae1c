"""What a browser draws of chains, in a picture of parts or in contact sheets, and what it says."""

import textwrap
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure

from madlab.panels.chain_view import ChainView
from madlab.panels.panel import page
from madlab.plots.picture import Picture
from madlab.plots.sheets import EMPTY, draw_histogram, draw_sheet, mosaic
from madlab.plots.spectra import draw_spectrum
from madlab.plots.style import WIDTH, places

_HEAD: dict[str, Any] = {"fontsize": 11, "loc": "left"}
# Characters of a chain's name on a line: beside a row, and above all columns together.
_ROW, _TITLE = 24, 72
# In contact sheets: sheets and spectra in a row, pictures in a row of several chains and of one,
# and along a side of the cells of a matrix.
_SHEETS, _SPECTRA, _FEW, _MANY, _SIDE = 3, 4, 10, 20, 2


class State(NamedTuple):
    """What is shown: a chain, its generation, and the chains beside it.

    - `chosen`: the number of a picture; `view`: a key of `VIEWS`, for colour; `zoom`: of that.
    """

    chain: ChainView
    t: int
    chosen: int
    view: str
    zoom: int
    together: list[ChainView]

    @property
    def names(self) -> str:
        """The names of the chains shown together."""
        return ", ".join(chain.name for chain in self.together)

    @property
    def generations(self) -> list[int]:
        """All generations of the chains shown together."""
        return sorted({t for chain in self.together for t in chain.generations})


# The rows of a picture: each draws itself into a part of the page and says what it shows.


def _draw_beside(state: State, target: SubFigure) -> str:
    """Draw as many pictures as make a square, of digits the chosen one framed, and the first's."""
    first = state.chain.first
    for axes, t in zip(places(target, 2, 2), (first, state.t), strict=True):
        images, across = _square(state.chain, t)
        framed = not state.chain.colour and (state.chain.follows_noise or t == first)
        inside = framed and state.chosen < len(images)
        draw_sheet(axes, images, across, frame=state.chosen if inside else None)
        axes.set_anchor("NW")
        axes.set_title(f"generation {t}", **_HEAD)
    return f"{len(images)} pictures of generation {t} beside those of generation {first}"


def _square(chain: ChainView, t: int) -> tuple[np.ndarray, int]:
    across = 5 if chain.colour else 10
    return chain.pictures(t)[: across**2], across


def _draw_close(state: State, target: SubFigure) -> str:
    """Draw the middle of one picture or of 25, large, beside the power of all."""
    left, right = places(target, 2, 2)
    picture, what = state.chain.followed(state.t)[state.chosen], f"picture {state.chosen}"
    if state.view != "one picture":
        images, across = _square(state.chain, state.t)
        picture, what = mosaic(images, across), f"{len(images)} pictures"
    h, w = picture.shape[:2]
    high, wide = -(-h // state.zoom), -(-w // state.zoom)
    y, x = (h - high) // 2, (w - wide) // 2
    left.imshow(picture[y : y + high, x : x + wide], interpolation="nearest")
    left.set_axis_off()
    what += "" if state.zoom == 1 else f", the middle ×{state.zoom}"
    left.set_title(f"generation {state.t}: {what}", **_HEAD)
    power, whose = state.chain.yardstick
    draw_spectrum(right, state.chain.power(state.t), power)
    right.set_title(f"generation {state.t}, power over {whose}", **_HEAD)
    return f"{what}; {state.chain.grid(state.t)}"


def _draw_matrix(state: State, target: SubFigure) -> str:
    """Draw the chosen picture in every generation of the chains, and digits as they are read."""
    reads = _reads(state)
    axes, *rest = places(target, 1 + reads, 1 + reads)
    cells = [pictures[state.chosen] for pictures in _cells(state, lambda view, t: view.followed(t))]
    place = state.together.index(state.chain) * len(state.generations)
    how = {True: "same noise", False: "matched"}
    names = [f"{view.name}\n({how[view.follows_noise]})" for view in state.together]
    _draw_cells(axes, state, cells, names, place + state.generations.index(state.t))
    axes.set_title(f"picture {state.chosen}, generation by generation", **_HEAD)
    labels = state.chain.preview(state.chain.first).labels
    digit = "" if labels is None else f", a {labels[state.chosen]},"
    every = ", ".join(map(str, state.generations))
    said = f"picture {state.chosen}{digit} in generations {every} of {state.names}"
    return f"{said}; {_draw_classes(state, rest[0])}" if reads else said


def _reads(state: State) -> bool:
    """Return whether there are digits to be read: samples beyond the preview."""
    return not state.chain.colour and state.chain.samples is not None


def _draw_cells(
    axes: Axes, state: State, cells: list[np.ndarray], names: list[str], frame: int | None = None
) -> None:
    heads = [str(t) for t in state.generations]
    rows = ["\n".join(textwrap.fill(line, _ROW) for line in name.splitlines()) for name in names]
    draw_sheet(axes, np.stack(cells), len(heads), rows=rows, heads=heads, frame=frame)


def _cells(state: State, give: Callable[[ChainView, int], np.ndarray]) -> list[np.ndarray]:
    """Return pictures of each chain and generation, of one size, blank where there are none."""
    sizes = {view: len(view.pictures(view.first)[0]) for view in state.together}
    largest = max(sizes.values())
    if any(largest % size for size in sizes.values()):
        found = " and ".join(map(str, sorted(set(sizes.values()))))
        raise ValueError(
            f"pictures are {found} pixels a side; sizes that are shown together must be multiples "
            "of each other: choose chains of one size"
        )
    cells = []
    for view, size in sizes.items():
        blank = _blank(give(view, view.first))
        for t in state.generations:
            pictures = give(view, t) if t in view.generations else blank
            cells.append(pictures.repeat(largest // size, 1).repeat(largest // size, 2))
    return cells


def _blank(images: np.ndarray) -> np.ndarray:
    return np.full_like(images, EMPTY if images.ndim == 3 else 255 - EMPTY)


def _draw_classes(state: State, axes: Axes) -> str:
    found, asked = state.chain.classes(state.t), state.chain.every(state.t).labels
    draw_histogram(axes, found, asked)
    axes.set_title(f"generation {state.t}, as a separate reader sees it", **_HEAD)
    share = f"{len(found):,} digits were read"
    if asked is not None:
        share = f"{np.mean(found == asked):.0%} of {len(found):,} digits are read as their label"
    counts = np.bincount(found, minlength=10)
    return (
        f"{share}; the classes have from {counts.min():,} ({counts.argmin()}) to "
        f"{counts.max():,} ({counts.argmax()})"
    )


# What colour pictures can be shown as, and how digits are: rows.
VIEWS = {
    "one picture": [_draw_matrix, _draw_close],
    "25 pictures": [_draw_matrix, _draw_close],
    "beside generation 1": [_draw_beside],
}
_DIGITS = [_draw_beside, _draw_matrix]


def _inches(state: State, row: Callable[[State, SubFigure], str]) -> float:
    colour, chains = state.chain.colour, len(state.together)
    if row is _draw_beside:
        images, across = _square(state.chain, state.t)
        return min(4.7 if colour else 3.8, 0.4 + 4.4 * len(images) / across**2)
    if row is _draw_matrix:
        room, most = (WIDTH - 2, 1.0) if colour else (WIDTH / 2 - 1, 0.55)
        cells = chains * min(most, room / len(state.generations), 5 / chains)
        return max(0.5 + cells, 2.2 if _reads(state) else 0)
    return 3.5


def draw_rows(state: State) -> tuple[Figure, str]:
    """Return the rows that belong to a state as one figure, and what they show."""
    rows = VIEWS[state.view] if state.chain.colour else _DIGITS
    heights = [_inches(state, row) for row in rows]
    figure, parts = page(sum(heights), *heights, below=True)
    return figure, "; ".join(draw(state, part) for draw, part in zip(rows, parts, strict=True))


# Contact sheets.


def _grid(count: int, across: int, high: float) -> tuple[Figure, list[Axes]]:
    """Return a figure with places in rows, each so many inches high, and these in order."""
    figure = Figure(figsize=(WIDTH, high * -(-count // across)), layout="constrained")
    return figure, places(figure, count, across)


def generations_sheet(chains: list[ChainView]) -> Picture:
    """Return a contact sheet of each chain: one row a generation, each from the same noise."""
    across = min(_SHEETS, len(chains))
    columns = 12 if chains[0].colour else _MANY if across == 1 else _FEW
    most = max(len(chain.generations) for chain in chains)
    figure, grid = _grid(len(chains), across, (WIDTH / across - 0.6) * most / columns + 0.7)
    said = []
    for axes, chain in zip(grid, chains, strict=True):
        previews = [chain.preview(t) for t in chain.generations]
        images = [preview.images[:columns] for preview in previews]
        images += [_blank(images[0])] * (most - len(images))
        labels = previews[0].labels
        heads = () if labels is None else [str(label) for label in labels[:columns]]
        rows = [str(t) for t in chain.generations]
        draw_sheet(axes, np.concatenate(images), len(images[0]), rows=rows, heads=heads)
        axes.set_title(textwrap.fill(chain.name, _TITLE // across), fontsize=10)
        axes.set_ylabel("generation", fontsize=10)
        ends = f"generation {chain.last}: {chain.scores(chain.last)}"
        said.append(f"{chain.name}, generations {', '.join(rows)}; {ends}")
    alt = f"Contact sheet, one row of pictures a generation. {'. '.join(said)}."
    about = " ".join(chain.about for chain in chains)
    return Picture(figure, alt, about, None if chains[0].colour else 256)


def matrix_sheet(state: State) -> Picture:
    """Return pictures of each generation of each chain: a row a chain, a column a generation."""
    cells = [mosaic(own[: _SIDE**2], _SIDE, 1) for own in _cells(state, ChainView.pictures)]
    side = min(1.6, (WIDTH - 2) / len(state.generations), 8 / len(state.together))
    figure, (axes,) = _grid(1, 1, side * len(state.together) + 0.5)
    _draw_cells(axes, state, cells, [one.name for one in state.together])
    said = [f"{one.name}: {one.scores(one.last)}" for one in state.together]
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
        draw_spectrum(axes, chain.power(chain.last), chain.yardstick[0], bar=place == across - 1)
        title = textwrap.fill(chain.name, _TITLE // across)
        axes.set_title(f"{title}\ngeneration {chain.last}", fontsize=10, loc="left")
        said.append(f"{chain.name}, generation {chain.last}: {chain.grid(chain.last)}")
    whose = " or ".join(dict.fromkeys(chain.yardstick[1] for chain in chains))
    alt = f"Power spectra. {'; '.join(said)}."
    return Picture(figure, alt, f"Mean power of all pictures over that of {whose}.")
