"""What the paper's figures on Gaussians and toys say, judged on stored results or on theory.

Stored results are what the scripts in `benchmarks/` wrote, read from JSON.
"""

import functools
from collections.abc import Mapping
from typing import Any

import numpy as np

from madlab.loops import Loop
from madlab.paper.verdict import Claim, Verdict, judge
from madlab.theory import fresh_limit, simulate

Results = Mapping[str, Any]

D = 100
N_SYNTHETIC = (10, 30, 100, 300, 1_000, 3_000, 10_000)
LEVEL = 0.1
STEADY = -0.8


@functools.cache
def limit_of_fresh_data() -> Verdict:
    """Judge Fig. 10, left, by simulation: where the loop settles does not depend on its start."""
    claims = []
    for bias in (1.0, 0.8):
        first, last = [], []
        for n_initial in (100, 1_000):
            loop = Loop.fresh_data(100, 900, n_initial=n_initial)
            w2 = simulate(loop, D, 50, 8, bias=bias, covariances=False).w2.mean(0)
            first.append(w2[0])
            last.append(w2[-10:].mean())
        met = abs(last[1] - last[0]) <= LEVEL * float(np.mean(last))
        said = (
            f"at λ = {bias:g}, W2² from {first[0]:.0f} and {first[1]:.1f} comes to one level "
            f"within {LEVEL:.0%} ({last[0]:.1f} and {last[1]:.1f})"
        )
        claims.append(Claim(said, bool(met)))
    return judge(claims)


def admissible_by_n_real(theory: Results) -> Verdict:
    """Judge Fig. 11 on `theory.json`: a threshold in n_synthetic that stays as n_real grows."""
    ratios = _ratios(theory)
    always = [float(min(row)) for (_, bias), row in ratios.items() if bias == 1]
    claims = [Claim(f"at λ = 1 synthetic points never harm (n_e/n_r ≥ {min(always):.2f})",
                    min(always) >= 1)]  # fmt: skip
    for bias in (0.85, 0.7):
        few, many = (threshold(ratios[n_real, bias]) for n_real in (100, 1_000))
        said = (
            f"at λ = {bias:g} ten times the real points less than double the admissible n_s "
            f"({few:,.0f} to {many:,.0f})"
        )
        claims.append(Claim(said, bool(many < 2 * few)))
    return judge(claims)


def admissible_by_bias(theory: Results) -> Verdict:
    """Judge Fig. 12 on `theory.json`: the smaller the bias, the fewer synthetic points may come."""
    claims = []
    for n_real in (100, 1_000):
        found = {
            bias: threshold(row)
            for (n, bias), row in sorted(_ratios(theory).items())
            if n == n_real and bias < 1
        }
        ends = list(found.values())
        numbers = ", ".join(f"λ = {bias:g}: {n:,.0f}" for bias, n in found.items())
        said = f"at n_r = {n_real:,} the admissible n_s grows with λ ({numbers})"
        claims.append(Claim(said, ends == sorted(ends)))
    return judge(claims)


def modes_vanish(modes: Results) -> Verdict:
    """Judge Fig. 14 on `modes.json`: modes vanish one by one until few of 25 are left."""
    found = modes["run"]["verdicts"]
    left = max(found["alive, last over first"])
    at_once = max(found["modes lost at most within 20 generations"])
    back = found["share of 20-generation steps with modes coming back"]
    return judge(
        [
            Claim(f"under half of the modes are left in every chain (at most {left:.0%})",
                  left < 0.5),
            Claim(f"they go a few at a time (at most {at_once:g} of 25 in 20 generations)",
                  at_once <= 5),
            Claim(f"they do not come back (in {back:.1%} of 20-generation steps)", back < 0.05),
        ]
    )  # fmt: skip


def diversity_by_recall(modes: Results) -> Verdict:
    """Judge Fig. 15 on `modes.json`: recall and modal variance fall smoothly, the total does not.

    Smoothly is a rank correlation with the generation below -0.8 in every chain.
    """
    found = modes["run"]["verdicts"]
    claims = []
    names = {"recall": "recall", "modal_variance": "variance within modes"}
    for key, name in names.items():
        worst = max(found[f"{key}, rank correlation with the generation"])
        said = f"{name} falls smoothly in every chain (rank correlation at most {_signed(worst)})"
        claims.append(Claim(said, worst < STEADY))
    total = max(found["total_variance, rank correlation with the generation"])
    said = f"total variance does not (up to {_signed(total)})"
    return judge([*claims, Claim(said, total >= STEADY)])


