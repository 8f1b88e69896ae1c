"""Folders of pictures, and what a path turns out to be: a folder or an archive."""

import errno
import hashlib
import os
import stat
from collections.abc import Collection, Iterator
from pathlib import Path

from madlab.data.archives import TARS, Tar, Zip
from madlab.data.listing import (
    COUNT,
    Content,
    File,
    Listing,
    Source,
    hidden,
    read_capped,
    sort_out,
)
from madlab.data.pictures import UnusableError


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
    if name.endswith(".zip"):
        return Zip(path)
    if name.endswith(TARS):
        return Tar(path)
    raise ValueError(
        f"{path} is neither a folder nor a .zip or .tar; give one that holds the pictures"
    )


class Folder:
    """A folder with all that is in it; hidden files and folders are passed over."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._files = sorted(self._walk())

    def _walk(self) -> Iterator[tuple[File, int]]:
        """Yield every file with the time of its last change; links to folders are not followed."""
        problems: list[OSError] = []
        count = 0
        for top, folders, names in os.walk(self.path, onerror=problems.append):
            folders[:] = [name for name in folders if not hidden(name)]
            for name in names + [name for name in folders if Path(top, name).is_symlink()]:
                file = Path(top, name)
                # Desktops rewrite theirs at every visit; they are ignored whatever they are.
                size, time, why = (0, 0, "") if hidden(name) else _look(file)
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
        text = "\n".join(f"{file!r} {time}" for file, time in self._files)
        return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()

    def listing(self) -> Listing:
        """Return what there is."""
        return sort_out(file for file, _ in self._files)

    def contents(self, names: Collection[str]) -> Iterator[tuple[str, Content]]:
        """Yield each of `names` with its bytes, in their order."""
        for name in names:
            try:
                with (self.path / name).open("rb") as stream:
                    content: Content = read_capped(stream)
            except OSError as error:
                content = UnusableError(f"cannot be read ({error.strerror})")
            yield name, content


def _look(file: Path) -> tuple[int, int, str]:
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
