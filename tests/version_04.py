"""Small pieces of work that version 0.4 did and every later one must do with equal results.

This file is both the generator and the yardstick. Run on a checkout of 0.4,

    PYTHONPATH=THAT_CHECKOUT OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 python tests/version_04.py

it wrote `tests/fixtures/v04`; `test_version_04.py` does the same work again and compares. There:

- `golden.json`: names, hashes and scores, and the arithmetic under which bits were equal;
- `store/`: chains of digits, points and faces with their records, one of them stopped half way
  through training;
- `models/`: one fitted model of each row of `MODELS`, as `save` wrote it;
- `half_done/`: for each network model the checkpoints of a fit that was stopped half way;
- `notebooks/`: 0.4's, unchanged.
"""

import contextlib
import hashlib
import json
import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import PIL
import PIL.Image
import torch
from safetensors.torch import load_file

import madlab
from madlab import Chain, Loop, data, metrics, models, theory
from madlab.data import Dataset, Samples
from madlab.metrics import features

FIXTURES = Path(__file__).parent / "fixtures" / "v04"
BIASES = (1.0, 0.6)
SEED = 7
GENERATIONS = 2
# Of the chain that was stopped, and of the fits of network models.
STEPS, STOPPED_AFTER = 6, 3


def digits() -> Dataset:
    return data.mnist()


def points() -> Dataset:
    return data.gaussian(2, 400, n_held_out=100)


def banana() -> Dataset:
    return data.rosenbrock(400, n_held_out=100)


def grid() -> Dataset:
    return data.modes(600, n_held_out=150)


def drawn() -> Dataset:
    return data.drawn_faces(60, 16, n_held_out=30)


def cut(given: Dataset) -> Dataset:
    """Return the middle 8 x 8 pixels of 60 pictures, which keep networks small."""
    images = given.images[:60]
    edge = (images.shape[1] - 8) // 2
    labels = None if given.labels is None else given.labels[:60]
    middle = images[:, edge : edge + 8, edge : edge + 8]
    return Dataset("cut", middle, labels, Samples(middle, labels))


DATA = {
    "digits": digits,
    "points": points,
    "banana": banana,
    "grid": grid,
    "drawn": drawn,
    "cut digits": lambda: cut(digits()),
    "cut faces": lambda: cut(drawn()),
}

# A row each: the name to create, settings under which a fit takes a few steps, and the data.
_SHORT = {"channels": 4, "steps": STEPS, "batch": 10}
_DDPM = {**_SHORT, "channels": 8, "recipe": "ddpm", "sampling_steps": 5}
_PLAIN = {**_SHORT, "channels": 8, "upsampling": "bilinear", "noise": True, "linear": False}
_MIXTURE = {"components": 1, "rank": 1}
MODELS: dict[str, tuple[str, dict[str, Any], str]] = {
    "coupling": ("coupling", {"couplings": 2, "hidden": 8, "epochs": 2, "batch": 64}, "banana"),
    "diffusion": ("diffusion", _SHORT, "cut digits"),
    "face_flow": ("face_flow", _SHORT, "cut faces"),
    "face_gan": ("face_gan", _SHORT, "cut faces"),
    "gan": ("gan", _SHORT, "cut digits"),
    "gaussian": ("gaussian", {}, "points"),
    "mixture": ("mixture", {"components": 2, "rank": 3}, "cut digits"),
    "mixture of points": ("mixture", {"components": 5}, "grid"),
    "picked": (
        "picked",
        {"model": "mixture", "model_settings": _MIXTURE, "candidates": 2},
        "digits",
    ),
    "principal": ("principal", {"components": 6}, "drawn"),
    "wgan": ("wgan", _SHORT, "cut digits"),
}
# These are stopped half way through a fit.
TRAINED = [row for row, (_, settings, _) in MODELS.items() if "steps" in settings]
# As above, for hashes alone: pictures in their size, and other settings.
MORE_MODELS: dict[str, tuple[str, dict[str, Any], str]] = {
    "diffusion, whole": ("diffusion", _SHORT, "digits"),
    "diffusion, ddpm": ("diffusion", _DDPM, "digits"),
    "face_flow, whole": ("face_flow", {**_SHORT, "channels": 8}, "drawn"),
    "face_gan, whole": ("face_gan", _SHORT, "drawn"),
    "face_gan, plain": ("face_gan", _PLAIN, "drawn"),
    "face_gan, nearest": ("face_gan", {**_SHORT, "upsampling": "nearest"}, "drawn"),
    "gan, whole": ("gan", _SHORT, "digits"),
    "mixture, no tone": ("mixture", {"components": 1, "rank": 2, "tone": False}, "digits"),
    "mixture, whole": ("mixture", {"components": 3, "rank": 4}, "digits"),
    "wgan, whole": ("wgan", _SHORT, "digits"),
}

