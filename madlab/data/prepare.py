"""From files to a data set: chosen, decoded in parallel, split once, cached and reported."""

import hashlib
import itertools
import json
import os
import re
import time
import warnings
from collections.abc import Callable, Collection, Generator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from madlab import checks
from madlab.data import cache
from madlab.data.pictures import RESIZE, Picture, UnusableError, decode
from madlab.data.samples import Dataset, Samples
from madlab.data.sources import Content, Listing, Source, open_source
from madlab.streams import generator

ON_BAD = ("skip", "refuse")
# The share of the pictures that is held out: 300 of 1,100.
HELD_OUT = (3, 11)
_NAMED = 5
Progress = Callable[[int, int], None]


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
            f"{_printable(self.source)}: {self.training:,} training and {self.held_out:,} held-out "
            f"pictures, {self.size} x {self.size} pixels ({self.resize}), id {self.id}",
            f"cache {_printable(self.cache)} ({self.bytes / 1e6:,.1f} MB), "
            f"prepared in {self.seconds:,.1f} s",
        ]
        for what, names in self.changed.items():
            first = ", ".join(map(_printable, names[:_NAMED])) + (", ..." * (len(names) > _NAMED))
            lines.append(f"{what}: {len(names):,} ({first})")
        if self.copies:
            lines.append(f"byte for byte equal to another file: {self.copies:,}")
        if self.ignored:
            lines.append(f"no pictures, ignored: {self.ignored:,} files")
        lines.append(f"skipped: {len(self.skipped):,} files")
        return "\n".join(
            lines + [f"  {_printable(name)} {why}" for name, why in self.skipped.items()]
        )


@dataclass(frozen=True)
class PictureDataset(Dataset):
    """A data set of colour pictures from files, with a `report` of how they were prepared.

    `images` and `held_out.images` are uint8 `(n, size, size, 3)`, read-only; there are no labels.
    """

    report: Report


class Rules(NamedTuple):
    """How the files of a source become a data set.

    - `prefix`: what the data set's id begins with.
    - `choose`: given the names of all files, returns those to use in the order of the pictures,
      and why the others cannot be used.
    - `held_out`: given the SHA-256 of each picture's file, returns which are held out, bool `(n,)`.
    """

    prefix: str
    choose: Callable[[Sequence[str]], tuple[Sequence[str], Mapping[str, str]]]
    held_out: Callable[[Sequence[bytes]], np.ndarray]


def prepare(
    rules: Rules,
    path: str | os.PathLike[str],
    size: int,
    resize: str,
    n: int | None,
    seed: int,
    on_bad: str,
    progress: Progress | None,
    verify: bool,
) -> PictureDataset:
    """Return the data set in `path`, from its cache where there is one; see `folder`."""
    size = checks.side("size", size)
    checks.choice("resize", resize, RESIZE)
    checks.choice("on_bad", on_bad, ON_BAD)
    if n is not None:
        checks.count("n", n, 1)
    if not os.fspath(path):
        raise ValueError("the path is empty; give a folder or an archive of pictures")
    source = open_source(Path(path).expanduser())
    place = source.path.resolve()
    about = {
        "format": cache.FORMAT,
        "kind": rules.prefix,
        "path": str(place),
        "stamp": source.stamp(),
        "size": size,
        "resize": resize,
    }
    digest = _hash(json.dumps(about, sort_keys=True).encode(), 16)
    slug = re.sub(r"[^A-Za-z0-9]+", "-", place.stem).strip("-")[:24]
    name = "-".join(word for word in (rules.prefix, slug, str(size), resize, digest) if word)
    entry = cache.find(name, verify=verify)
    if entry is None:
        entry = _make(rules, source, name, about, on_bad, progress)
    data = _dataset(entry, n, seed)
    skipped = data.report.skipped
    if skipped and on_bad == "refuse":
        raise _refusal(source.path, skipped)
    if skipped:
        warnings.warn(
            f"{len(skipped):,} files in {_printable(source.path)} were skipped: "
            f"{_first_few(skipped)}. The data set's report names all of them",
            UserWarning,
            3,
        )
    return data


def _make(
    rules: Rules,
    source: Source,
    name: str,
    about: Mapping[str, Any],
    on_bad: str,
    progress: Progress | None,
) -> cache.Entry:
    """Decode, split and publish all pictures of a source."""
    start = time.perf_counter()
    listing = source.listing()
    names, refused = rules.choose(listing.names)
    skipped = {**listing.skipped, **refused}
    if skipped and on_bad == "refuse":
        raise _refusal(source.path, skipped)
    if not names:
        raise ValueError(_no_picture(source.path, listing, skipped))
    size, total = about["size"], len(names) + len(skipped)

    def write(folder: Path) -> dict[str, Any]:
        arrived: dict[str, tuple[int, bytes, tuple[str, ...]]] = {}
        rough = folder / "rough.u8"
        decoded = closing(_decoded(source, names, size, about["resize"]))
        with rough.open("wb") as stream, decoded as pictures:
            for name, digest, picture in pictures:
                if isinstance(picture, UnusableError):
                    skipped[name] = str(picture)
                else:
                    stream.write(picture.pixels.tobytes())
                    arrived[name] = len(arrived), digest, picture.changes
                if progress is not None:
                    progress(len(arrived) + len(skipped), total)
        if not arrived:
            raise ValueError(_no_picture(source.path, listing, skipped))
        kept = [name for name in names if name in arrived]
        digests = [arrived[name][1] for name in kept]
        held_out = rules.held_out(digests)
        sides = int((~held_out).sum()), int(held_out.sum())
        if min(sides) < 2:
            raise ValueError(
                f"{_printable(source.path)} gives {sides[0]} training and {sides[1]} held-out "
                "pictures; each part needs at least 2: add pictures"
            )
        changed: dict[str, list[str]] = {}
        for name in kept:
            for what in arrived[name][2]:
                changed.setdefault(what, []).append(name)
        order = np.array([arrived[name][0] for name in kept])
        order = order[np.argsort(held_out, kind="stable")]
        return {
            **about,
            "training": sides[0],
            "held_out": sides[1],
            "sha256": _arrange(rough, folder / cache.PICTURES, order, size),
            "skipped": dict(sorted(skipped.items())),
            "changed": changed,
            "copies": len(digests) - len(set(digests)),
            "ignored": listing.ignored,
            "seconds": time.perf_counter() - start,
        }

    # The pictures lie there twice for a moment: as they arrived, and in their order.
    return cache.publish(name, 2 * len(names) * size * size * 3, write)


