"""Feature maps of colour pictures, behind one interface: a name for every record, and `embed`."""

import functools
import hashlib
import math
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from madlab.metrics import efficientnet
from madlab.metrics.features import Features
from madlab.metrics.neighbours import distinct
from madlab.metrics.pairwise import check_pictures, small
from madlab.streams import generator
from madlab.training import device

# Small batches stay in a processor's cache, which halves the time.
BATCH = 16
COMPONENTS = 64
MOST = 2000


def in_batches(
    run: Callable[[Tensor], Tensor], pictures: np.ndarray, dimensions: int
) -> np.ndarray:
    """Return `run` of pictures, float32 `(n, dimensions)`; equal pictures get equal rows.

    Batches are always whole, so that sums run in the same order whatever n is.
    """
    check_pictures(pictures)
    first, inverse = distinct(pictures)
    found = np.empty((len(first), dimensions), np.float32)
    batch = np.zeros((BATCH, *pictures.shape[1:]), np.uint8)
    for start in range(0, len(first), BATCH):
        asked = first[start : start + BATCH]
        batch[: len(asked)] = pictures[asked]
        with torch.inference_mode():
            rows = run(torch.from_numpy(batch)).float().cpu().numpy()
        found[start : start + len(asked)] = rows[: len(asked)]
    return np.asarray(found[inverse])


class EfficientNetFeatures:
    """The last pooled layer of EfficientNet-Lite0, 1,280 numbers, from a package with its weights.

    Pictures are resized to 128 x 128. At 32 pixels good for KID and Frechet distances, but not for
    precision and recall: see `Appearance`.
    """

    def __init__(self) -> None:
        self.name = f"efficientnet-{efficientnet.SHA256[:8]}"

    def embed(self, images: np.ndarray) -> np.ndarray:
        """Return features, float32 `(n, 1280)`, of uint8 pictures `(n, h, w, 3)`.

        Raises TypeError for others, OSError where the weights are missing or not the frozen ones.
        """
        where = device()
        network = efficientnet.network_on(where)
        return in_batches(lambda x: network(efficientnet.scaled(x).to(where)), images, 1280)


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

        def run(x: Tensor) -> Tensor:
            found: Tensor = network(x.permute(0, 3, 1, 2).contiguous().to(where))[0]
            return found

        return in_batches(run, images, self.dimensions)


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
        self.name = f"pca-{content(chosen)[:8]}"

    def embed(self, images: np.ndarray) -> np.ndarray:
        """Return coordinates, float32 `(n, 64)` or narrower, of uint8 pictures `(n, h, w, 3)`."""
        first, inverse = distinct(images)
        found = (_flat(images[first]) - self._mean) @ self._axes
        return np.asarray(found.astype(np.float32)[inverse])


def picture_map(name: str, training: np.ndarray) -> Features:
    """Return a feature map by name, "efficientnet", "inception", "dinov2" or "pca".

    - `training`: the pictures that "pca" is fitted to; the others are frozen and ignore them.

    Raises KeyError for other names, OSError for "inception" and "dinov2" where weights are missing.
    """
    if name == "efficientnet":
        return EfficientNetFeatures()
    if name in ("inception", "dinov2"):
        return _fidelity(name)
    if name == "pca":
        return PcaFeatures(training)
    raise KeyError(
        f"no features of pictures named {name!r}. They are: efficientnet, inception, dinov2, pca."
    )


def subset(pictures: np.ndarray, most: int = MOST) -> np.ndarray:
    """Return a fixed subset of at most `most` pictures, in order."""
    if len(pictures) <= most:
        return pictures
    return pictures[np.sort(generator(0, "subset").permutation(len(pictures))[:most])]


def content(pictures: np.ndarray) -> str:
    """Return the SHA-256 of pictures and their shape, 64 hexadecimal digits."""
    digest = hashlib.sha256(f"{pictures.dtype.str} {pictures.shape} ".encode())
    digest.update(np.ascontiguousarray(pictures).data)
    return digest.hexdigest()


@functools.lru_cache
def _fidelity(kind: str) -> FidelityFeatures:
    return FidelityFeatures(kind)


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


def _flat(pictures: np.ndarray) -> np.ndarray:
    x = small(pictures)
    return x.reshape(len(x), math.prod(x.shape[1:])).astype(np.float64)
