"""A generative adversarial network of digits, and what other models made so take from it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import leaky_relu, pixel_shuffle, pixel_unshuffle, silu, softplus

from madlab import training
from madlab.models.augment import NUMBERS, augmented, flipped
from madlab.models.neural import Neural, Sampler, Shape, fast, scaled, where_is
from madlab.streams import derive
from madlab.training import Draws, Learner, Precision

LATENT = 48
PENALTY = 0.1
PENALTY_EVERY = 4
GROUPS = 8
UNITS = 128
BLOCKS = 1
DECAY = 0.3
LAST_RATE = 0.05


class Adversarial(Neural):
    """A model whose samples are one pass of a generator, from latent vectors and classes.

    A kind of model says how the generator is trained, by `Adversaries`.
    """

    # What a latent vector means is another matter in every training.
    follows_noise: ClassVar[bool] = False

    def _make(self, shape: Shape, classes: int) -> nn.Module:
        return Generator(self.channels, classes, LATENT, shape)

    def _noise(self, rng: np.random.Generator, n: int, shape: Shape) -> np.ndarray:
        return rng.standard_normal((n, LATENT), dtype=np.float32)

    def _sampler(self, network: Any, bias: float) -> Sampler:
        run = self._truncated(network, bias)
        graph = fast(lambda given: run(given["noise"], given["labels"]), where_is(network))
        return lambda noise, labels, draws: graph({"noise": noise, "labels": labels})

    def _truncated(self, network: Any, bias: float) -> Callable[[Tensor, Tensor], Tensor]:
        """Return what makes pictures of latent vectors and labels under a sampling bias."""
        run = training.compiled(network)
        return lambda noise, labels: run(noise * bias, labels)


@dataclass(eq=False)
class Gan(Adversarial):
    """A pair of small networks trained against each other, in about half a minute on a CPU.

    A generator draws digits from latent vectors and classes, a discriminator tells them from real
    ones, see `R3Gan`. The generator ends with the average of its weights over the training. The
    sampling bias is truncation: latent vectors are scaled by `bias`.

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


@dataclass(eq=False)
class Adversaries(Learner):
    """The learner of a generator and its opponent, which scores real and drawn pictures.

    A kind of pair names its opponent, has Adam's decay rates and says what a step draws and does.

    - `generator`: on its device.
    - `make`: returns the opponent, with initial weights from torch's global stream.
    - `learning_rate`: of Adam, for both; `seed`: sets all that is random.
    """

    opponent: ClassVar[str]
    betas: ClassVar[tuple[float, float]]

    generator: nn.Module
    make: Callable[[], nn.Module]
    learning_rate: float
    seed: int

    def __post_init__(self) -> None:
        self._where = where_is(self.generator)
        opponent = training.seeded(self.make, derive(self.seed, self.opponent)).to(self._where)
        self.averaged = self.generator
        self.networks = nn.ModuleDict({"generator": self.generator, self.opponent: opponent})
        self.optimizers = {
            name: training.adam(network.parameters(), self.learning_rate, self.betas)
            for name, network in self.networks.items()
        }
        self._precision = Precision(self._where)
        self._generate = training.compiled(self.generator)
        self._score = training.compiled(opponent)

    def _draws(self, step: int) -> Draws:
        return Draws(self._where, self.seed, "noise", step)

    def _descend(self, name: str, loss: Tensor) -> Tensor:
        return training.descend(self.optimizers[name], loss, precision=self._precision)

    # Each call casts the weights anew: between two of them they change.

    def _drawn(self, noise: Tensor, labels: Tensor) -> Tensor:
        with self._precision.autocast():
            return self._generate(noise, labels)

    def _scores(self, pictures: Tensor, labels: Tensor) -> Tensor:
        with self._precision.autocast():
            return self._score(pictures, labels).float()


def relative_loss(winners: Tensor, losers: Tensor) -> Tensor:
    """Return the mean softplus of how far the scores `losers` lie above their `winners`."""
    return softplus(losers - winners).mean()


def squared_slopes(scores: Tensor, pictures: Tensor) -> Tensor:
    """Return the mean squared length of the gradient of each score by its own picture.

    - `scores`: `(n,)`; `pictures`: `(n, channels, h, w)`, of which score i depends on picture i,
      but for a minibatch deviation on that alone.
    """
    (slopes,) = torch.autograd.grad(scores.sum(), pictures, create_graph=True)
    return slopes.square().flatten(1).sum(1).mean()


