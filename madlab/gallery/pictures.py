"""How pictures and maps of samples are kept in files: sheets and embeddings."""

import io
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from PIL import Image

# Levels of grey are 17 apart, 0, 17, ..., 255: 16 of them. Those of a colour are 9 apart: it is
# off by 4 at most, without the blocks and blurred colours that JPEG or lossy WebP would add.
_GREY_STEP = 17
_COLOUR_STEP = 9


class Embedding(NamedTuple):
    """Real digits and those of several generations, placed in the plane together.

    - `real`: float32 `(n, 2)`; `real_labels`: int64 `(n,)`.
    - `generations`: `{t: (points, labels)}`, in the same way.
    """

    real: np.ndarray
    real_labels: np.ndarray
    generations: dict[int, tuple[np.ndarray, np.ndarray]]


def pack_sheet(rows: Sequence[np.ndarray]) -> tuple[bytes, str]:
    """Return a picture file with one row of pictures a generation, and the ending of its name.

    - `rows`: uint8 `(n, side, side)` each, 255 = ink, which become a PNG in 16 levels of grey; or
      `(n, side, side, 3)`, which become a lossless WebP in 29 levels a colour. n is the same in
      all.
    """
    n, side, _, *channels = rows[0].shape
    strips = np.stack(rows).swapaxes(1, 2).reshape(len(rows) * side, n * side, *channels)
    stream = io.BytesIO()
    if channels:
        levels = np.minimum(np.rint(strips / _COLOUR_STEP), 255 // _COLOUR_STEP).astype(np.uint8)
        picture = Image.fromarray(levels * _COLOUR_STEP)
        picture.save(stream, format="webp", lossless=True, quality=90, method=6)
        return stream.getvalue(), "webp"
    picture = Image.fromarray(np.rint(strips / _GREY_STEP).astype(np.uint8))
    picture.putpalette([_GREY_STEP * level for level in range(16) for _ in range(3)])
    picture.save(stream, format="png", optimize=True, bits=4)
    return stream.getvalue(), "png"


def unpack_sheet(content: bytes, rows: int) -> np.ndarray:
    """Return what `pack_sheet` wrote, uint8 `(rows, n, side, side)`, in colour `(..., 3)`.

    - `rows`: how many generations there are.
    """
    with Image.open(io.BytesIO(content)) as picture:
        pixels = np.asarray(picture.convert("RGB" if picture.format == "WEBP" else "L"))
    side, channels = len(pixels) // rows, pixels.shape[2:]
    return pixels.reshape(rows, side, -1, side, *channels).swapaxes(1, 2)


def unpack_embedding(content: bytes) -> Embedding:
    """Return an embedding from its `.npz`, as scripts/build_gallery.py packs it."""
    with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
        found = {k: arrays[k].astype(np.int64 if "labels" in k else np.float32) for k in arrays}
    generations = sorted(int(key.split("-")[1]) for key in found if key.startswith("points-"))
    placed = {t: (found[f"points-{t}"], found[f"labels-{t}"]) for t in generations}
    return Embedding(found["real"], found["real_labels"], placed)
