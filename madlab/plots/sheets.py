"""Sheets of digits and of colour pictures, still or moving, and histograms of what is read."""

import io
import textwrap
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.font_manager import findfont
from matplotlib.patches import Rectangle
from PIL import Image, ImageDraw, ImageFont

from madlab import checks
from madlab.data.samples import Samples
from madlab.plots.lines import listed
from madlab.plots.picture import Picture
from madlab.plots.style import BLACK, LEGEND, SKY, VERMILLION, WIDTH, style_axes

# The ink of a place where no picture is, or none yet: a pale grey.
EMPTY = 10
_GAP = 2
# On a wall of one class.
_SOME = 25
# Pixels of a GIF's heading, and those of its 256 colours that are the heading's greys.
_BAND, _FONT, _GREYS = 30, 18, 16


def mosaic(images: np.ndarray, columns: int, gap: int = _GAP) -> np.ndarray:
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
) -> None:
    """Draw uint8 images in rows of `columns`, with names for rows and columns.

    - `images`: as for `sheet`; `frame`: the one that gets a coloured frame.
    """
    images = checks.pictures(images)
    h, w = np.add(images.shape[1:3], _GAP)
    # Colour pictures are smoothed where pixels would be uneven or lost: that looks like scars.
    smooth = "none" if images.ndim == 3 else "antialiased"
    axes.imshow(mosaic(images, columns), cmap="gray", vmin=0, vmax=255, interpolation=smooth)
    axes.set_yticks((np.arange(len(rows)) + 0.5) * h - _GAP / 2, rows, fontsize=9)
    axes.set_xticks((np.arange(len(heads)) + 0.5) * w - _GAP / 2, heads, fontsize=9)
    axes.tick_params(length=0, labeltop=True, labelbottom=False)
    axes.spines[:].set_visible(False)
    if frame is not None:
        y, x = divmod(frame, columns)
        corner = (x * w - 1, y * h - 1)
        box = Rectangle(corner, w - 1, h - 1, fill=False, edgecolor=VERMILLION, linewidth=2)
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
    named = {name: names for name, names in {"rows": rows, "columns": heads}.items() if names}
    alt = f"{len(images)} pictures in rows of {columns}" + f"; {listed(named)}" * bool(named)
    # In colour, fewer shades would look like scars.
    return Picture(figure, f"{alt}.", colours=256 if images.ndim == 3 else None)


def strips(
    chains: Mapping[str, Mapping[int, Samples]], classes: Sequence[int] = (2, 3, 7), each: int = 5
) -> Picture:
    """Draw a strip of digits for each chain: a few generations, several digits of some classes.

    - `chains`: by what they are called, the samples of some generations, with labels.
    - `classes`: the labels that are drawn, a row each; `each`: how many of each.

    Raises ValueError for samples without labels.
    """
    across = max(map(len, chains.values()))
    high = (WIDTH - 1) / across * len(classes) / each + 0.35
    figure = Figure(figsize=(WIDTH, high * len(chains)), layout="constrained")
    grid = figure.subplots(len(chains), across, squeeze=False, gridspec_kw={"wspace": 0.12})
    for row, (name, found) in zip(grid, chains.items(), strict=True):
        for axes in row[len(found) :]:
            axes.set_axis_off()
        for axes, (t, samples) in zip(row, found.items(), strict=False):
            if samples.labels is None:
                raise ValueError(f"the samples of {name!r} have no labels to draw classes by")
            of_class = [samples.images[samples.labels == one][:each] for one in classes]
            draw_sheet(axes, np.concatenate(of_class), each)
            axes.set_title(f"generation {t}", fontsize=10)
        row[0].set_ylabel(textwrap.fill(name, 18), fontsize=11)
    said = {name: [", ".join(map(str, found))] for name, found in chains.items()}
    alt = (
        f"Strips of digits, {each} each of the classes {', '.join(map(str, classes))}. "
        f"Generations from left to right: {listed(said)}."
    )
    return Picture(figure, alt)


def draw_wall(axes: Axes, samples: Samples, label: int | None = None) -> str:
    """Draw many digits of one generation, and say what they are.

    - `label`: a class of which to draw the first 25; None for ten of each class in a row each, or
      without labels for the first 100.
    """
    images, labels = samples.images, samples.labels
    rows: list[str] = []
    if labels is None:
        shown, columns = images[:100], 10
        said = f"{len(shown)} digits"
    elif label is None:
        classes, counts = np.unique(labels, return_counts=True)
        # As many of each, so that every class begins a row.
        columns, rows = min(10, *counts.tolist()), [str(one) for one in classes]
        shown = np.concatenate([images[labels == one][:columns] for one in classes])
        said = f"{columns} digits of each class"
    else:
        shown, columns = images[labels == label][:_SOME], 5
        said = f"{len(shown)} digits of class {label}"
    draw_sheet(axes, shown, columns, rows=rows)
    axes.set_anchor("N")
    return said


