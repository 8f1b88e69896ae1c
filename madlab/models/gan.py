"""A class-conditional generative adversarial network of small pictures."""

from collections.abc import Callable, Mapping
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from madlab.models._nets.digits import Discriminator
from madlab.models.adversarial import LATENT, Adversarial, Rivals
from madlab.models.augment import Augment, flipped
from madlab.models.neural import scaled
from madlab.training import Learner

BLOCKS = 1
BETAS = (0.0, 0.99)
PENALTY = 0.1
PENALTY_EVERY = 4
DECAY = 0.3
LAST_RATE = 0.05


def relative_loss(winners: Tensor, losers: Tensor) -> Tensor:
    """Return the mean softplus of how far the scores `losers` lie above their `winners`."""
    return softplus(losers - winners).mean()


def gradient_penalty(scores: Tensor, pictures: Tensor) -> Tensor:
    """Return the mean squared length of the gradient of each score by its own picture.

    - `scores`: `(n,)`; `pictures`: `(n, channels, h, w)`, of which score i depends on picture i,
      but for a minibatch deviation on that alone.
    """
    (slopes,) = torch.autograd.grad(scores.sum(), pictures, create_graph=True)
    return slopes.square().flatten(1).sum(1).mean()


class Gan(Adversarial):
    """A pair of small networks trained against each other, in about half a minute on a CPU.

    A generator draws digits from latent vectors and classes, a discriminator tells them from real
    ones. The loss is relativistic (Jolicoeur-Martineau 2019, arXiv 1807.00734): each real digit is
    to score above a drawn one of its own class. The discriminator's slope is held down on real and
    on drawn digits, which makes the training converge (Huang et al. 2024, "R3GAN", arXiv
    2501.05441); as in Karras et al. 2020 (arXiv 1912.04958) only every fourth step does so, four
    times as strongly. The generator ends with the average of its weights over the training.

    Its sampling bias is truncation: latent vectors are scaled by `bias`.

    - `channels`: width of both networks at half size, a multiple of 4.
    - `steps`, `batch`: training steps, and digits in each.
    - `learning_rate`: of Adam, for both; it falls to a twentieth over the last 30% of the steps.

    Raises ValueError or TypeError for settings outside these.
    """

    name: ClassVar[str] = "gan"
    version: ClassVar[int] = 1

    def __init__(
        self,
        channels: int = 16,
        steps: int = 2200,
        batch: int = 32,
        learning_rate: float = 1.5e-3,
    ) -> None:
        super().__init__(channels, steps, batch, learning_rate)

    def _schedule(self, step: int, steps: int) -> float:
        left = (steps - step) / (DECAY * steps)
        return min(1.0, LAST_RATE + (1 - LAST_RATE) * left)

    def _learner(
        self, network: nn.Module, shape: tuple[int, int], classes: int, seed: int
    ) -> Learner:
        def make() -> Discriminator:
            return Discriminator(self.channels, classes, shape, BLOCKS)

        return Duel(network, make, self.learning_rate, seed, latent=LATENT, penalty=PENALTY)


class Duel(Rivals):
    """What a training step changes: first the discriminator, then the generator against it.

    - `generator`, `make`, `learning_rate`, `seed`: see `Rivals`.
    - `latent`: how many random numbers the generator takes for a picture.
    - `penalty`: the weight of the squared slopes, half of it for each kind of picture.
    - `augment`: where given, changes all pictures that the discriminator sees, and real ones are
      mirrored at random.
    """

    judge: ClassVar[str] = "discriminator"
    betas: ClassVar[tuple[float, float]] = BETAS

    def __init__(
        self,
        generator: nn.Module,
        make: Callable[[], nn.Module],
        learning_rate: float,
        seed: int,
        *,
        latent: int,
        penalty: float,
        augment: Augment | None = None,
    ) -> None:
        super().__init__(generator, make, learning_rate, seed)
        self._latent, self._penalty, self._augment = latent, penalty, augment

    def kind(self, step: int) -> str:
        """The slopes are held down in every fourth step."""
        return "plain" if step % PENALTY_EVERY else "penalty"

    def draw(self, step: int, n: int) -> dict[str, Tensor]:
        """Return the latent vectors of a step, and the numbers that its augmentations take."""
        draws = self._draws(step)
        drawn = {"noise": draws.normal(n, self._latent)}
        if self._augment is not None:
            drawn["flips"] = draws.uniform(n)
            drawn["on_real"] = self._augment.draw(draws, n)
            drawn["on_drawn"] = self._augment.draw(draws, n)
        return drawn

    def update(self, batch: Mapping[str, Tensor], kind: str, pieces: int) -> Tensor:
        """Take one step of both and return their losses, the discriminator's first."""
        noise, labels = batch["noise"], batch["labels"]
        real = scaled(batch["images"])
        if self._augment is not None:
            real = self._augment(flipped(real, batch["flips"]), batch["on_real"])

        def made(rows: slice) -> Tensor:
            pictures = self._drawn(noise[rows], labels[rows])
            if self._augment is None:
                return pictures
            return self._augment(pictures, batch["on_drawn"][rows])

        # One pass through the generator serves both losses, unless it is too large to be kept.
        kept = made(slice(None)) if pieces == 1 else None

        def drawn(rows: slice) -> Tensor:
            return made(rows) if kept is None else kept

        def telling(rows: slice) -> Tensor:
            pictures = torch.cat([real[rows], drawn(rows).detach()])
            classes = labels[rows].repeat(2)
            if kind == "plain":
                return relative_loss(*self._scores(pictures, classes).chunk(2))
            # In float32, and not compiled: it is differentiated twice.
            pictures.requires_grad_()
            scores = self.networks["discriminator"](pictures, classes)
            # The mean over real and drawn pictures together is half the sum of the two penalties.
            slopes = gradient_penalty(scores, pictures)
            return relative_loss(*scores.chunk(2)) + PENALTY_EVERY * self._penalty * slopes

        def fooling(rows: slice) -> Tensor:
            with torch.no_grad():
                goal = self._scores(real[rows], labels[rows])
            return relative_loss(self._scores(drawn(rows), labels[rows]), goal)

        losses = [
            self._descend(name, loss, len(labels), pieces)
            for name, loss in (("discriminator", telling), ("generator", fooling))
        ]
        return torch.stack(losses)
