"""Records of many chains as one table: of each row which chain it is of, and grids over faces."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from madlab.gallery.chains import family, subject
from madlab.gallery.reading import Gallery
from madlab.metrics.spectrum import grid_peak, grid_power, power_spectrum
from madlab.store import name_of
from madlab.tables import table

# What claims call the columns of grids.
GRIDS = {"grid": "the grid's power", "grid_peak": "the grid's height over all other frequencies"}
_MEASURES = {"grid": grid_power, "grid_peak": grid_peak}


def frame(rows: Iterable[Mapping[str, Any]]) -> pd.DataFrame:
    """Return records as a table with the columns of `Chain.records()` and some more.

    - `rows`: as `Store.rows()` gives them, or the rows of a gallery's chains.

    The further columns are `family` (the recipe of a model that has several, else its name),
    `subject` ("digits" or what else the samples show), `n_initial` (the training-set size of
    generation 1), `setting` and `run` (digests of all that a chain depends on except bias and seed:
    without its loop, and with it but for n_initial), `device` and `config` (its configuration).
    """
    kept = [dict(row) for row in rows]
    return table(kept).assign(
        family=[family(row) for row in kept],
        subject=[subject(row) for row in kept],
        n_initial=[row["config"]["loop"]["n_initial"] for row in kept],
        setting=[_digest(row, None) for row in kept],
        run=[_digest(row, row["config"]["loop"]) for row in kept],
        device=[row["provenance"]["device"] for row in kept],
        config=[row["config"] for row in kept],
    )


def largest(records: pd.DataFrame, one_start: bool = True) -> pd.DataFrame:
    """Return the records of one run: of the one with most biases, then the largest and longest.

    Seeds that stopped before half of what others reached are left out, and generations stop where
    the shortest chain that is left does.

    - `records`: as `frame` gives them, of one loop and family; a table without a column `run` is
      one run.
    - `one_start`: whether all chains must have the same n_initial.
    """
    if "run" not in records:
        return _even(records)
    keys = ["run", "n_initial"] if one_start else ["run"]
    return max([_even(own) for _, own in records.groupby(keys)], key=_rank)


def commonest(records: pd.DataFrame) -> pd.DataFrame:
    """Return the records of the model's settings and data that most chains have.

    - `records`: as `frame` gives them, of one family and any loops; a table without a column
      `setting` is taken as it is.
    """
    if "setting" not in records or records.empty:
        return records
    chains = records.drop_duplicates(["setting", "loop", "bias", "seed"])
    return records[records["setting"] == chains["setting"].mode()[0]]


def of_one_size(records: pd.DataFrame) -> pd.DataFrame:
    """Return the records of chains on digits whose training sets have the size most families share.

    - `records`: as `frame` gives them. Of each family, loop and bias the largest run is taken.

    Returns no rows where no chain has one size throughout and trains on one model's samples.
    """
    loops = [config["loop"] for config in records["config"]]
    level = [
        loop["memory"] == 1 and loop["n_real"] + loop["n_synthetic"] == n
        for loop, n in zip(loops, records["n_initial"], strict=True)
    ]
    known = records[pd.Series(level, records.index, bool) & (records["subject"] == "digits")]
    if known.empty:
        return known
    n = known.groupby("n_initial")["family"].nunique().idxmax()
    runs = known[known["n_initial"] == n].groupby(["family", "loop", "bias"])
    return pd.concat([largest(run) for _, run in runs])


def with_grid(records: pd.DataFrame, shown: Gallery) -> pd.DataFrame:
    """Return records with how strong a grid lies over the faces that a gallery has of them.

    The further columns are `grid` and `grid_peak`, of `madlab.metrics.spectrum.grid_power` and
    `grid_peak`, as multiples of what generation 1 has, and their standard errors over the faces,
    `grid_error` and `grid_peak_error`. They are NaN where there are no faces.

    - `records`: as `frame` gives them, with a column `chain` that has the names of the gallery's.
    """
    rows, chains = [], shown.chains()
    for _, one in chains[(chains["subject"] == "faces") & chains["sheet"].map(bool)].iterrows():
        first, *later = (_spectra(shown, one["chain"], t) for t in one["sheet"])
        for t, spectra in zip(one["sheet"][1:], later, strict=True):
            rows.append([one["chain"], t, *_measured(spectra, first)])
    names = [f"{name}{end}" for name in _MEASURES for end in ("", "_error")]
    keys = ["chain", "generation"]
    grids = pd.DataFrame(rows, columns=[*keys, *names])
    grids = grids.astype({**records[keys].dtypes, **dict.fromkeys(names, float)})
    return records.merge(grids, how="left", on=keys)


def _spectra(shown: Gallery, chain: str, t: int) -> np.ndarray:
    return np.stack([power_spectrum(image[None]) for image in shown.sheet(chain, t).images])


def _measured(later: np.ndarray, first: np.ndarray) -> list[float]:
    """Return each measure of mean spectra, followed by its jackknife error over the pictures."""
    n, found = len(later), []
    for measure in _MEASURES.values():
        parts = [[np.delete(one, i, 0).mean(0) for one in (later, first)] for i in range(n)]
        error = np.sqrt((n - 1) * np.var([measure(*part) for part in parts]))
        found += [measure(later.mean(0), first.mean(0)), float(error)]
    return found


def _even(records: pd.DataFrame) -> pd.DataFrame:
    """Return the chains that are long enough, up to the generation that all of them reach."""
    kinds = [name for name in ("bias", "n_initial") if name in records]
    reached = records.groupby([*kinds, "seed"])["generation"].transform("max")
    longest = reached.groupby([records[name] for name in kinds]).transform("max")
    enough = (reached >= longest / 2).to_numpy(bool)
    within = (records["generation"] <= reached[enough].min()).to_numpy(bool)
    return records[enough & within]


def _rank(records: pd.DataFrame) -> tuple[int, ...]:
    kinds = records[["bias", "n_initial"]].drop_duplicates()
    return len(kinds), records["n_initial"].max(), records["generation"].max(), len(records)


def _digest(row: Mapping[str, Any], loop: Mapping[str, Any] | None) -> str:
    parts = {name: row[name] for name in ("model", "n_evaluate", "features")}
    kept = loop and {name: value for name, value in loop.items() if name != "n_initial"}
    return name_of({**parts, "config": {**row["config"], "loop": kept}})[:8]
