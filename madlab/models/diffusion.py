"""Class-conditional diffusion of small pictures by either of two recipes, guided as its bias."""

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from madlab import checks, training
from madlab.models._nets.unet import UNet
from madlab.models.base import setting
from madlab.models.neural import Neural, Sampler, Shape, fast, scaled, where_is
from madlab.training import Draws, Learner, OneLoss, Precision

NEAREST = 0.05
LEVELS = 500
# The share of the picture that is left at each level.
_KEPT = torch.cumprod(1 - torch.linspace(2e-4, 0.04, LEVELS, dtype=torch.float64), 0)

# Maps noisy pictures `(n, 1, h, w)` and times `(n,)` to what the network is to predict.
Predict = Callable[[Tensor, Tensor], Tensor]


@dataclass(eq=False)
class Diffusion(Neural):
    """A diffusion model of labelled digits, trained from scratch in about a minute on a CPU.

    One small U-Net, told the time and the class, serves either `recipe`: "flow" (`RectifiedFlow`)
    or "ddpm", the paper's model (`Ddpm`).

    Its sampling bias is classifier-free guidance (Ho and Salimans 2022, arXiv 2207.12598). A share
    of the training labels is dropped, and samples follow c + w (c - u), c what the network predicts
    with the label and u without, at w = 1 / bias - 1. At bias 1 only c is evaluated.

    - `channels`: width of the network at half size, a multiple of 4; 64 suits a GPU.
    - `steps`, `batch`: training steps, and pictures in each.
    - `learning_rate`: of AdamW; it warms up over 50 steps and falls to zero over the second half.
    - `sampling_steps`: for "flow", steps of `heun`, by default 4; for "ddpm", the levels visited,
      by default all 500.
    - `label_dropout`: the share of training labels dropped, between 0 and 1.
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
        meant = checks.count("sampling_steps", meant, least=1, most=most)
        self.sampling_steps = self._sampling_steps = meant

    def _make(self, shape: Shape, classes: int) -> UNet:
        return UNet(self.channels, classes)

    def _learner(self, network: Any, shape: Shape, classes: int, seed: int) -> Learner:
        where, run = where_is(network), training.compiled(network)

        def draw(step: int, n: int) -> dict[str, Tensor]:
            draws = Draws(where, seed, "noise", step)
            return {
                "times": self._objective.times(draws, n),
                "dropped": draws.uniform(n) < self.label_dropout,
                "noise": draws.normal(n, 1, *shape),
            }

        def loss(batch: Mapping[str, Tensor]) -> Tensor:
            labels = batch["labels"].masked_fill(batch["dropped"], classes)

            def predict(x: Tensor, times: Tensor) -> Tensor:
                return run(x, times, labels).float()

            data = scaled(batch["images"])
            return self._objective.loss(predict, data, batch["noise"], batch["times"])

        rate, precision = self.learning_rate, Precision(where)
        return OneLoss(network, loss, draw, learning_rate=rate, precision=precision)

    def _sampler(self, network: Any, bias: float) -> Sampler:
        weight, run = 1 / bias - 1, training.compiled(network)
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


class RectifiedFlow:
    """Rectified flow (Liu et al. 2023, arXiv 2209.03003).

    Straight lines x_t = (1 - t) noise + t picture join noise and pictures. The network predicts the
    picture from x_t; the loss is the squared error of the velocity (picture - x_t) / (1 - t), which
    samples follow from noise to picture.
    """

    # Steps of sampling: how many are meant, and how many at most.
    sampling_steps = 4
    most_steps = 1000

    def times(self, draws: Draws, n: int) -> Tensor:
        """Return times, float `(n,)` from 0 to 1, of training pictures: mostly half-way."""
        return draws.normal(n).sigmoid()

    def loss(self, predict: Predict, data: Tensor, noise: Tensor, times: Tensor) -> Tensor:
        """Return the mean squared error of the velocity on pictures `(n, c, h, w)` in [-1, 1]."""
        at = times[:, None, None, None]
        mixed = (1 - at) * noise + at * data
        weight = (1 - at).clamp(min=NEAREST) ** -2
        return (weight * (predict(mixed, times) - data).square()).mean()

    def pictures(self, predict: Predict, noise: Tensor, steps: int, draws: Draws) -> Tensor:
        """Return what `noise` becomes along the velocity in `steps` steps of Heun's method."""

        def field(x: Tensor, now: float) -> Tensor:
            picture = predict(x, torch.full((len(x),), now, device=x.device))
            return (picture - x) / (1 - now)

        return heun(field, noise, steps)