def draw_histogram(axes: Axes, read: np.ndarray, asked: np.ndarray | None = None) -> None:
    """Draw how many digits were read as each class, and how many were asked for."""
    classes = np.arange(10)
    axes.bar(classes, np.bincount(read, minlength=10), color=SKY, width=0.7, label="read as")
    if asked is not None:
        counts, ends = np.bincount(asked, minlength=10), (classes - 0.42, classes + 0.42)
        axes.hlines(counts, *ends, label="asked for", color=BLACK, linewidth=2)
    axes.set(xticks=classes, xlabel="digit", ylabel="samples")
    style_axes(axes, None, "digits as the separate reader sees them")
    axes.set_ylim(0, axes.get_ylim()[1] * 1.25)
    axes.legend(ncols=2, loc="upper right", **LEGEND)


def timelapse(
    samples: Mapping[int, Samples], columns: int = 8, scale: int = 3, seconds: float = 0.8
) -> bytes:
    """Return an animated GIF of a sheet of pictures, one frame a generation, in an endless loop.

    Each frame gets the 240 colours that suit its pictures best, and every pixel the nearest of
    these, without dithering, whose dots would look like the scars that one is looking for. Soft
    shades of a large sheet can show faint steps instead; digits lose nothing.

    - `samples`: the generations, for instance `{t: chain.preview(t) for t in range(1, 6)}`, of
      which the first `columns` x `columns` pictures are shown, dark ink on white where grey.
    - `columns`: at least 1; `scale`: pixels of the GIF for each of a picture, at least 1.
    - `seconds`: how long a generation is shown, 0.02 to 300 (a GIF holds no more); the last one
      is shown twice as long.

    Raises TypeError for samples that are no pictures, ValueError where there are none, where
    generations have pictures of other sizes, and for a number that is not allowed.
    """
    checks.count("columns", columns, least=1)
    checks.count("scale", scale, least=1)
    checks.between("seconds", seconds, 0.02, 300, ends=True)
    shown = {t: checks.pictures(samples[t].images)[: columns**2] for t in sorted(samples)}
    shapes = sorted({images.shape for images in shown.values()})
    if len(shapes) != 1 or not shapes[0][0]:
        raise ValueError(
            f"generations {', '.join(map(str, shown)) or 'none'} have pictures of shapes "
            f"{', '.join(map(str, shapes)) or 'none'}; all must have as many, at least one, of "
            "one size"
        )
    # It comes with matplotlib, so every machine draws the same letters.
    font = ImageFont.truetype(findfont("DejaVu Sans"), _FONT)
    heads = {f"generation {t}": mosaic(images, columns) for t, images in shown.items()}
    least = 8 + int(np.ceil(max(map(font.getlength, heads))))
    frames = [_frame(pixels, head, font, scale, least) for head, pixels in heads.items()]
    spans = [round(1000 * seconds)] * (len(frames) - 1) + [round(2000 * seconds)]
    stream = io.BytesIO()
    # All frames, for ever, each drawn over the last one.
    played = {"save_all": True, "append_images": frames[1:], "duration": spans, "loop": 0}
    frames[0].save(stream, "gif", optimize=False, disposal=1, **played)
    return stream.getvalue()


def _frame(
    pixels: np.ndarray, head: str, font: ImageFont.FreeTypeFont, scale: int, least: int
) -> Image.Image:
    """Return a mosaic under its heading, at least so wide, as a picture of at most 256 colours."""
    sheet = Image.fromarray(pixels)
    width, height = sheet.width * scale, sheet.height * scale
    page = Image.new("L", (max(width, least), _BAND + height), 255)
    ImageDraw.Draw(page).text((4, _BAND // 2), head, fill=0, font=font, anchor="lm")
    if sheet.mode == "RGB":
        # Chosen before pixels are enlarged, which changes no colour and is quicker.
        kinds, most = Image.Quantize.MEDIANCUT, 256 - _GREYS
        sheet = sheet.quantize(most, kinds, kmeans=1, dither=Image.Dither.NONE)
        palette = np.zeros((256, 3), np.uint8)
        own = np.array(sheet.getpalette(), np.uint8).reshape(-1, 3)[:most]
        palette[: len(own)] = own
        palette[most:] = np.linspace(0, 255, _GREYS).round().astype(np.uint8)[:, None]
        ink = most + np.round(np.asarray(page) / 255 * (_GREYS - 1))
        page = Image.fromarray(ink.astype(np.uint8))
        page.putpalette(palette.tobytes())
    page.paste(sheet.resize((width, height), Image.Resampling.NEAREST), (0, _BAND))
    return page
