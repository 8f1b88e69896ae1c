"""A flow of colour pictures, with guidance by an early state of itself as its sampling bias."""

import copy
import math
from collections.abc import Callable, Mapping
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from madlab import training
from madlab.models._nets.face_unet import FaceUNet
from madlab.models._nets.gaussian_flow import GaussianFlow
from madlab.models._nets.unet import GROUPS
from madlab.models.base import check_between, check_count
from madlab.models.diffusion import guidance
from madlab.models.neural import Neural, Sampler, scaled
from madlab.models.principal import principal_components
from madlab.models.recipes import Flow, heun
from madlab.training import Draws, Learner, OneLoss, Precision, Replay

COMPONENTS = 256
GAMMA = 6.94
WIDER = 2.0
CHUNK = 1000


class Guided(nn.Module):
    """A network, what it was early in its training, and the linear flow that both add to.

    - `shape`: height and width of the pictures.
    """

    def __init__(self, channels: int, shape: tuple[int, int]) -> None:
        super().__init__()
        self.main = FaceUNet(channels, shape)
        self.early = copy.deepcopy(self.main).requires_grad_(False)
        self.linear = GaussianFlow(3 * shape[0] * shape[1], COMPONENTS)


class FaceFlow(Neural):
    """Rectified flow of faces or other colour pictures, from scratch in about a minute on a CPU.

    A flow takes noise along a velocity to pictures (`madlab.models.recipes.Flow`). The velocity
    has two parts: that of the Gaussian with the pictures' mean, first 256 principal components
    and total variance, in closed form, and what a U-Net adds to it, zero at first. So training
    starts near the control `principal` and adds what is not linear. Sampling is done in
    coordinates in which the linear part stands still, so few steps do. Half of the training
    pictures are mirrored.

    Its sampling bias is autoguidance (Karras et al. 2024, arXiv 2406.02507): samples follow
    d + w (d - e), d the velocity and e that of a worse model of the same pictures, at
    w = 1 / bias - 1. The worse model is an early state of the same training, the average of the
    weights up to `early`, added to a Gaussian with twice the covariance. The early state alone
    makes pictures sharper but no less varied; the wider Gaussian makes them less varied, as a
    sampling bias should. At bias 1 only d is evaluated.

    - `channels`: width of the network at half size, a multiple of 4; 16 suits a CPU and 32 pixels,
      64 a GPU and 64 pixels.
    - `steps`, `batch`: training steps, and pictures in each.
    - `learning_rate`: of AdamW; it warms up over 50 steps and falls to zero over the second half.
    - `sampling_steps`: of Heun's method; s of them take 2 s - 1 evaluations of the network.
    - `early`: the share of the training that the guide has seen, between 0 and 1.

    Raises ValueError or TypeError for settings outside these.
    """

    name: ClassVar[str] = "face_flow"
    version: ClassVar[int] = 1
    conditional: ClassVar[bool] = False
    colour: ClassVar[bool] = True

    def __init__(
        self,
        channels: int = 16,
        steps: int = 1200,
        batch: int = 64,
        learning_rate: float = 3e-3,
        sampling_steps: int = 8,
        early: float = 0.25,
    ) -> None:
        super().__init__()
        self.channels = check_count("channels", channels, least=GROUPS)
        if self.channels % GROUPS:
            raise ValueError(f"channels is {channels}; it must be a multiple of {GROUPS}")
        self.steps = check_count("steps", steps, least=1)
        self.batch = check_count("batch", batch, least=1)
        self.learning_rate = check_between("learning_rate", learning_rate, 0, math.inf)
        self.sampling_steps = check_count("sampling_steps", sampling_steps, least=1)
        self.early = check_between("early", early, 0, 1)

    def _make(self, shape: tuple[int, int], classes: int) -> Guided:
        return Guided(self.channels, shape)

    def _start(self, network: nn.Module, images: np.ndarray) -> None:
        assert isinstance(network, Guided)
        mean, components = principal_components(images, COMPONENTS)
        # Mirror images have the same mean, and so the same total.
        total = sum(
            ((images[start : start + CHUNK] - mean) ** 2).sum()
            for start in range(0, len(images), CHUNK)
        ) / len(images)
        network.linear.become(
            torch.from_numpy(mean / 127.5 - 1).permute(2, 0, 1).flatten(),
            torch.from_numpy(components / 127.5).permute(0, 3, 1, 2).flatten(1),
            total / 127.5**2,
        )

    def _learner(
        self, network: nn.Module, shape: tuple[int, int], classes: int, seed: int
    ) -> Learner:
        assert isinstance(network, Guided)
        where = next(network.parameters()).device
        run = training.compiled(network.main)
        recipe, linear = Flow(), network.linear
        last = max(1, round(self.early * self.steps))

        def draw(step: int, n: int) -> dict[str, Tensor]:
            draws = Draws(where, seed, "noise", step)
            return {
                "times": recipe.times(draws, n),
                "mirrored": draws.uniform(n) < 0.5,
                "noise": draws.normal(n, 3, *shape),
                "rate": torch.full((), early_rate(step, last), device=where),
            }

        def loss(batch: Mapping[str, Tensor]) -> Tensor:
            data = scaled(batch["images"])
            data = torch.where(batch["mirrored"][:, None, None, None], data.flip(3), data)

            def predict(x: Tensor, times: Tensor) -> Tensor:
                added: Tensor = run(x, times).float()
                found = linear.velocity(x, times) + added
                return x + (1 - times)[:, None, None, None] * found

            return recipe.loss(predict, data, batch["noise"], batch["times"])

        return EarlyAverage(network, loss, draw, self.learning_rate, Precision(where))

    def _noise(self, rng: np.random.Generator, n: int, shape: tuple[int, int]) -> np.ndarray:
        return rng.standard_normal((n, 3, *shape), dtype=np.float32)

    def _sampler(self, network: nn.Module, bias: float) -> Sampler:
        assert isinstance(network, Guided)
        weight = guidance(bias)
        where = next(network.parameters()).device
        precision = Precision(where)
        linear = network.linear
        main, early = training.compiled(network.main), training.compiled(network.early)

        def whitened(given: Mapping[str, Tensor]) -> Tensor:
            u, times = given["u"], given["times"]
            x = linear.coloured(u, times)
            with precision.autocast():
                found: Tensor = main(x, times).float()
                if weight:
                    found = found + weight * (found - early(x, times).float())
            if weight:
                apart = linear.velocity(x, times) - linear.velocity(x, times, WIDER)
                found = found + weight * apart
            return linear.whitened(found, times)

        replay = Replay(whitened, where)

        def pictures(noise: Tensor, labels: Tensor, draws: Draws) -> Tensor:
            def field(u: Tensor, now: float) -> Tensor:
                # Kept from the next call, which overwrites what a graph returned.
                return replay({"u": u, "times": u.new_full((len(u),), now)}).clone()

            u = heun(field, noise, self.sampling_steps)
            return linear.coloured(u, u.new_ones(len(u)))

        return pictures


