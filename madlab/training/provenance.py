"""What is kept of a computation beside its numbers: versions, device, commit, seconds."""

import functools
import os
import platform
import subprocess
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

import madlab
from madlab.training.device import Precision, device


class Clock:
    """Wall and processor seconds since it was made."""

    def __init__(self) -> None:
        self._wall, self._cpu = time.perf_counter(), time.process_time()

    def read(self) -> dict[str, float]:
        """Return `seconds` on the wall and `cpu_seconds` of this process, all threads."""
        wall, cpu = time.perf_counter() - self._wall, time.process_time() - self._cpu
        return {"seconds": wall, "cpu_seconds": cpu}


def provenance() -> dict[str, Any]:
    """Return what numbers depend on beside settings and seed, as JSON values.

    The keys are python, torch, numpy and madlab (versions), device (a description), precision (of
    the networks), threads, and commit: that of the source tree madlab was imported from, with "+"
    where tracked files differ from it, or None where there is no git. For a tree that was copied
    without it the environment variable `MADLAB_COMMIT` says it.
    """
    where = device()
    return {
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": np.__version__,
        "madlab": madlab.__version__,
        "device": _describe(where),
        "precision": Precision(where).name,
        "threads": torch.get_num_threads(),
        "commit": _commit(),
    }


def _describe(where: torch.device) -> str:
    if where.type == "cuda":
        return f"cuda: {torch.cuda.get_device_name(where)}"
    return f"{where.type}: {platform.system()} {platform.machine()}"


@functools.cache
def _commit() -> str | None:
    if "MADLAB_COMMIT" in os.environ:
        return os.environ["MADLAB_COMMIT"]
    tree = Path(__file__).resolve().parents[2]
    if not (tree / ".git").exists():
        return None
    try:
        commit = _git(tree, "rev-parse", "HEAD")
        changed = _git(tree, "status", "--porcelain", "--untracked-files=no")
    except (OSError, subprocess.SubprocessError):
        return None
    return commit + ("+" if changed else "")


def _git(tree: Path, *command: str) -> str:
    return subprocess.run(
        ["git", "-C", str(tree), *command], capture_output=True, text=True, check=True, timeout=10
    ).stdout.strip()
