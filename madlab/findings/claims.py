"""Claims in words, such as "recall falls at every λ", judged on records.

A claim is a score, a verb and where it holds. `VERBS` and `WHERE` say what these can be, and
`OTHERS` what else can be claimed of a score.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import pandas as pd

from madlab.findings.changes import LEAST_ERRORS, LEAST_SHARE, Change, halving, replicates
from madlab.findings.grids import GRIDS, kept
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


def name(score: str) -> str:
    """Return what claims call a score."""
    return score_label(score, short=True).split(" / ")[0] if score in SCORES else score


def percent(change: Change) -> str:
    """Return a change in percent, with its standard error where it is known."""
    if math.isnan(change.lost):
        return "not scored"
    error = "" if math.isnan(change.error) else f" ± {100 * change.error:.0f}"
    return f"{-100 * change.lost:+.0f}{error}%".replace("-", "−")


class Evidence(NamedTuple):
    """What a claim is judged on: chains of one family in one loop, and in another, `against`."""

    records: pd.DataFrame
    compared: pd.DataFrame
    against: str


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


def judge(claims: Sequence[str], records: pd.DataFrame, against: str = "") -> list[Claim]:
    """Return these claims with what was found, and whether each holds.

    A score falls or rises where `failures` says so; of a single seed, by more than 5%.

    - `claims`: in words, as in figures.toml.
    - `records`: as `frame` gives them, of one family.
    - `against`: the loop that the others are compared with, where a claim does.
    """
    other = records["loop"] == against
    evidence = Evidence(records[~other], records[other], against)
    return [_judged(claim, evidence) for claim in claims]


def _judged(claim: str, evidence: Evidence) -> Claim:
    score, words = claim.split(" ", 1)
    if words in OTHERS:
        return OTHERS[words](evidence, score)
    if score in GRIDS:
        return _grid_grows(evidence, score, words == "rises")
    verb, _, where = words.partition(" ")
    (said, test), (place, chosen) = VERBS[verb], WHERE[where]
    every = _changes(evidence.records, score)
    changes = {bias: every[bias] for bias in chosen([*every])}
    found = _listed(changes) if len(changes) != 1 else percent(*changes.values())
    text = f"{name(score)} {said}{place} ({found})"
    return Claim(text, all(map(test, changes.values())) if _all_known(changes) else None)


def _changes(records: pd.DataFrame, score: str) -> dict[float, Change]:
    return {run.bias: run.changes[score] for run in replicates(records, [score])}


def _listed(changes: dict[float, Change], said: Callable[[Change], str] = percent) -> str:
    found = ", ".join(f"λ = {bias:g} {said(change)}" for bias, change in changes.items())
    return found or "no chains"


def _all_known(changes: dict[float, Change]) -> bool:
    return bool(changes) and not any(math.isnan(change.lost) for change in changes.values())


def _curve(records: pd.DataFrame, score: str) -> pd.Series:
    """Return the means of a score over chains, by generation."""
    return records.groupby("generation")[score].mean().astype(float).sort_index()


def _moves(change: Change, way: str) -> bool:
    lost = change.lost if way == "falls" else -change.lost
    return change.trend == way or (change.trend == "one seed" and lost > LEAST_SHARE)


# What is said of a score, and when it is so.
VERBS: dict[str, tuple[str, Callable[[Change], bool]]] = {
    "falls": ("falls", lambda change: _moves(change, "falls")),
    "rises": ("rises", lambda change: _moves(change, "rises")),
    "stays": ("does not fall", lambda change: not _moves(change, "falls")),
}
# Where it is so, in words, and which biases are meant.
WHERE: dict[str, tuple[str, Callable[[list[float]], list[float]]]] = {
    "": ("", list),
    "at every λ": (" at every λ", list),
    "at every λ, smallest first": (" at every λ", sorted),
    "at λ = 1": (" at λ = 1", lambda biases: [bias for bias in biases if bias == 1]),
    "at the smallest λ": (
        " at the smallest λ",
        lambda biases: [bias for bias in sorted(biases)[:1] if bias < 1],
    ),
    "with bias": ("", lambda biases: [bias for bias in biases if bias < 1]),
}


def _sooner(evidence: Evidence, score: str) -> Claim:
    """In fewer generations until it has halved; where neither bias gets there, more of it lost."""
    changes = dict(sorted(_changes(evidence.records, score).items(), reverse=True))
    text = f"{name(score)} falls sooner the smaller λ ({_listed(changes, _soon)})"
    if len(changes) < 2 or not _all_known(changes):
        return Claim(text, None)
    order = [(one.halves, -one.lost if math.isinf(one.halves) else 0) for one in changes.values()]
    return Claim(text, all(b < a for a, b in pairwise(order)))


def _soon(change: Change) -> str:
    return f"halves in {change.halves:.1f}" if math.isfinite(change.halves) else percent(change)


def _less(evidence: Evidence, score: str, verb: str) -> Claim:
    """Less by over two standard errors of the difference, where both are known."""
    text = f"{name(score)} {verb} less than in the {evidence.against} loop"
    ends = [_changes(part, score) for part in (evidence.records, evidence.compared)]
    if not all(ends):
        return Claim(text, None)
    own, other = (next(iter(changes.values())) for changes in ends)
    text = f"{text} ({percent(own)} and {percent(other)})"
    more = (other.lost - own.lost) * (1 if verb == "falls" else -1)
    error = np.nan_to_num(math.hypot(own.error, other.error))
    return Claim(text, None if math.isnan(more) else bool(more > LEAST_ERRORS * error))


def _halves(evidence: Evidence, score: str, by: int) -> Claim:
    curve = _curve(evidence.records, score).loc[:by]
    text = f"the {name(score)} halves by generation {by}"
    if len(curve) < 2 or curve.isna().any():
        return Claim(text, None)
    ends = f"{curve.iloc[0]:.2f} to {curve.iloc[-1]:.2f} in generation {curve.index[-1]}"
    half = bool(np.isfinite(halving(curve)))
    # A chain that is not that long may still get there.
    return Claim(f"{text} ({ends})", half if half or curve.index[-1] == by else None)


def _can_rise(evidence: Evidence, score: str) -> Claim:
    # So near to 1 a rise is small: 1% is one where that is more than two standard errors.
    changes = {b: one for b, one in _changes(evidence.records, score).items() if b < 1}
    known = [change for change in changes.values() if not math.isnan(change.lost)]
    rise = any(-change.lost > np.nanmax([0.01, 2 * change.error]) for change in known)
    text = f"{name(score)} rises at some λ below 1 ({_listed(changes)})"
    return Claim(text, rise if known else None)


def _ends_lowest(evidence: Evidence, score: str, bias: float) -> Claim:
    records = evidence.records
    last = records[records["generation"] == records["generation"].max()]
    ends = last.groupby("bias")[score].mean()
    found = ", ".join(f"λ = {b:g}: {end:.3g}" for b, end in ends[::-1].items())
    holds = bool(ends.idxmin() == bias) if bias in ends and len(ends) > 2 else None
    return Claim(f"λ = {bias:g} ends with the lowest {name(score)} ({found})", holds)


def _one_level(evidence: Evidence, score: str) -> Claim:
    levels = _levels(evidence.records, score)
    ends = [last for _, last in levels.values()]
    found = ", ".join(f"{n:,}: {last:.3g}" for n, last in zip(levels, ends, strict=True))
    text = f"{name(score)} ends at one level for every n_initial, within {LEVEL:.0%} ({found})"
    return Claim(text, max(ends) - min(ends) <= LEVEL * float(np.mean(ends)) if ends else None)


def _settles(evidence: Evidence, score: str) -> Claim:
    levels = _levels(evidence.records, score).values()
    text = f"over the last third it is what it was over the one before, within {LEVEL:.0%}"
    still = all(abs(last / before - 1) <= LEVEL for before, last in levels)
    return Claim(text, still if levels else None)


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


def _steadily(evidence: Evidence, score: str) -> Claim:
    curve = _curve(evidence.records, score)
    text = f"{name(score)} rises steadily, rank correlation with the generation above {STEADY}"
    if len(curve) < LONG:
        return Claim(text, None)
    ranks = np.corrcoef(np.arange(len(curve)), curve.rank())[0, 1]
    return Claim(f"{text} ({ranks:.2f})", bool(ranks > STEADY))


def _slows_down(evidence: Evidence, score: str) -> Claim:
    curve = _curve(evidence.records, score)
    if len(curve) < LONG:
        return Claim("it slows down", None)
    start, middle, end = (float(curve.iloc[i]) for i in (0, len(curve) // 2, -1))
    text = f"it slows down ({start:.3g}, half-way {middle:.3g}, at the end {end:.3g})"
    return Claim(text, middle > start and end - middle < middle - start)


def _grid_grows(evidence: Evidence, score: str, wanted: bool) -> Claim:
    """Where the last faces kept have over 5% and two standard errors more than generation 1."""
    text = f"{GRIDS[score]} {'rises' if wanted else 'does not rise'}"
    found = _grids(score, evidence.records)
    if found is None:
        return Claim(f"{text} (no faces)", None)
    t, [(value, error)] = found
    grown = value - 1 > max(LEAST_SHARE, LEAST_ERRORS * error)
    return Claim(f"{text} (× {value:.2f} ± {error:.2f} in generation {t})", grown == wanted)


def _grid_lower(evidence: Evidence, score: str) -> Claim:
    text = f"{GRIDS[score]} is lower than in the {evidence.against} loop"
    found = _grids(score, evidence.records, evidence.compared)
    if found is None:
        return Claim(f"{text} (no faces)", None)
    t, [(a, e), (b, f)] = found
    text = f"{text} (× {a:.2f} ± {e:.2f} and × {b:.2f} ± {f:.2f} in generation {t})"
    return Claim(text, b - a > LEAST_ERRORS * math.hypot(e, f))


def _grids(score: str, *records: pd.DataFrame) -> tuple[int, list[tuple[float, float]]] | None:
    """Return the last generation whose faces all have, then each one's grid with its error."""
    known = [kept(one, score).drop_duplicates("generation") for one in records]
    shared = set.intersection(*(set(one["generation"]) for one in known))
    if not shared:
        return None
    rows = [one.set_index("generation").loc[max(shared)] for one in known]
    return max(shared), [(float(row[score]), float(row[f"{score}_error"])) for row in rows]


# What else is claimed of a score.
OTHERS: dict[str, Callable[[Evidence, str], Claim]] = {
    "falls sooner the smaller λ": _sooner,
    "falls less than in the other loop": partial(_less, verb="falls"),
    "rises less than in the other loop": partial(_less, verb="rises"),
    "halves by generation 10": partial(_halves, by=10),
    "rises at some λ below 1": _can_rise,
    "ends lowest at λ = 0.8": partial(_ends_lowest, bias=0.8),
    "ends at one level for every n_initial": _one_level,
    "settles": _settles,
    "rises steadily": _steadily,
    "slows down": _slows_down,
    "is lower than in the other loop": _grid_lower,
}
