"""What the paper's figures on digits say, each as a function from records to a verdict."""

import math

import numpy as np
import pandas as pd

from madlab.metrics.failure import Kind, halving, kinds
from madlab.paper.verdict import Claim, Verdict, falls, judge, percent, rises, sooner, stays

# A level is met, or is one, within this share of it.
LEVEL = 0.1
STEADY = 0.8
LEGIBLE_UNTIL = 10
# Fewer generations do not show whether a decay levels off.
LONG = 20


def quality_and_diversity(records: pd.DataFrame) -> Verdict:
    """Judge Fig. 4: without bias FID rises and precision and recall fall."""
    found = kinds(records)
    return judge([rises(found, "fd"), falls(found, "precision"), falls(found, "recall")])


def merging(records: pd.DataFrame) -> Verdict:
    """Judge Figs. 5 and 26: digits leave the real modes, and by generation 10 few are legible."""
    found = kinds(records)
    return judge([falls(found, "density"), falls(found, "read"), _illegible(records)])


def diversity_for_quality(records: pd.DataFrame) -> Verdict:
    """Judge Fig. 6: with bias precision holds, recall falls sooner, FID rises all the same."""
    found = kinds(records)
    biased = [kind for kind in found if kind.bias < 1]
    claims = [stays(biased, "precision"), falls(biased, "recall"), rises(biased, "fd")]
    return judge([*claims, sooner(found)])


def shrinking(records: pd.DataFrame) -> Verdict:
    """Judge Figs. 7 and 27: modes shrink within the real ones and the digits stay legible."""
    found = kinds(records)
    return judge([stays(found, "read"), stays(found, "precision"), falls(found, "recall")])


def augmentation(records: pd.DataFrame) -> Verdict:
    """Judge Fig. 9: fixed real data do not stop the fall at any bias; 0.8 does best."""
    found = kinds(records)
    claims = [rises(found, "fd", "at every λ"), falls(found, "recall", "at every λ")]
    return judge([*claims, sooner(found), _can_rise(found), _best(records, 0.8)])


def bias_grid(records: pd.DataFrame) -> Verdict:
    """Judge Fig. 16: the smaller the bias, the safer precision and the sooner recall falls."""
    found = sorted(kinds(records), key=lambda kind: kind.bias)
    unbiased = [kind for kind in found if kind.bias == 1]
    return judge(
        [
            rises(found, "fd", "at every λ"),
            falls(found, "recall", "at every λ"),
            falls(unbiased, "precision", "at λ = 1"),
            stays(found[:1] if found[:1] != unbiased else [], "precision", "at the smallest λ"),
            sooner(found),
        ]
    )


def one_level(records: pd.DataFrame) -> Verdict:
    """Judge Fig. 10, right: with fresh data FID settles at a level that n_initial does not set.

    - `records`: with a column `n_initial`, the training-set size of generation 1.
    """
    starts = {
        int(str(n)): own.groupby("generation")["fd"].mean().astype(float).sort_index()
        for n, own in _by(records, "n_initial")
    }
    shortest = min((len(curve) for curve in starts.values()), default=0)
    levels = {n: _thirds(curve.iloc[:shortest]) for n, curve in starts.items()}
    if len(levels) < 2 or shortest < 6:
        return judge([])
    ends = [last for _, last in levels.values()]
    found = ", ".join(f"{n:,}: {last:.3g}" for n, (_, last) in levels.items())
    met = max(ends) - min(ends) <= LEVEL * float(np.mean(ends))
    still = all(abs(last / before - 1) <= LEVEL for before, last in levels.values())
    within = f"within {LEVEL:.0%}"
    return judge(
        [
            Claim(f"FD ends at one level for every n_initial, {within} ({found})", met),
            Claim(f"over the last third it is what it was over the one before, {within}", still),
        ]
    )


def long_decay(records: pd.DataFrame) -> Verdict:
    """Judge Fig. 13: over 100 generations of a WGAN-GP scores decay steadily, then level off."""
    found = kinds(records)
    claims = [rises(found, "fd"), falls(found, "precision"), falls(found, "recall")]
    return judge([*claims, *_steady(records)])


def _illegible(records: pd.DataFrame) -> Claim:
    curve = records.groupby("generation")["read"].mean().astype(float).sort_index()
    curve = curve.loc[:LEGIBLE_UNTIL]
    said = f"the read share halves by generation {LEGIBLE_UNTIL}"
    if len(curve) < 2 or curve.isna().any():
        return Claim(said, None)
    words = f"{said} ({curve.iloc[0]:.2f} to {curve.iloc[-1]:.2f} in generation {curve.index[-1]})"
    half = bool(np.isfinite(halving(curve)))
    # A chain that is not that long may still get there.
    return Claim(words, half if half or curve.index[-1] == LEGIBLE_UNTIL else None)


def _can_rise(found: list[Kind]) -> Claim:
    # So near to 1 a rise is small: 1% is one where that is more than two standard errors.
    losses = {kind.bias: kind.losses["precision"] for kind in found if kind.bias < 1}
    numbers = ", ".join(f"λ = {bias:g} {percent(loss)}" for bias, loss in losses.items())
    known = [loss for loss in losses.values() if not math.isnan(loss.lost)]
    rise = any(-loss.lost > np.nanmax([0.01, 2 * loss.error]) for loss in known)
    return Claim(
        f"precision rises at some λ below 1 ({numbers or 'no chains'})", rise if known else None
    )


def _best(records: pd.DataFrame, bias: float) -> Claim:
    last = records[records["generation"] == records["generation"].max()]
    ends = {float(str(b)): float(own["fd"].mean()) for b, own in _by(last, "bias")}
    found = ", ".join(f"λ = {b:g}: {ends[b]:.3g}" for b in sorted(ends, reverse=True))
    held = min(ends, key=lambda b: ends[b]) == bias if bias in ends and len(ends) > 2 else None
    return Claim(f"λ = {bias:g} ends with the lowest FD ({found})", held)


def _steady(records: pd.DataFrame) -> list[Claim]:
    curve = records.groupby("generation")["fd"].mean().astype(float).sort_index()
    said = "FD rises steadily, rank correlation with the generation", "it slows down"
    if len(curve) < LONG:
        return [Claim(f"{said[0]} above {STEADY}", None), Claim(said[1], None)]
    ranks = np.corrcoef(np.arange(len(curve)), curve.rank())[0, 1]
    start, middle, end = (float(curve.iloc[i]) for i in (0, len(curve) // 2, -1))
    slows = f"{said[1]} ({start:.3g}, half-way {middle:.3g}, at the end {end:.3g})"
    return [
        Claim(f"{said[0]} above {STEADY} ({ranks:.2f})", bool(ranks > STEADY)),
        Claim(slows, middle > start and end - middle < middle - start),
    ]


def _thirds(curve: pd.Series) -> tuple[float, float]:
    third = max(1, len(curve) // 3)
    return float(curve.iloc[-2 * third : -third].mean()), float(curve.iloc[-third:].mean())


def _by(records: pd.DataFrame, column: str) -> list[tuple[object, pd.DataFrame]]:
    return [(key, own) for key, own in records.groupby(column)] if column in records else []
