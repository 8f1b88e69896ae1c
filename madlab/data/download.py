"""FFHQ's 128-pixel thumbnails from NVIDIA's own place: checked, resumed, one process at a time.

They lie on Google Drive, one file a face. A table of all faces gives each thumbnail's address,
size and MD5, and the official script `download_ffhq.py` gives the table's own.
"""

import errno
import hashlib
import http.client
import json
import sys
import time
import urllib.error
import urllib.request
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from madlab.data.cache import location

PAGE = "https://github.com/NVlabs/ffhq-dataset"
COUNT = 70_000
PAUSE = 0.5
_BLOCK = 1 << 18
_SECONDS = 30
_CONNECTIONS = 8
_DISK = (errno.ENOSPC, errno.EACCES, errno.EROFS)
_NOT_SATISFIABLE = http.client.REQUESTED_RANGE_NOT_SATISFIABLE
Progress = Callable[[int, int], None]


class Remote(NamedTuple):
    """A file to download: its address, its size in bytes and its MD5."""

    url: str
    bytes: int
    md5: str


# `json_spec` of download_ffhq.py. Beyond 100 MB Drive asks to confirm, which this address does.
TABLE = Remote(
    "https://drive.usercontent.google.com/download"
    "?id=16N0RV4fHI6joBuKbQAoG34V_cQk7vxSA&export=download&confirm=t",
    267_793_842,
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
    if not 1 <= n <= COUNT:
        raise ValueError(f"n is {n}; it must be from 1 to {COUNT:,}, the faces of FFHQ")
    folder = (folder or location() / "ffhq-thumbnails128x128").expanduser()
    if folder.exists() and not folder.is_dir():
        raise NotADirectoryError(f"{folder} is a file; give the folder the thumbnails are to go to")
    folder.mkdir(parents=True, exist_ok=True)
    with locked(folder / ".lock"):
        known = fetch(table or TABLE, folder / "ffhq-dataset-v2.json")
        wanted = _thumbnails(known.read_text("utf-8"), n)
        with ThreadPoolExecutor(_CONNECTIONS) as pool:
            jobs = []
            for id, remote in wanted.items():
                file = folder / f"{id - id % 1000:05d}" / f"{id:05d}.png"
                file.parent.mkdir(exist_ok=True)
                jobs.append(pool.submit(fetch, remote, file))
            try:
                for done, job in enumerate(as_completed(jobs), start=1):
                    job.result()
                    if progress is not None:
                        progress(done, len(jobs))
            finally:
                pool.shutdown(cancel_futures=True)
    return folder


def fetch(remote: Remote, path: Path, tries: int = 4) -> Path:
    """Download one file, going on with what an earlier try left; return its path.

    - `remote`: the file, its size and MD5; a file that is there and has both is not asked for.
    - `path`: where it goes, in one step once it is whole and checked; half of it is
      `path` with ".part".
    - `tries`: how often a connection is opened before giving up, a little later each time.

    Raises OSError as `thumbnails` does.
    """
    if path.is_file() and _matches(path, remote):
        return path
    part = path.with_name(path.name + ".part")
    why: Exception = OSError("nothing was tried")
    for attempt in range(tries):
        time.sleep(PAUSE * attempt**2)
        goes_on = part.exists()
        try:
            if not goes_on or part.stat().st_size != remote.bytes:
                _receive(remote, part)
        except (http.client.HTTPException, OSError) as error:
            why = error
            if isinstance(error, _AnswerError) and error.status == _NOT_SATISFIABLE:
                # What an earlier try left is longer than the server's file.
                part.unlink(missing_ok=True)
            elif _hopeless(error):
                break
            continue
        if _matches(part, remote):
            part.replace(path)
            return path
        if part.stat().st_size < remote.bytes:
            why = OSError(f"it ended before its {remote.bytes:,} bytes")
            continue
        part.unlink()
        why = OSError(f"what came is another file, not of MD5 {remote.md5}")
        # What an earlier try left can have been wrong; a file in one piece will come so again.
        if not goes_on:
            break
    raise OSError(_advice(remote, part, why)) from why


def _receive(remote: Remote, part: Path) -> None:
    """Append to `part` what it lacks, or begin it anew where the server sends the whole file."""
    start = part.stat().st_size if part.exists() else 0
    request = urllib.request.Request(remote.url, headers={"User-Agent": "madlab"})
    if start:
        request.add_header("Range", f"bytes={start}-")
    try:
        opened = urllib.request.urlopen(request, timeout=_SECONDS)
    except urllib.error.HTTPError as error:
        with error:
            raise _AnswerError(str(error), error.code) from None
    with opened as answer:
        if answer.headers.get_content_type() == "text/html":
            raise _AnswerError("a web page came in its place; Drive's quota may be used up", 200)
        sent = answer.headers.get("Content-Range", "")
        if answer.status != http.client.PARTIAL_CONTENT or not sent.startswith(f"bytes {start}-"):
            start = 0
        left = remote.bytes - start
        # Unbuffered, so that what came is kept whatever happens.
        with part.open("ab" if start else "wb", buffering=0) as stream:
            # One byte too many is enough to see that it is another file.
            while left >= 0 and (block := answer.read1(min(_BLOCK, left + 1))):
                stream.write(block)
                left -= len(block)


class _AnswerError(OSError):
    """An answer that is not the file."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


def _hopeless(error: Exception) -> bool:
    """Return whether trying again at once is no use."""
    if isinstance(error, _AnswerError):
        return error.status < 500 and error.status not in (408, 429)
    return isinstance(error, OSError) and error.errno in _DISK


def _advice(remote: Remote, part: Path, why: Exception) -> str:
    kept = f"{part.stat().st_size:,} bytes are kept in {part}. " if part.exists() else ""
    return (
        f"{remote.url} could not be downloaded ({getattr(why, 'reason', None) or why}). {kept}The "
        "same command goes on from there; it needs a network that reaches this address. Or get "
        f"the pictures by hand from {PAGE} and give their path"
    )


def _matches(path: Path, remote: Remote) -> bool:
    if path.stat().st_size != remote.bytes:
        return False
    with path.open("rb") as stream:
        # The official checksum is an MD5; it guards against accidents, not against attacks.
        digest = hashlib.file_digest(stream, lambda: hashlib.md5(usedforsecurity=False))
    return digest.hexdigest() == remote.md5


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock of a file, waiting for who has it; it ends with its process, however that ends.

    - `path`: the file, which is made where it is not there.
    """
    with path.open("ab") as stream:
        if not _lock(stream.fileno()):
            warnings.warn(
                f"another process downloads into {path.parent}; waiting for it", RuntimeWarning, 3
            )
            while not _lock(stream.fileno()):
                time.sleep(0.1)
        yield


def _lock(descriptor: int) -> bool:
    """Return whether the lock was free; closing the file gives it back."""
    try:
        if sys.platform == "win32":
            import msvcrt

            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno not in (errno.EWOULDBLOCK, errno.EACCES, errno.EDEADLK):
            raise
        return False
    return True


def _thumbnails(text: str, n: int) -> dict[int, Remote]:
    """Read the first n thumbnails out of the table, whose whole would fill gigabytes of memory."""
    decode = json.JSONDecoder().raw_decode
    found: dict[int, Remote] = {}
    at = _skip(text, text.index("{") + 1)
    while text[at] != "}":
        key, at = decode(text, at)
        face, at = decode(text, _skip(text, at))
        at = _skip(text, at)
        if int(key) < n:
            thumb = face["thumbnail"]
            found[int(key)] = Remote(thumb["file_url"], thumb["file_size"], thumb["file_md5"])
    return found


def _skip(text: str, at: int) -> int:
    """Return the place of the next character that is neither white space, a comma nor a colon."""
    while text[at] in " \t\r\n,:":
        at += 1
    return at