# A row each: loop, model, its settings, data, bias, features.
CHAINS: dict[str, tuple[Loop, str, dict[str, Any], str, float, str | None]] = {
    "digits": (
        Loop.fully_synthetic(80),
        "mixture",
        {"components": 1, "rank": 2},
        "digits",
        0.8,
        None,
    ),
    "points": (Loop.fresh_data(100, 50), "gaussian", {}, "points", 0.9, None),
    "grid": (
        Loop.synthetic_augmentation(150, 60, accumulate=True),
        "mixture",
        {"components": 5},
        "grid",
        1.0,
        None,
    ),
    "faces": (Loop.fully_synthetic(50), "principal", {"components": 6}, "drawn", 0.8, None),
    "faces by pca": (
        Loop.synthetic_augmentation(40, 20),
        "principal",
        {"components": 4},
        "drawn",
        1.0,
        "pca",
    ),
}
# Its second generation was stopped half way through training.
HALF_DONE = (Loop.fully_synthetic(60), "diffusion", _SHORT, "digits", 1.0, None)


def chain(
    row: tuple[Loop, str, dict[str, Any], str, float, str | None], store: Path, **more: Any
) -> Chain:
    """Return the chain of a row, on a store."""
    loop, name, settings, which, bias, wanted = row
    model = models.create(name, **settings)
    given = DATA[which]()
    return Chain(
        loop,
        model,
        given,
        bias=bias,
        seed=SEED,
        store=store,
        n_evaluate=40,
        features=wanted,
        **more,
    )


def stored_names(made: Chain) -> list[str]:
    """Return the names under which generations 1 to 3 of a chain are stored.

    Public names lead to them only by training, so this asks the chain: the one place that does.
    """
    return [made._model_name(t) for t in (1, 2, 3)]


def of_names(name: str) -> dict[str, Any]:
    """Return what the stored names of a model come from, and the names, at default settings."""
    loops = [
        Loop.fully_synthetic(80, 60),
        Loop.synthetic_augmentation(40, 20, accumulate=True),
        Loop.fresh_data(40, 20, memory=2),
    ]
    sets = {"coupling": "banana", "face_flow": "drawn", "face_gan": "drawn", "principal": "drawn"}
    which = sets.get(name, "points" if name == "gaussian" else "digits")
    bias = 0.5 if models.create(name).biased else 1.0
    stored = [
        stored_names(Chain(loop, name, DATA[which](), bias=bias, seed=SEED, n_evaluate=40))
        for loop in loops
    ]
    return {
        "settings": models.create(name).settings,
        "version": models.kind(name).version,
        "stored": stored,
    }


def training_data(row: str) -> Samples:
    """Return what the model of a row of `MODELS` is fitted to."""
    given = DATA[(MODELS | MORE_MODELS)[row][2]]()
    return given.take(np.arange(min(len(given), 300)))


def fitted(row: str, **more: Any) -> models.Model:
    """Return the model of a row of `MODELS`, fitted."""
    name, settings, _ = (MODELS | MORE_MODELS)[row]
    model = models.create(name, **settings)
    images, labels = training_data(row)
    model.fit(images, labels if model.conditional else None, seed=SEED, **more)
    return model


def sampled(model: models.Model) -> dict[str, Any]:
    """Return what 20 samples of a fitted model come to, at each bias that it has."""
    found = {}
    for bias in BIASES if model.biased else BIASES[:1]:
        samples = model.sample(20, bias=bias, seed=SEED + 1)
        found[str(bias)] = {**hashes(samples), **numbers(samples.images)}
    return found


