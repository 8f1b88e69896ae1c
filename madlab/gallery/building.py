"""A gallery that is built: from finished chains in stores to a few megabytes of files."""

import os
import time
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from madlab.data.samples import Dataset
from madlab.gallery import files
from madlab.gallery.bundle import Bundle
from madlab.gallery.chains import Finished
from madlab.gallery.reading import Gallery
from madlab.store import Store

if TYPE_CHECKING:
    from madlab.gallery.sources import Source

    Found = tuple[Finished, list[Source]]

Choice = Callable[[Finished], bool]
T = TypeVar("T")


class Built(NamedTuple):
    """What came of building.

    - `gallery`: the gallery.
    - `left_out`: why chains, or the pictures of chains, are not in it, by their names.
    """

    gallery: Gallery
    left_out: dict[str, str]


def build(
    stores: Iterable[str | os.PathLike[str] | Store],
    folder: str | os.PathLike[str],
    *,
    data: Iterable[Dataset] = (),
    keep: Choice = lambda chain: True,
    embed: Choice = lambda chain: False,
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
    - `folder`: where the gallery goes; one that is there is replaced, in one step.
    - `data`: the data sets that chains on colour pictures were trained on, such as
      `[madlab.data.ffhq(path)]`; MNIST is known. A chain whose data are not given, and whose sheet
      is in no gallery, keeps its records and gets no sheet.
    - `keep`: which chains are taken; all where not given.
    - `embed`: of which chains, among those with a sheet of digits, t-SNE is to place the digits; it
      takes about ten seconds each. Chains that are in a gallery keep the embedding they have there.

    Raises ValueError where there is no chain, or where the files would take more than
    `madlab.gallery.files.LIMIT` bytes, OSError for folders that cannot be read or written, and
    ImportError where scikit-learn is needed and not there. The old gallery is then intact.
    """
    from madlab.data import mnist
    from madlab.gallery.sources import open_source

    digits = mnist()
    known = {one.id: one for one in (digits, *data)}
    allowed = f"{digits.id} or colour pictures"
    sources = [open_source(store, known) for store in stores]
    chosen: dict[str, Found] = {}
    left_out: dict[str, str] = {}
    for source in sources:
        left_out |= source.left_out
        for chain in filter(keep, source.chains):
            if chain.data != digits.id and chain.subject not in ("faces", "pictures"):
                left_out[chain.name] = f"its data are {chain.data}, not {allowed}"
            elif chain.name not in chosen or chosen[chain.name][0].generations < chain.generations:
                chosen[chain.name] = chain, [source]
            elif _scores(chain) == _scores(chosen[chain.name][0]):
                chosen[chain.name][1].append(source)
    left_out = {name: why for name, why in left_out.items() if name not in chosen}
    if not chosen:
        why = "; ".join(f"{name}: {why}" for name, why in left_out.items())
        raise ValueError(f"there is no complete chain on {allowed} to show. {why}".strip())
    bundle = _bundle(sorted(chosen.values(), key=_order), embed, left_out)
    trained_on = dict.fromkeys(chain.data for chain, _ in chosen.values())
    bundle.about |= {"data": ", ".join(sorted(trained_on)), **_provenance()}
    files.publish(Path(folder).expanduser(), bundle.content, bundle.about)
    return Built(Gallery(Path(folder).expanduser()), left_out)


def _scores(chain: Finished) -> list[dict[str, Any]]:
    """Return the records of a chain without what differs where the same samples are drawn again."""
    apart = ("cost", "seconds", "provenance")
    return [{key: row[key] for key in row if key not in apart} for row in chain.rows]


def _order(found: "Found") -> tuple[Any, ...]:
    chain = found[0]
    return chain.family, chain.loop, -chain.bias, chain.n, chain.setup, chain.seed


def _bundle(chosen: "Sequence[Found]", embed: Choice, left_out: dict[str, str]) -> Bundle:
    """Return the records of all chains, and the pictures of one seed of each setup."""
    from madlab.gallery.sources import NotKeptError

    bundle = Bundle()
    bundle.add_records([row for chain, _ in chosen for row in chain.rows])
    shown: dict[str, Found] = {}
    for chain, sources in chosen:
        if chain.setup not in shown:
            try:
                sheet = _first([partial(source.sheet, chain) for source in sources])
                bundle.add_sheet(chain.name, sheet)
                shown[chain.setup] = chain, sources
            except NotKeptError as error:
                left_out[f"{chain.subject} of {chain.name}"] = str(error)
    # Before the long part.
    bundle.check_size()
    for chain, sources in shown.values():
        able = [source for source in sources if chain.name in source.embedded or embed(chain)]
        if able:
            try:
                made = _first([partial(source.embedding, chain) for source in able])
                bundle.add_embedding(chain.name, *made)
            except NotKeptError as error:
                left_out[f"embedding of {chain.name}"] = str(error)
    bundle.check_size()
    return bundle


def _first(ways: Sequence[Callable[[], T]]) -> T:
    """Return what the first way gives that gives anything, or raise why the first does not."""
    from madlab.gallery.sources import NotKeptError

    why = []
    for way in ways:
        try:
            return way()
        except NotKeptError as error:
            why.append(error)
    raise why[0]


def _provenance() -> dict[str, Any]:
    from madlab.training import provenance

    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    return {"built": now, "built_by": provenance()}
