"""Faces of 64 pixels on a GPU: speed, what minutes buy, and chains that go on from run to run.

Everything is kept in the store that faces.py names, half-done trainings too. Times are of the wall,
with the device waited for.
"""

import json
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from face_chains import LOOPS, Spec

from madlab import models, training
from madlab.data import Samples
from madlab.data.samples import Dataset
from madlab.streams import derive

MINUTES = (3, 6, 9)
WARM_UP = 60
GAN = {"channels": 32, "batch": 64}
MODES = ("eager", "graph", "compiled")


class OutOfTime(Exception):  # noqa: N818 - a limit, not an error
    """Raised in a chain's progress when the time given is over; the chain keeps its state."""


def pack(data: Dataset, folder: Path) -> None:
    """Write the resized pictures into a folder, for a machine that has no originals."""
    folder.mkdir(parents=True, exist_ok=True)
    np.save(folder / "images.npy", data.images, allow_pickle=False)
    np.save(folder / "held_out.npy", data.held_out.images, allow_pickle=False)
    (folder / "id.txt").write_text(data.id)


def unpack(folder: Path) -> Dataset:
    """Read what `pack` wrote, as the same data set."""
    images, held_out = (np.load(folder / f"{name}.npy") for name in ("images", "held_out"))
    return Dataset((folder / "id.txt").read_text(), images, None, Samples(held_out))


def wait() -> float:
    """Return the time when all that was asked of the device is done."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter()


def speed(data: Dataset, settings: dict[str, Any], steps: int, n: int) -> list[dict[str, Any]]:
    """Return faces per second in training and sampling, for each mode that the device has."""
    found = []
    before = os.environ.get("MADLAB_MODE")
    for mode in MODES if training.device().type == "cuda" else ("eager",):
        os.environ["MADLAB_MODE"] = mode
        model: Any = models.create("face_gan", **{**settings, "steps": WARM_UP + steps})
        rate, first = _training_rate(model, data, steps)
        model.sample(n, seed=0)
        start = wait()
        model.sample(n, seed=1)
        found.append(
            {
                "mode": mode,
                "settings": model.settings,
                "training_images_per_second": rate,
                "first_steps_seconds": first,
                "samples_per_second": n / (wait() - start),
                "machine": training.provenance(),
            }
        )
        print(json.dumps(found[-1]), flush=True)
    os.environ.pop("MADLAB_MODE")
    if before:
        os.environ["MADLAB_MODE"] = before
    return found


def _training_rate(model: Any, data: Dataset, steps: int) -> tuple[float, float]:
    """Return faces per second after the first steps, and the seconds that these took."""
    stamps: dict[int, float] = {}
    total = WARM_UP + steps

    def stamp(done: float) -> None:
        if round(done * total) in (WARM_UP, total):
            stamps[round(done * total)] = wait()

    begun = wait()
    model.fit(data.images, seed=derive(0, "speed"), progress=stamp)
    return steps * model.batch / (stamps[total] - stamps[WARM_UP]), stamps[WARM_UP] - begun


def budgets(
    data: Dataset, store: Path, settings: dict[str, Any], minutes: Sequence[float], probe: int
) -> dict[str, int]:
    """Return the steps that take each number of minutes, measured when they were first asked for.

    They are kept beside the store, so that what is named by them is found again.
    """
    file = store.parent / f"{store.name}-steps.json"
    every: dict[str, dict[str, int]] = json.loads(file.read_text()) if file.exists() else {}
    known = every.setdefault(json.dumps(settings, sort_keys=True), {})
    missing = [m for m in minutes if f"{m:g}" not in known]
    if missing:
        model: Any = models.create("face_gan", **{**settings, "steps": WARM_UP + probe})
        rate, _ = _training_rate(model, data, probe)
        for each in missing:
            exact = each * 60 * rate / model.batch
            # Two digits, downwards: a name to remember, and never longer than asked for.
            unit = 10 ** max(0, len(str(int(exact))) - 2)
            known[f"{each:g}"] = max(1, int(exact // unit * unit))
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(every))
    return {f"{m:g}": known[f"{m:g}"] for m in minutes}


def quality_specs(settings: dict[str, Any], steps: dict[str, int], seed: int) -> list[Spec]:
    """Return a first generation for each number of minutes, at both biases, and the control's."""
    ends = ("synthetic-1", "synthetic-0.7")
    control = [Spec("principal", "principal", end, seed, generations=1) for end in ends]
    return control + [
        Spec(f"face_gan {minutes} minutes", "face_gan", end, seed, {**settings, "steps": number}, 1)
        for minutes, number in steps.items()
        for end in ends
    ]


def loop_specs(settings: dict[str, Any], steps: int, generations: int, seed: int) -> list[Spec]:
    """Return the three chains."""
    whole = {**settings, "steps": steps}
    return [Spec(f"face_gan {p}", "face_gan", p, seed, whole, generations) for p in LOOPS]


def run(
    specs: Sequence[Spec], data: Dataset, store: Path, deadline: float, features: str | None
) -> bool:
    """Run generation after generation, each of every chain in turn, until all or time is over.

    Returns whether all were done.
    """

    def check(*_: object) -> None:
        if time.time() > deadline:
            raise OutOfTime

    chains = [spec.chain(data, store, features=features, progress=check) for spec in specs]
    longest = max(spec.generations for spec in specs)
    try:
        for t in range(1, longest + 1):
            for spec, chain in zip(specs, chains, strict=True):
                if t > spec.generations:
                    continue
                check()
                begun = time.time()
                s: Any = list(chain.run(t))[-1].scores
                print(
                    f"{spec.name} bias {spec.bias:g} generation {t} ({time.time() - begun:.0f} s): "
                    f"KID {1e3 * s.kid:.0f} e-3, precision {s.precision:.3f}, recall "
                    f"{s.recall:.3f}, distance {s.distance:.3f}",
                    flush=True,
                )
    except OutOfTime:
        print("out of time: the next run with this store goes on from here", flush=True)
        return False
    return True
