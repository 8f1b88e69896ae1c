"""A normalizing flow of affine couplings for points, whose likelihood is known exactly."""

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import torch
from torch import Tensor

from madlab import training
from madlab.data.samples import Samples
from madlab.models._nets.coupling import Flow
from madlab.models.base import (
    NotFittedError,
    Progress,
    check_between,
    check_bias,
    check_count,
    load_model,
    save_model,
)
from madlab.streams import derive, generator

BATCH = 1000
_LARGEST = 1e100
# Coordinates that vary by less of their size are called constant: float64 keeps 16 digits, and
# the flow is to be invertible to 5 digits of what varies.
_LEAST_SPREAD = 1e-10


class Coupling:
    """An affine-coupling flow fitted to float64 points `(n, d)`, d at least 2.

    An invertible network takes noise from N(0, I) to the points, standardised in each coordinate,
    and is trained by maximum likelihood; 10,000 points take about 1.5 s of one CPU core. It is the
    RealNVP of Dinh et al. 2017 (arXiv 1605.08803), its log-scales bounded; between couplings the
    two groups of coordinates change places, where Glow (Kingma and Dhariwal 2018, arXiv 1807.03039)
    learns how to mix them. It computes on the CPU, whatever the device of other models: in float64,
    which not every device has, it can be inverted far outside the data too. Labels are ignored, and
    samples carry none.

    `bias` scales the variance of the noise: samples are what the network makes of N(0, bias * I).

    - `couplings`: how many, at least 2, so that every coordinate is moved.
    - `hidden`: width of the one hidden layer of each coupling's network.
    - `epochs`: passes through the training points.
    - `batch`: points in a training step, or all where there are fewer.
    - `learning_rate`: of AdamW; it warms up over 50 steps and falls to zero over the second half.

    Raises ValueError or TypeError for settings outside these.

    Source: Alemohammad et al., "Self-Consuming Generative Models Go MAD", ICLR 2024, appendix B.4
    and Fig. 17, which give these couplings, width, epochs and batch.
    """

    name: ClassVar[str] = "coupling"
    version: ClassVar[int] = 1
    conditional: ClassVar[bool] = False
    biased: ClassVar[bool] = True
    follows_noise: ClassVar[bool] = True

    def __init__(
        self,
        couplings: int = 8,
        hidden: int = 64,
        epochs: int = 20,
        batch: int = 256,
        learning_rate: float = 5e-3,
    ) -> None:
        self.couplings = check_count("couplings", couplings, least=2)
        self.hidden = check_count("hidden", hidden, least=1)
        self.epochs = check_count("epochs", epochs, least=1)
        self.batch = check_count("batch", batch, least=1)
        self.learning_rate = check_between("learning_rate", learning_rate, 0, math.inf)
        self._network: Flow | None = None
        self._mean = self._scale = np.empty(0)

    @property
    def settings(self) -> dict[str, Any]:
        """All settings, as JSON values; `create("coupling", **settings)` makes an equal model."""
        return {
            "couplings": self.couplings,
            "hidden": self.hidden,
            "epochs": self.epochs,
            "batch": self.batch,
            "learning_rate": self.learning_rate,
        }

    def fit(
        self,
        images: np.ndarray,
        labels: np.ndarray | None = None,
        *,
        seed: int,
        progress: Progress | None = None,
        checkpoint: Path | None = None,
    ) -> None:
        """Train from nothing on points, whatever was fitted before.

        - `images`: float64 `(n, d)`, n and d at least 2; no value may pass 1e100, and no coordinate
          be constant or vary by less than 1e-10 of its size.
        - `labels`: not used.
        - `seed`: sets the initial weights and the data order.
        - `progress`: called after each step with the fraction done; an exception that it raises
          stops the training and passes through.
        - `checkpoint`: a folder for half-done training, see `madlab.training.train`.

        Raises TypeError for anything but float64 points, ValueError for points outside these, and
        FloatingPointError where training diverges.
        """
        points = _check_points(images)
        n, d = points.shape
        if n < 2 or d < 2:
            raise ValueError(
                f"a coupling flow needs at least 2 points of at least 2 coordinates; {n} points of "
                f"{d} given"
            )
        mean, scale = points.mean(axis=0), points.std(axis=0)
        constant = np.flatnonzero(scale <= _LEAST_SPREAD * abs(points).max(axis=0))
        if len(constant):
            raise ValueError(
                f"coordinate {constant[0]} of the points is constant, or nearly so (standard "
                f"deviation {scale[constant[0]]:g} around {mean[constant[0]]:g}): a flow has no "
                "density there; leave the coordinate out or, in a loop, stop a generation earlier"
            )
        self._network = None
        network = _network(d, self.couplings, self.hidden, seed)
        batch = min(self.batch, n)

        def loss(rows: Mapping[str, Tensor]) -> Tensor:
            return -_log_density(network, rows["points"]).mean()

        training.train(
            training.OneLoss(network, loss, learning_rate=self.learning_rate),
            {"points": (points - mean) / scale},
            steps=math.ceil(self.epochs * n / batch),
            batch=batch,
            seed=seed,
            identity={"model": self.name, "version": self.version, "settings": self.settings},
            progress=progress,
            checkpoint=checkpoint,
        )
        self._network, self._mean, self._scale = network, mean, scale

    def sample(
        self, n: int, *, bias: float = 1.0, seed: int, labels: np.ndarray | None = None
    ) -> Samples:
        """Draw `n` points, float64 `(n, d)`, under sampling bias `bias`, 0 < bias <= 1.

        Point i depends on (seed, i) alone.

        - `labels`: not used.

        Raises NotFittedError before `fit`, ValueError or TypeError for a bad `n` or `bias`.
        """
        n, bias = check_count("n", n), check_bias(bias)
        self._fitted()
        noise = generator(seed, "noise").standard_normal((n, len(self._mean)))
        return Samples(self.forward(math.sqrt(bias) * noise))

    def forward(self, noise: np.ndarray) -> np.ndarray:
        """Return the points that the flow makes of noise, both float64 `(n, d)`.

        Raises NotFittedError before `fit`, TypeError or ValueError for noise of another kind.
        """
        standard = _in_batches(self._fitted(), self._check_known(noise))
        return np.asarray(self._mean + self._scale * standard)

    def inverse(self, points: np.ndarray) -> np.ndarray:
        """Return the noise that the flow makes points of, both float64 `(n, d)`.

        It undoes `forward`; raises as `forward` does.
        """
        network = self._fitted()
        standard = (self._check_known(points) - self._mean) / self._scale
        return _in_batches(lambda rows: network.inverse(rows)[0], standard)

    def log_likelihood(self, points: np.ndarray) -> np.ndarray:
        """Return the exact log-density of the unbiased model at points, float64 `(n,)`.

        - `points`: float64 `(n, d)`; the density is per unit of volume in their own units.

        Raises as `forward` does.
        """
        network = self._fitted()
        standard = (self._check_known(points) - self._mean) / self._scale
        found = _in_batches(lambda rows: _log_density(network, rows), standard)
        return np.asarray(found - np.log(self._scale).sum())

    def _fitted(self) -> Flow:
        if self._network is None:
            raise NotFittedError("this model is not fitted: call fit(points, seed=...) first")
        return self._network

    def _check_known(self, points: np.ndarray) -> np.ndarray:
        found, d = _check_points(points), len(self._mean)
        if found.shape[1] != d:
            raise ValueError(f"the points have {found.shape[1]} coordinates; the model has {d}")
        return found

    def save(self, folder: Path) -> None:
        """Write the fitted model into an existing folder: safetensors and JSON only."""
        weights = self._fitted().state_dict()
        tensors = {f"network.{name}": value for name, value in weights.items()}
        tensors["mean"] = torch.from_numpy(self._mean)
        tensors["scale"] = torch.from_numpy(self._scale)
        save_model(Path(folder), self, tensors)

    @classmethod
    def from_folder(cls, folder: Path) -> Self:
        """Read what `save` wrote; the result samples exactly as the saved model did."""
        settings, tensors = load_model(Path(folder), cls)
        model = cls(**settings)
        model._mean, model._scale = tensors.pop("mean").numpy(), tensors.pop("scale").numpy()
        network = _network(len(model._mean), model.couplings, model.hidden, seed=0)
        network.load_state_dict(
            {name.removeprefix("network."): value for name, value in tensors.items()}
        )
        model._network = network.eval()
        return model


