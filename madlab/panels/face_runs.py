"""Chains of colour pictures, live or from the gallery, in one shape that panels can show."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from madlab import models
from madlab.chain import Chain
from madlab.data.samples import Samples
from madlab.gallery import Gallery
from madlab.metrics.matching import nearest
from madlab.metrics.spectrum import power_spectrum
from madlab.panels.progress import said_of_pictures

_SUBJECTS = ["faces", "pictures"]


class FaceRun:
    """One chain of colour pictures that has run.

    - `name`: what panels call it.
    - `about`: loop, sizes, model, bias and seed in words.
    - `generations`: those whose pictures can be shown, in order.
    - `follows_noise`: whether equal noise gives corresponding pictures in all generations.
    - `records`: its scores, one row a generation.
    - `preview`: a function that gives the pictures of a generation, uint8 `(n, h, w, 3)`.
    - `more`: a function that gives as many pictures of a generation as there are.
    - `held_out`: real pictures, for their mean spectrum alone; None where there are none at hand.
    """

    def __init__(
        self,
        name: str,
        about: str,
        records: pd.DataFrame,
        generations: tuple[int, ...],
        follows_noise: bool,
        preview: Callable[[int], np.ndarray],
        more: Callable[[int], np.ndarray],
        held_out: np.ndarray | None = None,
    ) -> None:
        self.name, self.about, self.records = name, about, records
        self.generations, self.follows_noise = generations, follows_noise
        self._preview, self._more, self._held_out = preview, more, held_out
        self._followed: dict[int, np.ndarray] = {}
        self._power: dict[int, np.ndarray] = {}
        self._real_power: np.ndarray | None = None

    @property
    def size(self) -> int:
        """How many pixels a side the pictures have."""
        return len(self.pictures(self.generations[0])[0])

    def at(self, t: int) -> int:
        """Return `t`, or the last generation before it that can be shown."""
        return max((one for one in self.generations if one <= t), default=self.generations[0])

    def pictures(self, t: int) -> np.ndarray:
        """Return the pictures of generation `t`, as it drew them."""
        return self._preview(t)

    def followed(self, t: int) -> np.ndarray:
        """Return for each picture of the first generation the one that belongs to it in `t`.

        It is the one from the same noise where that means anything, else the nearest of all.
        """
        if t not in self._followed:
            first = self.pictures(self.generations[0])
            if self.follows_noise or t == self.generations[0]:
                self._followed[t] = self.pictures(t)
            else:
                among = self._more(t)
                self._followed[t] = among[nearest(Samples(first), Samples(among))]
        return self._followed[t]

    @property
    def how(self) -> str:
        """How pictures are followed, in a word or two."""
        return "same noise" if self.follows_noise else "matched"

    def power(self, t: int) -> np.ndarray:
        """Return the mean power spectrum of a generation's pictures, float64 `(size, size)`."""
        if t not in self._power:
            self._power[t] = power_spectrum(self._more(t))
        return self._power[t]

    @property
    def yardstick(self) -> tuple[np.ndarray, str]:
        """The mean power spectrum that others are held against, and whose it is."""
        if self._held_out is None:
            first = self.generations[0]
            return self.power(first), f"generation {first}"
        if self._real_power is None:
            self._real_power = power_spectrum(self._held_out)
        return self._real_power, "real held-out pictures"

    def scores(self, t: int) -> str:
        """Return the headline scores of a generation in words."""
        own = self.records[self.records["generation"] == t]
        return said_of_pictures(own.iloc[0]) if len(own) else "no scores"


Source = Chain | Mapping[str, Chain | FaceRun] | Gallery


def face_runs(source: Source, **wanted: Any) -> dict[str, FaceRun]:
    """Return chains of colour pictures by the names that panels call them.

    - `source`: a chain that has run, several by name, or a gallery, of which all chains of colour
      pictures with a sheet are taken.
    - `wanted`: of a gallery, columns of `Gallery.chains` and the value, or a list of the values,
      that they must have, as in `face_runs(gallery, family="face_gan", bias=[1, 0.7])`.

    Raises ValueError where there is none, one that has not run or has no colour pictures, and
    sizes that are no multiples of each other; KeyError as `Gallery.chains` does.
    """
    if isinstance(source, Gallery):
        runs = _kept(source, wanted)
    elif isinstance(source, Chain):
        runs = [_live(f"{source.model.name}, {source.loop.name}, λ = {source.bias:g}", source)]
    else:
        runs = [
            one if isinstance(one, FaceRun) else _live(name, one) for name, one in source.items()
        ]
    if not runs:
        raise ValueError("there are no chains of colour pictures to show: give at least one")
    sizes = sorted({run.size for run in runs})
    if any(sizes[-1] % size for size in sizes):
        raise ValueError(
            f"pictures are {' and '.join(map(str, sizes))} pixels a side; sizes that are shown "
            "together must be multiples of each other: choose chains of one size"
        )
    return {run.name: run for run in runs}


def _live(name: str, chain: Chain) -> FaceRun:
    if chain.data.images.ndim != 4:
        raise ValueError(f"the chain {name!r} has no colour pictures: show it by other panels")
    records = chain.records()
    if not len(records):
        raise ValueError(f"the chain {name!r} has not run: run it first, list(chain.run(4))")
    about = (
        f"{name}: {chain.loop.describe()}; model {chain.model.name}, sampling bias "
        f"{chain.bias:g}, seed {chain.seed}."
    )
    return FaceRun(
        name,
        about,
        records,
        tuple(int(t) for t in records["generation"]),
        chain.model.follows_noise,
        lambda t: chain.preview(t).images,
        lambda t: chain.samples(t).images,
        chain.data.held_out.images,
    )


def _kept(gallery: Gallery, wanted: Mapping[str, Any]) -> list[FaceRun]:
    """Return the gallery's chains of colour pictures that have a sheet."""
    found = gallery.chains(**wanted)
    found = found[(found["sheet"].map(len) > 0) & found["subject"].isin(_SUBJECTS)]
    plain = found["family"] + ", " + found["loop"] + found["bias"].map(", λ = {:g}".format)
    alike = plain.duplicated(keep=False)
    names = plain + (" (" + found["setup"] + ")").where(alike, "")
    rows = (row for _, row in found.iterrows())
    return [_of_gallery(gallery, name, row) for name, row in zip(names, rows, strict=True)]


def _of_gallery(gallery: Gallery, name: str, row: "pd.Series[Any]") -> FaceRun:
    def sheet(t: int) -> np.ndarray:
        return gallery.sheet(row["chain"], t).images

    about = f"{name}: gallery, {row['sizes']} pictures, seed {row['seed']}, on {row['device']}."
    return FaceRun(
        name,
        about,
        gallery.records(chain=row["chain"]),
        row["sheet"],
        models.kind(row["model"]).follows_noise,
        sheet,
        sheet,
    )
