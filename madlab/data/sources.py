"""Folders, zips and tars of pictures, from anyone: read in place, with nothing unpacked."""

import bz2
import errno
import gzip
import hashlib
import lzma
import os
import stat
import tarfile
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO, Any, NamedTuple

from madlab.data.pictures import UnusableError

# Files in a source, bytes of one picture's file, and how many times its own size an archive may
# unpack to: pictures are compressed already.
COUNT = 300_000
BYTES = 64_000_000
RATIO = 100
_SLACK = 1_000_000
_PICTURES = (".jpg", ".jpeg", ".png", ".webp")
_OTHER_PICTURES = (".avif", ".bmp", ".gif", ".heic", ".heif", ".jp2", ".jxl", ".tif", ".tiff")
_ARCHIVES = (".zip", ".7z", ".rar", ".tar", ".tgz", ".tbz2", ".txz", ".gz", ".bz2", ".xz")
_TARS = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz")
_DAMAGED = (
    zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError,
    EOFError, OSError, RuntimeError, NotImplementedError, UnicodeError,
)  # fmt: skip
_UNPACK: dict[bytes, Callable[[IO[bytes]], Any]] = {
    b"\x1f\x8b": lambda raw: gzip.GzipFile(fileobj=raw),
    b"BZh": bz2.BZ2File,
    b"\xfd7zXZ": lzma.LZMAFile,
}
Content = bytes | UnusableError


class File(NamedTuple):
    """A file of a source: its name, "/" between folders, its bytes, and what is wrong with it."""

    name: str
    size: int
    why: str = ""


class Listing(NamedTuple):
    """What a source holds.

    - `names`: of the files that may be pictures, sorted.
    - `skipped`: why others that look like pictures cannot be used, by their names.
    - `ignored`: how many files are no pictures at all.
    """

    names: list[str]
    skipped: dict[str, str]
    ignored: int


class Source:
    """A folder or an archive of pictures at `path`."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def stamp(self) -> str:
        """Return a text that differs once the content does, without reading the pictures."""
        found = self.path.stat()
        return f"{found.st_size} {found.st_mtime_ns}"

    def listing(self) -> Listing:
        """Return what there is; raises ValueError for an archive that cannot be trusted."""
        files = sorted(self._files())
        times = Counter(file.name for file in files)
        names, skipped, ignored = [], {}, 0
        for name, size, why in files:
            parts = PurePosixPath(name.replace("\\", "/")).parts
            suffix = PurePosixPath(parts[-1]).suffix.lower() if parts else ""
            known = suffix in (*_PICTURES, *_OTHER_PICTURES, *_ARCHIVES)
            if any(_hidden(part) for part in parts if part != "..") or not (known or why):
                ignored += 1
            elif times[name] > 1:
                # Which of them is meant nobody can know.
                skipped[name] = f"is in the archive {times[name]} times"
            elif why:
                skipped[name] = why
            elif suffix in _ARCHIVES:
                skipped[name] = "is an archive inside; unpack it, or give its own path"
            elif suffix in _OTHER_PICTURES:
                skipped[name] = f"is a {suffix} file; save it as JPEG, PNG or WebP"
            elif not 0 < size <= BYTES:
                skipped[name] = _too_large(size) if size else "is empty"
            else:
                names.append(name)
        return Listing(names, skipped, ignored)

    def contents(self, names: Collection[str]) -> Iterator[tuple[str, Content]]:
        """Yield each of `names` with its bytes, or with why it has none, in any order."""
        raise NotImplementedError

    def _files(self) -> Iterable[File]:
        raise NotImplementedError


def open_source(path: Path) -> Source:
    """Return the source at `path`.

    Raises FileNotFoundError where there is nothing, ValueError for a file that is no archive.
    """
    if not path.exists():
        raise FileNotFoundError(
            f"there is no {path}; give a folder, a .zip or a .tar of JPEG, PNG or WebP pictures"
        )
    if path.is_dir():
        return Folder(path)
    name = path.name.lower()
    if name.endswith((".zip", *_TARS)):
        return Zip(path) if name.endswith(".zip") else Tar(path)
    raise ValueError(
        f"{path} is neither a folder nor a .zip or .tar; give one that holds the pictures"
    )


class Folder(Source):
    """A folder with all that is in it; hidden files and folders are passed over."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._found = sorted(self._walk())

    def _walk(self) -> Iterator[tuple[File, int]]:
        """Yield every file with the time of its last change; links to folders are not followed."""
        problems: list[OSError] = []
        count = 0
        for top, folders, names in os.walk(self.path, onerror=problems.append):
            folders[:] = [name for name in folders if not _hidden(name)]
            for name in names + [name for name in folders if Path(top, name).is_symlink()]:
                file = Path(top, name)
                # Desktops rewrite theirs at every visit; they are ignored whatever they are.
                size, time, why = (0, 0, "") if _hidden(name) else _inspect(file)
                yield File(file.relative_to(self.path).as_posix(), size, why), time
                count += 1
                if count > COUNT:
                    raise ValueError(
                        f"{self.path} holds more than {COUNT:,} files; "
                        "give the folder that holds the pictures alone"
                    )
        if problems:
            raise OSError(
                problems[0].errno,
                f"{problems[0].filename} cannot be read ({problems[0].strerror}); mend its "
                "permissions, or give a folder that can be read",
            )

    def stamp(self) -> str:
        """Return a hash of the names, sizes and times of all files."""
        text = "\n".join(f"{file!r} {time}" for file, time in self._found)
        return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()

    def _files(self) -> Iterable[File]:
        return (file for file, _ in self._found)

    def contents(self, names: Collection[str]) -> Iterator[tuple[str, Content]]:
        """Yield each of `names` with its bytes, in their order."""
        for name in names:
            try:
                with (self.path / name).open("rb") as stream:
                    content = _capped(stream)
            except OSError as error:
                content = UnusableError(f"cannot be read ({error.strerror})")
            yield name, content


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