def tails(coupling: Results) -> Verdict:
    """Judge Fig. 17 on `coupling.json`: tails go at either bias, sooner with bias."""
    kept = {}
    for bias in ("1", "0.75"):
        chains = [
            rows for name, rows in coupling["loops"].items()
            if name.startswith(f"bias {bias}, seed") and "rate" not in name
        ]  # fmt: skip
        kept[bias] = np.mean([rows[-1]["beyond 2"] / rows[0]["beyond 2"] for rows in chains])
    words = "of the points beyond 2 standard deviations are left after the last generation"
    return judge(
        [
            Claim(f"at λ = 1 tails are lost ({kept['1']:.0%} {words})", bool(kept["1"] < 0.95)),
            Claim(f"at λ = 0.75 too ({kept['0.75']:.0%})", bool(kept["0.75"] < 0.95)),
            Claim("more of them with bias", bool(kept["0.75"] < kept["1"])),
        ]
    )


def memory(theory: Results) -> Verdict:
    """Judge Fig. 30 on `theory.json`: samples of more earlier models help, with less and less."""
    found = theory["tables"]["Fig. 30 at d = 4: memory to ratio, its error, closed form"]
    k = np.array([int(key) for key in found], float)
    worth = np.array([value[0] for value in found.values()])
    slopes = np.diff(worth) / np.diff(k)
    numbers = ", ".join(f"K = {a:g}: {b:.2f}" for a, b in zip(k, worth, strict=True))
    return judge(
        [
            Claim(f"n_e/n_r grows with the memory K ({numbers})", bool((slopes > 0).all())),
            Claim("each further model adds less", bool((np.diff(slopes) < 0).all())),
        ]
    )


def progress_stalls() -> Verdict:
    """Judge Fig. 31 by the closed form: a synthetic share slows progress, any bias stops it."""
    n = 100_000.0
    shares = (1.0, 0.1, 0.03, 0.01)
    left = [float(fresh_limit(D, p * n, (1 - p) * n)) for p in shares]
    numbers = ", ".join(f"{p:.0%}: {w2:.3g}" for p, w2 in zip(shares, left, strict=True))
    gains = {
        b: float(fresh_limit(D, n / 10, 0.9 * n, b) / fresh_limit(D, n / 100, 0.09 * n, b))
        for b in (1.0, 0.97, 0.95, 0.93, 0.9)
    }
    kept = ", ".join(f"λ = {b:g}: {gain:.0%}" for b, gain in gains.items())
    return judge(
        [
            Claim(
                f"at λ = 1 and n = {n:,.0f}, W2² is larger the smaller the real share ({numbers})",
                left == sorted(left),
            ),
            Claim(
                f"with 10% real data, ten times the data leave most of W2² where λ < 1 ({kept})",
                gains.pop(1.0) < 0.5 < min(gains.values()),
            ),
        ]
    )


def threshold(ratios: np.ndarray) -> float:
    """Return the n_synthetic at which n_e / n_real falls to 1, by logs between those simulated.

    - `ratios`: by `N_SYNTHETIC`, above 1 at first and below 1 at last.
    """
    low = int(np.flatnonzero(ratios < 1)[0])
    logs = np.log(N_SYNTHETIC[low - 1 : low + 1])
    return float(np.exp(np.interp(1, ratios[low - 1 : low + 1][::-1], logs[::-1])))


def _ratios(theory: Results) -> dict[tuple[int, float], np.ndarray]:
    found = {}
    for key, entry in theory["tables"].items():
        if key.startswith("n_real"):
            n_real, bias = (part.split()[-1] for part in key.split(", "))
            found[int(n_real), float(bias)] = np.array(entry["here"])
    return found


def _signed(value: float) -> str:
    return f"{value:.2f}".replace("-", "−")
