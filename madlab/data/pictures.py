"""One picture: from the bytes of a JPEG, PNG or WebP file to a small square of colour pixels."""

import contextlib
import io
import zlib
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from PIL import Image

RESIZE = ("lanczos", "bicubic", "bilinear", "box")
# Beyond this a few kilobytes of file could ask for gigabytes of memory.
PIXELS = 80_000_000
_FORMATS = ("JPEG", "PNG", "WEBP")
_NOTES = (b"iCCP", b"tEXt", b"zTXt", b"iTXt")
_MAGIC = (b"\xff\xd8", b"\x89PNG", b"RIFF")

# What turns a picture upright, for the camera's orientations 2 to 8.
_UPRIGHT = dict(enumerate((
    "FLIP_LEFT_RIGHT", "ROTATE_180", "FLIP_TOP_BOTTOM", "TRANSPOSE", "ROTATE_270", "TRANSVERSE",
    "ROTATE_90",
), 2))  # fmt: skip


class UnusableError(ValueError):
    """A file that gives no picture; the message is the end of a sentence about it."""


def decode(content: bytes, size: int, resize: str) -> tuple[np.ndarray, list[str]]:
    """Return the picture in `content`, upright, its middle square, resized from full size.

    - `content`: the bytes of a JPEG, PNG or WebP file, whatever its name.
    - `size`: the side of the result, pixels.
    - `resize`: one of `RESIZE`; all of them average over the pixels that become one.

    Returns its pixels, uint8 `(size, size, 3)`, red, green and blue, and what was done to it
    besides resizing, in words.

    CMYK and palettes become red, green and blue, transparency is laid on white, and of a file with
    a picture and its previews (MPO, as phones write it) the picture is taken. Colour profiles are
    not applied.

    Raises UnusableError for what is no picture, is cut short, smaller than `size`, grey, of more
    than 8 bits a channel, animated, or of more than `PIXELS` pixels.
    """
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(io.BytesIO(content), formats=_FORMATS) as image:
            _check(image, content, size)
            if image.format == "PNG":
                # Checks the checksums in the file, which decoding does not.
                with Image.open(io.BytesIO(content), formats=_FORMATS) as copy:
                    copy.verify()
            return _square(image, size, resize)
    except (UnusableError, MemoryError):
        raise
    except UnidentifiedImageError as error:
        if not content:
            raise UnusableError("is empty") from error
        broken = content.startswith(_MAGIC)
        raise UnusableError(
            "is cut short or corrupt" if broken else "is no JPEG, PNG or WebP picture"
        ) from error
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise UnusableError(f"has more than {PIXELS / 1e6:.0f} million pixels") from error
    # A broken file can make a decoder raise anything, from SyntaxError to struct.error.
    except Exception as error:
        lean = _without_notes(content)
        if lean != content:
            return decode(lean, size, resize)
        raise UnusableError(f"is cut short or corrupt ({error})") from error


def _without_notes(content: bytes) -> bytes:
    """Return a PNG without profile and texts, which may be longer than Pillow reads.

    Those whose checksum is wrong stay: the file is damaged.
    """
    parts, at = [content[:8]], 8
    while at < len(content):
        end = at + 12 + int.from_bytes(content[at : at + 4], "big")
        body, check = content[at + 4 : end - 4], int.from_bytes(content[end - 4 : end], "big")
        if body[:4] not in _NOTES or zlib.crc32(body) != check:
            parts.append(content[at:end])
        at = end
    return b"".join(parts) if content.startswith(b"\x89PNG") else content


def _check(image: "Image.Image", content: bytes, size: int) -> None:
    """Raise UnusableError for what the head of the file tells, before any pixel is decoded."""
    width, height = image.size
    if width * height > PIXELS:
        raise UnusableError(
            f"has {width * height / 1e6:,.0f} million pixels, more than {PIXELS / 1e6:.0f} million"
        )
    if min(width, height) < size:
        raise UnusableError(f"is {width} x {height} pixels, smaller than {size} x {size}")
    if image.format != "MPO" and getattr(image, "is_animated", False):
        raise UnusableError("is animated")
    # Byte 24 of a PNG is its bit depth; Pillow would drop the lower 8 of 16 without a word.
    if image.mode.startswith(("I", "F")) or (image.format == "PNG" and content[24] == 16):
        raise UnusableError("has 16 bits a channel, not 8")
    if image.mode in ("1", "L", "LA", "La"):
        raise UnusableError("is grey (1 channel), not in colour")


def _square(image: "Image.Image", size: int, resize: str) -> tuple[np.ndarray, list[str]]:
    from PIL import Image

    changes = []
    turn = None
    # A camera's notes that cannot be read spoil no picture.
    with contextlib.suppress(Exception):
        turn = _UPRIGHT.get(int(image.getexif().get(0x0112, 1)))
    if image.mode == "CMYK":
        changes.append("converted from CMYK")
    elif image.mode in ("P", "PA"):
        changes.append("converted from a palette")
    if image.mode in ("RGBA", "RGBa", "PA") or "transparency" in image.info:
        image = image.convert("RGBA")
        if image.getchannel("A").getextrema() != (255, 255):
            changes.append("transparency laid on white")
            white = Image.new("RGBA", image.size, (255, 255, 255, 255))
            image = Image.alpha_composite(white, image)
    image = image.convert("RGB")
    if turn is not None:
        changes.append("turned upright")
        image = image.transpose(Image.Transpose[turn])
    width, height = image.size
    if width != height:
        changes.append("cropped to the middle square")
        side = min(width, height)
        left, top = (width - side) // 2, (height - side) // 2
        image = image.crop((left, top, left + side, top + side))
    image = image.resize((size, size), Image.Resampling[resize.upper()])
    return np.asarray(image, np.uint8), changes
