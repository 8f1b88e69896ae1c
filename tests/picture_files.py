"""Files of pictures for the tests of several modules."""

import io
import os
import struct
import tarfile
import zipfile
import zlib
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

REAL = os.environ.get("MADLAB_FFHQ")


def draw(seed: int, width: int = 48, height: int = 48) -> Image.Image:
    """A picture of a few ellipses."""
    rng = np.random.default_rng(seed)
    image = Image.new("RGB", (width, height), tuple(rng.integers(0, 256, 3).tolist()))
    pen = ImageDraw.Draw(image)
    for _ in range(5):
        x, y = rng.integers(0, width), rng.integers(0, height)
        w, h = rng.integers(4, 24, 2)
        pen.ellipse((x, y, x + w, y + h), fill=tuple(rng.integers(0, 256, 3).tolist()))
    return image


def packed(image: Image.Image, format: str = "PNG", **options: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, format, **options)
    return stream.getvalue()


def png(width: int, height: int, depth: int, colour: int, rows: bytes) -> bytes:
    """A PNG file written by hand, for what Pillow does not write."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        code = struct.pack(">I", zlib.crc32(kind + content))
        return struct.pack(">I", len(content)) + kind + content + code

    head = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    data = chunk(b"IDAT", zlib.compress(rows))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + data + chunk(b"IEND", b"")


FORMATS = (("JPEG", "jpg"), ("PNG", "png"), ("WEBP", "webp"))


def fill(place: Path, n: int = 22) -> Path:
    """A folder of n good pictures in all three formats, in nested folders, named by ids."""
    for i in range(n):
        format, suffix = FORMATS[i % 3]
        file = place / f"{i // 10:05d}" / f"{i:05d}.{suffix}"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(packed(draw(i), format))
    return place


def zipped(file: Path, members: dict[str, bytes], method: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(file, "w", method) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return file


def tarred(file: Path, members: dict[str, bytes], mode: str = "w") -> Path:
    with tarfile.open(file, mode) as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return file


def contents(place: Path) -> dict[str, bytes]:
    files = sorted(place.rglob("*.*"))
    return {str(file.relative_to(place)): file.read_bytes() for file in files}


def flipped(content: bytes, at: int) -> bytes:
    return content[:at] + bytes([content[at] ^ 0x55]) + content[at + 1 :]
