"""A gallery that is built: from finished chains in stores to a few megabytes of files.

What only the gallery that ships needs, maps by t-SNE and the chains of an older gallery, is in
scripts/build_gallery.py.
"""

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from madlab import models
from madlab.chain import Chain
from madlab.data import mnist
from madlab.data.samples import Dataset
from madlab.files import expanded
from madlab.gallery import files
from madlab.gallery.chains import Finished, group, in_order, sheet_generations
from madlab.gallery.reading import Gallery
from madlab.loops import Loop
from madlab.metrics.distances import far_enough
from madlab.store import Store

# Of each generation on a sheet: digits, colour pictures of 32 pixels a side, of larger ones fewer,
# and of how few of these one sees nothing.
N_DIGITS, N_COLOUR, LEAST = 50, 48, 8
# Shown is what lies farther from every real picture than this share of those do from one another.
NEAR = 0.05


class Built(NamedTuple):
    """What came of building, and why chains, or the pictures of some, are not in it, by names."""

    gallery: Gallery
    left_out: dict[str, str]


class NotKeptError(Exception):
    """There are no pictures of a chain to show; the message says why."""


def build(
    stores: Iterable[str | os.PathLike[str] | Store],
    folder: str | os.PathLike[str],
    *,
    data: Iterable[Dataset] = (),
    keep: Callable[[Finished], bool] = lambda chain: True,
) -> Built:
    """Build a gallery of all complete chains on MNIST or on colour pictures; nothing is trained.

    Of every chain the records are kept, all seeds; of the lowest seed whose pictures are there,
    also a sheet of previews in generations 1, 2, 3, 5, 10, 20, 50, 100 and the last: 50 digits, or
    48 pictures of 32 pixels a side, 24 of 64. Of these only such are shown that in every one of the
    generations are farther from every training picture than 5% of the training pictures are from
    the nearest other one; how many are too near is kept with the sheet.

    - `stores`: folders, or stores. Of a chain that is in several the longest is taken, of equals
      the first.
    - `folder`: where the gallery goes, in place of one that is there; one program at a time may
      build into it.
    - `data`: what chains on colour pictures were trained on, as `[madlab.data.ffhq(path)]`; those
      whose data are not given get no sheet.
    - `keep`: which chains are taken; all where not given.

    Raises ValueError where there is no chain, or where the files would take more than
    `madlab.gallery.files.LIMIT` bytes, and OSError for folders that cannot be read or written. The
    old gallery is then intact.
    """
    known = {one.id: one for one in (mnist(), *data)}
    allowed = f"{mnist().id} or colour pictures"
    left_out: dict[str, str] = {}
    chosen: dict[str, tuple[Finished, Store]] = {}
    for store in map(_Kept, stores):
        chains, unfinished = group(store.rows())
        left_out |= unfinished
        for chain in filter(keep, chains):
            if chain.data != mnist().id and chain.subject not in ("faces", "pictures"):
                left_out[chain.name] = f"its data are {chain.data}, not {allowed}"
            elif chain.name not in chosen or chain.generations > chosen[chain.name][0].generations:
                chosen[chain.name] = chain, store
    left_out = {name: why for name, why in left_out.items() if name not in chosen}
    if not chosen:
        why = "; ".join(f"{name}: {why}" for name, why in left_out.items())
        raise ValueError(f"there is no complete chain on {allowed} to show. {why}".strip())
    ordered = in_order(chain for chain, _ in chosen.values())
    sheets: dict[str, files.Part] = {}
    shown: set[str] = set()
    for chain in ordered:
        if chain.setup not in shown:
            try:
                sheets[chain.name] = _sheet(chain, remade(chain, chosen[chain.name][1], known))
                shown.add(chain.setup)
            except NotKeptError as error:
                left_out[f"{chain.subject} of {chain.name}"] = str(error)
    place = expanded(folder)
    files.publish(place, ordered, sheets, {})
    return Built(Gallery(place), left_out)


class _Kept(Store):
    """A store that is only read: what it lacks is an error, not a reason to train."""

    def __init__(self, store: str | os.PathLike[str] | Store) -> None:
        folder = store.path if isinstance(store, Store) else expanded(store)
        if not folder.is_dir():
            raise FileNotFoundError(
                f"there is no store {folder}; give the folder that the chains were told to use"
            )
        if (folder / files.ABOUT).exists():
            raise ValueError(
                f"{folder} is a gallery, not a store; scripts/build_gallery.py takes both together"
            )
        super().__init__(folder)

    def find(self, kind: str, id: str) -> Path:
        folder = super().find(kind, id)
        if folder is None:
            raise NotKeptError("its samples are not in the store; run the chain again")
        return folder


def remade(chain: Finished, store: Store, data: Mapping[str, Dataset]) -> Chain:
    """Return a chain as it was made, which finds what it left in a store and trains nothing.

    - `data`: data sets by their names; NotKeptError is raised without its own, or its model.
    """
    if chain.data not in data:
        raise NotKeptError(
            f"its data, {chain.data}, are not at hand: give `data`, or --faces or --folder"
        )
    config = chain.rows[0]["config"]
    try:
        model = models.create(chain.model, **config["settings"])
        loop = Loop(**config["loop"])
        if model.version != config["version"]:
            version = f"version {config['version']} of {chain.model}"
            raise ValueError(f"{version} made the chain, it has version {model.version}")
    except (KeyError, TypeError, ValueError) as error:
        raise NotKeptError(f"this madlab cannot name its samples: {error}") from error
    return Chain(
        loop,
        model,
        data[chain.data],
        bias=chain.bias,
        seed=chain.seed,
        store=_Kept(store),
        n_evaluate=chain.n_evaluate,
        # Nothing is scored here, and these features need no weights.
        features=None if chain.subject == "digits" else "pca",
    )


def _sheet(chain: Finished, made: Chain) -> files.Part:
    """Return previews of the generations that are shown; raises NotKeptError without."""
    previews = {t: made.preview(t) for t in sheet_generations(chain.generations)}
    images = np.stack([found.images for found in previews.values()])
    about: dict[str, Any] = {"generations": [*previews], "labels": None}
    if chain.subject == "digits":
        labels, places = previews[1].labels, np.arange(images.shape[1])[:N_DIGITS]
        about["labels"] = None if labels is None else "".join(map(str, labels[places]))
    else:
        places, about["too_near"] = far_from_real(images, [*previews], made.data)
    return files.Part(*files.pack_sheet(images[:, places]), about)


def far_from_real(
    images: np.ndarray, named: Sequence[int], data: Dataset
) -> tuple[np.ndarray, list[int]]:
    """Return which places `build` shows beside these data, and how many are too near in each row.

    - `images`: colour previews, uint8 `(generations, n, side, side, 3)`; `named`: the generations.

    Raises NotKeptError where too few places are left, or where pictures are not square.
    """
    generations, n, height, width, _ = images.shape
    if height != width:
        raise NotKeptError(f"its pictures are {height} x {width}, a sheet's are square")
    far = far_enough(images.reshape(-1, *images.shape[2:]), data.images, share=NEAR)
    far = far.reshape(generations, n)
    too_near = (n - far.sum(axis=1)).tolist()
    places = np.flatnonzero(far.all(axis=0))[: max(LEAST, N_COLOUR * 32 // max(32, width))]
    if len(places) < LEAST:
        kept = ", ".join(f"{count} in {t}" for t, count in zip(named, far.sum(1), strict=True))
        raise NotKeptError(
            f"too few of its {n} previews are far enough from the real pictures in all generations "
            f"shown: {kept}"
        )
    return places, too_near
