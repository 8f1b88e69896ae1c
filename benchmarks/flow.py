"""The `flow` recipe goes MAD: loops on 10,000 digits a generation, on one thread.

    python benchmarks/flow.py run --store DIR [--seeds 0 1 2] [--chains ...]   # resumes; hours
    python benchmarks/flow.py summary --store DIR                              # minutes

Several `run` processes may share a store, each on a core of its own and with its own seeds.
`summary` reads what they recorded, measures the floor and the matrix rate, prints the goals with
what was found, and writes both to benchmarks/results/flow.json.
"""

import argparse
import json
import platform
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch.utils.flop_counter import FlopCounterMode

from madlab import Chain, Loop, Store
from madlab.data import mnist
from madlab.metrics import Reference
from madlab.models.diffusion import Diffusion
from madlab.training import provenance

N = 10_000
GOAL_SECONDS = 170
RESULTS = Path(__file__).parent / "results" / "flow.json"
CHAINS: dict[str, tuple[Callable[[], Loop], float]] = {
    "synthetic-1": (lambda: Loop.fully_synthetic(N), 1.0),
    "synthetic-0.5": (lambda: Loop.fully_synthetic(N), 0.5),
    "fresh-1": (lambda: Loop.fresh_data(N // 2, N // 2, n_initial=N), 1.0),
}
CURVES = ["fd", "precision", "recall", "density", "coverage", "read", "duplicates"]


def run(arguments: argparse.Namespace) -> None:
    """Run the chains that were asked for, or go on with them."""
    data = mnist()
    for seed in arguments.seeds:
        for name in arguments.chains:
            loop, bias = CHAINS[name]
            chain = Chain(
                loop(),
                Diffusion(),
                data,
                bias=bias,
                seed=seed,
                store=arguments.store,
                n_evaluate=arguments.n_evaluate,
            )
            for generation in chain.run(arguments.generations):
                s = generation.scores
                print(
                    f"{name} seed {seed} generation {generation.t}: FD {s.fd:.2f} precision "
                    f"{s.precision:.3f} recall {s.recall:.3f} read {s.read:.3f}",
                    flush=True,
                )


def summary(arguments: argparse.Namespace) -> None:
    """Print and write what the store's records say of the goals."""
    frame = _records(arguments.store, arguments.n_evaluate)
    if frame.empty:
        raise SystemExit(f"{arguments.store} has no records of this recipe: use `run` first")
    floor = _floor(arguments.n_evaluate)
    found = {
        "settings": Diffusion().settings,
        "n_evaluate": arguments.n_evaluate,
        "features": sorted(frame.features.unique()),
        "floor": floor,
        "cpu_seconds": _seconds(frame),
        "arithmetic": _arithmetic(frame),
        "curves": _curves(frame),
        "goals": _goals(frame, floor),
        "machine": {**provenance(), "processor": platform.processor() or platform.machine()},
        "trained_at_commits": sorted({str(made["commit"]) for made in frame.provenance}),
    }
    for chain in found["curves"]:
        print(f"\n{chain['chain']} seed {chain['seed']}")
        for name in ("fd", "precision", "recall", "read"):
            print(f"  {name:10s}" + " ".join(f"{value:8.3f}" for value in chain[name]))
    for part in ("floor", "cpu_seconds", "arithmetic"):
        print(f"\n{part}: {json.dumps(found[part])}")
    print()
    for goal in found["goals"]:
        print(f"[{'met' if goal['met'] else 'NOT MET'}] {goal['goal']}: {goal['found']}")
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    arguments.output.write_text(json.dumps(found, indent=1) + "\n")


def _records(store: Path, n_evaluate: int) -> pd.DataFrame:
    """Return the records of these chains under today's settings, by chain, seed, generation."""
    rows = []
    for row in Store(store).rows():
        names = [
            name
            for name, (loop, bias) in CHAINS.items()
            if (row["loop"], row["bias"]) == (loop().name, bias)
        ]
        config = row["config"]
        current = (config["settings"], config["version"]) == (
            Diffusion().settings,
            Diffusion.version,
        )
        if names and current and row["model"] == "diffusion" and row["n_evaluate"] == n_evaluate:
            rows.append({**row, "chain": names[0]})
    frame = pd.DataFrame(rows)
    return frame if frame.empty else frame.sort_values(["chain", "seed", "generation"])


def _floor(n_evaluate: int) -> dict[str, Any]:
    """Return the scores of real training digits against the held-out ones: nothing does better."""
    data = mnist()
    chosen = np.random.default_rng(0).permutation(len(data))[:n_evaluate]
    scores = Reference(data.held_out, n_evaluate=n_evaluate).measure(data.take(chosen))
    return {name: float(value) for name, value in scores._asdict().items()}


def _seconds(frame: pd.DataFrame) -> dict[str, dict[str, float]]:
    """Return the CPU-seconds of fitting, sampling 10,000, and both, over all generations."""
    fit = np.array([cost["fit"]["cpu_seconds"] for cost in frame.cost])
    sample = np.array([cost["sample"]["cpu_seconds"] for cost in frame.cost])
    sample *= N / frame.n_evaluate.to_numpy()
    return {
        chain: {
            "generations": int(here.sum()),
            "fit_median": float(np.median(fit[here])),
            "sample_median": float(np.median(sample[here])),
            "generation_median": float(np.median((fit + sample)[here])),
            "generation_max": float((fit + sample)[here].max()),
        }
        for chain in frame.chain.unique()
        for here in [(frame.chain == chain).to_numpy()]
    }


def _arithmetic(frame: pd.DataFrame) -> dict[str, float]:
    """Return floating-point rates of training and sampling, and the best a matrix product does."""
    square = torch.randn(2048, 2048)
    times = []
    for _ in range(8):
        start = time.process_time()
        square @ square
        times.append(time.process_time() - start)
    peak = 2 * 2048**3 / min(times)
    data = mnist()
    model = Diffusion(steps=1)
    with FlopCounterMode(display=False) as counter:
        few = data.take(np.arange(1000))
        model.fit(few.images, few.labels, seed=0)
    training = counter.get_total_flops() * Diffusion().steps
    with FlopCounterMode(display=False) as counter:
        model.sample(100, seed=0)
    sampling = counter.get_total_flops() * N // 100
    unguided = _seconds(frame[frame.bias == 1.0])
    fit = float(np.median([entry["fit_median"] for entry in unguided.values()]))
    sample = float(np.median([entry["sample_median"] for entry in unguided.values()]))
    return {
        "matrix_product_gflops": peak / 1e9,
        "training_gflops": training / fit / 1e9,
        "sampling_gflops": sampling / sample / 1e9,
        "training_share": training / fit / peak,
        "sampling_share": sampling / sample / peak,
    }


def _curves(frame: pd.DataFrame) -> list[dict[str, Any]]:
    return [
        {"chain": chain, "seed": int(seed), **{name: part[name].tolist() for name in CURVES}}
        for chain in frame.chain.unique()
        for seed in sorted(frame.seed.unique())
        for part in [frame[(frame.chain == chain) & (frame.seed == seed)]]
        if len(part)
    ]


def _goals(frame: pd.DataFrame, floor: dict[str, Any]) -> list[dict[str, Any]]:
    """Return each goal with what was found for every seed, and whether all seeds meet it."""
    goals: list[dict[str, Any]] = []

    def goal(text: str, values: list[float], test: Callable[[float], bool]) -> None:
        goals.append(
            {
                "goal": text,
                "found": [round(value, 4) for value in values],
                "met": bool(values) and all(test(value) for value in values),
            }
        )

    def each(chain: str, measure: Callable[[pd.DataFrame], float]) -> list[float]:
        of_chain = frame[frame.chain == chain]
        return [float(measure(part)) for _, part in of_chain.groupby("seed") if len(part) > 1]

    def last_over_first(name: str) -> Callable[[pd.DataFrame], float]:
        return lambda part: float(part[name].iloc[-1] / part[name].iloc[0])

    slowest = [entry["generation_max"] for entry in _seconds(frame).values()]
    goal(
        f"CPU-seconds of the slowest generation, training and sampling, at most {GOAL_SECONDS}",
        slowest,
        lambda value: value <= GOAL_SECONDS,
    )
    first = frame[(frame.chain == "synthetic-0.5") & (frame.generation == 1)]
    goal(
        "generation 1 at bias 0.5: read at least 0.97",
        list(first.read),
        lambda value: value >= 0.97,
    )
    goals.append(
        {
            "goal": "generation 1 at bias 0.5: FD over floor, recall over floor (reported)",
            "found": [
                [round(fd / floor["fd"], 2), round(recall / floor["recall"], 3)]
                for fd, recall in zip(first.fd, first.recall, strict=True)
            ],
            "met": not first.empty,
        }
    )
    goal(
        "fully synthetic, bias 1: smallest rise of FD between generations, above 0",
        each("synthetic-1", lambda part: float(part.fd.diff().min())),
        lambda value: value > 0,
    )
    goal(
        "fully synthetic, bias 1: read at the end over read at the start, below 0.65",
        each("synthetic-1", last_over_first("read")),
        lambda value: value < 0.65,
    )
    goal(
        "fully synthetic, bias 0.5: smallest read, above 0.95",
        each("synthetic-0.5", lambda part: float(part.read.min())),
        lambda value: value > 0.95,
    )
    goal(
        "fully synthetic, bias 0.5: recall at the end over recall at the start, at most 0.15",
        each("synthetic-0.5", last_over_first("recall")),
        lambda value: value <= 0.15,
    )
    goal(
        "fresh data, bias 1: recall at the end over recall at the start, at least 0.8",
        each("fresh-1", last_over_first("recall")),
        lambda value: value >= 0.8,
    )
    ends = frame[frame.generation == frame.generation.max()].set_index(["chain", "seed"]).fd
    both = [
        float(ends["fresh-1", seed] / ends["synthetic-1", seed])
        for seed in sorted(frame.seed.unique())
        if ("fresh-1", seed) in ends.index and ("synthetic-1", seed) in ends.index
    ]
    goal(
        "fresh data, bias 1: FD at the end over that of fully synthetic, below 0.5",
        both,
        lambda value: value < 0.5,
    )
    return goals


def main() -> None:
    """Read the command line and do what it says."""
    torch.set_num_threads(1)
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("what", choices=["run", "summary"])
    parser.add_argument("--store", type=Path, required=True)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--generations", type=int, default=6)
    parser.add_argument("--chains", nargs="+", choices=list(CHAINS), default=list(CHAINS))
    parser.add_argument("--n-evaluate", type=int, default=N)
    parser.add_argument("--output", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    (run if arguments.what == "run" else summary)(arguments)


if __name__ == "__main__":
    main()
