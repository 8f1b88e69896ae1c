"""A flow of colour pictures, with guidance by an early state of itself as its sampling bias."""

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from madlab import checks, training
from madlab.models._nets.unet import FaceUNet
from madlab.models.augment import flipped
from madlab.models.base import setting
from madlab.models.diffusion import RectifiedFlow, heun
from madlab.models.neural import Neural, Sampler, Shape, fast, scaled, where_is
from madlab.models.principal import channels_first, principal_components
from madlab.training import Draws, Learner, OneLoss, Precision

COMPONENTS = 256
GAMMA = 6.94
WIDER = 2.0
CHUNK = 1000
# Below this variance, about one byte, a direction counts as having this one.
LEAST = 1e-4


@dataclass(eq=False)
class FaceFlow(Neural):
    """Rectified flow of faces or other colour pictures, from scratch in about a minute on a CPU.

    Its velocity (see `madlab.models.diffusion.RectifiedFlow`) has two parts: that of the Gaussian
    with the pictures' mean, first 256 principal components and total variance, in closed form, and
    what a U-Net adds to it, zero at first. Sampling is done in coordinates in which the linear part
    stands still, so few steps do. Half of the training pictures are mirrored.

    Its sampling bias is autoguidance (Karras et al. 2024, arXiv 2406.02507): samples follow
    d + w (d - e), d the velocity and e that of a worse model of the same pictures, at
    w = 1 / bias - 1. The worse model is the average of the weights up to `early`, added to a
    Gaussian with twice the covariance: the early state makes pictures sharper, the wider Gaussian
    makes them less varied, as a sampling bias should. At bias 1 only d is evaluated.

    - `channels`, `steps`, `batch`, `learning_rate`: as for `madlab.models.diffusion.Diffusion`.
    - `sampling_steps`: of Heun's method.
    - `early`: the share of the training that the guide has seen, between 0 and 1.
    """

    name: ClassVar[str] = "face_flow"
    conditional: ClassVar[bool] = False
    colour: ClassVar[bool] = True

    channels: int = 16
    steps: int = 1200
    batch: int = 64
    learning_rate: float = 3e-3
    sampling_steps: int = setting(8, checks.count, least=1)
    early: float = setting(0.25, checks.between, low=0, high=1)

    def _make(self, shape: Shape, classes: int) -> nn.Module:
        main = FaceUNet(self.channels, shape)
        early = copy.deepcopy(main).requires_grad_(False)
        linear = GaussianFlow(3 * shape[0] * shape[1], COMPONENTS)
        return nn.ModuleDict({"main": main, "early": early, "linear": linear})

    def _start(self, network: Any, images: np.ndarray) -> None:
        mean, components = principal_components(images, COMPONENTS)
        # Mirror images have the same mean, and so the same total.
        parts = (images[start : start + CHUNK] for start in range(0, len(images), CHUNK))
        total = sum(((part - mean) ** 2).sum() for part in parts) / len(images)
        network.linear.become(*channels_first(mean, components), total / 127.5**2)

    def _learner(self, network: Any, shape: Shape, classes: int, seed: int) -> Learner:
        where, linear = where_is(network), network.linear
        run, flow = training.compiled(network.main), RectifiedFlow()
        last = max(1, round(self.early * self.steps))

        def draw(step: int, n: int) -> dict[str, Tensor]:
            draws = Draws(where, seed, "noise", step)
            # As of `Ema`, so that `early` is the average of the first steps and stays it.
            rate = 1 - (1 - 1 / (step + 1)) ** (GAMMA + 1)
            return {
                "times": flow.times(draws, n),
                "mirrored": draws.uniform(n),
                "noise": draws.normal(n, 3, *shape),
                "rate": torch.full((), rate if step < last else 0.0, device=where),
            }

        def loss(batch: Mapping[str, Tensor]) -> Tensor:
            def predict(x: Tensor, times: Tensor) -> Tensor:
                found = linear.velocity(x, times) + run(x, times).float()
                return x + (1 - times)[:, None, None, None] * found

            data = flipped(scaled(batch["images"]), batch["mirrored"])
            return flow.loss(predict, data, batch["noise"], batch["times"])

        rate, precision = self.learning_rate, Precision(where)
        return EarlyAverage(network, loss, draw, learning_rate=rate, precision=precision)

    def _sampler(self, network: Any, bias: float) -> Sampler:
        weight, linear = 1 / bias - 1, network.linear
        main, early = training.compiled(network.main), training.compiled(network.early)

        def whitened(given: Mapping[str, Tensor]) -> Tensor:
            u, times = given["u"], given["times"]
            x = linear.coloured(u, times)
            found = main(x, times).float()
            if weight:
                found = found + weight * (found - early(x, times).float())
                apart = linear.velocity(x, times) - linear.velocity(x, times, WIDER)
                found = found + weight * apart
            return linear.whitened(found, times)

        graph = fast(whitened, where_is(network))

        def field(u: Tensor, now: float) -> Tensor:
            # Kept from the next call, which overwrites what a graph returned.
            return graph({"u": u, "times": u.new_full((len(u),), now)}).clone()

        def pictures(noise: Tensor, labels: Tensor, draws: Draws) -> Tensor:
            u = heun(field, noise, self.sampling_steps)
            return linear.coloured(u, u.new_ones(len(u)))

        return pictures


