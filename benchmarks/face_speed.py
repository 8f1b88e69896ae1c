"""Faces per CPU-second of our models and, where it is asked for, of a library's StyleGAN2."""

import json
import time
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
from face_peers import SMALL, StyleGan2
from torch import nn

from madlab import models
from madlab.data import Samples
from madlab.data.samples import Dataset
from madlab.models.neural import Neural
from madlab.streams import derive

# A multiple of 4: every fourth step of the GANs has a penalty.
WARM_UP = 20
CAVEAT = (
    "The peer's networks are larger, made for harder pictures; the small one has about as many "
    "trained weights in the generator as ours, its discriminator still has many more. Ours takes "
    "one pass through the generator for both updates, the peer two. Pictures were in memory for "
    "both; ours alone mirrors and augments them and averages weights within so few steps. The "
    "ratios hold for small faces on a CPU and do not compare the quality of code or of pictures."
)


class Side(Protocol):
    """What is compared: a model with its own way to train and to sample."""

    batch: int
    weights: dict[str, int]

    def train(self, steps: int) -> float:
        """Train for `steps` steps and return what they cost, in CPU-seconds."""

    def draw(self, n: int, bias: float) -> Samples:
        """Return `n` faces under a sampling bias."""


class Ours:
    """A model of madlab through its own `fit` and `sample`, with all that they do."""

    def __init__(self, data: Dataset, name: str, seed: int) -> None:
        self._data, self._name, self._seed = data, name, seed
        self._model: Any = models.create(name)
        self.batch = int(self._model.settings["batch"])
        self.weights: dict[str, int] = {}

    def train(self, steps: int) -> float:
        """Fit a new model; its start, and `WARM_UP` steps more, are left out of the cost."""
        total = WARM_UP + steps
        stamps: dict[int, float] = {}

        def stamp(done: float) -> None:
            if round(done * total) in (WARM_UP, total):
                stamps[round(done * total)] = time.process_time()

        self._model = models.create(self._name, steps=total)
        self._model.fit(self._data.images, seed=derive(self._seed, "fit"), progress=stamp)
        self.weights = weights(self._model, self._data)
        return stamps[total] - stamps[WARM_UP]

    def draw(self, n: int, bias: float) -> Samples:
        """Return `sample`'s answer."""
        drawn: Samples = self._model.sample(n, bias=bias, seed=derive(self._seed, "evaluation"))
        return drawn


def weights(model: Neural, data: Dataset) -> dict[str, int]:
    """Return the number of weights of each network of a fitted model."""
    shape = (data.images.shape[1], data.images.shape[2])
    networks = model._learner(model._network, shape, 1, 0).networks
    return {name: _count(network) for name, network in networks.items()}


def _count(network: nn.Module) -> int:
    return sum(weight.numel() for weight in network.parameters())


# How each side is made, and how much of it one round takes: steps, and samples by bias.
Entry = tuple[Callable[[Dataset, int], Side], int, dict[float, int]]
SIDES: dict[str, Entry] = {
    "face_gan": (lambda data, seed: Ours(data, "face_gan", seed), 160, {1.0: 5_000}),
    "face_flow": (lambda data, seed: Ours(data, "face_flow", seed), 80, {1.0: 200, 0.5: 200}),
    "stylegan2-pytorch": (lambda data, seed: StyleGan2(data.images, seed), 4, {1.0: 160}),
    "stylegan2-pytorch small": (
        lambda data, seed: StyleGan2(data.images, seed, **SMALL),
        16,
        {1.0: 2_000},
    ),
}
PEERS = ("stylegan2-pytorch", "stylegan2-pytorch small")


def seconds(function: Callable[..., object], *arguments: Any) -> float:
    """Return the CPU-seconds of a call."""
    start = time.process_time()
    function(*arguments)
    return time.process_time() - start


def measure(
    data: Dataset, names: list[str], rounds: int, seed: int, share: float
) -> dict[str, Any]:
    """Return faces per CPU-second of every side and round, all sides in turn, and ratios.

    - `share`: of the steps and samples that a round takes; 1 unless something is only tried.
    """
    sides = {name: SIDES[name][0](data, seed) for name in names}
    for side in sides.values():
        side.train(4)
        side.draw(4, 1.0)
    costs: dict[str, dict[str, list[float]]] = {name: {} for name in names}

    def note(name: str, what: str, faces: int, cost: float) -> None:
        costs[name].setdefault(what, []).append(cost / faces)
        print(f"{name}, {what}: {faces / cost:,.1f} a CPU-s", flush=True)

    for done in range(rounds):
        print(f"round {done + 1}", flush=True)
        for name, side in sides.items():
            steps = max(4, round(SIDES[name][1] * share) // 4 * 4)
            note(name, "training", steps * side.batch, side.train(steps))
        for name, side in sides.items():
            for bias, n in SIDES[name][2].items():
                n = max(4, round(n * share))
                note(name, f"sampling at bias {bias:g}", n, seconds(side.draw, n, bias))
            if isinstance(side, StyleGan2):
                cost = side.train_with_path_length()
                note(name, "a step with path-length penalty", side.batch, cost)
    found = {
        "data": data.id,
        "pixels": data.images.shape[1],
        "rounds": rounds,
        "batch": {name: side.batch for name, side in sides.items()},
        "weights": {name: side.weights for name, side in sides.items()},
        "faces_per_cpu_second": {
            name: {what: spread([1 / cost for cost in each]) for what, each in of.items()}
            for name, of in costs.items()
        },
    }
    if any(name in PEERS for name in names):
        found |= {"times_faster": ratios(costs), "said": CAVEAT}
    return found


def spread(values: list[float]) -> dict[str, float]:
    """Return median, smallest and largest."""
    return {"median": float(np.median(values)), "min": min(values), "max": max(values)}


def ratios(costs: dict[str, dict[str, list[float]]]) -> dict[str, dict[str, dict[str, float]]]:
    """Return by side and peer how many times less a face costs, from the rounds' own ratios."""
    out: dict[str, dict[str, dict[str, float]]] = {}
    for ours in [name for name in costs if name not in PEERS]:
        for peer in [name for name in costs if name in PEERS]:
            for what in ("training", "sampling at bias 1"):
                pairs = zip(costs[ours][what], costs[peer][what], strict=True)
                each = [theirs / mine for mine, theirs in pairs]
                out.setdefault(ours, {})[f"{what}, against {peer}"] = spread(each)
    return out


def show(found: dict[str, Any]) -> None:
    """Print rates, ratios and weights."""
    for title in ("faces_per_cpu_second", "times_faster"):
        for name, of in found.get(title, {}).items():
            for what, values in of.items():
                inside = f"{values['min']:,.1f} to {values['max']:,.1f}"
                print(f"{title}: {name}, {what}: {values['median']:,.1f} ({inside})")
    print(f"weights: {json.dumps(found['weights'])}")
