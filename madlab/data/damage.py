"""Ways to damage digits by a known strength, so that one can watch which score notices what.

Every function takes the arguments of `Damage`. Images keep their places, and a larger strength goes
on from what a smaller one did, so strengths can be compared picture by picture; only the pictures
that `drop` puts in others' places differ from one strength to another.
"""

import math
from collections.abc import Mapping
from typing import Protocol

import numpy as np

from madlab import checks
from madlab.data.samples import Samples
from madlab.streams import generator

# What strength 1 means: pixels moved, and the noise's standard deviation in grey levels.
PIXELS = 5
NOISE = 127.5


class Damage(Protocol):
    """A way to damage digits."""

    def __call__(
        self, samples: Samples, strength: float, *, seed: int = 0, n: int | None = None
    ) -> Samples:
        """Return the first `n` samples, damaged.

        - `samples`: uint8 images `(m, height, width)`, with labels where classes are to be told
          apart; without them there is one class.
        - `strength`: from 0, unchanged, to 1.
        - `seed`: names the random choices, where there are any.
        - `n`: how many samples are returned, at most m; m where None.

        Raises TypeError for images that are not uint8, ValueError for a strength or n that is not
        allowed.
        """


def drop(samples: Samples, strength: float, *, seed: int = 0, n: int | None = None) -> Samples:
    """Remove classes and put samples of the other classes in their places.

    Classes go one after the other, in an order that the seed sets, the last of them in part: of
    c classes, `strength` times c - 1 are gone, so that one is left at strength 1.

    What is removed from the first n is replaced by later samples of the classes that stay, in
    their order; only where those do not suffice by copies, beginning with the first. Labels are
    of what stands in the places.

    Raises as `Damage` does, and ValueError for samples without labels.
    """
    images, _ = _first(samples, strength, n)
    if samples.labels is None:
        raise ValueError("classes can be dropped from labelled samples only; these have no labels")
    n, labels = len(images), samples.labels
    classes = generator(seed, "drop", "classes").permutation(np.unique(labels))
    gone = strength * max(len(classes) - 1, 0)
    whole = math.floor(gone)
    removed = np.isin(labels[:n], classes[:whole])
    if gone > whole:
        partly = np.flatnonzero(labels[:n] == classes[whole])
        partly = generator(seed, "drop", "places").permutation(partly)
        removed[partly[: round((gone - whole) * len(partly))]] = True
    stay = np.flatnonzero(np.isin(labels, classes[math.ceil(gone) :]))
    later = stay[stay >= n]
    index = np.arange(n)
    short = max(removed.sum() - len(later), 0)
    index[removed] = np.concatenate([later, np.resize(stay, short)])[: removed.sum()]
    return Samples(samples.images[index], labels[index])


def shrink(samples: Samples, strength: float, *, seed: int = 0, n: int | None = None) -> Samples:
    """Move every image towards the mean of its class, `strength` of the way.

    Variances within a class become (1 - strength)^2 of what they were, up to the rounding of
    pixels: what a sampling bias of that size does to a Gaussian. Means are of all m samples;
    `seed` is not used.
    """
    images, labels = _first(samples, strength, n)
    classes = _classes(samples)
    damaged = images.copy()
    for label in np.unique(classes[: len(images)]):
        own = classes[: len(images)] == label
        mean = samples.images[classes == label].mean(0)
        damaged[own] = _round(images[own] + strength * (mean - images[own]))
    return Samples(damaged, labels)


def shift(samples: Samples, strength: float, *, seed: int = 0, n: int | None = None) -> Samples:
    """Move all images to the right, by `strength` times 5 pixels, rounded to whole pixels.

    Columns that leave the picture are lost; empty ones, 0, come in from the left. `seed` is not
    used.
    """
    images, labels = _first(samples, strength, n)
    pixels = round(strength * PIXELS)
    moved = np.pad(images, ((0, 0), (0, 0), (pixels, 0)))
    return Samples(moved[:, :, : images.shape[2]], labels)


def duplicate(samples: Samples, strength: float, *, seed: int = 0, n: int | None = None) -> Samples:
    """Replace samples by copies of one original of their class.

    The seed chooses one original a class, which stays; `strength` times the other samples, in an
    order that the seed sets too, become copies of it. So they are all alike at strength 1.
    """
    images, labels = _first(samples, strength, n)
    order = generator(seed, "duplicate").permutation(len(images))
    classes = _classes(samples)[order]
    _, first, of = np.unique(classes, return_index=True, return_inverse=True)
    original = order[first[of]]
    others = np.flatnonzero(original != order)
    copied = others[: round(strength * len(others))]
    index = np.arange(len(images))
    index[order[copied]] = original[copied]
    return Samples(images[index], labels)


def noise(samples: Samples, strength: float, *, seed: int = 0, n: int | None = None) -> Samples:
    """Add Gaussian noise to every pixel, round, and clip to 0 and 255.

    Its standard deviation is `strength` times 127.5; every strength scales the same noise.
    """
    images, labels = _first(samples, strength, n)
    normal = generator(seed, "noise").standard_normal(images.shape, np.float32)
    return Samples(_round(images + np.float32(strength * NOISE) * normal), labels)


DAMAGES: Mapping[str, Damage] = {
    change.__name__: change for change in (drop, shrink, shift, duplicate, noise)
}


def _first(samples: Samples, strength: float, n: int | None) -> Samples:
    """Return the first n samples, or raise for what cannot be damaged."""
    images = checks.pictures(samples.images, colour=False)
    checks.between("strength", strength, 0, 1, ends=True)
    n = len(images) if n is None else checks.count("n", n, 0, len(images))
    return Samples(images[:n], None if samples.labels is None else samples.labels[:n])


def _classes(samples: Samples) -> np.ndarray:
    """Return the labels, or one class for all."""
    return np.zeros(len(samples.images), int) if samples.labels is None else samples.labels


def _round(values: np.ndarray) -> np.ndarray:
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)
