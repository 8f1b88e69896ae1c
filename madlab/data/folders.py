"""Pictures in folders and archives: your own, and your own copy of Flickr-Faces-HQ.

madlab never ships a face of FFHQ.
"""

import os
import re
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

import numpy as np

from madlab.data.cartoons import drawn_faces
from madlab.data.prepare import HELD_OUT, PictureDataset, Progress, Rules, prepare
from madlab.data.samples import Dataset

COUNT = 70_000
# The official split: the last 10,000 of the 70,000.
VALIDATION = 10_000
VARIABLE = "MADLAB_FFHQ"


def folder(
    path: str | os.PathLike[str],
    size: int = 32,
    *,
    resize: str = "lanczos",
    n: int | None = None,
    seed: int = 0,
    on_bad: str = "skip",
    progress: Progress | None = None,
    verify: bool = False,
) -> PictureDataset:
    """Return the pictures in a folder, a zip or a tar, cut to squares, resized and split once.

    Files are JPEG, PNG or WebP, at any depth; other files are ignored. The split goes by a hash of
    each file's bytes, 3 of 11 held out on average, so a picture stays on its side when others
    come or go, and equal files are on one side. Each part is sorted by name. The work is done
    once: later calls read a cache (`madlab.data.cache.location`), until a file's name, size or
    time changes.

    - `path`: the folder or archive.
    - `size`: side of the pictures, a multiple of 4 from 16 to 256 pixels.
    - `resize`: "lanczos", "bicubic", "bilinear" or "box", always from full size.
    - `n`: how many training pictures are taken; all where None. The held-out set stays.
    - `seed`: which `n` are taken; of one seed, fewer are always among more.
    - `on_bad`: "skip" leaves files out that cannot be used and warns of them, "refuse" raises.
    - `progress`: called with the files done and all files.
    - `verify`: also check the SHA-256 of a cache too large to be checked each time.

    Returns images as uint8 `(n, size, size, 3)`, a read-only memory map of the cache (of a subset
    a copy), with a `report`; `print(data.report)` says what was skipped or changed, and why.

    Raises FileNotFoundError where there is no such path; ValueError for a setting that is not
    allowed, an archive that is damaged or unpacks to too much, a source without a usable
    picture or with fewer than 2 on a side, and for unusable files with "refuse"; TypeError for a
    size that is no whole number; OSError where the cache cannot be written.
    """
    rules = Rules("folder", lambda names: (names, {}), _by_hash)
    return prepare(rules, path, size, resize, n, seed, on_bad, progress, verify)


def ffhq(
    path: str | os.PathLike[str] | None = None,
    size: int = 32,
    *,
    resize: str = "lanczos",
    n: int | None = None,
    seed: int = 0,
    on_bad: str = "skip",
    progress: Progress | None = None,
    verify: bool = False,
) -> PictureDataset:
    """Return the FFHQ faces in a folder, a zip or a tar, resized and split once by their ids.

    A face's id is the number in its file's name, wherever the file lies: `00042.png`,
    `thumbnails128x128/00000/00042.png` or `img00000042.jpg`. The highest ids are held out: 3 of
    11 of the faces, at most 10,000, which of all 70,000 are the official validation set. Files
    without an id, or with one that another file has, cannot be used.

    - `path`: the folder or archive; where None, the environment variable `MADLAB_FFHQ` names it.
    - `size`, `resize`, `n`, `seed`, `on_bad`, `progress`, `verify`: as for `folder`.

    Returns the faces in the order of their ids, otherwise as `folder` does. Raises as `folder`
    does, and ValueError where neither `path` nor the variable is given.

    Source: T. Karras, S. Laine, T. Aila, "A Style-Based Generator Architecture for Generative
    Adversarial Networks", CVPR 2019. For non-commercial use, and not for facial recognition.
    """
    named = os.environ.get(VARIABLE)
    if path is None and named and not Path(named).expanduser().exists():
        raise FileNotFoundError(f"{VARIABLE} names {named}, but there is nothing; set it anew")
    path = named if path is None else path
    if not path:
        raise ValueError(
            f"no FFHQ is named: give a path, or set {VARIABLE} to a folder or .zip of its pictures "
            "(`madlab data ffhq --download` gets the thumbnails); madlab.data.drawn_faces() needs "
            "no download"
        )
    rules = Rules("ffhq", _by_id, _highest)
    return prepare(rules, path, size, resize, n, seed, on_bad, progress, verify)


def faces(size: int = 32, *, n: int | None = None, seed: int = 0) -> Dataset:
    """Return FFHQ where the environment variable `MADLAB_FFHQ` names it, else drawn faces.

    - `size`: side of the pictures, pixels.
    - `n`: how many training faces; where None, all of FFHQ's, or 800 drawn ones.
    - `seed`: which faces are taken, or drawn.

    The data set's `id` begins with "ffhq" or "drawn-faces" and so tells which they are.

    Raises as `ffhq` and `drawn_faces` do.
    """
    if os.environ.get(VARIABLE):
        return ffhq(size=size, n=n, seed=seed)
    return drawn_faces(size=size, seed=seed) if n is None else drawn_faces(n, size, seed)


def _by_hash(digests: Sequence[bytes]) -> np.ndarray:
    part, whole = HELD_OUT
    return np.array([int.from_bytes(head[:8], "big") * whole < part << 64 for head in digests])


def _highest(digests: Sequence[bytes]) -> np.ndarray:
    part, whole = HELD_OUT
    count = min(VALIDATION, round(part * len(digests) / whole))
    return np.arange(len(digests)) >= len(digests) - count


def _by_id(names: Sequence[str]) -> tuple[list[str], dict[str, str]]:
    refused: dict[str, str] = {}
    known: dict[int, str] = {}
    for name in names:
        id = _id(name)
        if id is None:
            refused[name] = "has no id: its name must hold one number, as 00042.png does"
        elif id >= COUNT:
            refused[name] = f"has the id {id}; FFHQ's go from 0 to {COUNT - 1:,}"
        elif id in known:
            refused[name] = f"has the id {id}, as {known[id]} has"
        else:
            known[id] = name
    return [known[id] for id in sorted(known)], refused


def _id(name: str) -> int | None:
    numbers = re.findall(r"[0-9]+", PurePosixPath(name.replace("\\", "/")).stem)
    return int(numbers[0]) if len(numbers) == 1 and len(numbers[0]) <= 12 else None
