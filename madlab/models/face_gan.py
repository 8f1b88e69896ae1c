"""A StyleGAN2-like generative adversarial network of small colour pictures, such as faces."""

from collections.abc import Mapping
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from madlab import training
from madlab.models._nets.faces import LATENT, UPSAMPLINGS, Discriminator, Generator
from madlab.models.adversarial import Adversarial
from madlab.models.augment import Augment
from madlab.models.base import check_between
from madlab.models.gan import Duel
from madlab.models.neural import Sampler
from madlab.models.principal import principal_components
from madlab.streams import generator
from madlab.training import Draws, Learner, Precision, Replay

WARM_UP = 50
DECAY = 0.3
CENTRE_OF = 4096


class FaceGan(Adversarial):
    """A small StyleGAN2 that starts at its pictures' principal components: faces in a minute.

    Its training step is the digits' `gan`'s: a relativistic loss, slopes held down every fourth
    step, averaged weights. Real pictures are mirrored at random, and `Augment` changes all that the
    discriminator sees. Karras et al. 2020 (arXiv 1912.04958) describe mapping network, modulated
    convolutions and minibatch deviation. The generator starts as the Gaussian of the pictures'
    principal components (the model `principal`) and learns to add to it.

    Its sampling bias is truncation: the mapped latent w becomes wavg + bias (w - wavg), where wavg
    is the mean w of 4,096 fixed z.

    - `channels`: width of both networks at half size, a multiple of 4.
    - `steps`, `batch`: training steps, and pictures in each, best a multiple of 16.
    - `learning_rate`: of Adam, for both; it warms up over 50 steps and falls to zero over the last
      30%; mapping network and linear picture learn at a tenth of it.
    - `augmentation`: the probability of each change to each picture, from 0 to under 1.
    - `penalty`: the weight of the squared slopes.

    What shapes the scars that a chain of these models grows:

    - `upsampling`: "shuffle" moves channels into pixels, "nearest" repeats them, "bilinear"
      interpolates.
    - `noise`: whether convolutions get noise for each pixel, as StyleGAN's do.
    - `linear`: False leaves out the principal components: a plain, slower StyleGAN2.

    Raises ValueError or TypeError for settings outside these.
    """

    name: ClassVar[str] = "face_gan"
    version: ClassVar[int] = 1
    conditional: ClassVar[bool] = False
    colour: ClassVar[bool] = True

    def __init__(
        self,
        channels: int = 16,
        steps: int = 1400,
        batch: int = 32,
        learning_rate: float = 2e-3,
        augmentation: float = 0.3,
        penalty: float = 0.3,
        upsampling: str = "shuffle",
        noise: bool = False,
        linear: bool = True,
    ) -> None:
        super().__init__(channels, steps, batch, learning_rate)
        self.augmentation = augmentation and check_between("augmentation", augmentation, 0, 1)
        self.penalty = check_between("penalty", penalty, 0, float("inf"))
        if upsampling not in UPSAMPLINGS:
            raise ValueError(
                f"upsampling is {upsampling!r}; it must be one of {', '.join(UPSAMPLINGS)}"
            )
        for name, value in (("noise", noise), ("linear", linear)):
            if not isinstance(value, bool):
                raise TypeError(f"{name} must be True or False, not {value!r}")
        self.upsampling, self.noise, self.linear = upsampling, noise, linear

    def _make(self, shape: tuple[int, int], classes: int) -> Generator:
        return Generator(self.channels, shape, self.upsampling, self.linear, self.noise)

    def _start(self, network: nn.Module, images: np.ndarray) -> None:
        assert isinstance(network, Generator)
        if network.linear is None:
            return
        mean, scaled = principal_components(images, LATENT)
        # Channels first, and from bytes to [-1, 1].
        weight = scaled.transpose(3, 1, 2, 0).reshape(-1, LATENT) / 127.5
        bias = mean.transpose(2, 0, 1).reshape(-1) / 127.5 - 1
        network.linear.start(torch.from_numpy(weight), torch.from_numpy(bias))

    def _schedule(self, step: int, steps: int) -> float:
        return training.rate(step, steps, warm_up=WARM_UP, decay=DECAY)

    def _learner(
        self, network: nn.Module, shape: tuple[int, int], classes: int, seed: int
    ) -> Learner:
        assert isinstance(network, Generator)

        def make() -> Discriminator:
            return Discriminator(self.channels, shape)

        return Duel(
            network,
            make,
            self.learning_rate,
            seed,
            latent=network.noise_length,
            penalty=self.penalty,
            augment=Augment(self.augmentation),
        )

    def _noise(self, rng: np.random.Generator, n: int, shape: tuple[int, int]) -> np.ndarray:
        assert isinstance(self._network, Generator)
        return rng.standard_normal((n, self._network.noise_length), dtype=np.float32)

    def _sampler(self, network: nn.Module, bias: float) -> Sampler:
        assert isinstance(network, Generator)
        where = next(network.parameters()).device
        fixed = generator(0, "truncation").standard_normal((CENTRE_OF, LATENT), dtype=np.float32)
        centre = network.mapping(torch.from_numpy(fixed).to(where)).mean(0)
        precision, run = Precision(where), training.compiled(network)

        def draw(given: Mapping[str, Tensor]) -> Tensor:
            with precision.autocast():
                found: Tensor = run(given["noise"], given["labels"], bias, centre)
            return found

        replay = Replay(draw, where)

        def pictures(noise: Tensor, labels: Tensor, draws: Draws) -> Tensor:
            return replay({"noise": noise, "labels": labels})

        return pictures
