"""The battery that features must pass before a score on them means anything.

    python scripts/train_lenet.py --output weights
    python benchmarks/features.py weights

measures every `lenet-*.safetensors` of the folder on sets of known worth, against the 10,000 test
digits, and writes `results/features.json` and `results/features.md` beside this script.
"""

import argparse
import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file
from scipy.ndimage import gaussian_filter, map_coordinates

import madlab
from madlab.metrics import frechet
from madlab.metrics.features import ABOUT, LeNet, as_input
from madlab.metrics.neighbours import neighbours, squared_radii
from madlab.models.base import to_bytes
from madlab.streams import generator
from madlab.training import provenance

RESULTS = Path(__file__).parent / "results"
N_REAL, N = 5000, 1000
Rng = np.random.Generator


def blurred(rng: Rng, n: int, sigma: float) -> np.ndarray:
    """Return smooth random fields `(n, 28, 28)` of unit variance."""
    field = gaussian_filter(rng.normal(size=(n, 28, 28)), (0, sigma, sigma), mode="wrap")
    return np.asarray(field / field.std())


def smooth_noise(digits: np.ndarray, rng: Rng) -> np.ndarray:
    """Return smooth noise with the mean and standard deviation of digits' pixels."""
    return to_bytes(digits.mean() + digits.std() * blurred(rng, len(digits), 2.0))


def blobs(digits: np.ndarray, rng: Rng) -> np.ndarray:
    """Return three round blots of ink an image."""
    y, x = np.mgrid[:28, :28]
    cy, cx = rng.uniform(6, 22, (2, len(digits), 3, 1, 1))
    width = rng.uniform(1.5, 4, (len(digits), 3, 1, 1))
    ink = np.exp(-((y - cy) ** 2 + (x - cx) ** 2) / (2 * width**2)).sum(1)
    return to_bytes(255 * ink)


def strokes(digits: np.ndarray, rng: Rng) -> np.ndarray:
    """Return two random curved strokes of a pen's width an image."""
    t = np.linspace(0, 1, 40)[:, None]
    y, x = np.mgrid[:28, :28]
    images = []
    for _ in digits:
        ends = rng.uniform(5, 23, (2, 3, 1, 2))
        curves = (1 - t) ** 2 * ends[:, 0] + 2 * t * (1 - t) * ends[:, 1] + t**2 * ends[:, 2]
        points = curves.reshape(-1, 2)
        away = (y[..., None] - points[:, 0]) ** 2 + (x[..., None] - points[:, 1]) ** 2
        images.append(255 * np.clip(1.8 - np.sqrt(away.min(-1)), 0, 1))
    return to_bytes(np.stack(images))


def shuffled_patches(digits: np.ndarray, rng: Rng, count: int = 16) -> np.ndarray:
    """Return digits with `count` of their sixteen 7 x 7 patches exchanged among themselves."""
    n = len(digits)
    patches = digits.reshape(n, 4, 7, 4, 7).swapaxes(2, 3).reshape(n, 16, 7, 7)
    out = patches.copy()
    for i in range(n):
        chosen = rng.permutation(16)[:count]
        # A cyclic shift in random order moves every chosen patch.
        out[i, chosen] = patches[i, np.roll(chosen, 1)]
    return out.reshape(n, 4, 4, 7, 7).swapaxes(2, 3).reshape(n, 28, 28)


def noisy(digits: np.ndarray, rng: Rng, sigma: float) -> np.ndarray:
    """Return digits with Gaussian noise of `sigma` times full ink."""
    return to_bytes(digits + 255 * sigma * rng.normal(size=digits.shape))


def erased(digits: np.ndarray, rng: Rng, size: float) -> np.ndarray:
    """Return digits with a square of `size` pixels wiped out somewhere within the middle 24."""
    out = digits.copy()
    side = int(size)
    for image, (top, left) in zip(out, rng.integers(2, 27 - side, (len(out), 2)), strict=True):
        image[top : top + side, left : left + side] = 0
    return out


def elastic(digits: np.ndarray, rng: Rng, pixels: float) -> np.ndarray:
    """Return digits bent by smooth displacements of `pixels` root mean square length."""
    n = len(digits)
    places = np.indices((28, 28))[:, None].astype(float)
    places = places + pixels / np.sqrt(2) * np.stack([blurred(rng, n, 4.0) for _ in range(2)])
    bent = [map_coordinates(d.astype(float), places[:, i], order=1) for i, d in enumerate(digits)]
    return to_bytes(np.array(bent))


def blur(digits: np.ndarray, rng: Rng, sigma: float) -> np.ndarray:
    """Return digits blurred by a Gaussian of `sigma` pixels."""
    return to_bytes(gaussian_filter(digits.astype(float), (0, sigma, sigma)))


def scrambled(digits: np.ndarray, rng: Rng, count: float) -> np.ndarray:
    """Return digits with `count` of their patches exchanged."""
    return shuffled_patches(digits, rng, int(count))