@dataclass(eq=False)
class R3Gan(Adversaries):
    """A relativistic loss, and a discriminator whose slope is held down on all pictures.

    Each real picture is to score above a drawn one of its own class (Jolicoeur-Martineau 2019,
    arXiv 1807.00734); held-down slopes make the training converge (Huang et al. 2024, "R3GAN",
    arXiv 2501.05441); as in Karras et al. 2020 (arXiv 1912.04958) only every fourth step does so,
    four times as strongly. A step changes first the discriminator, then the generator against it.

    - `generator`, `make`, `learning_rate`, `seed`: see `Adversaries`.
    - `latent`: how many random numbers the generator takes for a picture.
    - `penalty`: the weight of the squared slopes, half of it for each kind of picture.
    - `augmentation`: where given, real pictures are mirrored at random, and all that the
      discriminator sees are `augmented` with this probability.
    """

    opponent: ClassVar[str] = "discriminator"
    betas: ClassVar[tuple[float, float]] = (0.0, 0.99)

    latent: int
    penalty: float
    augmentation: float | None = None

    def kind(self, step: int) -> str:
        """The slopes are held down in every fourth step."""
        return "plain" if step % PENALTY_EVERY else "penalty"

    def draw(self, step: int, n: int) -> dict[str, Tensor]:
        """Return the latent vectors of a step, and the numbers that its augmentations take."""
        draws = self._draws(step)
        drawn = {"noise": draws.normal(n, self.latent)}
        if self.augmentation is not None:
            drawn["flips"] = draws.uniform(n)
            drawn["on_real"] = draws.uniform(n, NUMBERS)
            drawn["on_drawn"] = draws.uniform(n, NUMBERS)
        return drawn

    def update(self, batch: Mapping[str, Tensor], kind: str) -> Tensor:
        """Take one step of both and return their losses, the discriminator's first."""
        labels, real = batch["labels"], scaled(batch["images"])
        # One pass through the generator serves both losses.
        drawn = self._drawn(batch["noise"], labels)
        if self.augmentation is not None:
            real = flipped(real, batch["flips"])
            real = augmented(real, batch["on_real"], self.augmentation)
            drawn = augmented(drawn, batch["on_drawn"], self.augmentation)
        pictures, classes = torch.cat([real, drawn.detach()]), labels.repeat(2)
        if kind == "plain":
            loss = relative_loss(*self._scores(pictures, classes).chunk(2))
        else:
            # In float32, and not compiled: it is differentiated twice.
            pictures.requires_grad_()
            scores = self.networks[self.opponent](pictures, classes)
            # The mean over real and drawn pictures together is half the sum of the two penalties.
            slopes = squared_slopes(scores, pictures)
            loss = relative_loss(*scores.chunk(2)) + PENALTY_EVERY * self.penalty * slopes
        discriminator = self._descend(self.opponent, loss)
        with torch.no_grad():
            goal = self._scores(real, labels)
        loss = relative_loss(self._scores(drawn, labels), goal)
        return torch.stack([discriminator, self._descend("generator", loss)])


class Generator(nn.Module):
    """Latent vectors and classes in, pictures in (-1, 1) out.

    It starts at a quarter of the size with 2 `channels` and doubles the size twice by moving
    channels into pixels.

    - `channels`: width at half size, a multiple of 4; `classes`: how many.
    - `latent`: length of a latent vector, and of a class's vector beside it.
    - `shape`: height and width of a picture, multiples of 4.
    """

    def __init__(self, channels: int, classes: int, latent: int, shape: Shape) -> None:
        super().__init__()
        self.coarse = (shape[0] // 4, shape[1] // 4)
        places = self.coarse[0] * self.coarse[1]
        self.label = nn.Embedding(classes, latent)
        self.enter = nn.Linear(2 * latent, places * 2 * channels)
        self.norm = nn.GroupNorm(GROUPS, 2 * channels)
        self.up = nn.Conv2d(2 * channels, 4 * channels, 3, padding=1)
        self.fine = nn.Conv2d(channels, channels, 3, padding=1)
        self.leave = nn.Conv2d(channels, 4, 3, padding=1)

    def forward(self, z: Tensor, label: Tensor) -> Tensor:
        """Return `(n, 1, height, width)` for `z` `(n, latent)` and `label` int64 `(n,)`."""
        x = self.enter(torch.cat([z, self.label(label)], dim=1))
        # Channels last, as the convolutions have it.
        x = x.unflatten(1, (*self.coarse, -1)).permute(0, 3, 1, 2)
        x = pixel_shuffle(self.up(silu(self.norm(x))), 2)
        x = x + self.fine(silu(x))
        return pixel_shuffle(self.leave(silu(x)), 2).float().tanh()


class Discriminator(nn.Module):
    """Pictures and classes in, one score each out; no normalisation, so each image is alone.

    The class enters by a projection (Miyato and Koyama 2018, arXiv 1802.05637): a score is linear
    in the last units, with weights for each class.

    - `channels`, `classes`, `shape`: see `Generator`.
    - `blocks`: how many residual convolutions there are at a quarter of the size.
    """

    def __init__(self, channels: int, classes: int, shape: Shape, blocks: int = 0) -> None:
        super().__init__()
        places = shape[0] // 4 * (shape[1] // 4)
        self.fine = nn.Conv2d(4, channels, 3, padding=1)
        self.coarse = nn.Conv2d(4 * channels, 2 * channels, 3, padding=1)
        width = 2 * channels
        self.blocks = nn.ModuleList(nn.Conv2d(width, width, 3, padding=1) for _ in range(blocks))
        self.units = nn.Linear(places * 2 * channels, UNITS)
        # Losses look at differences of scores, so a bias would go nowhere.
        self.score = nn.Linear(UNITS, 1, bias=False)
        self.label = nn.Embedding(classes, UNITS)

    def forward(self, x: Tensor, label: Tensor) -> Tensor:
        """Return scores `(n,)` of pictures `(n, 1, height, width)` of classes int64 `(n,)`."""
        x = pixel_unshuffle(x, 2).contiguous(memory_format=torch.channels_last)
        x = leaky_relu(self.fine(x), 0.2)
        x = leaky_relu(self.coarse(pixel_unshuffle(x, 2)), 0.2)
        for block in self.blocks:
            x = x + leaky_relu(block(x), 0.2)
        x = leaky_relu(self.units(x.permute(0, 2, 3, 1).flatten(1)), 0.2)
        return self.score(x)[:, 0] + (x * self.label(label)).sum(1) / UNITS**0.5
