"""What the step loop trains, and the one way to take an optimizer's step."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from contextlib import nullcontext

import torch
from torch import Tensor, nn

from madlab.training.device import Precision


class Learner(ABC):
    """What is trained, and what one step does to it.

    - `networks`: everything with weights, on the device.
    - `optimizers`: by name, made by `adam`.
    - `averaged`: the network whose weights are averaged; it has the average when training is over.
    """

    networks: nn.ModuleDict
    optimizers: Mapping[str, torch.optim.Optimizer]
    averaged: nn.Module

    def kind(self, step: int) -> str:
        """Return which kind of step `step` is; steps of one kind run the same operations."""
        return "plain"

    @abstractmethod
    def draw(self, step: int, n: int) -> dict[str, Tensor]:
        """Return all random tensors of a step on a batch of `n`, a function of (seed, step)."""

    @abstractmethod
    def update(self, batch: Mapping[str, Tensor], kind: str) -> Tensor:
        """Take one step and return its losses, detached float `(k,)`.

        - `batch`: `n` rows of the data by name, for instance "images" and "labels", and what
          `draw` returned.

        It neither waits for the device nor draws random numbers: it may be captured as a graph.
        """


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


def adam(
    parameters: Iterable[nn.Parameter],
    learning_rate: float,
    betas: tuple[float, float] = (0.9, 0.99),
) -> torch.optim.Optimizer:
    """Return Adam without weight decay, run as one kernel where the parameters' device can.

    - `learning_rate`: the largest; the step loop scales it by its schedule.
    """
    weights = list(parameters)
    where = weights[0].device
    on_cuda = where.type == "cuda"
    optimizer = torch.optim.AdamW(
        weights,
        # A tensor can change under a captured graph.
        lr=torch.tensor(learning_rate, device=where) if on_cuda else learning_rate,
        betas=betas,
        weight_decay=0.0,
        fused=where.type in ("cpu", "cuda"),
        capturable=on_cuda,
    )
    for group in optimizer.param_groups:
        group["initial_lr"] = learning_rate
    return optimizer


def scale_rates(optimizer: torch.optim.Optimizer, factor: float) -> None:
    """Set every learning rate to `factor` times its largest value."""
    for group in optimizer.param_groups:
        value = group["initial_lr"] * factor
        if isinstance(group["lr"], Tensor):
            group["lr"].fill_(value)
        else:
            group["lr"] = value


def descend(
    optimizer: torch.optim.Optimizer,
    loss: Tensor,
    *,
    precision: Precision | None = None,
    clip: float | None = None,
) -> Tensor:
    """Take one step of an optimizer on a loss, a scalar, and return it, detached.

    - `precision`: where given, its scaler guards float16 gradients.
    - `clip`: the largest norm of the gradient; longer ones are scaled down to it.

    Only the optimizer's own parameters get gradients.
    """
    weights = [weight for group in optimizer.param_groups for weight in group["params"]]
    scaler = precision.scaler if precision else None
    gradients = torch.autograd.grad(scaler.scale(loss) if scaler else loss, weights)
    for weight, gradient in zip(weights, gradients, strict=True):
        weight.grad = _laid_out_as(weight, gradient)
    if scaler:
        scaler.unscale_(optimizer)
    if clip is not None:
        nn.utils.clip_grad_norm_(weights, clip)
    if scaler:
        scaler.step(optimizer)
        scaler.update()
    else:
        optimizer.step()
    for weight in weights:
        weight.grad = None
    return loss.detach()


def _laid_out_as(weight: Tensor, gradient: Tensor) -> Tensor:
    # Fused optimizers need both in one memory format, which autograd.grad does not promise.
    if gradient.stride() == weight.stride():
        return gradient
    return torch.empty_like(weight).copy_(gradient)
