"""Panels: controls over a chain or its records, and pictures that follow them."""

from madlab.panels.bias_dial import BiasDial
from madlab.panels.face_explorer import FaceExplorer
from madlab.panels.face_runs import FaceRun, face_runs
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
from madlab.panels.time_lapse import TimeLapse

__all__ = [
    "BiasDial",
    "FaceExplorer",
    "FaceRun",
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
    "TimeLapse",
    "face_runs",
    "front_end_listens",
    "watch",
]
