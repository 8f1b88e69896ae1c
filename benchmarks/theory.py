"""The theory engine's claims: its speed against drawing points, and the paper's tables.

Run as `python benchmarks/theory.py [--parts speed grid full tables]`; writes
`benchmarks/results/theory.json`. Speed is chains times generations per second on the wall, without
distances but for the last generation's, taken in turns with both peers in the same process: numpy
as it is commonly written (its `multivariate_normal` as it is, and with `method="cholesky"`), and
the same in batched torch. The library's route takes one thread, whatever the peers are given.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch

from madlab.loops import Loop
from madlab.theory import (
    effective_ratio,
    effective_size,
    large_sample_ratio,
    settled_distance,
    simulate,
)
from madlab.training import provenance

RESULTS = Path(__file__).parent / "results" / "theory.json"
PARTS = ["speed", "grid", "full", "tables"]
D, N_REAL, N_SYNTHETIC = 100, 100, 900
# The route works on as many chains as fit the cache well, and so does the peer in torch.
CHAINS, PEER_CHAINS = 64, 16
LOOPS = {
    "fully synthetic": Loop.fully_synthetic(N_SYNTHETIC),
    "fresh data": Loop.fresh_data(N_REAL, N_SYNTHETIC),
}

# Reference tables of n_e / n_real by n_synthetic (d = 100, Figs. 11 and 12), good to 3%.
NS = (10, 30, 100, 300, 1_000, 3_000, 10_000)
TABLE = {
    (100, 1.0): (1.09, 1.25, 1.64, 1.99, 2.34, 2.41, 2.41),
    (100, 0.9): (1.11, 1.28, 1.73, 2.31, 2.00, 1.13, 0.72),
    (100, 0.85): (1.10, 1.27, 1.74, 2.24, 1.62, 0.93, 0.64),
    (100, 0.7): (1.10, 1.30, 1.71, 1.79, 1.07, 0.73, 0.53),
    (100, 0.5): (1.11, 1.28, 1.60, 1.35, 0.86, 0.62, 0.47),
    (100, 0.3): (1.09, 1.23, 1.37, 1.09, 0.75, 0.56, 0.43),
    (100, 0.1): (1.06, 1.15, 1.17, 0.92, 0.67, 0.51, 0.41),
    (250, 1.0): (1.05, 1.12, 1.30, 1.62, 1.90, 2.00, 2.15),
    (250, 0.85): (1.05, 1.12, 1.34, 1.68, 1.40, 0.65, 0.34),
    (250, 0.7): (1.05, 1.13, 1.33, 1.47, 0.84, 0.42, 0.27),
    (1_000, 1.0): (1.01, 1.03, 1.09, 1.24, 1.50, 1.78, 1.97),
    (1_000, 0.9): (1.00, 1.03, 1.09, 1.25, 1.48, 1.02, 0.30),
    (1_000, 0.85): (1.01, 1.04, 1.09, 1.26, 1.32, 0.70, 0.20),
    (1_000, 0.7): (1.01, 1.04, 1.10, 1.19, 0.91, 0.33, 0.12),
    (1_000, 0.3): (1.00, 1.02, 1.03, 0.90, 0.39, 0.15, 0.08),
    (10_000, 0.85): (1.01, 1.01, 1.02, 1.03, 1.07, 1.04, 0.43),
    (10_000, 0.7): (1.01, 1.00, 1.01, 1.03, 1.02, 0.68, 0.16),
}


def statistics_route(loop: Loop, generations: int) -> None:
    """Run the library's route."""
    simulate(loop, D, generations, CHAINS, at=[generations], covariances=False)


def numpy_points(loop: Loop, generations: int, method: Literal["svd", "cholesky"]) -> None:
    """Run one chain in numpy, drawing every point."""
    rng = np.random.default_rng(0)
    mean, covariance = np.zeros(D), np.eye(D)
    for _ in range(generations):
        points = rng.multivariate_normal(mean, covariance, loop.n_synthetic, method=method)
        if loop.n_real:
            points = np.concatenate([rng.standard_normal((loop.n_real, D)), points])
        mean, covariance = points.mean(0), np.cov(points, rowvar=False)


def torch_points(loop: Loop, generations: int) -> None:
    """Run all chains in one torch program in float64, drawing every point."""
    draw = torch.Generator().manual_seed(0)
    mean = torch.zeros(PEER_CHAINS, 1, D, dtype=torch.float64)
    covariance = torch.eye(D, dtype=torch.float64).expand(PEER_CHAINS, D, D)
    for _ in range(generations):
        size = (PEER_CHAINS, loop.n_synthetic, D)
        noise = torch.randn(size, generator=draw, dtype=torch.float64)
        points = mean + noise @ torch.linalg.cholesky(covariance).mT
        if loop.n_real:
            size = (PEER_CHAINS, loop.n_real, D)
            real = torch.randn(size, generator=draw, dtype=torch.float64)
            points = torch.cat([real, points], 1)
        mean = points.mean(1, keepdim=True)
        apart = points - mean
        covariance = apart.mT @ apart / (points.shape[1] - 1)


