"""The chains of faces.py: which there are, running them, and finding their records again."""

import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from madlab import Chain, Loop, Store, models
from madlab.data.samples import Dataset
from madlab.metrics import Reference
from madlab.metrics.scores import SCORES

GENERATIONS = 5
SEEDS = (0, 1, 2)
# CPU-seconds and the steps that take about as many; `faces.py speed` says what they come to.
BUDGETS = {60: 1400, 150: 3500, 300: 7000}
LOOPS: dict[str, tuple[Callable[[int], Loop], float]] = {
    "synthetic-1": (lambda n: Loop.fully_synthetic(n), 1.0),
    "synthetic-0.7": (lambda n: Loop.fully_synthetic(n), 0.7),
    "augmentation-1": (lambda n: Loop.synthetic_augmentation(n, n, accumulate=True), 1.0),
}
# What shapes the scars, one switch at a time.
SWITCHES: dict[str, dict[str, Any]] = {
    "nearest": {"upsampling": "nearest"},
    "bilinear": {"upsampling": "bilinear"},
    "noise": {"noise": True},
    "plain": {"linear": False},
}


@dataclass(frozen=True)
class Spec:
    """One chain.

    - `name`: what it is called in the results: model and loop, or model and steps.
    - `loop`: a key of `LOOPS`.
    """

    name: str
    model: str
    loop: str
    seed: int
    settings: dict[str, Any] = field(default_factory=dict)
    generations: int = GENERATIONS

    @property
    def bias(self) -> float:
        """The sampling bias of all its samples."""
        return LOOPS[self.loop][1]

    def chain(self, data: Dataset, store: Path | Store, **options: Any) -> Chain:
        """Return the chain, whose sets are all as large as the training pool."""
        return Chain(
            LOOPS[self.loop][0](len(data)),
            models.create(self.model, **self.settings),
            data,
            bias=self.bias,
            seed=self.seed,
            store=store,
            **options,
        )

    def matches(self, row: dict[str, Any], data: Dataset, features: str) -> bool:
        """Return whether a record is of this chain, under today's settings and version."""
        model = models.create(self.model, **self.settings)
        config = {
            "loop": asdict(LOOPS[self.loop][0](len(data))),
            "settings": model.settings,
            "version": model.version,
            "data": data.id,
        }
        found = (row["model"], row["seed"], row["bias"], row["config"], row["features"])
        return found == (self.model, self.seed, self.bias, config, features)


def quality(seeds: Sequence[int], steps: Sequence[int]) -> Iterator[Spec]:
    """Return first generations: the GAN after each number of steps, and the control.

    They are those of the loops where settings agree, at both biases from the same model.
    """
    for seed in seeds:
        for loop in ("synthetic-1", "synthetic-0.7"):
            yield Spec("principal", "principal", loop, seed, generations=1)
            for number in steps:
                settings = {"steps": number}
                yield Spec(f"face_gan {number}", "face_gan", loop, seed, settings, 1)


def loops(seeds: Sequence[int], steps: int) -> Iterator[Spec]:
    """Return the loops of the GAN, and of the control beside the fully synthetic ones."""
    for seed in seeds:
        for loop in ("synthetic-1", "synthetic-0.7"):
            yield Spec(f"principal {loop}", "principal", loop, seed)
        for loop in LOOPS:
            yield Spec(f"face_gan {loop}", "face_gan", loop, seed, {"steps": steps})


def flow(seeds: Sequence[int]) -> Iterator[Spec]:
    """Return the fully synthetic loops of the other family, as it comes."""
    for seed in seeds:
        for loop in ("synthetic-1", "synthetic-0.7"):
            yield Spec(f"face_flow {loop}", "face_flow", loop, seed)


def switches(seeds: Sequence[int], steps: int, names: Sequence[str]) -> Iterator[Spec]:
    """Return the fully synthetic loop with each switch of the GAN set otherwise."""
    for seed in seeds:
        for name in names:
            settings = {"steps": steps, **SWITCHES[name]}
            yield Spec(f"face_gan {name} synthetic-1", "face_gan", "synthetic-1", seed, settings)


def run(specs: Sequence[Spec], data: Dataset, store: Path) -> None:
    """Do what is not in the store, and print each generation."""
    for spec in specs:
        chain = spec.chain(data, store)
        for t in range(1, spec.generations + 1):
            # What a half-done training has cost before is not in its record: it starts again.
            half = chain.store.scratch("models", chain._model_name(t))
            shutil.rmtree(half, ignore_errors=True)
        start = time.process_time()
        for generation in chain.run(spec.generations):
            s: Any = generation.scores
            print(
                f"{spec.name} bias {spec.bias:g} seed {spec.seed} generation {generation.t} "
                f"({time.process_time() - start:.0f} CPU-s): KID {1e3 * s.kid:.0f} +- "
                f"{1e3 * s.kid_error:.0f} e-3, FD {s.fd_ratio:.1f} x floor, precision "
                f"{s.precision:.3f} recall {s.recall:.3f} distance {s.distance:.3f}",
                flush=True,
            )


def curves(
    specs: Sequence[Spec], data: Dataset, store: Path, features: str | None = None
) -> list[dict[str, Any]]:
    """Return what the store has of each chain, its scores as lists by generation."""
    rows = Store(store).rows()
    reference = Reference(data, features=features)
    names = [name for name in SCORES if any(name in row for row in rows)]
    found = []
    for spec in specs:
        mine = [row for row in rows if spec.matches(row, data, reference.features)]
        mine = sorted(mine, key=lambda row: int(row["generation"]))[: spec.generations]
        if not mine:
            continue
        found.append(
            {
                "chain": spec.name,
                "bias": spec.bias,
                "seed": spec.seed,
                "settings": mine[0]["config"]["settings"],
                **{name: [row[name] for row in mine] for name in names},
                **{
                    f"{what}_{clock}": [row["cost"][what][clock] for row in mine]
                    for what in ("fit", "sample", "measure")
                    for clock in ("cpu_seconds", "seconds")
                },
                "provenance": mine[0]["provenance"],
            }
        )
    return found
