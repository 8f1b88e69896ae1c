"""Training shared by the network models: device, half-done work on disk, the step loop."""

from madlab import renamed
from madlab.training.checkpoint import CheckpointMismatch, Checkpoints
from madlab.training.device import (
    MODES,
    Draws,
    Precision,
    TensorFunction,
    captured,
    compiled,
    device,
    mode,
    one_thread,
    seeded,
)
from madlab.training.graph import CudaGraph
from madlab.training.loop import Ema, Learner, adam, batch_rows, descend, rate, train
from madlab.training.one_loss import OneLoss
from madlab.training.provenance import Clock, provenance

__getattr__ = renamed.lazy(__name__)


__all__ = [
    "MODES", "CheckpointMismatch", "Checkpoints", "Clock", "CudaGraph", "Draws", "Ema", "Learner",
    "OneLoss", "Precision", "TensorFunction", "adam", "batch_rows", "captured", "compiled",
    "descend", "device", "mode", "one_thread", "provenance", "rate", "seeded", "train",
]  # fmt: skip
