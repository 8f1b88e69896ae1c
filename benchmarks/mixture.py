"""The mixture's claims: what a live loop costs, and which loops lose their diversity.

Run as `python benchmarks/mixture.py [--seeds 0 1 2 3 4]`; writes `benchmarks/results/mixture.json`.
"""

import argparse
import json
import os
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch

import madlab as ml
from madlab.chain import Chain
from madlab.loops import Loop
from madlab.metrics import Reference
from madlab.training import provenance

RESULTS = Path(__file__).parent / "results" / "mixture.json"
N = 10_000
PARTS = ["panel", "live", "curves"]
GENERATIONS = 6
LOOPS = {
    "fully synthetic": (Loop.fully_synthetic(N), 1.0),
    "fully synthetic, bias 0.7": (Loop.fully_synthetic(N), 0.7),
    "fully synthetic, bias 0.5": (Loop.fully_synthetic(N), 0.5),
    "synthetic augmentation": (Loop.synthetic_augmentation(N // 2, N // 2, n_initial=N), 1.0),
    "fresh data": (Loop.fresh_data(N // 2, N // 2, n_initial=N), 1.0),
    "fresh data, bias 0.7": (Loop.fresh_data(N // 2, N // 2, n_initial=N), 0.7),
}
SCORES = ["fd", "precision", "recall", "density", "coverage", "read"]


def live_cost(n: int) -> dict[str, Any]:
    """Return processor and wall seconds of six fully synthetic generations, metrics left out."""
    model = ml.models.create("mixture")
    data = ml.data.mnist()
    images, labels = data.images[:n], data.labels
    asked = labels[:n]
    cpu, wall = time.process_time(), time.perf_counter()
    for t in range(1, GENERATIONS + 1):
        model.fit(images, asked, seed=t)
        images = model.sample(n, seed=100 + t, labels=asked).images
    return {
        "cpu_seconds": time.process_time() - cpu,
        "wall_seconds": time.perf_counter() - wall,
    }


def panel_cost() -> dict[str, Any]:
    """Return wall seconds of a live Panel's generations, scored on 5,000 digits and drawn."""
    torch.set_num_threads(os.cpu_count() or 1)
    chain = Chain(Loop.fully_synthetic(N), "mixture", ml.data.mnist(), n_evaluate=5_000)
    stamps = [time.perf_counter()]
    for _ in chain.run(GENERATIONS):
        stamps.append(time.perf_counter())
    steps = [after - before for before, after in pairwise(stamps)]
    live = ml.panels.LiveLoop(
        ml.data.mnist(), n_real=N, n_synthetic=N, generations=2, n_evaluate=5_000
    )
    start = time.perf_counter()
    live.redraw()
    drawing = time.perf_counter() - start
    return {
        "threads": torch.get_num_threads(),
        "first": steps[0] + drawing,
        "slowest after the first": max(steps[1:]) + drawing,
        "median": float(np.median(steps)) + drawing,
        "of which drawing": drawing,
    }


def curves(seeds: list[int], store: Path | None) -> dict[str, dict[str, list[list[float]]]]:
    """Return every score of every loop: a list over seeds of lists over generations."""
    found: dict[str, dict[str, list[list[float]]]] = {}
    for name, (loop, bias) in LOOPS.items():
        found[name] = {score: [] for score in SCORES}
        for seed in seeds:
            chain = Chain(loop, "mixture", ml.data.mnist(), bias=bias, seed=seed, store=store)
            for _ in chain.run(GENERATIONS):
                pass
            records = chain.records()
            for score in SCORES:
                found[name][score].append(records[score].tolist())
            print(f"{name}, seed {seed}: recall", np.round(records["recall"], 3).tolist())
    return found


def verdicts(found: dict[str, dict[str, list[list[float]]]]) -> dict[str, Any]:
    """Compute what the issue asks of the curves, seed by seed."""
    recall = {name: np.array(scores["recall"]) for name, scores in found.items()}
    kept = {name: (values[:, -1] / values[:, 0]).tolist() for name, values in recall.items()}
    precision = np.array(found["fully synthetic, bias 0.7"]["precision"])
    fresh = recall["fresh data"]
    middle = recall["synthetic augmentation"][:, -1]
    return {
        "recall kept": kept,
        "recall falls every generation": bool((np.diff(recall["fully synthetic"]) < 0).all()),
        "fully synthetic under half": bool(max(kept["fully synthetic"]) < 0.5),
        "bias 0.7 under 0.3": bool(max(kept["fully synthetic, bias 0.7"]) < 0.3),
        "precision change at bias 0.7": (precision[:, -1] - precision[:, 0]).tolist(),
        "fresh data keep 0.7": bool(min(kept["fresh data"]) >= 0.7),
        "fresh data, change over the last two steps": (fresh[:, -1] - fresh[:, -3]).tolist(),
        "augmentation between": bool(
            ((recall["fully synthetic"][:, -1] < middle) & (middle < fresh[:, -1])).all()
        ),
        "order of recall, lowest first": sorted(
            recall, key=lambda name: recall[name][:, -1].mean()
        ),
    }


def main() -> None:
    """Measure the parts that were asked for, print them and write them beside the others."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    parser.add_argument("--store", type=Path, default=None)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS)
    options = parser.parse_args()
    results: dict[str, Any] = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    if "panel" in options.parts:
        results["panel"] = panel_cost() | {"provenance": provenance()}
    torch.set_num_threads(1)
    if "live" in options.parts:
        live_cost(2_000)
        results["live"] = {str(n): live_cost(n) for n in (10_000, 60_000)}
        results["live"]["provenance"] = provenance()
    if "curves" in options.parts:
        digits = ml.data.mnist()
        # At random: neighbours in MNIST's order come from different writers, by turns.
        real = digits.take(np.random.default_rng(0).permutation(len(digits))[:10_000])
        results["floor"] = Reference(digits.held_out, n_evaluate=10_000).measure(real)._asdict()
        results["curves"] = curves(options.seeds, options.store)
        results["verdicts"] = verdicts(results["curves"]) | {"provenance": provenance()}
    shown = ("panel", "live", "floor", "verdicts")
    print(json.dumps({key: results.get(key) for key in shown}, indent=1))
    RESULTS.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
