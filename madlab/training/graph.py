"""Functions of tensors that are captured as CUDA graphs."""

import warnings
from collections.abc import Mapping

import torch
from torch import Tensor

from madlab.training.device import TensorFunction, mode

WARM_UP = 3


class CudaGraph:
    """A function of tensors that becomes one CUDA graph after a few plain calls.

    A graph saves the launching of each kernel, which is most of the time of small networks. Where
    capturing fails, every call is plain.

    - `function`: maps tensors by name, of the same shapes in every call, to a tensor. It may
      change weights; it must not wait for the device nor draw random numbers.
    - `where`: the device; where the mode is "eager", as on a CPU, every call is plain.

    What a call returns is overwritten by the next call.
    """

    def __init__(self, function: TensorFunction, where: torch.device) -> None:
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
