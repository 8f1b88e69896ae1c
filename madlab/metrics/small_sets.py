"""Small sets, of which every number needs its error or its floor: pictures, and random subsets."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from madlab import checks
from madlab.data.samples import Dataset, Samples
from madlab.metrics.distances import Memorisation, as_colour, kernel_distance, mean_distance, some
from madlab.metrics.features import Features, feature_map
from madlab.metrics.frechet import distance, frechet_distance, moments
from madlab.metrics.neighbours import Neighbours, neighbours, squared_radii
from madlab.metrics.picture_features import COMPONENTS, Appearance, PcaFeatures
from madlab.metrics.reference import Reference, Scorer, readings, sizes_of
from madlab.streams import generator

DRAWS = 10


class SmallSets:
    """Few held-out pictures, and training ones that say how far apart real sets are.

    Samples are scored against all held-out pictures, while training ones give the floor, the axes
    and scales of features, and what could have been copied; the two never mix. Precision and the
    like are taken on `Appearance`, but with "pca", which needs no weights, and with features of
    one's own on these too. Grey pictures are looked at as colour ones without colour.
    """

    held_out_by_id = True

    def __init__(self, data: Dataset | Samples, n: int | None, features: Any, k: int) -> None:
        if not isinstance(data, Dataset):
            raise TypeError(
                "pictures are scored against training pictures as well as held-out ones: "
                "give the whole data set, not its held-out samples alone"
            )
        what = "the training pictures, as many of which give the floor"
        self.n, self.k = sizes_of(n, k, len(data), what)
        self._training = checks.pictures(data.images, name="training pictures")
        self.images = checks.pictures(
            data.held_out.images, name="held-out pictures", least=self.k + 1
        )
        coloured = as_colour(data.images)
        self._data = data
        layout = PcaFeatures(coloured)
        self._maps: tuple[Features, Features, Features] = (layout, layout, layout)
        if not isinstance(features, str):
            own = feature_map(features)
            self._maps = own, own, layout
        elif features != "pca":
            self._maps = feature_map(features, coloured), Appearance(coloured), layout
        self._own = None if isinstance(features, str) else features
        self.features = " ".join(dict.fromkeys(one.name for one in self._maps))

    def _seen(self, images: np.ndarray) -> list[np.ndarray]:
        """Return pictures as each of the maps sees them; those of one's own as they are."""
        return [one.embed(images if one is self._own else as_colour(images)) for one in self._maps]

    def key(self) -> str:
        """Return what tells this side from another of the same id, chosen by hand."""
        return "" if self._data.id_is_of_content else str(self._data.content())

    def content(self) -> bytes:
        """Return what the reference's id is made of."""
        return f"pictures {self._data.id} {self.n} {self.k} {self.features}".encode()

    def scorer(self) -> Scorer:
        """Return what scores samples, with all of the real side computed once."""
        size, k, colour = self.images.shape[1:3], self.k, self.images.ndim == 4
        real, real_look, layout = self._seen(self.images)
        real_distance = mean_distance(layout)
        memorisation = Memorisation(as_colour(self._training), as_colour(self.images))

        chosen = some(len(self._training), self.n, "floor")
        training = self._seen(self._training[chosen])[0].astype(np.float64)
        mean = training.mean(0)
        axes = np.linalg.svd(training - mean, full_matrices=False)[2][:COMPONENTS].T
        fitted = moments((real - mean) @ axes, "held-out features")
        floor = distance(fitted, moments((training - mean) @ axes, "training features"))

        m, draws = min(self.n, len(self.images)), []
        for i in range(DRAWS):
            held_out = real_look[some(len(self.images), m, "draw", i, "held out")]
            made = some(self.n, m, "draw", i, "generated")
            draws.append((held_out, made, squared_radii(held_out, k)))

        def scores(samples: Samples) -> dict[str, float]:
            images = checks.pictures(samples.images, name="samples", colour=colour, size=size)
            features, look, layout = self._seen(images)
            kid, error = kernel_distance(real, features)
            fd = distance(fitted, moments((features - mean) @ axes, "synthetic features"))
            shares = [neighbours(held, look[made], k, radii) for held, made, radii in draws]
            means = dict(zip(Neighbours._fields, np.mean(shares, 0).tolist(), strict=True))
            # Draws of all pictures on both sides are one draw.
            one_draw = self.n == len(self.images)
            spread = [math.nan] * 2 if one_draw else np.std(shares, 0, ddof=1).tolist()
            return {
                "kid": kid,
                "kid_error": error,
                "fd": fd,
                "fd_ratio": fd / floor,
                **means,
                "precision_error": spread[0],
                "recall_error": spread[1],
                "distance": mean_distance(layout) / real_distance,
                "memorisation": memorisation.ratio(as_colour(images)),
            }

        return scores


def picture_reference(
    data: Dataset, n_evaluate: int = 800, features: str = "efficientnet", k: int = 5
) -> Reference:
    """Return a `Reference` of pictures as version 0.4's `PictureReference` had it, for 800."""
    return Reference(data, n_evaluate, features, k)


def subsample_scores(
    real: Samples,
    synthetic: Samples,
    sizes: Sequence[int],
    repeats: int = 10,
    *,
    seed: int = 0,
    features: str = "lenet",
    k: int = 5,
) -> pd.DataFrame:
    """Return the scores of random subsets, `repeats` times for each size.

    Each time n real and n synthetic samples are drawn, without replacement: what a bootstrap
    draws twice is its own neighbour at distance 0, which shifts every score that rests on
    neighbours. Two subsets share samples, so a standard deviation over repeats is that of fresh
    draws times about sqrt(1 - n/N), N being the size of the sets: keep n well below N.

    - `real`, `synthetic`: uint8 images `(N, 28, 28)` or points; N may differ.
    - `sizes`: how many samples to draw of each, from k + 1 to both N; `repeats`: at least 1.
    - `seed`: names the draws, which are the same for all sets of that size.
    - `features`: "lenet" or "points"; `k`: as for `neighbours`.

    Returns one row a size and repeat: `n`, `repeat`, the scores `fd`, `precision`, `recall`,
    `density`, `coverage` and `read`, and `features`. Raises ValueError for sizes that do not fit,
    KeyError for unknown features.

    Source: Politis and Romano 1994 (subsampling).
    """
    most = min(len(real.images), len(synthetic.images))
    wrong = [n for n in sizes if not k < n <= most or n != int(n)]
    if wrong or not len(sizes) or repeats < 1:
        raise ValueError(
            f"sizes are {list(sizes)} and repeats {repeats}; give at least one size, every one "
            f"more than k = {k} and at most {most}, the samples there are, and at least 1 repeat"
        )
    look = feature_map(features)
    x, y = look.embed(real.images), look.embed(synthetic.images)
    right = readings(synthetic)
    rows = []
    for n in map(int, sizes):
        for repeat in range(repeats):
            i = generator(seed, "subsample", n, repeat, "real").permutation(len(x))[:n]
            j = generator(seed, "subsample", n, repeat, "synthetic").permutation(len(y))[:n]
            row: dict[str, Any] = {"n": n, "repeat": repeat, "fd": frechet_distance(x[i], y[j])}
            row |= neighbours(x[i], y[j], k)._asdict()
            rows.append(row | {"read": float(right[j].mean()), "features": look.name})
    return pd.DataFrame(rows)