def speed(rounds: int) -> dict[str, Any]:
    """Return chains times generations per second of every route, medians over `rounds`."""
    found: dict[str, Any] = {}
    for name, loop in LOOPS.items():
        larger = Loop(loop.real, 10**6, loop.n_real and 10**6, 10**6)
        routes: dict[str, tuple[Callable[[], None], int]] = {
            "statistics": (lambda loop=loop: statistics_route(loop, 100), 100 * CHAINS),  # type: ignore[misc]
            "statistics, a million points": (
                lambda loop=larger: statistics_route(loop, 100),  # type: ignore[misc]
                100 * CHAINS,
            ),
            "numpy": (lambda loop=loop: numpy_points(loop, 40, "svd"), 40),  # type: ignore[misc]
            "numpy, cholesky": (lambda loop=loop: numpy_points(loop, 40, "cholesky"), 40),  # type: ignore[misc]
            "torch": (lambda loop=loop: torch_points(loop, 5), 5 * PEER_CHAINS),  # type: ignore[misc]
        }
        rates: dict[str, list[float]] = {route: [] for route in routes}
        for _ in range(rounds):
            for route, (run, steps) in routes.items():
                start = time.perf_counter()
                run()
                rates[route].append(steps / (time.perf_counter() - start))
        median = {route: statistics.median(values) for route, values in rates.items()}
        ours = median["statistics"]
        found[name] = {
            "per second": median,
            "rounds": rates,
            "times": {route: ours / median[route] for route in routes},
        }
        print(name, json.dumps({"per second": median, "times": found[name]["times"]}, indent=1))
    return found


def grid(side: int, biases: list[float], chains: int, measurements: int) -> dict[str, Any]:
    """Return the seconds that Monte-Carlo points on a grid of Fig. 11 take, and their errors."""
    effective_size(1.0, D)
    sizes = np.geomspace(100, 1_000, side).round().astype(int).tolist()
    synthetic = np.geomspace(100, 10_000, side).round().astype(int).tolist()
    errors, apart = [], []
    start, cpu = time.perf_counter(), time.process_time()
    for bias in biases:
        for n_real in sizes:
            for n_synthetic in synthetic:
                loop = Loop.fresh_data(n_real, n_synthetic)
                w2 = settled_distance(loop, D, bias, chains=chains, measurements=measurements)
                worth = effective_size(w2.value, D, w2.error)
                errors.append(worth.error / worth.value)
                closed = effective_ratio(D, n_real, n_synthetic, bias)
                apart.append(float(closed * n_real / worth.value - 1))
    return {
        "points": len(errors),
        "seconds": time.perf_counter() - start,
        "cpu_seconds": time.process_time() - cpu,
        "relative error, median and largest": [statistics.median(errors), max(errors)],
        "closed form against it, lowest and highest": [min(apart), max(apart)],
    }


def tables() -> dict[str, Any]:
    """Return how far simulated n_e / n_real lie from the reference tables, and Fig. 30."""
    found: dict[str, Any] = {}
    for (n_real, bias), row in TABLE.items():
        ratios = []
        for n_synthetic in NS:
            w2 = settled_distance(Loop.fresh_data(n_real, n_synthetic), D, bias, chains=16)
            ratios.append(effective_size(w2.value, D, w2.error).value / n_real)
        found[f"n_real {n_real}, bias {bias:g}"] = {
            "table": row,
            "here": ratios,
            "closed form": effective_ratio(D, n_real, np.array(NS), bias).tolist(),
            "largest difference": max(abs(a / b - 1) for a, b in zip(ratios, row, strict=True)),
        }
    memory = {}
    for k in (1, 2, 5, 10, 20):
        w2 = settled_distance(Loop.fresh_data(1_000, 10_000, memory=k), 4, chains=3_000)
        worth = effective_size(w2.value, 4, w2.error)
        memory[k] = [worth.value / 1_000, worth.error / 1_000, float(large_sample_ratio(10, k))]
    found["Fig. 30 at d = 4: memory to ratio, its error, closed form"] = memory
    return found


def main() -> None:
    """Measure the parts that were asked for, print them and write them beside the others."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--rounds", type=int, default=9)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    results: dict[str, Any] = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    if "speed" in options.parts:
        key = f"speed, {options.threads} threads"
        results[key] = speed(options.rounds) | {"provenance": provenance()}
    if "grid" in options.parts:
        results["grid 8 x 8"] = grid(8, [0.85], 8, 8) | {"provenance": provenance()}
        print(json.dumps(results["grid 8 x 8"], indent=1))
    if "full" in options.parts:
        results["grid 40 x 40 x 3"] = grid(40, [0.7, 0.85, 1.0], 4, 4)
        results["grid 40 x 40 x 3"]["provenance"] = provenance()
        print(json.dumps(results["grid 40 x 40 x 3"], indent=1))
    if "tables" in options.parts:
        results["tables"] = tables() | {"provenance": provenance()}
        print(json.dumps(results["tables"], indent=1))
    RESULTS.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
