"""madlab: learn, teach and study what happens when generative models train on their own output."""

import importlib
from typing import Any

__version__ = "0.4.0"

_NAMES = {
    "Chain": "madlab.chain",
    "Generation": "madlab.chain",
    "Loop": "madlab.loops",
    "Samples": "madlab.data.samples",
    "Store": "madlab.store",
}
_MODULES = (
    "data",
    "doctor",
    "example",
    "findings",
    "gallery",
    "metrics",
    "models",
    "panels",
    "plots",
    "presets",
    "report",
    "theory",
)

__all__ = [*_NAMES, *_MODULES, "__version__"]


def __getattr__(name: str) -> Any:
    # Names are looked up on first use, so that `import madlab` loads neither torch nor Jupyter.
    if name in _MODULES:
        return importlib.import_module(f"madlab.{name}")
    if name in _NAMES:
        return getattr(importlib.import_module(_NAMES[name]), name)
    return importlib.import_module("madlab.renamed").find("madlab", name)


def __dir__() -> list[str]:
    return sorted(__all__)
