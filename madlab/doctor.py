"""Find out whether this machine can run madlab, and say how to mend what it cannot."""

import importlib
import math
import os
import sys
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

from madlab import files
from madlab.lab import DISTRIBUTION

# Bytes.
_DISK_NEEDED, _MEMORY_NEEDED = 2e9, 3e9
_PAIR = (
    "torch comes from PyTorch's CPU index and torchvision, a CUDA build, from the package index; "
    "take both from one place: pip install --force-reinstall torch torchvision --index-url "
    "https://download.pytorch.org/whl/cpu, or make a new environment as the README says"
)
_INSTALL = "install madlab again as the README says: pip install -c constraints.txt -e ."


class Finding(NamedTuple):
    """One thing that was looked at: what was found and what to do about it, empty where `ok`."""

    name: str
    ok: bool
    found: str
    mend: str = ""


def examine() -> list[Finding]:
    """Look at everything that madlab needs; whatever goes wrong becomes a finding, not an error."""
    return [_look(name, check) for name, check in _CHECKS.items()]


def table(findings: list[Finding]) -> str:
    """Return findings as text, a line each, with the mending below what is wrong."""
    width = max(len(finding.name) for finding in findings)
    lines = []
    for name, ok, found, mend in findings:
        lines.append(f"{'ok   ' if ok else 'WRONG'} {name:{width}}  {found}")
        lines += [f"{'':{width + 6}}  -> {mend}"] if mend else []
    wrong = sum(not finding.ok for finding in findings)
    lines.append(f"{wrong} to mend" if wrong else "Everything madlab needs is here.")
    return "\n".join(lines)


def _look(name: str, check: Callable[[], tuple[bool, str, str]]) -> Finding:
    try:
        ok, found, mend = check()
        return Finding(name, ok, found, "" if ok else mend)
    except metadata.PackageNotFoundError as error:
        return Finding(name, False, f"{error.name} is not installed", _INSTALL)
    except Exception as error:
        # A check-up that stops at the first broken library would hide all that follows.
        mend = _PAIR if "torchvision::" in str(error) else _INSTALL
        return Finding(name, False, f"{type(error).__name__}: {error}", mend)


def _python() -> tuple[bool, str, str]:
    found = f"{sys.version.split()[0]} at {sys.executable}"
    return sys.version_info >= (3, 11), found, "make an environment with Python 3.11 or later"


def _torch() -> tuple[bool, str, str]:
    import torch

    build = f"CUDA {torch.version.cuda} build" if torch.version.cuda else "CPU build"
    return True, f"{torch.__version__} ({build}), {torch.get_num_threads()} threads", ""


def _device() -> tuple[bool, str, str]:
    from madlab.training import device, provenance

    cpu = device().type == "cpu"
    place = "no GPU: the quick presets are made for that" if cpu else "GPU"
    return True, f"{provenance()['device']} ({place})", ""


def _torchvision() -> tuple[bool, str, str]:
    importlib.import_module("torchvision")
    return True, f"{metadata.version('torchvision')} with torch {metadata.version('torch')}", ""


def _packages() -> tuple[bool, str, str]:
    from packaging.requirements import Requirement

    # What has a marker is of an extra.
    needed = [
        r for r in map(Requirement, metadata.requires(DISTRIBUTION) or []) if r.marker is None
    ]
    versions = {r: metadata.version(r.name) for r in needed}
    unfit = [
        f"{r} is needed, not {v}" for r, v in versions.items() if not r.specifier.contains(v, True)
    ]
    return not unfit, "; ".join(unfit) or f"all {len(needed)}, of versions that fit", _INSTALL


def _kernel() -> tuple[bool, str, str]:
    from jupyter_client.kernelspec import KernelSpecManager

    command = KernelSpecManager().get_kernel_spec("python3").argv[0]
    found = f"ipykernel {metadata.version('ipykernel')}, kernel python3 starts {command}"
    # Jupyter takes a bare "python" to mean the Python that it runs in itself.
    bare = {"python", "python3", f"python3.{sys.version_info.minor}"}
    ok = command in bare or Path(command).absolute() == Path(sys.executable).absolute()
    mend = f"{sys.executable} -m ipykernel install --sys-prefix"
    return ok, found, f"notebooks would run in another Python; set it right with: {mend}"


def _widgets() -> tuple[bool, str, str]:
    from jupyter_core.paths import jupyter_path
    from jupyterlab_server.config import get_federated_extensions, get_page_config

    kernel, front = metadata.version("ipywidgets"), metadata.version("jupyterlab_widgets")
    folders = jupyter_path("labextensions")
    name = "@jupyter-widgets/jupyterlab-manager"
    disabled = get_page_config(folders).get("disabledExtensions", [])
    found = f"ipywidgets {kernel} in the kernel, jupyterlab_widgets {front} in JupyterLab"
    if name not in get_federated_extensions(folders):
        return False, f"{found}, but JupyterLab does not see its part", _INSTALL
    if any(plugin.split(":")[0] == name for plugin in disabled):
        return False, f"{found}, but disabled there", f"jupyter labextension enable {name}"
    mend = "the two must match: pip install 'ipywidgets>=8.1,<9' 'jupyterlab_widgets>=3,<4'"
    return kernel.startswith("8.") and front.startswith("3."), found, mend


def _data() -> tuple[bool, str, str]:
    from madlab.data import mnist

    digits = len(mnist()) + len(mnist().held_out.images)
    return True, f"all {digits:,} MNIST digits, checksums agree", ""


def _disk() -> tuple[bool, str, str]:
    free = files.free(Path.cwd())
    mend = (
        f"free some space: a store takes up to {_DISK_NEEDED / 1e9:.0f} GB; "
        "`madlab runs prune STORE --samples` helps"
    )
    size = "unknown space" if free == math.inf else f"{free / 1e9:.1f} GB"
    return free >= _DISK_NEEDED, f"{size} free in {Path.cwd()}", mend


def _memory() -> tuple[bool, str, str]:
    cores = f"{os.cpu_count()} cores"
    try:
        total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError):
        # Windows has no sysconf; not knowing is no fault.
        return True, f"{cores}, memory unknown", ""
    mend = "close other programs, and keep to the preset smoke"
    return total >= _MEMORY_NEEDED, f"{cores}, {total / 1e9:.1f} GB of memory", mend


_CHECKS = {
    "Python": _python, "packages": _packages, "torch": _torch, "device": _device,
    "torchvision": _torchvision, "widgets": _widgets, "kernel": _kernel, "data": _data,
    "disk": _disk, "machine": _memory,
}  # fmt: skip
