"""A class-conditional Wasserstein network pair with gradient penalty, for small pictures."""

import math
from collections.abc import Callable, Mapping
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from madlab import training
from madlab.models._nets.digits import Discriminator, Generator
from madlab.models.base import check_between, check_count
from madlab.models.neural import Neural, Sampler
from madlab.streams import derive
from madlab.training import Draws, Learner, Precision, Replay

LATENT = 48
BETAS = (0.0, 0.9)
PENALTY = 10.0

Critic = Callable[[Tensor, Tensor], Tensor]
Loss = Callable[[slice], Tensor]


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
    penalty: Tensor = (slopes.flatten(1).norm(dim=1) - 1).square().mean()
    return penalty


class Wgan(Neural):
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
    version: ClassVar[int] = 1
    biased: ClassVar[bool] = False
    # What a latent vector means is another matter in every training.
    follows_noise: ClassVar[bool] = False

    def __init__(
        self,
        channels: int = 8,
        steps: int = 550,
        batch: int = 160,
        critic_updates: int = 5,
        learning_rate: float = 3e-3,
    ) -> None:
        super().__init__()
        self.channels = check_count("channels", channels, least=4)
        if self.channels % 4:
            raise ValueError(f"channels is {channels}; it must be a multiple of 4")
        self.steps = check_count("steps", steps, least=1)
        self.batch = check_count("batch", batch, least=1)
        self.critic_updates = check_count("critic_updates", critic_updates, least=1)
        if self.batch % self.critic_updates:
            raise ValueError(
                f"batch is {batch}; it must be a multiple of critic_updates, which is "
                f"{critic_updates}: they share it out equally"
            )
        self.learning_rate = check_between("learning_rate", learning_rate, 0, math.inf)

    def _make(self, shape: tuple[int, int], classes: int) -> Generator:
        return Generator(self.channels, classes, LATENT, shape)

    def _learner(
        self, network: nn.Module, shape: tuple[int, int], classes: int, seed: int
    ) -> Learner:
        critic = training.seeded(
            lambda: Discriminator(self.channels, classes, shape), derive(seed, "critic")
        )
        where = next(network.parameters()).device
        return _Transport(network, critic.to(where), self.critic_updates, self.learning_rate, seed)

    def _noise(self, rng: np.random.Generator, n: int, shape: tuple[int, int]) -> np.ndarray:
        return rng.standard_normal((n, LATENT), dtype=np.float32)

    def _sampler(self, network: nn.Module, bias: float) -> Sampler:
        where = next(network.parameters()).device
        precision = Precision(where)
        run = training.compiled(network)

        def draw(given: Mapping[str, Tensor]) -> Tensor:
            with precision.autocast():
                found: Tensor = run(given["noise"], given["labels"])
            return found

        replay = Replay(draw, where)

        def pictures(noise: Tensor, labels: Tensor, draws: Draws) -> Tensor:
            return replay({"noise": noise, "labels": labels})

        return pictures


class _Transport:
    """What a training step changes: the critic several times, then the generator once."""

    def __init__(
        self,
        generator: nn.Module,
        critic: nn.Module,
        critic_updates: int,
        learning_rate: float,
        seed: int,
    ) -> None:
        self.averaged = generator
        self.networks = nn.ModuleDict({"generator": generator, "critic": critic})
        self.optimizers = {
            name: training.adam(network.parameters(), learning_rate, BETAS)
            for name, network in self.networks.items()
        }
        self._where = next(generator.parameters()).device
        self._precision = Precision(self._where)
        self._draw = training.compiled(generator)
        self._judge = training.compiled(critic)
        self._critic_updates, self._seed = critic_updates, seed

    def kind(self, step: int) -> str:
        """All steps are of one kind."""
        return "plain"

    def draw(self, step: int, n: int) -> dict[str, Tensor]:
        """Return the latent vectors of a step, and where between real and drawn digits to look."""
        draws = Draws(self._where, self._seed, "noise", step)
        return {
            "noise": draws.normal(n, LATENT),
            "places": draws.uniform(n),
            "last": draws.normal(n // self._critic_updates, LATENT),
        }

    def update(self, batch: Mapping[str, Tensor], kind: str, pieces: int) -> Tensor:
        """Take one step and return the critic's mean loss over its updates, and the generator's."""
        real = (batch["images"] / 127.5 - 1)[:, None]
        labels, places, last = batch["labels"], batch["places"], batch["last"]
        # The generator is the same for all updates of the critic: one pass draws for them.
        with torch.no_grad():
            cut = training.parts(len(labels), pieces)
            drawn = torch.cat([self._drawn(batch["noise"][rows], labels[rows]) for rows in cut])
        each = len(last)

        def telling(first: int) -> Loss:
            def loss(part: slice) -> Tensor:
                rows = slice(first + part.start, first + part.stop)
                pictures = torch.cat([real[rows], drawn[rows]])
                on_real, on_drawn = self._scores(pictures, labels[rows].repeat(2)).chunk(2)
                # In float32, and not compiled: it is differentiated twice.
                penalty = gradient_penalty(
                    self.networks["critic"], real[rows], drawn[rows], labels[rows], places[rows]
                )
                return on_drawn.mean() - on_real.mean() + PENALTY * penalty

            return loss

        def pleasing(part: slice) -> Tensor:
            pictures = self._drawn(last[part], labels[part])
            return -self._scores(pictures, labels[part]).mean()

        critic = [
            self._descend("critic", telling(first), each, pieces)
            for first in range(0, len(labels), each)
        ]
        generator = self._descend("generator", pleasing, each, pieces)
        return torch.stack([torch.stack(critic).mean(), generator])

    def _descend(self, name: str, loss: Loss, n: int, pieces: int) -> Tensor:
        optimizer, precision = self.optimizers[name], self._precision
        return training.descend(optimizer, loss, n, pieces=pieces, precision=precision)

    # Each call casts the weights anew: between two of them they change.

    def _drawn(self, noise: Tensor, labels: Tensor) -> Tensor:
        with self._precision.autocast():
            found: Tensor = self._draw(noise, labels)
        return found

    def _scores(self, pictures: Tensor, labels: Tensor) -> Tensor:
        with self._precision.autocast():
            found: Tensor = self._judge(pictures, labels)
        return found.float()
