"""Pictures through the generations as an animated GIF."""

import io
import math
from collections.abc import Mapping
from functools import cache

import numpy as np
from matplotlib.font_manager import findfont
from PIL import Image, ImageDraw, ImageFont

from madlab import checks
from madlab.data.samples import Samples
from madlab.plots.sheets import mosaic

_BAND, _FONT = 30, 18
# Of the 256 colours of a frame, these are the greys of its heading.
_GREYS = 16


def timelapse(
    samples: Mapping[int, Samples], columns: int = 8, scale: int = 3, seconds: float = 0.8
) -> bytes:
    """Return an animated GIF of a sheet of pictures, one frame a generation, in an endless loop.

    A GIF has at most 256 colours a frame. Each frame gets the 240 that suit its pictures best, and
    every pixel the nearest of these, without dithering: dots that imitate further colours would
    look like the scars that one is looking for. Soft shades of a large sheet can show faint steps
    instead; a PNG of one generation, `plots.show(plots.sheet(...))`, has none. Digits lose nothing.

    - `samples`: the generations, for instance `{t: chain.preview(t) for t in range(1, 6)}`, of
      which the first `columns` x `columns` pictures are shown, dark ink on white where grey. Each
      frame names its generation.
    - `columns`: pictures in a row, at least 1.
    - `scale`: pixels of the GIF for each pixel of a picture, at least 1.
    - `seconds`: how long a generation is shown, 0.02 to 300 (a GIF holds no more); the last one
      is shown twice as long.

    Raises TypeError for samples that are no pictures, ValueError where there are none, where
    generations have pictures of other sizes, and for a number that is not allowed.
    """
    checks.count("columns", columns, least=1)
    checks.count("scale", scale, least=1)
    checks.between("seconds", seconds, 0.02, 300, ends=True)
    shown = {t: checks.pictures(samples[t].images)[: columns**2] for t in sorted(samples)}
    shapes = {images.shape for images in shown.values()}
    if len(shapes) != 1 or not next(iter(shapes))[0]:
        raise ValueError(
            f"generations {', '.join(map(str, shown)) or 'none'} have pictures of shapes "
            f"{', '.join(map(str, sorted(shapes))) or 'none'}; all must have as many, at least "
            "one, of one size"
        )
    least = 8 + max(math.ceil(_font().getlength(_heading(t))) for t in shown)
    frames = [_frame(images, t, columns, scale, least) for t, images in shown.items()]
    spans = [round(1000 * seconds)] * (len(frames) - 1) + [round(2000 * seconds)]
    stream = io.BytesIO()
    # All frames, for ever, each drawn over the last one.
    played = {"save_all": True, "append_images": frames[1:], "duration": spans, "loop": 0}
    frames[0].save(stream, "gif", optimize=False, disposal=1, **played)
    return stream.getvalue()


def _frame(images: np.ndarray, t: int, columns: int, scale: int, least: int) -> Image.Image:
    """Return a sheet under its heading, at least so wide, as a picture of at most 256 colours."""
    sheet = Image.fromarray(mosaic(images, columns))
    width, height = sheet.width * scale, sheet.height * scale
    page = Image.new("L", (max(width, least), _BAND + height), 255)
    ImageDraw.Draw(page).text((4, _BAND // 2), _heading(t), fill=0, font=_font(), anchor="lm")
    if sheet.mode == "RGB":
        # Chosen before pixels are enlarged, which changes no colour and is quicker.
        kinds = Image.Quantize.MEDIANCUT
        sheet = sheet.quantize(256 - _GREYS, kinds, kmeans=1, dither=Image.Dither.NONE)
        palette = np.zeros((256, 3), np.uint8)
        own = np.array(sheet.getpalette(), np.uint8).reshape(-1, 3)[: 256 - _GREYS]
        palette[: len(own)] = own
        palette[-_GREYS:] = np.linspace(0, 255, _GREYS).round().astype(np.uint8)[:, None]
        ink = 256 - _GREYS + np.round(np.asarray(page) / 255 * (_GREYS - 1))
        page = Image.fromarray(ink.astype(np.uint8))
        page.putpalette(palette.tobytes())
    page.paste(sheet.resize((width, height), Image.Resampling.NEAREST), (0, _BAND))
    return page


def _heading(t: int) -> str:
    return f"generation {t}"


@cache
def _font() -> ImageFont.FreeTypeFont:
    # It comes with matplotlib, so every machine draws the same letters.
    return ImageFont.truetype(findfont("DejaVu Sans"), _FONT)
