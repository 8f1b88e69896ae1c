"""Scores of synthetic samples against a fixed held-out set, on named and frozen features."""

from madlab.metrics import features
from madlab.metrics.classifier import trained_accuracy
from madlab.metrics.failure import failures
from madlab.metrics.frechet import frechet_distance
from madlab.metrics.neighbours import Neighbours, neighbours
from madlab.metrics.reference import Reference, Scores
from madlab.metrics.uncertainty import halving_generation, subsample_scores

__all__ = [
    "Neighbours",
    "Reference",
    "Scores",
    "failures",
    "features",
    "frechet_distance",
    "halving_generation",
    "neighbours",
    "subsample_scores",
    "trained_accuracy",
]
