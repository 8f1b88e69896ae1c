"""Mixtures of Gaussians: points, and digits with clusters in each class; fitted in seconds."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from madlab import checks
from madlab.data.samples import Samples
from madlab.models import em
from madlab.models.base import Arrays, Base, How, Labels, labels_of_samples, setting, to_bytes
from madlab.streams import derive, generator
from madlab.training import one_thread

DIMENSIONS = 64
ROUNDS = 15
BASIS_IMAGES = 3_000
TONE_IMAGES = 2_000
# Means, loadings and latent numbers are multiples of this step. Their sums of products then fit
# into a float64 exactly, so that no image depends on how many others are computed beside it.
STEP = 2.0**-16


@dataclass(eq=False)
class Mixture(Base):
    """A mixture of Gaussians whose components' covariances are scaled by the sampling bias.

    **Points**, float64 `(n, d)`, n at least `components`, get `components` Gaussians with full
    covariances (`madlab.models.em`), and have no labels. Standard deviations below 1e-5 are raised
    to it, so give points in units of their own size.

    **Images**, uint8 `(n, height, width)`, are split by k-means in each class, or all together
    without labels. Each cluster gets a probabilistic PCA in pixel space (Tipping & Bishop, Neural
    Computation 11, 1999): an image is `mean + sqrt(bias) * W z`, W its `rank` loadings, z standard
    normal. Either way **bias scales the covariance of every component**, so that towards 0 only the
    component means remain.

    Two choices shape what is seen of images. The isotropic noise of probabilistic PCA is estimated
    but not sampled: as grain on each pixel it would make every digit look like none. And a `tone`
    curve, one monotone map of grey levels, gives the samples at bias 1 the grey levels of the
    training images: sums of loadings blur ink into fog, and fog on fog would hide every other
    effect after a few generations.

    - `components`: Gaussians, at least 1; of images, clusters a class, fewer where a class has
      fewer than `rank + 1` images for each.

    It runs on one thread of the CPU: small matrices gain nothing from more, and need float64.
    """

    name: ClassVar[str] = "mixture"
    conditional: ClassVar[bool] = True
    follows_noise: ClassVar[bool] = False

    components: int = setting(20, checks.count, least=1)
    rank: int = setting(15, checks.count, least=1)
    tone: bool = setting(True, checks.flag)

    def _checked(self, images: np.ndarray, labels: Labels) -> tuple[np.ndarray, Labels]:
        if images.dtype == np.float64:
            _refuse_labels(labels, "a mixture of points knows no labels: leave them out")
            return checks.points(images, least=self.components), None
        images = checks.pictures(images, name="images of a mixture", colour=False, least=1)
        return images, None if labels is None else checks.labels(labels, len(images))

    @one_thread()
    def _fit(self, images: np.ndarray, labels: Labels, how: How) -> Arrays:
        if images.dtype == np.uint8:
            return self._fit_images(images, labels, how)
        how.progress(0.0)
        # A copy: torch warns of arrays that cannot be written to.
        found = em.fit(torch.tensor(images)[None], self.components, [how.seed])
        how.progress(1.0)
        return {name: getattr(found, name)[0].numpy() for name in found._fields[:3]}

    def _fit_images(self, images: np.ndarray, labels: Labels, how: How) -> Arrays:
        """Return m components in all, sorted by class.

        - `classes`: int64 `(c,)`, the labels seen, ascending; `frequencies`: float64 `(c,)`.
        - `owner`: int64 `(m,)`, the index of each component's class; `weights`: `(m,)` within it.
        - `means`: float32 `(m, pixels)`; `loadings`: float32 `(m, rank, pixels)`.
        - `tone`: uint8 `(256,)`, the grey level shown for each grey level computed.
        """
        n, rank, seed = len(images), self.rank, how.seed
        given = np.zeros(n, np.int64) if labels is None else labels
        pixels = images.reshape(n, -1)
        classes, counts = np.unique(given, return_counts=True)

        # Leading principal axes of some training images.
        some = _floats(pixels[_some(n, BASIS_IMAGES, generator(seed, "mixture", "basis"))])
        centre = some.mean(0)
        some -= centre
        axes = _eigen(some.T @ some)[1].flip(1)
        basis = axes[:, : max(DIMENSIONS, 2 * rank)].contiguous()

        parts = []
        for index, label in enumerate(classes):
            members = _floats(pixels[given == label])
            scores = (members - centre) @ basis
            k = min(self.components, max(1, len(members) // (rank + 1)))
            clusters = k_means(scores, k, generator(seed, "mixture", "k-means", int(label)))
            for cluster in np.unique(clusters):
                inside = (clusters == cluster).nonzero()[:, 0]
                found = principal_loadings(members[inside], scores[inside], rank)
                parts.append((index, len(inside) / len(members), *found))
            how.progress((index + 1) / (len(classes) + 1))
        owner, weights, means, loadings = zip(*parts, strict=True)

        fitted = {
            "classes": classes,
            "frequencies": counts / n,
            "owner": np.array(owner),
            "weights": np.array(weights),
            "means": _on_grid(torch.stack(means).numpy()).astype(np.float32),
            "loadings": _on_grid(torch.stack(loadings).numpy()).astype(np.float32),
            "tone": np.arange(256, dtype=np.uint8),
            "shape": np.array(images.shape[1:]),
            "labelled": np.array([labels is not None]),
        }
        if self.tone:
            rows = _some(n, TONE_IMAGES, generator(seed, "mixture", "tone"))
            drawn = _pixels(fitted, given[rows], 1.0, derive(seed, "mixture", "tone"))
            fitted["tone"] = tone_curve(drawn, pixels[rows])
        how.progress(1.0)
        return fitted

    @one_thread()
    def _draw(self, found: Arrays, n: int, bias: float, seed: int, labels: Labels) -> Samples:
        if "covariances" in found:
            _refuse_labels(labels, "a mixture of points knows no labels: leave them out")
            parts = {name: torch.from_numpy(array)[None] for name, array in found.items()}
            noise = em.noise([seed], n, found["means"].shape[1])
            drawn = em.draw(em.Fitted(**parts, rounds=torch.zeros(1)), *noise, bias)
            return Samples(drawn[0].numpy())
        if found["labelled"][0]:
            frequencies = np.zeros(found["classes"][-1] + 1)
            frequencies[found["classes"]] = found["frequencies"]
            rng = generator(seed, "mixture", "labels")
            labels = labels_of_samples(labels, n, frequencies, rng)
        else:
            _refuse_labels(labels, "labels are given, but this mixture was fitted without labels")
        pixels = _pixels(found, np.zeros(n, np.int64) if labels is None else labels, bias, seed)
        return Samples(found["tone"][pixels].reshape(n, *found["shape"].tolist()), labels)


def _refuse_labels(labels: Labels, reason: str) -> None:
    if labels is not None:
        raise ValueError(reason)


def k_means(points: Tensor, k: int, rng: np.random.Generator) -> Tensor:
    """Return the cluster below `k`, `(n,)`, of each point after `ROUNDS` of Lloyd's algorithm.

    It starts from points drawn at random. A centre that loses all its points stays where it is.
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

    - `members`: `(n, pixels)`, the images of one cluster; `scores`: `(n, d)`, the same along a few
      common axes. Their leading directions are a start that one step of subspace iteration carries
      into pixel space, to within about a percent of a full decomposition's loadings.

    Loadings are `sqrt(variance - noise)` times the principal axes, with the likeliest noise, the
    mean of the variances left out; those that the cluster is too small to show are 0.
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

    Level v of `drawn` becomes the level of `wanted` with as large a share of pixels below it.
    """
    have = np.bincount(drawn.ravel(), minlength=256) / drawn.size
    want = np.bincount(wanted.ravel(), minlength=256) / wanted.size
    levels = np.searchsorted(np.cumsum(want), np.cumsum(have) - have / 2)
    return np.minimum(levels, 255).astype(np.uint8)


def _pixels(fitted: Arrays, labels: np.ndarray, bias: float, seed: int) -> np.ndarray:
    """Draw one image a label, uint8 `(n, pixels)`, before the tone curve."""
    n = len(labels)
    components = _choose(fitted, labels, generator(seed, "mixture", "components").random(n))
    means, loadings = (torch.from_numpy(fitted[name]) for name in ("means", "loadings"))
    noise = generator(seed, "mixture", "latents").standard_normal((n, loadings.shape[1]))
    latents = _on_grid(np.sqrt(bias) * noise)
    images = np.empty((n, means.shape[1]), np.uint8)
    for component in np.unique(components):
        rows = components == component
        z = torch.from_numpy(latents[rows])
        drawn = means[component].double() + z @ loadings[component].double()
        images[rows] = to_bytes(drawn.numpy())
    return images


def _choose(fitted: Arrays, labels: np.ndarray, uniform: np.ndarray) -> np.ndarray:
    """Return a component for each label, from one uniform number each."""
    components = np.empty(len(labels), np.int64)
    for index, label in enumerate(fitted["classes"]):
        rows = labels == label
        own = np.flatnonzero(fitted["owner"] == index)
        edges = np.cumsum(fitted["weights"][own])
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
