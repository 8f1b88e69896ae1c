"""Class-conditional diffusion on small pictures, with guidance as its sampling bias."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from madlab import checks, training
from madlab.models._nets.unet import UNet
from madlab.models.base import setting
from madlab.models.neural import Neural, Sampler, Shape, fast, scaled, where_is
from madlab.models.objectives import OBJECTIVES
from madlab.training import Draws, Learner, OneLoss, Precision


def guidance(bias: float) -> float:
    """Return the guidance weight w = 1 / bias - 1 for a sampling bias in (0, 1]."""
    return 1 / checks.bias(bias) - 1


@dataclass(eq=False)
class Diffusion(Neural):
    """A diffusion model of labelled digits, trained from scratch in about a minute on a CPU.

    One small U-Net, told the time and the class, serves two recipes (`madlab.models.objectives`):
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

    recipe: str = "flow"
    channels: int = 16
    steps: int = 1200
    batch: int = 64
    learning_rate: float = 5e-3
    sampling_steps: int | None = None
    label_dropout: float = setting(0.1, checks.between, low=0, high=1)

    def __post_init__(self) -> None:
        super().__post_init__()
        self._objective = OBJECTIVES[checks.choice("recipe", self.recipe, OBJECTIVES)]()
        usual, most = self._objective.sampling_steps, self._objective.most_steps
        meant = usual if self.sampling_steps is None else self.sampling_steps
        self._sampling_steps = checks.count("sampling_steps", meant, least=1, most=most)
        self.sampling_steps = self._sampling_steps

    def _make(self, shape: Shape, classes: int) -> UNet:
        return UNet(self.channels, classes)

    def _learner(self, network: Any, shape: Shape, classes: int, seed: int) -> Learner:
        where = where_is(network)
        run = training.compiled(network)

        def draw(step: int, n: int) -> dict[str, Tensor]:
            draws = Draws(where, seed, "noise", step)
            return {
                "times": self._objective.times(draws, n),
                "dropped": draws.uniform(n) < self.label_dropout,
                "noise": draws.normal(n, 1, *shape),
            }

        def loss(batch: Mapping[str, Tensor]) -> Tensor:
            data = scaled(batch["images"])
            labels = batch["labels"].masked_fill(batch["dropped"], classes)

            def predict(x: Tensor, times: Tensor) -> Tensor:
                return run(x, times, labels).float()

            return self._objective.loss(predict, data, batch["noise"], batch["times"])

        return OneLoss(
            network, loss, draw, learning_rate=self.learning_rate, precision=Precision(where)
        )

    def _sampler(self, network: Any, bias: float) -> Sampler:
        weight = guidance(bias)
        run = training.compiled(network)
        nobody = len(self.fitted["frequencies"])

        def guided(given: Mapping[str, Tensor]) -> Tensor:
            x, times, labels = given["x"], given["times"], given["labels"]
            found = run(x, times, labels)
            if weight:
                found = found + weight * (found - run(x, times, torch.full_like(labels, nobody)))
            return found.float()

        graph = fast(guided, where_is(network))

        def pictures(noise: Tensor, labels: Tensor, draws: Draws) -> Tensor:
            def predict(x: Tensor, times: Tensor) -> Tensor:
                return graph({"x": x, "times": times, "labels": labels})

            return self._objective.pictures(predict, noise, self._sampling_steps, draws)

        return pictures
