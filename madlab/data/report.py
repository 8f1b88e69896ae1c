"""What came of preparing pictures, in words."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

_NAMED = 5


@dataclass(frozen=True)
class Report:
    """What came of preparing pictures; as a text, what `madlab data` prints.

    - `source`: the folder or archive.
    - `id`, `training`, `held_out`: name of the data set and sizes of its parts, before any subset.
    - `size`, `resize`: side in pixels, and the filter.
    - `skipped`: why files are left out, by their names.
    - `changed`: names of the files something was done to besides resizing, by what that was.
    - `copies`: how many pictures are byte for byte another one's; they stay.
    - `ignored`: how many files are no pictures at all.
    - `cache`, `bytes`: the cache's file and its size.
    - `seconds`: what preparing took, when it was done.
    """

    source: str
    id: str
    training: int
    held_out: int
    size: int
    resize: str
    skipped: Mapping[str, str]
    changed: Mapping[str, Sequence[str]]
    copies: int
    ignored: int
    cache: Path
    bytes: int
    seconds: float

    def __str__(self) -> str:
        lines = [
            f"{shown(self.source)}: {self.training:,} training and {self.held_out:,} held-out "
            f"pictures, {self.size} x {self.size} pixels ({self.resize}), id {self.id}",
            f"cache {shown(str(self.cache))} ({self.bytes / 1e6:,.1f} MB), "
            f"prepared in {self.seconds:,.1f} s",
        ]
        for what, names in self.changed.items():
            lines.append(f"{what}: {len(names):,} ({_first(names)})")
        if self.copies:
            lines.append(f"byte for byte equal to another file: {self.copies:,}")
        if self.ignored:
            lines.append(f"no pictures, ignored: {self.ignored:,} files")
        lines.append(f"skipped: {len(self.skipped):,} files")
        lines += [f"  {shown(name)} {why}" for name, why in self.skipped.items()]
        return "\n".join(lines)


def some(skipped: Mapping[str, str]) -> str:
    """Return the first of the files that were skipped, each with its reason, and how many more."""
    first = [f"{shown(name)} {why}" for name, why in skipped.items()][:_NAMED]
    more = len(skipped) - len(first)
    return "; ".join(first) + (f"; and {more:,} more" if more else "")


def _first(names: Sequence[str]) -> str:
    return ", ".join(map(shown, names[:_NAMED])) + (", ..." if len(names) > _NAMED else "")


def shown(name: str) -> str:
    """Return a file's name as it may be printed: control and undecodable characters escaped."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in name)
