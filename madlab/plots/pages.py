"""What panels still embed by hand, until they hold a `Picture`."""

import base64
import html

from matplotlib.figure import Figure

from madlab.plots.picture import DPI, png

__all__ = ["embed", "page_size", "png"]


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
