"""What a GPU makes of the network models: speed in every mode, quality in a minute, agreement.

    python benchmarks/gpu.py [--part peak speed quality agreement theory]     # about 6 minutes

Needs CUDA and the core's packages. Times are of the wall, with the device waited for; training is
the library's own fit, its first 60 steps left out. Writes benchmarks/results/gpu.json.
"""

import argparse
import json
import os
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

import madlab as ml
from madlab import training
from madlab.metrics import Reference
from madlab.models.neural import Neural
from madlab.training import provenance

RESULTS = Path(__file__).parent / "results" / "gpu.json"
SIDES: dict[str, tuple[str, dict[str, Any]]] = {
    "flow": ("diffusion", {"channels": 64, "batch": 1024}),
    "ddpm": ("diffusion", {"channels": 64, "batch": 1024, "recipe": "ddpm"}),
    "flow small": ("diffusion", {"channels": 16, "batch": 64}),
    "gan": ("gan", {"channels": 32, "batch": 256}),
    "gan small": ("gan", {}),
}
WARM_UP = 60


def wait() -> float:
    """Return the time when all that was asked of the device is done."""
    torch.cuda.synchronize()
    return time.perf_counter()


def peak() -> dict[str, float]:
    """Return the rate of a large bfloat16 matrix product, in TFLOP/s."""
    size, times = 8192, 20
    a = torch.randn(size, size, device="cuda", dtype=torch.bfloat16)
    b = torch.randn_like(a)
    a @ b
    start = wait()
    for _ in range(times):
        a @ b
    return {"bf16_tflops": 2 * size**3 * times / (wait() - start) / 1e12}


def work(model: Neural, data: ml.data.samples.Dataset) -> float:
    """Return the floating-point operations of training on one image, counted in real steps.

    Steps with a penalty, whose second derivatives the counter cannot follow, are left out.
    """
    shape, classes = data.images.shape[1:], 10
    network = model._make(shape, classes).cuda()
    learner = model._learner(network, shape, classes, 0)
    rows = {
        "images": torch.from_numpy(data.images[: model.batch].copy()).cuda(),
        "labels": torch.from_numpy(data.labels[: model.batch]).cuda(),
    }
    steps = [step for step in range(8) if learner.kind(step) == "plain"]
    with FlopCounterMode(display=False) as counter:
        for step in steps:
            learner.update(rows | learner.draw(step, model.batch), "plain")
    return float(counter.get_total_flops()) / len(steps) / model.batch


def sampling_rate(model: Neural, n: int) -> float:
    """Return samples per second of the second of two equal requests."""
    for seed in (0, 1):
        start = wait()
        model.sample(n, seed=seed)
    return n / (wait() - start)


def speed(limit: float, sides: Sequence[str]) -> list[dict[str, Any]]:
    """Return images per second in training and sampling, for each side and mode."""
    data = ml.data.mnist()
    found = []
    for side in sides:
        name, settings = SIDES[side]
        # Compiling takes half a minute; it is meant for large networks.
        for mode in training.MODES[: 2 if "small" in side else 3]:
            os.environ["MADLAB_MODE"] = mode
            steps = WARM_UP + (60 if mode == "eager" else 240)
            model: Any = ml.models.create(name, **{**settings, "steps": steps})
            stamps: dict[int, float] = {}

            def progress(
                done: float, steps: int = steps, stamps: dict[int, float] = stamps
            ) -> None:
                if round(done * steps) in (WARM_UP, steps):
                    stamps[round(done * steps)] = wait()

            begun = wait()
            model.fit(data.images, data.labels, seed=0, progress=progress)
            rate = (steps - WARM_UP) * model.batch / (stamps[steps] - stamps[WARM_UP])
            sampling = sampling_rate(model, 2_500 if side == "ddpm" else 20_000)
            os.environ["MADLAB_MODE"] = "eager"
            flops = work(model, data)
            found.append(
                {
                    "side": side,
                    "mode": mode,
                    "settings": model.settings,
                    "training_images_per_second": rate,
                    "first_steps_seconds": stamps[WARM_UP] - begun,
                    "samples_per_second": sampling,
                    "flops_per_training_image": flops,
                    "share_of_peak": rate * flops / (limit * 1e12),
                }
            )
            print(json.dumps(found[-1]), flush=True)
    os.environ.pop("MADLAB_MODE")
    return found


