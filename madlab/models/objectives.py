"""What a diffusion network learns, and how it is sampled: rectified flow, and the paper's DDPM."""

from collections.abc import Callable

import torch
from torch import Tensor

from madlab.training import Draws

NEAREST = 0.05
LEVELS = 500

# Maps noisy pictures `(n, 1, h, w)` and times `(n,)` to what the network is to predict.
Predict = Callable[[Tensor, Tensor], Tensor]


class RectifiedFlow:
    """Rectified flow (Liu et al. 2023, arXiv 2209.03003).

    Straight lines x_t = (1 - t) noise + t picture join noise and pictures. The network predicts the
    picture from x_t; the loss is the squared error of the velocity (picture - x_t) / (1 - t), and
    sampling follows that velocity from noise to picture by Heun's method.
    """

    # Steps of sampling: how many are meant, and how many at most.
    sampling_steps = 4
    most_steps = 1000

    def times(self, draws: Draws, n: int) -> Tensor:
        """Return times, float `(n,)` from 0 to 1, of training pictures: sigmoids of normal numbers.

        Most of the training is spent half-way.
        """
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
            return velocity(predict(x, torch.full((len(x),), now, device=x.device)), x, now)

        return heun(field, noise, steps)


def velocity(picture: Tensor, x: Tensor, time: Tensor | float) -> Tensor:
    """Return the velocity of the straight path that leads from `x` at `time` to `picture` at 1."""
    return (picture - x) / (1 - time)


def heun(field: Callable[[Tensor, float], Tensor], x: Tensor, steps: int) -> Tensor:
    """Follow dx/dt = `field`(x, t) from t = 0 to 1 by Heun's method in equal steps.

    The last step is Euler's, because a velocity towards a picture is not defined at t = 1; the
    error still falls with the square of the number of steps. It takes 2 `steps` - 1 evaluations.
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
    predicts the noise, the loss is the plain squared error, and sampling goes back level by level,
    adding noise at each (ancestral sampling), of the larger of the two variances of Ho et al.: with
    the smaller one, samples of Gaussian data lose a few percent of their spread, a sampling bias
    that nobody asked for. The variances of Ho et al. are given for 1,000 levels
    and doubled here, so that the last level is as noisy. With fewer sampling steps than levels it
    visits equally spaced ones, as in Nichol and Dhariwal 2021 (arXiv 2102.09672): quicker, and
    another sampler than the paper's.
    """

    sampling_steps = LEVELS
    most_steps = LEVELS

    def __init__(self) -> None:
        variances = torch.linspace(2e-4, 0.04, LEVELS, dtype=torch.float64)
        self.kept = torch.cumprod(1 - variances, 0)
        self._there: dict[torch.device, Tensor] = {}

    def times(self, draws: Draws, n: int) -> Tensor:
        """Return (level + 1) / T for uniform levels 0 to T - 1."""
        return ((draws.uniform(n) * LEVELS).floor() + 1) / LEVELS

    def loss(self, predict: Predict, data: Tensor, noise: Tensor, times: Tensor) -> Tensor:
        """Return the mean squared error of the predicted noise."""
        levels = (times * LEVELS).round().long() - 1
        kept = self._on(data)[levels][:, None, None, None]
        mixed = kept.sqrt() * data + (1 - kept).sqrt() * noise
        return (predict(mixed, times) - noise).square().mean()

    def pictures(self, predict: Predict, noise: Tensor, steps: int, draws: Draws) -> Tensor:
        """Go back through `steps` levels; predicted pictures are clipped to [-1, 1] on the way."""
        levels = torch.linspace(LEVELS / steps, LEVELS, steps).round().long() - 1
        kept = self.kept[levels].tolist()
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

    def _on(self, like: Tensor) -> Tensor:
        where = like.device
        if where not in self._there:
            # Rounded here, since not every device has float64.
            self._there[where] = self.kept.float().to(where)
        return self._there[where]


OBJECTIVES: dict[str, type[RectifiedFlow] | type[Ddpm]] = {"flow": RectifiedFlow, "ddpm": Ddpm}
