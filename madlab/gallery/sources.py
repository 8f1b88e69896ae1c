"""Where a gallery's chains come from: stores, and galleries that were built before."""

import os
from pathlib import Path

from madlab import models
from madlab.chain import Chain
from madlab.data.samples import Dataset, Samples
from madlab.gallery import chains, files, tsne
from madlab.gallery.chains import Finished
from madlab.gallery.files import Embedding
from madlab.gallery.reading import Gallery
from madlab.loops import Loop
from madlab.store import Store

# Digits of each generation's preview that go on a sheet.
N_SHEET = 50


class NotKeptError(Exception):
    """A source does not have the digits of a chain; the message says why."""


class _Kept(Store):
    """A store that is only read: what it lacks is an error, not a reason to train."""

    def find(self, kind: str, id: str) -> Path:
        folder = super().find(kind, id)
        if folder is None:
            raise NotKeptError("its samples are not in the store; run the chain again")
        return folder


class FromStore:
    """The chains of a store, with digits that are read from it.

    - `chains`: those that are complete; `left_out` says of the others why they are not.
    - `embedded`: the names of chains that come with an embedding: none.
    """

    def __init__(self, folder: Path, data: Dataset) -> None:
        self._store, self._data = _Kept(folder), data
        self.chains, self.left_out = chains.group(self._store.rows())
        self.embedded: set[str] = set()

    def sheet(self, chain: Finished) -> dict[int, Samples]:
        """Return the first 50 preview digits of the generations that are shown.

        Raises NotKeptError where the store does not have them.
        """
        found = self._chain(chain)
        previews = {t: found.preview(t) for t in chain.sheet_generations()}
        return {
            t: Samples(images[:N_SHEET], None if labels is None else labels[:N_SHEET])
            for t, (images, labels) in previews.items()
        }

    def embedding(self, chain: Finished) -> tuple[Embedding, str]:
        """Return a new embedding of some generations, and how it was made; raises as `sheet`."""
        found = self._chain(chain)
        shown = {t: found.samples(t) for t in chain.embedded_generations()}
        return tsne.embed(self._data.held_out, shown), tsne.method()

    def _chain(self, chain: Finished) -> Chain:
        """Return the chain as it was made, which knows the names of what it left in the store."""
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
            self._data,
            bias=chain.bias,
            seed=chain.seed,
            store=self._store,
            n_evaluate=row["n_evaluate"],
        )


class FromGallery:
    """The chains of a gallery, with what it has of them; attributes as of `FromStore`."""

    def __init__(self, gallery: Gallery) -> None:
        self._gallery = gallery
        self.chains = gallery.finished
        self.left_out: dict[str, str] = {}
        self.embedded = set(gallery.about["embeddings"])

    def sheet(self, chain: Finished) -> dict[int, Samples]:
        """Return the digits of the generations that are shown; raises NotKeptError without any."""
        known = self._gallery.about["sheets"].get(chain.name)
        if known is None:
            raise NotKeptError("the gallery that it comes from has no sheet of it")
        return {t: self._gallery.sheet(chain.name, t) for t in known["generations"]}

    def embedding(self, chain: Finished) -> tuple[Embedding, str]:
        """Return the embedding that there is, and how it was made; raises as `sheet`."""
        known = self._gallery.about["embeddings"].get(chain.name)
        if known is None:
            raise NotKeptError("the gallery that it comes from has no embedding of it")
        return self._gallery.embedding(chain.name), known["method"]


Source = FromStore | FromGallery


def open_source(source: str | os.PathLike[str] | Store, data: Dataset) -> Source:
    """Return a store or a gallery as a source; raises OSError where it is neither."""
    folder = source.path if isinstance(source, Store) else Path(source).expanduser()
    if (folder / files.ABOUT).exists():
        return FromGallery(Gallery(folder))
    if not folder.is_dir():
        raise FileNotFoundError(
            f"there is no store {folder}; give the folder that the chains were told to use"
        )
    return FromStore(folder, data)
