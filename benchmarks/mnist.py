"""Digits per CPU-second against two diffusion libraries, and what 120 CPU-seconds buy in each.

    python benchmarks/mnist.py --part speed                 # interleaved rounds
    python benchmarks/mnist.py --part quality [--jobs 2]    # a process for each side

Runs on the CPU, one thread a process, all networks in float32; peers.py has the peers' settings
and says what to install. Each part goes into `results/mnist.json` beside the other.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pandas as pd
import torch
from peers import STEPS, Diffusers, Lucidrains, check_installed

from madlab import models
from madlab.data import Samples, mnist
from madlab.metrics import Reference
from madlab.streams import derive, generator
from madlab.training import provenance

RESULTS = Path(__file__).parent / "results" / "mnist.json"
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
TRIES, SLACK = 3, 0.05
CAVEAT = (
    "The peers' networks are larger, made for harder pictures: the ratios hold for this job, "
    "digits on a CPU, and do not compare the quality of code. All sampling was run, none was "
    "multiplied up: the peers' with one evaluation a step, ours at a bias below 1 with two."
)


class Side(Protocol):
    """What is compared: a model with its own way to train and to sample."""

    batch: int
    weights: int  # of the network that samples

    def train(self, steps: int) -> None:
        """Train for `steps` steps; a peer goes on, one of ours starts from nothing."""

    def draw(self, labels: np.ndarray, bias: float) -> Samples:
        """Return a digit for each label; without labels where the side knows none."""


class Ours:
    """A model of madlab through its own `fit` and `sample`, with all that they do."""

    def __init__(self, name: str, seed: int, **settings: Any) -> None:
        self._name, self._seed, self._settings = name, seed, settings
        self._model: Any = models.create(name, **settings)
        self.batch = int(self._model.settings["batch"])
        self.weights = 0

    def train(self, steps: int) -> None:
        """Fit a new model, whose schedule is that of `steps` steps."""
        data = mnist()
        self._model = models.create(self._name, **{**self._settings, "steps": steps})
        self._model.fit(data.images, data.labels, seed=derive(self._seed, "fit"))
        self.weights = sum(weight.numel() for weight in self._model._network.parameters())

    def draw(self, labels: np.ndarray, bias: float) -> Samples:
        """Return `sample`'s answer."""
        seed = derive(self._seed, "evaluation")
        drawn: Samples = self._model.sample(len(labels), bias=bias, seed=seed, labels=labels)
        return drawn


@dataclass(frozen=True)
class Entry:
    """A side, and how much of it one round of the speed part takes.

    - `steps`: of training.
    - `samples`: how many at each sampling bias.
    """

    make: Callable[[int], Side]
    steps: int
    samples: dict[float, int]


OURS = {
    "gan": Entry(lambda seed: Ours("gan", seed), 160, {1.0: 20_000}),
    "flow": Entry(lambda seed: Ours("diffusion", seed, recipe="flow"), 160, {1.0: 1000, 0.5: 1000}),
    "ddpm": Entry(lambda seed: Ours("diffusion", seed, recipe="ddpm"), 160, {1.0: 100}),
}
PEERS = {
    "diffusers": Entry(Diffusers, 4, {1.0: 16}),
    "denoising-diffusion-pytorch": Entry(Lucidrains, 4, {1.0: 4}),
}
SIDES = {**OURS, **PEERS}
# Ours, what is compared, the peer, and how many times faster ours must be.
GOALS = [
    *((ours, "training", "diffusers", 40) for ours in ("gan", "flow")),
    *((ours, "training", "denoising-diffusion-pytorch", 100) for ours in ("gan", "flow")),
    ("gan", "sampling at bias 1", "diffusers", 2000),
    ("flow", "sampling at bias 0.5", "diffusers", 40),
]


def asked(n: int) -> np.ndarray:
    """Return labels `(n,)` that take the digits in turn."""
    return np.arange(n) % 10


def seconds(function: Callable[..., object], *arguments: Any) -> float:
    """Return the CPU-seconds of a call."""
    start = time.process_time()
    function(*arguments)
    return time.process_time() - start


