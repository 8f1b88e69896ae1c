"""Chains of pictures that have run, live or from the gallery, in one shape to browse through."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property, partial
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import pandas as pd

from madlab import checks, models
from madlab.data.samples import Samples
from madlab.gallery.reading import Gallery
from madlab.metrics.distances import nearest
from madlab.metrics.spectrum import grid_power, power_spectrum
from madlab.panels.panel import in_words
from madlab.plots.curves import LOOPS
from madlab.plots.lines import number

if TYPE_CHECKING:
    from madlab.chain import Chain

Source: TypeAlias = "Chain | Gallery | Mapping[str, Chain | ChainView] | Sequence[ChainView]"


@dataclass(eq=False)
class ChainView:
    """One chain of pictures that has run.

    - `name`: what panels call it.
    - `about`: loop, sizes, model, bias and seed in words.
    - `records`: its scores, one row a generation.
    - `generations`: those whose pictures can be shown, in order.
    - `follows_noise`: whether equal noise gives corresponding pictures in all generations.
    - `preview`, `samples`: functions that give pictures of a generation, from the same noise in
      all, and as many as there are; None where the preview is all there is.
    - `held_out`: real pictures, for their mean spectrum alone; None where there are none at hand.
    - `colour`: whether the pictures have colours.
    - `lists`: its place in each of the lists that choose a chain, by the names of these.
    """

    name: str
    about: str
    records: pd.DataFrame
    generations: tuple[int, ...]
    follows_noise: bool
    preview: Callable[[int], Samples]
    samples: Callable[[int], Samples] | None = None
    held_out: np.ndarray | None = None
    colour: bool = True
    lists: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.first, self.last = self.generations[0], self.generations[-1]
        # What takes long is made once of each generation.
        for name in ("followed", "power", "classes"):
            setattr(self, name, cache(getattr(self, name)))

    def at(self, t: int) -> int:
        """Return `t`, or the last generation before it that can be shown."""
        return max((one for one in self.generations if one <= t), default=self.first)

    def pictures(self, t: int) -> np.ndarray:
        """Return the preview's pictures of generation `t`, uint8 `(n, h, w)` or `(n, h, w, 3)`."""
        return self.preview(t).images

    def every(self, t: int) -> Samples:
        """Return as many samples of generation `t` as there are."""
        return (self.samples or self.preview)(t)

    def followed(self, t: int) -> np.ndarray:
        """Return for each picture of the first generation the one that belongs to it in `t`.

        It is the one from the same noise where that means anything, else the nearest of all with
        the same label, blank where none has it.
        """
        if self.follows_noise or t == self.first:
            return self.pictures(t)
        among = self.every(t)
        index = nearest(self.preview(self.first), among)
        pictures: np.ndarray = among.images[index]
        pictures[index < 0] = 255 if self.colour else 0
        return pictures

    def power(self, t: int) -> np.ndarray:
        """Return the mean power spectrum of a generation's pictures, float64 `(size, size)`."""
        return power_spectrum(self.every(t).images)

    @cached_property
    def yardstick(self) -> tuple[np.ndarray, str]:
        """The mean power spectrum that others are held against, and whose it is."""
        if self.held_out is None:
            return self.power(self.first), f"generation {self.first}"
        return power_spectrum(self.held_out), "real held-out pictures"

    def grid(self, t: int) -> str:
        """Return in words how strong a grid lies over the pictures of a generation."""
        power, whose = self.yardstick
        times = number(grid_power(self.power(t), power))
        return f"power at the frequencies of a grid {times} times that of {whose}"

    def classes(self, t: int) -> np.ndarray:
        """Return what the separate reader reads the samples of a generation as, int64 `(n,)`."""
        from madlab.metrics import features

        return features.read(self.every(t).images)

    def scores(self, t: int) -> str:
        """Return the headline scores of a generation in words, with the first's in brackets."""
        rows, first = (self.records[self.records["generation"] == one] for one in (t, self.first))
        if not len(rows):
            return "no scores"
        return in_words(rows, None if t == self.first or not len(first) else first.iloc[0])


