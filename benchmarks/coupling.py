"""The flow on the Rosenbrock density: its fit, its cost, and what becomes of its tails.

Run as `python benchmarks/coupling.py`; writes `benchmarks/results/coupling.json`. Sizes are those
of the paper's appendix B.4: 10,000 points, 16 generations, bias 1 and 0.75; one thread.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch

from madlab import models
from madlab.data import rosenbrock
from madlab.loops import Loop
from madlab.streams import derive, generator
from madlab.training import Clock, provenance

RESULTS = Path(__file__).parent / "results" / "coupling.json"
N, GENERATIONS = 10_000, 16
LOOP = Loop.fully_synthetic(N)


def log_density(points: np.ndarray) -> np.ndarray:
    """Return the true log-density at points `(n, 2)`: x normal, y normal about x^2."""
    x, y = points.T
    return np.asarray(-(x**2) / 2 - (y - x**2) ** 2 - np.log(np.sqrt(2) * np.pi))


def follow(bias: float, seed: int, **settings: Any) -> list[dict[str, float]]:
    """Return a row for each generation of a fully synthetic loop, scored on its own samples."""
    data = rosenbrock()
    order = generator(seed, "permutation").permutation(len(data))
    points = data.images[order[:N]]
    rows = []
    for t in range(1, GENERATIONS + 1):
        model = models.create("coupling", **settings)
        clock = Clock()
        model.fit(points, seed=derive(seed, t, "fit"))
        points = model.sample(N, bias=bias, seed=derive(seed, t, "training")).images
        cost = clock.read()["cpu_seconds"]
        drawn = model.sample(10 * N, bias=bias, seed=derive(seed, t, "evaluation")).images
        held = data.held_out.images
        rows.append(
            {
                "generation": t,
                "cpu_seconds": cost,
                "beyond 2": float((abs(drawn[:, 0]) > 2).mean()),
                "beyond 3": float((abs(drawn[:, 0]) > 3).mean()),
                "true log-density": float(log_density(drawn).mean()),
                "held-out gap": float((log_density(held) - model.log_likelihood(held)).mean()),  # type: ignore[attr-defined]
            }
        )
    return rows


def main() -> None:
    """Run all loops, print their ends and write every generation."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    options = parser.parse_args()
    torch.set_num_threads(1)
    found = {
        f"bias {bias:g}, seed {seed}": follow(bias, seed)
        for bias in (1.0, 0.75)
        for seed in options.seeds
    }
    found["bias 1, seed 0, learning rate 1e-4"] = follow(1.0, 0, learning_rate=1e-4)
    for name, rows in found.items():
        shares = [round(row["beyond 2"], 4) for row in rows if row["generation"] in (1, 4, 8, 16)]
        cost = np.median([row["cpu_seconds"] for row in rows])
        gap = rows[0]["held-out gap"]
        print(f"{name}: beyond 2 {shares}, {cost:.2f} CPU-s a generation, first gap {gap:.4f} nats")
    RESULTS.write_text(json.dumps({"loops": found, "provenance": provenance()}, indent=1) + "\n")


if __name__ == "__main__":
    main()
