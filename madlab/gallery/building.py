"""A gallery that is built: from finished chains in stores to a few megabytes of files."""

import json
import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from madlab import models
from madlab.chain import Chain
from madlab.data.samples import Dataset, Samples
from madlab.gallery import files
from madlab.gallery.chains import Finished, group, sheet_generations
from madlab.gallery.pictures import Embedding, pack_embedding, pack_sheet
from madlab.gallery.reading import Gallery
from madlab.loops import Loop
from madlab.metrics import far_enough
from madlab.store import Store
from madlab.training import provenance

# Digits of each generation's preview that go on a sheet, and colour pictures of 32 pixels a side;
# of larger ones fewer, as they take more room.
N_DIGITS, N_COLOUR = 50, 48
# Of fewer one sees nothing.
LEAST = 8
# Shown is what lies farther from every real picture than this share of those do from one another.
NEAR = 0.05

# Of a chain of digits, where it lies in the plane, and how that was made; None where not wanted.
Embed = Callable[[Finished, Chain], tuple[Embedding, str] | None]
# Pictures by generation; of colour ones, how many of each are too near a real one to be shown.
Sheet = tuple[dict[int, Samples], list[int] | None]
# A chain and where its pictures may be found.
Found = list[tuple[Finished, "_FromStore | _FromGallery"]]
Chosen = tuple[Finished, list["_FromStore | _FromGallery"]]


class Built(NamedTuple):
    """What came of building.

    - `gallery`: the gallery.
    - `left_out`: why chains, or the pictures of chains, are not in it, by their names.
    """

    gallery: Gallery
    left_out: dict[str, str]


class NotKeptError(Exception):
    """A source does not have the pictures of a chain; the message says why."""


def build(
    stores: Iterable[str | os.PathLike[str] | Store],
    folder: str | os.PathLike[str],
    *,
    data: Iterable[Dataset] = (),
    keep: Callable[[Finished], bool] = lambda chain: True,
    embed: Embed = lambda chain, made: None,
) -> Built:
    """Build a gallery of all complete chains on MNIST or on colour pictures; nothing is trained.

    Of every chain the records are kept, all seeds; of the lowest seed whose pictures a store has,
    also a sheet of previews in generations 1, 2, 3, 5, 10, 20, 50, 100 and the last: 50 digits, or
    48 faces of 32 pixels a side, 24 of 64. Of faces and other colour pictures only those are shown
    that in every one of these generations are farther from every training picture than 5% of the
    training pictures are from the nearest other one; all the sheet's places are then of the same
    noise. How many are too near is kept with the sheet.

    - `stores`: folders, or stores. A gallery's folder counts as a store, so that chains stay whose
      store is gone. Of a chain that is in several the longest is taken, of equals the first; its
      pictures are taken from the first source of the same scores that still has them.
    - `folder`: where the gallery goes; one that is there is replaced, in one step. One program at a
      time may build into it.
    - `data`: the data sets that chains on colour pictures were trained on, such as
      `[madlab.data.ffhq(path)]`; MNIST is known. A chain whose data are not given, and whose sheet
      is in no gallery, keeps its records and gets no sheet.
    - `keep`: which chains are taken; all where not given.
    - `embed`: places the digits of a chain with a sheet in the plane, and says how; None where it
      does not. Chains that are in a gallery keep the embedding they have there.

    Raises ValueError where there is no chain, or where the files would take more than
    `madlab.gallery.files.LIMIT` bytes, and OSError for folders that cannot be read or written. The
    old gallery is then intact.
    """
    from madlab.data import mnist

    digits = mnist()
    known = {one.id: one for one in (digits, *data)}
    allowed = f"{digits.id} or colour pictures"
    found: dict[str, Found] = {}
    left_out: dict[str, str] = {}
    for source in [_source(store, known, embed) for store in stores]:
        left_out |= source.left_out
        for chain in filter(keep, source.chains):
            if chain.data == digits.id or chain.subject in ("faces", "pictures"):
                found.setdefault(chain.name, []).append((chain, source))
            else:
                left_out[chain.name] = f"its data are {chain.data}, not {allowed}"
    left_out = {name: why for name, why in left_out.items() if name not in found}
    if not found:
        why = "; ".join(f"{name}: {why}" for name, why in left_out.items())
        raise ValueError(f"there is no complete chain on {allowed} to show. {why}".strip())
    chosen = sorted(map(_longest, found.values()), key=lambda one: _order(one[0]))
    content, about = _packed(chosen, left_out)
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    trained_on = ", ".join(sorted({chain.data for chain, _ in chosen}))
    about |= {"data": trained_on, "built": now, "built_by": provenance()}
    files.publish(Path(folder).expanduser(), content, about)
    return Built(Gallery(Path(folder).expanduser()), left_out)