def chain_views(source: Source, **wanted: Any) -> dict[str, ChainView]:
    """Return chains of pictures by the names that panels call them.

    - `source`: a chain that has run, several by name, or a gallery, of which all chains with a
      sheet of pictures are taken.
    - `wanted`: of a gallery, columns of `Gallery.chains` and the value, or a list of the values,
      that they must have, as in `chain_views(gallery, subject="faces", bias=[1, 0.7])`.

    Raises ValueError where there is none, or one that has not run or has no pictures; KeyError as
    `Gallery.chains` does.
    """
    if isinstance(source, Gallery):
        views = list(_kept(source, wanted))
    elif isinstance(source, Mapping):
        views = [
            one if isinstance(one, ChainView) else _live(name, one) for name, one in source.items()
        ]
    elif isinstance(source, Sequence):
        views = list(source)
    else:
        views = [_live(f"{source.model.name}, {source.loop.name}, λ = {source.bias:g}", source)]
    if not views:
        raise ValueError("there are no chains of pictures to browse: give at least one")
    return {view.name: view for view in views}


def check_run(name: str, chain: "Chain") -> pd.DataFrame:
    """Return the records of a chain of pictures that has run; ValueError for any other."""
    if not checks.is_pictures(chain.data.images):
        raise ValueError(f"the chain {name!r} has points, not pictures: there is nothing to show")
    records = chain.records()
    if not len(records):
        raise ValueError(f"the chain {name!r} has not run: run it first, list(chain.run(4))")
    return records


def _live(name: str, chain: "Chain") -> ChainView:
    records = check_run(name, chain)
    about = (
        f"{name}: {chain.loop.describe()}; model {chain.model.name}, sampling bias "
        f"{chain.bias:g}, seed {chain.seed}."
    )
    return ChainView(
        name,
        about,
        records,
        tuple(int(t) for t in records["generation"]),
        chain.model.follows_noise,
        chain.preview,
        chain.samples,
        chain.data.held_out.images,
        chain.data.images.ndim == 4,
    )


def _kept(gallery: Gallery, wanted: Mapping[str, Any]) -> Iterator[ChainView]:
    """Yield the gallery's chains that have a sheet, digits first, the largest first of equals."""
    found = gallery.chains(**wanted)
    found = found[found["sheet"].map(len) > 0]
    known = {loop: place for place, loop in enumerate(LOOPS)}
    found = found.assign(place=found["loop"].map(known).fillna(len(known)))
    order = ["subject", "family", "place", "bias", "n", "generations"]
    found = found.sort_values(order, ascending=[True, True, True, False, False, False])
    plain = found["family"] + ", " + found["loop"] + found["bias"].map(", λ = {:g}".format)
    # The setup is said of chains that differ in nothing else, sizes of those that differ in them.
    alike = (plain + found["sizes"]).duplicated(keep=False)
    sizes = found["sizes"].mask(alike, found["sizes"] + " (" + found["setup"] + ")")
    names = plain.mask(plain.duplicated(keep=False), plain + ", " + sizes)
    runs = gallery.chains()["setup"].value_counts()
    for name, size, (_, row) in zip(names, sizes, found.iterrows(), strict=True):
        about = (
            f"{name}: gallery of {gallery.about['built'][:10]}; trained on {row['sizes']} "
            f"pictures on {row['device']}; seed {row['seed']}, one of {runs[row['setup']]} that "
            f"were run; scores on {row['n_evaluate']:,} samples with features {row['features']}; "
            f"{row['generations']} generations took {row['seconds']:,.0f} seconds."
        )
        yield ChainView(
            name,
            about,
            gallery.records(chain=row["chain"]),
            row["sheet"],
            models.kind(row["model"]).follows_noise,
            partial(gallery.sheet, row["chain"]),
            colour=row["subject"] != "digits",
            lists={**row[["subject", "family", "loop", "bias"]], "n": size},
        )
