"""Which failure goes with which family of models: what chains lose, and how soon."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

# Quality, then diversity, then the distance that sees both.
COMPARED = ("precision", "density", "read", "recall", "fd")
LEAST_SHARE, LEAST_ERRORS = 0.05, 2.0

_KIND = ["family", "loop", "bias"]
_APART = "give records of one setting, or a column 'family' that tells settings apart"
_SIZES = ["n_real", "n_synthetic", "n_evaluate", "features"]


class Change(NamedTuple):
    """How one score changes between the ends of chains that differ in their seed alone.

    - `lost`: 1 - last / first, mean over seeds: 1 is all of it, below 0 it grew; NaN where a first
      score is 0 or not defined, and where there is one generation only.
    - `error`: the standard error of that mean; NaN for one seed.
    - `trend`: "falls" or "rises" where the mean is more than 5% and more than 2 standard errors
      away from 0, "holds" where it is not, "one seed" where no error is known, "" where `lost` is
      NaN.
    - `halves`: in how many generations after the first the score halves, median over seeds, with
      straight lines between generations; infinite where it does not within those there are.
    """

    lost: float
    error: float
    trend: str
    halves: float

    @property
    def percent(self) -> str:
        """The change with its standard error where it is known, such as "−25 ± 2%"."""
        if math.isnan(self.lost):
            return "not scored"
        error = "" if math.isnan(self.error) else f" ± {100 * self.error:.0f}"
        return f"{signed(self.lost)}{error}%"

    @property
    def soon(self) -> str:
        """In how many generations it halves, in words; `percent` where it does not."""
        return f"halves in {self.halves:.1f}" if math.isfinite(self.halves) else self.percent


def signed(lost: float) -> str:
    """Return a loss as a change in per cent, with a true minus sign and no sign on a zero."""
    return f"{-100 * lost:+z.0f}".replace("-", "−").replace("+0", "0")


class Replicates(NamedTuple):
    """Chains that differ in their seed alone, and how their scores change.

    - `family`, `loop`, `bias`: what they have in common; `seeds`: how many there are.
    - `generations`: the last generation that all of them have reached; changes are up to there.
    - `changes`: by score, those of `COMPARED` or what was asked for.
    """

    family: str
    loop: str
    bias: float
    seeds: int
    generations: int
    changes: dict[str, Change]


def failures(records: pd.DataFrame) -> pd.DataFrame:
    """Return what every family loses in every loop, at every bias, score by score.

    - `records`: one row a generation, as `Chain.records()` gives them, of any number of chains and
      seeds. A column `family`, where there is one, names the kind of model; otherwise `model` does.

    Returns one row for each family, loop, bias and score of `COMPARED`: the fields of `Replicates`,
    `score` and the fields of `Change`.

    Raises ValueError where a chain lacks a generation between 1 and its last, where one is there
    twice, and where seeds that belong together have other sizes or features.
    """
    rows = [
        [*own[:-1], score, *change]
        for own in replicates(records)
        for score, change in own.changes.items()
    ]
    return pd.DataFrame(rows, columns=[*Replicates._fields[:-1], "score", *Change._fields])


def replicates(records: pd.DataFrame, scores: Sequence[str] = COMPARED) -> list[Replicates]:
    """Return the same as `failures`, one for each family, loop and bias, in their order.

    - `scores`: the columns whose changes are wanted.
    """
    found = []
    # Rows of all columns, configurations among them, take several times as long to group.
    read = list(dict.fromkeys([*_KIND, "seed", "generation", *_SIZES, *scores]))
    for _, rows in with_family(records)[read].groupby(_KIND, sort=False):
        family, loop, bias = rows[_KIND].iloc[0]
        chains = _chains(rows, f"{family}, {loop}, bias {bias:g}")
        last = int(min(chain.index.max() for chain in chains))
        changes = {
            score: _change([chain.loc[:last, score].astype(float) for chain in chains])
            for score in scores
        }
        found.append(Replicates(family, loop, bias, len(chains), last, changes))
    return found


def with_family(records: pd.DataFrame) -> pd.DataFrame:
    """Return each record once, with a column `family`, the model's name unless it is there."""
    once = records.drop_duplicates("id") if "id" in records else records
    return once if "family" in once else once.assign(family=once["model"])


def halving(scores: pd.Series) -> float:
    """Return in how many generations a score halves, on straight lines; infinity where it never.

    - `scores`: numbers by generation, in order; the first above 0.
    """
    half = scores.iloc[0] / 2
    low = np.flatnonzero(scores.to_numpy() <= half)
    if not len(low):
        return math.inf
    t, y, i = scores.index.to_numpy(float), scores.to_numpy(float), low[0]
    return float(t[i - 1] + (t[i] - t[i - 1]) * (y[i - 1] - half) / (y[i - 1] - y[i]) - t[0])


def _change(chains: list[pd.Series]) -> Change:
    first = np.array([chain.iloc[0] for chain in chains])
    last = np.array([chain.iloc[-1] for chain in chains])
    # A share of nothing is not defined, nor is a loss between a generation and itself.
    known = (first > 0) & (len(chains[0]) > 1)
    losses = 1 - last / np.where(known, first, np.nan)
    n, lost = len(losses), float(np.mean(losses))
    error = float(np.std(losses, ddof=1) / np.sqrt(n)) if n > 1 else math.nan
    if np.isnan(lost):
        return Change(lost, error, "", math.nan)
    halves = float(np.median([halving(chain) for chain in chains]))
    if n < 2:
        return Change(lost, error, "one seed", halves)
    sure = abs(lost) > max(LEAST_SHARE, LEAST_ERRORS * error)
    return Change(lost, error, ("falls" if lost > 0 else "rises") if sure else "holds", halves)


def _chains(records: pd.DataFrame, name: str) -> list[pd.DataFrame]:
    """Return chains that differ in their seed, by generation, or raise where they do not fit."""
    chains = []
    for seed, chain in records.groupby("seed"):
        by_t = chain.set_index("generation").sort_index()
        twice = by_t.index[by_t.index.duplicated()]
        if len(twice):
            raise ValueError(
                f"generation {twice[0]} of {name}, seed {seed}, is there more than once; {_APART}"
            )
        missing = np.setdiff1d(np.arange(1, by_t.index[-1]), by_t.index)
        if len(missing):
            raise ValueError(
                f"generation {missing[0]} of {name}, seed {seed}, is missing; give records of "
                "every generation from 1 on, as losses and halvings are counted through them"
            )
        chains.append(by_t)
    differ = records.groupby("generation")[_SIZES].nunique().max()
    if (differ > 1).any():
        wrong = ", ".join(differ.index[differ > 1])
        raise ValueError(f"the seeds of {name} differ in {wrong}; {_APART}")
    return chains
