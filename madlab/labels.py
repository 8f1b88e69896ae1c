"""The labels that a chain asks its models for: the class frequencies of generation 1, for ever."""

import hashlib

import numpy as np

from madlab.models.base import Labels, draw_labels
from madlab.streams import generator


class AskedLabels:
    """What samples of a chain are asked to be.

    - `first`: labels of generation 1's training set, int64 `(n,)`, or None where there are none.
    - `seed`: the chain's.
    """

    def __init__(self, first: Labels, seed: int) -> None:
        self._seed = seed
        self._counts = None if first is None else np.bincount(first)
        self._known: dict[tuple[str, int], tuple[Labels, str | None]] = {}

    @property
    def classes(self) -> np.ndarray:
        """The classes that are asked for, in order; none without labels."""
        return np.flatnonzero([] if self._counts is None else self._counts)

    def of(self, purpose: str, n: int) -> tuple[Labels, str | None]:
        """Return the labels that `n` samples are asked for, and a hash that names them.

        A preview shows the classes in turn, whatever their frequencies. Both are None without
        labels.
        """
        if self._counts is None:
            return None, None
        if (purpose, n) not in self._known:
            if purpose == "preview":
                labels = np.resize(self.classes, n).astype(np.int64)
            else:
                frequencies = self._counts / self._counts.sum()
                labels = draw_labels(n, frequencies, generator(self._seed, "labels"))
            digest = hashlib.sha256(labels.astype("<i8").tobytes()).hexdigest()
            self._known[purpose, n] = labels, digest
        return self._known[purpose, n]
