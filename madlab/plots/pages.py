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


def png(figure: Figure) -> bytes:
    """Return a figure as a small PNG of at most 256 colours, sharp on dense screens."""
    canvas = FigureCanvasAgg(figure)
    figure.set_dpi(DPI * _SHARPNESS)
    with _DRAWING:
        canvas.draw()
    pixels = Image.fromarray(np.asarray(canvas.buffer_rgba())[..., :3])
    pixels = pixels.quantize(256, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
    stream = io.BytesIO()
    pixels.save(stream, format="png", optimize=True)
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


def show(figure: Figure, alt: str, caption: str = "") -> "HTML":
    """Return a display of a figure with alt text, which notebooks' own figures lack.

    - `alt`: one or two sentences that say what the figure shows, with numbers.
    - `caption`: the settings it was made with, shown below it.

    Raises ValueError without alt text.
    """
    from IPython.display import HTML

    if not alt.strip():
        raise ValueError("alt is empty: say in one or two sentences what the figure shows")
    return HTML(embed(png(figure), page_size(figure)[0], alt, caption))
