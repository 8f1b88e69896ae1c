"""Whole or not at all: writing a file, adding a line, publishing a folder."""

import contextlib
import errno
import hashlib
import os
import shutil
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

_DESKTOPS_HEADS = ("._", ".nfs", ".fuse_hidden", ".Trash", ".~lock.")
_DESKTOPS = {
    *(".ds_store", ".directory", ".localized", ".fseventsd", ".spotlight-v100", ".snapshot"),
    *("desktop.ini", "thumbs.db", "ehthumbs.db", "icon\r", "$recycle.bin", "lost+found"),
    *("system volume information", "__macosx", "@eadir"),
}


def beside(path: Path) -> Path:
    """Return a new hidden name beside `path`, `.NAME.RANDOM.part`, for what is not yet whole."""
    return path.with_name(f".{path.name}.{uuid.uuid4().hex}.part")


def is_part(path: Path) -> bool:
    """Whether `path` has a name as `beside` gives them, or one of half-done work."""
    return path.name.startswith(".") and path.name.endswith(".part")


def is_desktops(name: str) -> bool:
    """Whether desktops and file systems leave files or folders of this name anywhere."""
    return name.startswith(_DESKTOPS_HEADS) or name.lower() in _DESKTOPS


@contextlib.contextmanager
def whole(path: Path, *, durable: bool = False) -> Iterator[Path]:
    """Give a name to write to; the file takes the name `path` in one step when the block ends.

    Where the block or the disk fails, what was at `path` stays and nothing else is left. `durable`
    waits until the disk has the content, here and below.
    """
    aside = beside(path)
    try:
        yield aside
        if durable:
            sync(aside)
        aside.replace(path)
    finally:
        with contextlib.suppress(OSError):
            aside.unlink(missing_ok=True)


def write(path: Path, content: str | bytes, *, durable: bool = False) -> None:
    """Write a file whole or not at all; text as UTF-8, with line ends as they are."""
    with whole(path, durable=durable) as aside:
        aside.write_bytes(content.encode() if isinstance(content, str) else content)


def append(path: Path, line: str, *, durable: bool = False) -> None:
    """Add a line; after a kill in the middle of one, the next starts on a line of its own."""
    with path.open("ab+") as stream:
        text = f"{line}\n".encode()
        if stream.tell():
            stream.seek(-1, os.SEEK_END)
            if stream.read(1) != b"\n":
                text = b"\n" + text
        stream.write(text)
        stream.flush()
        if durable:
            os.fsync(stream.fileno())


def publish(aside: Path, final: Path, *, intact: Callable[[Path], bool]) -> None:
    """Give a finished folder, `aside`, its name in one step; the first publisher wins.

    What is at `final` already stays where it is `intact`, else it is replaced.
    """
    try:
        aside.rename(final)
    except OSError as error:
        taken = error.errno in (errno.ENOTEMPTY, errno.EEXIST, errno.EACCES)
        if not taken or not final.is_dir():
            raise
        if intact(final):
            unwanted = aside
        else:
            unwanted = beside(final)
            final.rename(unwanted)
            aside.rename(final)
        shutil.rmtree(unwanted, ignore_errors=True)


def sync(path: Path) -> None:
    """Wait until the disk has a file, or a folder's names."""
    # Windows cannot open a folder; its renames are durable enough without.
    if path.is_dir() and os.name != "posix":
        return
    descriptor = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file, 64 hexadecimal digits."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def is_old(path: Path) -> bool:
    """Whether a file or folder is there and was not changed for a day."""
    try:
        return time.time() - path.stat().st_mtime > 86_400
    except FileNotFoundError:
        return False


@contextlib.contextmanager
def explained(what: str, advice: str) -> Iterator[None]:
    """Raise an OSError of the block again as `what (why); advice`, with its number."""
    try:
        yield
    except OSError as error:
        raise OSError(error.errno, f"{what} ({error.strerror or error}); {advice}") from error