def _network(dimensions: int, couplings: int, hidden: int, seed: int) -> Flow:
    """Return a network with initial weights that the seed sets."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive(seed, "weights"))
        return Flow(dimensions, couplings, hidden).double()


def _log_density(network: Flow, points: Tensor) -> Tensor:
    """Return the log-density `(n,)` at standardised points: change of variables to N(0, I)."""
    noise, log_determinant = network.inverse(points)
    constant = points.shape[1] / 2 * math.log(2 * math.pi)
    return log_determinant - noise.square().sum(dim=1) / 2 - constant


@torch.inference_mode()
def _in_batches(function: Callable[[Tensor], Tensor], rows: np.ndarray) -> np.ndarray:
    """Apply `function` in batches of one size, padded with zeros.

    Sums then run in the same order for row i however many rows there are.
    """
    n, d = rows.shape
    batches = np.zeros((max(1, -(-n // BATCH)), BATCH, d))
    batches.reshape(-1, d)[:n] = rows
    found = torch.cat([function(batch) for batch in torch.from_numpy(batches)])
    return np.asarray(found[:n].numpy())


def _check_points(points: np.ndarray) -> np.ndarray:
    """Return points, or raise unless they are float64 `(n, d)` and finite."""
    found = np.asarray(points)
    if found.dtype != np.float64 or found.ndim != 2:
        raise TypeError(
            "a coupling flow works on float64 points with shape (n, d), not "
            f"{found.dtype} with shape {found.shape}"
        )
    if not (abs(found) <= _LARGEST).all():
        raise ValueError(
            f"the points hold NaN, infinite values or values beyond {_LARGEST:g}: remove them first"
        )
    return found
