"""Training shared by the network models: device, data order, averaged weights, the step loop."""

from madlab.training.checkpoint import AnotherTrainingError, Slots
from madlab.training.device import MODES, Precision, device, mode, one_thread
from madlab.training.ema import Ema
from madlab.training.learner import Learner, OneLoss, adam, descend, parts
from madlab.training.loop import train
from madlab.training.record import Clock, provenance
from madlab.training.replay import Replay, compiled
from madlab.training.schedule import Draws, batch_rows, rate, seeded

__all__ = [
    "MODES",
    "AnotherTrainingError",
    "Clock",
    "Draws",
    "Ema",
    "Learner",
    "OneLoss",
    "Precision",
    "Replay",
    "Slots",
    "adam",
    "batch_rows",
    "compiled",
    "descend",
    "device",
    "mode",
    "one_thread",
    "parts",
    "provenance",
    "rate",
    "seeded",
    "train",
]
