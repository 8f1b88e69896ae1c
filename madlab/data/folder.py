"""Pictures of your own: any folder or archive of them becomes a data set."""

import os
from collections.abc import Sequence

import numpy as np

from madlab.data.prepare import HELD_OUT, Found, PictureDataset, Progress, Recipe, prepare


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
    recipe = Recipe("folder", lambda names: (names, {}), _by_hash)
    return prepare(recipe, path, size, resize, n, seed, on_bad, progress, verify)


def _by_hash(pictures: Sequence[Found]) -> np.ndarray:
    part, whole = HELD_OUT
    return np.array(
        [int.from_bytes(found.digest[:8], "big") * whole < part << 64 for found in pictures]
    )
