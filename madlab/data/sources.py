"""Folders, zips and tars of pictures, from anyone: read in place, with nothing unpacked."""

import bz2
import errno
import gzip
import hashlib
import io
import lzma
import os
import re
import stat
import tarfile
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path, PurePosixPath
from types import SimpleNamespace
from typing import Any, NamedTuple

from madlab import files

# Files in a source, bytes of one picture's file, and how many times its own size an archive may
# unpack to: pictures are compressed already.
COUNT = 300_000
BYTES = 64_000_000
RATIO = 100
_SLACK = 1_000_000
_PICTURES = (".jpg", ".jpeg", ".png", ".webp")
# How the content of such files begins, whatever they are called.
_HEADS = re.compile(rb"\xff\xd8\xff|\x89PNG\r\n|RIFF....WEBP", re.DOTALL)
_OTHER_PICTURES = (
    *(".avif", ".bmp", ".gif", ".heic", ".heif", ".jp2", ".jxl", ".psd", ".svg", ".tif", ".tiff"),
)
_TEXT = ".txt"
# What no text holds, in whatever encoding of a byte a letter.
_CONTROLS = bytes(set(range(32)) - set(b"\t\n\f\r\x1b"))
_ARCHIVES = (".zip", ".7z", ".rar", ".tar", ".tgz", ".tbz2", ".txz", ".gz", ".bz2", ".xz")
_TARS = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz")
_DAMAGED = (
    zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError,
    EOFError, OSError, RuntimeError, NotImplementedError, UnicodeError,
)  # fmt: skip
_METHODS = (
    zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA,
)  # fmt: skip
_UNPACK: dict[bytes, Callable[..., Any]] = {
    b"\x1f\x8b": gzip.open,
    b"BZh": bz2.open,
    b"\xfd7zXZ": lzma.open,
}


class File(NamedTuple):
    """A file of a source: its name, "/" between folders, its bytes, and what is wrong with it."""

    name: str
    size: int
    why: str = ""


_UNMARKED = File("its end", 0, "is not marked: where it was cut short, pictures are missing")
Member = tuple[File, Callable[[], Any]]


class Source(NamedTuple):
    """A folder or an archive of pictures, which is never unpacked.

    - `path`: where it is.
    - `stamp`: a text that differs once the content does, made without reading the pictures.
    - `members`: yields every file and what opens it, which works until the next is asked for.
    """

    path: Path
    stamp: str
    members: Callable[[], Iterable[Member]]

    def listing(self) -> tuple[list[str], dict[str, str], list[str]]:
        """Return what there is; raises ValueError for an archive that cannot be trusted.

        That is the sorted names of the files that may be pictures, by name or by content, why
        others cannot be used, by their names, and the names of texts. Hidden files and what
        desktops leave everywhere are passed over.
        """
        found = sorted(
            (file, self._suffix(file, opened))
            for file, opened in self.members()
            if not any(_hidden(part) for part in _parts(file.name))
        )
        times = Counter(file.name for file, _ in found)
        names, skipped, ignored = [], {}, []
        for (name, size, why), suffix in found:
            if suffix == _TEXT:
                ignored.append(name)
            elif times[name] > 1:
                # Which of them is meant nobody can know.
                skipped[name] = f"is in the archive {times[name]} times"
            elif why:
                skipped[name] = why
            elif suffix in _ARCHIVES:
                skipped[name] = "is an archive inside; unpack it, or give its own path"
            elif suffix in _OTHER_PICTURES:
                skipped[name] = f"is a {suffix} file; save it as JPEG, PNG or WebP"
            elif suffix not in _PICTURES:
                skipped[name] = "is no JPEG, PNG or WebP picture"
            elif not 0 < size <= BYTES:
                skipped[name] = _too_large(size) if size else "is empty"
            else:
                names.append(name)
        return names, skipped, ignored

    def _suffix(self, file: File, opened: Callable[[], Any]) -> str:
        """Return the end of a file's name; by its content `.jpg` or `.txt` for what has another."""
        suffix = PurePosixPath(*_parts(file.name)).suffix.lower()
        if suffix in (*_PICTURES, *_ARCHIVES) or file.why:
            return suffix
        try:
            with opened() as stream:
                head = stream.read(512)
        except _DAMAGED:
            return suffix
        if _HEADS.match(head):
            return _PICTURES[0]
        text = head == head.translate(None, _CONTROLS)
        return _TEXT if text and suffix not in _OTHER_PICTURES else suffix

    def contents(self, names: Collection[str]) -> Iterator[tuple[str, bytes | str]]:
        """Yield each of `names` with its bytes, or in words why it has none, in any order."""
        wanted = set(names)
        for file, opened in self.members():
            if file.name not in wanted:
                continue
            try:
                with opened() as stream:
                    # The size may not be what the archive says.
                    content = stream.read(BYTES + 1)
                size = len(content)
                yield file.name, content if size <= BYTES else _too_large(size)
            except _DAMAGED as error:
                where = "" if self.path.is_dir() else " from the archive"
                why = getattr(error, "strerror", None) or error
                yield file.name, f"cannot be read{where} ({why})"


