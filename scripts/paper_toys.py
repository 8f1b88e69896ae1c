"""What the paper's figures on Gaussians and toys come to: by stored results, or by theory.

Stored results are what the scripts in `benchmarks/` wrote, read from JSON.
"""

import functools
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from madlab import Loop
from madlab.findings.claims import LEVEL, NOT_RUN, Claim, Conclusion, conclude
from madlab.theory import fresh_limit, simulate

Results = Mapping[str, Any]

D = 100
N_SYNTHETIC = (10, 30, 100, 300, 1_000, 3_000, 10_000)
STEADY = -0.8


def toy(number: str, results: Results | None = None) -> Conclusion:
    """Return whether a figure's trend held.

    - `number`: one of `TOYS`.
    - `results`: what `benchmarks/results/` has in the JSON file that `TOYS` names.
    """
    name, claims = TOYS[number]
    if name and results is None:
        return Conclusion(NOT_RUN, f"give what benchmarks/results/{name}.json holds")
    return conclude(claims(results) if name else claims())


@functools.cache
def limit_of_fresh_data() -> list[Claim]:
    """Fig. 10, left, by simulation: where the loop settles does not depend on its start."""
    claims = []
    for bias in (1.0, 0.8):
        loops = [Loop.fresh_data(100, 900, n_initial=n) for n in (100, 1_000)]
        curves = [simulate(one, D, 50, 8, bias=bias, covariances=False).w2 for one in loops]
        (first, level), (other, same) = ((w2[:, 0].mean(), w2[:, -10:].mean()) for w2 in curves)
        text = (
            f"at λ = {bias:g}, W2² from {first:.0f} and {other:.1f} comes to one level "
            f"within {LEVEL:.0%} ({level:.1f} and {same:.1f})"
        )
        claims.append(Claim(text, bool(abs(same - level) <= LEVEL * (level + same) / 2)))
    return claims


def admissible_by_n_real(theory: Results) -> list[Claim]:
    """Fig. 11: a threshold in n_synthetic that stays as n_real grows."""
    ratios = _ratios(theory)
    always = min(float(min(row)) for (_, bias), row in ratios.items() if bias == 1)
    claims = [Claim(f"at λ = 1 synthetic points never harm (n_e/n_r ≥ {always:.2f})", always >= 1)]
    for bias in (0.85, 0.7):
        few, many = (threshold(ratios[n_real, bias]) for n_real in (100, 1_000))
        text = (
            f"at λ = {bias:g} ten times the real points less than double the admissible n_s "
            f"({few:,.0f} to {many:,.0f})"
        )
        claims.append(Claim(text, many < 2 * few))
    return claims


def admissible_by_bias(theory: Results) -> list[Claim]:
    """Fig. 12: the smaller the bias, the fewer synthetic points may come."""
    claims = []
    for n_real in (100, 1_000):
        rows = sorted(_ratios(theory).items())
        ends = {bias: threshold(row) for (n, bias), row in rows if n == n_real and bias < 1}
        numbers = ", ".join(f"λ = {bias:g}: {n:,.0f}" for bias, n in ends.items())
        text = f"at n_r = {n_real:,} the admissible n_s grows with λ ({numbers})"
        claims.append(Claim(text, list(ends.values()) == sorted(ends.values())))
    return claims


def modes_vanish(modes: Results) -> list[Claim]:
    """Fig. 14: modes vanish one by one until few of 25 are left."""
    found = modes["run"]["verdicts"]
    left = max(found["alive, last over first"])
    at_once = max(found["modes lost at most within 20 generations"])
    back = found["share of 20-generation steps with modes coming back"]
    words = (
        f"under half of the modes are left in every chain (at most {left:.0%})",
        f"they go a few at a time (at most {at_once:g} of 25 in 20 generations)",
        f"they do not come back (in {back:.1%} of 20-generation steps)",
    )
    return [*map(Claim, words, (left < 0.5, at_once <= 5, back < 0.05))]


