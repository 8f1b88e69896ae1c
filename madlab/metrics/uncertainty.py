"""How sure a score is."""

from collections.abc import Sequence

import pandas as pd

from madlab.data.samples import Samples
from madlab.metrics.features import feature_map
from madlab.metrics.frechet import frechet_distance
from madlab.metrics.neighbours import Neighbours, neighbours
from madlab.metrics.reference import readings
from madlab.streams import generator


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
    - `sizes`: how many samples to draw of each; every n with k < n <= both N.
    - `repeats`: at least 1; `seed`: names the draws, which are the same for all sets of that size.
    - `features`: "lenet" or "points", as for `Reference`; `k`: as for `neighbours`.

    Returns one row a size and repeat with these columns: `n`, `repeat`, the scores `fd`,
    `precision`, `recall`, `density`, `coverage` and `read` (NaN without labels), and `features`.

    Raises ValueError for sizes that do not fit, KeyError for unknown features.

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
            scores = neighbours(x[i], y[j], k)._asdict()
            scores |= {"fd": frechet_distance(x[i], y[j]), "read": float(right[j].mean())}
            rows.append({"n": n, "repeat": repeat, **scores, "features": look.name})
    columns = ["n", "repeat", "fd", *Neighbours._fields, "read", "features"]
    return pd.DataFrame(rows, columns=columns)