def speed(arguments: argparse.Namespace) -> dict[str, Any]:
    """Return CPU-seconds per digit of every side and round, all sides in turn, and ratios."""
    entries = {name: SIDES[name] for name in arguments.sides}
    sides = {name: entry.make(arguments.seed) for name, entry in entries.items()}
    for side in sides.values():
        side.train(2)
    costs: dict[str, dict[str, list[float]]] = {name: {} for name in sides}

    def note(name: str, what: str, digits: int, function: Callable[..., object], *of: Any) -> None:
        cost = seconds(function, *of) / digits
        costs[name].setdefault(what, []).append(cost)
        print(f"{name}, {what}: {1 / cost:,.2f} a CPU-s", flush=True)

    for done in range(arguments.rounds):
        print(f"round {done + 1}")
        for name, side in sides.items():
            steps = entries[name].steps
            note(name, "training", steps * side.batch, side.train, steps)
        for name, side in sides.items():
            for bias, n in entries[name].samples.items():
                note(name, f"sampling at bias {bias:g}", n, side.draw, asked(n), bias)
    rates = {
        name: {what: spread([1 / cost for cost in rounds]) for what, rounds in found.items()}
        for name, found in costs.items()
    }
    times = ratios(costs)
    return {
        "rounds": arguments.rounds,
        "digits_a_round": {
            name: {"training": entry.steps * sides[name].batch, "sampling": entry.samples}
            for name, entry in entries.items()
        },
        "weights": {name: side.weights for name, side in sides.items()},
        "digits_per_cpu_second": rates,
        "times_faster": times,
        "goals": goals(times),
    }


def spread(values: list[float]) -> dict[str, float]:
    """Return median, smallest and largest."""
    return {"median": float(np.median(values)), "min": min(values), "max": max(values)}


def ratios(costs: dict[str, dict[str, list[float]]]) -> dict[str, dict[str, dict[str, float]]]:
    """Return by side and peer how many times less a digit costs, from the rounds' own ratios."""
    out: dict[str, dict[str, dict[str, float]]] = {}
    for ours in [name for name in costs if name in OURS]:
        for peer in [name for name in costs if name in PEERS]:
            for what, mine in costs[ours].items():
                # Peers have no sampling bias: theirs is 1, at one evaluation a step.
                theirs = costs[peer]["training" if what == "training" else "sampling at bias 1"]
                each = [b / a for a, b in zip(mine, theirs, strict=True)]
                out.setdefault(ours, {})[f"{what}, against {peer}"] = spread(each)
    return out


def goals(times: dict[str, dict[str, dict[str, float]]]) -> list[dict[str, Any]]:
    """Return each goal with the ratio that was found, and whether its median meets it."""
    out = []
    for ours, what, peer, least in GOALS:
        found = times.get(ours, {}).get(f"{what}, against {peer}")
        text = f"{ours}, {what}: at least {least:,} times {peer}"
        if found:
            out.append({"goal": text, "found": found, "met": found["median"] >= least})
    return out


def train_for(name: str, budget: float, seed: int) -> tuple[Side, int, float]:
    """Return a side trained for `budget` CPU-seconds, with its steps and what they took.

    The number of steps must stand before training, because the learning rate's schedule depends on
    it: it comes from a trial, and again from the whole where that was off by more than `SLACK`.
    """
    entry = SIDES[name]
    side = entry.make(seed)
    side.train(2)
    steps = 2 * entry.steps
    spent = seconds(side.train, steps)
    for _ in range(TRIES):
        steps = max(1, round(steps * budget / spent))
        side = entry.make(seed)
        spent = seconds(side.train, steps)
        print(f"{name}: {steps} steps took {spent:.1f} CPU-s", file=sys.stderr, flush=True)
        if abs(spent / budget - 1) <= SLACK:
            break
    return side, steps, spent


def one_side(name: str, arguments: argparse.Namespace) -> list[dict[str, Any]]:
    """Return the scores of one side after training within the budget, a row for each bias."""
    side, steps, spent = train_for(name, arguments.budget, arguments.seed)
    rows = []
    for bias in SIDES[name].samples:
        start = time.process_time()
        samples = side.draw(asked(arguments.n), bias)
        rows.append(
            {
                "side": name,
                "bias": bias,
                "weights": side.weights,
                "steps": steps,
                "digits_trained_on": steps * side.batch,
                "training_cpu_seconds": spent,
                "sampling_cpu_seconds": time.process_time() - start,
                **scores(samples),
            }
        )
    return rows


