"""The files of a gallery: embeddings as `.npz`, and the one that names them all."""

import contextlib
import hashlib
import io
import json
import os
import re
import time
import uuid
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

FORMAT = 1
ABOUT = "about.json"
# Bytes of all data files. With the modules beside them the folder stays below 6 MB.
LIMIT = 5_900_000
# Seconds that a file which no gallery names is left alone: another build may be about to name it.
_YOUNG = 3600
_OURS = re.compile(r"(records|sheet|embedding)-[a-z0-9.-]*[0-9a-f]{8}\.(jsonl|png|webp|npz)")
_ASIDE = re.compile(r"\.gallery\.[0-9a-f]{32}\.part")
_REBUILD = "Install madlab again, or build the gallery again with `madlab gallery build`."


class Embedding(NamedTuple):
    """Real digits and those of several generations, placed in the plane together.

    - `real`: float32 `(n, 2)`; `real_labels`: int64 `(n,)`.
    - `generations`: `{t: (points, labels)}`, in the same way.
    """

    real: np.ndarray
    real_labels: np.ndarray
    generations: dict[int, tuple[np.ndarray, np.ndarray]]


def pack_embedding(embedding: Embedding) -> bytes:
    """Return an `.npz` of an embedding, points as float16."""
    arrays: dict[str, Any] = {
        "real": embedding.real.astype(np.float16),
        "real_labels": _small(embedding.real_labels),
    }
    for t, (points, labels) in embedding.generations.items():
        arrays |= {f"points-{t}": points.astype(np.float16), f"labels-{t}": _small(labels)}
    stream = io.BytesIO()
    np.savez_compressed(stream, **arrays)
    return stream.getvalue()


def unpack_embedding(content: bytes) -> Embedding:
    """Return what `pack_embedding` wrote."""
    with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
        found = {key: arrays[key] for key in arrays}
    wide = {k: v.astype(np.int64 if "labels" in k else np.float32) for k, v in found.items()}
    generations = sorted(int(key.split("-")[1]) for key in wide if key.startswith("points-"))
    return Embedding(
        wide["real"],
        wide["real_labels"],
        {t: (wide[f"points-{t}"], wide[f"labels-{t}"]) for t in generations},
    )


def _small(labels: np.ndarray) -> np.ndarray:
    return labels.astype(np.uint8)


def describe(kind: str, chain: str, ending: str, content: bytes) -> dict[str, Any]:
    """Return name, size and SHA-256 of a file; the name changes with the content."""
    digest = hashlib.sha256(content).hexdigest()
    words = "-".join(re.findall(r"[a-z0-9.]+", chain.lower()))
    name = "-".join(filter(None, (kind, words, digest[:8])))
    return {"file": f"{name}.{ending}", "bytes": len(content), "sha256": digest}


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


def publish(folder: Path, files: Mapping[str, bytes], about: Mapping[str, Any]) -> None:
    """Put files into a folder beside what is there; they count once `about` has taken its place.

    That is one step, so that a reader finds the old gallery or the new one, whatever stops this; of
    two builds at once the later one counts. What the old gallery alone had is then removed, if it
    can be, and what stopped builds left over an hour ago.

    Raises FileExistsError where the folder has another thing's about.json, and OSError, leaving no
    trace, where the disk does not take the files.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if _is_foreign(folder / ABOUT):
        raise FileExistsError(
            f"{folder / ABOUT} is not that of a gallery; give another folder, or remove it"
        )
    body = json.dumps({"gallery": FORMAT, **about}, indent=1, ensure_ascii=False)
    new = {name for name in files if not (folder / name).exists()}
    try:
        _fill(folder, files)
        old = _named(folder)
        _put(folder / ABOUT, f"{body}\n".encode())
    except OSError as error:
        _remove(folder, new - _named(folder))
        raise OSError(
            error.errno,
            f"the folder {folder} did not take the gallery ({error.strerror}); the one that was "
            "there is intact: free some space or give another folder",
        ) from error
    # Another build may have removed what was there already, as the old gallery's.
    _fill(folder, files)
    _remove(folder, (old | _left_over(folder)) - _named(folder))


def _fill(folder: Path, files: Mapping[str, bytes]) -> None:
    for name, content in files.items():
        if not ((folder / name).exists() and (folder / name).read_bytes() == content):
            _put(folder / name, content)


def _put(path: Path, content: bytes) -> None:
    aside = path.with_name(f".gallery.{uuid.uuid4().hex}.part")
    try:
        with aside.open("wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        aside.replace(path)
    finally:
        _remove(path.parent, [aside.name])


def _is_foreign(file: Path) -> bool:
    try:
        return "gallery" not in json.loads(file.read_bytes())
    except (OSError, ValueError, TypeError):
        # None, or a gallery's that was damaged.
        return False


def _named(folder: Path) -> set[str]:
    """Return the files that the gallery in a folder names: none where it is damaged or not there.

    Only names of the kind that `describe` gives, so that no other file is ever removed.
    """
    try:
        return {name for name in files_of(read_about(folder)) if _OURS.fullmatch(name)}
    except (OSError, KeyError, TypeError, AttributeError):
        return set()


def _left_over(folder: Path) -> set[str]:
    """Return the files of galleries, and parts of files, that have not changed for an hour."""
    found = set()
    for path in folder.iterdir():
        if _ASIDE.fullmatch(path.name) or _OURS.fullmatch(path.name):
            # Another build may remove it in this moment.
            with contextlib.suppress(OSError):
                if time.time() - path.stat().st_mtime > _YOUNG:
                    found.add(path.name)
    return found


def _remove(folder: Path, names: Iterable[str]) -> None:
    """Remove files; one that cannot be removed, as it is in use or gone, stays."""
    for name in names:
        with contextlib.suppress(OSError):
            (folder / name).unlink()


def files_of(about: Mapping[str, Any]) -> dict[str, int]:
    """Return the sizes of the files that a gallery names, by their names."""
    known = [about["records"], *about["sheets"].values(), *about["embeddings"].values()]
    return {one["file"]: one["bytes"] for one in known}