def early_rate(step: int, last: int) -> float:
    """Return the share that the weights after `step`, from 0, get in the average of `last` steps.

    The average is that of `madlab.training.Ema` up to there; afterwards it stays as it is.
    """
    return 1 - (1 - 1 / (step + 1)) ** (GAMMA + 1) if step < last else 0.0


class EarlyAverage(OneLoss):
    """A learner of a `Guided` pair: trains `main`, and averages its weights in `early`.

    Each step draws the "rate" of the average, a scalar that is zero once the early share is over.
    """

    def __init__(
        self,
        pair: Guided,
        loss: Callable[[Mapping[str, Tensor]], Tensor],
        draw: Callable[[int, int], dict[str, Tensor]],
        learning_rate: float,
        precision: Precision,
    ) -> None:
        super().__init__(pair.main, loss, draw, learning_rate=learning_rate, precision=precision)
        self.networks = nn.ModuleDict({"pair": pair})
        self._main = [weight.detach() for weight in pair.main.parameters()]
        self._early = [weight.detach() for weight in pair.early.parameters()]

    def update(self, batch: Mapping[str, Tensor], kind: str, pieces: int) -> Tensor:
        """Take one step of Adam on the loss and return it."""
        rows = {name: values for name, values in batch.items() if name != "rate"}
        found = super().update(rows, kind, pieces)
        # The rate is a tensor: a captured graph would keep a number.
        change = list(torch._foreach_sub(self._main, self._early))
        torch._foreach_mul_(change, batch["rate"])
        torch._foreach_add_(self._early, change)
        return found