JUNK: dict[str, Callable[[np.ndarray, Rng], np.ndarray]] = {
    "uniform noise": lambda d, r: r.integers(0, 256, d.shape, np.uint8),
    "pixel-shuffled": lambda d, r: r.permuted(d.reshape(len(d), -1), axis=1).reshape(d.shape),
    "smooth noise": smooth_noise,
    "blobs": blobs,
    "black": lambda d, r: np.zeros_like(d),
    "mean digit": lambda d, r: np.broadcast_to(to_bytes(d.mean(0)), d.shape),
    "inverted": lambda d, r: 255 - d,
}
HARD: dict[str, Callable[[np.ndarray, Rng], np.ndarray]] = {
    "random strokes": strokes,
    "patch-shuffled": shuffled_patches,
}
SERIES: dict[str, tuple[Callable[[np.ndarray, Rng, float], np.ndarray], tuple[float, ...]]] = {
    "noise": (noisy, (0.05, 0.1, 0.2, 0.3, 0.5)),
    "blur": (blur, (0.5, 1, 1.5, 2.5)),
    "erase": (erased, (4, 8, 12, 16)),
    "elastic": (elastic, (0.5, 1, 2, 3, 5)),
    "scramble": (scrambled, (2, 4, 8, 16)),
}


def battery(digits: np.ndarray) -> dict[str, np.ndarray]:
    """Return every set of the battery by name; `digits` are real training digits, shuffled."""
    few = digits[:N]
    sets = {f"real, n = {N_REAL:,}": digits[:N_REAL], f"real, n = {N:,}": digits[-N:]}
    for name, make in {**JUNK, **HARD}.items():
        sets[name] = make(few, generator(0, "battery", name))
    for name, (change, steps) in SERIES.items():
        for step in steps:
            sets[f"{name} {step:g}"] = change(few, generator(0, "battery", name, str(step)), step)
    return sets


def embed(network: LeNet, images: np.ndarray) -> np.ndarray:
    """Return features `(n, 148)` by weights that need not be the shipped ones."""
    with torch.inference_mode():
        parts = [network.embed(as_input(images[i : i + 250])) for i in range(0, len(images), 250)]
    return torch.cat(parts).numpy()


def measure(path: Path, sets: dict[str, np.ndarray], held_out: np.ndarray) -> dict[str, Any]:
    """Return FD, precision, recall, density and coverage of every set on one file of weights."""
    network = LeNet()
    network.load_state_dict(load_file(path))
    network.eval()
    real = embed(network, held_out)
    radii, moments = squared_radii(real), frechet.moments(real)
    rows = {}
    for name, images in sets.items():
        # A set of equal images is embedded once: rounding must not tell its copies apart.
        same = (images == images[:1]).all()
        found = (
            embed(network, images[:1]).repeat(len(images), 0) if same else embed(network, images)
        )
        fd = frechet.distance(moments, frechet.moments(found))
        rows[name] = {"fd": fd, **neighbours(real, found, radii=radii)._asdict()}
    return rows


def verdict(rows: dict[str, dict[str, float]]) -> dict[str, Any]:
    """Return the criteria of the design and how one file of weights meets them."""
    real = rows[f"real, n = {N_REAL:,}"]
    floor = rows[f"real, n = {N:,}"]
    out: dict[str, Any] = {
        "real precision": real["precision"],
        "real recall": real["recall"],
        "worst junk precision": max(rows[name]["precision"] for name in JUNK),
        "strokes density": rows["random strokes"]["density"],
        "noise 0.1 precision": rows["noise 0.1"]["precision"],
    }
    for score, sign in (("fd", 1), ("density", -1), ("precision", -1)):
        steady = []
        for name, (_, steps) in SERIES.items():
            line = [floor[score], *(rows[f"{name} {step:g}"][score] for step in steps)]
            steady += list(sign * np.diff(line) > 0)
        out[f"{score} steps in order"] = f"{sum(steady)} of {len(steady)}"
    return out


def table(found: dict[str, dict[str, Any]], verdicts: dict[str, dict[str, Any]]) -> str:
    """Return all results as one page of Markdown."""
    names = list(found)
    lines = [
        "# What the features see",
        "",
        "Written by `benchmarks/features.py`: sets of known worth against the 10,000 test digits; "
        f"n = {N:,} where nothing else is said. Cells: precision / density / FD. "
        f"The seed that ships is {ABOUT['lenet']['seed']}.",
        "",
        "| set | " + " | ".join(names) + " |",
        "|---|" + "---|" * len(names),
    ]
    for name in found[names[0]]:
        cells = [found[weights][name] for weights in names]
        text = [f"{c['precision']:.3f} / {c['density']:.3f} / {c['fd']:.4g}" for c in cells]
        lines.append(f"| {name} | " + " | ".join(text) + " |")
    lines += ["", "| criterion | " + " | ".join(names) + " |", "|---|" + "---|" * len(names)]
    for name in verdicts[names[0]]:
        values = [verdicts[weights][name] for weights in names]
        text = [f"{v:.3f}" if isinstance(v, float) else str(v) for v in values]
        lines.append(f"| {name} | " + " | ".join(text) + " |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Read the command line, measure every candidate and write both files."""
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("weights", type=Path, help="folder with lenet-*.safetensors")
    parser.add_argument("--output", type=Path, default=RESULTS)
    options = parser.parse_args()
    data = madlab.data.mnist()
    digits = data.images[generator(0, "battery").random(len(data)).argsort()[: 2 * N_REAL]]
    sets = battery(digits)
    found, hashes = {}, {}
    for path in sorted(options.weights.glob("lenet-*.safetensors")):
        name = path.stem.replace("lenet-", "seed ")
        found[name] = measure(path, sets, data.held_out.images)
        hashes[name] = hashlib.sha256(path.read_bytes()).hexdigest()
    verdicts = {name: verdict(rows) for name, rows in found.items()}
    result = {"weights": hashes, "verdicts": verdicts, "sets": found, "provenance": provenance()}
    options.output.mkdir(parents=True, exist_ok=True)
    (options.output / "features.json").write_text(json.dumps(result, indent=1) + "\n")
    text = table(found, verdicts)
    (options.output / "features.md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
