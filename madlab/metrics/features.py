"""Feature maps that metrics look through, one batch loop, and the separate reader of digits."""

import functools
import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from safetensors.torch import load
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_eval

from madlab import checks
from madlab.metrics.neighbours import distinct
from madlab.training import device

HERE = Path(__file__).parent
# What the frozen weights are: file, SHA-256, accuracy, recipe; by "lenet" and "reader".
ABOUT: dict[str, dict[str, Any]] = json.loads((HERE / "features.json").read_text())
# With channels last and batches that fit the cache a CPU is twice as fast.
BATCH = 250
CLASSES = 10


class LeNet(nn.Module):
    """The digit classifier whose inner layers are the features of FD-LeNet.

    Two 5 x 5 convolutions of 16 and 32 maps, each followed by a 2 x 2 maximum, then 128, 84 and 10
    units. Images are float32 `(n, 1, 28, 28)` in [0, 1], of all networks here.
    """

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 16, 5, padding=2)
        self.conv2 = nn.Conv2d(16, 32, 5, padding=2)
        self.full1 = nn.Linear(32 * 7 * 7, 128)
        self.full2 = nn.Linear(128, 84)
        self.full3 = nn.Linear(84, 10)
        self.scales: Tensor
        self.register_buffer("scales", torch.ones(2))

    def parts(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return means over quadrants of the first maps, `(n, 64)`, and the last hidden layer.

        The hidden layer, `(n, 84)`, is taken before its ReLU.
        """
        maps = functional.relu(self.conv1(x), inplace=True)
        inner = functional.max_pool2d(self.conv2(functional.max_pool2d(maps, 2)), 2)
        hidden = functional.relu(self.full1(functional.relu(inner).flatten(1)))
        # The mean of means: two fast 14 x 14 averages instead of one adaptive pooling.
        return functional.avg_pool2d(maps, 14).flatten(1), self.full2(hidden)

    def embed(self, x: Tensor) -> Tensor:
        """Return features `(n, 148)`: both parts, each divided by its frozen scale."""
        pooled, hidden = self.parts(x)
        return torch.cat([pooled / self.scales[0], hidden / self.scales[1]], 1)

    def forward(self, x: Tensor) -> Tensor:
        """Return class scores `(n, 10)`."""
        scores: Tensor = self.full3(functional.relu(self.parts(x)[1]))
        return scores


class Reader(nn.Module):
    """The separate classifier that decides what a digit is read as.

    Three 3 x 3 convolutions of 16, 32 and 64 maps with batch normalisation and 2 x 2 maxima,
    then one linear layer: another architecture than `LeNet`, so that the two err differently.
    """

    def __init__(self) -> None:
        super().__init__()
        self.stages: Any = nn.ModuleList(
            nn.Sequential(nn.Conv2d(a, b, 3, padding=1, bias=False), nn.BatchNorm2d(b))
            for a, b in ((1, 16), (16, 32), (32, 64))
        )
        self.out = nn.Linear(64 * 3 * 3, 10)

    def forward(self, x: Tensor) -> Tensor:
        """Return class scores `(n, 10)`."""
        for stage in self.stages:
            x = functional.relu(functional.max_pool2d(stage(x), 2))
        scores: Tensor = self.out(x.flatten(1))
        return scores


def as_input(images: np.ndarray) -> Tensor:
    """Return uint8 images `(n, 28, 28)` as float32 `(n, 1, 28, 28)` in [0, 1]."""
    return torch.from_numpy(images / np.float32(255)).unsqueeze(1)


def frozen(path: Path, sha256: str, package: str) -> bytes:
    """Return what a file of weights holds, or raise OSError unless it has the given SHA-256."""
    content = path.read_bytes()
    found = hashlib.sha256(content).hexdigest()
    if found != sha256:
        raise OSError(
            f"{path} is not the file that the metrics were measured with: its SHA-256 is "
            f"{found}, expected {sha256}. Install {package} again"
        )
    return content


def load_network(name: str, folder: Path = HERE) -> nn.Module:
    """Return the frozen network "lenet" or "reader"; OSError for a missing or another file."""
    entry = ABOUT[name]
    network = LeNet() if name == "lenet" else Reader()
    network.load_state_dict(load(frozen(folder / entry["file"], entry["sha256"], "madlab")))
    network.eval().requires_grad_(False)
    if isinstance(network, Reader):
        for i, (convolution, normalisation) in enumerate(network.stages):
            network.stages[i] = fuse_conv_bn_eval(convolution, normalisation)
    return network.to(memory_format=torch.channels_last)


@functools.lru_cache
def _network(name: str, where: torch.device) -> Any:
    return load_network(name).to(where)


def in_batches(
    network: Callable[[Tensor], Tensor],
    prepare: Callable[[np.ndarray], Tensor],
    images: np.ndarray,
    batch: int = BATCH,
    once: bool = True,
) -> np.ndarray:
    """Return what a network makes of each image, float32 `(n, d)`.

    Batches are always whole, so that sums run in the same order whatever n is.

    - `network`: on `madlab.training.device()`; returns `(batch, d)`.
    - `prepare`: turns uint8 images `(batch, ...)` into what the network takes.
    - `once`: equal images get one row, bit for bit. Without it row i depends, to the last bit, on
      image i and i alone.
    """
    if once:
        first, inverse = distinct(images)
        return in_batches(network, prepare, images[first], batch, once=False)[inverse]
    found, where = [], device()
    whole = np.zeros((batch, *images.shape[1:]), np.uint8)
    # Once without images too, for the width.
    for start in range(0, max(len(images), 1), batch):
        part = images[start : start + batch]
        whole[: len(part)] = part
        with torch.inference_mode():
            rows = network(prepare(whole).to(where)).float().cpu().numpy()
        found.append(rows[: len(part)])
    return np.concatenate(found)


def read(images: np.ndarray) -> np.ndarray:
    """Return what the separate reader reads images as, int64 `(n,)` from 0 to 9.

    - `images`: uint8 `(n, 28, 28)`, 255 = ink, else TypeError; OSError for other weights.
    """
    scores = in_batches(_network("reader", device()), as_input, checks.digits(images))
    return np.asarray(scores.argmax(1))


def confidence(images: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return how sure the separate reader is that images are what their labels say.

    - `images`: as for `read`, which says what is raised; `labels`: whole numbers `(n,)` from 0 to
      9, else ValueError or TypeError.

    Returns the softmax probability of each label, float64 `(n,)`. Number i depends, to the last
    bit, on image i, its label and i alone.
    """
    images = checks.digits(images)
    labels = checks.labels(labels, len(images), CLASSES)
    scores = in_batches(_network("reader", device()), as_input, images, once=False)
    shares = torch.from_numpy(scores).double().softmax(1).numpy()
    return np.asarray(shares[np.arange(len(images)), labels])


class Features(Protocol):
    """A feature map: a name that goes on every record, with a hash of what it rests on."""

    name: str

    def embed(self, images: np.ndarray) -> np.ndarray:
        """Return features `(n, d)` of samples."""


class LeNetFeatures:
    """The features of FD-LeNet: pen and place of ink, joined with the shape of the digit.

    64 quadrant means of the first maps and 84 units of the last hidden layer, each block divided by
    the root of its total variance on training digits. `scripts/train_lenet.py` made the weights.
    """

    name = f"lenet-{ABOUT['lenet']['sha256'][:8]}"

    def embed(self, images: np.ndarray) -> np.ndarray:
        """Return features, float32 `(n, 148)`, of uint8 images `(n, 28, 28)`, 255 = ink.

        Equal images get bit-equal features. Raises as `read` does.
        """
        network = _network("lenet", device())
        return in_batches(network.embed, as_input, checks.digits(images))


class PointFeatures:
    """The points themselves, for toy data."""

    name = "points"

    def embed(self, images: np.ndarray) -> np.ndarray:
        """Return points `(n, d)` as float64; raises ValueError or TypeError for anything else."""
        return checks.rows("points", images)


def feature_map(name: str | Features, training: np.ndarray | None = None) -> Features:
    """Return a feature map by its name; one of one's own as it is.

    - `name`: "lenet" for digits or "points" for points; for pictures "efficientnet",
      "inception", "dinov2", "pca" or "appearance".
    - `training`: for pictures, uint8 `(n, h, w, 3)`, to which "pca" and "appearance" are fitted.

    Raises KeyError for other names, OSError for "inception" and "dinov2" where weights are missing.
    """
    if not isinstance(name, str):
        if not isinstance(getattr(name, "name", None), str) or not hasattr(name, "embed"):
            raise TypeError(
                f"features are {name!r}; give a name, or madlab.metrics.OwnFeatures(name, function)"
            )
        return name
    maps: Mapping[str, Callable[..., Features]] = {"lenet": LeNetFeatures, "points": PointFeatures}
    if training is not None:
        # Only now, because their networks are of no use to digits and points.
        from madlab.metrics.picture_features import MAPS

        maps = MAPS
    checks.known("feature map", name, maps)
    return maps[name]() if training is None else maps[name](training)
