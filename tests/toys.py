"""Small pictures and small networks that the tests of network models share."""

import numpy as np
import torch

from madlab.data import rosenbrock
from madlab.models import create
from madlab.training import seeded


def halves(n=60, seed=0):
    """Pictures of 8 x 8 pixels, the upper half bright in class 0, the lower in class 1."""
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % 2
    images = rng.integers(0, 60, (n, 8, 8))
    images[labels == 0, :4] += 150
    images[labels == 1, 4:] += 150
    return images.astype(np.uint8), labels


def shades(n=400):
    """Even pictures, dark in class 0 and light in class 1, and some of either in the other."""
    labels = np.arange(n) % 2
    rng = np.random.default_rng(0)
    levels = rng.normal(np.where(labels == 0, 90, 165), 40).clip(0, 255)
    return np.tile(levels[:, None, None], (1, 8, 8)).astype(np.uint8), labels


def spots(n=60, side=16, seed=0):
    """Colour pictures of one bright spot of any colour, on a ground of any grey."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:side, :side] / side
    centre = rng.uniform(0.3, 0.7, (2, n, 1, 1))
    spot = np.exp(-((y - centre[0]) ** 2 + (x - centre[1]) ** 2) * 30)
    ground = rng.uniform(40, 90, (n, 1, 1, 1))
    return (ground + spot[..., None] * rng.uniform(20, 150, (n, 1, 1, 3))).astype(np.uint8)


TINY = {
    "gan": {"channels": 4, "steps": 30, "batch": 16},
    "wgan": {"channels": 4, "steps": 20, "batch": 30, "critic_updates": 3},
    "diffusion": {"channels": 4, "steps": 30, "batch": 16},
    "face_gan": {"channels": 4, "steps": 12, "batch": 16},
    "face_flow": {"channels": 4, "steps": 24, "batch": 16, "sampling_steps": 3},
}

POINTS = {"coupling": {"couplings": 3, "hidden": 8, "epochs": 4, "batch": 16}}


def tiny(name, **settings):
    return create(name, **{**(TINY | POINTS)[name], **settings})


def data_of(name):
    """Images, or points, and labels for the small model of this name."""
    if name in POINTS:
        return rosenbrock(60).images, None
    return (spots(), None) if name.startswith("face") else halves()


def started(model, images, seed=5):
    """A model's network at the start of its training on pictures of two classes."""
    network = seeded(lambda: model._make(images.shape[1:3], 2), seed)
    model._start(network, images)
    return network


def learner_and_batch(name, step=0, seed=5, **settings):
    """The learner of a small model, and all that its step `step` is given."""
    model = tiny(name, **settings)
    images, labels = (part[: model.batch] for part in halves())
    if model.colour:
        images, labels = spots(model.batch), np.zeros(model.batch, np.int64)
    network = started(model, images, seed)
    learner = model._learner(network, images.shape[1:3], 2, seed)
    batch = {"images": torch.from_numpy(images), "labels": torch.from_numpy(labels)}
    return learner, batch | learner.draw(step, model.batch)


def weights(learner):
    return torch.cat([weight.detach().flatten() for weight in learner.networks.parameters()])
