"""Where a gallery's chains come from: stores, and galleries that were built before."""

import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from madlab import models
from madlab.chain import Chain
from madlab.data.samples import Dataset, Samples
from madlab.gallery import chains, files, tsne
from madlab.gallery.chains import Finished
from madlab.gallery.files import Embedding
from madlab.gallery.reading import Gallery
from madlab.gallery.sheets import Sheet
from madlab.loops import Loop
from madlab.metrics.pairwise import far_enough
from madlab.store import Store

# Digits of each generation's preview that go on a sheet, and colour pictures of 32 pixels a side;
# of larger ones fewer, as they take more room.
N_DIGITS, N_COLOUR = 50, 48
# Of fewer one sees nothing.
LEAST = 8
# Shown is what lies farther from every real picture than this share of those do from one another.
NEAR = 0.05


class NotKeptError(Exception):
    """A source does not have the pictures of a chain; the message says why."""


class _Kept(Store):
    """A store that is only read: what it lacks is an error, not a reason to train."""

    def find(self, kind: str, id: str) -> Path:
        folder = super().find(kind, id)
        if folder is None:
            raise NotKeptError("its samples are not in the store; run the chain again")
        return folder


class FromStore:
    """The chains of a store, with pictures that are read from it.

    - `data`: data sets that the chains may have been trained on, by their names.

    - `chains`: those that are complete; `left_out` says of the others why they are not.
    - `embedded`: the names of chains that come with an embedding: none.
    """

    def __init__(self, folder: Path, data: Mapping[str, Dataset]) -> None:
        self._store, self._data = _Kept(folder), data
        self.chains, self.left_out = chains.group(self._store.rows())
        self.embedded: set[str] = set()

    def sheet(self, chain: Finished) -> Sheet:
        """Return previews of the generations that are shown: 50 digits, or up to 48 in colour.

        Raises NotKeptError where the store does not have them, where the chain's data are not at
        hand, and where hardly a picture is far enough from the real ones.
        """
        found = self._chain(chain)
        previews = {t: found.preview(t) for t in chain.sheet_generations()}
        if chain.subject != "digits":
            return far_from_real(previews, found.data)
        return Sheet(
            {
                t: Samples(images[:N_DIGITS], None if labels is None else labels[:N_DIGITS])
                for t, (images, labels) in previews.items()
            }
        )

    def embedding(self, chain: Finished) -> tuple[Embedding, str]:
        """Return a new embedding of some generations, and how it was made; raises as `sheet`."""
        if chain.subject != "digits":
            raise NotKeptError("t-SNE places digits only")
        found = self._chain(chain)
        shown = {t: found.samples(t) for t in chain.embedded_generations()}
        return tsne.embed(found.data.held_out, shown), tsne.method()

    def _chain(self, chain: Finished) -> Chain:
        """Return the chain as it was made, which knows the names of what it left in the store."""
        if chain.data not in self._data:
            raise NotKeptError(
                f"its data, {chain.data}, are not at hand: give `data`, or --faces or --folder"
            )
        row = chain.rows[0]
        config = row["config"]
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
            n_evaluate=row["n_evaluate"],
            # Nothing is scored here, and these features need no weights.
            features=None if chain.subject == "digits" else "pca",
        )


class FromGallery:
    """The chains of a gallery, with what it has of them; attributes as of `FromStore`."""

    def __init__(self, gallery: Gallery) -> None:
        self._gallery = gallery
        self.chains = gallery.finished
        self.left_out: dict[str, str] = {}
        self.embedded = set(gallery.about["embeddings"])

    def sheet(self, chain: Finished) -> Sheet:
        """Return the pictures of the generations that are shown; raises NotKeptError without."""
        known = self._gallery.about["sheets"].get(chain.name)
        if known is None:
            raise NotKeptError("the gallery that it comes from has no sheet of it")
        kept = {t: self._gallery.sheet(chain.name, t) for t in known["generations"]}
        return Sheet(kept, tuple(known["too_near"]) if "too_near" in known else None)

    def embedding(self, chain: Finished) -> tuple[Embedding, str]:
        """Return the embedding that there is, and how it was made; raises as `sheet`."""
        known = self._gallery.about["embeddings"].get(chain.name)
        if known is None:
            raise NotKeptError("the gallery that it comes from has no embedding of it")
        return self._gallery.embedding(chain.name), known["method"]


def far_from_real(previews: Mapping[int, Samples], data: Dataset) -> Sheet:
    """Return a sheet of the previews that are no near copy of a training picture.

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
    return Sheet(shown, tuple(int(count) for count in n - far.sum(axis=1)))


Source = FromStore | FromGallery


def open_source(source: str | os.PathLike[str] | Store, data: Mapping[str, Dataset]) -> Source:
    """Return a store or a gallery as a source; raises OSError where it is neither.

    - `data`: as for `FromStore`.
    """
    folder = source.path if isinstance(source, Store) else Path(source).expanduser()
    if (folder / files.ABOUT).exists():
        return FromGallery(Gallery(folder))
    if not folder.is_dir():
        raise FileNotFoundError(
            f"there is no store {folder}; give the folder that the chains were told to use"
        )
    return FromStore(folder, data)
