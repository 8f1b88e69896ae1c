"""Train on synthetic digits, test on real ones: what a sample set can still teach."""

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from madlab import checks
from madlab.data.samples import Samples
from madlab.metrics.features import as_input
from madlab.streams import derive
from madlab.training import batch_rows, one_thread, rate, seeded

STEPS, BATCH, RATE = 500, 64, 1e-2
CLASSES = 10


class Classifier(nn.Module):
    """A digit classifier that learns 10,000 digits in seconds on one thread.

    A 5 x 5 convolution of 16 maps at half size, a 3 x 3 convolution of 32 maps and a 2 x 2 maximum,
    both with batch normalisation, then one linear layer. Images are float32 `(n, 1, 28, 28)` in
    [0, 1].
    """

    def __init__(self) -> None:
        super().__init__()
        self.halve = nn.Sequential(
            nn.Conv2d(1, 16, 5, stride=2, padding=2, bias=False), nn.BatchNorm2d(16), nn.ReLU()
        )
        self.join = nn.Sequential(
            nn.Conv2d(16, 32, 3, padding=1, bias=False), nn.BatchNorm2d(32), nn.MaxPool2d(2)
        )
        self.out = nn.Linear(32 * 7 * 7, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        """Return class scores `(n, 10)`."""
        scores: Tensor = self.out(functional.relu(self.join(self.halve(x))).flatten(1))
        return scores


def trained_accuracy(
    samples: Samples, held_out: Samples, *, seed: int = 0, steps: int = STEPS
) -> float:
    """Return how many of the held-out digits a classifier trained on `samples` gets right.

    A classifier is trained from nothing on the samples and their labels, then tested: samples
    that are wrong, or that all look alike, leave it less to learn from. Whatever the number of
    samples, training takes `steps` batches of 64, so that it costs and forgives the same.

    - `samples`: uint8 images `(n >= 1, 28, 28)`, 255 = ink, with labels from 0 to 9.
    - `held_out`: real digits of the same kind, never trained on.
    - `seed`: sets initial weights and the order of the samples.
    - `steps`: training steps, at least 1.

    Returns the accuracy, in [0, 1]. It runs on one thread of the CPU, wherever the samples are
    from, so that equal samples and seeds get equal numbers.

    Raises ValueError or TypeError for digits without labels, other shapes or types, or none.

    Source: Ravuri and Vinyals 2019 (arXiv 1905.10887), "classification accuracy score".
    """
    checks.count("steps", steps, least=1)
    images, labels = _digits("samples", samples)
    real, right = _digits("held_out", held_out)
    with one_thread():
        network = _train(images, labels, derive(seed, "classifier"), steps)
        with torch.inference_mode():
            parts = np.array_split(real, -(-len(real) // 250))
            read = torch.cat([network(as_input(part)).argmax(1) for part in parts]).numpy()
    return float((read == right).mean())


def _digits(name: str, samples: Samples) -> tuple[np.ndarray, np.ndarray]:
    """Return uint8 images `(n, 28, 28)` and int64 labels `(n,)`, or raise where they are not."""
    images, n = checks.digits(samples.images), len(samples.images)
    if not n:
        raise ValueError(f"{name} has no digits; give at least one")
    if samples.labels is None:
        raise ValueError(f"{name} has no labels; a classifier needs one for every digit")
    return images, checks.labels(samples.labels, n, CLASSES, name=f"labels of {name}")


def _train(images: np.ndarray, labels: np.ndarray, seed: int, steps: int) -> nn.Module:
    # Channels last: a third quicker on a CPU.
    network = seeded(Classifier, seed).to(memory_format=torch.channels_last)
    optimiser = torch.optim.AdamW(network.parameters(), RATE, weight_decay=1e-2, fused=True)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: rate(step, steps))
    for step in range(steps):
        rows = batch_rows(len(images), BATCH, seed, step)
        scores = network(as_input(images[rows]))
        loss = functional.cross_entropy(scores, torch.from_numpy(labels[rows]))
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        schedule.step()
    return network.eval()
