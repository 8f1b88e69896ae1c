"""The `gan` from scratch on 60,000 digits, and how its loops go MAD, on one thread.

    python benchmarks/gan.py run --store DIR [--part quality loops] [--seeds 0 1 2]   # resumes
    python benchmarks/gan.py summary --store DIR                                      # a minute

A seed takes about four minutes for `quality` and ten for `loops`; several `run` processes may share
a store, each on a core of its own and with its own seeds or part. `summary` measures the floor,
prints the goals with what was found, and writes both to benchmarks/results/gan.json.

FD on the "plain" layer, the 84 ReLU units of the LeNet alone, is what the goals of quality are set
on; all other scores are on the project's own features.
"""

import argparse
import functools
import json
import platform
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from madlab import Chain, Loop, Store
from madlab.data import Samples, mnist
from madlab.metrics import Reference, frechet_distance
from madlab.metrics.features import LeNet, as_input, load_network
from madlab.models.gan import Gan
from madlab.streams import derive
from madlab.training import Clock, provenance

N_EVALUATE = 10_000
N_LOOP = 20_000
GENERATIONS = 5
RESULTS = Path(__file__).parent / "results" / "gan.json"
# Training steps, and the CPU-seconds and multiple of the floor's plain FD that they are held to.
BUDGETS: dict[int, tuple[float, float]] = {2200: (60, 12), 4400: (120, 5)}
CHAINS: dict[str, tuple[Callable[[], Loop], float]] = {
    "synthetic-1": (lambda: Loop.fully_synthetic(N_LOOP), 1.0),
    "synthetic-0.8": (lambda: Loop.fully_synthetic(N_LOOP), 0.8),
    "fresh-1": (lambda: Loop.fresh_data(N_LOOP // 2, N_LOOP // 2, n_initial=N_LOOP), 1.0),
}


def run(arguments: argparse.Namespace) -> None:
    """Do what was asked for and is not in the store."""
    for seed in arguments.seeds:
        if "quality" in arguments.part:
            for steps in BUDGETS:
                _quality(arguments.store, seed, steps)
        if "loops" in arguments.part:
            _loops(arguments.store, seed)


def _quality(store: Path, seed: int, steps: int) -> None:
    """Train on all digits, and keep costs and scores in a file of their own."""
    model = Gan(steps=steps)
    path = store / "quality" / f"{seed}-{steps}.json"
    if path.exists():
        return
    data = mnist()
    clock = Clock()
    model.fit(data.images, data.labels, seed=seed)
    fitting = clock.read()["cpu_seconds"]
    clock = Clock()
    samples = model.sample(N_EVALUATE, seed=derive(seed, "evaluation"))
    sampling = clock.read()["cpu_seconds"]
    found = {
        "seed": seed,
        "settings": model.settings,
        "version": model.version,
        "fit_cpu_seconds": fitting,
        "training_images_per_cpu_second": steps * model.batch / fitting,
        "samples_per_cpu_second": N_EVALUATE / sampling,
        **_scores(samples),
        "biased": _scores(model.sample(N_EVALUATE, bias=0.8, seed=derive(seed, "evaluation"))),
        "provenance": provenance(),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(found))
    print(
        f"quality seed {seed}, {steps} steps: {fitting:.0f} CPU-s, plain FD "
        f"{found['plain_fd']:.2f} recall {found['recall']:.3f} read {found['read']:.3f}",
        flush=True,
    )


def _scores(samples: Samples) -> dict[str, float]:
    """Return the scores on the project's features, and FD on the plain layer."""
    reference = Reference(mnist().held_out, n_evaluate=N_EVALUATE)
    scores = reference.measure(samples)._asdict()
    plain = frechet_distance(_plain(reference.images), _plain(samples.images))
    return {name: float(value) for name, value in scores.items()} | {"plain_fd": plain}


@torch.inference_mode()
def _plain(images: np.ndarray) -> np.ndarray:
    network = load_network("lenet")
    assert isinstance(network, LeNet)
    parts = [
        network.parts(as_input(images[start : start + 250]))[1].relu()
        for start in range(0, len(images), 250)
    ]
    return np.asarray(torch.cat(parts).double().numpy())


def _loops(store: Path, seed: int) -> None:
    for name, (loop, bias) in CHAINS.items():
        chain = Chain(
            loop(), Gan(), mnist(), bias=bias, seed=seed, store=store, n_evaluate=N_EVALUATE
        )
        for generation in chain.run(GENERATIONS):
            s = generation.scores
            print(
                f"{name} seed {seed} generation {generation.t}: FD {s.fd:.4f} precision "
                f"{s.precision:.3f} recall {s.recall:.3f} read {s.read:.3f}",
                flush=True,
            )


def summary(arguments: argparse.Namespace) -> None:
    """Print and write what the store holds of today's recipe."""
    quality = _kept(arguments.store)
    frame = _records(arguments.store)
    chosen = np.random.default_rng(0).permutation(len(mnist()))[:N_EVALUATE]
    floor = _scores(mnist().take(chosen))
    curves = _curves(frame)
    goals = _goals(quality, curves, floor)
    found = {
        "settings": Gan().settings,
        "floor": floor,
        "quality": quality,
        "curves": curves,
        "goals": goals,
        "machine": {**provenance(), "processor": platform.processor() or platform.machine()},
    }
    for row in quality:
        print(
            f"seed {row['seed']}, {row['settings']['steps']} steps, {row['fit_cpu_seconds']:.0f} "
            f"CPU-s: plain FD {row['plain_fd'] / floor['plain_fd']:.2f} x floor, FD "
            f"{row['fd'] / floor['fd']:.2f} x floor, precision {row['precision']:.3f}, recall "
            f"{row['recall']:.3f}, read {row['read']:.3f}"
        )
    for chain in curves:
        print(f"\n{chain['chain']} seed {chain['seed']}")
        for name in ("fd", "precision", "recall", "read", "fit_cpu_seconds"):
            print(f"  {name:16s}" + " ".join(f"{value:8.3f}" for value in chain[name]))
    print(f"\nfloor: {json.dumps(floor)}\n")
    for goal in goals:
        print(f"[{'met' if goal['met'] else 'NOT MET'}] {goal['goal']}: {goal['found']}")
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    arguments.output.write_text(json.dumps(found, indent=1) + "\n")


def _kept(store: Path) -> list[dict[str, Any]]:
    """Return what `_quality` kept under today's settings, by steps and seed."""
    rows = [json.loads(path.read_text()) for path in (store / "quality").glob("*.json")]
    today = [Gan(steps=steps).settings for steps in BUDGETS]
    rows = [row for row in rows if row["settings"] in today and row["version"] == Gan.version]
    return sorted(rows, key=lambda row: (row["settings"]["steps"], row["seed"]))


def _records(store: Path) -> pd.DataFrame:
    """Return the records of the loops under today's settings, by chain, seed, generation."""
    rows = []
    for row in Store(store).rows():
        config = row["config"]
        current = (config["settings"], config["version"]) == (Gan().settings, Gan.version)
        names = [
            name
            for name, (loop, bias) in CHAINS.items()
            if (row["loop"], row["bias"]) == (loop().name, bias)
        ]
        if row["model"] == "gan" and current and names and row["n_evaluate"] == N_EVALUATE:
            cpu = row["cost"]["fit"]["cpu_seconds"]
            rows.append({**row, "chain": names[0], "fit_cpu_seconds": cpu})
    frame = pd.DataFrame(rows)
    return frame if frame.empty else frame.sort_values(["chain", "seed", "generation"])


def _curves(frame: pd.DataFrame) -> list[dict[str, Any]]:
    if frame.empty:
        return []
    names = ["fd", "precision", "recall", "density", "coverage", "read", "fit_cpu_seconds"]
    return [
        {"chain": chain, "seed": int(seed), **{name: part[name].tolist() for name in names}}
        for chain in CHAINS
        for seed in sorted(frame.seed.unique())
        for part in [frame[(frame.chain == chain) & (frame.seed == seed)]]
        if len(part)
    ]


def _goals(
    quality: list[dict[str, Any]], curves: list[dict[str, Any]], floor: dict[str, float]
) -> list[dict[str, Any]]:
    """Return each goal with what was found for every seed, and whether all seeds meet it."""
    goals: list[dict[str, Any]] = []

    def goal(text: str, values: list[Any], test: Callable[[Any], bool]) -> None:
        met = bool(values) and all(test(value) for value in values)
        goals.append({"goal": text, "found": np.round(values, 4).tolist(), "met": met})

    for steps, most in BUDGETS.items():
        rows = [row for row in quality if row["settings"]["steps"] == steps]
        goal(
            f"{steps} steps: at most {most[0]} CPU-s, plain FD at most {most[1]} times the floor",
            [[row["fit_cpu_seconds"], row["plain_fd"] / floor["plain_fd"]] for row in rows],
            functools.partial(_within, most),
        )
        goal(
            f"{steps} steps: recall over the floor's, at least 0.8",
            [row["recall"] / floor["recall"] for row in rows],
            lambda value: value >= 0.8,
        )
        goal(
            f"{steps} steps: read, at least 0.96",
            [row["read"] for row in rows],
            lambda value: value >= 0.96,
        )
    goal(
        "training images a CPU-second, at least 1,200",
        [row["training_images_per_cpu_second"] for row in quality],
        lambda value: value >= 1200,
    )
    goal(
        "samples a CPU-second, at least 7,000",
        [row["samples_per_cpu_second"] for row in quality],
        lambda value: value >= 7000,
    )

    def kept(chain: str) -> list[float]:
        """Return recall in the last generation over recall in the first, for every seed."""
        recalls = [curve["recall"] for curve in curves if curve["chain"] == chain]
        return [recall[-1] / recall[0] for recall in recalls if len(recall) == GENERATIONS]

    share = f"share of recall kept in generation {GENERATIONS}"
    goal(
        f"fully synthetic, bias 1: {share}, at most 0.4",
        kept("synthetic-1"),
        lambda value: value <= 0.4,
    )
    goal(
        f"fully synthetic, bias 0.8: {share}, at most 0.1",
        kept("synthetic-0.8"),
        lambda value: value <= 0.1,
    )
    goal(
        f"fresh data, bias 1: {share}, at least 0.55",
        kept("fresh-1"),
        lambda value: value >= 0.55,
    )
    return goals


def _within(most: tuple[float, float], found: list[float]) -> bool:
    return found[0] <= most[0] and found[1] <= most[1]


def main() -> None:
    """Read the command line and do what it says."""
    torch.set_num_threads(1)
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("what", choices=["run", "summary"])
    parser.add_argument("--store", type=Path, required=True)
    parser.add_argument(
        "--part", nargs="+", choices=["quality", "loops"], default=["quality", "loops"]
    )
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--output", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    (run if arguments.what == "run" else summary)(arguments)


if __name__ == "__main__":
    main()
