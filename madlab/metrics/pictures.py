"""Scores of small sets of colour pictures, where every number needs its error or its floor."""

import functools
import hashlib
from typing import NamedTuple

import numpy as np

from madlab.data.samples import Dataset, Samples
from madlab.metrics import frechet
from madlab.metrics.distances import Memorisation, mean_distance
from madlab.metrics.features import Features, feature_map
from madlab.metrics.kernel import kernel_distance
from madlab.metrics.neighbours import distinct, neighbours, squared_radii
from madlab.metrics.picture_features import COMPONENTS, Appearance, PcaFeatures
from madlab.metrics.scores import Scores
from madlab.streams import generator

DRAWS = 10


class _Draw(NamedTuple):
    generated: np.ndarray
    held_out: np.ndarray
    radii: np.ndarray


class _RealSide(NamedTuple):
    features: np.ndarray
    mean: np.ndarray
    axes: np.ndarray
    moments: frechet.Moments
    floor: float
    look: np.ndarray
    draws: list[_Draw]
    distance: float
    memorisation: Memorisation


class PictureReference:
    """The real pictures that scores are taken against, and what is computed of them once.

    Training and held-out pictures never mix: scores compare with held-out ones; training ones give
    the floor, the axes and the scales of features, and what could have been copied.

    - `data`: training pool and held-out set, uint8 `(n, h, w, 3)` of one size.
    - `n_evaluate`: how many samples every set to measure must have, more than k and at most the
      size of the training pool, whose first `n_evaluate` of a fixed permutation give the floor.
    - `features`: "efficientnet", "inception", "dinov2" or "pca", for `kid` and `fd`; precision and
      the like are taken on `Appearance`, but with "pca", which needs no weights, on these as well.
    - `k`: which nearest neighbour a ball reaches to.

    Raises ValueError for sizes that do not fit, TypeError for other pictures, KeyError for unknown
    features, OSError where weights are missing.
    """

    def __init__(
        self, data: Dataset, n_evaluate: int = 800, features: str = "efficientnet", k: int = 5
    ) -> None:
        held_out = data.held_out.images
        for what, images in (("training", data.images), ("held-out", held_out)):
            if images.dtype != np.uint8 or images.ndim != 4 or images.shape[3] != 3:
                raise TypeError(
                    f"{what} pictures must be uint8 (n, height, width, 3), not {images.dtype} of "
                    f"shape {images.shape}"
                )
        if not k < n_evaluate <= len(data):
            raise ValueError(
                f"n_evaluate is {n_evaluate}; it must be more than k = {k} and at most "
                f"{len(data)}, the training pictures, as many of which give the floor"
            )
        if len(held_out) <= k:
            raise ValueError(
                f"there are {len(held_out)} held-out pictures; k = {k} neighbours need at least "
                f"{k + 1}"
            )
        self.data = data
        self.images = held_out
        self.n_evaluate = int(n_evaluate)
        self.k = int(k)
        self._map: Features = feature_map(features, data.images)
        self._layout = PcaFeatures(data.images)
        self._look: Features = self._layout if features == "pca" else Appearance(data.images)

    @property
    def features(self) -> str:
        """The names of the feature maps, with hashes of weights and of what they are fitted to."""
        names = [self._map.name, self._look.name, self._layout.name]
        return " ".join(dict.fromkeys(names))

    @functools.cached_property
    def id(self) -> str:
        """A name for the data, n_evaluate, k and features, 16 hexadecimal digits."""
        words = f"pictures {self.data.id} {self.n_evaluate} {self.k} {self.features}"
        return hashlib.sha256(words.encode()).hexdigest()[:16]

    def measure(self, samples: Samples) -> Scores:
        """Return the scores of `n_evaluate` pictures of the size of the real ones.

        Raises ValueError where the number or the size of pictures differs, TypeError for others.
        """
        images = samples.images
        n = len(images)
        if n != self.n_evaluate:
            raise ValueError(
                f"{n} samples were given; this reference measures {self.n_evaluate}, because "
                "scores of different sizes must not be compared"
            )
        if images.shape[1:] != self.images.shape[1:] or images.dtype != np.uint8:
            raise TypeError(
                f"samples are {images.dtype} of shape {images.shape}; they must be uint8 "
                f"(n, {', '.join(map(str, self.images.shape[1:]))}) as the held-out pictures"
            )
        real = _real_side(self)
        features = self._map.embed(images)
        kid = kernel_distance(real.features, features)
        projected = (features - real.mean) @ real.axes
        fd = frechet.distance(real.moments, frechet.moments(projected, "synthetic features"))
        look = self._look.embed(images)
        found = np.array(
            [
                neighbours(real.look[draw.held_out], look[draw.generated], self.k, draw.radii)
                for draw in real.draws
            ]
        )
        precision, recall, density, coverage = found.mean(0).tolist()
        one = n == len(self.images)
        errors = [float("nan")] * 2 if one else found[:, :2].std(0, ddof=1).tolist()
        return Scores(
            kid=kid.kid,
            kid_error=kid.error,
            fd=fd,
            fd_ratio=fd / real.floor,
            precision=precision,
            recall=recall,
            density=density,
            coverage=coverage,
            precision_error=errors[0],
            recall_error=errors[1],
            distance=mean_distance(self._layout.embed(images)) / real.distance,
            memorisation=real.memorisation.ratio(images),
            duplicates=n - len(distinct(images)[0]),
        )

    def __eq__(self, other: object) -> bool:
        return isinstance(other, PictureReference) and self.id == other.id

    def __hash__(self) -> int:
        return hash(self.id)


@functools.lru_cache(maxsize=4)
def _real_side(reference: PictureReference) -> _RealSide:
    images, n, k = reference.images, reference.n_evaluate, reference.k
    chosen = np.sort(generator(0, "floor").permutation(len(reference.data))[:n])
    training = reference._map.embed(reference.data.images[chosen]).astype(np.float64)
    features = reference._map.embed(images)
    mean = training.mean(0)
    axes = np.linalg.svd(training - mean, full_matrices=False)[2][:COMPONENTS].T
    moments = frechet.moments((features - mean) @ axes, "held-out features")
    floor = frechet.distance(moments, frechet.moments((training - mean) @ axes, "training"))
    look = reference._look.embed(images)
    m = min(n, len(images))
    draws = []
    for i in range(DRAWS):
        generated, held_out = (
            np.sort(generator(0, "draw", i, side).permutation(size)[:m])
            for side, size in (("generated", n), ("held out", len(images)))
        )
        draws.append(_Draw(generated, held_out, squared_radii(look[held_out], k)))
    return _RealSide(
        features=features,
        mean=mean,
        axes=axes,
        moments=moments,
        floor=floor,
        look=look,
        draws=draws,
        distance=mean_distance(reference._layout.embed(images)),
        memorisation=Memorisation(reference.data.images, images),
    )
