"""What is computed on, and how: device, precision, threads, and steps captured as CUDA graphs."""

import functools
import os
import threading
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn

from madlab import checks

MODES = ("eager", "graph", "compiled")
WARM_UP = 3


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
    its kernels; compiled networks in that graph pay after minutes. The
    environment variable `MADLAB_MODE` overrides the choice, which is part of no name.

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


class CudaGraph:
    """A function of tensors that becomes one CUDA graph after a few plain calls.

    A graph saves the launching of each kernel, which is most of the time of small networks. Where
    there is no CUDA, where the mode is "eager" and where capturing fails, every call is plain.

    - `function`: maps tensors by name, of the same shapes in every call, to a tensor. It may
      change weights; it must not wait for the device nor draw random numbers.
    - `where`: the device.

    What a call returns is overwritten by the next call.
    """

    def __init__(
        self, function: Callable[[Mapping[str, Tensor]], Tensor], where: torch.device
    ) -> None:
        self._function = function
        self._where = where
        self._plain = mode(where) == "eager"
        self._calls = 0
        self._inputs: dict[str, Tensor] = {}
        self._output: Tensor | None = None
        self._graph: torch.cuda.CUDAGraph | None = None

    def __call__(self, inputs: Mapping[str, Tensor]) -> Tensor:
        """Return the function's value."""
        if self._plain:
            return self._function(inputs)
        with torch.cuda.device(self._where):
            return self._fast(inputs)

    def _fast(self, inputs: Mapping[str, Tensor]) -> Tensor:
        self._calls += 1
        if self._calls <= WARM_UP:
            return self._aside(inputs)
        if self._graph is None:
            self._capture(inputs)
            if self._graph is None:
                return self._function(inputs)
        for name, value in inputs.items():
            self._inputs[name].copy_(value, non_blocking=True)
        self._graph.replay()
        assert self._output is not None
        return self._output

    def _aside(self, inputs: Mapping[str, Tensor]) -> Tensor:
        """Run plainly on a stream of its own, as calls before a capture have to."""
        stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            output = self._function(inputs)
        torch.cuda.current_stream().wait_stream(stream)
        return output

    def _capture(self, inputs: Mapping[str, Tensor]) -> None:
        self._inputs = {name: value.clone() for name, value in inputs.items()}
        graph = torch.cuda.CUDAGraph()
        try:
            # A stream of this device, and errors for this thread alone: panels run in others.
            stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
            with torch.cuda.graph(graph, stream=stream, capture_error_mode="thread_local"):
                self._output = self._function(self._inputs)
        except torch.OutOfMemoryError:
            raise
        except RuntimeError as error:
            self._plain = True
            warnings.warn(
                f"no CUDA graph of the steps here, they run one kernel at a time: {error}",
                RuntimeWarning,
                stacklevel=2,
            )
            return
        self._graph = graph
