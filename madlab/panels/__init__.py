"""Panels: controls over a chain or its records, and pictures that follow them."""

from madlab.panels.bias_dial import BiasDial
from madlab.panels.gallery_browser import GalleryBrowser
from madlab.panels.gaussian_loop import GaussianLoop
from madlab.panels.generation_browser import GenerationBrowser
from madlab.panels.live_loop import LiveLoop
from madlab.panels.loop_comparison import LoopComparison
from madlab.panels.metric_lab import MetricLab
from madlab.panels.mode_drift import ModeDrift
from madlab.panels.panel import Panel, front_end_listens
from madlab.panels.phase_diagram import PhaseDiagram
from madlab.panels.prediction import Prediction
from madlab.panels.progress import watch

__all__ = [
    "BiasDial",
    "GalleryBrowser",
    "GaussianLoop",
    "GenerationBrowser",
    "LiveLoop",
    "LoopComparison",
    "MetricLab",
    "ModeDrift",
    "Panel",
    "PhaseDiagram",
    "Prediction",
    "front_end_listens",
    "watch",
]
