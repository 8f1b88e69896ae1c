"""Finished chains that ship with the package: their scores and their pictures."""

from madlab import renamed

_NAMES = {
    "Built": "building", "Embedding": "files", "Finished": "chains", "Gallery": "reading",
    "build": "building", "open": "reading",
}  # fmt: skip

__all__ = [*_NAMES]

# On first use: building needs torch, without which a gallery is read.
__getattr__ = renamed.lazy(__name__, **_NAMES)