def heun(field: Callable[[Tensor, float], Tensor], x: Tensor, steps: int) -> Tensor:
    """Follow dx/dt = `field`(x, t) from t = 0 to 1 by Heun's method in 2 `steps` - 1 evaluations.

    The last step is Euler's, because a velocity towards a picture is not defined at t = 1; the
    error still falls with the square of the number of steps.
    """
    for step in range(steps):
        now, then = step / steps, (step + 1) / steps
        slope = field(x, now)
        ahead = x + (then - now) * slope
        if step < steps - 1:
            ahead = x + (then - now) / 2 * (slope + field(ahead, then))
        x = ahead
    return x


class Ddpm:
    """Denoising diffusion (Ho et al. 2020, arXiv 2006.11239) with the paper's T = 500 levels.

    At level t a picture is mixed with noise, sqrt(a_t) picture + sqrt(1 - a_t) noise; the network
    predicts the noise, and sampling goes back level by level, adding noise at each (ancestral
    sampling), of the larger of the two variances of Ho et al.: with the smaller one, samples of
    Gaussian data lose a few percent of their spread, a sampling bias that nobody asked for. Their
    variances, for 1,000 levels, are doubled here, so that the last level is as noisy. Fewer
    sampling steps than levels visit equally spaced ones, as in Nichol and Dhariwal 2021 (arXiv
    2102.09672): quicker, and another sampler than the paper's.
    """

    sampling_steps = LEVELS
    most_steps = LEVELS

    def times(self, draws: Draws, n: int) -> Tensor:
        """Return (level + 1) / T for uniform levels 0 to T - 1."""
        return ((draws.uniform(n) * LEVELS).floor() + 1) / LEVELS

    def loss(self, predict: Predict, data: Tensor, noise: Tensor, times: Tensor) -> Tensor:
        """Return the mean squared error of the predicted noise."""
        levels = (times * LEVELS).round().long() - 1
        kept = _kept_on(data.device)[levels][:, None, None, None]
        mixed = kept.sqrt() * data + (1 - kept).sqrt() * noise
        return (predict(mixed, times) - noise).square().mean()

    def pictures(self, predict: Predict, noise: Tensor, steps: int, draws: Draws) -> Tensor:
        """Go back through `steps` levels; predicted pictures are clipped to [-1, 1] on the way."""
        levels = torch.linspace(LEVELS / steps, LEVELS, steps).round().long() - 1
        kept = _KEPT[levels].tolist()
        x = noise
        for i in reversed(range(steps)):
            now, before = kept[i], kept[i - 1] if i else 1.0
            time = torch.full((len(x),), (int(levels[i]) + 1) / LEVELS, device=x.device)
            noise_found = predict(x, time)
            picture = ((x - (1 - now) ** 0.5 * noise_found) / now**0.5).clamp(-1, 1)
            step = now / before
            mean = before**0.5 * (1 - step) / (1 - now) * picture
            mean = mean + step**0.5 * (1 - before) / (1 - now) * x
            deviation = (1 - step) ** 0.5
            x = mean + deviation * draws.normal(*x.shape) if i else picture
        return x


@functools.cache
def _kept_on(where: torch.device) -> Tensor:
    # Rounded here, since not every device has float64.
    return _KEPT.float().to(where)


OBJECTIVES: dict[str, type[RectifiedFlow] | type[Ddpm]] = {"flow": RectifiedFlow, "ddpm": Ddpm}
