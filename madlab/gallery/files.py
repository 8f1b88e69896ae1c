"""The files of a gallery, and the one that names them all."""

import contextlib
import hashlib
import json
import re
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from madlab import files
from madlab.gallery.chains import Finished

FORMAT = 1
ABOUT = "about.json"
# Bytes of all data files. With the modules beside them the folder stays below 6 MB.
LIMIT = 5_900_000
# Its files, and what a stopped build left of one.
_OURS = re.compile(
    r"\.?((records|sheet|embedding)-[a-z0-9.-]*[0-9a-f]{8}\.(jsonl|png|webp|npz)|about\.json)"
    r"(\.[0-9a-f]{32}\.part)?"
)
_REBUILD = "Install madlab again, or build the gallery again with `madlab gallery build`."


class Part(NamedTuple):
    """One file of a gallery: its content, the ending of its name, and what is said of it."""

    content: bytes
    ending: str
    about: dict[str, Any]


def files_of(about: Mapping[str, Any]) -> dict[str, int]:
    """Return the sizes of the files that a gallery names, by their names."""
    known = [about["records"], *about["sheets"].values(), *about["embeddings"].values()]
    return {one["file"]: one["bytes"] for one in known}


def read_about(folder: Path) -> dict[str, Any]:
    """Return what a gallery says of itself; raises OSError where there is none or it is damaged."""
    file = folder / ABOUT
    try:
        about = json.loads(file.read_text(encoding="utf-8"))
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

    Its files count once about.json has taken its place. That is one step, so that a reader finds
    the old gallery or the new one, whatever stops this. What no gallery needs any more, of this one
    or one that was stopped, is then removed.

    - `chains`: whose records it has; `sheets`, `embeddings`: pictures and maps, by chains' names.

    Raises ValueError where it would be too large, FileExistsError where the folder has another
    thing's about.json, and OSError, leaving no trace, where the disk does not take the files.
    """
    from madlab.training import provenance

    content: dict[str, bytes] = {}

    def add(kind: str, chain: str, part: Part) -> dict[str, Any]:
        # A name changes with the content.
        digest = hashlib.sha256(part.content).hexdigest()
        words = "-".join([kind, *re.findall(r"[a-z0-9.]+", chain.lower()), digest[:8]])
        file = f"{words}.{part.ending}"
        content[file] = part.content
        return {"file": file, "bytes": len(part.content), "sha256": digest, **part.about}

    rows = [json.dumps(row, separators=(",", ":")) for chain in chains for row in chain.rows]
    lines = "".join(f"{row}\n" for row in rows).encode()
    about = {
        "gallery": FORMAT,
        "records": add("records", "", Part(lines, "jsonl", {"rows": len(rows)})),
        "sheets": {chain: add("sheet", chain, part) for chain, part in sheets.items()},
        "embeddings": {chain: add("embedding", chain, part) for chain, part in embeddings.items()},
        "data": ", ".join(sorted({chain.data for chain in chains})),
        "built": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "built_by": provenance(),
    }
    said = f"{json.dumps(about, indent=1, ensure_ascii=False)}\n".encode()
    _check_size(content, said, len(rows))
    _replace(folder, content, said)


def _check_size(content: Mapping[str, bytes], about: bytes, rows: int) -> None:
    """Raise ValueError where a gallery would be too large, saying what takes the space."""
    sizes = {ABOUT: len(about)}
    for kind in ("records", "sheet", "embedding"):
        own = [len(one) for name, one in content.items() if name.startswith(kind)]
        sizes[f"{len(own)} {kind} files"] = sum(own)
    total = sum(sizes.values())
    if total > LIMIT:
        said = ", ".join(f"{size / 1e6:.2f} MB in {what}" for what, size in sizes.items())
        raise ValueError(
            f"the gallery would take {total / 1e6:.2f} MB, its limit is {LIMIT / 1e6:.2f} MB: "
            f"{said}, of which records hold {rows:,} generations. Give fewer stores, or keep fewer "
            "chains"
        )


def _replace(folder: Path, content: Mapping[str, bytes], about: bytes) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    if _is_foreign(folder / ABOUT):
        raise FileExistsError(
            f"{folder / ABOUT} is not that of a gallery; give another folder, or remove it"
        )
    before = {path.name for path in folder.iterdir()}
    trouble = f"the folder {folder} did not take the gallery"
    advice = "the one that was there is intact: free some space or give another folder"
    try:
        with files.explained(trouble, advice):
            for name, one in content.items():
                if name not in before or (folder / name).read_bytes() != one:
                    files.write(folder / name, one, durable=True)
            files.write(folder / ABOUT, about, durable=True)
    except OSError:
        _remove(folder, {*content} - before)
        raise
    _remove(folder, before - {*content, ABOUT})


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
