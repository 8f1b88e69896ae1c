"""Data sets, each split once into a training pool and a held-out reference."""

from madlab.data import damage
from madlab.data.mnist import mnist
from madlab.data.samples import Dataset, Samples
from madlab.data.toy import gaussian, modes, rosenbrock

__all__ = ["Dataset", "Samples", "damage", "gaussian", "mnist", "modes", "rosenbrock"]
