"""Panels: controls over a chain or its records, and pictures that follow them."""

from madlab import renamed

_WHERE = {
    "BiasDial": "digits",
    "Browser": "browser",
    "ChainView": "chain_view",
    "GaussianLoop": "gaussian_loop",
    "LiveLoop": "live_loop",
    "LoopComparison": "loop_comparison",
    "MetricLab": "digits",
    "ModeDrift": "mode_drift",
    "Panel": "panel",
    "PhaseDiagram": "phase_diagram",
    "Prediction": "prediction",
    "chain_views": "chain_view",
    "front_end_listens": "still",
    "watch": "live_loop",
}

__all__ = [*_WHERE]

# On first use, so that a notebook loads the panels that it shows and no others.
__getattr__ = renamed.lazy(__name__, **_WHERE)
