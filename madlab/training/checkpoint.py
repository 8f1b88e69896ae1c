"""Half-done training on disk, in two files that take turns."""

import hashlib
import json
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from madlab import files

if TYPE_CHECKING:
    from madlab.training.loop import Ema, Learner

FILES = ("a.safetensors", "b.safetensors")


def state(learner: "Learner", average: "Ema") -> dict[str, Tensor]:
    """Return copies on the CPU of everything that a step of training changes."""
    found = {f"network/{name}": value for name, value in learner.networks.state_dict().items()}
    found |= {f"average/{i}": value for i, value in enumerate(average.average)}
    for name, optimizer in learner.optimizers.items():
        for i, weight in enumerate(_weights(optimizer)):
            for key, value in optimizer.state.get(weight, {}).items():
                found[f"optimizer/{name}/{i}/{key}"] = value
    return {
        # Files keep no memory format.
        name: value.detach().cpu().clone(memory_format=torch.contiguous_format)
        for name, value in found.items()
    }


def restore(learner: "Learner", average: "Ema", step: int, found: Mapping[str, Tensor]) -> None:
    """Put back what `state` returned after `step` steps."""
    networks = {
        name.removeprefix("network/"): value
        for name, value in found.items()
        if name.startswith("network/")
    }
    learner.networks.load_state_dict(networks)
    for i, value in enumerate(average.average):
        value.copy_(found[f"average/{i}"])
    average.n = step
    for name, value in found.items():
        if not name.startswith("optimizer/"):
            continue
        _, owner, number, key = name.split("/")
        optimizer = learner.optimizers[owner]
        weight = _weights(optimizer)[int(number)]
        # Adam counts on the CPU where its steps do not run on the device as one.
        on_device = key != "step" or optimizer.param_groups[0]["fused"]
        kept = value.to(weight.device if on_device else "cpu", copy=True)
        # Files keep no memory format, and fused optimizers need the weight's.
        like = kept.shape == weight.shape
        optimizer.state[weight][key] = torch.empty_like(weight).copy_(kept) if like else kept


def _weights(optimizer: torch.optim.Optimizer) -> list[Tensor]:
    return [weight for group in optimizer.param_groups for weight in group["params"]]


class CheckpointMismatch(ValueError):  # noqa: N818 - what it is, not that it is one
    """A checkpoint is of other data, settings or another seed than the training that finds it."""


class Checkpoints:
    """Two files in a folder that hold the newest and the second newest state of a training.

    Each is written aside and moved to its name, and carries a checksum: whenever a run is killed,
    one intact state is there. A file that is damaged is passed over with a RuntimeWarning.

    - `folder`: made when first needed.
    - `identity`: JSON values that say which training this is.
    """

    def __init__(self, folder: Path, identity: Mapping[str, Any]) -> None:
        self.folder = folder
        self._identity = json.dumps(identity, sort_keys=True)
        self._next = 0
        self._full = False

    def newest(self) -> tuple[int, dict[str, Tensor]] | None:
        """Return the number of steps done and the state after them, or None where none is kept.

        Raises CheckpointMismatch where the folder holds the work of another training.
        """
        best: tuple[int, dict[str, Tensor]] | None = None
        for i, name in enumerate(FILES):
            found = self._read(self.folder / name)
            if found is not None and (best is None or found[0] > best[0]):
                best = found
                self._next = 1 - i
        return best

    def _read(self, path: Path) -> tuple[int, dict[str, Tensor]] | None:
        if not path.exists():
            return None
        try:
            with safe_open(path, framework="pt") as file:
                about = file.metadata() or {}
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            intact = about["check"] == _digest(tensors, about["step"], about["identity"])
        except (OSError, SafetensorError, KeyError, ValueError):
            intact = False
        if not intact:
            warnings.warn(
                f"{path} is damaged and passed over: training goes on from an earlier step",
                RuntimeWarning,
                stacklevel=2,
            )
            return None
        if about["identity"] != self._identity:
            raise CheckpointMismatch(
                f"{path} holds another training ({about['identity']}) than this one "
                f"({self._identity}): give another folder, or remove it"
            )
        return int(about["step"]), tensors

    def save(self, step: int, tensors: Mapping[str, Tensor]) -> None:
        """Keep the state after `step` steps; a disk that does not take it is only reported once."""
        about = {"step": str(step), "identity": self._identity}
        about["check"] = _digest(tensors, about["step"], about["identity"])
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with files.whole(self.folder / FILES[self._next], durable=True) as aside:
                save_file(dict(tensors), aside, metadata=about)
        except (OSError, SafetensorError) as error:
            # Another process that trained the same model may have published it and cleaned up.
            if not self._full and not isinstance(error, FileNotFoundError):
                warnings.warn(
                    f"half-done training could not be kept in {self.folder} ({error}); it goes on, "
                    "but a stop now loses the generation in work: free some space",
                    RuntimeWarning,
                    stacklevel=2,
                )
            self._full = True
            return
        self._next = 1 - self._next


def _digest(tensors: Mapping[str, Tensor], step: str, identity: str) -> str:
    found = hashlib.sha256(f"{step} {identity}".encode())
    for name in sorted(tensors):
        value = tensors[name].contiguous()
        found.update(f"{name} {value.dtype} {tuple(value.shape)}".encode())
        found.update(value.numpy().tobytes())
    return found.hexdigest()
