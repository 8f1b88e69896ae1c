"""A figure together with its words, shown in notebooks, panels and reports alike."""

import base64
import html
import io
import threading
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

# CSS pixels an inch, and how many pixels of the PNG each of them gets, for dense screens.
DPI = 100
_SHARPNESS = 1.5

# Figures share fonts and caches, so only one thread draws at a time.
_DRAWING = threading.Lock()


@dataclass(frozen=True)
class Picture:
    """A figure, the words for those who cannot see it, and what stands below it.

    A notebook cell that ends in a picture shows it.

    - `alt`: one or two sentences that say what the figure shows, with numbers.
    - `caption`: the settings it was made with.
    - `colours`: how many the PNG may have at most; None for as many as there are, which colour
      pictures need so that no scar in them is the file's.

    Raises ValueError without alt text.
    """

    figure: Figure
    alt: str
    caption: str = ""
    colours: int | None = 256

    def __post_init__(self) -> None:
        if not self.alt.strip():
            raise ValueError("alt is empty: say in one or two sentences what the figure shows")

    def captioned(self, caption: str) -> "Picture":
        """Return the same picture with `caption` below it."""
        return replace(self, caption=caption)

    @property
    def size(self) -> tuple[int, int]:
        """Width and height on a page, in CSS pixels."""
        width, height = self.figure.get_size_inches()
        return round(width * DPI), round(height * DPI)

    def png(self) -> bytes:
        """Return the figure as a small PNG, sharp on dense screens."""
        return self._content

    @cached_property
    def _content(self) -> bytes:
        return png(self.figure, self.colours)

    def html(self) -> str:
        """Return an HTML `<figure>` that needs no other file, with alt text and caption."""
        data = base64.b64encode(self.png()).decode()
        below = f"<figcaption>{html.escape(self.caption)}</figcaption>" if self.caption else ""
        return (
            '<figure style="margin: 0">'
            f'<img alt="{html.escape(self.alt)}" width="{self.size[0]}" style="max-width: 100%" '
            f'src="data:image/png;base64,{data}">{below}</figure>'
        )

    def _repr_mimebundle_(self, **kwargs: Any) -> dict[str, str]:
        return {
            "text/html": self.html(),
            "image/png": base64.b64encode(self.png()).decode(),
            "text/plain": f"{self.alt} {self.caption}".strip(),
        }


def png(figure: Figure | Picture, colours: int | None = 256) -> bytes:
    """Return a figure as a small PNG; `colours` as for `Picture`."""
    if isinstance(figure, Picture):
        return figure.png()
    shades = Image.fromarray(pixels(figure))
    if colours is not None:
        shades = shades.quantize(colours, Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
    stream = io.BytesIO()
    shades.save(stream, format="png")
    return stream.getvalue()


def pixels(figure: Figure) -> np.ndarray:
    """Return a figure as the uint8 pixels `(height, width, 3)` of its PNG."""
    canvas = FigureCanvasAgg(figure)
    figure.set_dpi(DPI * _SHARPNESS)
    with _DRAWING:
        canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3]


def paste(figure: Figure, shown: np.ndarray, left: float, bottom: float) -> None:
    """Put the pixels of another figure into one, whose corner is so many inches from its own."""
    x, y = (round(inches * DPI * _SHARPNESS) for inches in (left, bottom))
    figure.figimage(shown, x, y, origin="upper")


def show(
    figure: Figure | Picture, alt: str = "", caption: str = "", colours: int | None = 256
) -> Picture:
    """Return a figure of one's own with words, or a picture with other ones, as a `Picture`.

    - `figure`: a figure, which needs `alt`, or a picture, which keeps what is not given.
    - `alt`, `caption`, `colours`: as for `Picture`, which says what is raised.
    """
    if isinstance(figure, Picture):
        return replace(figure, alt=alt or figure.alt, caption=caption or figure.caption)
    return Picture(figure, alt, caption, colours)
