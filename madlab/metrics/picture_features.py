"""Feature maps of colour pictures: what networks see of them, and principal components."""

import functools
import hashlib
import math
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from madlab import checks
from madlab.metrics import efficientnet
from madlab.metrics.distances import small, subset
from madlab.metrics.features import Features, once_each
from madlab.metrics.neighbours import distinct
from madlab.training import device

# Small batches stay in a processor's cache, which halves the time.
BATCH = 16
COMPONENTS = 64


def _embedded(run: Callable[[np.ndarray], Tensor], pictures: np.ndarray, width: int) -> np.ndarray:
    return once_each(run, checks.pictures(pictures, name="pictures", colour=True), width, BATCH)


class EfficientNetFeatures:
    """The last pooled layer of EfficientNet-Lite0, 1,280 numbers, from a package with its weights.

    Pictures are resized to 128 x 128. At 32 pixels good for KID and Frechet distances, but not for
    precision and recall: see `Appearance`.
    """

    name = f"efficientnet-{efficientnet.SHA256[:8]}"

    def embed(self, images: np.ndarray) -> np.ndarray:
        """Return features, float32 `(n, 1280)`, of uint8 pictures `(n, h, w, 3)`.

        Raises TypeError for others, OSError where the weights are missing or not the frozen ones.
        """
        where = device()
        network = efficientnet.network_on(where)
        return _embedded(lambda x: network(efficientnet.scaled(x).to(where)), images, 1280)


class FidelityFeatures:
    """The features of Inception-v3 or DINOv2, as the package torch-fidelity computes them.

    - `kind`: "inception", its 2,048 pooled features, with which alone a Frechet distance may be
      called FID, or "dinov2", the 768 numbers of ViT-B/14.
    - `weights`: a file with Inception's weights; None takes those that torch-fidelity downloads.

    Raises OSError where package or weights cannot be had.
    """

    _LAYERS: ClassVar = {
        "inception": ("inception-v3-compat", "2048", 2048),
        "dinov2": ("dinov2-vit-b-14", "dinov2", 768),
    }

    def __init__(self, kind: str, weights: Path | None = None) -> None:
        extractor, layer, self.dimensions = self._LAYERS[kind]
        try:
            from torch_fidelity.utils import create_feature_extractor

            if weights is not None:
                _check_weights(weights)
            network = create_feature_extractor(
                extractor,
                [layer],
                cuda=False,
                verbose=False,
                feature_extractor_weights_path=None if weights is None else str(weights),
            )
        except Exception as error:
            raise OSError(
                f"features={kind!r} cannot be had: {error or type(error).__name__}. They need the "
                "package torch-fidelity and weights that it downloads. Without a network use "
                "features='efficientnet' or features='pca'"
            ) from error
        self._network: nn.Module = network
        self.name = f"{kind}-{_digest(network)}"

    def embed(self, images: np.ndarray) -> np.ndarray:
        """Return features, float32 `(n, d)`, of uint8 pictures `(n, h, w, 3)`; else TypeError."""
        where = device()
        network = self._network.to(where)

        def run(x: np.ndarray) -> Tensor:
            planes = torch.from_numpy(x).permute(0, 3, 1, 2).contiguous()
            found: Tensor = network(planes.to(where))[0]
            return found

        return _embedded(run, images, self.dimensions)


class PcaFeatures:
    """Principal components of training pictures: no weights, and no idea of what a face is.

    64 coordinates, or fewer where there are fewer pictures, of pictures averaged down to 32 x 32,
    all divided by the root of their mean variance. A Gaussian with the same components scores as
    well as real pictures do: scores on them measure layout and diversity alone.

    - `training`: uint8 `(n, h, w, 3)`, n >= 2; a fixed 2,000 of them are used where there are more.
    """

    def __init__(self, training: np.ndarray, components: int = COMPONENTS) -> None:
        chosen = subset(training)
        x = _flat(chosen)
        self._mean = x.mean(0)
        centred = x - self._mean
        # Of the smaller Gram matrix: n is at most 2,000, and pictures have 3,072 numbers.
        values, vectors = np.linalg.eigh(centred @ centred.T)
        keep = min(components, len(x) - 1)
        values, vectors = values[::-1][:keep], vectors[:, ::-1][:, :keep]
        axes = centred.T @ vectors / np.sqrt(np.maximum(values, values[0] * 1e-12))
        self._axes = axes / np.sqrt(values.mean() / (len(x) - 1))
        self.name = f"pca-{_content(chosen)[:8]}"

    def embed(self, images: np.ndarray) -> np.ndarray:
        """Return coordinates, float32 `(n, 64)` or narrower, of uint8 pictures `(n, h, w, 3)`."""
        first, inverse = distinct(images)
        found = (_flat(images[first]) - self._mean) @ self._axes
        return np.asarray(found.astype(np.float32)[inverse])


