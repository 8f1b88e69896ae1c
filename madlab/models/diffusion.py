"""Class-conditional diffusion on small pictures, with guidance as its sampling bias."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import torch
from torch import Tensor

from madlab import training
from madlab.data.samples import Samples
from madlab.models._nets.unet import GROUPS, UNet
from madlab.models.base import (
    NotFittedError,
    Progress,
    check_between,
    check_bias,
    check_count,
    check_images,
    check_labels,
    draw_labels,
    load_model,
    save_model,
    to_bytes,
)
from madlab.streams import derive, generator

RECIPES = ("flow",)
SAMPLE_BATCH = 100
NEAREST = 0.05


def guidance(bias: float) -> float:
    """Return the guidance weight w = 1 / bias - 1 for a sampling bias in (0, 1]."""
    return 1 / check_bias(bias) - 1


def velocity(picture: Tensor, x: Tensor, time: Tensor | float) -> Tensor:
    """Return the velocity of the straight path that leads from `x` at `time` to `picture` at 1."""
    return (picture - x) / (1 - time)


def heun(field: Callable[[Tensor, float], Tensor], x: Tensor, steps: int) -> Tensor:
    """Follow dx/dt = `field`(x, t) from t = 0 to 1 by Heun's method in equal steps.

    The last step is Euler's, because a velocity towards a picture is not defined at t = 1; the
    error still falls with the square of the number of steps. It takes 2 `steps` - 1 evaluations.
    """
    for step in range(steps):
        now, then = step / steps, (step + 1) / steps
        slope = field(x, now)
        ahead = x + (then - now) * slope
        if step < steps - 1:
            ahead = x + (then - now) / 2 * (slope + field(ahead, then))
        x = ahead
    return x


class Diffusion:
    """A diffusion model of labelled digits, trained from scratch in about a minute on a CPU.

    The recipe "flow" is rectified flow (Liu et al. 2023, arXiv 2209.03003). Straight lines
    x_t = (1 - t) noise + t picture join noise and pictures; a small U-Net predicts the picture from
    x_t, t and the class; its loss is the squared error of the velocity (picture - x_t) / (1 - t);
    and sampling follows that velocity from noise to picture by Heun's method.

    Its sampling bias is classifier-free guidance (Ho and Salimans 2022, arXiv 2207.12598). A share
    of the training labels is dropped, and samples follow v = c + w (c - u), c the velocity with
    the label and u without, at w = 1 / bias - 1. At bias 1 only c is evaluated.

    - `recipe`: "flow".
    - `channels`: width of the network at half size, a multiple of 4; 16 keeps the network under
      100,000 weights.
    - `steps`, `batch`: training steps, and digits in each.
    - `learning_rate`: of AdamW; it warms up over 50 steps and falls to zero over the second half.
    - `heun_steps`: sampling steps; 4 take 7 evaluations of the network, 8 take 15.
    - `label_dropout`: the share of training labels dropped, between 0 and 1.

    Raises ValueError or TypeError for settings outside these.
    """

    name: ClassVar[str] = "diffusion"
    version: ClassVar[int] = 1
    conditional: ClassVar[bool] = True
    follows_noise: ClassVar[bool] = True

    def __init__(
        self,
        recipe: str = "flow",
        channels: int = 16,
        steps: int = 1200,
        batch: int = 64,
        learning_rate: float = 5e-3,
        heun_steps: int = 4,
        label_dropout: float = 0.1,
    ) -> None:
        if recipe not in RECIPES:
            raise ValueError(f"no recipe is named {recipe!r}; there is: {', '.join(RECIPES)}")
        self.recipe = recipe
        self.channels = check_count("channels", channels, least=GROUPS)
        if self.channels % GROUPS:
            raise ValueError(f"channels is {channels}; it must be a multiple of {GROUPS}")
        self.steps = check_count("steps", steps, least=1)
        self.batch = check_count("batch", batch, least=1)
        self.learning_rate = check_between("learning_rate", learning_rate, 0, math.inf)
        self.heun_steps = check_count("heun_steps", heun_steps, least=1)
        self.label_dropout = check_between("label_dropout", label_dropout, 0, 1)
        self._network: UNet | None = None
        self._shape = (0, 0)
        self._frequencies = np.empty(0)

    @property
    def settings(self) -> dict[str, Any]:
        """All settings, as JSON values; `create("diffusion", **settings)` makes an equal model."""
        return {
            "recipe": self.recipe,
            "channels": self.channels,
            "steps": self.steps,
            "batch": self.batch,
            "learning_rate": self.learning_rate,
            "heun_steps": self.heun_steps,
            "label_dropout": self.label_dropout,
        }

    def fit(
        self,
        images: np.ndarray,
        labels: np.ndarray | None = None,
        *,
        seed: int,
        progress: Progress | None = None,
    ) -> None:
        """Train from nothing on labelled pictures, whatever was fitted before.

        - `images`: uint8 `(n, height, width)`, sides multiples of 4.
        - `labels`: int64 `(n,)`, from 0; the number of classes is the largest plus one. Pictures of
          one kind take zeros, and guidance then has nothing to push away from.
        - `seed`: sets the initial weights, the data order and the noise.
        - `progress`: called after each step with the fraction done; an exception that it raises
          stops the training and passes through.

        Raises ValueError or TypeError for data that do not fit together, FloatingPointError
        where training diverges.
        """
        images = check_images(images)
        labels = check_labels(labels, len(images))
        if images.shape[1] % 4 or images.shape[2] % 4:
            raise ValueError(
                f"images are {images.shape[1]} x {images.shape[2]} pixels; both sides must be "
                "multiples of 4: pad or crop them"
            )
        self._network = None
        where = training.device()
        counts = np.bincount(labels)
        network = _network(self.channels, len(counts), seed).to(where)

        def loss(step: int) -> Tensor:
            rows = training.batch_rows(len(images), self.batch, seed, step)
            pictures = torch.from_numpy(images[rows]).to(where)
            return self._loss(network, pictures, torch.from_numpy(labels[rows]), seed, step)

        training.train(
            network,
            loss,
            steps=self.steps,
            learning_rate=self.learning_rate,
            progress=progress,
        )
        self._shape = (images.shape[1], images.shape[2])
        self._frequencies = counts / len(labels)
        self._network = network

    def _loss(
        self, network: UNet, pictures: Tensor, labels: Tensor, seed: int, step: int
    ) -> Tensor:
        """Return the velocity error of one batch, its randomness a function of (seed, step)."""
        rng = generator(seed, "noise", step)
        where = pictures.device
        n = len(labels)
        time = torch.from_numpy(rng.standard_normal(n, dtype=np.float32)).sigmoid().to(where)
        dropped = torch.from_numpy(rng.random(n) < self.label_dropout)
        labels = labels.masked_fill(dropped, network.classes).to(where)
        noise = torch.from_numpy(rng.standard_normal(pictures.shape, dtype=np.float32))
        data = (pictures / 127.5 - 1)[:, None]
        at = time[:, None, None, None]
        mixed = (1 - at) * noise.to(where)[:, None] + at * data
        weight = (1 - at).clamp(min=NEAREST) ** -2
        found: Tensor = network(mixed, time, labels)
        return (weight * (found - data).square()).mean()

    def sample(
        self, n: int, *, bias: float = 1.0, seed: int, labels: np.ndarray | None = None
    ) -> Samples:
        """Draw `n` digits under sampling bias `bias`, 0 < bias <= 1.

        Digit i depends on (seed, i) and its label alone.

        - `labels`: int64 `(n,)`; None draws them from the training frequencies.

        Returns uint8 images `(n, height, width)` with their labels. Raises NotFittedError before
        `fit`, ValueError or TypeError for a bias, a number or labels that are not allowed.
        """
        n = check_count("n", n)
        weight = guidance(bias)
        if self._network is None:
            raise NotFittedError("this model is not fitted: call fit before sample")
        if labels is None:
            labels = draw_labels(n, self._frequencies, generator(seed, "labels"))
        labels = check_labels(labels, n, len(self._frequencies))
        unseen = np.flatnonzero(self._frequencies[labels] == 0)
        if len(unseen):
            raise ValueError(f"label {labels[unseen[0]]} is on no training image: ask for others")
        rng = generator(seed, "noise")
        images = np.empty((n, *self._shape), dtype=np.uint8)
        # Always whole batches of one size, padded with zeros: sums run in the same order for
        # digit i whatever n is.
        noise = np.zeros((SAMPLE_BATCH, 1, *self._shape), dtype=np.float32)
        wanted = np.zeros(SAMPLE_BATCH, dtype=np.int64)
        for start in range(0, n, SAMPLE_BATCH):
            here = min(SAMPLE_BATCH, n - start)
            noise[:here] = rng.standard_normal((here, 1, *self._shape), dtype=np.float32)
            wanted[:here] = labels[start : start + here]
            found = self._draw(torch.from_numpy(noise), torch.from_numpy(wanted), weight)
            images[start : start + here] = found[:here]
        return Samples(images, labels)

    @torch.inference_mode()
    def _draw(self, noise: Tensor, labels: Tensor, weight: float) -> np.ndarray:
        network = self._network
        assert network is not None
        where = next(network.parameters()).device
        labels = labels.to(where)
        nothing = torch.full_like(labels, network.classes)

        def field(x: Tensor, now: float) -> Tensor:
            time = torch.full((len(x),), now, device=where)
            picture = network(x, time, labels)
            if weight:
                picture = picture + weight * (picture - network(x, time, nothing))
            return velocity(picture, x, now)

        digits = heun(field, noise.to(where), self.heun_steps)
        return to_bytes((digits[:, 0].cpu().numpy() + 1) * 127.5)

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
        network = UNet(model.channels, len(model._frequencies))
        network.load_state_dict(
            {name.removeprefix("network."): value for name, value in tensors.items()}
        )
        model._network = network.to(training.device()).eval()
        return model


def _network(channels: int, classes: int, seed: int) -> UNet:
    """Return a network with initial weights that the seed sets, drawn on the CPU."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive(seed, "weights"))
        return UNet(channels, classes)
