"""The files of a gallery, sheets of pictures and maps of samples, and the one that names them."""

import contextlib
import hashlib
import io
import json
import re
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from madlab import files
from madlab.gallery.chains import Finished

FORMAT = 1
ABOUT = "about.json"
# Bytes of all files.
LIMIT = 5_900_000
# Its files, and what a stopped build left of one.
_OURS = re.compile(
    r"\.?((records|sheet|embedding)-[a-z0-9.-]*[0-9a-f]{8}\.(jsonl|png|webp|npz)|about\.json)"
    r"(\.[0-9a-f]{32}\.part)?"
)
_REBUILD = "Install madlab again, or build the gallery again with `madlab gallery build`."
# Between levels of grey, of which there are 16, and of a colour, which is off by 4 at most, without
# the blocks and blurred colours that JPEG or lossy WebP would add.
_GREY_STEP, _COLOUR_STEP = 17, 9


class Part(NamedTuple):
    """One file of a gallery: its content, the ending of its name, and what is said of it."""

    content: bytes
    ending: str
    about: dict[str, Any]


class Embedding(NamedTuple):
    """Real digits and those of several generations, placed in the plane together.

    - `real`: float32 `(n, 2)`; `real_labels`: int64 `(n,)`.
    - `generations`: `{t: (points, labels)}`, in the same way.
    """

    real: np.ndarray
    real_labels: np.ndarray
    generations: dict[int, tuple[np.ndarray, np.ndarray]]


def read_about(folder: Path) -> dict[str, Any]:
    """Return what a gallery says of itself; raises OSError where there is none or it is damaged."""
    file = folder / ABOUT
    try:
        about = json.loads(file.read_bytes())
    except FileNotFoundError:
        raise FileNotFoundError(
            f"there is no gallery in {folder}; build one with `madlab gallery build STORE`"
        ) from None
    except ValueError as error:
        raise OSError(f"{file} is damaged: {error}. {_REBUILD}") from error
    if not isinstance(about, dict) or "gallery" not in about:
        raise OSError(f"{file} is not that of a gallery; give a gallery's folder")
    if about["gallery"] != FORMAT:
        raise OSError(
            f"the gallery in {folder} has format {about['gallery']}, this madlab reads format "
            f"{FORMAT}. {_REBUILD}"
        )
    return about


def read_file(folder: Path, known: Mapping[str, Any]) -> bytes:
    """Return the content of a file; raises OSError unless it is the one that was described."""
    path = folder / known["file"]
    try:
        content: bytes = path.read_bytes()
    except OSError as error:
        raise OSError(f"{path} cannot be read: {error.strerror}. {_REBUILD}") from error
    if hashlib.sha256(content).hexdigest() != known["sha256"]:
        raise OSError(f"{path} is damaged: its SHA-256 differs. {_REBUILD}")
    return content