def open_source(path: Path) -> Source:
    """Return the source at `path`; of a folder hidden files and folders are passed over.

    Raises FileNotFoundError where there is nothing, ValueError for a file that is no archive.
    """
    if not path.exists():
        raise FileNotFoundError(
            f"there is no {path}; give a folder, a .zip or a .tar of JPEG, PNG or WebP pictures"
        )
    if path.is_dir():
        found = sorted(_walk(path))
        text = "\n".join(f"{file!r} {time}" for file, time in found)
        stamp = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
        members = [(file, partial((path / file.name).open, "rb")) for file, _ in found]
        return Source(path, stamp, lambda: members)
    name, about = path.name.lower(), path.stat()
    if not name.endswith((".zip", *_TARS)):
        raise ValueError(
            f"{path} is neither a folder nor a .zip or .tar; give one that holds the pictures"
        )
    read = _zip if name.endswith(".zip") else _tar
    return Source(path, f"{about.st_size} {about.st_mtime_ns}", partial(read, path))


def _walk(path: Path) -> Iterator[tuple[File, int]]:
    """Yield every file with the time of its last change; links to folders are not followed."""
    problems: list[OSError] = []
    count = 0
    for top, folders, names in os.walk(path, onerror=problems.append):
        folders[:] = [name for name in folders if not _hidden(name)]
        for name in names + [name for name in folders if Path(top, name).is_symlink()]:
            file = Path(top, name)
            # Desktops rewrite theirs at every visit; they are ignored whatever they are.
            size, time, why = (0, 0, "") if _hidden(name) else _inspect(file)
            yield File(file.relative_to(path).as_posix(), size, why), time
            count += 1
            _check_bounds(path, count)
    if problems:
        raise OSError(
            problems[0].errno,
            f"{problems[0].filename} cannot be read ({problems[0].strerror}); mend its "
            "permissions, or give a folder that can be read",
        )


def _inspect(file: Path) -> tuple[int, int, str]:
    """Return the size of a file, the time of its last change, and what is wrong with it."""
    try:
        found = file.stat()
    except OSError as error:
        what = "is a link that leads nowhere" if file.is_symlink() else "cannot be read"
        return 0, 0, f"{what} ({error.strerror})"
    if stat.S_ISREG(found.st_mode):
        # Told here, as mended permissions change neither size nor time.
        why = "" if os.access(file, os.R_OK) else f"cannot be read ({os.strerror(errno.EACCES)})"
    elif stat.S_ISDIR(found.st_mode):
        why = "is a link to a folder, which is not followed; give that folder's own path"
    else:
        # Reading from a pipe or a device could wait for ever.
        why = "is no regular file"
    return found.st_size, found.st_mtime_ns, why


