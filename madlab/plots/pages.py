"""Figures as PNG and as HTML with alt text, which notebooks' own figures lack."""

import base64
import html
import io
import threading
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

if TYPE_CHECKING:
    from IPython.display import HTML

# CSS pixels an inch, and how many pixels of the PNG each of them gets, for dense screens.
DPI = 100
_SHARPNESS = 1.5

# Figures share fonts and caches, so only one thread draws at a time.
_DRAWING = threading.Lock()


def png(figure: Figure, colours: int | None = 256) -> bytes:
    """Return a figure as a small PNG, sharp on dense screens.

    - `colours`: how many it may have at most; None for as many as there are, which colour pictures
      need so that no scar in them is the file's.
    """
    canvas = FigureCanvasAgg(figure)
    figure.set_dpi(DPI * _SHARPNESS)
    with _DRAWING:
        canvas.draw()
    pixels = Image.fromarray(np.asarray(canvas.buffer_rgba())[..., :3])
    if colours is not None:
        method = Image.Quantize.MEDIANCUT
        pixels = pixels.quantize(colours, method=method, dither=Image.Dither.NONE)
    stream = io.BytesIO()
    # The last per cent of size takes most of the time where there are many colours.
    pixels.save(stream, format="png", optimize=colours is not None)
    return stream.getvalue()


def page_size(figure: Figure) -> tuple[int, int]:
    """Return the width and height of a figure on a page, in CSS pixels."""
    width, height = figure.get_size_inches()
    return round(width * DPI), round(height * DPI)


def embed(content: bytes, width: int, alt: str, caption: str = "") -> str:
    """Return a PNG as an HTML `<figure>` that needs no other file, with alt text and caption."""
    data = base64.b64encode(content).decode()
    below = f"<figcaption>{html.escape(caption)}</figcaption>" if caption else ""
    return (
        '<figure style="margin: 0">'
        f'<img alt="{html.escape(alt)}" width="{width}" style="max-width: 100%" '
        f'src="data:image/png;base64,{data}">{below}</figure>'
    )


def show(figure: Figure, alt: str, caption: str = "", colours: int | None = 256) -> "HTML":
    """Return a display of a figure with alt text, which notebooks' own figures lack.

    - `alt`: one or two sentences that say what the figure shows, with numbers.
    - `caption`: the settings it was made with, shown below it.
    - `colours`: as for `png`.

    Raises ValueError without alt text.
    """
    from IPython.display import HTML

    if not alt.strip():
        raise ValueError("alt is empty: say in one or two sentences what the figure shows")
    return HTML(embed(png(figure, colours), page_size(figure)[0], alt, caption))
