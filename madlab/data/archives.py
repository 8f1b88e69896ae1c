"""Zip and tar archives of pictures, from anyone: read in place, with nothing unpacked."""

import bz2
import gzip
import lzma
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, cast

from madlab.data.listing import COUNT, Content, File, Listing, read_capped, sort_out
from madlab.data.pictures import UnusableError

# How many times its own size an archive may unpack to; pictures are compressed already.
RATIO = 100
TARS = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz")
_SLACK = 1_000_000
_DAMAGED = (
    zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError,
    EOFError, OSError, RuntimeError, NotImplementedError, UnicodeError,
)  # fmt: skip
_UNPACK: dict[bytes, Callable[[IO[bytes]], Any]] = {
    b"\x1f\x8b": lambda raw: gzip.GzipFile(fileobj=raw),
    b"BZh": bz2.BZ2File,
    b"\xfd7zXZ": lzma.LZMAFile,
}


class Zip:
    """A zip archive, which is never unpacked."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def stamp(self) -> str:
        """Return the size and time of the archive."""
        return _stamp(self.path)

    def listing(self) -> Listing:
        """Return what there is; raises ValueError for an archive that cannot be trusted."""
        with _archive(self.path), zipfile.ZipFile(self.path) as archive:
            files = [
                File(info.filename, info.file_size, _flaw(info))
                for info in archive.infolist()
                if not info.filename.endswith("/")
            ]
        _bound(self.path, len(files), sum(file.size for file in files))
        return sort_out(files)

    def contents(self, names: Collection[str]) -> Iterator[tuple[str, Content]]:
        """Yield each of `names` with its bytes, in their order."""
        with _archive(self.path), zipfile.ZipFile(self.path) as archive:
            for name in names:
                try:
                    with archive.open(name) as stream:
                        content: Content = read_capped(stream)
                except _DAMAGED as error:
                    content = UnusableError(f"cannot be read from the archive ({error})")
                yield name, content


def _flaw(info: zipfile.ZipInfo) -> str:
    if stat.S_ISLNK(info.external_attr >> 16):
        return "is a link"
    if info.flag_bits & 1:
        return "is encrypted; unpack the archive with its password"
    return _outside(info.filename)


class Tar:
    """A tar archive, plain or compressed, which is never unpacked."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def stamp(self) -> str:
        """Return the size and time of the archive."""
        return _stamp(self.path)

    def listing(self) -> Listing:
        """Return what there is; raises ValueError for an archive that cannot be trusted."""
        files: list[File] = []
        with _archive(self.path), self._open() as archive:
            for member in archive:
                if not member.isdir():
                    why = _outside(member.name) if member.isreg() else "is a link or a device"
                    files.append(File(member.name, member.size, why))
                    _bound(self.path, len(files), 0)
            # A damaged header in the middle looks like the end to tarfile.
            stream: Any = archive.fileobj
            while rest := stream.read(1 << 20):
                if rest.strip(b"\0"):
                    raise tarfile.ReadError("there is more after what reads as its end")
            # So does a cut within or before a header, where the block of zeros is missing.
            if stream.tell() < archive.offset + tarfile.BLOCKSIZE:
                raise tarfile.ReadError("unexpected end of data")
        return sort_out(files)

    def contents(self, names: Collection[str]) -> Iterator[tuple[str, Content]]:
        """Yield each of `names` with its bytes, in the archive's order."""
        wanted = set(names)
        with _archive(self.path), self._open() as archive:
            for member in archive:
                if member.name in wanted and member.isreg():
                    stream = archive.extractfile(member)
                    yield member.name, read_capped(cast(IO[bytes], stream))

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
        self._stream = stream
        self._path = path
        self._total = 0

    def read(self, size: int = -1) -> bytes:
        content = self._stream.read(size)
        self._total += len(content)
        _bound(self._path, 0, self._total)
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


def _bound(path: Path, count: int, total: int) -> None:
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


def _stamp(path: Path) -> str:
    found = path.stat()
    return f"{found.st_size} {found.st_mtime_ns}"
