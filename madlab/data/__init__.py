"""Data sets, each split once into a training pool and a held-out reference."""

from madlab.data.mnist import mnist
from madlab.data.samples import Dataset, Samples
from madlab.data.toy import gaussian, modes, rosenbrock

__all__ = ["Dataset", "Samples", "gaussian", "mnist", "modes", "rosenbrock"]
