"""What the paper's figures on faces say, each as a function from records to a verdict.

Records are scored by KID, as sets of faces are small. Whether a network's grid grows is read from
the faces themselves, so it is known where `with_grid` has added it to the records.
"""

from collections.abc import Callable

import numpy as np
import pandas as pd

from madlab.gallery import Gallery
from madlab.metrics.failure import LEAST_ERRORS, LEAST_SHARE, Kind, kinds
from madlab.metrics.spectrum import grid_peak, grid_power, power_spectrum
from madlab.paper.verdict import Claim, Verdict, falls, judge, less, rises, sooner, stays

SCORES = ("kid", "precision", "recall", "distance")
FULL, POOL = "fully synthetic", "synthetic augmentation, accumulating"
_MEASURES = {"grid": grid_power, "grid_peak": grid_peak}
_SAID = {"grid": "the grid's power", "grid_peak": "the grid's height over all other frequencies"}


def with_grid(records: pd.DataFrame, shown: Gallery) -> pd.DataFrame:
    """Return records with how strong a grid lies over the faces that a gallery has of them.

    The further columns are `grid` and `grid_peak`, of `madlab.metrics.spectrum.grid_power` and
    `grid_peak`, as multiples of what the chain's generation 1 has, and `grid_error` and
    `grid_peak_error`, their standard errors over the faces. They are NaN where there are no faces.

    - `records`: as `frame` gives them, with a column `chain` that has the names of the gallery's.
    """
    rows = []
    for one in shown.chains().to_dict("records"):
        if one["subject"] != "faces" or 1 not in one["sheet"]:
            continue
        first = _spectra(shown, one["chain"], 1)
        for t in one["sheet"][1:]:
            later = _spectra(shown, one["chain"], t)
            found = [_with_error(measure, later, first) for measure in _MEASURES.values()]
            rows.append([one["chain"], t, *(number for pair in found for number in pair)])
    names = [f"{name}{end}" for name in _MEASURES for end in ("", "_error")]
    grids = pd.DataFrame(rows, columns=["chain", "generation", *names])
    keys = ["chain", "generation"]
    grids = grids.astype({**records[keys].dtypes, **dict.fromkeys(names, float)})
    return records.merge(grids, how="left", on=keys)


def amplified(records: pd.DataFrame) -> Verdict:
    """Judge Figs. 1 and 18 to 22: without bias a network's grid grows, generation by generation."""
    return judge(
        [
            rises(kinds(records, SCORES), "kid"),
            _grows(records, "grid"),
            _grows(records, "grid_peak"),
        ]
    )


def quality_and_diversity(records: pd.DataFrame) -> Verdict:
    """Judge Fig. 4 on faces: without bias the distance rises, precision and recall fall."""
    found = kinds(records, SCORES)
    return judge([rises(found, "kid"), falls(found, "precision"), falls(found, "recall")])


def diversity_for_quality(records: pd.DataFrame) -> Verdict:
    """Judge Fig. 6 on faces: with bias precision holds, recall falls sooner, the distance rises."""
    found = kinds(records, SCORES)
    biased = [kind for kind in found if kind.bias < 1]
    claims = [stays(biased, "precision"), falls(biased, "recall"), rises(biased, "kid")]
    return judge([*claims, sooner(found)])


def slower(records: pd.DataFrame) -> Verdict:
    """Judge Fig. 8: real faces beside a growing pool of synthetic ones slow the decay."""
    own, other = _loops(records)
    found = [own] if own else []
    ways = {"kid": "rises", "precision": "falls", "recall": "falls"}
    claims = [(rises if way == "rises" else falls)(found, score) for score, way in ways.items()]
    slow = [less(own, other, score, way, f"in the {FULL} loop") for score, way in ways.items()]
    return judge([*claims, *slow])


def one_person(records: pd.DataFrame) -> Verdict:
    """Judge Figs. 23 to 25: with bias faces become alike, and no grid grows."""
    found = kinds(records, SCORES)
    claims = [falls(found, "recall"), falls(found, "distance")]
    return judge([*claims, *(_grows(records, measure, False) for measure in _MEASURES)])


def weaker(records: pd.DataFrame) -> Verdict:
    """Judge Figs. 28 and 29: beside real faces the grid grows too, but less."""
    own = records[records["loop"] == POOL]
    return judge(
        [
            rises(kinds(own, SCORES), "kid"),
            _grows(own, "grid"),
            _grows(own, "grid_peak"),
            *(_lower(records, measure) for measure in _MEASURES),
        ]
    )


def _loops(records: pd.DataFrame) -> tuple[Kind | None, Kind | None]:
    found = {kind.loop: kind for kind in kinds(records, SCORES)}
    return found.get(POOL), found.get(FULL)


def _grows(records: pd.DataFrame, measure: str, wanted: bool = True) -> Claim:
    """Return the claim that a grid grows, or that it does not.

    It grows where the last generation whose faces are kept has over 5% and over two standard errors
    more than generation 1.
    """
    said = f"{_SAID[measure]} {'rises' if wanted else 'does not rise'}"
    known = _last(records, measure)
    if known is None:
        return Claim(f"{said} (no faces)", None)
    t, value, error = known
    grown = value - 1 > max(LEAST_SHARE, LEAST_ERRORS * error)
    return Claim(f"{said} (× {value:.2f} ± {error:.2f} in generation {t})", bool(grown == wanted))


def _lower(records: pd.DataFrame, measure: str) -> Claim:
    said = f"{_SAID[measure]} is lower than in the {FULL} loop"
    loops = [records[records["loop"] == loop] for loop in (POOL, FULL)]
    kept = [set(_kept(own, measure)["generation"]) for own in loops]
    both = set.intersection(*kept)
    if not both:
        return Claim(f"{said} (no faces)", None)
    t = max(both)
    found = [_last(own[own["generation"] == t], measure) for own in loops]
    (_, a, e), (_, b, f) = (one for one in found if one)
    words = f"{said} (× {a:.2f} ± {e:.2f} and × {b:.2f} ± {f:.2f} in generation {t})"
    return Claim(words, bool(b - a > LEAST_ERRORS * np.hypot(e, f)))


def _kept(records: pd.DataFrame, measure: str) -> pd.DataFrame:
    if measure not in records:
        return records.iloc[:0]
    return records[records[measure].notna()]


def _last(records: pd.DataFrame, measure: str) -> tuple[int, float, float] | None:
    """Return the last generation of which faces are kept, its measure and the error of that."""
    known = _kept(records, measure).sort_values(["generation", "seed"])
    if known.empty:
        return None
    last = known[known["generation"] == known["generation"].max()].iloc[0]
    return int(last["generation"]), float(last[measure]), float(last[f"{measure}_error"])


def _spectra(shown: Gallery, chain: str, t: int) -> np.ndarray:
    images = shown.sheet(chain, t).images
    return np.stack([power_spectrum(image[None]) for image in images])


def _with_error(
    measure: Callable[[np.ndarray, np.ndarray], float], later: np.ndarray, first: np.ndarray
) -> tuple[float, float]:
    """Return a measure of mean spectra, and its jackknife error over the pictures."""
    n = len(later)
    found = [
        measure(np.delete(later, i, 0).mean(0), np.delete(first, i, 0).mean(0)) for i in range(n)
    ]
    error = np.sqrt((n - 1) * np.var(found))
    return measure(later.mean(0), first.mean(0)), float(error)
