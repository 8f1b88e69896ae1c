"""Scores of synthetic samples against a fixed held-out set, on named and frozen features."""

from typing import Any

from madlab import renamed
from madlab.metrics import features
from madlab.metrics.choice import AnyScores, reference_for
from madlab.metrics.classifier import trained_accuracy
from madlab.metrics.frechet import frechet_distance
from madlab.metrics.kernel import KernelDistance, kernel_distance
from madlab.metrics.neighbours import Neighbours, neighbours
from madlab.metrics.pairwise import (
    far_enough,
    mean_distance,
    nearest_distances,
    pair_distances,
)
from madlab.metrics.pictures import PictureReference, PictureScores
from madlab.metrics.reference import Reference, Scores
from madlab.metrics.uncertainty import subsample_scores

__all__ = [
    "AnyScores",
    "KernelDistance",
    "Neighbours",
    "PictureReference",
    "PictureScores",
    "Reference",
    "Scores",
    "far_enough",
    "features",
    "frechet_distance",
    "kernel_distance",
    "mean_distance",
    "nearest_distances",
    "neighbours",
    "pair_distances",
    "reference_for",
    "subsample_scores",
    "trained_accuracy",
]


def __getattr__(name: str) -> Any:
    return renamed.find(__name__, name)
