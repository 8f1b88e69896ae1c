"""Data sets, each split once into a training pool and a held-out reference."""

from madlab.data import damage
from madlab.data.cartoons import drawn_faces
from madlab.data.ffhq import faces, ffhq
from madlab.data.mnist import mnist
from madlab.data.prepare import PictureDataset, folder
from madlab.data.samples import Dataset, Samples
from madlab.data.toy import gaussian, modes, rosenbrock

__all__ = [
    "Dataset", "PictureDataset", "Samples", "damage", "drawn_faces", "faces", "ffhq", "folder",
    "gaussian", "mnist", "modes", "rosenbrock",
]  # fmt: skip
