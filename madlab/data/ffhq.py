"""Flickr-Faces-HQ: your own copy of it, or its thumbnails from NVIDIA's own place.

madlab never ships a face of FFHQ. The thumbnails lie on Google Drive, one file a face; a table of
all faces gives each one's address and MD5, and the official script `download_ffhq.py` gives the
table's own. pooch fetches, checks and tries again.
"""

import json
import os
import re
import warnings
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from madlab import checks, files
from madlab.data.cache import location
from madlab.data.cartoons import drawn_faces
from madlab.data.prepare import HELD_OUT, PictureDataset, Progress, Rules, folder
from madlab.data.samples import Dataset

COUNT = 70_000
# The official split: the last 10,000 of the 70,000.
VALIDATION = 10_000
VARIABLE = "MADLAB_FFHQ"
PAGE = "https://github.com/NVlabs/ffhq-dataset"
_SECONDS = 30
_CONNECTIONS = 8


# Address and MD5, which guards against accidents, not attacks; `json_spec` of download_ffhq.py.
# Beyond 100 MB Drive asks to confirm, which this address does.
TABLE = (
    "https://drive.usercontent.google.com/download"
    "?id=16N0RV4fHI6joBuKbQAoG34V_cQk7vxSA&export=download&confirm=t",
    "425ae20f06a4da1d4dc0f46d40ba5fd6",
)


def ffhq(
    path: str | os.PathLike[str] | None = None, size: int = 32, **options: Any
) -> PictureDataset:
    """Return the FFHQ faces in a folder, a zip or a tar, resized and split once by their ids.

    A face's id is the number in its file's name, wherever the file lies: `00042.png`,
    `thumbnails128x128/00000/00042.png` or `img00000042.jpg`. The highest ids are held out: 3 of
    11 of the faces, at most 10,000, which of all 70,000 are the official validation set. Files
    without an id, or with one that another file has, cannot be used.

    - `path`: the folder or archive; where None, the environment variable `MADLAB_FFHQ` names it.
    - `size`: side of the pictures, a multiple of 4 from 16 to 256 pixels.
    - `options`: `resize`, `n`, `seed`, `on_bad`, `progress` and `verify`, as for `folder`.

    Returns the faces in the order of their ids, otherwise as `folder` does. Raises as `folder`
    does, and ValueError where neither `path` nor the variable is given.

    Source: T. Karras, S. Laine, T. Aila, "A Style-Based Generator Architecture for Generative
    Adversarial Networks", CVPR 2019. For non-commercial use, and not for facial recognition.
    """
    named = os.environ.get(VARIABLE)
    if path is None and named and not files.expanded(named).exists():
        raise FileNotFoundError(f"{VARIABLE} names {named}, but there is nothing; set it anew")
    path = named if path is None else path
    if not path:
        raise ValueError(
            f"no FFHQ is named: give a path, or set {VARIABLE} to a folder or .zip of its pictures "
            "(`madlab data ffhq --download` gets the thumbnails); madlab.data.drawn_faces() needs "
            "no download"
        )
    return folder(path, size, rules=_BY_ID, **options)


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


_BY_ID = Rules("ffhq", _by_id, _highest)


def thumbnails(
    folder: Path | None = None, n: int = COUNT, *, progress: Progress | None = None
) -> Path:
    """Download the thumbnails of FFHQ, 128 x 128 pixels, about 28 kB each; return their folder.

    Run it again after whatever stopped it: what is there and intact is not downloaded again. While
    one process downloads into a folder, another one waits for it.

    - `folder`: where they go; `ffhq-thumbnails128x128` in madlab's cache folder where None.
    - `n`: how many, from id 0 on; the table of all, 268 MB, is needed for any.
    - `progress`: called with the thumbnails done and all of them.

    Raises ValueError for an `n` that is not from 1 to 70,000, OSError, with what to do, where the
    server cannot be reached, refuses, sends too little or something else, or the disk is full.

    Source: the README and `download_ffhq.py` of https://github.com/NVlabs/ffhq-dataset.
    """
    checks.count("n", n, 1, COUNT)
    folder = files.expanded(folder or location() / "ffhq-thumbnails128x128")
    if folder.exists() and not folder.is_dir():
        raise NotADirectoryError(f"{folder} is a file; give the folder the thumbnails are to go to")
    folder.mkdir(parents=True, exist_ok=True)
    with _locked(folder):
        _tidy(folder)
        known = "ffhq-dataset-v2.json"
        fetch({known: TABLE}, folder)
        fetch(_first((folder / known).read_text("utf-8"), n), folder, progress)
    return folder


