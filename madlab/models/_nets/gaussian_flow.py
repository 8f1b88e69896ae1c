"""The flow from noise to a Gaussian, in closed form."""

import torch
from torch import Tensor, nn

# Below this variance, about one byte, a direction counts as having this one.
LEAST = 1e-4


class GaussianFlow(nn.Module):
    """The straight-line flow from standard noise to pictures that are Gaussian.

    Where the pictures are N(m, S), x_t = (1 - t) noise + t picture is N(t m, S_t) with
    S_t = (1 - t)^2 I + t^2 S, and the flow keeps S_t^(-1/2) (x_t - t m) as it was: it takes noise
    z to m + S^(1/2) z. S has `count` principal components and one variance in all other
    directions.

    - `size`: how many values a picture has.
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
        """Take the pictures' mean and covariance.

        - `mean`: `(size,)`; `components`: principal components `(count, size)`, each as long as
          the standard deviation along it; `total`: the sum of all values' variances.
        """
        count, size = components.shape
        variances = components.square().sum(1)
        rest = (total - float(variances.sum())) / max(size - count, 1)
        self.mean.copy_(mean)
        self.axes.copy_((components / variances.sqrt().clamp(min=1e-12)[:, None]).T)
        self.variances.copy_(variances.clamp(min=LEAST))
        self.rest.fill_(max(rest, LEAST))

    def velocity(self, x: Tensor, time: Tensor, wider: float = 1.0) -> Tensor:
        """Return the velocity at `x` `(n, 3, h, w)` at times `(n,)`.

        - `wider`: the covariance is multiplied by it.
        """
        t = time[:, None]

        def slope(variance: Tensor) -> Tensor:
            v = wider * variance
            return (t * v - (1 - t)) / ((1 - t).square() + t.square() * v)

        away = x.flatten(1) - t * self.mean
        found = self._scaled(away, slope(self.variances), slope(self.rest))
        return (self.mean + found).view_as(x)

    def coloured(self, u: Tensor, time: Tensor) -> Tensor:
        """Return t m + S_t^(1/2) u, where the flow is at `time` that started from noise `u`."""
        along, other = self._sizes(time)
        found = self._scaled(u.flatten(1), along, other)
        return (time[:, None] * self.mean + found).view_as(u)

    def whitened(self, change: Tensor, time: Tensor) -> Tensor:
        """Return S_t^(-1/2) times a change of x at `time`: the change of what noise it is from."""
        along, other = self._sizes(time)
        return self._scaled(change.flatten(1), 1 / along, 1 / other).view_as(change)

    def _sizes(self, time: Tensor) -> tuple[Tensor, Tensor]:
        t = time[:, None]
        along, other = (
            ((1 - t).square() + t.square() * variance).sqrt()
            for variance in (self.variances, self.rest)
        )
        return along, other

    def _scaled(self, x: Tensor, along: Tensor, other: Tensor) -> Tensor:
        """Scale `(n, size)` by `along` `(n, count)` on the axes, by `other` `(n, 1)` off them."""
        # In full precision: on the first axes pictures vary a hundred times as much as on others.
        with torch.autocast(x.device.type, enabled=False):
            return other * x + ((along - other) * (x @ self.axes)) @ self.axes.T
