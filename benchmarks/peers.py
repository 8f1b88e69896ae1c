"""Two libraries of diffusion models as mnist.py measures them, with the settings they come with.

They are no dependency of madlab: install them by hand, best in an environment of their own.
"""

from collections.abc import Iterable
from contextlib import redirect_stderr
from importlib.metadata import PackageNotFoundError, version
from io import StringIO

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import mse_loss, pad

from madlab.data import Samples, mnist
from madlab.models.base import to_bytes
from madlab.streams import derive, generator

STEPS = 50


def check_installed(names: Iterable[str]) -> dict[str, str]:
    """Return the versions of the peers of these names, or end with what to install."""
    try:
        return {name: version(name) for name in names}
    except PackageNotFoundError as error:
        raise SystemExit(
            f"{error.name} is not installed in this environment. Install the peers next to madlab: "
            "`pip install diffusers denoising-diffusion-pytorch`, or leave them out: "
            "`--sides gan flow ddpm`"
        ) from None


def digits(rng: np.random.Generator, n: int) -> tuple[Tensor, Tensor]:
    """Return `n` training digits `(n, 1, 28, 28)` from 0 to 1, with labels `(n,)`."""
    data = mnist()
    rows = rng.integers(0, len(data), n)
    few = data.take(rows)
    assert few.labels is not None
    return torch.from_numpy(few.images / np.float32(255))[:, None], torch.from_numpy(few.labels)


class Diffusers:
    """diffusers' UNet2DModel with class labels, trained to predict the noise; DDPMScheduler.

    Network, noise schedule, Adam at 1e-3 and pictures of 28 x 28 are those of the lesson on MNIST
    in Hugging Face's diffusion class (unit 2). Its batch there is 128; 32 gives four times as many
    steps in the same time. Sampling takes `STEPS` steps of the scheduler.
    """

    batch = 32

    def __init__(self, seed: int) -> None:
        from diffusers import DDPMScheduler, UNet2DModel

        torch.manual_seed(derive(seed, "weights"))
        self._rng = generator(seed, "batches")
        self._network = UNet2DModel(
            sample_size=28,
            in_channels=1,
            out_channels=1,
            layers_per_block=2,
            block_out_channels=(32, 64, 64),
            down_block_types=("DownBlock2D", "AttnDownBlock2D", "AttnDownBlock2D"),
            up_block_types=("AttnUpBlock2D", "AttnUpBlock2D", "UpBlock2D"),
            num_class_embeds=10,
        )
        self._scheduler = DDPMScheduler(num_train_timesteps=1000, beta_schedule="squaredcos_cap_v2")
        self._optimizer = torch.optim.Adam(self._network.parameters(), lr=1e-3)
        self.weights = sum(weight.numel() for weight in self._network.parameters())

    def train(self, steps: int) -> None:
        """Train for `steps` more steps."""
        self._network.train()
        for _ in range(steps):
            pictures, labels = digits(self._rng, self.batch)
            noise = torch.randn_like(pictures)
            times = torch.randint(0, 1000, (self.batch,))
            noisy = self._scheduler.add_noise(2 * pictures - 1, noise, times)
            found = self._network(noisy, times, class_labels=labels).sample
            self._optimizer.zero_grad()
            torch.autograd.backward(mse_loss(found, noise))
            self._optimizer.step()

    @torch.inference_mode()
    def draw(self, labels: np.ndarray, bias: float) -> Samples:
        """Return a digit for each label; there is no sampling bias."""
        self._network.eval()
        parts = []
        for wanted in torch.split(torch.from_numpy(labels), 16):
            self._scheduler.set_timesteps(STEPS)
            x = torch.randn(len(wanted), 1, 28, 28)
            for time in self._scheduler.timesteps:
                noise = self._network(x, time, class_labels=wanted).sample
                x = self._scheduler.step(noise, time, x).prev_sample
            parts.append(x[:, 0])
        return Samples(to_bytes((torch.cat(parts).numpy() + 1) * 127.5), labels)


class Lucidrains:
    """denoising-diffusion-pytorch as its readme shows it, for one channel, without labels.

    Digits are padded to 32 x 32, because the network halves the sides three times. Batch, Adam and
    clipping are the defaults of its Trainer, whose loading, moving average and evaluation are left
    out: its average would not start within so few steps. Sampling is its own with `STEPS` steps.
    """

    batch = 16

    def __init__(self, seed: int) -> None:
        from denoising_diffusion_pytorch import GaussianDiffusion, Unet

        torch.manual_seed(derive(seed, "weights"))
        self._rng = generator(seed, "batches")
        network = Unet(dim=64, dim_mults=(1, 2, 4, 8), channels=1)
        self._diffusion = GaussianDiffusion(
            network, image_size=32, timesteps=1000, sampling_timesteps=STEPS
        )
        self._optimizer = torch.optim.Adam(network.parameters(), lr=1e-4, betas=(0.9, 0.99))
        self.weights = sum(weight.numel() for weight in network.parameters())

    def train(self, steps: int) -> None:
        """Train for `steps` more steps."""
        self._diffusion.train()
        for _ in range(steps):
            pictures, _labels = digits(self._rng, self.batch)
            self._optimizer.zero_grad()
            torch.autograd.backward(self._diffusion(pad(pictures, (2, 2, 2, 2))))
            torch.nn.utils.clip_grad_norm_(self._diffusion.parameters(), 1.0)
            self._optimizer.step()

    def draw(self, labels: np.ndarray, bias: float) -> Samples:
        """Return as many digits as there are labels; there are no labels and no bias here."""
        self._diffusion.eval()
        sizes = [len(part) for part in np.array_split(labels, -(-len(labels) // 16))]
        with redirect_stderr(StringIO()):  # its progress bar
            parts = [self._diffusion.sample(batch_size=size) for size in sizes]
        return Samples(to_bytes(torch.cat(parts)[:, 0, 2:-2, 2:-2].numpy() * 255))
