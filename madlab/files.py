"""Whole or not at all: writing a file, adding a line, publishing a folder."""

import contextlib
import errno
import hashlib
import math
import os
import shutil
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

# What drives answer that cannot sync, folders above all: network shares and their like.
_NO_SYNC = {errno.EINVAL, errno.EBADF, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EACCES, errno.ENOSYS}
_MOMENTARY = {errno.EACCES, errno.EBUSY, errno.EPERM}
_WAITS = (0.05, 0.1, 0.2, 0.4)
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


def expanded(path: str | os.PathLike[str]) -> Path:
    """Return a path with its `~` written out; raises ValueError where that home is not known."""
    try:
        return Path(path).expanduser()
    except RuntimeError as error:
        raise ValueError(
            f"the path {os.fspath(path)} begins with a home folder that nobody knows; write it out"
        ) from error


def few_open() -> str:
    """Return a sentence that says how few files may be open at once here, or an empty text."""
    # Windows has no such limit to ask for.
    with contextlib.suppress(ImportError):
        import resource

        most = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        if 0 <= most < 512:
            return f" Only {most} files may be open at once here: allow more (ulimit -n 1024)."
    return ""


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
        move(aside, path)
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
            _sync(stream.fileno())


def publish(aside: Path, final: Path, *, intact: Callable[[Path], bool]) -> None:
    """Give a finished folder, `aside`, its name in one step; the first publisher wins.

    What is at `final` already stays where it is `intact`, else it is replaced.
    """
    try:
        move(aside, final)
    except OSError as error:
        taken = error.errno in (errno.ENOTEMPTY, errno.EEXIST, errno.EACCES)
        if not taken or not final.is_dir():
            raise
        if intact(final):
            unwanted = aside
        else:
            unwanted = beside(final)
            move(final, unwanted)
            move(aside, final)
        shutil.rmtree(unwanted, ignore_errors=True)


def move(path: Path, name: Path) -> None:
    """Give a file or folder another name in one step; a file that has it already is replaced.

    What is refused for a moment, as where a scanner looks at a new file, is tried again.
    """
    for wait in (*_WAITS, None):
        try:
            path.replace(name)
        except OSError as error:
            if wait is None or error.errno not in _MOMENTARY or name.is_dir():
                raise
            time.sleep(wait)
        else:
            return


def sync(path: Path) -> None:
    """Wait until the disk has a file, or a folder's names, where it can be asked to."""
    # Windows cannot open a folder; its renames are durable enough without.
    if path.is_dir() and os.name != "posix":
        return
    try:
        descriptor = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    except OSError as error:
        if error.errno not in _NO_SYNC:
            raise
        return
    try:
        _sync(descriptor)
    finally:
        os.close(descriptor)


def _sync(descriptor: int) -> None:
    try:
        os.fsync(descriptor)
    except OSError as error:
        # What is written is there all the same; it may be gone after a power cut.
        if error.errno not in _NO_SYNC:
            raise


def free(folder: Path) -> float:
    """Return the bytes that are free on a folder's disk, infinity where it does not say."""
    with contextlib.suppress(OSError):
        usage = shutil.disk_usage(folder)
        # Some network drives report a size of 0.
        return usage.free if usage.total else math.inf
    return math.inf


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
