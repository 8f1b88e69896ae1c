"""From files of pictures to a data set: chosen, decoded in parallel, split once, cached."""

import hashlib
import json
import os
import re
import time
import warnings
from collections import deque
from collections.abc import Callable, Collection, Generator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from madlab.data import cache
from madlab.data.listing import Content, Listing, Source
from madlab.data.pictures import RESIZE, Picture, UnusableError, decode
from madlab.data.report import Report, shown, some
from madlab.data.samples import Dataset, Samples
from madlab.data.sources import open_source
from madlab.streams import generator

ON_BAD = ("skip", "refuse")
SIZES = range(16, 257, 4)
# The share of the pictures that is held out: 300 of 1,100.
HELD_OUT = (3, 11)
Progress = Callable[[int, int], None]


class Found(NamedTuple):
    """A picture that was decoded: its file's name and the SHA-256 of the file's bytes."""

    name: str
    digest: bytes


@dataclass(frozen=True)
class PictureDataset(Dataset):
    """A data set of colour pictures from files, with a `report` of how they were prepared.

    `images` and `held_out.images` are uint8 `(n, size, size, 3)`, read-only; there are no labels.
    """

    report: Report


@dataclass(frozen=True)
class Recipe:
    """How a kind of source is prepared.

    - `kind`: what its data sets' ids begin with.
    - `choose`: given the names of all files, returns those to use in the order of the pictures,
      and why the others cannot be used.
    - `held_out`: returns which pictures are held out, bool `(n,)`, given all of them.
    """

    kind: str
    choose: Callable[[Sequence[str]], tuple[Sequence[str], Mapping[str, str]]]
    held_out: Callable[[Sequence[Found]], np.ndarray]


def prepare(
    recipe: Recipe,
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
    _check(size, resize, n, on_bad)
    if not os.fspath(path):
        raise ValueError("the path is empty; give a folder or an archive of pictures")
    source = open_source(Path(path).expanduser())
    about = {
        "format": cache.FORMAT,
        "kind": recipe.kind,
        "path": str(source.path.resolve()),
        "stamp": source.stamp(),
        "size": int(size),
        "resize": resize,
    }
    digest = hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()[:16]
    slug = re.sub(r"[^A-Za-z0-9]+", "-", source.path.resolve().stem).strip("-")[:24]
    name = "-".join(word for word in (recipe.kind, slug, str(size), resize, digest) if word)
    entry = cache.find(name, verify=verify)
    if entry is None:
        entry = _make(recipe, source, name, about, on_bad, progress)
    report = _report(entry)
    if report.skipped:
        _tell(source.path, report.skipped, on_bad, stacklevel=4)
    return _dataset(entry, report, n, seed)


def _check(size: int, resize: str, n: int | None, on_bad: str) -> None:
    for what, value in {"size": size, "n": n}.items():
        whole = isinstance(value, (int, np.integer)) and not isinstance(value, bool)
        if not whole and (what, value) != ("n", None):
            raise TypeError(f"{what} must be a whole number, not {value!r}")
    if size not in SIZES:
        raise ValueError(f"size is {size}; it must be a multiple of 4 from 16 to 256 pixels")
    for what, word, words in (("resize", resize, RESIZE), ("on_bad", on_bad, ON_BAD)):
        if word not in words:
            raise ValueError(f"{what} is {word!r}; it must be one of {', '.join(words)}")


def _make(
    recipe: Recipe,
    source: Source,
    name: str,
    about: Mapping[str, Any],
    on_bad: str,
    progress: Progress | None,
) -> cache.Entry:
    """Decode, split and publish all pictures of a source."""
    start = time.perf_counter()
    listing = source.listing()
    names, refused = recipe.choose(listing.names)
    skipped = {**listing.skipped, **refused}
    if skipped and on_bad == "refuse":
        _tell(source.path, skipped, on_bad)
    if not names:
        raise ValueError(_nothing(source.path, listing, skipped))
    size, resize = about["size"], about["resize"]
    total = len(names) + len(skipped)

    def write(folder: Path) -> dict[str, Any]:
        arrived: list[tuple[Found, tuple[str, ...]]] = []
        rough = folder / "rough.u8"
        decoded = closing(_decoded(source, names, size, resize))
        with rough.open("wb") as stream, decoded as pictures:
            for found, picture in pictures:
                if isinstance(picture, UnusableError):
                    skipped[found.name] = str(picture)
                else:
                    stream.write(picture.pixels.tobytes())
                    arrived.append((found, picture.changes))
                if progress is not None:
                    progress(len(arrived) + len(skipped), total)
        if not arrived:
            raise ValueError(_nothing(source.path, listing, skipped))
        place = {name: i for i, name in enumerate(names)}
        order = sorted(range(len(arrived)), key=lambda i: place[arrived[i][0].name])
        files = [arrived[i][0] for i in order]
        held_out = recipe.held_out(files)
        sides = int((~held_out).sum()), int(held_out.sum())
        if min(sides) < 2:
            raise ValueError(
                f"{shown(str(source.path))} gives {sides[0]} training and {sides[1]} held-out "
                "pictures; each part needs at least 2: add pictures"
            )
        final = np.array(order)[np.argsort(held_out, kind="stable")]
        changed: dict[str, list[str]] = {}
        for i in order:
            for what in arrived[i][1]:
                changed.setdefault(what, []).append(arrived[i][0].name)
        return {
            **about,
            "training": sides[0],
            "held_out": sides[1],
            "sha256": _arrange(rough, folder / cache.PICTURES, final, size),
            "skipped": dict(sorted(skipped.items())),
            "changed": changed,
            "copies": len(files) - len({found.digest for found in files}),
            "ignored": listing.ignored,
            "seconds": time.perf_counter() - start,
        }

    # The pictures lie there twice for a moment: as they arrived, and in their order.
    return cache.publish(name, 2 * len(names) * size * size * 3, write)


def _decoded(
    source: Source, names: Collection[str], size: int, resize: str
) -> Generator[tuple[Found, Picture | UnusableError], None, None]:
    """Yield every picture, or why there is none, as files are read; a few threads decode ahead."""
    # Each may hold a picture of `PIXELS` pixels, a quarter of a gigabyte.
    workers = min(os.cpu_count() or 1, 16)
    waiting: deque[Future[tuple[Found, Picture | UnusableError]]] = deque()
    with warnings.catch_warnings(), ThreadPoolExecutor(workers) as pool:
        _silence_decoders()
        try:
            for name, content in source.contents(names):
                waiting.append(pool.submit(_decode, name, content, size, resize))
                if len(waiting) >= 3 * workers:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)