class GaussianFlow(nn.Module):
    """The straight-line flow from standard noise to Gaussian pictures of `size` values.

    Where the pictures are N(m, S), x_t = (1 - t) noise + t picture is N(t m, S_t) with
    S_t = (1 - t)^2 I + t^2 S, and the flow keeps S_t^(-1/2) (x_t - t m) as it was. S has `count`
    principal components and one variance in all other directions. Pictures here are `(n, 3, h, w)`
    and times `(n,)`.
    """

    mean: Tensor
    axes: Tensor
    variances: Tensor
    rest: Tensor

    def __init__(self, size: int, count: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(size))
        self.register_buffer("axes", torch.zeros(size, count))
        self.register_buffer("variances", torch.ones(count))
        self.register_buffer("rest", torch.ones(()))

    def become(self, mean: Tensor, components: Tensor, total: float) -> None:
        """Take the pictures' mean and components from `channels_first`, and total variance."""
        count, size = components.shape
        variances = components.square().sum(1)
        rest = (total - float(variances.sum())) / max(size - count, 1)
        self.mean.copy_(mean)
        self.axes.copy_((components / variances.sqrt().clamp(min=1e-12)[:, None]).T)
        self.variances.copy_(variances.clamp(min=LEAST))
        self.rest.fill_(max(rest, LEAST))

    def velocity(self, x: Tensor, time: Tensor, wider: float = 1.0) -> Tensor:
        """Return the velocity at `x`, where the covariance is multiplied by `wider`."""
        t = time[:, None]

        def slope(variance: Tensor) -> Tensor:
            v = wider * variance
            return (t * v - (1 - t)) / ((1 - t).square() + t.square() * v)

        found = self._scaled(x.flatten(1) - t * self.mean, slope)
        return (self.mean + found).view_as(x)

    def coloured(self, u: Tensor, time: Tensor) -> Tensor:
        """Return t m + S_t^(1/2) u, where the flow is at `time` that started from noise `u`."""
        found = self._scaled(u.flatten(1), lambda variance: _root(variance, time))
        return (time[:, None] * self.mean + found).view_as(u)

    def whitened(self, change: Tensor, time: Tensor) -> Tensor:
        """Return S_t^(-1/2) times a change of x at `time`: the change of what noise it is from."""
        found = self._scaled(change.flatten(1), lambda variance: 1 / _root(variance, time))
        return found.view_as(change)

    def _scaled(self, x: Tensor, size: Callable[[Tensor], Tensor]) -> Tensor:
        """Scale `(n, size)` on the axes and off them by what `size` makes of a variance there."""
        along, other = size(self.variances), size(self.rest)
        # In full precision: on the first axes pictures vary a hundred times as much as on others.
        with torch.autocast(x.device.type, enabled=False):
            return other * x + ((along - other) * (x @ self.axes)) @ self.axes.T


def _root(variance: Tensor, time: Tensor) -> Tensor:
    """Return the root of what is S_t at each time where S is `variance`."""
    t = time[:, None]
    return ((1 - t).square() + t.square() * variance).sqrt()


class EarlyAverage(OneLoss):
    """A learner of the `main` of a pair, which it averages in `early` at drawn rates."""

    def __init__(self, pair: Any, *given: Any, **named: Any) -> None:
        super().__init__(pair.main, *given, **named)
        self.networks = nn.ModuleDict({"pair": pair})
        self._weights = [
            [weight.detach() for weight in network.parameters()]
            for network in (pair.main, pair.early)
        ]

    def update(self, batch: Mapping[str, Tensor], kind: str) -> Tensor:
        """Take one step of Adam on the loss and return it."""
        found = super().update(batch, kind)
        main, early = self._weights
        # The rate is a tensor: a captured graph would keep a number.
        change = list(torch._foreach_sub(main, early))
        torch._foreach_mul_(change, batch["rate"])
        torch._foreach_add_(early, change)
        return found
