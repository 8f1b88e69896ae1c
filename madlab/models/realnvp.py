"""RealNVP for points: invertible affine couplings, whose likelihood is known exactly."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from madlab import checks, training
from madlab.data.samples import Samples
from madlab.models._nets.unet import zero
from madlab.models.base import Arrays, Base, How, Labels, in_batches, setting
from madlab.models.neural import set_weights, weights_of
from madlab.streams import generator

# A coupling scales by a factor between exp(-LOG_SCALE) and exp(LOG_SCALE).
LOG_SCALE = 2.0
BATCH = 1000
_LARGEST = 1e100
# Of its size: float64 keeps 16 digits, and the flow is to be invertible to 5 of what varies.
_LEAST_SPREAD = 1e-10


@dataclass(eq=False)
class RealNvp(Base):
    """Affine couplings in a row, fitted to float64 points `(n, d)`, n and d at least 2.

    An invertible network takes noise from N(0, I) to the points, standardised in each coordinate,
    and is trained by maximum likelihood: RealNVP (Dinh et al. 2017, arXiv 1605.08803), its
    log-scales bounded. In float64, on the CPU, it can be inverted far outside the data too. Labels
    are ignored. `bias` scales the variance of the noise: samples are made of N(0, bias * I).

    - `couplings`: how many, at least 2, so that every coordinate is moved.
    - `hidden`: width of the one hidden layer of each coupling's network.
    - `epochs`, `batch`: passes through the points; points in a step, or all where there are fewer.
    - `learning_rate`: of AdamW; it warms up over 50 steps and falls to zero over the second half.

    No value may pass 1e100, and no coordinate be constant or vary by less than 1e-10 of its size.

    Source: Alemohammad et al., "Self-Consuming Generative Models Go MAD", ICLR 2024, appendix B.4
    and Fig. 17, which give these couplings, width, epochs and batch.
    """

    name: ClassVar[str] = "coupling"

    couplings: int = setting(8, checks.count, least=2)
    hidden: int = setting(64, checks.count, least=1)
    epochs: int = setting(20, checks.count, least=1)
    batch: int = setting(256, checks.count, least=1)
    learning_rate: float = setting(5e-3, checks.positive)

    def _checked(self, images: np.ndarray, labels: Labels) -> tuple[np.ndarray, Labels]:
        points = _moderate(checks.points(images, least=2))
        if points.shape[1] < 2:
            raise ValueError("points have 1 coordinate; couplings need at least 2")
        mean, scale = points.mean(axis=0), points.std(axis=0)
        constant = np.flatnonzero(scale <= _LEAST_SPREAD * abs(points).max(axis=0))
        if len(constant):
            raise ValueError(
                f"coordinate {constant[0]} of the points is constant, or nearly so (standard "
                f"deviation {scale[constant[0]]:g} around {mean[constant[0]]:g}): a flow has no "
                "density there; leave the coordinate out or, in a loop, stop a generation earlier"
            )
        return points, None

    def _make(self, d: int, seed: int) -> "Couplings":
        return training.seeded(lambda: Couplings(d, self.couplings, self.hidden).double(), seed)

    def _fit(self, images: np.ndarray, labels: Any, how: How) -> Arrays:
        n, d = images.shape
        mean, scale = images.mean(axis=0), images.std(axis=0)
        network, batch = self._make(d, how.seed), min(self.batch, n)

        def loss(rows: Mapping[str, Tensor]) -> Tensor:
            return -network.log_density(rows["points"]).mean()

        training.train(
            training.OneLoss(network, loss, learning_rate=self.learning_rate),
            {"points": (images - mean) / scale},
            steps=math.ceil(self.epochs * n / batch),
            batch=batch,
            seed=how.seed,
            identity={"model": self.name, "version": self.version, "settings": self.settings},
            progress=how.progress,
            checkpoint=how.checkpoint,
        )
        return weights_of(network) | {"mean": mean, "scale": scale}

    def _keep(self, found: Arrays) -> None:
        self._network = self._make(len(found["mean"]), seed=0).eval()
        set_weights(self._network, found)
        super()._keep(found)

    def _draw(self, found: Arrays, n: int, bias: float, seed: int, labels: Labels) -> Samples:
        noise = generator(seed, "noise").standard_normal((n, len(found["mean"])))
        return Samples(self.forward(math.sqrt(bias) * noise))

    def forward(self, noise: np.ndarray) -> np.ndarray:
        """Return the points that the network makes of noise, both float64 `(n, d)`.

        Raises NotFittedError before `fit`, TypeError or ValueError for noise of another kind.
        """
        found = self.fitted
        noise = _moderate(checks.points(noise, d=len(found["mean"]), least=0))
        return np.asarray(found["mean"] + found["scale"] * _computed(self._network.forward, noise))

    def inverse(self, points: np.ndarray) -> np.ndarray:
        """Undo `forward`: return the noise that the network makes points of; raises as it does."""
        standard = self._standard(points)
        return _computed(lambda rows: self._network.inverse(rows)[0], standard)

    def log_likelihood(self, points: np.ndarray) -> np.ndarray:
        """Return the exact log-density of the unbiased model at points, float64 `(n,)`.

        It is per unit of volume in the points' own units. Raises as `forward` does.
        """
        standard = self._standard(points)
        density = _computed(self._network.log_density, standard)
        return np.asarray(density - np.log(self.fitted["scale"]).sum())

    def _standard(self, points: np.ndarray) -> np.ndarray:
        mean, scale = self.fitted["mean"], self.fitted["scale"]
        return (_moderate(checks.points(points, d=len(mean), least=0)) - mean) / scale


def _moderate(points: np.ndarray) -> np.ndarray:
    if not (abs(points) <= _LARGEST).all():
        raise ValueError(f"the points hold values beyond {_LARGEST:g}: remove them first")
    return points


@torch.inference_mode()
def _computed(function: Callable[[Tensor], Tensor], rows: np.ndarray) -> np.ndarray:
    return in_batches(lambda batch: function(torch.from_numpy(batch)).numpy(), rows, BATCH)


class Coupling(nn.Module):
    """What one coupling does to the coordinates it moves, computed from those that it keeps."""

    def __init__(self, kept: int, moved: int, hidden: int) -> None:
        super().__init__()
        self.enter = nn.Linear(kept, hidden)
        self.leave = nn.Linear(hidden, 2 * moved)
        zero(self.leave)

    def forward(self, kept: Tensor) -> tuple[Tensor, Tensor]:
        """Map `(n, kept)` to log-scales within +-`LOG_SCALE` and shifts, both `(n, moved)`."""
        scale, shift = self.leave(nn.functional.silu(self.enter(kept))).chunk(2, dim=1)
        return LOG_SCALE * torch.tanh(scale / LOG_SCALE), shift


class Couplings(nn.Module):
    """Couplings in a row, an invertible map from noise `(n, d)` to points `(n, d)`.

    Each of `couplings` moves the first coordinates, each x to exp(log-scale) x + shift, and keeps
    the last d // 2; then the two groups change places.
    """

    def __init__(self, d: int, couplings: int, hidden: int) -> None:
        super().__init__()
        self.kept, self.moved = d // 2, d - d // 2
        self.couplings = nn.ModuleList(
            Coupling(self.kept, self.moved, hidden) for _ in range(couplings)
        )

    def forward(self, noise: Tensor) -> Tensor:
        """Map noise `(n, d)` to points `(n, d)`."""
        x = noise
        for coupling in self.couplings:
            moved, kept = x[:, : self.moved], x[:, self.moved :]
            scale, shift = coupling(kept)
            x = torch.cat((kept, moved * scale.exp() + shift), dim=1)
        return x

    def inverse(self, points: Tensor) -> tuple[Tensor, Tensor]:
        """Map points `(n, d)` to noise `(n, d)`, with the log-determinant of that map, `(n,)`."""
        x, total = points, points.new_zeros(len(points))
        for coupling in reversed(self.couplings):
            kept, moved = x[:, : self.kept], x[:, self.kept :]
            scale, shift = coupling(kept)
            x = torch.cat(((moved - shift) * (-scale).exp(), kept), dim=1)
            total = total - scale.sum(dim=1)
        return x, total

    def log_density(self, points: Tensor) -> Tensor:
        """Return the log-density `(n,)` at points: change of variables to N(0, I)."""
        noise, log_determinant = self.inverse(points)
        constant = points.shape[1] / 2 * math.log(2 * math.pi)
        return log_determinant - noise.square().sum(dim=1) / 2 - constant
