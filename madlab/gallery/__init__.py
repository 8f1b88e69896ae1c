"""Finished chains that ship with the package: their scores and their pictures."""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from madlab.gallery.building import Built, build
    from madlab.gallery.chains import Finished
    from madlab.gallery.pictures import Embedding
    from madlab.gallery.reading import Gallery, open

_WHERE = {
    "Built": "building",
    "Embedding": "pictures",
    "Finished": "chains",
    "Gallery": "reading",
    "build": "building",
    "open": "reading",
}

__all__ = ["Built", "Embedding", "Finished", "Gallery", "build", "open"]


def __getattr__(name: str) -> Any:
    # Looked up on first use: a gallery is read without torch, which building one needs.
    if name in _WHERE:
        return getattr(importlib.import_module(f"madlab.gallery.{_WHERE[name]}"), name)
    raise AttributeError(f"module 'madlab.gallery' has no attribute {name!r}")
