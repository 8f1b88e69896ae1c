"""A StyleGAN2-like generative adversarial network of small colour pictures, such as faces."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from madlab import checks, training
from madlab.models._nets.faces import LATENT, UPSAMPLINGS, Discriminator, Generator
from madlab.models.base import setting
from madlab.models.gan import Adversarial, R3Gan
from madlab.models.neural import Shape, where_is
from madlab.models.principal import channels_first, principal_components
from madlab.streams import generator
from madlab.training import Learner

WARM_UP = 50
DECAY = 0.3
CENTRE_OF = 4096


def _share(name: str, value: float) -> float:
    return value and checks.between(name, value, 0, 1)


@dataclass(eq=False)
class FaceGan(Adversarial):
    """A small StyleGAN2 that starts at its pictures' principal components: faces in a minute.

    Its training step is that of `gan`, on `augmented` pictures (`madlab.models.gan.R3Gan`). Karras
    et al. 2020 (arXiv 1912.04958) describe mapping network, modulated convolutions and minibatch
    deviation. The generator starts as the Gaussian of the pictures' principal components (the model
    `principal`).

    Its sampling bias is truncation: the mapped latent w becomes wavg + bias (w - wavg), where wavg
    is the mean w of 4,096 fixed z.

    - `channels`: width of both networks at half size, a multiple of 4.
    - `steps`, `batch`: training steps, and pictures in each, best a multiple of 16.
    - `learning_rate`: of Adam, for both; it warms up over 50 steps and falls to zero over the last
      30%; mapping network and linear picture learn at a tenth of it.
    - `augmentation`: the probability of each change to each picture, from 0 to under 1.
    - `penalty`: the weight of the squared slopes.

    These shape the scars that a chain grows: `upsampling`, which moves channels into pixels
    ("shuffle"), repeats them ("nearest") or interpolates ("bilinear"); `noise`, whether
    convolutions get noise for each pixel, as StyleGAN's do; and `linear`, without which there are
    no principal components: a plain, slower StyleGAN2.
    """

    name: ClassVar[str] = "face_gan"
    conditional: ClassVar[bool] = False
    colour: ClassVar[bool] = True

    channels: int = 16
    steps: int = 1400
    batch: int = 32
    learning_rate: float = 2e-3
    augmentation: float = setting(0.3, _share)
    penalty: float = setting(0.3, checks.positive)
    upsampling: str = setting("shuffle", checks.choice, allowed=UPSAMPLINGS)
    noise: bool = setting(False, checks.flag)
    linear: bool = setting(True, checks.flag)

    def _make(self, shape: Shape, classes: int) -> Generator:
        return Generator(self.channels, shape, self.upsampling, self.linear, self.noise)

    def _start(self, network: Any, images: np.ndarray) -> None:
        if network.linear is None:
            return
        mean, components = channels_first(*principal_components(images, LATENT))
        network.linear.start(components.T, mean)

    def _schedule(self, step: int, steps: int) -> float:
        return training.rate(step, steps, warm_up=WARM_UP, decay=DECAY)

    def _learner(self, network: Any, shape: Shape, classes: int, seed: int) -> Learner:
        return R3Gan(
            network,
            lambda: Discriminator(self.channels, shape),
            self.learning_rate,
            seed,
            latent=network.noise_length,
            penalty=self.penalty,
            augmentation=self.augmentation,
        )

    def _noise(self, rng: np.random.Generator, n: int, shape: Shape) -> np.ndarray:
        assert isinstance(self._network, Generator)
        return rng.standard_normal((n, self._network.noise_length), dtype=np.float32)

    def _truncated(self, network: Any, bias: float) -> Callable[[Tensor, Tensor], Tensor]:
        fixed = generator(0, "truncation").standard_normal((CENTRE_OF, LATENT), dtype=np.float32)
        centre = network.mapping(torch.from_numpy(fixed).to(where_is(network))).mean(0)
        run = training.compiled(network)
        return lambda noise, labels: run(noise, labels, bias, centre)
