"""Mixtures of Gaussians: digits and points, both fitted in seconds."""

from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np

from madlab.data.samples import Samples
from madlab.models._mixture_images import Images, fit_images
from madlab.models._mixture_points import Points, fit_points
from madlab.models.base import (
    NotFittedError,
    Progress,
    check_bias,
    check_count,
    load_model,
    save_model,
)
from madlab.training import one_thread


class Mixture:
    """A mixture of Gaussians whose components' covariances are scaled by the sampling bias.

    **Points** `(n, d)` get `components` Gaussians with full covariances, by expectation
    maximisation from a k-means++ start (`madlab.models.em`); `rank` and `tone` do not concern them,
    and they have no labels. A point is drawn from N(mean, bias * covariance) of a component.
    Standard deviations below 1e-5 are raised to it, so give points in units of their own size.

    **Images** get, for each class, a mixture in pixel space whose Gaussians have a low rank. The
    images of a class are split by k-means; each cluster gets a probabilistic PCA, that is
    a mean and `rank` loadings W found from the cluster's covariance. An image is
    `mean + sqrt(bias) * W z` with standard normal z. Either way **bias scales the covariance of
    every component**, so that towards 0 only the component means remain.

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
    version: ClassVar[int] = 1
    conditional: ClassVar[bool] = True
    biased: ClassVar[bool] = True
    follows_noise: ClassVar[bool] = False

    def __init__(self, components: int = 20, rank: int = 15, tone: bool = True) -> None:
        self.components = check_count("components", components, 1)
        self.rank = check_count("rank", rank, 1)
        if not isinstance(tone, bool):
            raise TypeError(f"tone must be True or False, not {tone!r}")
        self.tone = tone
        self._fitted: Images | Points | None = None

    @property
    def settings(self) -> dict[str, Any]:
        """The numbers of components and loadings, and whether the tone curve is used."""
        return {"components": self.components, "rank": self.rank, "tone": self.tone}

    @one_thread()
    def fit(
        self,
        images: np.ndarray,
        labels: np.ndarray | None = None,
        *,
        seed: int,
        progress: Progress | None = None,
        checkpoint: Path | None = None,
    ) -> None:
        """Fit from nothing.

        - `images`: uint8 `(n, height, width)`, n of at least 1; or float64 points `(n, d)`, finite,
          n of at least `components`.
        - `labels`: of images, whole numbers `(n,)` of at least 0, or None for one class without a
          label; of points, None.
        - `seed`: names the start of k-means or EM and the images that basis and tone are taken
          from.
        - `progress`: called with the fraction done, after each class of images;
          `checkpoint`: not used, as there is little to lose.

        Raises TypeError or ValueError for images, points or labels of another kind.
        """
        self._fitted = None
        found = np.asarray(images)
        fitted: Images | Points
        if found.dtype == np.float64:
            fitted = fit_points(found, labels, seed, progress, components=self.components)
        elif found.dtype == np.uint8:
            fitted = fit_images(found, labels, seed, progress, **self.settings)
        else:
            raise TypeError(
                "a mixture is fitted to uint8 images (n, height, width) or to float64 points "
                f"(n, d), not to {found.dtype} of shape {found.shape}"
            )
        if progress:
            progress(1.0)
        self._fitted = fitted

    @one_thread()
    def sample(
        self, n: int, *, bias: float = 1.0, seed: int, labels: np.ndarray | None = None
    ) -> Samples:
        """Draw `n` images, uint8 `(n, height, width)`, or points, float64 `(n, d)`.

        - `bias`: in (0, 1], the factor on the covariance of every component.
        - `labels`: of images, whole numbers `(n,)` among the labels of the training images; None
          draws them from the training frequencies.

        Raises ValueError or TypeError for bad arguments, NotFittedError before `fit`.
        """
        n, bias = check_count("n", n), check_bias(bias)
        if self._fitted is None:
            raise NotFittedError("this mixture has not been fitted: call fit(images, labels)")
        return self._fitted.draw(n, bias, seed, labels)

    def save(self, folder: Path) -> None:
        """Write the fitted model into an existing folder."""
        if self._fitted is None:
            raise NotFittedError("this mixture has not been fitted: there is nothing to save")
        save_model(Path(folder), self, self._fitted.tensors())

    @classmethod
    def from_folder(cls, folder: Path) -> Self:
        """Read what `save` wrote."""
        settings, tensors = load_model(Path(folder), cls)
        model = cls(**settings)
        kind = Points if "covariances" in tensors else Images
        model._fitted = kind.from_tensors(tensors)
        return model
