"""How strong a network's grid lies over the faces that a gallery keeps, as columns of records."""

import numpy as np
import pandas as pd

from madlab.gallery import Gallery
from madlab.metrics.spectrum import grid_peak, grid_power, power_spectrum

_MEASURES = {"grid": grid_power, "grid_peak": grid_peak}
# What claims call the columns.
GRIDS = {"grid": "the grid's power", "grid_peak": "the grid's height over all other frequencies"}


def with_grid(records: pd.DataFrame, shown: Gallery) -> pd.DataFrame:
    """Return records with how strong a grid lies over the faces that a gallery has of them.

    The further columns are `grid` and `grid_peak`, of `madlab.metrics.spectrum.grid_power` and
    `grid_peak`, as multiples of what the chain's generation 1 has, and `grid_error` and
    `grid_peak_error`, their standard errors over the faces. They are NaN where there are no faces.

    - `records`: as `frame` gives them, with a column `chain` that has the names of the gallery's.
    """
    rows = []
    chains = shown.chains()
    for _, one in chains[(chains["subject"] == "faces") & chains["sheet"].map(bool)].iterrows():
        first, *later = (_spectra(shown, one["chain"], t) for t in one["sheet"])
        for t, spectra in zip(one["sheet"][1:], later, strict=True):
            found = [number for name in _MEASURES for number in _measured(name, spectra, first)]
            rows.append([one["chain"], t, *found])
    names = [f"{name}{end}" for name in _MEASURES for end in ("", "_error")]
    keys = ["chain", "generation"]
    grids = pd.DataFrame(rows, columns=[*keys, *names])
    grids = grids.astype({**records[keys].dtypes, **dict.fromkeys(names, float)})
    return records.merge(grids, how="left", on=keys)


def kept(records: pd.DataFrame, name: str) -> pd.DataFrame:
    """Return the records with a value in a column of `with_grid`, by generation, then seed."""
    known = records[records[name].notna()] if name in records else records[:0]
    return known.sort_values(["generation", "seed"])


def _spectra(shown: Gallery, chain: str, t: int) -> np.ndarray:
    return np.stack([power_spectrum(image[None]) for image in shown.sheet(chain, t).images])


def _measured(name: str, later: np.ndarray, first: np.ndarray) -> tuple[float, float]:
    """Return a measure of mean spectra, and its jackknife error over the pictures."""
    measure, n = _MEASURES[name], len(later)
    found = [
        measure(np.delete(later, i, 0).mean(0), np.delete(first, i, 0).mean(0)) for i in range(n)
    ]
    error = np.sqrt((n - 1) * np.var(found))
    return measure(later.mean(0), first.mean(0)), float(error)
