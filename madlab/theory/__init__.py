"""Loops in theory: closed forms, exact simulation of Gaussians, and modes under neutral drift."""

from madlab.theory.closed_forms import (
    admissible_synthetic,
    biased_floor,
    effective_ratio,
    expected_mean_square,
    expected_variance,
    fresh_limit,
    large_sample_ratio,
    median_variance,
    real_distance,
)
from madlab.theory.modes import ModeLoops, heterozygosity, simulate_modes, wright_fisher
from madlab.theory.phase import Estimate, effective_size, real_curve, settled_distance
from madlab.theory.simulation import Simulation, simulate

__all__ = [
    "Estimate",
    "ModeLoops",
    "Simulation",
    "admissible_synthetic",
    "biased_floor",
    "effective_ratio",
    "effective_size",
    "expected_mean_square",
    "expected_variance",
    "fresh_limit",
    "heterozygosity",
    "large_sample_ratio",
    "median_variance",
    "real_curve",
    "real_distance",
    "settled_distance",
    "simulate",
    "simulate_modes",
    "wright_fisher",
]
