"""The fixed real side of every score, and the scores themselves."""

import functools
import hashlib
from typing import NamedTuple

import numpy as np

from madlab import checks
from madlab.data.samples import Dataset, Samples
from madlab.metrics import frechet
from madlab.metrics.distances import Memorisation, mean_distance
from madlab.metrics.features import Features, feature_map, read
from madlab.metrics.kernel import kernel_distance
from madlab.metrics.neighbours import distinct, neighbours, squared_radii
from madlab.metrics.picture_features import COMPONENTS, Appearance, PcaFeatures
from madlab.metrics.scores import Scores, kind_of
from madlab.streams import generator

N_EVALUATE = 10_000
DRAWS = 10
NAN = float("nan")


class Reference:
    """The real samples that scores are taken against, and what is computed of them once.

    Digits and points are scored against as many held-out samples. Colour pictures are scored as
    small sets are, where every number needs its error or its floor: against all held-out ones,
    while training ones give the floor, the axes and the scales of features, and what could have
    been copied; the two never mix.

    - `data`: a data set, or of digits and points its held-out samples alone, which no model is
      trained on: uint8 images `(n, 28, 28)`, points `(n, d)` or uint8 pictures `(n, h, w, 3)`.
    - `n_evaluate`: how many samples every set to measure must have, since scores depend on it: more
      than k, and at most the held-out samples, of which as many are used, the first of one fixed
      permutation; of pictures at most the training ones, of which as many give the floor. None
      takes 10,000, or as many as there are.
    - `features`: a name in `madlab.metrics.scores.KINDS`; None takes "lenet" for digits, "points"
      for points and "efficientnet" for pictures. Of pictures they are for `kid` and `fd`: precision
      and the like are taken on `Appearance`, but with "pca", which needs no weights, on these too.
    - `k`: which nearest neighbour a ball reaches to.

    The real side is embedded when it is first needed, once for all references that are equal.

    Raises ValueError for sizes that do not fit, TypeError for samples that nothing scores, KeyError
    for unknown features, OSError where weights are missing.
    """

    def __init__(
        self,
        data: Dataset | Samples,
        n_evaluate: int | None = None,
        features: str | None = None,
        k: int = 5,
    ) -> None:
        kind = kind_of(data.images)
        side = _SIDES[kind.side]
        self._side = side(data, n_evaluate, features or next(iter(kind.features)), k)
        self.images = self._side.images
        self.n_evaluate = self._side.n
        self.k = self._side.k

    @property
    def features(self) -> str:
        """The names of the feature maps, with hashes of weights and of what they are fitted to."""
        return self._side.features

    @functools.cached_property
    def id(self) -> str:
        """A name for the real samples, n_evaluate, k and features, 16 hexadecimal digits."""
        return hashlib.sha256(self._side.content()).hexdigest()[:16]

    def measure(self, samples: Samples) -> Scores:
        """Return the scores of `n_evaluate` samples of the kind that is held out.

        Real training samples measured in the same way give the floor: what a perfect model gets.

        Raises ValueError where the number of samples is not `n_evaluate`, where labels do not
        match, and for features that are not finite, naming the first rows; TypeError for pictures
        of another size.
        """
        n = len(samples.images)
        if n != self.n_evaluate:
            raise ValueError(
                f"{n} samples were given; this reference measures {self.n_evaluate}, because "
                "scores of different sizes must not be compared"
            )
        found = _shared(self).measure(samples)
        return Scores(**found, duplicates=n - len(distinct(samples.images)[0]))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Reference) and self.id == other.id

    def __hash__(self) -> int:
        return hash(self.id)


def picture_reference(
    data: Dataset, n_evaluate: int = 800, features: str = "efficientnet", k: int = 5
) -> Reference:
    """Return a `Reference` of pictures as version 0.4's `PictureReference` had it, for 800."""
    return Reference(data, n_evaluate, features, k)


def readings(samples: Samples) -> np.ndarray:
    """Return 1 where a separate classifier reads a sample as its label, 0 elsewhere, float `(n,)`.

    NaN without labels, and for samples that nothing reads. Raises ValueError or TypeError where
    labels do not match.
    """
    n = len(samples.images)
    if samples.labels is None or not kind_of(samples.images).read:
        return np.full(n, NAN)
    return np.asarray(read(samples.images) == checks.labels(samples.labels, n), float)


class _Plain:
    """Many held-out samples, against which one set of as many is scored."""

    def __init__(self, data: Dataset | Samples, n: int | None, features: str, k: int) -> None:
        held_out = data.held_out if isinstance(data, Dataset) else data
        there = len(held_out.images)
        self.n, self.k = _sizes(n, k, there, "the number of held-out samples")
        self._map = feature_map(features)
        self.features = self._map.name
        chosen = np.arange(there)
        if self.n < there:
            order = generator(0, "reference").random(there).argsort(kind="stable")
            chosen = np.sort(order[: self.n])
        self.images = held_out.images[chosen]

    def content(self) -> bytes:
        held = self.images
        words = f"{held.dtype.str} {held.shape} {self.n} {self.k} {self.features} "
        return words.encode() + np.ascontiguousarray(held).tobytes()

    @functools.cached_property
    def _real(self) -> tuple[np.ndarray, frechet.Moments, np.ndarray]:
        features = self._map.embed(self.images)
        return features, frechet.moments(features, "real features"), squared_radii(features, self.k)

    def measure(self, samples: Samples) -> dict[str, float]:
        real, moments, radii = self._real
        features = self._map.embed(samples.images)
        found = neighbours(real, features, self.k, radii)
        fd = frechet.distance(moments, frechet.moments(features, "synthetic features"))
        return {"fd": fd, **found._asdict(), "read": float(readings(samples).mean())}


