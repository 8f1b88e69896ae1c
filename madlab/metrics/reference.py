"""The fixed real side of every score, and the scores themselves."""

import functools
import hashlib
import math
import pkgutil
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from madlab import checks
from madlab.data.samples import Dataset, Samples
from madlab.metrics.features import Features, feature_map, read
from madlab.metrics.frechet import distance, moments
from madlab.metrics.neighbours import distinct, neighbours, squared_radii
from madlab.metrics.own import OwnScore
from madlab.metrics.scores import Scores, kind_of, side_of
from madlab.streams import generator

N_EVALUATE = 10_000

Scorer = Callable[[Samples], dict[str, float]]


class Reference:
    """The real samples that scores are taken against, and what is computed of them once.

    Digits and points are scored against as many held-out samples, other pictures as
    `madlab.metrics.small_sets.SmallSets` says.

    - `data`: a data set, or of digits and points its held-out samples alone, which no model is
      trained on: uint8 images `(n, 28, 28)`, points `(n, d)` or uint8 pictures `(n, h, w)` or
      `(n, h, w, 3)`.
    - `n_evaluate`: how many samples every set to measure must have, since scores depend on it: more
      than k, and at most the held-out samples, of which as many are used, the first of one fixed
      permutation; of pictures at most the training ones, of which as many give the floor. None
      takes 10,000, or as many as there are.
    - `features`: a name in `madlab.metrics.scores.KINDS`; None takes the first of its kind of data.
      Digits, and what has their size, can be looked at as pictures are. Or `OwnFeatures`.
    - `scores`: scores of one's own besides.
    - `k`: which nearest neighbour a ball reaches to.

    Its `features` are the names of all feature maps, with hashes of weights and of what they are
    fitted to. The real side is embedded when it is first needed, once for all equal references.

    Raises ValueError for sizes that do not fit, TypeError for samples that nothing scores, KeyError
    for unknown features, OSError where weights are missing.
    """

    def __init__(
        self,
        data: Dataset | Samples,
        n_evaluate: int | None = None,
        features: str | Features | None = None,
        k: int = 5,
        scores: Sequence[OwnScore] = (),
    ) -> None:
        where, looked = side_of(data.images, features)
        side: Any = pkgutil.resolve_name(f"madlab.metrics.{where}")
        self._side = side(data, n_evaluate, looked, k)
        if isinstance(data, Dataset):
            _check_alike(data.images, data.held_out.images)
        self.images: np.ndarray = self._side.images
        self.n_evaluate: int = self._side.n
        self.k: int = self._side.k
        self.features: str = self._side.features
        self.scores = tuple(scores)
        wrong = [one for one in self.scores if not isinstance(one, OwnScore)]
        if wrong:
            raise TypeError(
                f"scores hold {wrong[0]!r}; give madlab.metrics.OwnScore(name, function)"
            )
        if not isinstance(looked, str):
            # What is wrong with it shows before anything is trained.
            feature_map(looked).embed(self.images[:2])
        # Whether its id names the held-out samples by the data set's id, or by their content.
        self.held_out_by_id: bool = self._side.held_out_by_id

    @functools.cached_property
    def id(self) -> str:
        """A name for the real samples, n_evaluate, k, features and scores of one's own.

        16 hexadecimal digits.
        """
        own = "".join(f" {one.id}" for one in self.scores)
        return hashlib.sha256(self._side.content() + own.encode()).hexdigest()[:16]

    def measure(self, samples: Samples) -> Scores:
        """Return the scores of `n_evaluate` samples of the kind that is held out.

        Real training samples measured in the same way give the floor: what a perfect model gets.

        Raises ValueError for another number of samples, labels that do not match and features that
        are not finite, naming the first rows; TypeError for pictures of another size.
        """
        n = len(samples.images)
        if n != self.n_evaluate:
            raise ValueError(
                f"{n} samples were given; this reference measures {self.n_evaluate}, because "
                "scores of different sizes must not be compared"
            )
        found = _scorer(self, self._side.key())(samples)
        found |= {one.name: one.measure(samples, self.images) for one in self.scores}
        return Scores(**found, duplicates=n - len(distinct(samples.images)[0]))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Reference) and self.id == other.id

    def __hash__(self) -> int:
        return hash(self.id)


@functools.lru_cache(maxsize=4)
def _scorer(reference: Reference, key: str) -> Scorer:
    return reference._side.scorer()


def readings(samples: Samples) -> np.ndarray:
    """Return 1 where the separate classifier reads a sample as its label, else 0, float `(n,)`.

    NaN without labels, and for samples that nothing reads. Raises as `madlab.checks.labels` does.
    """
    n = len(samples.images)
    if samples.labels is None or not kind_of(samples.images).read:
        return np.full(n, math.nan)
    return np.asarray(read(samples.images) == checks.labels(samples.labels, n), float)


def sizes_of(n: int | None, k: int, most: int, what: str) -> tuple[int, int]:
    """Return n, the default for None, and k, or raise ValueError unless k < n <= `most`."""
    k = checks.count("k", k, least=1)
    n = min(N_EVALUATE, most) if n is None else checks.count("n_evaluate", n)
    if not k < n <= most:
        raise ValueError(
            f"n_evaluate is {n}; it must be more than k = {k} and at most {most}, {what}"
        )
    return n, k


def _check_alike(images: np.ndarray, held: Any) -> None:
    """Raise TypeError unless held-out samples are of the kind and size of the training ones."""
    found = (getattr(held, "dtype", type(held).__name__), np.shape(held))
    if found[0] != images.dtype or found[1][1:] != images.shape[1:]:
        raise TypeError(
            f"held-out samples are {found[0]} {found[1]}, training samples {images.dtype} "
            f"{images.shape}; they must be of one type and size"
        )


class Plain:
    """Many held-out samples, against which one set of as many is scored."""

    held_out_by_id = False

    def __init__(self, data: Dataset | Samples, n: int | None, features: Any, k: int) -> None:
        held_out = data.held_out if isinstance(data, Dataset) else data
        there = len(held_out.images)
        self.n, self.k = sizes_of(n, k, there, "the number of held-out samples")
        self._map = feature_map(features)
        self.features = self._map.name
        order = generator(0, "reference").random(there).argsort(kind="stable")
        self.images = held_out.images[np.sort(order[: self.n])]

    def key(self) -> str:
        """Return what tells this side from another of the same id: nothing, as all of it does."""
        return ""

    def content(self) -> bytes:
        """Return what the reference's id is made of."""
        held = self.images
        words = f"{held.dtype.str} {held.shape} {self.n} {self.k} {self.features} "
        return words.encode() + held.tobytes()

    def scorer(self) -> Scorer:
        """Return what scores samples, with all of the real side computed once."""
        real = self._map.embed(self.images)
        fitted, radii = moments(real, "real features"), squared_radii(real, self.k)

        def scores(samples: Samples) -> dict[str, float]:
            features = self._map.embed(samples.images)
            found = neighbours(real, features, self.k, radii)._asdict()
            fd = distance(fitted, moments(features, "synthetic features"))
            return {"fd": fd, **found, "read": float(readings(samples).mean())}

        return scores
