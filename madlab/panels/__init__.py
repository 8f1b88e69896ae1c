"""Panels: controls over a chain or its records, and pictures that follow them."""

from madlab.panels.generation_browser import GenerationBrowser
from madlab.panels.live_loop import LiveLoop
from madlab.panels.loop_comparison import LoopComparison
from madlab.panels.panel import Panel, front_end_listens
from madlab.panels.prediction import Prediction
from madlab.panels.progress import watch

__all__ = [
    "GenerationBrowser",
    "LiveLoop",
    "LoopComparison",
    "Panel",
    "Prediction",
    "front_end_listens",
    "watch",
]