def _zip(path: Path) -> Iterator[Member]:
    with _intact(path), zipfile.ZipFile(path) as archive:
        members = [info for info in archive.infolist() if not info.filename.endswith("/")]
        _check_bounds(path, len(members), sum(info.file_size for info in members))
        for info in members:
            why = _outside(info.filename)
            if stat.S_ISLNK(info.external_attr >> 16):
                why = "is a link"
            elif info.flag_bits & 1:
                why = "is encrypted; unpack the archive with its password"
            elif info.compress_type not in _METHODS:
                method = "Deflate64" if info.compress_type == 9 else f"method {info.compress_type}"
                why = f"is packed by {method}, which is not read; unpack it and give the folder"
            yield File(info.filename, info.file_size, why), partial(archive.open, info)


def _tar(path: Path) -> Iterator[Member]:
    """Yield the members of a tar, plain or compressed, as of a stream whose bytes are counted."""
    total = 0

    def read(size: int) -> bytes:
        nonlocal total
        content: bytes = unpacked.read(size)
        total += len(content)
        _check_bounds(path, 0, total)
        return content

    with _intact(path), path.open("rb") as raw:
        magic = next((magic for magic in _UNPACK if raw.peek(6).startswith(magic)), None)
        unpacked = _UNPACK[magic](raw) if magic else raw
        counted: Any = SimpleNamespace(read=read)
        with tarfile.open(fileobj=counted, mode="r|") as archive:
            plain = (member for member in archive if not member.isdir())
            for count, member in enumerate(plain, start=1):
                _check_bounds(path, count)
                why = _outside(member.name) if member.isreg() else "is a link or a device"
                yield File(member.name, member.size, why), partial(archive.extractfile, member)
            # A damaged header in the middle looks like the end to tarfile.
            stream: Any = archive.fileobj
            while rest := stream.read(1 << 20):
                if rest.strip(b"\0"):
                    raise tarfile.ReadError("there is more after what reads as its end")
            # A cut before a header looks like a tar that some tools write, without closing blocks.
            if stream.tell() == archive.offset:
                yield _UNMARKED, io.BytesIO
            # One within it looks like its end.
            elif stream.tell() < archive.offset + tarfile.BLOCKSIZE:
                raise tarfile.ReadError("unexpected end of data")


@contextmanager
def _intact(path: Path) -> Iterator[None]:
    """Say in one sentence that an archive is damaged, whatever the unpacker raises."""
    try:
        yield
    except _DAMAGED as error:
        raise ValueError(
            f"{path} is cut short, damaged or no archive of its kind ({error}); "
            "copy or download it again"
        ) from error


def _check_bounds(path: Path, count: int, total: int = 0) -> None:
    if count > COUNT:
        other = "the folder that holds the pictures alone" if path.is_dir() else "a smaller archive"
        raise ValueError(f"{path} holds more than {COUNT:,} files; give {other}")
    if total and total > RATIO * path.stat().st_size + _SLACK:
        raise ValueError(
            f"{path} unpacks to more than {RATIO} times its size, as no archive of pictures does; "
            "it is not read. If you trust it, unpack it and give the folder"
        )


def _outside(name: str) -> str:
    parts = name.replace("\\", "/").split("/")
    leads_out = not parts[0] or ".." in parts or parts[0].endswith(":")
    return "has a path that leads out of the archive" if leads_out else ""


def _parts(name: str) -> tuple[str, ...]:
    return PurePosixPath(name.replace("\\", "/")).parts


def _hidden(name: str) -> bool:
    """Whether a file or folder of this name is none of the user's own."""
    return (name.startswith(".") and name != "..") or files.is_desktops(name)


def _too_large(size: int) -> str:
    return f"has {size / 1e6:,.0f} MB, more than {BYTES / 1e6:.0f} MB"
