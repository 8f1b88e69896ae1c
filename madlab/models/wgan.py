"""A class-conditional Wasserstein network pair with gradient penalty, for small pictures."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from madlab import checks
from madlab.models.base import setting
from madlab.models.gan import LATENT, Adversarial, Adversaries, Discriminator
from madlab.models.neural import Shape, scaled
from madlab.training import Learner

PENALTY = 10.0

Critic = Callable[[Tensor, Tensor], Tensor]


def gradient_penalty(
    critic: Critic, real: Tensor, drawn: Tensor, labels: Tensor, places: Tensor
) -> Tensor:
    """Return the mean of (|slope| - 1)^2 over one point between each real and drawn picture.

    The slope is the gradient of a score by its picture (Gulrajani et al. 2017, Eq. 3).

    - `critic`: maps pictures and labels to scores `(n,)`; autograd differentiates it twice.
    - `real`, `drawn`: `(n, 1, h, w)`, row by row of the classes `labels`.
    - `places`: `(n,)`, where on its line each point lies: 0 is real, 1 is drawn.
    """
    between = torch.lerp(real, drawn, places[:, None, None, None]).requires_grad_()
    scores = critic(between, labels)
    (slopes,) = torch.autograd.grad(scores.sum(), between, create_graph=True)
    return (slopes.flatten(1).norm(dim=1) - 1).square().mean()


@dataclass(eq=False)
class Wgan(Adversarial):
    """A small WGAN-GP of labelled digits (Gulrajani et al. 2017, arXiv 1704.00028).

    A critic learns the largest difference between its mean scores of real and of drawn digits that
    slopes of 1 allow, which is their Wasserstein distance; a generator learns to make it small.
    A penalty of 10 (|slope| - 1)^2 holds the slope on the lines between real and drawn digits of
    one class, at every update of the critic. The losses, the penalty, five updates of the critic to
    one of the generator and Adam's two decay rates are the original's. Its networks are small ones
    that are told the class; the learning rate is larger, warms up and decays; and the generator
    ends with the average of its weights over the training.

    It has no sampling bias: `sample` takes bias 1 alone, as in the paper's Fig. 13.

    - `channels`: width of both networks at half size, a multiple of 4.
    - `steps`: updates of the generator, each after `critic_updates` updates of the critic.
    - `batch`: digits in each step, shared out equally to the updates of the critic; the generator's
      update draws as many as one of them sees, `batch / critic_updates`.
    - `critic_updates`: 5 is the original's.
    - `learning_rate`: of Adam, for both; it warms up over 50 steps and falls to zero over the
      second half.

    Raises ValueError or TypeError for settings outside these.
    """

    name: ClassVar[str] = "wgan"
    biased = False

    channels: int = 8
    steps: int = 550
    batch: int = 160
    critic_updates: int = setting(5, checks.count, least=1)
    learning_rate: float = 3e-3

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.batch % self.critic_updates:
            raise ValueError(
                f"batch is {self.batch}; it must be a multiple of critic_updates, which is "
                f"{self.critic_updates}: they share it out equally"
            )

    def _learner(self, network: Any, shape: Shape, classes: int, seed: int) -> Learner:
        return WassersteinPair(
            network,
            lambda: Discriminator(self.channels, classes, shape),
            self.learning_rate,
            seed,
            self.critic_updates,
        )


@dataclass(eq=False)
class WassersteinPair(Adversaries):
    """What a training step changes: the critic several times, then the generator once.

    - `generator`, `make`, `learning_rate`, `seed`: see `Adversaries`.
    - `critic_updates`: how many updates of the critic share out a batch.
    """

    opponent: ClassVar[str] = "critic"
    betas: ClassVar[tuple[float, float]] = (0.0, 0.9)

    critic_updates: int

    def draw(self, step: int, n: int) -> dict[str, Tensor]:
        """Return the latent vectors of a step, and where between real and drawn digits to look."""
        draws = self._draws(step)
        return {
            "noise": draws.normal(n, LATENT),
            "places": draws.uniform(n),
            "last": draws.normal(n // self.critic_updates, LATENT),
        }

    def update(self, batch: Mapping[str, Tensor], kind: str) -> Tensor:
        """Take one step and return the critic's mean loss over its updates, and the generator's."""
        real, labels, last = scaled(batch["images"]), batch["labels"], batch["last"]
        # The generator is the same for all updates of the critic: one pass draws for them.
        with torch.no_grad():
            drawn = self._drawn(batch["noise"], labels)
        each = len(last)
        critic = []
        for first in range(0, len(labels), each):
            rows = slice(first, first + each)
            pictures = torch.cat([real[rows], drawn[rows]])
            on_real, on_drawn = self._scores(pictures, labels[rows].repeat(2)).chunk(2)
            # In float32, and not compiled: it is differentiated twice.
            penalty = gradient_penalty(
                self.networks["critic"],
                real[rows],
                drawn[rows],
                labels[rows],
                batch["places"][rows],
            )
            loss = on_drawn.mean() - on_real.mean() + PENALTY * penalty
            critic.append(self._descend("critic", loss))
        scores = self._scores(self._drawn(last, labels[:each]), labels[:each])
        generator = self._descend("generator", -scores.mean())
        return torch.stack([torch.stack(critic).mean(), generator])
