"""Which failure, which family: every digit model through the three loops, and the paper's chains.

    python benchmarks/families.py --store DIR --set table initial [--workers 2] [--seconds 3600]
    madlab gallery build DIR [DIR ...]

A set is a list of chains, run side by side in processes of one thread each; `--set` names it:

- `table`: mixture, flow, gan and wgan, three loops, with and without bias, three seeds; for CPUs.
- `table-ddpm`: the same for ddpm with the paper's 500 steps; for a GPU.
- `initial`: fresh data from 2,000 and from 3,000 digits at first (the paper's Fig. 10 right).
- `grid`: four biases, fully synthetic and with augmentation (Figs. 9 and 16).
- `paper-flow`, `paper-ddpm`: the paper's sizes, for one GPU (Figs. 4, 6, 26, 27).

Whatever is stopped, by `--seconds` too, goes on from where it was when it is run again with the
same store. The gallery that comes with madlab keeps the records, and docs/paper.md reads them.
"""

import argparse
import multiprocessing
import os
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Spec:
    """One chain, in plain values, so that it can be sent to a process."""

    loop: str
    sizes: dict[str, int]
    model: str
    settings: dict[str, Any] = field(default_factory=dict)
    bias: float = 1.0
    seed: int = 0
    generations: int = 5
    n_evaluate: int = 5_000


N = 5_000
LOOPS = {
    "fully_synthetic": {"n_synthetic": N},
    "synthetic_augmentation": {"n_real": N // 2, "n_synthetic": N // 2, "n_initial": N},
    "fresh_data": {"n_real": N // 2, "n_synthetic": N // 2, "n_initial": N},
}
FLOW = {"steps": 800}
DDPM = {"recipe": "ddpm", "channels": 32, "steps": 1500, "batch": 256}
FAMILIES: list[tuple[str, dict[str, Any], tuple[float, ...]]] = [
    ("mixture", {}, (1.0, 0.7)),
    ("gan", {"steps": 1500}, (1.0, 0.8)),
    ("wgan", {}, (1.0,)),
    ("diffusion", FLOW, (1.0, 0.5)),
]
LARGE = {"channels": 64, "steps": 1200, "batch": 1024}


def table(families: list[Any] = FAMILIES) -> Iterator[Spec]:
    """Return the chains of the table, one seed after the other."""
    for seed in range(3):
        for model, settings, biases in families:
            for bias in biases:
                for loop, sizes in LOOPS.items():
                    yield Spec(loop, sizes, model, settings, bias, seed)


def table_ddpm() -> Iterator[Spec]:
    """Return the table's chains of the paper's model and sampler."""
    return table([("diffusion", DDPM, (1.0, 0.5))])


def initial() -> Iterator[Spec]:
    """Return the chains of Fig. 10 right; the paper has no quicker model than its DDPM."""
    for seed in range(3):
        for first in (2_000, 3_000):
            sizes = {"n_real": 2_000, "n_synthetic": 2_000, "n_initial": first}
            yield Spec("fresh_data", sizes, "diffusion", {"steps": 500}, 1.0, seed, 12)


def grid() -> Iterator[Spec]:
    """Return the chains of Figs. 9 and 16; augmentation keeps all its real digits, as there."""
    loops = {
        "fully_synthetic": {"n_synthetic": N},
        "synthetic_augmentation": {"n_real": N, "n_synthetic": N},
    }
    for seed in range(3):
        for bias in (1.0, 0.8, 0.66, 0.5):
            for loop, sizes in loops.items():
                yield Spec(loop, sizes, "diffusion", FLOW, bias, seed, 8)


def paper_flow() -> Iterator[Spec]:
    """Return fully synthetic chains of the paper's size."""
    for bias in (1.0, 0.5):
        sizes = {"n_synthetic": 60_000}
        yield Spec("fully_synthetic", sizes, "diffusion", LARGE, bias, 0, 10, 10_000)


def paper_ddpm() -> Iterator[Spec]:
    """Return chains of the paper's model and sampler."""
    for bias in (1.0, 0.5, 0.8):
        settings = {**LARGE, "recipe": "ddpm"}
        sizes = {"n_synthetic": 20_000}
        yield Spec("fully_synthetic", sizes, "diffusion", settings, bias, 0, 10, 10_000)


SETS = {
    "table": table,
    "table-ddpm": table_ddpm,
    "initial": initial,
    "grid": grid,
    "paper-flow": paper_flow,
    "paper-ddpm": paper_ddpm,
}


class OutOfTime(Exception):  # noqa: N818 - a limit, not an error
    """Raised in a chain's progress when the time given is over; the chain keeps its state."""


def run_one(spec: Spec, store: str, deadline: float, threads: int) -> str:
    """Run a chain, or go on with it, and return a line that says how far it came."""
    import torch

    import madlab as ml

    torch.set_num_threads(threads)

    def check(*_: object) -> None:
        if time.time() > deadline:
            raise OutOfTime

    chain = ml.Chain(
        getattr(ml.Loop, spec.loop)(**spec.sizes),
        ml.models.create(spec.model, **spec.settings),
        ml.data.mnist(),
        bias=spec.bias,
        seed=spec.seed,
        store=store,
        n_evaluate=spec.n_evaluate,
        progress=check,
    )
    recipe = spec.settings.get("recipe", "")
    title = f"{spec.model} {recipe} {spec.loop} bias {spec.bias:g} seed {spec.seed}"
    done, why, begun = 0, "done", time.time()
    try:
        check()
        for generation in chain.run(spec.generations):
            done = generation.t
    except OutOfTime:
        why = "out of time"
    except FloatingPointError as error:
        why = str(error)
    if not done:
        return f"{title}: {why}"
    last = chain.records().iloc[-1]
    return (
        f"{title}: {why} after {done} generations, {time.time() - begun:.0f} s: "
        f"FD {last['fd']:.3f} precision {last['precision']:.3f} "
        f"recall {last['recall']:.3f} read {last['read']:.3f}"
    )


def run(arguments: argparse.Namespace) -> None:
    """Run a set of chains side by side."""
    os.environ["OMP_NUM_THREADS"] = str(arguments.threads)
    deadline = time.time() + arguments.seconds
    specs = [spec for name in arguments.set for spec in SETS[name]()]
    specs = [
        spec
        for spec in specs
        if spec.seed in arguments.seeds
        and (arguments.models is None or spec.model in arguments.models)
    ]
    # CUDA does not survive a fork.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(arguments.workers, mp_context=context) as pool:
        waiting = [
            pool.submit(run_one, spec, arguments.store, deadline, arguments.threads)
            for spec in specs
        ]
        for done in as_completed(waiting):
            # One chain that cannot run does not keep the others from it.
            print(done.exception() or done.result(), flush=True)


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--store", required=True)
    parser.add_argument("--set", choices=SETS, nargs="+", required=True)
    parser.add_argument("--models", nargs="+", help="only chains of these")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=1e9)
    arguments = parser.parse_args()
    run(arguments)


if __name__ == "__main__":
    main()