def digest(array: np.ndarray) -> str:
    """Return a hash of an array's type, shape and content."""
    words = f"{array.dtype.str} {array.shape} "
    return hashlib.sha256(words.encode() + np.ascontiguousarray(array).tobytes()).hexdigest()


def hashes(samples: Samples) -> dict[str, str | None]:
    """Return hashes of images and labels."""
    labels = None if samples.labels is None else digest(samples.labels)
    return {"images": digest(samples.images), "labels": labels}


def numbers(images: np.ndarray) -> dict[str, float]:
    """Return mean and standard deviation, which other machines come close to."""
    return {"mean": float(images.mean()), "std": float(images.std())}


def saved(model: models.Model) -> str:
    """Return a hash of the tensors that a fitted model saves."""
    with tempfile.TemporaryDirectory() as folder:
        model.save(Path(folder))
        found = load_file(Path(folder) / "model.safetensors")
    words = "".join(f"{name} {digest(found[name].numpy())}\n" for name in sorted(found))
    return hashlib.sha256(words.encode()).hexdigest()


def arithmetic() -> dict[str, str]:
    """Return what bits depend on: versions, threads, kind of CPU, and what some sums come to."""
    rng = np.random.default_rng(0)
    a, x = rng.standard_normal((96, 96)), rng.standard_normal((8, 16, 16, 16)).astype(np.float32)
    stream = torch.Generator().manual_seed(0)
    weight = torch.randn(16, 16, 3, 3, generator=stream).requires_grad_()
    out = torch.nn.functional.conv2d(torch.from_numpy(x), weight, padding=1)
    out.tanh().exp().mean().backward()
    assert weight.grad is not None
    sums = [a @ a, np.linalg.eigh(a @ a.T)[1], np.linalg.svd(a)[0], np.exp(a), np.sin(a)]
    sums += [out.detach().numpy(), weight.grad.numpy()]
    return {
        "torch": torch.__version__,
        "numpy": np.__version__,
        "pillow": PIL.__version__,
        "threads": str(torch.get_num_threads()),
        "cpu": torch.backends.cpu.get_cpu_capability(),
        "sums": hashlib.sha256("".join(map(digest, sums)).encode()).hexdigest(),
    }


class HalfWayError(Exception):
    """Stops a training."""


def stop_half_way(fraction: float) -> None:
    """Stop a fit of `STEPS` steps after `STOPPED_AFTER`: what is told of its progress."""
    if fraction >= STOPPED_AFTER / STEPS:
        raise HalfWayError


