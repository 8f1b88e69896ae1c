"""Loops in theory: closed forms, exact simulation of Gaussians, and modes under neutral drift."""

import importlib
from typing import Any

_WHERE = {
    "closed_forms": (
        "admissible_synthetic",
        "biased_floor",
        "effective_ratio",
        "expected_mean_square",
        "expected_variance",
        "fresh_limit",
        "large_sample_ratio",
        "median_variance",
        "real_distance",
    ),
    "modes": ("ModeLoops", "heterozygosity", "simulate_modes", "wright_fisher"),
    "phase": ("Estimate", "effective_size", "real_curve", "settled_distance"),
    "simulation": ("Simulation", "simulate"),
}
_NAMES = {name: module for module, names in _WHERE.items() for name in names}

__all__ = sorted(_NAMES)


def __getattr__(name: str) -> Any:
    # Names are looked up on first use: closed forms need numpy alone, simulations torch.
    if name in _NAMES:
        return getattr(importlib.import_module(f"madlab.theory.{_NAMES[name]}"), name)
    return importlib.import_module("madlab.renamed").find("madlab.theory", name)
