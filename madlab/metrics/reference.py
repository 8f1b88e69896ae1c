"""The fixed real side of every score, and the scores themselves."""

import functools
import hashlib
from typing import NamedTuple

import numpy as np

from madlab.data.samples import Samples
from madlab.metrics import frechet
from madlab.metrics.features import feature_map, read
from madlab.metrics.neighbours import distinct, neighbours, squared_radii
from madlab.metrics.scores import Scores
from madlab.streams import generator


class _RealSide(NamedTuple):
    features: np.ndarray
    moments: frechet.Moments
    radii: np.ndarray


class Reference:
    """The held-out samples that scores are taken against, and what is computed of them once.

    - `held_out`: samples that no model is trained on: uint8 images `(n, 28, 28)` or points.
    - `n_evaluate`: how many of them are used, and how many samples every set to measure must
      have: the scores depend on both sizes. All are used where there are no more; otherwise the
      first `n_evaluate` of one fixed permutation, the same for every generation and chain.
    - `features`: "lenet" for digits or "points" for points.
    - `k`: which nearest neighbour a ball reaches to.

    The real side is embedded when it is first needed, once for all references that are equal.

    Raises ValueError for sizes that do not fit, KeyError for unknown features.
    """

    def __init__(
        self, held_out: Samples, n_evaluate: int = 10_000, features: str = "lenet", k: int = 5
    ) -> None:
        there = len(held_out.images)
        if not k < n_evaluate <= there:
            raise ValueError(
                f"n_evaluate is {n_evaluate}; it must be more than k = {k} and at most {there}, "
                "the number of held-out samples"
            )
        self._map = feature_map(features)
        chosen = np.arange(there)
        if n_evaluate < there:
            order = generator(0, "reference").random(there).argsort(kind="stable")
            chosen = np.sort(order[:n_evaluate])
        self.images = held_out.images[chosen]
        self.n_evaluate = int(n_evaluate)
        self.k = int(k)

    @property
    def features(self) -> str:
        """The name of the features, with a hash of their weights: goes on every record."""
        return self._map.name

    @functools.cached_property
    def id(self) -> str:
        """A name for the held-out content, n_evaluate, k and features, 16 hexadecimal digits."""
        held = self.images
        words = f"{held.dtype.str} {held.shape} {self.n_evaluate} {self.k} {self.features} "
        content = np.ascontiguousarray(held).tobytes()
        return hashlib.sha256(words.encode() + content).hexdigest()[:16]

    def measure(self, samples: Samples) -> Scores:
        """Return the scores of `n_evaluate` samples of the kind that is held out.

        Real training digits measured in the same way give the floor: what a perfect model gets.

        Raises ValueError where the number of samples is not `n_evaluate`, where labels do not
        match, and for features that are not finite, naming the first rows.
        """
        n = len(samples.images)
        if n != self.n_evaluate:
            raise ValueError(
                f"{n} samples were given; this reference measures {self.n_evaluate}, because "
                "scores of different sizes must not be compared"
            )
        real = _real_side(self)
        features = self._map.embed(samples.images)
        found = neighbours(real.features, features, self.k, real.radii)
        return Scores(
            fd=frechet.distance(real.moments, frechet.moments(features, "synthetic features")),
            precision=found.precision,
            recall=found.recall,
            density=found.density,
            coverage=found.coverage,
            read=self._read_share(samples),
            duplicates=n - len(distinct(samples.images)[0]),
        )

    def _read_share(self, samples: Samples) -> float:
        if samples.labels is None or self.features == "points":
            return float("nan")
        if samples.labels.shape != (len(samples.images),):
            raise ValueError(
                f"labels have shape {samples.labels.shape}; {len(samples.images)} samples need "
                f"shape ({len(samples.images)},)"
            )
        return float((read(samples.images) == samples.labels).mean())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Reference) and self.id == other.id

    def __hash__(self) -> int:
        return hash(self.id)


@functools.lru_cache(maxsize=4)
def _real_side(reference: Reference) -> _RealSide:
    features = reference._map.embed(reference.images)
    moments = frechet.moments(features, "real features")
    return _RealSide(features, moments, squared_radii(features, reference.k))
