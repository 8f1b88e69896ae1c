"""Scores of synthetic samples against a fixed held-out set, on named and frozen features."""

import importlib
from typing import TYPE_CHECKING, Any

from madlab import renamed

# At once, since the module has the function's name; the others load torch, and only when asked for.
from madlab.metrics.neighbours import Neighbours, neighbours
from madlab.metrics.scores import Scores

if TYPE_CHECKING:
    from madlab.metrics import features
    from madlab.metrics.classifier import trained_accuracy
    from madlab.metrics.distances import far_enough, mean_distance, pair_distances
    from madlab.metrics.frechet import frechet_distance
    from madlab.metrics.kernel import KernelDistance, kernel_distance
    from madlab.metrics.reference import Reference
    from madlab.metrics.uncertainty import subsample_scores

_NAMES = {
    "KernelDistance": "kernel",
    "Reference": "reference",
    "far_enough": "distances",
    "frechet_distance": "frechet",
    "kernel_distance": "kernel",
    "mean_distance": "distances",
    "pair_distances": "distances",
    "subsample_scores": "uncertainty",
    "trained_accuracy": "classifier",
}

__all__ = [
    "KernelDistance",
    "Neighbours",
    "Reference",
    "Scores",
    "far_enough",
    "features",
    "frechet_distance",
    "kernel_distance",
    "mean_distance",
    "neighbours",
    "pair_distances",
    "subsample_scores",
    "trained_accuracy",
]


def __getattr__(name: str) -> Any:
    if name == "features":
        return importlib.import_module("madlab.metrics.features")
    if name in _NAMES:
        return getattr(importlib.import_module(f"madlab.metrics.{_NAMES[name]}"), name)
    return renamed.find(__name__, name)
