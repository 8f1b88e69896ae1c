"""A chain on one screen: digits eat themselves. `python -m madlab.example` runs it.

`madlab.Chain` does the same for every loop, keeps what it makes, and goes on where it was stopped;
its samples are equal to these, bit for bit.
"""

from collections.abc import Iterator

import numpy as np

from madlab import data, models
from madlab.data.samples import Samples
from madlab.metrics.reference import Reference
from madlab.metrics.scores import Scores
from madlab.models.base import draw_labels
from madlab.streams import derive, generator


def fully_synthetic(
    model: models.Model, n: int, generations: int, bias: float = 1.0, seed: int = 0
) -> Iterator[tuple[Samples, Samples, Scores]]:
    """Train each generation on `n` digits of the one before, the first on real ones.

    - `model`: a class-conditional model of digits, from `madlab.models.create`.
    - `n`: training digits, and as many samples are scored; `generations`: how many to train.
    - `bias`: the sampling bias lambda, in (0, 1]; `seed`: names all random streams.

    Yields for every generation its training set, its samples and their scores.
    """
    digits = data.mnist()
    reference = Reference(digits.held_out, n)
    training = digits.take(generator(seed, "permutation").permutation(len(digits))[:n])
    frequencies = np.bincount(np.asarray(training.labels)) / n
    labels = draw_labels(n, frequencies, generator(seed, "labels"))
    for t in range(1, generations + 1):
        model.fit(training.images, training.labels, seed=derive(seed, t, "fit"))
        stream = derive(seed, t, "evaluation", 0)
        samples = model.sample(n, bias=bias, seed=stream, labels=labels)
        yield training, samples, reference.measure(samples)
        stream = derive(seed, t, "training", t + 1)
        training = model.sample(n, bias=bias, seed=stream, labels=labels)


if __name__ == "__main__":
    chain = fully_synthetic(models.create("mixture"), n=500, generations=6)
    for t, (_, _, scores) in enumerate(chain, start=1):
        print(f"generation {t}: recall {scores.recall:.2f}, FD-LeNet {scores.fd:.3f}")
