"""A Gaussian in the principal components of pictures: what a linear generator alone can do."""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from madlab import checks
from madlab.data.samples import Samples
from madlab.models.base import Arrays, Base, How, Labels, in_batches, setting, to_bytes
from madlab.streams import generator

BATCH = 100
MOST = 2000
CHUNK = 4096


def principal_components(images: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and scaled principal components of n pictures and their n mirror images.

    Their covariance falls into two parts that mirroring keeps apart: pictures that are their own
    mirror image, and pictures that change sign; so half of each picture is enough.

    - `images`: uint8 `(n, h, w, 3)`, w even. Where there are more than 2,000 of more than 4,000
      values each, 2,000 of them, evenly spaced, stand for all.

    Returns the mean, float64 `(h, w, 3)`, and components `(count, h, w, 3)` of falling length, each
    as long as the standard deviation along it, on the scale of the bytes. Where pictures span fewer
    dimensions the last are zero.
    """
    n, height, width, channels = images.shape
    half = height * (width // 2) * channels
    if min(n, half) > MOST:
        images = images[np.linspace(0, n - 1, MOST).round().astype(np.int64)]
    mean = images.mean(axis=0, dtype=np.float64)
    mean = (mean + mean[:, ::-1]) / 2
    found = [_components(images, mean, sign, count) for sign in (1, -1)]
    scaled = np.concatenate(found)
    order = np.argsort(-(scaled**2).sum((1, 2, 3)), kind="stable")[:count]
    return mean, scaled[order]


def _components(images: np.ndarray, mean: np.ndarray, sign: int, count: int) -> np.ndarray:
    """Return the components among pictures whose mirror image is `sign` times themselves."""
    n, height, width, channels = images.shape
    half = (height, width // 2, channels)

    def rows(part: slice) -> np.ndarray:
        x = images[part] - mean
        # Both halves are alike up to the sign, so one stands for both, at sqrt(2) its length.
        left = (x + sign * x[:, :, ::-1])[:, :, : width // 2] / np.sqrt(2)
        return np.asarray(left.reshape(len(x), -1))

    size = int(np.prod(half))
    if n < size:
        every = rows(slice(None))
        # Columns X' u have length sqrt(n variance): they need no division by a small number.
        scaled = _largest(every @ every.T / n, count)[1].T @ every / np.sqrt(n)
    else:
        covariance = np.zeros((size, size))
        for start in range(0, n, CHUNK):
            every = rows(slice(start, start + CHUNK))
            covariance += every.T @ every / n
        variances, axes = _largest(covariance, count)
        scaled = (axes * np.sqrt(variances)).T
    padded = np.zeros((count, size))
    padded[: len(scaled)] = scaled
    # An axis has two directions; the one is taken in which its largest value is positive.
    peaks = np.take_along_axis(padded, np.abs(padded).argmax(1)[:, None], axis=1)
    padded *= np.where(peaks < 0, -1, 1)
    left = padded.reshape(count, *half) / np.sqrt(2)
    return np.concatenate([left, sign * left[:, :, ::-1]], axis=2)


def _largest(symmetric: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    values, vectors = torch.linalg.eigh(torch.from_numpy(symmetric))
    values, vectors = values.numpy()[::-1][:count], vectors.numpy()[:, ::-1][:, :count]
    return np.clip(values, 0, None), vectors


def channels_first(mean: np.ndarray, components: np.ndarray) -> tuple[Tensor, Tensor]:
    """Return both as float64 `(size,)` and `(count, size)`, for pictures in [-1, 1]."""
    flat = torch.from_numpy(components / 127.5).permute(0, 3, 1, 2).flatten(1)
    return torch.from_numpy(mean / 127.5 - 1).permute(2, 0, 1).flatten(), flat


@dataclass(eq=False)
class Principal(Base):
    """A Gaussian in the first 64 principal components of colour pictures and their mirror images.

    It takes uint8 `(n, h, w, 3)`, n at least 2, w even. The control beside `face_gan`, whose
    generator starts as this model: it has the pictures' layout and variety, but nothing that is not
    linear. A sample is mean + V diag(s) (bias z), clipped and rounded, so `bias` scales standard
    deviations, as truncation does. `face_gan` takes the same z for one seed. Labels are ignored,
    the fit is a closed form.

    - `components`: how many; fewer where the pictures span fewer.
    """

    name: ClassVar[str] = "principal"
    # Components of nearly equal length change places between fits.
    follows_noise: ClassVar[bool] = False

    components: int = setting(64, checks.count, least=1)

    def _checked(self, images: np.ndarray, labels: Labels) -> tuple[np.ndarray, Labels]:
        images = checks.pictures(images, colour=True, least=2)
        if images.shape[2] % 2:
            raise ValueError(f"pictures are {images.shape[2]} pixels wide; the width must be even")
        return images, None

    def _fit(self, images: np.ndarray, labels: Any, how: How) -> Arrays:
        mean, scaled = principal_components(images, self.components)
        how.progress(1.0)
        return {"mean": mean, "scaled": scaled}

    def _draw(self, found: Arrays, n: int, bias: float, seed: int, labels: Labels) -> Samples:
        mean, flat = found["mean"], found["scaled"].reshape(self.components, -1)
        z = generator(seed, "noise").standard_normal((n, self.components), dtype=np.float32)

        def pictures(z: np.ndarray) -> np.ndarray:
            away = (bias * z.astype(np.float64)) @ flat
            return to_bytes(mean + away.reshape(-1, *mean.shape))

        return Samples(in_batches(pictures, z, BATCH))
