"""FFHQ's 128-pixel thumbnails from NVIDIA's own place; pooch fetches, checks and tries again.

They lie on Google Drive, one file a face. A table of all faces gives each thumbnail's address and
MD5, and the official script `download_ffhq.py` gives the table's own.
"""

import json
import warnings
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import Any, NamedTuple

from madlab import checks, files
from madlab.data.cache import location
from madlab.data.folders import COUNT
from madlab.data.prepare import Progress

PAGE = "https://github.com/NVlabs/ffhq-dataset"
_SECONDS = 30
_CONNECTIONS = 8


class Remote(NamedTuple):
    """A file to download: its address and its MD5, which guards against accidents, not attacks."""

    url: str
    md5: str


# `json_spec` of download_ffhq.py. Beyond 100 MB Drive asks to confirm, which this address does.
TABLE = Remote(
    "https://drive.usercontent.google.com/download"
    "?id=16N0RV4fHI6joBuKbQAoG34V_cQk7vxSA&export=download&confirm=t",
    "425ae20f06a4da1d4dc0f46d40ba5fd6",
)


def thumbnails(
    folder: Path | None = None,
    n: int = COUNT,
    *,
    table: Remote | None = None,
    progress: Progress | None = None,
) -> Path:
    """Download the thumbnails of FFHQ, 128 x 128 pixels, about 28 kB each; return their folder.

    Run it again after whatever stopped it: what is there and intact is not downloaded again. While
    one process downloads into a folder, another one waits for it.

    - `folder`: where they go; `ffhq-thumbnails128x128` in madlab's cache folder where None.
    - `n`: how many, from id 0 on; the table of all, 268 MB, is needed for any.
    - `table`: where the table of all faces is; NVIDIA's, `TABLE`, where None.
    - `progress`: called with the thumbnails done and all of them.

    Raises ValueError for an `n` that is not from 1 to 70,000, OSError, with what to do, where the
    server cannot be reached, refuses, sends too little or something else, or the disk is full.

    Source: the README and `download_ffhq.py` of https://github.com/NVlabs/ffhq-dataset.
    """
    checks.count("n", n, 1, COUNT)
    folder = (folder or location() / "ffhq-thumbnails128x128").expanduser()
    if folder.exists() and not folder.is_dir():
        raise NotADirectoryError(f"{folder} is a file; give the folder the thumbnails are to go to")
    folder.mkdir(parents=True, exist_ok=True)
    with _locked(folder):
        _tidy(folder)
        known = "ffhq-dataset-v2.json"
        fetch({known: table or TABLE}, folder)
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


def _first(table: str, n: int) -> dict[str, Remote]:
    """Return the first n thumbnails in the table, by the names of their files."""
    # Of a face only its thumbnail is kept: all that is said of all would fill gigabytes.
    faces = json.loads(table, object_hook=lambda found: found.get("thumbnail", found))
    return {
        f"{id - id % 1000:05d}/{id:05d}.png": Remote(face["file_url"], face["file_md5"])
        for id, face in ((int(text), face) for text, face in faces.items())
        if id < n
    }


def fetch(remotes: Mapping[str, Remote], folder: Path, progress: Progress | None = None) -> None:
    """Download files into a folder, by their names there; what is there and intact stays.

    Raises OSError as `thumbnails` does.
    """
    import pooch

    pooch.get_logger().setLevel("ERROR")
    registry = pooch.create(
        folder,
        base_url="",
        registry={name: f"md5:{remote.md5}" for name, remote in remotes.items()},
        urls={name: remote.url for name, remote in remotes.items()},
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
                f"{remotes[name].url} could not be downloaded ({error}). The same command goes on "
                "with what is missing; it needs a network that reaches this address. Or get the "
                f"pictures by hand from {PAGE} and give their path"
            ) from error

    # Made here, as pooch's threads would each try to.
    for place in {(folder / name).parent for name in remotes}:
        place.mkdir(exist_ok=True)
    with ThreadPoolExecutor(_CONNECTIONS) as pool:
        jobs = [pool.submit(one, name) for name in remotes]
        try:
            for done, job in enumerate(as_completed(jobs), start=1):
                job.result()
                if progress is not None:
                    progress(done, len(jobs))
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
