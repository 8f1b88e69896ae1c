"""What a source of pictures holds, sorted into what can be used, what cannot, and the rest."""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import IO, NamedTuple, Protocol

from madlab.data.pictures import UnusableError

# Files in a source, and bytes of one picture's file.
COUNT = 300_000
BYTES = 64_000_000
_PICTURES = (".jpg", ".jpeg", ".png", ".webp")
_OTHER_PICTURES = (".avif", ".bmp", ".gif", ".heic", ".heif", ".jp2", ".jxl", ".tif", ".tiff")
_ARCHIVES = (".zip", ".7z", ".rar", ".tar", ".tgz", ".tbz2", ".txz", ".gz", ".bz2", ".xz")
Content = bytes | UnusableError


class File(NamedTuple):
    """A file of a source: its name, "/" between folders, its bytes, and what is wrong with it."""

    name: str
    size: int
    why: str = ""


@dataclass
class Listing:
    """What a source holds.

    - `names`: of the files that may be pictures, sorted.
    - `skipped`: why others that look like pictures cannot be used, by their names.
    - `ignored`: how many files are no pictures at all.
    """

    names: list[str] = field(default_factory=list)
    skipped: dict[str, str] = field(default_factory=dict)
    ignored: int = 0


class Source(Protocol):
    """A folder or an archive of pictures."""

    path: Path

    def stamp(self) -> str:
        """Return a text that differs once the content does, without reading the pictures."""

    def listing(self) -> Listing:
        """Return what there is; raises ValueError for an archive that cannot be trusted."""

    def contents(self, names: Collection[str]) -> Iterator[tuple[str, Content]]:
        """Yield each of `names` with its bytes, or with why it has none, in any order."""


def sort_out(files: Iterable[File]) -> Listing:
    """Sort files into pictures, unusable pictures, and files that are no pictures."""
    files = sorted(files)
    times = Counter(file.name for file in files)
    listing = Listing()
    for name, size, why in files:
        parts = PurePosixPath(name.replace("\\", "/")).parts
        suffix = PurePosixPath(parts[-1]).suffix.lower() if parts else ""
        known = suffix in (*_PICTURES, *_OTHER_PICTURES, *_ARCHIVES)
        if any(hidden(part) for part in parts if part != "..") or not (known or why):
            listing.ignored += 1
        elif times[name] > 1:
            # Which of them is meant nobody can know.
            listing.skipped[name] = f"is in the archive {times[name]} times"
        elif why:
            listing.skipped[name] = why
        elif suffix in _ARCHIVES:
            listing.skipped[name] = "is an archive inside; unpack it, or give its own path"
        elif suffix in _OTHER_PICTURES:
            listing.skipped[name] = f"is a {suffix} file; save it as JPEG, PNG or WebP"
        elif size == 0:
            listing.skipped[name] = "is empty"
        elif size > BYTES:
            listing.skipped[name] = _too_large(size)
        else:
            listing.names.append(name)
    return listing


def read_capped(stream: IO[bytes]) -> Content:
    """Return a file's bytes, or why not: its size may not be what its archive says."""
    content = stream.read(BYTES + 1)
    return content if len(content) <= BYTES else UnusableError(_too_large(len(content)))


def _too_large(size: int) -> str:
    return f"has {size / 1e6:,.0f} MB, more than {BYTES / 1e6:.0f} MB"


def hidden(name: str) -> bool:
    """Return whether a file or folder of this name is none of the user's own."""
    return name.startswith(".") or name == "__MACOSX"
