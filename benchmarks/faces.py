"""Faces on one thread: speed, what CPU-seconds buy, the loops, a library's StyleGAN2; and a GPU.

    python benchmarks/faces.py speed                        # 2 minutes
    python benchmarks/faces.py peer            # 3 minutes; face_peers.py says what to install
    python benchmarks/faces.py quality --store DIR [--seeds 0 1 2]      # resumes
    python benchmarks/faces.py loops --store DIR [--seeds 0 1 2] [--switches plain noise]
    python benchmarks/faces.py flow --store DIR             # one seed of the other family
    python benchmarks/faces.py summary --store DIR          # goals of all that was run
    python benchmarks/faces.py sheets --store DIR --to DIR  # generated faces, to look at

`--data` is a folder of FFHQ, 1,100 images of it for the goals; without it `MADLAB_FFHQ` names one.
A seed takes about 10 minutes for `quality` and 15 for `loops`; several processes may share a store,
each on a core of its own with seeds of its own. Results go to benchmarks/results/faces.json.

On a GPU, with the pictures at 64 pixels, resized here and carried there:

    python benchmarks/faces.py pack --data FOLDER --size 64 --to DIR
    python benchmarks/faces.py gpu --packed DIR --store DIR --part speed quality loops --seconds 500

goes on from where it was when it is run again with the same store and its `-steps.json` beside it;
results go to benchmarks/results/faces-gpu.json.
"""

import argparse
import json
import os
import platform
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import face_chains
import face_goals
import face_gpu
import face_speed
import numpy as np
import torch
from face_chains import BUDGETS, GENERATIONS, SEEDS, SWITCHES
from face_peers import check_installed

from madlab.data import ffhq
from madlab.data.samples import Dataset, Samples
from madlab.metrics import Reference
from madlab.training import provenance

RESULTS = Path(__file__).parent / "results"
COLUMNS = 16


def keep(file: Path, found: dict[str, Any]) -> None:
    """Write what was found beside what the file has already."""
    earlier = json.loads(file.read_text()) if file.exists() else {}
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps({**earlier, **found}, indent=1) + "\n")


def machine() -> dict[str, Any]:
    """Return provenance and processor."""
    return {**provenance(), "processor": platform.processor() or platform.machine()}


def load(arguments: argparse.Namespace) -> Dataset:
    """Return the faces."""
    return ffhq(arguments.data, size=arguments.size)


def speed(arguments: argparse.Namespace) -> None:
    """Measure faces per CPU-second of the sides that were asked for, the peer among them or not."""
    part = arguments.what
    versions = check_installed() if part == "peer" else None
    sides = (
        arguments.sides
        or {
            "speed": ["face_gan", "face_flow"],
            "peer": ["face_gan", *face_speed.PEERS],
        }[part]
    )
    data = load(arguments)
    found = face_speed.measure(data, sides, arguments.rounds, 0, arguments.share)
    found["machine"] = machine()
    if versions:
        found["peer"] = versions
    if part == "speed":
        rate = found["faces_per_cpu_second"].get("face_gan", {}).get("training")
        if rate:
            each = found["batch"]["face_gan"] / rate["median"]
            found["steps_in_cpu_seconds"] = {budget: round(budget / each) for budget in BUDGETS}
            print(f"steps of face_gan in CPU-seconds: {found['steps_in_cpu_seconds']}")
        found["goals"] = face_goals.of_speed(found)
        face_goals.show(found["goals"])
    face_speed.show(found)
    keep(arguments.output or RESULTS / "faces.json", {part: found})


def specs(arguments: argparse.Namespace) -> dict[str, list[face_chains.Spec]]:
    """Return the chains of each part."""
    first = min(arguments.steps)
    return {
        "quality": list(face_chains.quality(arguments.seeds, arguments.steps)),
        "loops": list(face_chains.loops(arguments.seeds, first)),
        "flow": list(face_chains.flow(arguments.seeds[:1])),
        "switches": list(
            face_chains.switches(arguments.seeds[:1], first, arguments.switches or list(SWITCHES))
        ),
    }


def run(arguments: argparse.Namespace) -> None:
    """Train, sample and measure what is not in the store."""
    asked = specs(arguments)
    chains = asked[arguments.what]
    if arguments.what == "loops" and arguments.switches:
        chains = chains + asked["switches"]
    face_chains.run(chains, load(arguments), arguments.store)


def summary(arguments: argparse.Namespace) -> None:
    """Print and write what the store holds under today's settings, and the goals."""
    data = load(arguments)
    asked = specs(arguments)
    found = {part: face_chains.curves(asked[part], data, arguments.store) for part in asked}
    budgets = dict(zip(BUDGETS, arguments.steps, strict=True))
    goals = [
        *face_goals.of_quality(found["quality"], budgets),
        *face_goals.of_loops(found["loops"], GENERATIONS),
    ]
    for part, curves in found.items():
        print(f"\n{part}")
        show(curves)
    control = face_goals.of_control(found["loops"])
    print("\nrecall by generation, mean over the seeds: face_gan, then the Gaussian alone")
    for loop, (gan, gaussian) in control.items():
        print(f"  {loop}: {gan}; {gaussian}")
    reference = Reference(data)
    real = reference.measure(Samples(data.images[: reference.n_evaluate]))._asdict()
    floor = {name: float(value) for name, value in real.items()}
    print(f"\nreal training faces: {json.dumps(floor)}\n")
    face_goals.show(goals)
    keep(
        arguments.output or RESULTS / "faces.json",
        {
            **found,
            "recall_beside_the_control": control,
            "floor": floor,
            "features": reference.features,
            "data": data.id,
            "steps": budgets,
            "goals": goals,
            "machine": machine(),
        },
    )


