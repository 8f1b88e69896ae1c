"""Mixtures of Gaussians: digits and points, both fitted in seconds."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch

from madlab import checks
from madlab.data.samples import Samples
from madlab.models import em
from madlab.models._mixture_images import Images, fit_images
from madlab.models.base import Arrays, Base, How, Labels, setting
from madlab.training import one_thread


@dataclass(eq=False)
class Mixture(Base):
    """A mixture of Gaussians whose components' covariances are scaled by the sampling bias.

    **Points**, float64 `(n, d)`, n at least `components`, get `components` Gaussians with full
    covariances, by expectation maximisation from a k-means++ start (`madlab.models.em`); `rank` and
    `tone` do not concern them, and they have no labels. A point is drawn from
    N(mean, bias * covariance) of a component. Standard deviations below 1e-5 are raised to it, so
    give points in units of their own size.

    **Images**, uint8 `(n, height, width)`, n at least 1, get, for each class, a mixture in pixel
    space whose Gaussians have a low rank. The images of a class are split by k-means; each cluster
    gets a probabilistic PCA, that is a mean and `rank` loadings W found from the cluster's
    covariance. An image is `mean + sqrt(bias) * W z` with standard normal z. Either way **bias
    scales the covariance of every component**, so that towards 0 only the component means remain.

    Two choices shape what is seen of images. The isotropic noise of probabilistic PCA is estimated
    but not sampled: as independent grain on each pixel it would make every digit look like none.
    And a tone curve, one monotone map of grey levels found by `fit`, gives the samples at
    bias 1 the grey levels of the training images: sums of loadings blur ink into fog, and fog
    on fog would hide every other effect after a few generations.

    - `components`: Gaussians, at least 1; of images, clusters a class, fewer where a class has
      fewer than `rank + 1` images for each.
    - `rank`: loadings a component of images, at least 1.
    - `tone`: False leaves the tone curve of images out.

    The model always runs on one thread of the CPU: its many small matrices gain nothing from more,
    and need float64, which Apple's GPUs lack. Without labels all images form one class.

    Source: Tipping & Bishop, "Mixtures of Probabilistic Principal Component Analysers",
    Neural Computation 11 (1999); for images k-means takes the place of their EM.
    """

    name: ClassVar[str] = "mixture"
    conditional: ClassVar[bool] = True
    follows_noise: ClassVar[bool] = False

    components: int = setting(20, checks.count, least=1)
    rank: int = setting(15, checks.count, least=1)
    tone: bool = setting(True, checks.flag)

    def _checked(self, images: np.ndarray, labels: Labels) -> tuple[np.ndarray, Labels]:
        if images.dtype == np.float64:
            _refuse_labels(labels)
            return checks.points(images, least=self.components), None
        images = checks.pictures(images, name="images of a mixture", colour=False, least=1)
        return images, None if labels is None else checks.labels(labels, len(images))

    @one_thread()
    def _fit(self, images: np.ndarray, labels: Labels, how: How) -> Arrays:
        if images.dtype == np.uint8:
            fitted = fit_images(images, labels, how.seed, how.progress, **self.settings)
            how.progress(1.0)
            return fitted._asdict()
        how.progress(0.0)
        # A copy: torch warns of arrays that cannot be written to.
        found = em.fit(torch.tensor(images)[None], self.components, [how.seed])
        how.progress(1.0)
        parts = found._asdict()
        return {name: parts[name][0].numpy() for name in ("weights", "means", "covariances")}

    @one_thread()
    def _draw(self, found: Arrays, n: int, bias: float, seed: int, labels: Labels) -> Samples:
        if "covariances" not in found:
            return Images(**found).draw(n, bias, seed, labels)
        _refuse_labels(labels)
        parts = {name: torch.from_numpy(array)[None] for name, array in found.items()}
        fitted = em.Fitted(**parts, rounds=torch.zeros(1))
        noise = em.noise([seed], n, found["means"].shape[1])
        return Samples(em.draw(fitted, *noise, bias)[0].numpy())


def _refuse_labels(labels: Labels) -> None:
    if labels is not None:
        raise ValueError("a mixture of points knows no labels: leave them out")
