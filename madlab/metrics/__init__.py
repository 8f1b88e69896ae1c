"""Scores of synthetic samples against a fixed held-out set, on named and frozen features."""

from madlab import renamed

# At once, since the module has the function's name; the others load torch, and only when asked for.
from madlab.metrics.neighbours import Neighbours, neighbours
from madlab.metrics.scores import Scores

_NAMES = {
    "KernelDistance": "distances",
    "OwnFeatures": "own",
    "OwnScore": "own",
    "Reference": "reference",
    "far_enough": "distances",
    "features": "",
    "frechet_distance": "frechet",
    "kernel_distance": "distances",
    "mean_distance": "distances",
    "pair_distances": "distances",
    "subsample_scores": "small_sets",
    "trained_accuracy": "classifier",
}

__all__ = [*_NAMES, "Neighbours", "Scores", "neighbours"]
__getattr__ = renamed.lazy(__name__, **_NAMES)
