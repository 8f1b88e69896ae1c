"""What the metrics cost against named peers, with equal values.

    python benchmarks/metrics.py

Precision, recall, density and coverage of 10,000 training against 10,000 test digits on LeNet
features, against prdc; the Frechet distance at d = 2048 against scipy's sqrtm and torch-fidelity.
Every side runs in a process of its own, on one BLAS thread, several times in turn; medians of CPU
time over all threads are compared. Writes `results/metrics.json`. Takes a few minutes; Linux
only, because peak memory is read from /proc.
"""

import argparse
import functools
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

import madlab
from madlab.data import Samples
from madlab.metrics import Reference, frechet_distance, neighbours
from madlab.metrics.features import LeNetFeatures
from madlab.metrics.neighbours import squared_radii
from madlab.streams import generator
from madlab.training import provenance

RESULTS = Path(__file__).parent / "results"
N, N_PANEL, D, N_WIDE = 10_000, 5_000, 2048, 5_000
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")


def make_inputs(folder: Path) -> None:
    """Write the features that every side reads."""
    data = madlab.data.mnist()
    chosen = np.sort(generator(0, "benchmark").random(len(data)).argsort()[:N])
    np.save(folder / "real.npy", LeNetFeatures().embed(data.held_out.images))
    np.save(folder / "synthetic.npy", LeNetFeatures().embed(data.images[chosen]))
    rng = generator(0, "benchmark", "wide")
    # A spectrum that falls off like that of network features.
    scale = np.arange(1, D + 1) ** -0.5
    for name in ("wide_real", "wide_synthetic"):
        turned = (rng.normal(size=(N_WIDE, D)) * scale) @ rng.normal(size=(D, D)) / D**0.5
        np.save(folder / f"{name}.npy", turned + 0.01 * rng.normal(size=D))


def by_madlab(real: np.ndarray, synthetic: np.ndarray) -> dict[str, float]:
    """Return the four scores, nothing prepared."""
    return neighbours(real, synthetic)._asdict()


def by_prdc(real: np.ndarray, synthetic: np.ndarray) -> dict[str, float]:
    """Return the four scores by prdc."""
    from prdc import compute_prdc

    found = compute_prdc(real, synthetic, nearest_k=5)
    return {name: float(value) for name, value in found.items()}


def fd_by_madlab(real: np.ndarray, synthetic: np.ndarray) -> dict[str, float]:
    """Return the Frechet distance."""
    return {"fd": frechet_distance(real, synthetic)}


def fd_by_sqrtm(real: np.ndarray, synthetic: np.ndarray) -> dict[str, float]:
    """Return the Frechet distance as most published code computes it."""
    from scipy.linalg import sqrtm

    a, b = np.cov(real, rowvar=False), np.cov(synthetic, rowvar=False)
    apart = real.mean(0) - synthetic.mean(0)
    return {"fd": float(apart @ apart + np.trace(a) + np.trace(b) - 2 * sqrtm(a @ b).real.trace())}


def fd_by_torch_fidelity(real: np.ndarray, synthetic: np.ndarray) -> dict[str, float]:
    """Return the Frechet distance by torch-fidelity."""
    import torch
    from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric

    sides = [fid_features_to_statistics(torch.from_numpy(side)) for side in (real, synthetic)]
    found = fid_statistics_to_metric(*sides, verbose=False)
    return {"fd": float(found["frechet_inception_distance"])}


Side = Callable[[np.ndarray, np.ndarray], dict[str, float]]
SIDES: dict[str, tuple[str, Side]] = {
    "madlab": ("", by_madlab),
    "prdc": ("", by_prdc),
    "madlab FD": ("wide_", fd_by_madlab),
    "scipy sqrtm": ("wide_", fd_by_sqrtm),
    "torch-fidelity": ("wide_", fd_by_torch_fidelity),
}


def _peak_megabytes() -> float:
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 2**10


def timed(run: Callable[[], dict[str, float]]) -> dict[str, Any]:
    """Return values, CPU and wall seconds, and how far memory rose at its peak, in MB."""
    # getrusage counts what the parent process held before exec: Linux's own figure does not.
    Path("/proc/self/clear_refs").write_text("5")
    before = _peak_megabytes()
    wall, cpu = time.perf_counter(), time.process_time()
    values = run()
    cost = {"cpu": time.process_time() - cpu, "wall": time.perf_counter() - wall}
    return {"values": values, **cost, "megabytes": _peak_megabytes() - before}


