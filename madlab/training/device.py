"""What is computed on: device, precision and threads."""

import functools
import os
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

import torch


def device(name: str | None = None, *, float64: bool = False) -> torch.device:
    """Return the device to compute on.

    - `name`: "cpu", "cuda", "cuda:1", "mps", ...; None takes the environment variable
      `MADLAB_DEVICE`, and where that is not set the first of cuda, mps and cpu that is there.
    - `float64`: whether the work needs float64, which mps lacks: it is then never chosen.

    Raises ValueError for a device that torch does not know or that this machine does not have.
    """
    found = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if float64:
        found["mps"] = False
    wanted = name or os.environ.get("MADLAB_DEVICE")
    if not wanted:
        return torch.device(next((kind for kind, there in found.items() if there), "cpu"))
    here = ", ".join([kind for kind, there in found.items() if there] + ["cpu"])
    try:
        chosen = torch.device(wanted)
    except RuntimeError:
        raise ValueError(f"no device is named {wanted!r}; this machine has: {here}") from None
    count = {"cuda": torch.cuda.device_count(), "mps": int(found["mps"]), "cpu": 1}
    if (chosen.index or 0) >= count.get(chosen.type, 0):
        raise ValueError(
            f"device {wanted!r} is not available here; this machine has: {here}. "
            "Give one of these, or set MADLAB_DEVICE to it"
        )
    return chosen


MODES = ("eager", "graph", "compiled")


def mode(where: torch.device) -> str:
    """Return how steps run on `where`: "eager", "graph" or "compiled".

    Elsewhere than on CUDA that is eager, and so it is with float16, whose scaler was never tried
    in a graph. Otherwise a whole step is captured as one graph, which saves the launch of each of
    its kernels; compiled networks in that graph pay after minutes. The
    environment variable `MADLAB_MODE` overrides the choice, which is part of no name.

    Raises ValueError for another value of that variable.
    """
    wanted = os.environ.get("MADLAB_MODE") or "graph"
    if wanted not in MODES:
        raise ValueError(f"MADLAB_MODE is {wanted!r}; it must be one of {', '.join(MODES)}")
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
        if self.name not in formats:
            raise ValueError(
                f"MADLAB_PRECISION is {self.name!r}; it must be one of {', '.join(formats)}"
            )
        if self.name == "float16" and where.type != "cuda":
            raise ValueError(f"MADLAB_PRECISION is 'float16', which needs CUDA, not {where.type}")
        self._where = where
        self._format = formats[self.name]

    @functools.cached_property
    def scaler(self) -> torch.amp.GradScaler | None:
        """What scales losses so that float16 gradients do not vanish; None for other formats."""
        return torch.amp.GradScaler("cuda") if self.name == "float16" else None

    def renew(self) -> None:
        """Forget the scaler: one that was stopped between two of its steps takes no more."""
        self.__dict__.pop("scaler", None)

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
