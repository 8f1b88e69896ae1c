"""A library's StyleGAN2 as faces.py measures it, with the settings it comes with.

It is no dependency of madlab: install it by hand, best in an environment of its own. It is written
for CUDA alone; on a CPU its moves to a GPU are made to do nothing, and nothing else is changed.
"""

import random
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from types import ModuleType
from typing import Any
from unittest import mock

import numpy as np
import torch
from torch import Tensor, nn

from madlab.data import Samples
from madlab.models.base import to_bytes
from madlab.streams import derive, generator

PACKAGE = "stylegan2-pytorch"
NEVER = 10**9
# About as many trained weights in the generator as ours at 32 pixels; its discriminator is larger.
SMALL = {"network_capacity": 4, "latent_dim": 64, "style_depth": 2}


def check_installed() -> str:
    """Return the peer's version, or end with what to install."""
    try:
        return version(PACKAGE)
    except PackageNotFoundError:
        raise SystemExit(
            f"{PACKAGE} is not installed in this environment. Install it next to madlab: "
            f"`pip install {PACKAGE}`, or only what its training takes: `pip install --no-deps "
            f"{PACKAGE} einops kornia kornia_rs vector-quantize-pytorch==0.1.0 fire`; or leave it "
            "out: `--sides face_gan`"
        ) from None


def _trainer_class() -> Any:
    """Import the peer where there is no CUDA, and without the tracker that it only logs to."""
    sys.modules.setdefault("aim", ModuleType("aim"))
    with mock.patch("torch.cuda.is_available", return_value=True):
        from stylegan2_pytorch import Trainer
    return Trainer


def _stay(moved: Any, *_: object, **__: object) -> Any:
    return moved


class StyleGan2:
    """The Trainer of stylegan2-pytorch, its own steps, on pictures that are in memory already.

    Its step trains the discriminator and then the generator on fresh noise each, with gradient
    penalties in every fourth step; the path-length penalty begins after 5,000 steps, in every 32nd.
    The batch is ours, all else its defaults: no augmentation, moving averages from step 20,000 on.
    Its reading of files, evaluation and saving are left out.
    """

    batch = 32

    def __init__(self, images: np.ndarray, seed: int, **settings: Any) -> None:
        torch.manual_seed(derive(seed, "weights"))
        random.seed(derive(seed, "mixing"))
        make = _trainer_class()
        self._images, self._rng = images, generator(seed, "batches")
        self._folder = tempfile.TemporaryDirectory()
        self._trainer: Any = make(
            base_dir=self._folder.name,
            image_size=images.shape[1],
            batch_size=self.batch,
            **settings,
        )
        self._trainer.save = self._trainer.evaluate = _stay
        self._trainer.loader = self._batches()
        with _without_cuda():
            self._trainer.init_GAN()
        self._trainer.steps = 1
        gan = self._trainer.GAN
        self.weights = {"generator": _count(gan.S, gan.G), "discriminator": _count(gan.D)}

    def _batches(self) -> Iterator[Tensor]:
        while True:
            rows = self._rng.integers(0, len(self._images), self.batch)
            yield torch.from_numpy(self._images[rows] / np.float32(255)).permute(0, 3, 1, 2)

    def train(self, steps: int) -> float:
        """Train for `steps` more steps and return what they cost, in CPU-seconds."""
        start = time.process_time()
        with _without_cuda():
            for _ in range(steps):
                self._trainer.train()
        return time.process_time() - start

    def train_with_path_length(self) -> float:
        """Train for one step with both penalties, as every 32nd is after the first 5,000."""
        here, self._trainer.steps = self._trainer.steps, 5024
        cost = self.train(1)
        self._trainer.steps = here
        return cost

    def draw(self, n: int, bias: float) -> Samples:
        """Return `n` faces under truncation `bias`, from the averaged weights."""
        from stylegan2_pytorch.stylegan2_pytorch import image_noise, noise_list

        trainer = self._trainer
        averaged = trainer.GAN.GE
        with _without_cuda():
            latents = noise_list(n, averaged.num_layers, averaged.latent_dim, device=0)
            noise = image_noise(n, averaged.image_size, device=0)
            found = trainer.generate_truncated(
                trainer.GAN.SE, averaged, latents, noise, trunc_psi=bias
            )
        return Samples(to_bytes(found.permute(0, 2, 3, 1).numpy() * 255))


def _count(*modules: nn.Module) -> int:
    return sum(weight.numel() for module in modules for weight in module.parameters())


@contextmanager
def _without_cuda() -> Iterator[None]:
    """Let moves to a GPU leave tensors and modules where they are."""
    with mock.patch.object(Tensor, "cuda", _stay), mock.patch.object(nn.Module, "cuda", _stay):
        yield
