"""What is computed on, and how: device, precision, threads, graphs, random numbers."""

import functools
import os
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from madlab import checks
from madlab.streams import derive, generator

MODES = ("eager", "graph", "compiled")

Made = TypeVar("Made")
TensorFunction = Callable[[Mapping[str, Tensor]], Tensor]


def device(name: str | None = None, *, float64: bool = False) -> torch.device:
    """Return the device to compute on.

    - `name`: "cpu", "cuda", "cuda:1", "mps", ...; None takes the environment variable
      `MADLAB_DEVICE`, and where that is not set the first of cuda, mps and cpu that is there.
    - `float64`: whether the work needs float64, which mps lacks: it is then never chosen.

    Raises ValueError for a device that torch does not know or that this machine does not have.
    """
    mps = torch.backends.mps.is_available() and not float64
    available = [*(["cuda"] if torch.cuda.is_available() else []), *(["mps"] if mps else []), "cpu"]
    wanted = name or os.environ.get("MADLAB_DEVICE")
    if not wanted:
        return torch.device(available[0])
    here = ", ".join(available)
    try:
        chosen = torch.device(wanted)
    except RuntimeError:
        raise ValueError(f"no device is named {wanted!r}; this machine has: {here}") from None
    count = {"cuda": torch.cuda.device_count(), "mps": int(mps), "cpu": 1}
    if (chosen.index or 0) >= count.get(chosen.type, 0):
        raise ValueError(
            f"device {wanted!r} is not available here; this machine has: {here}. "
            "Give one of these, or set MADLAB_DEVICE to it"
        )
    return chosen


def mode(where: torch.device) -> str:
    """Return how steps run on `where`: "eager", "graph" or "compiled".

    Elsewhere than on CUDA that is eager, and so it is with float16, whose scaler was never tried
    in a graph. Otherwise a whole step is captured as one graph, which saves the launch of each of
    its kernels; compiled networks in that graph pay after minutes. The environment variable
    `MADLAB_MODE` overrides the choice, which is part of no name.

    Raises ValueError for another value of that variable.
    """
    wanted = os.environ.get("MADLAB_MODE") or "graph"
    checks.choice("MADLAB_MODE", wanted, MODES)
    fast = where.type == "cuda" and Precision(where).name != "float16"
    return wanted if fast else "eager"


class Precision:
    """The number format that networks compute in; weights and optimizers stay float32.

    It is bfloat16 on CUDA devices that have it, float16 on older ones, float32 elsewhere; the
    environment variable `MADLAB_PRECISION` overrides it.

    - `where`: the device.
    - `name`: "float32", "bfloat16" or "float16".

    Raises ValueError for another value of that variable, and for float16 elsewhere than on CUDA.
    """

    def __init__(self, where: torch.device) -> None:
        formats = {"float32": None, "bfloat16": torch.bfloat16, "float16": torch.float16}
        self.name = os.environ.get("MADLAB_PRECISION") or _fitting(where)
        checks.choice("MADLAB_PRECISION", self.name, formats)
        if self.name == "float16" and where.type != "cuda":
            raise ValueError(f"MADLAB_PRECISION is 'float16', which needs CUDA, not {where.type}")
        self._where = where
        self._format = formats[self.name]

    @functools.cached_property
    def scaler(self) -> torch.amp.GradScaler | None:
        """What scales losses so that float16 gradients do not vanish; None for other formats."""
        return torch.amp.GradScaler("cuda") if self.name == "float16" else None

    def autocast(self) -> AbstractContextManager[object]:
        """Return a context in which networks compute in this format."""
        if self._format is None:
            return nullcontext()
        return torch.autocast(self._where.type, dtype=self._format)


def _fitting(where: torch.device) -> str:
    if where.type != "cuda":
        return "float32"
    newer = torch.cuda.get_device_capability(where) >= (8, 0)
    return "bfloat16" if newer else "float16"


class _Threads:
    """How many are inside `one_thread`, and how many threads torch had before the first came."""

    lock = threading.Lock()
    inside = 0
    before = 1


@contextmanager
def one_thread() -> Iterator[None]:
    """Keep torch to one thread: for many small matrices, more of them mostly wait.

    Several threads may be inside at a time; each leaves with the number from before the first.
    """
    with _Threads.lock:
        if not _Threads.inside:
            _Threads.before = torch.get_num_threads()
        _Threads.inside += 1
    torch.set_num_threads(1)
    try:
        yield
    finally:
        with _Threads.lock:
            _Threads.inside -= 1
        torch.set_num_threads(_Threads.before)


def compiled(network: nn.Module) -> Callable[..., Any]:
    """Return the network compiled where the mode is "compiled", and as it is otherwise.

    Where compiling fails, the network runs as it is. A compiled network has no second derivative.
    """
    if mode(next(network.parameters()).device) != "compiled":
        return network
    import torch._dynamo

    torch._dynamo.config.suppress_errors = True
    return torch.compile(network)


def captured(function: TensorFunction, where: torch.device) -> TensorFunction:
    """Return the function as a `CudaGraph`, or as it is where the mode is "eager"."""
    if mode(where) == "eager":
        return function
    from madlab.training.graph import CudaGraph

    return CudaGraph(function, where)


class Draws:
    """Random numbers on a device, in a stream that words name.

    On the CPU they are numpy's, from `madlab.streams`; elsewhere the device draws its own, which
    are others, but just as much a function of the words.

    - `where`: the device they are wanted on.
    - `seed`, `purpose`: as `madlab.streams.generator` takes them.
    """

    def __init__(self, where: torch.device, seed: int, *purpose: int | str) -> None:
        self._where = where
        self._numpy = generator(seed, *purpose) if where.type == "cpu" else None
        if self._numpy is None:
            self._torch = torch.Generator(where).manual_seed(derive(seed, *purpose))

    def normal(self, *shape: int) -> Tensor:
        """Return standard normal numbers, float32 of `shape`."""
        if self._numpy is not None:
            return torch.from_numpy(self._numpy.standard_normal(shape, dtype=np.float32))
        return torch.randn(shape, generator=self._torch, device=self._where)

    def uniform(self, *shape: int) -> Tensor:
        """Return numbers that are uniform in [0, 1), float32 of `shape`."""
        if self._numpy is not None:
            # Rounding to float32 would make 1 of the largest numbers below it.
            drawn = torch.from_numpy(self._numpy.random(shape)).float()
            return drawn.clamp_(max=1 - 2**-24)
        return torch.rand(shape, generator=self._torch, device=self._where)


def seeded(make: Callable[[], Made], seed: int) -> Made:
    """Return what `make` makes, with torch's random numbers on the CPU set by the seed.

    Used for initial weights: they are the same for every device.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive(seed, "weights"))
        return make()
