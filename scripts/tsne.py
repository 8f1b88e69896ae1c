"""Real and synthetic digits in one plane, by t-SNE on the features of FD-LeNet."""

import importlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from madlab import checks
from madlab.data.samples import Samples
from madlab.gallery import Embedding
from madlab.metrics.features import feature_map
from madlab.streams import generator
from madlab.training import one_thread

N_REAL, N_SYNTHETIC = 500, 300
PERPLEXITY = 30
# t-SNE needs more points than the perplexity, and means something with a few times as many.
_LEAST = 3 * PERPLEXITY


def library() -> Any:
    """Return scikit-learn, or raise ImportError that says how to install it."""
    try:
        importlib.import_module("sklearn.manifold")
        return importlib.import_module("sklearn")
    except ImportError as error:
        raise ImportError(
            "embeddings need scikit-learn, which is not installed: pip install scikit-learn"
        ) from error


def method() -> str:
    """Return what `embed` places digits with, in words; raises ImportError as `library`."""
    return (
        f"t-SNE of scikit-learn {library().__version__}, perplexity {PERPLEXITY}, on "
        f"{feature_map('lenet').name}"
    )


@one_thread()
def embed(held_out: Samples, synthetic: Mapping[int, Samples]) -> Embedding:
    """Place real digits and those of several generations in the plane, all together.

    - `held_out`: real digits that no model was trained on; up to 500 are taken, always the same.
    - `synthetic`: digits with labels by their generation; the first 300 of each are taken.

    Equal digits give equal points on one machine, as all runs on one thread. Raises ImportError
    without scikit-learn, and ValueError for digits without labels or fewer than 91 in all.

    Source: van der Maaten & Hinton, "Visualizing Data using t-SNE", JMLR 9 (2008).
    """
    sklearn = library()
    order = generator(0, "embedding").permutation(len(held_out.images))
    parts = [
        _take(held_out, order[:N_REAL]),
        *(_take(one, np.arange(len(one.images))[:N_SYNTHETIC]) for one in synthetic.values()),
    ]
    features = np.concatenate([feature_map("lenet").embed(images) for images, _ in parts])
    if len(features) <= _LEAST:
        raise ValueError(
            f"{len(features)} digits are too few for an embedding: give {_LEAST + 1} at least"
        )
    tsne = sklearn.manifold.TSNE(perplexity=PERPLEXITY, init="pca", random_state=0)
    # scikit-learn itself needs this package. With several threads sums run in another order.
    with importlib.import_module("threadpoolctl").threadpool_limits(1):
        points = tsne.fit_transform(features).astype(np.float32)
    ends = np.cumsum([len(images) for images, _ in parts])[:-1]
    labels = [labels for _, labels in parts]
    (real, real_labels), *placed = zip(np.split(points, ends), labels, strict=True)
    return Embedding(real, real_labels, dict(zip(synthetic, placed, strict=True)))


def _take(samples: Samples, index: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    labels = checks.labels(samples.labels, len(samples.images), classes=10)
    return samples.images[index], labels[index]
