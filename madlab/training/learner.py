"""What the step loop trains, and the one way to take an optimizer's step."""

import itertools
from collections.abc import Callable, Iterable, Mapping
from contextlib import nullcontext
from typing import Protocol

import torch
from torch import Tensor, nn

from madlab.training.device import Precision


class Learner(Protocol):
    """What is trained: networks, their optimizers, and what one step does to them."""

    @property
    def networks(self) -> nn.ModuleDict:
        """Everything with weights, on the device."""

    @property
    def optimizers(self) -> Mapping[str, torch.optim.Optimizer]:
        """The optimizers by name, made by `adam`."""

    @property
    def averaged(self) -> nn.Module:
        """The network whose weights are averaged; it has the average when training is over."""

    def kind(self, step: int) -> str:
        """Return which kind of step `step` is; steps of one kind run the same operations."""

    def draw(self, step: int, n: int) -> dict[str, Tensor]:
        """Return all random tensors of a step on a batch of `n`, a function of (seed, step)."""

    def update(self, batch: Mapping[str, Tensor], kind: str, pieces: int) -> Tensor:
        """Take one step and return its losses, detached float `(k,)`.

        - `batch`: `n` rows of the data by name, for instance "images" and "labels", and what
          `draw` returned.
        - `pieces`: in how many pieces gradients are computed, to save memory; the step is the
          same up to rounding.

        It neither waits for the device nor draws random numbers: it may be captured as a graph.
        """


class OneLoss:
    """A learner of one network with one loss.

    - `network`: on the device.
    - `loss`: maps a batch, or a piece of it, to its mean loss, a scalar.
    - `draw`: returns the random tensors of (step, n), each with n rows; None for no randomness.
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

    def kind(self, step: int) -> str:
        """All steps are of one kind."""
        return "plain"

    def draw(self, step: int, n: int) -> dict[str, Tensor]:
        """Return the random tensors of a step."""
        return self._draw(step, n) if self._draw else {}

    def update(self, batch: Mapping[str, Tensor], kind: str, pieces: int) -> Tensor:
        """Take one step of Adam on the loss and return it."""

        def loss(part: slice) -> Tensor:
            rows = {name: values[part] for name, values in batch.items()}
            with self._precision.autocast() if self._precision else nullcontext():
                return self._loss(rows)

        n = len(next(iter(batch.values())))
        return descend(
            self.optimizers["network"],
            loss,
            n,
            pieces=pieces,
            precision=self._precision,
            clip=self._clip,
        )


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
    loss: Callable[[slice], Tensor],
    n: int,
    *,
    pieces: int = 1,
    precision: Precision | None = None,
    clip: float | None = None,
) -> Tensor:
    """Take one step of an optimizer on a mean loss over `n` items, and return that loss.

    - `loss`: maps a slice of the items to their mean loss, a scalar; called once a piece.
    - `pieces`: in how many pieces gradients are computed.
    - `precision`: where given, its scaler guards float16 gradients.
    - `clip`: the largest norm of the gradient; longer ones are scaled down to it.

    Only the optimizer's own parameters get gradients.
    """
    weights = [weight for group in optimizer.param_groups for weight in group["params"]]
    scaler = precision.scaler if precision else None
    total = torch.zeros((), device=weights[0].device)
    for part in parts(n, pieces):
        share = (part.stop - part.start) / n
        value = loss(part) * share if pieces > 1 else loss(part)
        total = total + value.detach()
        scaled = scaler.scale(value) if scaler else value
        gradients = torch.autograd.grad(scaled, weights)
        if part.start == 0:
            for weight, gradient in zip(weights, gradients, strict=True):
                weight.grad = _laid_out_as(weight, gradient)
        else:
            torch._foreach_add_([weight.grad for weight in weights], gradients)
    try:
        if scaler:
            scaler.unscale_(optimizer)
        if clip is not None:
            nn.utils.clip_grad_norm_(weights, clip)
        if scaler:
            scaler.step(optimizer)
            scaler.update()
        else:
            optimizer.step()
    except BaseException:
        if precision:
            precision.renew()
        raise
    for weight in weights:
        weight.grad = None
    return total


def _laid_out_as(weight: Tensor, gradient: Tensor) -> Tensor:
    # Fused optimizers need both in one memory format, which autograd.grad does not promise.
    if gradient.stride() == weight.stride():
        return gradient
    return torch.empty_like(weight).copy_(gradient)


def parts(n: int, pieces: int) -> list[slice]:
    """Return slices that cut `n` items into at most `pieces` parts of nearly equal size."""
    edges = [round(i * n / pieces) for i in range(pieces + 1)]
    return [slice(a, b) for a, b in itertools.pairwise(edges) if a < b]
