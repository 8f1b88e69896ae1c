"""Class-conditional diffusion on small pictures, with guidance as its sampling bias."""

import math
from collections.abc import Mapping
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from madlab import training
from madlab.models._nets.unet import GROUPS, UNet
from madlab.models.base import check_between, check_bias, check_count
from madlab.models.neural import Neural, Sampler, scaled
from madlab.models.recipes import RECIPES
from madlab.training import Draws, Learner, OneLoss, Precision, Replay


def guidance(bias: float) -> float:
    """Return the guidance weight w = 1 / bias - 1 for a sampling bias in (0, 1]."""
    return 1 / check_bias(bias) - 1


class Diffusion(Neural):
    """A diffusion model of labelled digits, trained from scratch in about a minute on a CPU.

    One small U-Net, told the time and the class, serves two recipes (`madlab.models.recipes`):
    "flow", rectified flow, whose samples take a few steps, and "ddpm", the paper's model, whose
    samples take 500.

    Its sampling bias is classifier-free guidance (Ho and Salimans 2022, arXiv 2207.12598). A share
    of the training labels is dropped, and samples follow c + w (c - u), c what the network predicts
    with the label and u without, at w = 1 / bias - 1. At bias 1 only c is evaluated.

    - `recipe`: "flow" or "ddpm".
    - `channels`: width of the network at half size, a multiple of 4; 16 keeps the network under
      100,000 weights, 64 suits a GPU.
    - `steps`, `batch`: training steps, and digits in each.
    - `learning_rate`: of AdamW; it warms up over 50 steps and falls to zero over the second half.
    - `sampling_steps`: for "flow", steps of Heun's method: 4, the default, take 7 evaluations of
      the network, 8 take 15; for "ddpm", the levels visited: 500, the default, is the paper's.
    - `label_dropout`: the share of training labels dropped, between 0 and 1.

    Raises ValueError or TypeError for settings outside these.
    """

    name: ClassVar[str] = "diffusion"
    version: ClassVar[int] = 1

    def __init__(
        self,
        recipe: str = "flow",
        channels: int = 16,
        steps: int = 1200,
        batch: int = 64,
        learning_rate: float = 5e-3,
        sampling_steps: int | None = None,
        label_dropout: float = 0.1,
    ) -> None:
        super().__init__()
        if recipe not in RECIPES:
            raise ValueError(f"no recipe is named {recipe!r}; there are: {', '.join(RECIPES)}")
        self.recipe = recipe
        self._recipe = RECIPES[recipe]()
        self.channels = check_count("channels", channels, least=GROUPS)
        if self.channels % GROUPS:
            raise ValueError(f"channels is {channels}; it must be a multiple of {GROUPS}")
        self.steps = check_count("steps", steps, least=1)
        self.batch = check_count("batch", batch, least=1)
        self.learning_rate = check_between("learning_rate", learning_rate, 0, math.inf)
        meant = self._recipe.sampling_steps if sampling_steps is None else sampling_steps
        self.sampling_steps = check_count("sampling_steps", meant, least=1)
        if self.sampling_steps > self._recipe.most_steps:
            raise ValueError(
                f"sampling_steps is {sampling_steps}; {recipe!r} takes at most "
                f"{self._recipe.most_steps}"
            )
        self.label_dropout = check_between("label_dropout", label_dropout, 0, 1)

    def _make(self, shape: tuple[int, int], classes: int) -> UNet:
        return UNet(self.channels, classes)

    def _learner(
        self, network: nn.Module, shape: tuple[int, int], classes: int, seed: int
    ) -> Learner:
        where = next(network.parameters()).device
        run = training.compiled(network)

        def draw(step: int, n: int) -> dict[str, Tensor]:
            draws = Draws(where, seed, "noise", step)
            return {
                "times": self._recipe.times(draws, n),
                "dropped": draws.uniform(n) < self.label_dropout,
                "noise": draws.normal(n, 1, *shape),
            }

        def loss(batch: Mapping[str, Tensor]) -> Tensor:
            data = scaled(batch["images"])
            labels = batch["labels"].masked_fill(batch["dropped"], classes)

            def predict(x: Tensor, times: Tensor) -> Tensor:
                found: Tensor = run(x, times, labels)
                return found.float()

            return self._recipe.loss(predict, data, batch["noise"], batch["times"])

        return OneLoss(
            network, loss, draw, learning_rate=self.learning_rate, precision=Precision(where)
        )

    def _noise(self, rng: np.random.Generator, n: int, shape: tuple[int, int]) -> np.ndarray:
        return rng.standard_normal((n, 1, *shape), dtype=np.float32)

    def _sampler(self, network: nn.Module, bias: float) -> Sampler:
        weight = guidance(bias)
        where = next(network.parameters()).device
        precision = Precision(where)
        run = training.compiled(network)
        classes = len(self._frequencies)

        def guided(given: Mapping[str, Tensor]) -> Tensor:
            x, times, labels = given["x"], given["times"], given["labels"]
            with precision.autocast():
                found: Tensor = run(x, times, labels)
                if weight:
                    nothing = torch.full_like(labels, classes)
                    found = found + weight * (found - run(x, times, nothing))
            return found.float()

        replay = Replay(guided, where)

        def pictures(noise: Tensor, labels: Tensor, draws: Draws) -> Tensor:
            def predict(x: Tensor, times: Tensor) -> Tensor:
                return replay({"x": x, "times": times, "labels": labels})

            return self._recipe.pictures(predict, noise, self.sampling_steps, draws)

        return pictures