def one_side(name: str, folder: Path) -> dict[str, Any]:
    """Measure one side in this process, after a small run that loads its libraries."""
    prefix, run = SIDES[name]
    real, synthetic = (np.load(folder / f"{prefix}{s}.npy") for s in ("real", "synthetic"))
    run(real[:100, :8], synthetic[:100, :8])
    return timed(lambda: run(real, synthetic))


def _scores(reference: Reference, samples: Samples) -> dict[str, float]:
    return reference.measure(samples)._asdict()


def in_a_chain(folder: Path) -> dict[str, Any]:
    """Measure what a generation costs once the real side is known: scores, then all of measure."""
    real, synthetic = (np.load(folder / f"{s}.npy") for s in ("real", "synthetic"))
    radii = squared_radii(real)
    out = {"neighbours": timed(lambda: neighbours(real, synthetic, radii=radii)._asdict())}
    data = madlab.data.mnist()
    for n in (N_PANEL, N):
        reference = Reference(data.held_out, n)
        samples = Samples(data.images[:n], data.labels[:n] if data.labels is not None else None)
        reference.measure(samples)
        out[f"measure {n}"] = timed(functools.partial(_scores, reference, samples))
    return out


def elsewhere(name: str, folder: Path) -> dict[str, Any]:
    """Measure one side in a fresh process on one thread."""
    command = [sys.executable, __file__, "--side", name, "--folder", str(folder)]
    done = subprocess.run(
        command, env={**os.environ, **ONE_THREAD}, stdout=subprocess.PIPE, text=True, check=True
    )
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def compare(names: list[str], rounds: int, folder: Path) -> dict[str, dict[str, Any]]:
    """Measure several sides in turn and return the medians of each."""
    runs: dict[str, list[dict[str, Any]]] = {name: [] for name in names}
    for _ in range(rounds):
        for name in names:
            runs[name].append(elsewhere(name, folder))
            print(f"{name}: {runs[name][-1]['cpu']:.2f} CPU-s", flush=True)
    costs = ("cpu", "wall", "megabytes")
    return {
        name: {"values": found[0]["values"], "rounds": rounds}
        | {cost: statistics.median(run[cost] for run in found) for cost in costs}
        for name, found in runs.items()
    }


def apart(a: dict[str, float], b: dict[str, float]) -> float:
    """Return the largest relative difference between two sides' values."""
    return max(abs(a[name] - b[name]) / abs(b[name]) for name in b)


def main() -> None:
    """Measure everything, print a table and write the results."""
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3, help="runs of the four scores")
    parser.add_argument("--wide-rounds", type=int, default=3, help="runs at d = 2048")
    parser.add_argument("--side", help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.side:
        chain = options.side == "chain"
        found = in_a_chain(options.folder) if chain else one_side(options.side, options.folder)
        print(json.dumps(found))
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_inputs(folder)
        result: dict[str, Any] = {
            "scores": compare(["madlab", "prdc"], options.rounds, folder),
            "chain": elsewhere("chain", folder),
            "wide": compare(
                ["madlab FD", "scipy sqrtm", "torch-fidelity"], options.wide_rounds, folder
            ),
        }
    scores, wide = result["scores"], result["wide"]
    result["ratios"] = {}
    lines = [
        "| against | CPU time | peak memory | largest relative difference |",
        "|---|---|---|---|",
    ]
    for ours, side in (("madlab", scores), ("madlab FD", wide)):
        for peer in [name for name in side if name != ours]:
            ratio = {
                "cpu": side[peer]["cpu"] / side[ours]["cpu"],
                "memory": side[peer]["megabytes"] / side[ours]["megabytes"],
                "difference": apart(side[ours]["values"], side[peer]["values"]),
            }
            result["ratios"][peer] = ratio
            lines.append(
                f"| {peer} | {ratio['cpu']:.1f} x | {ratio['memory']:.1f} x "
                f"| {ratio['difference']:.1e} |"
            )
    kept = result["chain"]["neighbours"]["cpu"]
    result["ratios"]["prdc, real side kept"] = {"cpu": scores["prdc"]["cpu"] / kept}
    result["sizes"] = {"n": N, "features": LeNetFeatures().name, "d": D, "n at d": N_WIDE}
    result["versions"] = {name: version(name) for name in ("prdc", "scipy", "torch-fidelity")}
    result["provenance"] = provenance() | {"threads": 1}
    result["machine"] = f"{platform.machine()}, {os.cpu_count()} cores"
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "metrics.json").write_text(json.dumps(result, indent=1) + "\n")
    print("\n".join(lines))
    for n in (N_PANEL, N):
        print(f"measure, n = {n}: {result['chain'][f'measure {n}']['cpu']:.2f} CPU-s")


if __name__ == "__main__":
    main()
