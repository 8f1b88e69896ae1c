"""Claims in words, such as "recall falls at every λ", judged on records.

A claim is a score and words: a verb of `VERBS` and where it holds, of `WHERE`; a row of `OTHERS`;
or, of a grid over faces, of `OF_GRIDS`.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import pandas as pd

from madlab.findings.changes import LEAST_ERRORS, LEAST_SHARE, Change, halving, replicates
from madlab.findings.records import GRIDS
from madlab.metrics.scores import SCORES, score_label

HELD, IN_PART, NOT_HELD, NOT_RUN = "held", "held in part", "did not hold", "not run yet"
# A level is met, or is one, within this share of it.
LEVEL = 0.1
STEADY = 0.8
# Fewer generations do not show whether a decay levels off.
LONG = 20


class Claim(NamedTuple):
    """One thing that the paper shows, and whether it is so here.

    - `text`: the claim, then what was found, in brackets.
    - `holds`: None where there are no records that could tell.
    """

    text: str
    holds: bool | None


class Conclusion(NamedTuple):
    """Whether a figure's trend held, and what was found.

    - `result`: "held" where every claim holds, "did not hold" where none does, "not run yet" where
      no claim could be judged, else "held in part".
    - `text`: each claim with its numbers and yes, no or not run.
    """

    result: str
    text: str


def conclude(claims: Iterable[Claim]) -> Conclusion:
    """Return what claims come to."""
    found = list(claims)
    known = [claim.holds for claim in found if claim.holds is not None]
    if not known:
        return Conclusion(NOT_RUN, "there are no records that could tell")
    answers = {True: "yes", False: "no", None: "not run"}
    text = "; ".join(f"{claim.text}: {answers[claim.holds]}" for claim in found)
    # What was not run leaves a figure open, however well the rest held.
    whole = HELD if len(known) == len(found) else IN_PART
    return Conclusion(whole if all(known) else IN_PART if any(known) else NOT_HELD, text)


class Evidence(NamedTuple):
    """Chains of one family in one loop, and those in another."""

    records: pd.DataFrame
    compared: pd.DataFrame


# What was found, in words, and whether the claim holds; None where that cannot be told.
Found = tuple[str, bool | None]
Measure = Callable[[Evidence, str], Found]
Biases = Callable[[list[float]], list[float]]


def judge(claims: Sequence[str], records: pd.DataFrame, against: str = "") -> list[Claim]:
    """Return these claims with what was found, and whether each holds.

    A score falls or rises where `failures` says so; of a single seed, by more than 5%.

    - `claims`: in words, as in figures.toml.
    - `records`: as `frame` gives them, of one family.
    - `against`: the loop that the others are compared with, where a claim does.
    """
    other = records["loop"] == against
    evidence, judged = Evidence(records[~other], records[other]), []
    for claim in claims:
        score, words = claim.split(" ", 1)
        found, holds = how(score, words)(evidence, score)
        text = f"{_name(score)} {words}".replace("the other loop", f"the {against} loop")
        judged.append(Claim(f"{text} ({found})" if found else text, holds))
    return judged


def how(score: str, words: str) -> Measure:
    """Return how a claim is judged; raises KeyError for words that no table has."""
    if score in GRIDS:
        return OF_GRIDS[words]
    if words in OTHERS:
        return OTHERS[words]
    where = next(where for where in WHERE if words.endswith(where))
    verb = words.removesuffix(where).rstrip()
    return partial(_verb, so=VERBS[verb], chosen=WHERE[where])


def _name(score: str) -> str:
    named = score_label(score, short=True).split(" / ")[0] if score in SCORES else score
    return GRIDS.get(score, named)


def _verb(evidence: Evidence, score: str, so: Callable[[Change], bool], chosen: Biases) -> Found:
    every = _changes(evidence.records, score)
    changes = {bias: every[bias] for bias in chosen([*every])}
    found = _listed(changes) if len(changes) != 1 else next(iter(changes.values())).percent
    return found, all(map(so, changes.values())) if _all_known(changes) else None


def _moves(change: Change, way: str) -> bool:
    lost = change.lost if way == "falls" else -change.lost
    return change.trend == way or (change.trend == "one seed" and lost > LEAST_SHARE)


VERBS: dict[str, Callable[[Change], bool]] = {
    "falls": lambda change: _moves(change, "falls"),
    "rises": lambda change: _moves(change, "rises"),
    "does not fall": lambda change: not _moves(change, "falls"),
}
# Of which biases; words that say nothing of them come last.
WHERE: dict[str, Biases] = {
    "at every λ": list,
    "at λ = 1": lambda biases: [bias for bias in biases if bias == 1],
    "at the smallest λ": lambda biases: [bias for bias in sorted(biases)[:1] if bias < 1],
    "with bias": lambda biases: [bias for bias in biases if bias < 1],
    "": list,
}


def _changes(records: pd.DataFrame, score: str) -> dict[float, Change]:
    return {run.bias: run.changes[score] for run in replicates(records, [score])}


def _listed(changes: dict[float, Change], said: str = "percent") -> str:
    found = (f"λ = {bias:g} {getattr(change, said)}" for bias, change in changes.items())
    return ", ".join(found) or "no chains"


def _all_known(changes: dict[float, Change]) -> bool:
    return bool(changes) and not any(math.isnan(change.lost) for change in changes.values())


def _sooner(evidence: Evidence, score: str) -> Found:
    """In fewer generations until it has halved; where neither bias gets there, more of it lost."""
    changes = dict(sorted(_changes(evidence.records, score).items(), reverse=True))
    order = [(one.halves, -one.lost if math.isinf(one.halves) else 0) for one in changes.values()]
    known = len(changes) > 1 and _all_known(changes)
    return _listed(changes, "soon"), all(b < a for a, b in pairwise(order)) if known else None


def _less(evidence: Evidence, score: str, sign: int) -> Found:
    """Less by over two standard errors of the difference, where both are known."""
    ends = [_changes(part, score) for part in evidence]
    if not all(ends):
        return "", None
    own, other = (next(iter(changes.values())) for changes in ends)
    more = sign * (other.lost - own.lost)
    error = np.nan_to_num(math.hypot(own.error, other.error))
    holds = None if math.isnan(more) else bool(more > LEAST_ERRORS * error)
    return f"{own.percent} and {other.percent}", holds


def _halves(evidence: Evidence, score: str, by: int) -> Found:
    curve = _curve(evidence.records, score).loc[:by]
    if len(curve) < 2 or curve.isna().any():
        return "", None
    last, half = curve.index[-1], bool(np.isfinite(halving(curve)))
    # A chain that is not that long may still get there.
    holds = half if half or last == by else None
    return f"{curve.iloc[0]:.2f} to {curve.iloc[-1]:.2f} in generation {last}", holds


def _curve(records: pd.DataFrame, score: str) -> pd.Series:
    """Return the means of a score over chains, by generation."""
    return records.groupby("generation")[score].mean().astype(float).sort_index()


def _can_rise(evidence: Evidence, score: str) -> Found:
    # So near to 1 a rise is small: 1% is one where that is more than two standard errors.
    changes = {b: one for b, one in _changes(evidence.records, score).items() if b < 1}
    known = [change for change in changes.values() if not math.isnan(change.lost)]
    rise = any(-change.lost > np.nanmax([0.01, 2 * change.error]) for change in known)
    return _listed(changes), rise if known else None


def _ends_lowest(evidence: Evidence, score: str, best: float) -> Found:
    records = evidence.records
    last = records[records["generation"] == records["generation"].max()]
    ends = last.groupby("bias")[score].mean()
    found = ", ".join(f"λ = {bias:g}: {end:.3g}" for bias, end in ends[::-1].items())
    return found, bool(ends.idxmin() == best) if best in ends and len(ends) > 2 else None


def _one_level(evidence: Evidence, score: str) -> Found:
    ends = {n: last for n, (_, last) in _levels(evidence.records, score).items()}
    found = ", ".join(f"{n:,}: {last:.3g}" for n, last in ends.items())
    levels = [*ends.values()]
    return found, np.ptp(levels) <= LEVEL * float(np.mean(levels)) if levels else None


def _settles(evidence: Evidence, score: str) -> Found:
    levels = _levels(evidence.records, score).values()
    still = all(abs(last / before - 1) <= LEVEL for before, last in levels)
    return "", still if levels else None


def _levels(records: pd.DataFrame, score: str) -> dict[int, tuple[float, float]]:
    """Return means over the last third and the one before by n_initial; none of short chains."""
    if "n_initial" not in records:
        return {}
    curves = {int(str(n)): _curve(own, score) for n, own in records.groupby("n_initial")}
    shortest = min(map(len, curves.values()), default=0)
    third = shortest // 3
    if len(curves) < 2 or third < 2:
        return {}
    ends = {n: curve.iloc[shortest - 2 * third : shortest] for n, curve in curves.items()}
    return {n: (float(end[:third].mean()), float(end[third:].mean())) for n, end in ends.items()}


def _steadily(evidence: Evidence, score: str) -> Found:
    curve = _curve(evidence.records, score)
    if len(curve) < LONG:
        return "", None
    ranks = np.corrcoef(np.arange(len(curve)), curve.rank())[0, 1]
    return f"{ranks:.2f}", bool(ranks > STEADY)


def _slows_down(evidence: Evidence, score: str) -> Found:
    curve = _curve(evidence.records, score)
    if len(curve) < LONG:
        return "", None
    start, middle, end = (float(curve.iloc[i]) for i in (0, len(curve) // 2, -1))
    found = f"{start:.3g}, half-way {middle:.3g}, at the end {end:.3g}"
    return found, middle > start and end - middle < middle - start


OTHERS: dict[str, Measure] = {
    "falls sooner the smaller λ": _sooner,
    "falls less than in the other loop": partial(_less, sign=1),
    "rises less than in the other loop": partial(_less, sign=-1),
    "halves by generation 10": partial(_halves, by=10),
    "rises at some λ below 1": _can_rise,
    "ends lowest at λ = 0.8": partial(_ends_lowest, best=0.8),
    f"ends at one level for every n_initial, within {LEVEL:.0%}": _one_level,
    f"is over the last third what it was over the one before, within {LEVEL:.0%}": _settles,
    f"rises steadily, rank correlation with the generation above {STEADY}": _steadily,
    "slows down": _slows_down,
}


# What is claimed of a grid over faces, as multiples of what generation 1 has.


def _grows(evidence: Evidence, score: str, wanted: bool) -> Found:
    """Where the last faces kept have over 5% and two standard errors more than generation 1."""
    found, grids = _grids(score, evidence.records)
    grown = [value - 1 > max(LEAST_SHARE, LEAST_ERRORS * error) for value, error in grids]
    return found, grown == [wanted] if grids else None


def _lower(evidence: Evidence, score: str) -> Found:
    found, grids = _grids(score, *evidence)
    if not grids:
        return found, None
    (a, e), (b, f) = grids
    return found, b - a > LEAST_ERRORS * math.hypot(e, f)


def _grids(score: str, *parts: pd.DataFrame) -> tuple[str, list[tuple[float, float]]]:
    """Return each part's grid and its error in the last generation whose faces all have."""
    known = [
        part.dropna(subset=score)
        .sort_values(["generation", "seed"], kind="stable")
        .drop_duplicates("generation")
        for part in parts
        if score in part
    ]
    shared = set.intersection(*(set(part["generation"]) for part in known)) if known else set()
    if not shared:
        return "no faces", []
    rows = [part.set_index("generation").loc[max(shared)] for part in known]
    grids = [(float(row[score]), float(row[f"{score}_error"])) for row in rows]
    found = " and ".join(f"× {value:.2f} ± {error:.2f}" for value, error in grids)
    return f"{found} in generation {max(shared)}", grids


OF_GRIDS: dict[str, Measure] = {
    "rises": partial(_grows, wanted=True),
    "does not rise": partial(_grows, wanted=False),
    "is lower than in the other loop": _lower,
}