class Appearance:
    """Texture, by an early block of EfficientNet-Lite0, joined with layout, by pixels.

    Precision and recall of small colour pictures are taken on them.
    Texture: means over the four quadrants of the 24 maps of the third block, which sees pictures
    resized to 64 x 64, each divided by its standard deviation on training pictures. Layout: 16
    principal components of the pixels, with 1.6 times the variance of the texture. Texture tells
    noise, blur, grids and Gaussians from faces; layout tells faces from one another, and is what
    keeps recall alive. `benchmarks/picture_features.py` shows what they see. They do not know what
    belongs on a face: upside-down faces and faces put together from others' parts pass for many.

    - `training`: uint8 `(n, h, w, 3)`, n >= 2; a fixed 2,000 of them are used where there are more.
    """

    # Chosen by benchmarks/picture_features.py; all of it is part of the name.
    _BLOCKS, _SIDE, _COMPONENTS, _LAYOUT = 3, 64, 16, 1.25
    # Four quadrants of 24 maps.
    _TEXTURES = 96

    def __init__(self, training: np.ndarray) -> None:
        self._training = subset(training)
        self._layout = PcaFeatures(self._training, self._COMPONENTS)
        settings = f"{self._BLOCKS} {self._SIDE} {self._COMPONENTS} {self._LAYOUT}"
        words = f"{settings} {efficientnet.SHA256} {_content(self._training)}"
        self.name = f"appearance-{hashlib.sha256(words.encode()).hexdigest()[:8]}"

    @functools.cached_property
    def _scales(self) -> np.ndarray:
        spread = self.texture(self._training).std(0, ddof=1)
        # A map that never varies must not be divided by nothing.
        return np.asarray((spread + 1e-3 * spread.max()) * np.sqrt(self._TEXTURES))

    def texture(self, images: np.ndarray) -> np.ndarray:
        """Return quadrant means of the early maps, float32 `(n, 96)`, before they are scaled."""
        where = device()
        network = efficientnet.network_on(where)

        def run(x: np.ndarray) -> Tensor:
            maps = network.early(efficientnet.scaled(x, self._SIDE).to(where), self._BLOCKS)
            return functional.adaptive_avg_pool2d(maps, 2).flatten(1)

        return _embedded(run, images, self._TEXTURES)

    def embed(self, images: np.ndarray) -> np.ndarray:
        """Return features, float32 `(n, 112)`, of uint8 pictures `(n, h, w, 3)`.

        Raises TypeError for others, OSError where the weights are missing or not the frozen ones.
        """
        layout = self._layout.embed(images)
        layout *= self._LAYOUT / np.sqrt(layout.shape[1])
        return np.concatenate([self.texture(images) / self._scales, layout], 1)


@functools.lru_cache
def _fidelity(kind: str) -> FidelityFeatures:
    return FidelityFeatures(kind)


# Each by its name, made from training pictures, which only the last two look at.
MAPS: dict[str, Callable[[np.ndarray], Features]] = {
    "efficientnet": lambda training: EfficientNetFeatures(),
    "inception": lambda training: _fidelity("inception"),
    "dinov2": lambda training: _fidelity("dinov2"),
    "pca": PcaFeatures,
    "appearance": Appearance,
}


def _check_weights(path: Path) -> None:
    """Raise OSError unless a file holds tensors alone: torch-fidelity unpickles whatever it is."""
    try:
        torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise OSError(f"{path} holds more than weights, or is no file of torch") from error


def _digest(network: nn.Module) -> str:
    """Return 8 hexadecimal digits of a network's weights."""
    digest = hashlib.sha256()
    for name, tensor in sorted(network.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.contiguous().numpy().tobytes())
    return digest.hexdigest()[:8]


def _content(pictures: np.ndarray) -> str:
    """Return the SHA-256 of pictures and their shape, 64 hexadecimal digits."""
    digest = hashlib.sha256(f"{pictures.dtype.str} {pictures.shape} ".encode())
    digest.update(np.ascontiguousarray(pictures).data)
    return digest.hexdigest()


def _flat(pictures: np.ndarray) -> np.ndarray:
    x = small(pictures)
    return x.reshape(len(x), math.prod(x.shape[1:])).astype(np.float64)
