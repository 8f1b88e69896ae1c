"""The 25-mode grid: what 2,000 generations cost, and what happens to the modes in them.

Run as `python benchmarks/modes.py [--parts speed run]`; writes `benchmarks/results/modes.json`.
Both sides are kept to one thread.
"""

import argparse
import json
import os
import time
import warnings
from pathlib import Path
from typing import Any

# Before numpy is loaded: its threads would count against scikit-learn, and gain it nothing here.
os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"

import numpy as np
import pandas as pd
import torch
from sklearn.mixture import GaussianMixture

from madlab.loops import Loop
from madlab.models import em
from madlab.streams import derive
from madlab.theory.modes import follow_modes, heterozygosity, simulate_modes, wright_fisher
from madlab.training import Clock, provenance

RESULTS = Path(__file__).parent / "results" / "modes.json"
PARTS = ["speed", "run"]
N, CHAINS, GENERATIONS, COMPONENTS = 2_500, 8, 2_000, 25
LOOP = Loop.fully_synthetic(N)
COLUMNS = ["alive", "recall", "modal_variance", "total_variance"]
SHOWN = [1, 2, 5, 10, 20, 50, *range(100, GENERATIONS + 1, 100)]
# Refits are timed on the training sets of these generations, the two kinds in turn.
TIMED = [1, 2, 50, 100, 200, 300, 400, 500]


def speed() -> dict[str, Any]:
    """Time refits of the same points by em.fit and by scikit-learn, one after the other.

    Its ridge of 1e-6 lowers scikit-learn's likelihood where components have collapsed.
    """
    rows = []
    for t, models in enumerate(follow_modes(LOOP, TIMED[-1], CHAINS), start=1):
        if t not in TIMED:
            continue
        streams = [derive(chain, t, "benchmark") for chain in range(CHAINS)]
        points = em.draw(models, *em.noise(streams, N, 2))
        start, wall = time.process_time(), time.perf_counter()
        fitted = em.fit(points, COMPONENTS, streams)
        ours, our_wall = time.process_time() - start, time.perf_counter() - wall
        likelihood = em.log_likelihood(points, fitted).mean()
        start, wall = time.process_time(), time.perf_counter()
        peers = [
            GaussianMixture(
                COMPONENTS, covariance_type="full", init_params="k-means++", random_state=chain
            ).fit(some)
            for chain, some in enumerate(points.numpy())
        ]
        theirs, their_wall = time.process_time() - start, time.perf_counter() - wall
        scores = [peer.score(some) for peer, some in zip(peers, points.numpy(), strict=True)]
        rows.append(
            {
                "generation": t,
                "em_cpu": ours,
                "sklearn_cpu": theirs,
                "em_wall": our_wall,
                "sklearn_wall": their_wall,
                "em_log_likelihood": float(likelihood),
                "sklearn_log_likelihood": float(np.mean(scores)),
                "em_rounds": float(fitted.rounds.double().mean()),
                "sklearn_rounds": float(np.mean([peer.n_iter_ for peer in peers])),
            }
        )
    table = pd.DataFrame(rows).iloc[1:]
    ratio = table["sklearn_cpu"] / table["em_cpu"]
    return {
        "refits": f"{CHAINS} chains of {N} points, generation 1 a warm-up that does not count",
        "by generation": rows,
        "ratio of CPU-seconds": float(table["sklearn_cpu"].sum() / table["em_cpu"].sum()),
        "least ratio": float(ratio.min()),
    }


def run() -> dict[str, Any]:
    """Run all generations, and compare the modes alive with those of neutral drift."""
    clock = Clock()
    found = simulate_modes(LOOP, GENERATIONS, CHAINS, every=20, keep=SHOWN, n_evaluate=N)
    cost = clock.read()
    records, shares = found.records, found.shares
    shown = records[records["generation"].isin(SHOWN)]
    table = shown.pivot_table(COLUMNS, index="generation", columns="chain")
    # The shares of n_evaluate = n samples are one resampling further than the generation's data.
    drift = wright_fisher(np.full(25, 1 / 25), N, GENERATIONS + 1, chains=200)
    drifted = (drift * N >= 2).sum(axis=2).mean(axis=0)
    left = 1 - (shares**2).sum(axis=2).mean(axis=0)
    at = {int(t): float(value) for t, value in zip(found.generations, left, strict=True)}
    return {
        "setting": f"{CHAINS} chains, {GENERATIONS} generations, n = {N}, n_evaluate = {N}, bias 1",
        **cost,
        "wall seconds allowed": 480,
        "generations": SHOWN,
        **{column: table[column].T.map(digits).to_numpy().tolist() for column in COLUMNS},
        "alive by neutral drift": [float(drifted[t + 1]) for t in SHOWN],
        "heterozygosity": [at[t] for t in SHOWN],
        "heterozygosity by neutral drift": [
            heterozygosity(t + 1, N, np.full(25, 1 / 25)) for t in SHOWN
        ],
        "verdicts": verdicts(records, shares),
    }


def digits(value: float) -> float:
    """Return a number rounded to four figures."""
    return float(f"{value:.4g}")


def verdicts(records: pd.DataFrame, shares: np.ndarray) -> dict[str, Any]:
    """Say how smoothly each number falls: the paper's reading of its Fig. 15."""
    found: dict[str, Any] = {}
    for column in COLUMNS:
        lines = records.pivot_table(column, index="generation", columns="chain")
        # Spearman's correlation with the generation: -1 is a steady fall.
        time_rank = pd.Series(lines.index, lines.index).rank()
        ranks = [float(lines[chain].rank().corr(time_rank)) for chain in lines]
        found[f"{column}, rank correlation with the generation"] = ranks
        ends = lines.iloc[-1] / lines.iloc[0]
        found[f"{column}, last over first"] = ends.tolist()
    alive = records.pivot_table("alive", index="generation", columns="chain").to_numpy()
    steps = -np.diff(alive, axis=0)
    found["modes lost at most within 20 generations"] = steps.max(axis=0).tolist()
    found["share of 20-generation steps with modes coming back"] = float((steps < 0).mean())
    found["largest share of a mode at the end"] = shares[:, -1].max(axis=1).tolist()
    return found


def main() -> None:
    """Measure the parts that were asked for, print them and write them beside the others."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS)
    options = parser.parse_args()
    # Refits that scikit-learn stops at its cap of 100 rounds count as they are.
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    results: dict[str, Any] = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    for name, measure in (("speed", speed), ("run", run)):
        if name in options.parts:
            results[name] = measure() | {"provenance": provenance()}
    print(json.dumps(results, indent=1))
    RESULTS.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