class _Kept(Store):
    """A store that is only read: what it lacks is an error, not a reason to train."""

    def find(self, kind: str, id: str) -> Path:
        folder = super().find(kind, id)
        if folder is None:
            raise NotKeptError("its samples are not in the store; run the chain again")
        return folder


class _FromStore:
    """The chains of a store that are complete, why others are not, and pictures read from it."""

    def __init__(self, folder: Path, data: Mapping[str, Dataset], embed: Embed) -> None:
        self._store, self._data, self._embed = _Kept(folder), data, embed
        self.chains, self.left_out = group(self._store.rows())

    def sheet(self, chain: Finished) -> Sheet:
        """Return previews of the generations that are shown; raises NotKeptError without."""
        made = self._made(chain)
        previews = {t: made.preview(t) for t in sheet_generations(chain.generations)}
        if chain.subject != "digits":
            return far_from_real(previews, made.data)
        return {
            t: Samples(images[:N_DIGITS], None if labels is None else labels[:N_DIGITS])
            for t, (images, labels) in previews.items()
        }, None

    def embedding(self, chain: Finished) -> tuple[Embedding, str] | None:
        """Return a new embedding of digits and how it was made, where one is wanted."""
        return self._embed(chain, self._made(chain)) if chain.subject == "digits" else None

    def _made(self, chain: Finished) -> Chain:
        """Return the chain as it was made, which knows the names of what it left in the store."""
        if chain.data not in self._data:
            raise NotKeptError(
                f"its data, {chain.data}, are not at hand: give `data`, or --faces or --folder"
            )
        config = chain.rows[0]["config"]
        try:
            model = models.create(chain.model, **config["settings"])
            loop = Loop(**config["loop"])
        except (KeyError, TypeError, ValueError) as error:
            raise NotKeptError(f"this madlab cannot name its samples: {error}") from error
        if model.version != config["version"]:
            raise NotKeptError(
                f"this madlab has version {model.version} of {chain.model}, the chain was made by "
                f"version {config['version']}"
            )
        return Chain(
            loop,
            model,
            self._data[chain.data],
            bias=chain.bias,
            seed=chain.seed,
            store=self._store,
            n_evaluate=chain.n_evaluate,
            # Nothing is scored here, and these features need no weights.
            features=None if chain.subject == "digits" else "pca",
        )


class _FromGallery:
    """The chains of a gallery, with what it has of them."""

    def __init__(self, gallery: Gallery) -> None:
        self._gallery, self.chains = gallery, gallery.finished
        self.left_out: dict[str, str] = {}

    def sheet(self, chain: Finished) -> Sheet:
        """Return the pictures of the generations that are shown; raises NotKeptError without."""
        known = self._gallery.about["sheets"].get(chain.name)
        if known is None:
            raise NotKeptError("the gallery that it comes from has no sheet of it")
        samples = {t: self._gallery.sheet(chain.name, t) for t in known["generations"]}
        return samples, known.get("too_near")

    def embedding(self, chain: Finished) -> tuple[Embedding, str] | None:
        """Return the embedding that there is, and how it was made."""
        known = self._gallery.about["embeddings"].get(chain.name)
        return known and (self._gallery.embedding(chain.name), known["method"])


def _source(
    source: str | os.PathLike[str] | Store, data: Mapping[str, Dataset], embed: Embed
) -> _FromStore | _FromGallery:
    folder = source.path if isinstance(source, Store) else Path(source).expanduser()
    if (folder / files.ABOUT).exists():
        return _FromGallery(Gallery(folder))
    if not folder.is_dir():
        raise FileNotFoundError(
            f"there is no store {folder}; give the folder that the chains were told to use"
        )
    return _FromStore(folder, data, embed)


def _order(chain: Finished) -> tuple[Any, ...]:
    return chain.family, chain.loop, -chain.bias, chain.n, chain.setup, chain.seed


