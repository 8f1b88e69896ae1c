"""A hundred generations of WGAN-GP on 10,000 digits each (the paper's Fig. 13), on one thread.

    python benchmarks/wgan.py run --store DIR [--seeds 0 1 2] [--generations 100]   # resumes; hours
    python benchmarks/wgan.py summary --store DIR                                   # seconds

Several `run` processes may share a store, each on a core of its own and with its own seeds; a seed
takes 1.6 GB of disk. `summary` reads what they recorded, prints it and writes it to
benchmarks/results/wgan.json.
"""

import argparse
import json
import platform
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from madlab import Chain, Loop, Store
from madlab.data import mnist
from madlab.metrics import Reference
from madlab.models.wgan import Wgan
from madlab.training import provenance

N = 10_000
SHOWN = (1, 2, 5, 10, 20, 50, 100)
CURVES = ["fd", "precision", "recall", "density", "coverage", "read", "duplicates"]
PRINTED = ["fd", "precision", "recall", "density", "read"]
RESULTS = Path(__file__).parent / "results" / "wgan.json"


def run(arguments: argparse.Namespace) -> None:
    """Run the chains that were asked for, or go on with them."""
    data = mnist()
    for seed in arguments.seeds:
        chain = Chain(
            Loop.fully_synthetic(N), Wgan(), data, seed=seed, store=arguments.store, n_evaluate=N
        )
        for generation in chain.run(arguments.generations):
            s = generation.scores
            print(
                f"seed {seed} generation {generation.t}: FD {s.fd:.3f} precision "
                f"{s.precision:.3f} recall {s.recall:.3f} density {s.density:.3f} "
                f"read {s.read:.3f}",
                flush=True,
            )


def summary(arguments: argparse.Namespace) -> None:
    """Print and write what the store's records say."""
    frame = _records(arguments.store)
    if frame.empty:
        raise SystemExit(f"{arguments.store} has no records of this model: use `run` first")
    chains = [_chain(part) for _, part in frame.groupby("seed")]
    found = {
        "settings": Wgan().settings,
        "n": N,
        "features": sorted(frame.features.unique()),
        "floor": _floor(),
        "cpu_seconds": _seconds(frame),
        "chains": chains,
        "machine": {**provenance(), "processor": platform.processor() or platform.machine()},
        "trained_on": sorted({made["device"] for made in frame.provenance}),
        "trained_at_commits": sorted({str(made["commit"]) for made in frame.provenance}),
    }
    print(f"floor: {json.dumps(found['floor'])}\ncpu_seconds: {json.dumps(found['cpu_seconds'])}")
    for chain in chains:
        print(f"\nseed {chain['seed']}: {json.dumps(chain['decay'])}")
        print(pd.DataFrame(chain["shown"]).to_string(index=False, float_format="{:.3f}".format))
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    arguments.output.write_text(json.dumps(found, indent=1) + "\n")


def _records(store: Path) -> pd.DataFrame:
    """Return the records of these chains under today's settings, by seed and generation."""
    rows = [
        row
        for row in Store(store).rows()
        if row["model"] == Wgan.name
        and (row["loop"], row["n_synthetic"] + row["n_real"]) == (Loop.fully_synthetic(N).name, N)
        and row["n_evaluate"] == N
        and row["config"]["settings"] == Wgan().settings
        and row["config"]["version"] == Wgan.version
    ]
    frame = pd.DataFrame(rows)
    return frame if frame.empty else frame.sort_values(["seed", "generation"])


def _floor() -> dict[str, float]:
    """Return the scores of real training digits against the held-out ones: nothing does better."""
    data = mnist()
    chosen = np.random.default_rng(0).permutation(len(data))[:N]
    scores = Reference(data.held_out, n_evaluate=N).measure(data.take(chosen))
    return {name: float(value) for name, value in scores._asdict().items()}


def _seconds(frame: pd.DataFrame) -> dict[str, float]:
    """Return the CPU-seconds of a generation: fitting, and drawing the digits for the next one."""
    fit = np.array([cost["fit"]["cpu_seconds"] for cost in frame.cost])
    draw = np.array([cost["sample"]["cpu_seconds"] for cost in frame.cost])
    return {
        "generations": len(frame),
        "fit_median": float(np.median(fit)),
        "draw_median": float(np.median(draw)),
        "generation_median": float(np.median(fit + draw)),
        "generation_max": float((fit + draw).max()),
    }


def _chain(part: pd.DataFrame) -> dict[str, Any]:
    """Return the curves of one chain, some of their generations, and what they say of decay."""
    by_t = part.set_index("generation")
    halved = by_t.index[by_t.recall <= by_t.recall[1] / 2]
    last, half = int(by_t.index[-1]), by_t.loc[: max(1, int(by_t.index[-1]) // 2)]
    return {
        "seed": int(part.seed.iloc[0]),
        "shown": [
            {"generation": t, **{name: float(by_t[name][t]) for name in PRINTED}}
            for t in SHOWN
            if t in by_t.index
        ],
        "decay": {
            "generations": last,
            "recall_halved_at": int(halved[0]) if len(halved) else None,
            "fd_rises_in_share_of_generations": float((by_t.fd.diff().iloc[1:] > 0).mean()),
            "fd_rank_correlation_with_generation": float(
                by_t.fd.rank().corr(by_t.index.to_series().rank())
            ),
            "fd_gain_of_first_half_of_all": float(
                (half.fd.iloc[-1] - by_t.fd.iloc[0]) / (by_t.fd.iloc[-1] - by_t.fd.iloc[0])
            ),
        },
        **{name: by_t[name].tolist() for name in CURVES},
    }


def main() -> None:
    """Read the command line and do what it says."""
    torch.set_num_threads(1)
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("what", choices=["run", "summary"])
    parser.add_argument("--store", type=Path, required=True)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--generations", type=int, default=100)
    parser.add_argument("--output", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    (run if arguments.what == "run" else summary)(arguments)


if __name__ == "__main__":
    main()
