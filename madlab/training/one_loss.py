"""A learner for what most networks are: one network with one loss."""

from collections.abc import Callable, Mapping
from contextlib import nullcontext

from torch import Tensor, nn

from madlab.training.device import Precision
from madlab.training.loop import Learner, adam, descend


class OneLoss(Learner):
    """A learner of one network with one loss.

    - `network`: on the device.
    - `loss`: maps a batch to its mean loss, a scalar.
    - `draw`: returns the random tensors of (step, n); None for no randomness.
    - `learning_rate`: the largest; `clip`: the largest norm of the gradient.
    - `precision`: where given, the loss is computed in it.
    """

    def __init__(
        self,
        network: nn.Module,
        loss: Callable[[Mapping[str, Tensor]], Tensor],
        draw: Callable[[int, int], dict[str, Tensor]] | None = None,
        *,
        learning_rate: float,
        clip: float = 2.0,
        precision: Precision | None = None,
    ) -> None:
        self.averaged = network
        self.networks = nn.ModuleDict({"network": network})
        self.optimizers = {"network": adam(network.parameters(), learning_rate)}
        self._loss, self._draw, self._clip = loss, draw, clip
        self._precision = precision

    def draw(self, step: int, n: int) -> dict[str, Tensor]:
        """Return the random tensors of a step."""
        return self._draw(step, n) if self._draw else {}

    def update(self, batch: Mapping[str, Tensor], kind: str) -> Tensor:
        """Take one step of Adam on the loss and return it."""
        with self._precision.autocast() if self._precision else nullcontext():
            loss = self._loss(batch)
        optimizer = self.optimizers["network"]
        return descend(optimizer, loss, precision=self._precision, clip=self._clip)