class Zip(Source):
    """A zip archive, which is never unpacked."""

    def _files(self) -> Iterable[File]:
        with _archive(self.path), zipfile.ZipFile(self.path) as archive:
            members = [info for info in archive.infolist() if not info.filename.endswith("/")]
        files = [File(info.filename, info.file_size, _zip_flaw(info)) for info in members]
        _check_bounds(self.path, len(files), sum(file.size for file in files))
        return files

    def contents(self, names: Collection[str]) -> Iterator[tuple[str, Content]]:
        """Yield each of `names` with its bytes, in their order."""
        with _archive(self.path), zipfile.ZipFile(self.path) as archive:
            for name in names:
                try:
                    with archive.open(name) as stream:
                        content = _capped(stream)
                except _DAMAGED as error:
                    content = UnusableError(f"cannot be read from the archive ({error})")
                yield name, content


def _zip_flaw(info: zipfile.ZipInfo) -> str:
    if stat.S_ISLNK(info.external_attr >> 16):
        return "is a link"
    if info.flag_bits & 1:
        return "is encrypted; unpack the archive with its password"
    return _outside(info.filename)


class Tar(Source):
    """A tar archive, plain or compressed, which is never unpacked."""

    def _files(self) -> Iterable[File]:
        files: list[File] = []
        with _archive(self.path), self._open() as archive:
            for member in archive:
                if not member.isdir():
                    why = _outside(member.name) if member.isreg() else "is a link or a device"
                    files.append(File(member.name, member.size, why))
                    _check_bounds(self.path, len(files), 0)
            # A damaged header in the middle looks like the end to tarfile.
            stream: Any = archive.fileobj
            while rest := stream.read(1 << 20):
                if rest.strip(b"\0"):
                    raise tarfile.ReadError("there is more after what reads as its end")
            # So does a cut within or before a header, where the block of zeros is missing.
            if stream.tell() < archive.offset + tarfile.BLOCKSIZE:
                raise tarfile.ReadError("unexpected end of data")
        return files

    def contents(self, names: Collection[str]) -> Iterator[tuple[str, Content]]:
        """Yield each of `names` with its bytes, in the archive's order."""
        wanted = set(names)
        with _archive(self.path), self._open() as archive:
            for member in archive:
                found = member.isreg() and member.name in wanted
                if found and (stream := archive.extractfile(member)):
                    yield member.name, _capped(stream)

    @contextmanager
    def _open(self) -> Iterator[tarfile.TarFile]:
        """Open the archive as a stream, every byte of which is counted."""
        with self.path.open("rb") as raw:
            head = raw.read(6)
            raw.seek(0)
            packed = [unpack for magic, unpack in _UNPACK.items() if head.startswith(magic)]
            counted: Any = _Counted(packed[0](raw) if packed else raw, self.path)
            with tarfile.open(fileobj=counted, mode="r|") as archive:
                yield archive


class _Counted:
    """A stream that stops where an archive unpacks to far more than its size."""

    def __init__(self, stream: IO[bytes], path: Path) -> None:
        self._stream, self._path, self._total = stream, path, 0

    def read(self, size: int = -1) -> bytes:
        content = self._stream.read(size)
        self._total += len(content)
        _check_bounds(self._path, 0, self._total)
        return content


@contextmanager
def _archive(path: Path) -> Iterator[None]:
    """Say in one sentence that an archive is damaged, whatever the unpacker raises."""
    try:
        yield
    except _DAMAGED as error:
        raise ValueError(
            f"{path} is cut short, damaged or no archive of its kind ({error}); "
            "copy or download it again"
        ) from error


def _check_bounds(path: Path, count: int, total: int) -> None:
    if count > COUNT:
        raise ValueError(f"{path} holds more than {COUNT:,} files; give a smaller archive")
    if total > RATIO * path.stat().st_size + _SLACK:
        raise ValueError(
            f"{path} unpacks to more than {RATIO} times its size, as no archive of pictures does; "
            "it is not read. If you trust it, unpack it and give the folder"
        )


def _outside(name: str) -> str:
    parts = name.replace("\\", "/").split("/")
    leads_out = not parts[0] or ".." in parts or parts[0].endswith(":")
    return "has a path that leads out of the archive" if leads_out else ""


def _hidden(name: str) -> bool:
    """Whether a file or folder of this name is none of the user's own."""
    return name.startswith(".") or name == "__MACOSX"


def _capped(stream: IO[bytes]) -> Content:
    """Return a file's bytes, or why not: its size may not be what its archive says."""
    content = stream.read(BYTES + 1)
    return content if len(content) <= BYTES else UnusableError(_too_large(len(content)))


def _too_large(size: int) -> str:
    return f"has {size / 1e6:,.0f} MB, more than {BYTES / 1e6:.0f} MB"
