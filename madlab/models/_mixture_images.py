"""Digits in a mixture: for each class, clusters with a probabilistic PCA each."""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from madlab.data.samples import Samples
from madlab.models.base import Labels, Progress, labels_of_samples, to_bytes
from madlab.streams import derive, generator

DIMENSIONS = 64
ROUNDS = 15
BASIS_IMAGES = 3_000
TONE_IMAGES = 2_000
# Means, loadings and latent numbers are multiples of this step. Their sums of products then fit
# into a float64 exactly, so that no image depends on how many others are computed beside it.
STEP = 2.0**-16


class Images(NamedTuple):
    """What `fit_images` finds: m components in all, sorted by class.

    - `classes`: int64 `(c,)`, the labels seen, ascending; `frequencies`: float64 `(c,)`.
    - `owner`: int64 `(m,)`, the index of each component's class; `weights`: float64 `(m,)`,
      with sum 1 in every class.
    - `means`: float32 `(m, pixels)`; `loadings`: float32 `(m, rank, pixels)`.
    - `tone`: uint8 `(256,)`, the grey level shown for each grey level computed.
    - `shape`: int64 `(2,)`, height and width; `labelled`: bool `(1,)`.
    """

    classes: np.ndarray
    frequencies: np.ndarray
    owner: np.ndarray
    weights: np.ndarray
    means: np.ndarray
    loadings: np.ndarray
    tone: np.ndarray
    shape: np.ndarray
    labelled: np.ndarray

    def draw(self, n: int, bias: float, seed: int, labels: Labels) -> Samples:
        """Draw `n` images, uint8 `(n, height, width)`; as `Mixture.sample`."""
        given = np.zeros(n, np.int64)
        if self.labelled[0]:
            frequencies = np.zeros(self.classes[-1] + 1)
            frequencies[self.classes] = self.frequencies
            rng = generator(seed, "mixture", "labels")
            given = labels_of_samples(labels, n, frequencies, rng)
        elif labels is not None:
            raise ValueError("labels are given, but this mixture was fitted without labels")
        pixels = self.tone[_draw(self, given, bias, seed)]
        images = pixels.reshape(n, *self.shape.tolist())
        return Samples(images, given if self.labelled[0] else None)


