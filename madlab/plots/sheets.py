"""Sheets of digits and of colour pictures, and histograms of what digits are read as."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from madlab import checks
from madlab.data.samples import Samples
from madlab.plots.picture import Picture
from madlab.plots.style import BLACK, SKY, VERMILLION, WIDTH, style_axes

# The ink of a place where no picture is, or none yet: a pale grey.
EMPTY = 10


def mosaic(images: np.ndarray, columns: int, gap: int = 2) -> np.ndarray:
    """Return uint8 images as one uint8 picture, row after row, on white.

    - `images`: `(n, h, w)`, which become dark ink on white, or in colour `(n, h, w, 3)`, which stay
      as they are.
    """
    (n, h, w), colour = images.shape[:3], images.shape[3:]
    rows = max(1, -(-n // columns))
    cells = np.full((rows * columns, h + gap, w + gap, *colour), 255, np.uint8)
    cells[:n, :h, :w] = images if colour else 255 - images
    sheet = cells.reshape(rows, columns, h + gap, w + gap, *colour).swapaxes(1, 2)
    sheet = sheet.reshape(rows * (h + gap), columns * (w + gap), *colour)
    return sheet[: rows * (h + gap) - gap, : columns * (w + gap) - gap]


def draw_sheet(
    axes: Axes,
    images: np.ndarray,
    columns: int = 10,
    *,
    rows: Sequence[str] = (),
    heads: Sequence[str] = (),
    frame: int | None = None,
    gap: int = 2,
) -> None:
    """Draw uint8 images in rows of `columns`, with names for rows and columns.

    - `images`: `(n, h, w)`, drawn as dark ink on white, or in colour `(n, h, w, 3)`.
    - `frame`: the image that gets a coloured frame.
    """
    images = checks.pictures(images)
    h, w = images.shape[1:3]
    # Colour pictures are smoothed where pixels would be uneven or lost: that looks like scars.
    smooth = "none" if images.ndim == 3 else "antialiased"
    axes.imshow(mosaic(images, columns, gap), cmap="gray", vmin=0, vmax=255, interpolation=smooth)
    axes.set_yticks([i * (h + gap) + h / 2 for i in range(len(rows))], rows, fontsize=9)
    axes.set_xticks([i * (w + gap) + w / 2 for i in range(len(heads))], heads, fontsize=9)
    axes.tick_params(length=0, labeltop=True, labelbottom=False)
    axes.spines[:].set_visible(False)
    if frame is not None:
        y, x = divmod(frame, columns)
        corner = (x * (w + gap) - 1, y * (h + gap) - 1)
        box = Rectangle(corner, w + 1, h + 1, fill=False, edgecolor=VERMILLION, linewidth=2)
        axes.add_patch(box).set_clip_on(False)


def sheet(
    images: np.ndarray, columns: int = 10, rows: Sequence[str] = (), heads: Sequence[str] = ()
) -> Picture:
    """Draw uint8 images as a sheet of `columns`, with names for rows and columns.

    - `images`: `(n, h, w)`, drawn as dark ink on white, or in colour `(n, h, w, 3)`.
    """
    count = -(-len(images) // columns)
    side = min(0.5 if images.ndim == 3 else 0.75, (WIDTH - 1) / columns)
    size = (columns * side + (0.8 if rows else 0.2), count * side + (0.5 if heads else 0.2))
    figure = Figure(figsize=size, layout="constrained")
    draw_sheet(figure.subplots(), images, columns, rows=rows, heads=heads)
    alt = f"{len(images)} pictures in rows of {columns}"
    alt += f"; rows: {', '.join(rows)}" if rows else ""
    alt += f"; columns: {', '.join(heads)}" if heads else ""
    # In colour, fewer shades would look like scars.
    return Picture(figure, f"{alt}.", colours=256 if images.ndim == 3 else None)


def one_of_each(samples: Samples, columns: int = 10) -> np.ndarray:
    """Return the first image of each label 0, 1, ..., pale grey where there is none.

    Without labels, the first `columns` images.
    """
    images = checks.pictures(samples.images)
    labels = np.arange(len(images)) if samples.labels is None else samples.labels
    found = _blank(columns, images.shape[1:])
    for label in range(columns):
        own = images[labels == label][:1]
        found[label : label + len(own)] = own
    return found


def _blank(n: int, shape: tuple[int, ...]) -> np.ndarray:
    """Return n pale grey pictures."""
    return np.full((n, *shape), EMPTY if len(shape) == 2 else 255 - EMPTY, np.uint8)


def draw_generations(
    axes: Axes, samples: Mapping[int, Samples], total: int | None = None, heads: bool = True
) -> None:
    """Draw one row of ten pictures a generation, leaving rows for `total` generations.

    They are the digits 0 to 9 under their names, or in colour the first ten.
    """
    last = max([total or 1, *samples])
    size = next((found.images.shape[1:] for found in samples.values()), (28, 28))
    empty = _blank(10, size)
    rows = [one_of_each(samples[t]) if t in samples else empty for t in range(1, last + 1)]
    names = [f"{t}" for t in range(1, last + 1)]
    digits = [str(i) for i in range(10)] if heads and len(size) == 2 else ()
    draw_sheet(axes, np.concatenate(rows), rows=names, heads=digits)
    axes.set_ylabel("generation")


def draw_histogram(axes: Axes, read: np.ndarray, asked: np.ndarray | None = None) -> None:
    """Draw how many digits were read as each class, and how many were asked for."""
    classes = np.arange(10)
    axes.bar(classes, np.bincount(read, minlength=10), color=SKY, width=0.7, label="read as")
    if asked is not None:
        counts, look = np.bincount(asked, minlength=10), {"color": BLACK, "linewidth": 2}
        axes.hlines(counts, classes - 0.42, classes + 0.42, label="asked for", **look)
    axes.set(xticks=classes, xlabel="digit", ylabel="samples")
    style_axes(axes, None, "digits as the separate reader sees them")
    axes.set_ylim(0, axes.get_ylim()[1] * 1.25)
    axes.legend(fontsize=9, frameon=False, ncols=2, loc="upper right")