def diversity_by_recall(modes: Results) -> list[Claim]:
    """Fig. 15: recall and modal variance fall smoothly, the total does not.

    Smoothly is a rank correlation with the generation below -0.8 in every chain.
    """
    names = ("recall", "modal_variance", "total_variance")
    found = (f"{name}, rank correlation with the generation" for name in names)
    worst = [max(modes["run"]["verdicts"][name]) for name in found]
    recall, modal, total = (f"{value:.2f}".replace("-", "−") for value in worst)
    smoothly = "falls smoothly in every chain (rank correlation at most"
    words = (
        f"recall {smoothly} {recall})",
        f"variance within modes {smoothly} {modal})",
        f"total variance does not (up to {total})",
    )
    return [*map(Claim, words, (worst[0] < STEADY, worst[1] < STEADY, worst[2] >= STEADY))]


def tails(coupling: Results) -> list[Claim]:
    """Fig. 17: tails go at either bias, sooner with bias."""
    kept = {}
    for bias in ("1", "0.75"):
        own = [name for name in coupling["loops"] if name.startswith(f"bias {bias}, seed")]
        ends = [coupling["loops"][name] for name in own if "rate" not in name]
        kept[bias] = float(np.mean([rows[-1]["beyond 2"] / rows[0]["beyond 2"] for rows in ends]))
    words = (
        f"at λ = 1 tails are lost ({kept['1']:.0%} of the points beyond 2 standard deviations are "
        "left after the last generation)",
        f"at λ = 0.75 too ({kept['0.75']:.0%})",
        "more of them with bias",
    )
    return [*map(Claim, words, (kept["1"] < 0.95, kept["0.75"] < 0.95, kept["0.75"] < kept["1"]))]


def memory(theory: Results) -> list[Claim]:
    """Fig. 30: samples of more earlier models help, with less and less."""
    found = theory["tables"]["Fig. 30 at d = 4: memory to ratio, its error, closed form"]
    k = np.array([int(key) for key in found], float)
    worth = np.array([value[0] for value in found.values()])
    slopes = np.diff(worth) / np.diff(k)
    numbers = ", ".join(f"K = {a:g}: {b:.2f}" for a, b in zip(k, worth, strict=True))
    return [
        Claim(f"n_e/n_r grows with the memory K ({numbers})", bool((slopes > 0).all())),
        Claim("each further model adds less", bool((np.diff(slopes) < 0).all())),
    ]


def progress_stalls() -> list[Claim]:
    """Fig. 31, by the closed form: a synthetic share slows progress, any bias stops it."""
    n = 100_000.0
    shares = (1.0, 0.1, 0.03, 0.01)
    left = [float(fresh_limit(D, p * n, (1 - p) * n)) for p in shares]
    numbers = ", ".join(f"{p:.0%}: {w2:.3g}" for p, w2 in zip(shares, left, strict=True))
    gains = {
        b: float(fresh_limit(D, n / 10, 0.9 * n, b) / fresh_limit(D, n / 100, 0.09 * n, b))
        for b in (1.0, 0.97, 0.95, 0.93, 0.9)
    }
    kept = ", ".join(f"λ = {b:g}: {gain:.0%}" for b, gain in gains.items())
    words = (
        f"at λ = 1 and n = {n:,.0f}, W2² is larger the smaller the real share ({numbers})",
        f"with 10% real data, ten times the data leave most of W2² where λ < 1 ({kept})",
    )
    unbiased = gains.pop(1.0)
    return [*map(Claim, words, (left == sorted(left), unbiased < 0.5 < min(gains.values())))]


# By figure: the script in `benchmarks/` whose results are read, "" for none; and its claims.
TOYS: dict[str, tuple[str, Callable[..., list[Claim]]]] = {
    "10 left": ("", limit_of_fresh_data),
    "11": ("theory", admissible_by_n_real),
    "12": ("theory", admissible_by_bias),
    "14": ("modes", modes_vanish),
    "15": ("modes", diversity_by_recall),
    "17": ("coupling", tails),
    "30": ("theory", memory),
    "31": ("", progress_stalls),
}


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