def fit_images(
    images: np.ndarray,
    labels: Labels,
    seed: int,
    progress: Progress,
    *,
    components: int,
    rank: int,
    tone: bool,
) -> Images:
    """Fit every class from nothing; arguments as for `Mixture` and `Mixture.fit`, checked."""
    n, height, width = images.shape
    labelled = labels is not None
    found = np.zeros(n, np.int64) if labels is None else labels
    pixels = images.reshape(n, -1)
    classes, counts = np.unique(found, return_counts=True)

    centre, basis = _basis(pixels, rank, seed)
    owner, weights, means, loadings = [], [], [], []
    for index, label in enumerate(classes):
        members = _floats(pixels[found == label])
        scores = (members - centre) @ basis
        k = min(components, max(1, len(members) // (rank + 1)))
        clusters = k_means(scores, k, generator(seed, "mixture", "k-means", int(label)))
        for cluster in range(k):
            inside = (clusters == cluster).nonzero()[:, 0]
            if not len(inside):
                continue
            mean, loading = principal_loadings(members[inside], scores[inside], rank)
            owner.append(index)
            weights.append(len(inside) / len(members))
            means.append(mean.numpy())
            loadings.append(loading.numpy())
        progress((index + 1) / (len(classes) + 1))

    fitted = Images(
        classes=classes,
        frequencies=counts / n,
        owner=np.array(owner),
        weights=np.array(weights),
        means=_on_grid(np.stack(means)).astype(np.float32),
        loadings=_on_grid(np.stack(loadings)).astype(np.float32),
        tone=np.arange(256, dtype=np.uint8),
        shape=np.array([height, width]),
        labelled=np.array([labelled]),
    )
    if tone:
        some = _some(n, TONE_IMAGES, generator(seed, "mixture", "tone"))
        drawn = _draw(fitted, found[some], 1.0, derive(seed, "mixture", "tone"))
        fitted = fitted._replace(tone=tone_curve(drawn, pixels[some]))
    return fitted


def _basis(pixels: np.ndarray, rank: int, seed: int) -> tuple[Tensor, Tensor]:
    """Return mean and leading principal axes `(pixels, axes)` of some training images."""
    rng = generator(seed, "mixture", "basis")
    sample = _floats(pixels[_some(len(pixels), BASIS_IMAGES, rng)])
    centre = sample.mean(0)
    sample -= centre
    axes = _eigen(sample.T @ sample)[1].flip(1)
    return centre, axes[:, : max(DIMENSIONS, 2 * rank)].contiguous()


def k_means(points: Tensor, k: int, rng: np.random.Generator) -> Tensor:
    """Return the cluster of each point after a fixed number of rounds of Lloyd's algorithm.

    - `points`: `(n, d)`, n of at least `k`; `k` of them, drawn at random, are the first centres.
      A centre that loses all its points stays where it is.

    Returns whole numbers `(n,)` below `k`, not all of which need occur.
    """
    centres = points[torch.from_numpy(rng.choice(len(points), k, replace=False))]
    for _ in range(ROUNDS):
        member = (torch.arange(k)[:, None] == _nearest(points, centres)).to(points.dtype)
        counts = member.sum(1, keepdim=True)
        centres = torch.where(counts > 0, member @ points / counts.clamp(min=1), centres)
    return _nearest(points, centres)


def _nearest(points: Tensor, centres: Tensor) -> Tensor:
    """Return the index of the centre nearest to each point."""
    return ((centres**2).sum(1) - 2 * points @ centres.T).argmin(1)


def principal_loadings(members: Tensor, scores: Tensor, rank: int) -> tuple[Tensor, Tensor]:
    """Return mean `(pixels,)` and loadings `(rank, pixels)` of a probabilistic PCA.

    - `members`: `(n, pixels)`, the images of one cluster.
    - `scores`: `(n, d)`, the same images along a few common axes. Their leading directions are
      a start that one step of subspace iteration carries into pixel space; a full
      decomposition would find the same loadings to within about a percent.

    Loadings are `sqrt(variance - noise)` times the principal axes, with the noise variance
    that maximises the likelihood, the mean of the variances left out; those that the cluster
    is too small to show are 0.
    """
    n, pixels = members.shape
    mean = members.mean(0)
    loadings = members.new_zeros(rank, pixels)
    r = min(rank, n - 1, scores.shape[1])
    if r == 0:
        return mean, loadings
    centred = members - mean
    scores = scores - scores.mean(0)
    start = _eigen(scores.T @ scores)[1][:, -r:]
    span = torch.linalg.qr(centred.T @ (scores @ start)).Q
    inside = centred @ span
    variances, turn = _eigen(inside.T @ inside / (n - 1))
    left = (centred**2).sum() / (n - 1) - variances.sum()
    noise = left.clamp(min=0) / max(pixels - r, 1)
    loadings[:r] = (variances - noise).clamp(min=0).sqrt()[:, None] * (span @ turn).T
    return mean, loadings


def _eigen(matrix: Tensor) -> tuple[Tensor, Tensor]:
    """Return eigenvalues, ascending, and eigenvectors of a symmetric matrix."""
    # In float32 the routine fails now and then on matrices of low rank.
    values, vectors = torch.linalg.eigh(matrix.double())
    return values.to(matrix.dtype), vectors.to(matrix.dtype)


def tone_curve(drawn: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Return the map of grey levels, uint8 `(256,)`, that takes one histogram to another.

    - `drawn`, `wanted`: uint8 arrays; level v of `drawn` becomes the level of `wanted` with as
      large a share of pixels below it.
    """
    have = np.bincount(drawn.ravel(), minlength=256) / drawn.size
    want = np.bincount(wanted.ravel(), minlength=256) / wanted.size
    levels = np.searchsorted(np.cumsum(want), np.cumsum(have) - have / 2)
    return np.minimum(levels, 255).astype(np.uint8)


def _draw(fitted: Images, labels: np.ndarray, bias: float, seed: int) -> np.ndarray:
    """Draw one image a label, uint8 `(n, pixels)`, before the tone curve."""
    n = len(labels)
    components = _choose(fitted, labels, generator(seed, "mixture", "components").random(n))
    rank, pixels = fitted.loadings.shape[1:]
    noise = generator(seed, "mixture", "latents").standard_normal((n, rank))
    latents = _on_grid(np.sqrt(bias) * noise)

    images = np.empty((n, pixels), np.uint8)
    order = np.argsort(components, kind="stable")
    ends = np.cumsum(np.bincount(components, minlength=len(fitted.owner)))
    means, loadings = torch.from_numpy(fitted.means), torch.from_numpy(fitted.loadings)
    for component, rows in enumerate(np.split(order, ends[:-1])):
        z = torch.from_numpy(latents[rows])
        drawn = means[component].double() + z @ loadings[component].double()
        images[rows] = to_bytes(drawn.numpy())
    return images


def _choose(fitted: Images, labels: np.ndarray, uniform: np.ndarray) -> np.ndarray:
    """Return a component for each label, from one uniform number each."""
    components = np.empty(len(labels), np.int64)
    for index, label in enumerate(fitted.classes):
        rows = labels == label
        own = np.flatnonzero(fitted.owner == index)
        edges = np.cumsum(fitted.weights[own])
        chosen = np.searchsorted(edges, uniform[rows] * edges[-1], side="right")
        components[rows] = own[np.minimum(chosen, len(own) - 1)]
    return components


def _floats(pixels: np.ndarray) -> Tensor:
    return torch.from_numpy(pixels.astype(np.float32))


def _some(n: int, most: int, rng: np.random.Generator) -> np.ndarray:
    """Return the indices of at most `most` of `n` members, drawn without repetition."""
    return rng.choice(n, min(n, most), replace=False)


def _on_grid(values: np.ndarray) -> np.ndarray:
    """Round to multiples of `STEP`, in float64."""
    return np.rint(values.astype(np.float64) / STEP) * STEP