def scores(samples: Samples) -> dict[str, float | None]:
    """Return the scores against as many held-out digits, None for what cannot be said."""
    found = Reference(mnist().held_out, len(samples.images)).measure(samples)._asdict()
    return {name: None if np.isnan(value) else float(value) for name, value in found.items()}


def quality(arguments: argparse.Namespace) -> dict[str, Any]:
    """Return the scores of every side, each trained in a fresh process, and those of real digits.

    Several processes at a time share the machine's memory and caches, not a core.
    """

    def elsewhere(name: str) -> list[dict[str, Any]]:
        command = [sys.executable, __file__, "--side", name, "--part", "quality"]
        for option in ("n", "budget", "seed"):
            command += [f"--{option}", str(getattr(arguments, option))]
        done = subprocess.run(
            command, env={**os.environ, **ONE_THREAD}, stdout=subprocess.PIPE, text=True, check=True
        )
        rows: list[dict[str, Any]] = json.loads(done.stdout.splitlines()[-1])
        print(f"{name}: {json.dumps(rows)}", flush=True)
        return rows

    # The slowest first, so that the processes end together.
    with ThreadPoolExecutor(arguments.jobs) as pool:
        found = list(pool.map(elsewhere, reversed(arguments.sides)))
    data = mnist()
    real = generator(arguments.seed, "floor").permutation(len(data))[: arguments.n]
    return {
        "n_evaluate": arguments.n,
        "budget_cpu_seconds": arguments.budget,
        "seed": arguments.seed,
        "processes_at_a_time": arguments.jobs,
        "features": Reference(data.held_out, arguments.n).features,
        "floor": scores(data.take(real)),
        "rows": [row for rows in reversed(found) for row in rows],
    }


def show_speed(found: dict[str, Any]) -> None:
    """Print rates, ratios and goals."""
    for title in ("digits_per_cpu_second", "times_faster"):
        rows = {
            f"{name}, {what}": values
            for name, of in found[title].items()
            for what, values in of.items()
        }
        table = pd.DataFrame.from_dict(rows, orient="index")
        print(f"\n{title}\n{table.to_string(float_format=lambda value: f'{value:,.2f}')}")
    print(f"\nweights: {found['weights']}")
    for goal in found["goals"]:
        met = "met" if goal["met"] else "NOT MET"
        print(f"[{met}] {goal['goal']}: {goal['found']['median']:,.0f}")


def show_quality(found: dict[str, Any]) -> None:
    """Print the scores as a table."""
    print(
        f"\nn = {found['n_evaluate']}, {found['budget_cpu_seconds']:g} CPU-s of training, one seed"
    )
    table = pd.DataFrame(found["rows"])
    print(table.to_string(index=False, float_format="{:.4g}".format, na_rep="none"))
    print(f"real training digits: {json.dumps(found['floor'])}")


def main() -> None:
    """Read the command line, measure and write the results."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--part", choices=["speed", "quality"], required=True)
    parser.add_argument("--sides", nargs="+", choices=list(SIDES), default=list(SIDES))
    parser.add_argument("--rounds", type=int, default=5, help="of the speed part")
    parser.add_argument("--n", type=int, default=200, help="digits to score")
    parser.add_argument("--budget", type=float, default=120, help="CPU-seconds of training")
    parser.add_argument("--jobs", type=int, default=1, help="processes of the quality part")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", type=Path, default=RESULTS)
    parser.add_argument("--side", choices=list(SIDES), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    os.environ["MADLAB_DEVICE"] = "cpu"
    torch.set_num_threads(1)
    if arguments.side:
        print(json.dumps(one_side(arguments.side, arguments)))
        return
    versions = check_installed([name for name in arguments.sides if name in PEERS])
    measure, show = (speed, show_speed) if arguments.part == "speed" else (quality, show_quality)
    found = measure(arguments)
    found |= {
        "said": CAVEAT,
        "peers": versions,
        "peers_sampling_steps": STEPS,
        "machine": {**provenance(), "processor": platform.processor() or platform.machine()},
    }
    show(found)
    print(f"\n{CAVEAT}")
    earlier = json.loads(arguments.output.read_text()) if arguments.output.exists() else {}
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    arguments.output.write_text(json.dumps({**earlier, arguments.part: found}, indent=1) + "\n")


if __name__ == "__main__":
    main()