def pictures_of_a_folder(folder: Path) -> Dataset:
    """Write pictures of noise and shades into a folder, and return the data set that they make."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    for i in range(12):
        shades = np.linspace(0, 255, 40)[:, None, None] * rng.random(3)
        pixels = 0.7 * shades + 0.3 * rng.integers(0, 256, (40, 48, 3))
        PIL.Image.fromarray(pixels.astype(np.uint8)).save(folder / f"{i:02}.png")
    return data.folder(folder, 16)


def of_data(folder: Path) -> dict[str, Any]:
    """Return names and hashes of data sets, drawn faces and damages."""
    sets = {name: make() for name, make in DATA.items()}
    sets["pictures"] = pictures_of_a_folder(folder)
    some = digits().take(np.arange(40))
    kinds = ("drop", "shrink", "shift", "duplicate", "noise")
    return {
        "ids": {name: made.id for name, made in sets.items() if made.id != "cut"},
        "pictures": {
            "pool": digest(np.array(sets["pictures"].images)),
            "held_out": digest(np.array(sets["pictures"].held_out.images)),
        },
        "drawn": {
            str(size): digest(data.drawn_faces(3, size, n_held_out=1).images)
            for size in (16, 32, 64, 128)
        },
        "damage": {
            kind: hashes(getattr(data.damage, kind)(some, 0.6, seed=SEED)) for kind in kinds
        },
    }


# A row each: data, n_evaluate, features.
REFERENCES = {
    "digits": ("digits", 40, None),
    "all digits": ("digits", 10_000, None),
    "points": ("points", 40, None),
    "faces": ("drawn", 40, "efficientnet"),
    "faces by pca": ("drawn", 40, "pca"),
}


def of_reference(name: str) -> dict[str, Any]:
    """Return id, feature names and scores of real training data of a row of `REFERENCES`."""
    which, n, wanted = REFERENCES[name]
    given = DATA[which]()
    loop = Loop.fully_synthetic(40)
    reference = Chain(loop, "gaussian", given, n_evaluate=n, features=wanted).reference
    found: dict[str, Any] = {"id": reference.id, "features": reference.features}
    if n == 40:
        found["scores"] = scores(reference.measure(given.take(np.arange(n))))
    return found


def of_metrics() -> dict[str, Any]:
    """Return numbers of the metrics that stand alone."""
    some, other = digits().images[:60], digits().images[60:120]
    first, second = (one.reshape(len(one), -1) / 255 for one in (some, other))
    return {
        "read": features.read(some).tolist(),
        "frechet": metrics.frechet_distance(first[:, ::50], second[:, ::50]),
        "neighbours": scores(metrics.neighbours(first, second)),
        "kernel": scores(metrics.kernel_distance(first, second)),
        "mean distance": metrics.mean_distance(first),
    }


def of_theory() -> dict[str, Any]:
    """Return numbers of closed forms and of exact simulation."""
    loop = Loop.fresh_data(50, 25)
    run = theory.simulate(loop, 3, 4, 5, 0.9, SEED)
    modes = theory.simulate_modes(Loop.fully_synthetic(200), 3, 2, seed=SEED, n_evaluate=100)
    return {
        "simulate": run.w2.ravel().tolist(),
        "modes": rows(modes.records),
        "fresh_limit": float(theory.fresh_limit(3, 100, 50, 0.9)),
    }


def scores(found: Any) -> dict[str, float | None]:
    """Return scores by name, None where there is none."""
    values = found._asdict().items()
    return {name: None if value != value else float(value) for name, value in values}


def rows(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Return records as JSON values."""
    found: list[dict[str, Any]] = json.loads(table.to_json(orient="records", double_precision=15))
    return found


def ran(made: Chain) -> dict[str, Any]:
    """Run a chain, and return its records and hashes of its samples and previews."""
    found = [
        {"samples": hashes(one.samples), "preview": hashes(one.preview)}
        for one in made.run(GENERATIONS)
    ]
    return {"samples": found, "columns": list(made.records()), "records": rows(made.records())}


def main() -> None:
    """Write the fixtures; only version 0.4 may."""
    if not madlab.__version__.startswith("0.4"):
        raise SystemExit(f"fixtures are of version 0.4, not of {madlab.__version__}")
    shutil.rmtree(FIXTURES, ignore_errors=True)
    store = FIXTURES / "store"
    golden: dict[str, Any] = {"arithmetic": arithmetic(), "version": madlab.__version__}
    golden["chains"] = {name: ran(chain(row, store)) for name, row in CHAINS.items()}
    with tempfile.TemporaryDirectory() as folder:
        golden["half done"] = ran(chain(HALF_DONE, Path(folder) / "store"))
        golden["data"] = of_data(Path(folder) / "pictures")

    def stop(t: int, stage: str, fraction: float) -> None:
        if (t, stage) == (2, "fit"):
            stop_half_way(fraction)

    with contextlib.suppress(HalfWayError):
        list(chain(HALF_DONE, store, progress=stop).run(GENERATIONS))
    golden["names"] = {name: of_names(name) for name in models.names()}
    golden["models"] = {}
    for row in MODELS | MORE_MODELS:
        model = fitted(row)
        golden["models"][row] = {"tensors": saved(model), "samples": sampled(model)}
        if row in MODELS:
            folder = FIXTURES / "models" / row.replace(" ", "_")
            folder.mkdir(parents=True)
            model.save(folder)
    for row in TRAINED:
        with contextlib.suppress(HalfWayError):
            fitted(row, progress=stop_half_way, checkpoint=FIXTURES / "half_done" / row)
    golden["references"] = {name: of_reference(name) for name in REFERENCES}
    golden["metrics"] = of_metrics()
    golden["theory"] = of_theory()
    notebooks = Path(madlab.__file__).parents[1] / "notebooks"
    shutil.copytree(notebooks, FIXTURES / "notebooks")
    (FIXTURES / "golden.json").write_text(json.dumps(golden, indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    main()
