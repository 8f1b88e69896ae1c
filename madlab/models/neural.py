"""What the network models of small pictures have in common."""

import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import torch
from torch import Tensor, nn

from madlab import training
from madlab.data.samples import Samples
from madlab.models.base import (
    NotFittedError,
    Progress,
    check_count,
    check_images,
    check_labels,
    check_model_bias,
    draw_labels,
    load_model,
    save_model,
    to_bytes,
)
from madlab.streams import generator
from madlab.training import Draws, Learner

CPU_BATCH = 100
DEVICE_BATCH = 500

Sampler = Callable[[Tensor, Tensor, Draws], Tensor]


def scaled(images: Tensor) -> Tensor:
    """Return uint8 pictures `(n, h, w)` or `(n, h, w, 3)` as float `(n, channels, h, w)`.

    Bytes 0 to 255 become -1 to 1.
    """
    x = images / 127.5 - 1
    return x[:, None] if images.ndim == 3 else x.permute(0, 3, 1, 2)


class Neural(ABC):
    """A network model of pictures: class-conditional ones of one channel, or in colour.

    A kind of model says how its network is made, trained and sampled from; checks, the batches of
    sampling and files are here. Its settings are the arguments of its `__init__`, kept as
    attributes of the same names, `steps` and `batch` among them. One that is not `conditional`
    ignores labels, and is told that all pictures are of one class.
    """

    name: ClassVar[str]
    version: ClassVar[int]
    conditional: ClassVar[bool] = True
    colour: ClassVar[bool] = False
    biased: ClassVar[bool] = True
    follows_noise: ClassVar[bool] = True

    steps: int
    batch: int

    def __init__(self) -> None:
        self._network: nn.Module | None = None
        self._shape = (0, 0)
        self._frequencies = np.empty(0)

    @abstractmethod
    def _make(self, shape: tuple[int, int], classes: int) -> nn.Module:
        """Return the network that samples, with initial weights from torch's global stream."""

    def _start(self, network: nn.Module, images: np.ndarray) -> None:  # noqa: B027 - most need none
        """Set initial weights that depend on the training pictures; by default none do."""

    @abstractmethod
    def _learner(
        self, network: nn.Module, shape: tuple[int, int], classes: int, seed: int
    ) -> Learner:
        """Return what trains the network, which is on its device already."""

    @abstractmethod
    def _noise(self, rng: np.random.Generator, n: int, shape: tuple[int, int]) -> np.ndarray:
        """Return the noise that `n` samples start from, float32 `(n, ...)`, drawn row by row.

        `shape` is the height and width of a picture.
        """

    @abstractmethod
    def _sampler(self, network: nn.Module, bias: float) -> Sampler:
        """Return what maps noise, labels and random numbers to pictures in [-1, 1].

        It is called with whole batches on the network's device; pictures are `(n, channels, h, w)`.
        """

    def _schedule(self, step: int, steps: int) -> float:
        """Return the factor on the learning rates at a step."""
        return training.rate(step, steps)

    @property
    def settings(self) -> dict[str, Any]:
        """All settings, as JSON values; `create(name, **settings)` makes an equal model."""
        return {name: getattr(self, name) for name in inspect.signature(type(self)).parameters}

    def fit(
        self,
        images: np.ndarray,
        labels: np.ndarray | None = None,
        *,
        seed: int,
        progress: Progress | None = None,
        checkpoint: Path | None = None,
    ) -> None:
        """Train from nothing on pictures, whatever was fitted before.

        - `images`: uint8 `(n, height, width)`, or `(n, height, width, 3)` for a model of colour
          pictures; sides are multiples of 4.
        - `labels`: int64 `(n,)`, from 0; the number of classes is the largest plus one. Pictures of
          one kind take zeros; models that are not class-conditional need none.
        - `seed`: sets the initial weights, the data order and the noise.
        - `progress`: called after each step with the fraction done; an exception that it raises
          stops the training and passes through.
        - `checkpoint`: a folder for half-done training, see `madlab.training.train`.

        Raises ValueError or TypeError for data that do not fit together, FloatingPointError
        where training diverges, MemoryError where the device has too little memory.
        """
        images = check_images(images, colour=self.colour)
        labels = check_labels(self._known(labels, len(images)), len(images))
        if images.shape[1] % 4 or images.shape[2] % 4:
            raise ValueError(
                f"images are {images.shape[1]} x {images.shape[2]} pixels; both sides must be "
                "multiples of 4: pad or crop them"
            )
        self._network = None
        shape = (images.shape[1], images.shape[2])
        counts = np.bincount(labels)
        network = training.seeded(lambda: self._make(shape, len(counts)), seed)
        self._start(network, images)
        network.to(training.device())
        training.train(
            self._learner(network, shape, len(counts), seed),
            {"images": images, "labels": labels},
            steps=self.steps,
            batch=self.batch,
            seed=seed,
            identity={"model": self.name, "version": self.version, "settings": self.settings},
            schedule=self._schedule,
            progress=progress,
            checkpoint=checkpoint,
        )
        self._shape = shape
        self._frequencies = counts / len(labels)
        self._network = network

    def sample(
        self, n: int, *, bias: float = 1.0, seed: int, labels: np.ndarray | None = None
    ) -> Samples:
        """Draw `n` pictures under sampling bias `bias`, 0 < bias <= 1.

        Picture i depends on (seed, i) and its label alone.

        - `labels`: int64 `(n,)`; None draws them from the training frequencies.

        Returns uint8 images of the shape that was trained on, with labels where the model is
        class-conditional. Raises NotFittedError before
        `fit`, ValueError or TypeError for a bias, a number or labels that are not allowed.
        """
        n, bias = check_count("n", n), check_model_bias(self, bias)
        if self._network is None:
            raise NotFittedError("this model is not fitted: call fit before sample")
        labels = self._known(labels, n)
        if labels is None:
            labels = draw_labels(n, self._frequencies, generator(seed, "labels"))
        labels = check_labels(labels, n, len(self._frequencies))
        unseen = np.flatnonzero(self._frequencies[labels] == 0)
        if len(unseen):
            raise ValueError(f"label {labels[unseen[0]]} is on no training image: ask for others")
        images = self._sample(self._network, bias, seed, labels)
        return Samples(images, labels if self.conditional else None)

    def _known(self, labels: np.ndarray | None, n: int) -> np.ndarray | None:
        return labels if self.conditional else np.zeros(n, np.int64)

    @torch.no_grad()
    def _sample(self, network: nn.Module, bias: float, seed: int, labels: np.ndarray) -> np.ndarray:
        where = next(network.parameters()).device
        # Always whole batches of one size, padded with zeros: sums run in the same order for
        # picture i whatever n is.
        size = CPU_BATCH if where.type == "cpu" else DEVICE_BATCH
        rng = generator(seed, "noise")
        sampler = self._sampler(network, bias)
        channels = (3,) if self.colour else ()
        images = np.empty((len(labels), *self._shape, *channels), dtype=np.uint8)
        for start in range(0, len(labels), size):
            asked = labels[start : start + size]
            here = len(asked)
            drawn = self._noise(rng, here, self._shape)
            noise = np.zeros((size, *drawn.shape[1:]), dtype=np.float32)
            noise[:here] = drawn
            wanted = np.zeros(size, dtype=np.int64)
            wanted[:here] = asked
            found = sampler(
                torch.from_numpy(noise).to(where),
                torch.from_numpy(wanted).to(where),
                Draws(where, seed, "sampling", start),
            )
            pictures = found[:here].permute(0, 2, 3, 1) if self.colour else found[:here, 0]
            images[start : start + here] = to_bytes((pictures.cpu().numpy() + 1) * 127.5)
        return images

    def save(self, folder: Path) -> None:
        """Write the fitted model into an existing folder: safetensors and JSON only."""
        if self._network is None:
            raise NotFittedError("this model is not fitted: there is nothing to save")
        tensors = {f"network.{name}": value for name, value in self._network.state_dict().items()}
        tensors["shape"] = torch.tensor(self._shape)
        tensors["frequencies"] = torch.from_numpy(self._frequencies)
        save_model(folder, self, tensors)

    @classmethod
    def from_folder(cls, folder: Path) -> Self:
        """Read what `save` wrote; the result samples exactly as the saved model did."""
        settings, tensors = load_model(folder, cls)
        model = cls(**settings)
        height, width = tensors.pop("shape").tolist()
        model._shape = (height, width)
        model._frequencies = tensors.pop("frequencies").numpy()
        network = training.seeded(lambda: model._make(model._shape, len(model._frequencies)), 0)
        network.load_state_dict(
            {name.removeprefix("network."): value for name, value in tensors.items()}
        )
        model._network = network.to(training.device()).eval()
        return model