def _longest(found: Found) -> Chosen:
    """Return the longest of chains of one name, and the sources of the same scores."""
    chain = max((one for one, _ in found), key=lambda one: one.generations)
    return chain, [source for one, source in found if _scores(one) == _scores(chain)]


def _scores(chain: Finished) -> list[dict[str, Any]]:
    """Return the records of a chain without what differs where the same samples are drawn again."""
    apart = ("cost", "seconds", "provenance")
    return [{key: row[key] for key in row if key not in apart} for row in chain.rows]


def _packed(
    chosen: list[Chosen], left_out: dict[str, str]
) -> tuple[dict[str, bytes], dict[str, Any]]:
    """Return the files of a gallery and what it says of them, with pictures of one seed a setup."""
    content: dict[str, bytes] = {}

    def add(kind: str, chain: str, ending: str, packed: bytes) -> dict[str, Any]:
        known = files.describe(kind, chain, ending, packed)
        content[known["file"]] = packed
        return known

    rows = [json.dumps(row, separators=(",", ":")) for chain, _ in chosen for row in chain.rows]
    lines = "".join(f"{row}\n" for row in rows).encode()
    about: dict[str, Any] = {
        "records": {**add("records", "", "jsonl", lines), "rows": len(rows)},
        "sheets": {},
        "embeddings": {},
    }
    shown: dict[str, Chosen] = {}
    for chain, sources in chosen:
        if chain.setup not in shown:
            try:
                samples, too_near = _first_sheet(chain, sources)
            except NotKeptError as error:
                left_out[f"{chain.subject} of {chain.name}"] = str(error)
                continue
            shown[chain.setup] = chain, sources
            packed, ending = pack_sheet([images for images, _ in samples.values()])
            labels = next(iter(samples.values())).labels
            about["sheets"][chain.name] = {
                **add("sheet", chain.name, ending, packed),
                "generations": list(samples),
                "labels": None if labels is None else "".join(map(str, labels)),
                **({} if too_near is None else {"too_near": too_near}),
            }
    # Before the long part.
    files.check_size(content, about)
    for chain, sources in shown.values():
        try:
            # What is there already comes first.
            order = sorted(sources, key=lambda source: isinstance(source, _FromStore))
            placed = next(filter(None, (source.embedding(chain) for source in order)), None)
        except NotKeptError as error:
            left_out[f"embedding of {chain.name}"] = str(error)
            continue
        if placed:
            embedding, method = placed
            about["embeddings"][chain.name] = {
                **add("embedding", chain.name, "npz", pack_embedding(embedding)),
                "generations": list(embedding.generations),
                "method": method,
            }
            files.check_size(content, about)
    return content, about


def _first_sheet(chain: Finished, sources: Sequence[_FromStore | _FromGallery]) -> Sheet:
    """Return the sheet of the first source that has one, or raise why the first has none."""
    why = []
    for source in sources:
        try:
            return source.sheet(chain)
        except NotKeptError as error:
            why.append(error)
    raise why[0]


def far_from_real(previews: Mapping[int, Samples], data: Dataset) -> Sheet:
    """Return the previews that are no near copy of a training picture, and how many are.

    A place is shown where its pictures of all generations are farther from every training picture
    than 5% of those are from the nearest other one, so that places stay those of the same noise.

    - `previews`: uint8 colour pictures `(n, side, side, 3)` by their generation, n the same in all.

    Raises NotKeptError where fewer than 8 places are left, or where pictures are not square.
    """
    images = np.stack([found.images for found in previews.values()])
    generations, n, height, width, _ = images.shape
    if height != width:
        raise NotKeptError(f"its pictures are {height} x {width}, a sheet's are square")
    far = far_enough(images.reshape(-1, *images.shape[2:]), data.images, share=NEAR)
    far = far.reshape(generations, n)
    places = np.flatnonzero(far.all(axis=0))[: max(LEAST, N_COLOUR * 32 // max(32, width))]
    if len(places) < LEAST:
        kept = ", ".join(f"{count} in {t}" for t, count in zip(previews, far.sum(1), strict=True))
        raise NotKeptError(
            f"too few of its {n} previews are far enough from the real pictures in all generations "
            f"shown: {kept}"
        )
    shown = {t: Samples(found.images[places]) for t, found in previews.items()}
    return shown, [int(count) for count in n - far.sum(axis=1)]