def _locked(folder: Path) -> Any:
    """Take the folder's lock, waiting for who has it; it ends with its process in any case."""
    import filelock

    lock = filelock.FileLock(folder / ".lock")
    try:
        return lock.acquire(timeout=0)
    except filelock.Timeout:
        warnings.warn(f"another process downloads into {folder}; waiting for it", RuntimeWarning, 3)
        return lock.acquire()


def _tidy(folder: Path) -> None:
    """Remove what a killed run left: half of a file, and the empty one that pooch made."""
    for left in (*folder.rglob(".tmp*.part"), *folder.rglob("tmp????????")):
        if left.is_file() and (files.is_part(left) or not left.stat().st_size):
            left.unlink()


def _first(table: str, n: int) -> dict[str, tuple[str, str]]:
    """Return address and MD5 of the first n thumbnails in the table, by names for their files."""
    # Of a face only its thumbnail is kept: all that is said of all would fill gigabytes.
    faces = json.loads(table, object_hook=lambda found: found.get("thumbnail", found))
    return {
        f"{id - id % 1000:05d}/{id:05d}.png": (face["file_url"], face["file_md5"])
        for id, face in ((int(text), face) for text, face in faces.items())
        if id < n
    }


def fetch(
    remotes: Mapping[str, tuple[str, str]], folder: Path, progress: Progress | None = None
) -> None:
    """Download files into a folder, each known by its name there: its address and its MD5.

    What is there and intact stays. Raises OSError as `thumbnails` does.
    """
    import pooch

    pooch.get_logger().setLevel("ERROR")
    registry = pooch.create(
        folder,
        base_url="",
        registry={name: f"md5:{md5}" for name, (_, md5) in remotes.items()},
        urls={name: url for name, (url, _) in remotes.items()},
        retry_if_failed=3,
    )
    get = pooch.HTTPDownloader(timeout=_SECONDS, hooks={"response": _refuse})

    def download(url: str, file: str, _: Any) -> None:
        # In place of pooch's own file, which is for this user's eyes alone.
        with files.whole(Path(file)) as aside:
            get(url, str(aside), None)

    def one(name: str) -> None:
        try:
            registry.fetch(name, downloader=download)
        except (ValueError, OSError) as error:
            raise OSError(
                f"{remotes[name][0]} could not be downloaded ({error}). The same command goes on "
                "with what is missing; it needs a network that reaches this address. Or get the "
                f"pictures by hand from {PAGE} and give their path"
            ) from error

    # Made here, as pooch's threads would each try to.
    for place in {(folder / name).parent for name in remotes}:
        place.mkdir(exist_ok=True)
    with ThreadPoolExecutor(_CONNECTIONS) as pool:
        try:
            for done, _ in enumerate(pool.map(one, remotes), start=1):
                if progress is not None:
                    progress(done, len(remotes))
        finally:
            pool.shutdown(cancel_futures=True)


def _refuse(answer: Any, **_: object) -> None:
    """Raise an error that pooch does not try again for an answer that will come again."""
    status = answer.status_code
    page = status == 200 and "text/html" in answer.headers.get("Content-Type", "")
    if status >= 400 or page:
        answer.close()
    if page:
        raise OSError("a web page came in its place; Drive's quota may be used up")
    if 400 <= status < 500 and status not in (408, 429):
        raise OSError(f"HTTP Error {status}: {answer.reason}")
