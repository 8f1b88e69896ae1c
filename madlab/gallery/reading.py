"""A gallery that is read: records, sheets of pictures and embeddings of finished chains."""

import json
import os
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from madlab import checks
from madlab.data.samples import Samples
from madlab.files import expanded
from madlab.gallery import files
from madlab.gallery.chains import Finished, group
from madlab.tables import table

HERE = Path(__file__).parent
# How many chains a message names.
_ROOM = 4


class Gallery:
    """Finished chains, to be looked at without training: what `madlab.gallery.open` returns.

    A chain is given by its name, the column `chain` of `records()` and `chains()`.

    - `folder`: where it lies; `about`: when, by which versions and from which data it was built.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.about = files.read_about(folder)
        self._unpacked: dict[str, np.ndarray] = {}

    @cached_property
    def finished(self) -> list[Finished]:
        """All chains with their whole records: configuration, versions, device, cost and commit."""
        content = files.read_file(self.folder, self.about["records"])
        return group(json.loads(line) for line in content.splitlines())[0]

    @property
    def size(self) -> int:
        """How many bytes its data take, of `madlab.gallery.files.LIMIT` at most."""
        pictures = [*self.about["sheets"].values(), *self.about["embeddings"].values()]
        named = sum(one["bytes"] for one in [self.about["records"], *pictures])
        return (self.folder / files.ABOUT).stat().st_size + named

    def records(self, **wanted: Any) -> pd.DataFrame:
        """Return one row a generation: the columns of `Store.records()`, family, chain and subject.

        - `wanted`: columns and the value, or a list of the values, that they must have, as in
          `records(family="mixture", bias=[1, 0.5])`.

        Raises KeyError for a column that there is not, or a value that no row has.
        """
        return _select(self._records, wanted)

    @cached_property
    def _records(self) -> pd.DataFrame:
        found = table([row for chain in self.finished for row in chain.rows])
        # What no chain has is as much a number as what some lack.
        found = found.astype(dict.fromkeys(found.columns[found.isna().all()], float))
        of_chain = [(one.family, one.name, one.subject) for one in self.finished for _ in one.rows]
        found[["family", "chain", "subject"]] = of_chain
        return found

    def chains(self, **wanted: Any) -> pd.DataFrame:
        """Return one row a chain.

        Its columns are chain (the name), the other fields of `Finished` but the rows, sheet and
        embedding (the generations that these have, often none: one seed is enough to look at) and
        too_near (how many previews of each generation are too near a real picture to be shown).

        - `wanted`: as for `records`, which says what is raised.
        """
        return _select(self._chains, wanted)

    @cached_property
    def _chains(self) -> pd.DataFrame:
        found = pd.DataFrame([vars(one) for one in self.finished]).drop(columns="rows")
        found = found.rename(columns={"name": "chain"})

        def kept(kind: str, key: str) -> list[tuple[int, ...]]:
            return [tuple(self.about[kind].get(one, {}).get(key, ())) for one in found["chain"]]

        found["sheet"] = kept("sheets", "generations")
        found["embedding"] = kept("embeddings", "generations")
        found["too_near"] = kept("sheets", "too_near")
        return found

    def sheet(self, chain: str, generation: int) -> Samples:
        """Return preview pictures of a generation, drawn from the same noise in every generation.

        - `chain`: a name of the column `chain`; `chains()` says which generations there are.

        Returns uint8 images: of digits `(n, 28, 28)`, 255 = ink, in 16 levels of grey, with labels;
        of faces and other pictures `(n, side, side, 3)`, rounded to 29 levels a colour, without.
        Raises KeyError for what is not there, and OSError for damaged files.
        """
        known = self._entry("sheet", chain)
        there, labels = known["generations"], known["labels"]
        checks.known(f"sheet of {chain!r} in generation", generation, there)
        if chain not in self._unpacked:
            content = files.read_file(self.folder, known)
            self._unpacked[chain] = files.unpack_sheet(content, len(there))
        images = self._unpacked[chain][there.index(generation)].copy()
        return Samples(images, None if labels is None else np.array([*map(int, labels)]))

    def embedding(self, chain: str) -> files.Embedding:
        """Return where t-SNE places real digits and those of some generations, all together.

        - `chain`: a name of the column `chain`; `chains()` says which have an embedding.

        Distances mean little in such a plane, neighbourhoods much. Raises as `sheet`.
        Source: Alemohammad et al., "Self-Consuming Generative Models Go MAD", Figs. 5 and 7.
        """
        known = self._entry("embedding", chain)
        return files.unpack_embedding(files.read_file(self.folder, known))

    def _entry(self, kind: str, chain: str) -> dict[str, Any]:
        entries: dict[str, dict[str, Any]] = self.about[f"{kind}s"]
        if chain in entries:
            return entries[chain]
        setups = {one.name: one.setup for one in self.finished}
        if chain not in setups:
            raise KeyError(
                f"the gallery has no chain {chain!r}{checks.hint(chain, setups)}; names are in the "
                f"column 'chain' of chains(), the first is {next(iter(setups))!r}"
            )
        near = sorted(one for one in entries if setups[one] == setups[chain]) or sorted(entries)
        raise KeyError(
            f"the gallery keeps no {kind} of {chain!r}; those it keeps are of: "
            f"{'; '.join(near[:_ROOM]) or 'none'}{'; ...' if len(near) > _ROOM else ''}"
        )


def open(folder: str | os.PathLike[str] | None = None) -> Gallery:
    """Open a gallery.

    - `folder`: what `madlab.gallery.build` wrote; None for the gallery that comes with madlab.

    Raises OSError where there is none, or where it is damaged.
    """
    return Gallery(HERE if folder is None else expanded(folder))


def _select(found: pd.DataFrame, wanted: dict[str, Any]) -> pd.DataFrame:
    kept = np.ones(len(found), bool)
    for column, value in wanted.items():
        checks.known("column", column, found)
        values = value if isinstance(value, list) else [value]
        for one in values:
            checks.known(column, one, found[column])
        kept &= found[column].isin(values).to_numpy()
    return found[kept].reset_index(drop=True)