def publish(
    folder: Path,
    chains: Sequence[Finished],
    sheets: Mapping[str, Part],
    embeddings: Mapping[str, Part],
) -> None:
    """Put a gallery into a folder, in place of what is there of one.

    Its files count once about.json has taken its place, in one step: whatever stops this, a reader
    finds the old gallery or the new one. What neither needs any more is then removed.

    - `chains`: whose records it has; `sheets`, `embeddings`: pictures and maps, by chains' names.

    Raises ValueError where it would be too large, and OSError, leaving no trace, where the disk
    does not take it or the folder has another thing's about.json.
    """
    from madlab.training import provenance

    content: dict[str, bytes] = {}

    def add(kind: str, parts: Mapping[str, Part]) -> dict[str, Any]:
        said = {}
        for chain, part in parts.items():
            # A name changes with the content.
            digest = hashlib.sha256(part.content).hexdigest()
            words = "-".join([kind, *re.findall(r"[a-z0-9.]+", chain.lower()), digest[:8]])
            file = f"{words}.{part.ending}"
            content[file] = part.content
            said[chain] = {"file": file, "bytes": len(part.content), "sha256": digest, **part.about}
        return said

    rows = [json.dumps(row, separators=(",", ":")) for chain in chains for row in chain.rows]
    lines = "".join(f"{row}\n" for row in rows).encode()
    about = {
        "gallery": FORMAT,
        "records": add("records", {"": Part(lines, "jsonl", {"rows": len(rows)})})[""],
        "sheets": add("sheet", sheets),
        "embeddings": add("embedding", embeddings),
        "data": ", ".join(sorted({chain.data for chain in chains})),
        "built": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "built_by": provenance(),
    }
    # The last to be written.
    content[ABOUT] = f"{json.dumps(about, indent=1, ensure_ascii=False)}\n".encode()
    sizes = {ABOUT: len(content[ABOUT])}
    for kind in ("records", "sheet", "embedding"):
        own = [len(one) for name, one in content.items() if name.startswith(kind)]
        sizes[f"{len(own)} {kind} files"] = sum(own)
    total = sum(sizes.values())
    if total > LIMIT:
        said = ", ".join(f"{size / 1e6:.2f} MB in {what}" for what, size in sizes.items())
        raise ValueError(
            f"the gallery would take {total / 1e6:.2f} MB, its limit is {LIMIT / 1e6:.2f} MB: "
            f"{said}, of which records hold {len(rows):,} generations. Give fewer stores, or keep "
            "fewer chains"
        )
    folder.mkdir(parents=True, exist_ok=True)
    if _is_foreign(folder / ABOUT):
        raise FileExistsError(
            f"{folder / ABOUT} is not that of a gallery; give another folder, or remove it"
        )
    before = {path.name for path in folder.iterdir()}
    advice = "the one that was there is intact: free some space or give another folder"
    try:
        with files.explained(f"the folder {folder} did not take the gallery", advice):
            for name, one in content.items():
                files.write(folder / name, one, durable=True)
    except OSError:
        _remove(folder, {*content} - before)
        raise
    _remove(folder, before - {*content})


def _is_foreign(file: Path) -> bool:
    try:
        return "gallery" not in json.loads(file.read_bytes())
    except (OSError, ValueError, TypeError):
        # None, or a gallery's that was damaged.
        return False


def _remove(folder: Path, names: set[str]) -> None:
    """Remove a gallery's files; one that cannot be removed, as it is in use, stays."""
    for name in filter(_OURS.fullmatch, names):
        with contextlib.suppress(OSError):
            (folder / name).unlink()


def pack_sheet(images: np.ndarray) -> tuple[bytes, str]:
    """Return a picture file with one row of pictures a generation, and the ending of its name.

    - `images`: uint8 `(rows, n, side, side)`, 255 = ink, which become a PNG in 16 levels of grey;
      or `(rows, n, side, side, 3)`, which become a lossless WebP in 29 levels a colour.
    """
    rows, n, side, _, *colours = images.shape
    strips = images.swapaxes(1, 2).reshape(rows * side, n * side, *colours)
    step = _COLOUR_STEP if colours else _GREY_STEP
    levels = np.minimum(np.rint(strips / step), 255 // step).astype(np.uint8)
    stream = io.BytesIO()
    if colours:
        picture = Image.fromarray(levels * np.uint8(step))
        picture.save(stream, format="webp", lossless=True, quality=90, method=6)
        return stream.getvalue(), "webp"
    picture = Image.fromarray(levels)
    picture.putpalette([step * level for level in range(16) for _ in range(3)])
    picture.save(stream, format="png", optimize=True, bits=4)
    return stream.getvalue(), "png"


def unpack_sheet(content: bytes, rows: int) -> np.ndarray:
    """Return what `pack_sheet` wrote, uint8 `(rows, n, side, side)`, in colour `(..., 3)`."""
    with Image.open(io.BytesIO(content)) as picture:
        pixels = np.asarray(picture.convert("RGB" if picture.format == "WEBP" else "L"))
    side, colours = len(pixels) // rows, pixels.shape[2:]
    return pixels.reshape(rows, side, -1, side, *colours).swapaxes(1, 2)


def unpack_embedding(content: bytes) -> Embedding:
    """Return an embedding from its `.npz`, as scripts/build_gallery.py packs it."""
    with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
        found = {k: arrays[k].astype(np.int64 if "labels" in k else np.float32) for k in arrays}
    generations = sorted(int(key.split("-")[1]) for key in found if key.startswith("points-"))
    placed = {t: (found[f"points-{t}"], found[f"labels-{t}"]) for t in generations}
    return Embedding(found["real"], found["real_labels"], placed)
