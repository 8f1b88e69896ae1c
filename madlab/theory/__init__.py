"""Loops in theory: closed forms, exact simulation of Gaussians, and modes under neutral drift."""

from madlab import renamed

_MODULES = {
    "closed_forms": (
        *("admissible_synthetic", "biased_floor", "effective_ratio", "expected_mean_square"),
        *("expected_variance", "fresh_limit", "large_sample_ratio", "median_variance"),
        "real_distance",
    ),
    "modes": ("ModeLoops", "heterozygosity", "simulate_modes", "wright_fisher"),
    "phase": ("Estimate", "effective_size", "real_curve", "settled_distance"),
    "simulation": ("Simulation", "simulate"),
}
_NAMES = {name: module for module, names in _MODULES.items() for name in names}

__all__ = sorted(_NAMES)

# On first use: closed forms need numpy alone, simulations torch.
__getattr__ = renamed.lazy(__name__, **_NAMES)