class _Draw(NamedTuple):
    generated: np.ndarray
    held_out: np.ndarray
    radii: np.ndarray


class _Floor(NamedTuple):
    mean: np.ndarray
    axes: np.ndarray
    moments: frechet.Moments
    distance: float


class _SmallSets:
    """Few held-out pictures, and training ones that say how far apart real sets are."""

    def __init__(self, data: Dataset | Samples, n: int | None, features: str, k: int) -> None:
        if not isinstance(data, Dataset):
            raise TypeError(
                "colour pictures are scored against training pictures as well as held-out ones: "
                "give the whole data set, not its held-out samples alone"
            )
        self.images = checks.pictures(data.held_out.images, name="held-out pictures", colour=True)
        self._training = checks.pictures(data.images, name="training pictures", colour=True)
        what = "the training pictures, as many of which give the floor"
        self.n, self.k = _sizes(n, k, len(data), what)
        if len(self.images) <= k:
            raise ValueError(
                f"there are {len(self.images)} held-out pictures; k = {k} neighbours need at least "
                f"{k + 1}"
            )
        self._data_id = data.id
        self._map: Features = feature_map(features, data.images)
        self._layout = PcaFeatures(data.images)
        self._look: Features = self._layout if features == "pca" else Appearance(data.images)
        names = [self._map.name, self._look.name, self._layout.name]
        self.features = " ".join(dict.fromkeys(names))

    def content(self) -> bytes:
        return f"pictures {self._data_id} {self.n} {self.k} {self.features}".encode()

    @functools.cached_property
    def _real(self) -> np.ndarray:
        return self._map.embed(self.images)

    @functools.cached_property
    def _real_look(self) -> np.ndarray:
        return self._look.embed(self.images)

    @functools.cached_property
    def _floor(self) -> _Floor:
        chosen = np.sort(generator(0, "floor").permutation(len(self._training))[: self.n])
        training = self._map.embed(self._training[chosen]).astype(np.float64)
        mean = training.mean(0)
        axes = np.linalg.svd(training - mean, full_matrices=False)[2][:COMPONENTS].T
        moments = frechet.moments((self._real - mean) @ axes, "held-out features")
        real = frechet.moments((training - mean) @ axes, "training")
        return _Floor(mean, axes, moments, frechet.distance(moments, real))

    @functools.cached_property
    def _draws(self) -> list[_Draw]:
        m = min(self.n, len(self.images))
        draws = []
        for i in range(DRAWS):
            generated, held_out = (
                np.sort(generator(0, "draw", i, side).permutation(size)[:m])
                for side, size in (("generated", self.n), ("held out", len(self.images)))
            )
            radii = squared_radii(self._real_look[held_out], self.k)
            draws.append(_Draw(generated, held_out, radii))
        return draws

    @functools.cached_property
    def _distance(self) -> float:
        return mean_distance(self._layout.embed(self.images))

    @functools.cached_property
    def _memorisation(self) -> Memorisation:
        return Memorisation(self._training, self.images)

    def measure(self, samples: Samples) -> dict[str, float]:
        height, width = self.images.shape[1:3]
        images = checks.pictures(samples.images, name="samples", colour=True, size=(height, width))
        features = self._map.embed(images)
        kid = kernel_distance(self._real, features)
        floor = self._floor
        projected = frechet.moments((features - floor.mean) @ floor.axes, "synthetic features")
        fd = frechet.distance(floor.moments, projected)
        return {
            "kid": kid.kid,
            "kid_error": kid.error,
            "fd": fd,
            "fd_ratio": fd / floor.distance,
            **self._shares(self._look.embed(images)),
            "distance": mean_distance(self._layout.embed(images)) / self._distance,
            "memorisation": self._memorisation.ratio(images),
        }

    def _shares(self, look: np.ndarray) -> dict[str, float]:
        """Return precision and the like, means over the draws, with the spread of the first two."""
        found = [
            neighbours(self._real_look[draw.held_out], look[draw.generated], self.k, draw.radii)
            for draw in self._draws
        ]
        means = dict(zip(found[0]._fields, np.mean(found, 0).tolist(), strict=True))
        # Draws of all pictures on both sides are one draw.
        one = self.n == len(self.images)
        errors = [NAN, NAN] if one else np.std(found, 0, ddof=1)[:2].tolist()
        return means | {"precision_error": errors[0], "recall_error": errors[1]}


_SIDES: dict[str, type[_Plain | _SmallSets]] = {"plain": _Plain, "small sets": _SmallSets}


def _sizes(n: int | None, k: int, most: int, what: str) -> tuple[int, int]:
    """Return n, the default for None, and k, or raise ValueError unless k < n <= `most`."""
    k = checks.count("k", k, least=1)
    n = min(N_EVALUATE, most) if n is None else checks.count("n_evaluate", n)
    if not k < n <= most:
        raise ValueError(
            f"n_evaluate is {n}; it must be more than k = {k} and at most {most}, {what}"
        )
    return n, k


@functools.lru_cache(maxsize=4)
def _shared(reference: Reference) -> _Plain | _SmallSets:
    """Return the real side of the first of all equal references, with what it has computed."""
    return reference._side