def _decoded(
    source: Source, names: Collection[str], size: int, resize: str
) -> Generator[tuple[str, bytes, Picture | UnusableError], None, None]:
    """Yield every picture, or why there is none, as files are read; a few threads decode."""
    from PIL import Image

    def one(file: tuple[str, Content]) -> tuple[str, bytes, Picture | UnusableError]:
        name, content = file
        if isinstance(content, UnusableError):
            return name, b"", content
        try:
            return name, hashlib.sha256(content).digest(), decode(content, size, resize)
        except UnusableError as why:
            return name, b"", why

    # Each may hold a picture of `PIXELS` pixels, a quarter of a gigabyte.
    workers = min(os.cpu_count() or 1, 16)
    files = source.contents(names)
    with warnings.catch_warnings(), ThreadPoolExecutor(workers) as pool:
        # Odd metadata are nobody's concern; huge pictures are refused.
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        while some := list(itertools.islice(files, 4 * workers)):
            yield from pool.map(one, some)


def _arrange(rough: Path, file: Path, order: np.ndarray, size: int) -> str:
    """Write the pictures of `rough` into `file` in `order`; return the SHA-256 of that."""
    arrived = np.memmap(rough, np.uint8, "r", shape=(len(order), size, size, 3))
    digest = hashlib.sha256()
    with file.open("wb") as stream:
        for chunk in np.array_split(order, -(-len(order) // 1024)):
            pixels = arrived[chunk].tobytes()
            stream.write(pixels)
            digest.update(pixels)
    del arrived
    rough.unlink()
    return digest.hexdigest()


def _dataset(entry: cache.Entry, n: int | None, seed: int) -> PictureDataset:
    """Return all pictures of a cache, or `n` of its training pictures."""
    about, pictures, file = entry.about, entry.pictures(), entry.path / cache.PICTURES
    total = about["training"]
    content = f"{total} {about['held_out']} {about['size']} {about['sha256']}"
    id = f"{about['kind']}-{about['size']}-{_hash(content.encode(), 8)}"
    same = {field.name: about[field.name] for field in fields(Report) if field.name in about}
    report = Report(about["path"], id, cache=file, bytes=file.stat().st_size, **same)
    pool = pictures[:total]
    if n is not None and n != total:
        checks.count(f"n, of the training pictures in {_printable(report.source)},", n, 1, total)
        index = np.sort(generator(seed, "subset").permutation(total)[:n])
        pool = np.array(pool[index])
        pool.flags.writeable = False
        id = f"{id.rpartition('-')[0]}-{_hash(id.encode() + index.astype('<i8').tobytes(), 8)}"
    return PictureDataset(id, pool, None, Samples(pictures[total:]), report)


def _hash(content: bytes, digits: int) -> str:
    return hashlib.sha256(content).hexdigest()[:digits]


def _refusal(path: Path, skipped: Mapping[str, str]) -> ValueError:
    return ValueError(
        f"{len(skipped):,} files in {_printable(path)} cannot be used: {_first_few(skipped)}. "
        "Mend or remove them, or give on_bad='skip' (--on-bad skip) to go on without them"
    )


def _no_picture(path: Path, listing: Listing, skipped: Mapping[str, str]) -> str:
    found = f"{listing.ignored:,} files that are no pictures, {len(skipped):,} that cannot be used"
    first = f" ({_first_few(skipped)})" if skipped else ""
    return (
        f"there is no picture in {_printable(path)} that can be used: {found}{first}; "
        "give a folder, .zip or .tar of JPEG, PNG or WebP files"
    )


def _first_few(skipped: Mapping[str, str]) -> str:
    """Return the first of the files that were skipped, each with its reason, and how many more."""
    first = [f"{_printable(name)} {why}" for name, why in skipped.items()][:_NAMED]
    more = len(skipped) - len(first)
    return "; ".join(first) + (f"; and {more:,} more" if more else "")


def _printable(name: str | Path) -> str:
    """Return a file's name as it may be printed: control and undecodable characters escaped."""
    safe = (c if c.isprintable() else c.encode("unicode_escape").decode() for c in str(name))
    return "".join(safe)