def _silence_decoders() -> None:
    """Make Pillow's warning of huge pictures an error, and drop those of odd metadata."""
    from PIL import Image

    warnings.simplefilter("ignore")
    warnings.simplefilter("error", Image.DecompressionBombWarning)


def _decode(
    name: str, content: Content, size: int, resize: str
) -> tuple[Found, Picture | UnusableError]:
    if isinstance(content, UnusableError):
        return Found(name, b""), content
    found = Found(name, hashlib.sha256(content).digest())
    try:
        return found, decode(content, size, resize)
    except UnusableError as why:
        return found, why


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


def _report(entry: cache.Entry) -> Report:
    about = entry.about
    content = f"{about['training']} {about['held_out']} {about['size']} {about['sha256']}"
    file = entry.path / cache.PICTURES
    names = ("training", "held_out", "size", "resize", "skipped", "changed", "copies", "ignored")
    return Report(
        source=about["path"],
        id=f"{about['kind']}-{about['size']}-{hashlib.sha256(content.encode()).hexdigest()[:8]}",
        cache=file,
        bytes=file.stat().st_size,
        seconds=about["seconds"],
        **{name: about[name] for name in names},
    )


def _dataset(entry: cache.Entry, report: Report, n: int | None, seed: int) -> PictureDataset:
    pictures = entry.pictures()
    pool, held_out = pictures[: report.training], Samples(pictures[report.training :])
    if n is not None and not 1 <= n <= report.training:
        raise ValueError(
            f"n is {n}; it must be from 1 to {report.training:,}, the training pictures in "
            f"{shown(report.source)}"
        )
    if n is None or n == report.training:
        return PictureDataset(report.id, pool, None, held_out, report)
    index = np.sort(generator(seed, "subset").permutation(report.training)[:n])
    subset = np.array(pool[index])
    subset.flags.writeable = False
    digest = hashlib.sha256(report.id.encode() + index.astype("<i8").tobytes()).hexdigest()[:8]
    id = f"{report.id.rpartition('-')[0]}-{digest}"
    return PictureDataset(id, subset, None, held_out, report)


def _tell(path: Path, skipped: Mapping[str, str], on_bad: str, stacklevel: int = 1) -> None:
    """Refuse files that cannot be used, or warn of them, as asked."""
    if on_bad == "refuse":
        raise ValueError(
            f"{len(skipped):,} files in {shown(str(path))} cannot be used: {some(skipped)}. "
            "Mend or remove them, or give on_bad='skip' (--on-bad skip) to go on without them"
        )
    warnings.warn(
        f"{len(skipped):,} files in {shown(str(path))} were skipped: {some(skipped)}. "
        "The data set's report names all of them",
        UserWarning,
        stacklevel,
    )


def _nothing(path: Path, listing: Listing, skipped: Mapping[str, str]) -> str:
    found = f"{listing.ignored:,} files that are no pictures, {len(skipped):,} that cannot be used"
    first = f" ({some(skipped)})" if skipped else ""
    return (
        f"there is no picture in {shown(str(path))} that can be used: {found}{first}; "
        "give a folder, .zip or .tar of JPEG, PNG or WebP files"
    )
