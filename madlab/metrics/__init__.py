"""Scores of synthetic samples against a fixed held-out set, on named and frozen features."""

import pkgutil
from typing import Any

# At once, since the module has the function's name; the others load torch, and only when asked for.
from madlab.metrics.neighbours import Neighbours, neighbours
from madlab.metrics.scores import Scores

_NAMES = {
    "KernelDistance": "distances:KernelDistance",
    "Reference": "reference:Reference",
    "far_enough": "distances:far_enough",
    "features": "features",
    "frechet_distance": "frechet:frechet_distance",
    "kernel_distance": "distances:kernel_distance",
    "mean_distance": "distances:mean_distance",
    "pair_distances": "distances:pair_distances",
    "subsample_scores": "small_sets:subsample_scores",
    "trained_accuracy": "classifier:trained_accuracy",
}

__all__ = [*_NAMES, "Neighbours", "Scores", "neighbours"]


def __getattr__(name: str) -> Any:
    if name in _NAMES:
        return pkgutil.resolve_name(f"madlab.metrics.{_NAMES[name]}")
    from madlab import renamed

    return renamed.find(__name__, name)
