"""The battery for features of small colour faces: what precision and recall on them mean.

    python benchmarks/picture_features.py PATH

prepares the FFHQ faces at PATH and measures sets of known worth, made of training faces, against
held-out ones: real faces, junk, damage of rising strength, Gaussians of principal components,
diversity that falls, and two generators. It writes `results/picture_features.json`, numbers alone.
"""

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from scipy.ndimage import gaussian_filter, map_coordinates

import madlab
from madlab.data.samples import Dataset
from madlab.metrics import kernel_distance, mean_distance
from madlab.metrics.neighbours import neighbours, squared_radii
from madlab.metrics.picture_features import Appearance, EfficientNetFeatures, PcaFeatures
from madlab.models import create
from madlab.models.base import to_bytes
from madlab.streams import generator
from madlab.training import Clock, provenance

RESULTS = Path(__file__).parent / "results"
DRAWS = 10
Rng = np.random.Generator
Change = Callable[[np.ndarray, Rng, float], np.ndarray]


def spectrum_noise(faces: np.ndarray, rng: Rng) -> np.ndarray:
    """Return Gaussian noise with the faces' mean colour and mean power spectrum."""
    mean = faces.mean((0, 1, 2))
    power = (np.abs(np.fft.fft2(faces - mean, axes=(1, 2))) ** 2).mean(0)
    # One noise for all three channels: faces, too, are mostly grey in their differences.
    noise = np.fft.fft2(rng.normal(size=faces.shape[:3]), axes=(1, 2))[..., None]
    side = faces.shape[1]
    return to_bytes(mean + np.fft.ifft2(noise * np.sqrt(power) / side, axes=(1, 2)).real)


