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

from madlab import checks, files
from madlab.data import cache
from madlab.data.pictures import RESIZE, UnusableError, decode
from madlab.data.samples import Dataset, Samples
from madlab.data.sources import Source, open_source
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
    - `ignored`: names of the texts beside the pictures.
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
    ignored: Sequence[str]
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
        if self.copies:
            lines.append(f"byte for byte equal to another file: {self.copies:,}")
        for what, names in {**self.changed, "texts, ignored": self.ignored}.items():
            first = ", ".join(map(_printable, names[:_NAMED])) + (", ..." * (len(names) > _NAMED))
            if names:
                lines.append(f"{what}: {len(names):,} ({first})")
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


def _by_hash(digests: Sequence[bytes]) -> np.ndarray:
    part, whole = HELD_OUT
    return np.array([int.from_bytes(head[:8], "big") * whole < part << 64 for head in digests])


BY_CONTENT = Rules("folder", lambda names: (names, {}), _by_hash)


def folder(
    path: str | os.PathLike[str],
    size: int = 32,
    *,
    resize: str = "lanczos",
    n: int | None = None,
    seed: int = 0,
    on_bad: str = "skip",
    progress: Progress | None = None,
    verify: bool = False,
    rules: Rules = BY_CONTENT,
) -> PictureDataset:
    """Return the pictures in a folder, a zip or a tar, cut to squares, resized and split once.

    Files are JPEG, PNG or WebP, whatever they are called, at any depth; texts are ignored. The
    split goes by a hash of each file's bytes, 3 of 11 held out on average, so a picture stays on
    its side when others come or go, and equal files are on one side. Each part is sorted by name.
    The work is done once: later calls read a cache (`madlab.data.cache.location`), until a file's
    name, size or time changes.

    - `path`: the folder or archive.
    - `size`: side of the pictures, a multiple of 4 from 16 to 256 pixels.
    - `resize`: "lanczos", "bicubic", "bilinear" or "box", always from full size.
    - `n`: how many training pictures are taken; all where None. The held-out set stays.
    - `seed`: which `n` are taken; of one seed, fewer are always among more.
    - `on_bad`: "skip" leaves files out that cannot be used and warns of them, "refuse" raises.
    - `progress`: called with the files done and all files.
    - `verify`: also check the SHA-256 of a cache too large to be checked each time.
    - `rules`: how files are chosen, sorted and split, where that is not as said above.

    Returns images as uint8 `(n, size, size, 3)`, a read-only memory map of the cache (of a subset
    a copy), with a `report`; `print(data.report)` says what was skipped or changed, and why.

    Raises FileNotFoundError where there is no such path; ValueError for a setting that is not
    allowed, an archive that is damaged or unpacks to too much, a source without a usable
    picture or with fewer than 2 on a side, and for unusable files with "refuse"; TypeError for a
    size that is no whole number; OSError where the cache cannot be written.
    """
    size = checks.side("size", size)
    checks.choice("resize", resize, RESIZE)
    checks.choice("on_bad", on_bad, ON_BAD)
    if n is not None:
        checks.count("n", n, 1)
    if not os.fspath(path):
        raise ValueError("the path is empty; give a folder or an archive of pictures")
    source = open_source(files.expanded(path))
    place = source.path.resolve()
    about = {
        "format": cache.FORMAT,
        "kind": rules.prefix,
        "path": str(place),
        "stamp": source.stamp,
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
    skipped = entry["skipped"]
    _refuse(source.path, skipped, on_bad)
    if skipped:
        warnings.warn(
            f"{len(skipped):,} files in {_printable(source.path)} were skipped: "
            f"{_first_few(skipped)}. The data set's report names all of them",
            UserWarning,
            # A data set with rules of its own, as `ffhq` is, stands between.
            2 + (rules is not BY_CONTENT),
        )
    return data


def _refuse(path: Path, skipped: Mapping[str, str], on_bad: str) -> None:
    if skipped and on_bad == "refuse":
        raise ValueError(
            f"{len(skipped):,} files in {_printable(path)} cannot be used: {_first_few(skipped)}. "
            "Mend or remove them, or give on_bad='skip' (--on-bad skip) to go on without them"
        )


def _make(
    rules: Rules,
    source: Source,
    name: str,
    about: Mapping[str, Any],
    on_bad: str,
    progress: Progress | None,
) -> Mapping[str, Any]:
    """Decode, split and publish all pictures of a source; return what the cache says of them."""
    start = time.perf_counter()
    known, skipped, ignored = source.listing()
    names, refused = rules.choose(known)
    skipped |= refused
    # What is known before anything is decoded is said before.
    _refuse(source.path, skipped, on_bad)
    size, total = about["size"], len(names) + len(skipped)

    def write(folder: Path) -> dict[str, Any]:
        # Of every picture its place in the rough file, its SHA-256 and what was changed.
        arrived: dict[str, tuple[int, bytes, list[str]]] = {}
        rough = folder / "rough.u8"
        decoded = closing(_decoded(source, names, size, about["resize"]))
        with rough.open("wb") as stream, decoded as pictures:
            for name, digest, picture in pictures:
                if isinstance(picture, str):
                    skipped[name] = picture
                else:
                    pixels, changes = picture
                    stream.write(pixels.tobytes())
                    arrived[name] = len(arrived), digest, changes
                if progress is not None:
                    progress(len(arrived) + len(skipped), total)
        if not arrived:
            first = f" ({_first_few(skipped)})" if skipped else ""
            raise ValueError(
                f"there is no picture in {_printable(source.path)} that can be used: "
                f"{len(ignored):,} texts, {len(skipped):,} that cannot be "
                f"used{first}; give a folder, .zip or .tar of JPEG, PNG or WebP files"
            )
        kept = [name for name in names if name in arrived]
        places, digests, _ = zip(*(arrived[name] for name in kept), strict=True)
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
        order = np.array(places)[np.argsort(held_out, kind="stable")]
        pixels, sha256 = (
            np.memmap(rough, np.uint8, "r").reshape(-1, size, size, 3),
            hashlib.sha256(),
        )
        with (folder / cache.PICTURES).open("wb") as stream:
            for some in np.array_split(order, -(-len(order) // 1024)):
                sha256.update(pixels[some])
                stream.write(pixels[some])
        del pixels
        rough.unlink()
        return {
            **about,
            "training": sides[0],
            "held_out": sides[1],
            "sha256": sha256.hexdigest(),
            "skipped": dict(sorted(skipped.items())),
            "changed": changed,
            "copies": len(digests) - len(set(digests)),
            "ignored": ignored,
            "seconds": time.perf_counter() - start,
        }

    # The pictures lie there twice for a moment: as they arrived, and in their order.
    return cache.publish(name, 2 * len(names) * size * size * 3, write)


Decoded = tuple[str, bytes, tuple[np.ndarray, list[str]] | str]


def _decoded(
    source: Source, names: Collection[str], size: int, resize: str
) -> Generator[Decoded, None, None]:
    """Yield name, SHA-256 and picture of each file, or why there is none, as files are read."""
    from PIL import Image

    def one(file: tuple[str, bytes | str]) -> Decoded:
        name, content = file
        if isinstance(content, str):
            return name, b"", content
        try:
            return name, hashlib.sha256(content).digest(), decode(content, size, resize)
        except UnusableError as why:
            return name, b"", str(why)

    # Each may hold a picture of `PIXELS` pixels, a quarter of a gigabyte.
    workers = min(os.cpu_count() or 1, 16)
    contents = source.contents(names)
    with warnings.catch_warnings(), ThreadPoolExecutor(workers) as pool:
        # Odd metadata are nobody's concern; huge pictures are refused.
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        while some := list(itertools.islice(contents, 4 * workers)):
            yield from pool.map(one, some)


def _dataset(about: Mapping[str, Any], n: int | None, seed: int) -> PictureDataset:
    """Return all pictures of a cache, or `n` of its training pictures."""
    file, pictures = cache.pictures(about)
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
    return PictureDataset(id, pool, None, Samples(pictures[total:]), report).sealed()


def _hash(content: bytes, digits: int) -> str:
    return hashlib.sha256(content).hexdigest()[:digits]


def _first_few(skipped: Mapping[str, str]) -> str:
    """Return the first of the files that were skipped, each with its reason, and how many more."""
    first = [f"{_printable(name)} {why}" for name, why in skipped.items()][:_NAMED]
    more = len(skipped) - len(first)
    return "; ".join(first) + (f"; and {more:,} more" if more else "")


def _printable(name: str | Path) -> str:
    """Return a file's name as it may be printed: control and undecodable characters escaped."""
    safe = (c if c.isprintable() else c.encode("unicode_escape").decode() for c in str(name))
    return "".join(safe)
