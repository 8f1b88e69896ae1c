"""Finished chains that ship with the package: their scores and their pictures."""

from typing import TYPE_CHECKING, Any

from madlab.gallery.chains import Finished
from madlab.gallery.pictures import Embedding
from madlab.gallery.reading import Gallery, open

if TYPE_CHECKING:
    from madlab.gallery.building import Built, build

__all__ = ["Built", "Embedding", "Finished", "Gallery", "build", "open"]


def __getattr__(name: str) -> Any:
    # Building needs torch, without which a gallery is read.
    if name not in ("Built", "build"):
        raise AttributeError(f"module 'madlab.gallery' has no attribute {name!r}")
    from madlab.gallery import building

    return getattr(building, name)
