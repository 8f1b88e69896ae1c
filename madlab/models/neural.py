"""What the network models of pictures have in common."""

from abc import abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from madlab import checks, training
from madlab.data.samples import Samples
from madlab.models.base import Arrays, Base, How, Labels, labels_of_samples, to_bytes
from madlab.streams import generator
from madlab.training import Draws, Learner, Precision, TensorFunction

CPU_BATCH = 100
DEVICE_BATCH = 500

Shape = tuple[int, int]
Sampler = Callable[[Tensor, Tensor, Draws], Tensor]


def scaled(images: Tensor) -> Tensor:
    """Return uint8 pictures `(n, h, w)` or `(n, h, w, 3)` as float `(n, channels, h, w)`.

    Bytes 0 to 255 become -1 to 1.
    """
    x = images / 127.5 - 1
    return x[:, None] if images.ndim == 3 else x.permute(0, 3, 1, 2)


def weights_of(network: nn.Module) -> Arrays:
    """Return a network's weights and buffers as they are saved, arrays by name."""
    state = network.state_dict()
    return {f"network.{name}": value.cpu().numpy() for name, value in state.items()}


def set_weights(network: nn.Module, found: Arrays) -> None:
    """Put into a network what `weights_of` gave, among other arrays or not."""
    ours = {name: value for name, value in found.items() if name.startswith("network.")}
    network.load_state_dict(
        {name.removeprefix("network."): torch.from_numpy(value) for name, value in ours.items()}
    )


def where_is(network: nn.Module) -> torch.device:
    """Return the device that a network is on."""
    return next(network.parameters()).device


def fast(function: TensorFunction, where: torch.device) -> TensorFunction:
    """Return a function of tensors by name, run in the device's precision and fast, see there."""
    precision = Precision(where)

    def call(given: Mapping[str, Tensor]) -> Tensor:
        with precision.autocast():
            return function(given)

    return training.captured(call, where)


class Neural(Base):
    """A network model of pictures: class-conditional ones of one channel, or in colour.

    It takes uint8 `(n, height, width)`, or `(n, height, width, 3)` where it is of `colour`, with
    sides that are multiples of 4, and labels `(n,)` from 0 to the number of classes less one; a
    model that is not `conditional` ignores them, and is told that all pictures are of one class.

    A kind of model says how its network is made, trained and sampled from. Of its settings
    `channels` is the network's width, a multiple of 4; `steps` and `batch` are the training's.
    """

    conditional: ClassVar[bool] = True
    colour: ClassVar[bool] = False

    channels: int
    steps: int
    batch: int
    learning_rate: float

    _network: nn.Module

    def __post_init__(self) -> None:
        super().__post_init__()
        for name, least in (("channels", 4), ("steps", 1), ("batch", 1)):
            setattr(self, name, checks.count(name, getattr(self, name), least=least))
        if self.channels % 4:
            raise ValueError(f"channels is {self.channels}; it must be a multiple of 4")
        self.learning_rate = checks.positive("learning_rate", self.learning_rate)

    @abstractmethod
    def _make(self, shape: Shape, classes: int) -> nn.Module:
        """Return the network that samples, with initial weights from torch's global stream."""

    def _start(self, network: Any, images: np.ndarray) -> None:
        """Set initial weights that depend on the training pictures; by default none do."""

    @abstractmethod
    def _learner(self, network: Any, shape: Shape, classes: int, seed: int) -> Learner:
        """Return what trains the network, which is on its device already."""

    def _noise(self, rng: np.random.Generator, n: int, shape: Shape) -> np.ndarray:
        """Return the noise that `n` samples start from, float32, row by row; like pictures here."""
        return rng.standard_normal((n, 3 if self.colour else 1, *shape), dtype=np.float32)

    @abstractmethod
    def _sampler(self, network: Any, bias: float) -> Sampler:
        """Return what maps noise, labels and random numbers to pictures in [-1, 1].

        It is called with whole batches on the network's device; pictures are `(n, channels, h, w)`.
        """

    def _schedule(self, step: int, steps: int) -> float:
        """Return the factor on the learning rates at a step."""
        return training.rate(step, steps)

    def _checked(self, images: np.ndarray, labels: Labels) -> tuple[np.ndarray, Labels]:
        images = checks.pictures(images, colour=self.colour, least=1)
        n, height, width = images.shape[:3]
        if height % 4 or width % 4:
            raise ValueError(
                f"images are {height} x {width} pixels; both sides must be multiples of 4: pad or "
                "crop them"
            )
        return images, checks.labels(labels, n) if self.conditional else np.zeros(n, np.int64)

    def _fit(self, images: np.ndarray, labels: np.ndarray, how: How) -> Arrays:
        shape = (images.shape[1], images.shape[2])
        counts = np.bincount(labels)
        network = training.seeded(lambda: self._make(shape, len(counts)), how.seed)
        self._start(network, images)
        network.to(training.device())
        training.train(
            self._learner(network, shape, len(counts), how.seed),
            {"images": images, "labels": labels},
            steps=self.steps,
            batch=self.batch,
            seed=how.seed,
            identity={"model": self.name, "version": self.version, "settings": self.settings},
            schedule=self._schedule,
            progress=how.progress,
            checkpoint=how.checkpoint,
        )
        kept = {"shape": np.array(shape, np.int64), "frequencies": counts / len(labels)}
        return weights_of(network) | kept

    def _keep(self, found: Arrays) -> None:
        shape, classes = _shape(found), len(found["frequencies"])
        network = training.seeded(lambda: self._make(shape, classes), 0)
        set_weights(network, found)
        self._network = network.to(training.device()).eval()
        super()._keep(found)

    @torch.no_grad()
    def _draw(self, found: Arrays, n: int, bias: float, seed: int, labels: Labels) -> Samples:
        known, rng = found["frequencies"], generator(seed, "labels")
        given = labels_of_samples(labels if self.conditional else None, n, known, rng)
        shape, where = _shape(found), where_is(self._network)
        # Always whole batches of one size, the last one filled up with copies: sums run in the same
        # order for picture i whatever n is.
        size = CPU_BATCH if where.type == "cpu" else DEVICE_BATCH
        rng = generator(seed, "noise")
        sampler = self._sampler(self._network, bias)
        images = np.empty((n, *shape, *((3,) if self.colour else ())), dtype=np.uint8)
        for start in range(0, n, size):
            stop = min(start + size, n)
            noise, asked = (
                torch.from_numpy(np.resize(rows, (size, *rows.shape[1:]))).to(where)
                for rows in (self._noise(rng, stop - start, shape), given[start:stop])
            )
            drawn = sampler(noise, asked, Draws(where, seed, "sampling", start))[: stop - start]
            pictures = drawn.permute(0, 2, 3, 1) if self.colour else drawn[:, 0]
            images[start:stop] = to_bytes((pictures.cpu().numpy() + 1) * 127.5)
        return Samples(images, given if self.conditional else None)


def _shape(found: Arrays) -> Shape:
    height, width = found["shape"].tolist()
    return height, width
