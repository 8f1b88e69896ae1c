"""Claims about records, each a sentence with its number, and the verdict they come to."""

import math
from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from typing import NamedTuple

from madlab.metrics.failure import LEAST_ERRORS, LEAST_SHARE, Kind, Loss
from madlab.plots.lines import METRICS, PICTURE_METRICS

_NAMES = {**PICTURE_METRICS, **METRICS, "fd": "FD", "distance": "pairwise distance"}
HELD, IN_PART, NOT_HELD, NOT_RUN = "held", "held in part", "did not hold", "not run yet"


class Claim(NamedTuple):
    """One thing that the paper shows, and whether it is so here.

    - `said`: the claim, then what was found, in brackets.
    - `held`: None where there are no records that could tell.
    """

    said: str
    held: bool | None


class Verdict(NamedTuple):
    """Whether a figure's trend held, and what was found.

    - `held`: "held" where every claim does, "did not hold" where none does, "not run yet" where
      no claim could be judged, else "held in part".
    - `said`: each claim with its numbers and yes, no or not run.
    """

    held: str
    said: str


def judge(claims: Sequence[Claim]) -> Verdict:
    """Return the verdict that claims come to."""
    known = [claim.held for claim in claims if claim.held is not None]
    if not known:
        return Verdict(NOT_RUN, "there are no records that could tell")
    answers = {True: "yes", False: "no", None: "not run"}
    said = "; ".join(f"{claim.said}: {answers[claim.held]}" for claim in claims)
    # What was not run leaves a figure open, however well the rest held.
    whole = HELD if len(known) == len(claims) else IN_PART
    held = whole if all(known) else IN_PART if any(known) else NOT_HELD
    return Verdict(held, said)


def falls(kinds: Iterable[Kind], score: str, where: str = "") -> Claim:
    """Return the claim that a score falls in all of these kinds.

    It falls where `madlab.metrics.failures` says so; of a single seed, by more than 5%.
    """
    return _every(kinds, score, where, "falls", lambda loss: _sure(loss, "falls"))


def rises(kinds: Iterable[Kind], score: str, where: str = "") -> Claim:
    """Return the claim that a score rises in all of these kinds, as for `falls`."""
    return _every(kinds, score, where, "rises", lambda loss: _sure(loss, "rises"))


def stays(kinds: Iterable[Kind], score: str, where: str = "") -> Claim:
    """Return the claim that a score falls in none of these kinds, as for `falls`."""
    return _every(kinds, score, where, "does not fall", lambda loss: not _sure(loss, "falls"))


def sooner(kinds: Iterable[Kind], score: str = "recall") -> Claim:
    """Return the claim that a score falls sooner the smaller the bias.

    Sooner is in fewer generations until it has halved; where neither of two biases gets there, a
    larger share lost.
    """
    order = sorted(kinds, key=lambda kind: -kind.bias)
    losses = [kind.losses[score] for kind in order]
    found = ", ".join(
        f"λ = {kind.bias:g} {_soon(loss)}" for kind, loss in zip(order, losses, strict=True)
    )
    words = f"{name(score)} falls sooner the smaller λ"
    if len(losses) < 2 or any(math.isnan(loss.lost) for loss in losses):
        return Claim(f"{words} ({found or 'no chains'})", None)
    held = all(_is_sooner(b, a) for a, b in pairwise(losses))
    return Claim(f"{words} ({found})", held)


def less(kind: Kind | None, other: Kind | None, score: str, verb: str, than: str) -> Claim:
    """Return the claim that a score changes less in one kind than in another.

    Less is by over two standard errors of the difference, where both are known.

    - `kind`, `other`: of as many generations; None where there are no records.
    - `verb`: "rises" or "falls"; `than`: what the other is, in words.
    """
    said = f"{name(score)} {verb} less than {than}"
    if kind is None or other is None:
        return Claim(said, None)
    a, b = kind.losses[score], other.losses[score]
    words = f"{said} ({percent(a)} and {percent(b)})"
    if math.isnan(a.lost) or math.isnan(b.lost):
        return Claim(words, None)
    more = (b.lost - a.lost) * (1 if verb == "falls" else -1)
    error = math.hypot(a.error, b.error)
    return Claim(words, more > (0 if math.isnan(error) else LEAST_ERRORS * error))


def name(score: str) -> str:
    """Return what claims call a score."""
    return _NAMES[score].split(" (")[0]


def percent(loss: Loss) -> str:
    """Return the change of a score in percent, with its standard error where it is known."""
    if math.isnan(loss.lost):
        return "not scored"
    error = "" if math.isnan(loss.error) else f" ± {100 * loss.error:.0f}"
    return f"{-100 * loss.lost:+.0f}{error}%".replace("-", "−")


def _sure(loss: Loss, way: str) -> bool:
    lost = loss.lost if way == "falls" else -loss.lost
    return loss.trend == way or (loss.trend == "one seed" and lost > LEAST_SHARE)


def _every(
    kinds: Iterable[Kind], score: str, where: str, verb: str, test: Callable[[Loss], bool]
) -> Claim:
    found = list(kinds)
    losses = [kind.losses[score] for kind in found]
    many = len({kind.bias for kind in found}) > 1
    numbers = ", ".join(
        f"λ = {kind.bias:g} {percent(loss)}" if many else percent(loss)
        for kind, loss in zip(found, losses, strict=True)
    )
    said = f"{name(score)} {verb}{f' {where}' if where else ''} ({numbers or 'no chains'})"
    if not losses or any(math.isnan(loss.lost) for loss in losses):
        return Claim(said, None)
    return Claim(said, all(test(loss) for loss in losses))


def _soon(loss: Loss) -> str:
    return f"halves in {loss.halves:.1f}" if math.isfinite(loss.halves) else percent(loss)


def _is_sooner(one: Loss, other: Loss) -> bool:
    if math.isfinite(one.halves) or math.isfinite(other.halves):
        return one.halves < other.halves
    return one.lost > other.lost
