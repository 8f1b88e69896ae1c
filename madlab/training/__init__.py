"""Training shared by the network models: device, data order, averaged weights, the step loop."""

from madlab import renamed
from madlab.training.checkpoint import CheckpointMismatch, Checkpoints
from madlab.training.device import (
    MODES,
    Clock,
    Precision,
    TensorFunction,
    captured,
    compiled,
    device,
    mode,
    one_thread,
    provenance,
)
from madlab.training.graph import CudaGraph
from madlab.training.learner import Learner, OneLoss, adam, descend
from madlab.training.loop import train
from madlab.training.schedule import Draws, Ema, batch_rows, rate, seeded

__getattr__ = renamed.lazy(__name__)


__all__ = [
    "MODES", "CheckpointMismatch", "Checkpoints", "Clock", "CudaGraph", "Draws", "Ema", "Learner",
    "OneLoss", "Precision", "TensorFunction", "adam", "batch_rows", "captured", "compiled",
    "descend", "device", "mode", "one_thread", "provenance", "rate", "seeded", "train",
]  # fmt: skip