def grid(faces: np.ndarray, period: int) -> np.ndarray:
    """Return a grid of +1 and -1 of a period in pixels, `(1, h, w, 1)`."""
    half = period // 2
    y, x = np.mgrid[: faces.shape[1], : faces.shape[2]]
    return np.asarray(((-1.0) ** (y // half + x // half))[None, :, :, None])


def scarred(faces: np.ndarray, rng: Rng, strength: float) -> np.ndarray:
    """Return faces with grids that swell and fade over the face, `strength` grey levels rms."""
    side = faces.shape[1]
    field = gaussian_filter(rng.normal(size=faces.shape[:3]), (0, side / 8, side / 8))
    return to_bytes(faces + strength * (field / field.std())[..., None] * grid(faces, 2))


def elastic(faces: np.ndarray, rng: Rng, percent: float) -> np.ndarray:
    """Return faces bent by smooth displacements of `percent` of their width, rms."""
    n, side = faces.shape[:2]
    field = gaussian_filter(rng.normal(size=(2, n, side, side)), (0, 0, side / 8, side / 8))
    field *= percent / 100 * side / np.sqrt(2) / field.std()
    places = np.indices((side, side))[:, None] + field
    bent = np.empty(faces.shape)
    for i, face in enumerate(faces.astype(float)):
        for c in range(3):
            bent[i, ..., c] = map_coordinates(face[..., c], places[:, i], order=1, mode="nearest")
    return to_bytes(bent)


def scrambled(faces: np.ndarray, rng: Rng, count: float) -> np.ndarray:
    """Return faces with `count` of their sixteen patches exchanged among themselves."""
    n, quarter = len(faces), faces.shape[1] // 4
    patches = faces.reshape(n, 4, quarter, 4, quarter, 3).swapaxes(2, 3)
    patches = patches.reshape(n, 16, quarter, quarter, 3).copy()
    for face in patches:
        chosen = rng.permutation(16)[: int(count)]
        face[chosen] = face[np.roll(chosen, 1)]
    whole = patches.reshape(n, 4, 4, quarter, quarter, 3).swapaxes(2, 3)
    return whole.reshape(faces.shape)


def few(faces: np.ndarray, rng: Rng, count: float) -> np.ndarray:
    """Return `count` faces again and again, mirrored, shifted and brightened a little."""
    n, side = faces.shape[:2]
    picked = faces[rng.integers(int(count), size=n)].astype(float)
    picked[::2] = picked[::2, :, ::-1]
    reach = side // 16
    padded = np.pad(picked, ((0, 0), (reach, reach), (reach, reach), (0, 0)), "edge")
    starts = rng.integers(0, 2 * reach + 1, (n, 2))
    shifted = [p[a : a + side, b : b + side] for p, (a, b) in zip(padded, starts, strict=True)]
    return to_bytes(np.stack(shifted) + 8 * rng.normal(size=(n, 1, 1, 1)))


def shrunk(faces: np.ndarray, rng: Rng, factor: float) -> np.ndarray:
    """Return faces drawn towards their mean: all coordinates times `factor`."""
    mean = faces.mean(0)
    return to_bytes(mean + factor * (faces - mean))


JUNK: dict[str, Callable[[np.ndarray, Rng], np.ndarray]] = {
    "uniform noise": lambda f, r: r.integers(0, 256, f.shape, np.uint8),
    "pixel-shuffled": lambda f, r: r.permuted(f.reshape(len(f), -1, 3), axis=1).reshape(f.shape),
    "spectrum noise": spectrum_noise,
    "black": lambda f, r: np.zeros_like(f),
    "grey": lambda f, r: np.full_like(f, 128),
    "mean face": lambda f, r: np.broadcast_to(to_bytes(f.mean(0)), f.shape),
}
HARD: dict[str, Callable[[np.ndarray, Rng], np.ndarray]] = {
    "inverted": lambda f, r: 255 - f,
    "upside down": lambda f, r: f[:, ::-1],
    "one channel": lambda f, r: f[..., 1:2].repeat(3, 3),
}
QUALITY: dict[str, tuple[Change, tuple[float, ...]]] = {
    "noise": (lambda f, r, s: to_bytes(f + s * r.normal(size=f.shape)), (3, 6, 12, 25, 50)),
    "blur": (
        lambda f, r, s: to_bytes(gaussian_filter(f.astype(float), (0, s, s, 0))),
        (0.4, 0.6, 0.8, 1.2, 2),
    ),
    "grid of 2": (lambda f, r, s: to_bytes(f + s * grid(f, 2)), (2, 5, 10, 20, 40)),
    "grid of 4": (lambda f, r, s: to_bytes(f + s * grid(f, 4)), (2, 5, 10, 20, 40)),
    "scars": (scarred, (2, 5, 10, 20, 40)),
    "elastic %": (elastic, (1.5, 3, 6, 9)),
    "scramble": (scrambled, (2, 4, 8, 16)),
}
DIVERSITY: dict[str, tuple[Change, tuple[float, ...]]] = {
    "few": (few, (100, 30, 10, 3, 1)),
    "shrunk": (shrunk, (0.9, 0.8, 0.7, 0.5, 0.3)),
}


def battery(data: Dataset) -> dict[str, np.ndarray]:
    """Return every set of the battery by name, made of as many training faces as are held out."""
    order = generator(0, "battery").permutation(len(data))
    faces = data.images[order[: len(data.held_out.images)]]
    sets = {
        name: make(faces, generator(0, "battery", name)) for name, make in {**JUNK, **HARD}.items()
    }
    for name, (change, steps) in {**QUALITY, **DIVERSITY}.items():
        for step in steps:
            sets[f"{name} {step:g}"] = change(faces, generator(0, "battery", name, str(step)), step)
    return sets


def generated(data: Dataset, gan: bool) -> dict[str, np.ndarray]:
    """Return as many samples as held-out faces of generators trained on all training faces."""
    sets = {}
    for name in ("principal", *(["face_gan"] if gan else [])):
        model = create(name)
        model.fit(data.images, seed=0)
        for bias in (1.0, 0.7, 0.5):
            samples = model.sample(len(data.held_out.images), bias=bias, seed=1)
            sets[f"{name}, bias {bias:g}"] = samples.images
    return sets


def measure(features: Any, data: Dataset, sets: dict[str, np.ndarray]) -> dict[str, Any]:
    """Return KID, precision, recall, density, coverage and distance of every set."""
    clock = Clock()
    real = features.embed(data.held_out.images)
    radii, spread = squared_radii(real), mean_distance(real)

    def row(found: np.ndarray) -> dict[str, float]:
        kid = kernel_distance(real, found)
        shares = neighbours(real, found, radii=radii)._asdict()
        return {**kid._asdict(), **shares, "distance": mean_distance(found) / spread}

    training = features.embed(data.images)
    draws = [
        row(training[generator(0, "battery", i).permutation(len(data))[: len(real)]])
        for i in range(DRAWS)
    ]
    rows = {"real": {name: float(np.mean([d[name] for d in draws])) for name in draws[0]}}
    rows |= {name: row(features.embed(images)) for name, images in sets.items()}
    return {"name": features.name, "sets": rows, "cpu_seconds": clock.read()["cpu_seconds"]}


def verdict(rows: dict[str, dict[str, float]]) -> dict[str, Any]:
    """Return what one feature map makes of the battery."""
    real = rows["real"]
    out: dict[str, Any] = {"real precision": real["precision"], "real recall": real["recall"]}
    for name in JUNK:
        out[f"{name} precision"] = rows[name]["precision"]
    for score, series, sign in (
        ("precision", QUALITY, -1),
        ("density", QUALITY, -1),
        ("kid", QUALITY, 1),
        ("recall", DIVERSITY, -1),
        ("distance", DIVERSITY, -1),
    ):
        steady = []
        for name, (_, steps) in series.items():
            line = [real[score], *(rows[f"{name} {step:g}"][score] for step in steps)]
            steady += list(sign * np.diff(line) >= 0)
        out[f"{score} steps in order"] = f"{sum(steady)} of {len(steady)}"
    return out


def main() -> None:
    """Read the command line, measure three feature maps and write the results."""
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("path", help="FFHQ, as madlab.data.ffhq takes it")
    parser.add_argument("--size", type=int, default=32)
    parser.add_argument("--without-gan", action="store_true", help="leave out the face_gan")
    parser.add_argument("--output", type=Path, default=RESULTS)
    options = parser.parse_args()
    data = madlab.data.ffhq(options.path, options.size)
    sets = battery(data) | generated(data, not options.without_gan)
    maps = {
        "appearance": Appearance(data.images),
        "efficientnet": EfficientNetFeatures(),
        "pca": PcaFeatures(data.images),
    }
    found = {name: measure(features, data, sets) for name, features in maps.items()}
    result = {
        "data": data.id,
        "n_training": len(data),
        "n_held_out": len(data.held_out.images),
        "verdicts": {name: verdict(one["sets"]) for name, one in found.items()},
        "features": found,
        "provenance": provenance(),
    }
    options.output.mkdir(parents=True, exist_ok=True)
    stem = "picture_features" + ("" if options.size == 32 else f"_{options.size}")
    (options.output / f"{stem}.json").write_text(json.dumps(result, indent=1) + "\n")
    print(f"{'precision/recall/density':24}" + "".join(f"{name:>20}" for name in found))
    for name in ("real", *sets):
        cells = [one["sets"][name] for one in found.values()]
        text = [f"{c['precision']:.2f} / {c['recall']:.2f} / {c['density']:.2f}" for c in cells]
        print(f"{name:24}" + "".join(f"{cell:>20}" for cell in text))
    print(json.dumps(result["verdicts"], indent=1))


if __name__ == "__main__":
    main()
