"""Panels: controls over a chain or its records, and pictures that follow them."""

import importlib
from typing import Any

from madlab import renamed

_WHERE = {
    "BiasDial": "bias_dial",
    "Browser": "browser",
    "ChainView": "chain_view",
    "GaussianLoop": "gaussian_loop",
    "LiveLoop": "live_loop",
    "LoopComparison": "loop_comparison",
    "MetricLab": "metric_lab",
    "ModeDrift": "mode_drift",
    "Panel": "panel",
    "PhaseDiagram": "phase_diagram",
    "Prediction": "prediction",
    "chain_views": "chain_view",
    "front_end_listens": "panel",
    "watch": "live_loop",
}

__all__ = [*_WHERE]


def __getattr__(name: str) -> Any:
    # Looked up on first use, so that a notebook loads the panels that it shows and no others.
    if name in _WHERE:
        return getattr(importlib.import_module(f"madlab.panels.{_WHERE[name]}"), name)
    return renamed.find(__name__, name)
