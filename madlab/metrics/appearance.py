"""The features that precision and recall of small colour pictures are taken on."""

import hashlib

import numpy as np
from torch import Tensor
from torch.nn import functional

from madlab.metrics import efficientnet
from madlab.metrics.picture_features import PcaFeatures, content, in_batches, subset
from madlab.training import device

# Chosen by benchmarks/picture_features.py; all of it is part of the name.
BLOCKS = 3
CHANNELS = 24
SIDE = 64
COMPONENTS = 16
LAYOUT = 1.25


class Appearance:
    """Texture, by an early block of EfficientNet-Lite0, joined with layout, by pixels.

    Texture: means over the four quadrants of the 24 maps of the third block, which sees pictures
    resized to 64 x 64, each divided by its standard deviation on training pictures. Layout: 16
    principal components of the pixels, with 1.6 times the variance of the texture. Texture tells
    noise, blur, grids and Gaussians from faces; layout tells faces from one another, and is what
    keeps recall alive. `benchmarks/picture_features.py` shows what they see. They do not know what
    belongs on a face: upside-down faces and faces put together from others' parts pass for many.

    - `training`: uint8 `(n, h, w, 3)`, n >= 2; a fixed 2,000 of them are used where there are more.
    """

    def __init__(self, training: np.ndarray) -> None:
        self._training = subset(training)
        self._layout = PcaFeatures(self._training, COMPONENTS)
        self._scales: np.ndarray | None = None
        settings = f"{BLOCKS} {SIDE} {COMPONENTS} {LAYOUT} {efficientnet.SHA256}"
        digest = hashlib.sha256(f"{settings} {content(self._training)}".encode())
        self.name = f"appearance-{digest.hexdigest()[:8]}"

    def embed(self, images: np.ndarray) -> np.ndarray:
        """Return features, float32 `(n, 112)`, of uint8 pictures `(n, h, w, 3)`.

        Raises TypeError for others, OSError where the weights are missing or not the frozen ones.
        """
        if self._scales is None:
            spread = texture(self._training).std(0, ddof=1)
            # A map that never varies must not be divided by nothing.
            self._scales = (spread + 1e-3 * spread.max()) * np.sqrt(4 * CHANNELS)
        layout = self._layout.embed(images)
        layout *= LAYOUT / np.sqrt(layout.shape[1])
        return np.concatenate([texture(images) / self._scales, layout], 1)


def texture(images: np.ndarray) -> np.ndarray:
    """Return quadrant means of the early maps, float32 `(n, 96)`."""
    where = device()
    network = efficientnet.network_on(where)

    def run(x: Tensor) -> Tensor:
        maps = network.early(efficientnet.scaled(x, SIDE).to(where), BLOCKS)
        return functional.adaptive_avg_pool2d(maps, 2).flatten(1)

    return in_batches(run, images, 4 * CHANNELS)
