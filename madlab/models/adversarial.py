"""What the models share whose generator is trained against a network that scores its pictures."""

import math
from collections.abc import Callable, Mapping
from typing import ClassVar

import numpy as np
from torch import Tensor, nn

from madlab import training
from madlab.models._nets.digits import Generator
from madlab.models.base import check_between, check_count
from madlab.models.neural import Neural, Sampler
from madlab.streams import derive
from madlab.training import Draws, Precision, Replay

LATENT = 48

Loss = Callable[[slice], Tensor]


class Adversarial(Neural):
    """A model whose samples are one pass of a generator, from latent vectors and classes.

    A kind of model says how the generator is trained, by a `Rivals`. Its sampling bias, where it
    has one, is truncation: latent vectors are scaled by it.
    """

    # What a latent vector means is another matter in every training.
    follows_noise: ClassVar[bool] = False

    def __init__(self, channels: int, steps: int, batch: int, learning_rate: float) -> None:
        super().__init__()
        self.channels = check_count("channels", channels, least=4)
        if self.channels % 4:
            raise ValueError(f"channels is {channels}; it must be a multiple of 4")
        self.steps = check_count("steps", steps, least=1)
        self.batch = check_count("batch", batch, least=1)
        self.learning_rate = check_between("learning_rate", learning_rate, 0, math.inf)

    def _make(self, shape: tuple[int, int], classes: int) -> nn.Module:
        return Generator(self.channels, classes, LATENT, shape)

    def _noise(self, rng: np.random.Generator, n: int, shape: tuple[int, int]) -> np.ndarray:
        return rng.standard_normal((n, LATENT), dtype=np.float32)

    def _sampler(self, network: nn.Module, bias: float) -> Sampler:
        where = next(network.parameters()).device
        precision = Precision(where)
        run = training.compiled(network)

        def draw(given: Mapping[str, Tensor]) -> Tensor:
            with precision.autocast():
                found: Tensor = run(given["noise"] * bias, given["labels"])
            return found

        replay = Replay(draw, where)

        def pictures(noise: Tensor, labels: Tensor, draws: Draws) -> Tensor:
            return replay({"noise": noise, "labels": labels})

        return pictures


class Rivals:
    """The learner of a generator and its judge, the network that scores real and drawn pictures.

    A kind of pair names its judge and Adam's decay rates, and adds `draw` and `update`.

    - `generator`: on its device.
    - `make`: returns the judge, with initial weights from torch's global stream.
    - `learning_rate`: of Adam, for both.
    - `seed`: sets the judge's initial weights and the random numbers of the steps.
    """

    judge: ClassVar[str]
    betas: ClassVar[tuple[float, float]]

    def __init__(
        self,
        generator: nn.Module,
        make: Callable[[], nn.Module],
        learning_rate: float,
        seed: int,
    ) -> None:
        self._where = next(generator.parameters()).device
        judge = training.seeded(make, derive(seed, self.judge)).to(self._where)
        self.averaged = generator
        self.networks = nn.ModuleDict({"generator": generator, self.judge: judge})
        self.optimizers = {
            name: training.adam(network.parameters(), learning_rate, self.betas)
            for name, network in self.networks.items()
        }
        self._precision = Precision(self._where)
        self._draw = training.compiled(generator)
        self._judge = training.compiled(judge)
        self._seed = seed

    def kind(self, step: int) -> str:
        """All steps are of one kind."""
        return "plain"

    def _draws(self, step: int) -> Draws:
        return Draws(self._where, self._seed, "noise", step)

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
