"""madlab: learn, teach and study what happens when generative models train on their own output."""

from madlab import renamed

__version__ = "0.4.0"

_NAMES = {
    "Chain": "chain", "Generation": "chain", "Loop": "loops", "Samples": "data.samples",
    "Store": "store",
}  # fmt: skip
_MODULES = (
    "data", "doctor", "example", "findings", "gallery", "metrics", "models", "panels", "plots",
    "presets", "report", "theory",
)  # fmt: skip

__all__ = [*_NAMES, *_MODULES, "__version__"]

# On first use, so that `import madlab` loads neither torch nor Jupyter.
__getattr__ = renamed.lazy(__name__, **_NAMES, **dict.fromkeys(_MODULES, ""))


def __dir__() -> list[str]:
    return sorted(__all__)
