"""A class-conditional generative adversarial network of small pictures."""

from dataclasses import dataclass
from typing import Any, ClassVar

from madlab.models._nets.digits import Discriminator
from madlab.models.adversaries import LATENT, Adversarial, R3Gan
from madlab.models.neural import Shape
from madlab.training import Learner

BLOCKS = 1
PENALTY = 0.1
DECAY = 0.3
LAST_RATE = 0.05


@dataclass(eq=False)
class Gan(Adversarial):
    """A pair of small networks trained against each other, in about half a minute on a CPU.

    A generator draws digits from latent vectors and classes, a discriminator tells them from real
    ones; they are trained as `madlab.models.adversaries.R3Gan` says. The generator ends with the
    average of its weights over the training.

    Its sampling bias is truncation: latent vectors are scaled by `bias`.

    - `channels`: width of both networks at half size, a multiple of 4.
    - `steps`, `batch`: training steps, and digits in each.
    - `learning_rate`: of Adam, for both; it falls to a twentieth over the last 30% of the steps.

    Raises ValueError or TypeError for settings outside these.
    """

    name: ClassVar[str] = "gan"

    channels: int = 16
    steps: int = 2200
    batch: int = 32
    learning_rate: float = 1.5e-3

    def _schedule(self, step: int, steps: int) -> float:
        left = (steps - step) / (DECAY * steps)
        return min(1.0, LAST_RATE + (1 - LAST_RATE) * left)

    def _learner(self, network: Any, shape: Shape, classes: int, seed: int) -> Learner:
        return R3Gan(
            network,
            lambda: Discriminator(self.channels, classes, shape, BLOCKS),
            self.learning_rate,
            seed,
            latent=LATENT,
            penalty=PENALTY,
        )