def quality() -> list[dict[str, Any]]:
    """Return what flows reach from scratch within a minute, and how fast guided samples come."""
    data = ml.data.mnist()
    reference = Reference(data.held_out)
    some = np.random.default_rng(0).permutation(len(data))[:10_000]
    found: list[dict[str, Any]] = [{"floor": reference.measure(data.take(some))._asdict()}]
    for settings in (
        {"channels": 64, "steps": 5_000, "batch": 512, "learning_rate": 4e-3, "sampling_steps": 8},
        {"channels": 32, "steps": 9_000, "batch": 256, "learning_rate": 5e-3, "sampling_steps": 8},
    ):
        model = ml.models.create("diffusion", **settings)
        start = wait()
        model.fit(data.images, data.labels, seed=0)
        took = wait() - start
        start = wait()
        guided = model.sample(60_000, bias=0.8, seed=1)
        sampling = wait() - start
        scores = {
            bias: reference.measure(model.sample(10_000, bias=bias, seed=2))._asdict()
            for bias in (1.0, 0.8, 0.5)
        }
        found.append(
            {
                "settings": settings,
                "training_seconds": took,
                "seconds_of_60000_guided_samples": sampling,
                "read_of_them": float(
                    (ml.metrics.features.read(guided.images) == guided.labels).mean()
                ),
                "scores_by_bias": scores,
            }
        )
        print(json.dumps(found[-1]), flush=True)
    return found


def agreement() -> dict[str, Any]:
    """Return how far samples and scores of one model differ between CPU and GPU."""
    data = ml.data.mnist()
    found: dict[str, Any] = {}
    os.environ["MADLAB_DEVICE"] = "cpu"
    for name, settings in (("diffusion", {"steps": 300}), ("gan", {"steps": 300})):
        model = ml.models.create(name, **settings)
        model.fit(data.images[:5_000], data.labels[:5_000], seed=0)
        here = model.sample(1_000, seed=1)
        with tempfile.TemporaryDirectory() as folder:
            model.save(Path(folder))
            for precision in ("float32", "bfloat16"):
                os.environ |= {"MADLAB_DEVICE": "cuda", "MADLAB_PRECISION": precision}
                there = ml.models.load(Path(folder)).sample(1_000, seed=1)
                gap = np.abs(here.images.astype(float) - there.images)
                found[f"{name} samples, {precision}"] = {
                    "mean_gray_levels": gap.mean(),
                    "largest": gap.max(),
                    "share_off_by_more_than_1": float((gap > 1).mean()),
                }
                os.environ["MADLAB_DEVICE"] = "cpu"
                os.environ.pop("MADLAB_PRECISION")
    some = data.take(np.random.default_rng(1).permutation(len(data))[:2_000])
    scores = {}
    for device in ("cpu", "cuda"):
        os.environ["MADLAB_DEVICE"] = device
        ml.metrics.reference._scorer.cache_clear()
        scores[device] = Reference(data.held_out, 2_000).measure(some)._asdict()
    os.environ.pop("MADLAB_DEVICE")
    found["scores"] = scores
    print(json.dumps(found), flush=True)
    return found


def theory() -> dict[str, Any]:
    """Return chains times generations per second of Gaussian loops on both devices."""
    found = {}
    for device in ("cuda", "cpu"):
        for name, loop in (
            ("fully synthetic", ml.Loop.fully_synthetic(900)),
            ("fresh data", ml.Loop.fresh_data(100, 900)),
        ):
            chains, generations = (2048, 20) if device == "cuda" else (256, 10)
            for _ in range(2):
                start = wait()
                result = ml.theory.simulate(
                    loop,
                    d=100,
                    generations=generations,
                    chains=chains,
                    seed=0,
                    device=device,
                    covariances=False,
                )
                took = wait() - start
            found[f"{name}, {device}"] = {
                "chains_times_generations_per_second": chains * generations / took,
                "mean_w2_squared_of_generation_10": float(result.w2[:, 9].mean()),
            }
    print(json.dumps(found), flush=True)
    return found


def main() -> None:
    """Read the command line, run the parts and keep what they found beside the others."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parts = ("peak", "speed", "quality", "agreement", "theory")
    parser.add_argument("--part", nargs="+", choices=parts, default=parts)
    parser.add_argument("--side", nargs="+", choices=SIDES, default=tuple(SIDES))
    parser.add_argument("--output", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    found = json.loads(arguments.output.read_text()) if arguments.output.exists() else {}
    found["machine"] = provenance()
    limit = peak()
    print(limit, flush=True)
    works: dict[str, Callable[[], Any]] = {
        "peak": lambda: limit,
        "speed": lambda: speed(limit["bf16_tflops"], arguments.side),
        "quality": quality,
        "agreement": agreement,
        "theory": theory,
    }
    for part in arguments.part:
        found[part] = works[part]()
        arguments.output.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
