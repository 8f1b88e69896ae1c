"""Generative models by name; each one documents what its sampling bias does."""

import importlib
import inspect
import json
from pathlib import Path
from typing import Any, TypeVar

from madlab import checks, renamed
from madlab.models.base import Base, Model, NotFittedError, setting
from madlab.models.contract import check_model

_M = TypeVar("_M")
_PARTS = ("version", "conditional", "settings", "fit", "sample", "save", "from_folder")
_WHERE = {
    "coupling": ("madlab.models.realnvp", "RealNvp"),
    "diffusion": ("madlab.models.diffusion", "Diffusion"),
    "face_flow": ("madlab.models.face_flow", "FaceFlow"),
    "face_gan": ("madlab.models.face_gan", "FaceGan"),
    "gan": ("madlab.models.gan", "Gan"),
    "gaussian": ("madlab.models.gaussian", "Gaussian"),
    "mixture": ("madlab.models.mixture", "Mixture"),
    "picked": ("madlab.models.picked", "Picked"),
    "principal": ("madlab.models.principal", "Principal"),
    "wgan": ("madlab.models.wgan", "Wgan"),
}


# Models of one's own, by their names.
_OWN: dict[str, Any] = {}


def register(model: type[_M]) -> type[_M]:
    """Let a model of one's own be known by its `name`: a decorator of its class.

    Run again, as a notebook's cell is, it takes the new class.

    Raises TypeError for a class that is no `Model`, ValueError for the name of another model.
    """
    name = getattr(model, "name", None)
    if not isinstance(model, type) or not isinstance(name, str) or not name:
        raise TypeError(f"{model!r} has no name: give its class one, name = '...'")
    lacks = sorted(part for part in _PARTS if not hasattr(model, part))
    if lacks:
        raise TypeError(f"{model.__name__} is no model, it lacks {', '.join(lacks)}")
    other = _OWN.get(name)
    if name in _WHERE or (other and other.__qualname__ != model.__qualname__):
        raise ValueError(f"there is another model named {name!r}; choose another name")
    _OWN[name] = model
    return model


def names() -> list[str]:
    """Return the names that `create` knows, in alphabetical order."""
    return sorted([*_WHERE, *_OWN])


def kind(name: str) -> type[Model]:
    """Return the class of a model by its name; raises KeyError for a name that is not known."""
    checks.known("model", name, names())
    if name in _OWN:
        return _OWN[name]
    module, attribute = _WHERE[name]
    return getattr(importlib.import_module(module), attribute)


def create(name: str, **settings: Any) -> Model:
    """Make an unfitted model by its name.

    - `name`: one of `names()`.
    - `settings`: the keyword arguments of the model's class.

    Raises KeyError for a name that is not known, TypeError for a setting that the model does
    not have, and ValueError for a value that it does not take.
    """
    found = kind(name)
    allowed = list(inspect.signature(found).parameters)
    for one in settings:
        if one not in allowed:
            meant, known = checks.hint(one, allowed), ", ".join(allowed)
            raise TypeError(f"{name!r} has no setting {one!r}{meant} Its settings are: {known}.")
    return found(**settings)


def load(folder: Path) -> Model:
    """Read a fitted model from a folder that a model's `save` wrote."""
    name = json.loads((Path(folder) / "model.json").read_text())["name"]
    return kind(name).from_folder(Path(folder))


__getattr__ = renamed.lazy(__name__)


__all__ = [
    "Base",
    "Model",
    "NotFittedError",
    "check_model",
    "create",
    "kind",
    "load",
    "names",
    "register",
    "setting",
]