def show(curves: Sequence[dict[str, Any]]) -> None:
    """Print curves, a line for each score."""
    scores = ("kid", "kid_error", "fd_ratio", "precision", "recall", "distance", "memorisation")
    for curve in curves:
        print(f"{curve['chain']} bias {curve['bias']:g} seed {curve['seed']}")
        for name in (*scores, "fit_cpu_seconds"):
            print(f"  {name:16s}" + " ".join(f"{value:9.4f}" for value in curve[name]))


def sheets(arguments: argparse.Namespace) -> None:
    """Write a picture for each chain: the first faces of the preview, a row a generation."""
    from PIL import Image

    data = load(arguments)
    arguments.to.mkdir(parents=True, exist_ok=True)
    for chains in specs(arguments).values():
        for spec in chains:
            done = face_chains.curves([spec], data, arguments.store)
            if not done:
                continue
            chain = spec.chain(data, arguments.store)
            rows = [chain.preview(t + 1).images[:COLUMNS] for t in range(len(done[0]["kid"]))]
            sheet = np.concatenate([np.concatenate(list(row), axis=1) for row in rows])
            name = f"{spec.name}-bias-{spec.bias:g}-seed-{spec.seed}.png".replace(" ", "-")
            larger = sheet.repeat(arguments.zoom, 0).repeat(arguments.zoom, 1)
            Image.fromarray(larger).save(arguments.to / name)
            print(arguments.to / name)


def pack(arguments: argparse.Namespace) -> None:
    """Write the resized pictures into a folder that can be carried to a GPU."""
    face_gpu.pack(load(arguments), arguments.to)


def gpu(arguments: argparse.Namespace) -> None:
    """Run what was asked for until the time is over, and keep what there is."""
    deadline = time.time() + arguments.seconds
    data = face_gpu.unpack(arguments.packed) if arguments.packed else load(arguments)
    output = arguments.output or RESULTS / "faces-gpu.json"
    settings = json.loads(arguments.settings)
    store, seed = arguments.store, arguments.seeds[0]
    if "speed" in arguments.part:
        keep(
            output,
            {"speed": face_gpu.speed(data, settings, arguments.probe, 20 * arguments.probe)},
        )
    if arguments.part == ["speed"]:
        return
    minutes = [*arguments.minutes, arguments.loop_minutes]
    steps = face_gpu.budgets(data, store, settings, minutes, arguments.probe)
    short = steps[f"{arguments.loop_minutes:g}"]
    parts = {
        "quality": face_gpu.quality_specs(
            settings, {f"{m:g}": steps[f"{m:g}"] for m in arguments.minutes}, seed
        ),
        "loops": face_gpu.loop_specs(settings, short, arguments.generations, seed),
    }
    for part, chains in parts.items():
        if part in arguments.part:
            face_gpu.run(chains, data, store, deadline, arguments.features)
        found = face_chains.curves(chains, data, store, arguments.features)
        show(found)
        keep(output, {part: found, "steps": steps, "data": data.id, "machine": machine()})


def main() -> None:
    """Read the command line and do what it says."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    works: dict[str, Callable[[argparse.Namespace], None]] = {
        "speed": speed,
        "peer": speed,
        "quality": run,
        "loops": run,
        "flow": run,
        "summary": summary,
        "sheets": sheets,
        "pack": pack,
        "gpu": gpu,
    }
    commands = parser.add_subparsers(dest="what", required=True)
    for name, work in works.items():
        command = commands.add_parser(name, help=work.__doc__)
        add = command.add_argument
        large = name in ("gpu", "pack")
        add("--data", type=Path, help="folder of FFHQ; MADLAB_FFHQ where not given")
        add("--size", type=int, default=64 if large else 32, help="pixels")
        add("--output", type=Path, help="file of the results")
        if name in ("speed", "peer"):
            add("--sides", nargs="+", choices=list(face_speed.SIDES))
            add("--rounds", type=int, default=5 if name == "speed" else 3)
            add("--share", type=float, default=1.0, help="of a round's work, to try it")
        if name in ("quality", "loops", "flow", "summary", "sheets", "gpu"):
            add("--store", type=Path, required=True)
            add("--seeds", type=int, nargs="+", default=list(SEEDS))
        if name in ("quality", "loops", "flow", "summary", "sheets"):
            add("--steps", type=int, nargs=len(BUDGETS), default=list(BUDGETS.values()))
            add("--switches", nargs="*", choices=list(SWITCHES), default=[])
        if name in ("sheets", "pack"):
            add("--to", type=Path, required=True)
        if name == "sheets":
            add("--zoom", type=int, default=2)
        if name == "gpu":
            add("--packed", type=Path, help="folder that `pack` wrote")
            add("--part", nargs="+", default=[], choices=["speed", "quality", "loops"])
            add("--settings", default=json.dumps(face_gpu.GAN), help="of face_gan, as JSON")
            add("--minutes", type=float, nargs="+", default=list(face_gpu.MINUTES))
            add("--loop-minutes", type=float, default=1.0, help="of training, a generation")
            add("--generations", type=int, default=4, help="of each loop")
            add("--probe", type=int, default=400, help="steps that the speed is measured on")
            add("--features", help="of the scores, where the default's weights are missing")
            add("--seconds", type=float, default=1e9, help="when to stop and keep the state")
    arguments = parser.parse_args()
    if arguments.what != "gpu":
        os.environ["MADLAB_DEVICE"] = "cpu"
        torch.set_num_threads(1)
    works[arguments.what](arguments)


if __name__ == "__main__":
    main()
