"""Generative models by name; each one documents what its sampling bias does."""

import importlib
import inspect
import json
from pathlib import Path
from typing import Any

from madlab import checks, renamed
from madlab.models.base import Model, NotFittedError
from madlab.models.contract import check_model

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


def names() -> list[str]:
    """Return the names that `create` knows, in alphabetical order."""
    return sorted(_WHERE)


def kind(name: str) -> type[Model]:
    """Return the class of a model by its name; raises KeyError for a name that is not known."""
    checks.known("model", name, names())
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
    for setting in settings:
        if setting not in allowed:
            meant, known = checks.hint(setting, allowed), ", ".join(allowed)
            raise TypeError(
                f"{name!r} has no setting {setting!r}{meant} Its settings are: {known}."
            )
    return found(**settings)


def load(folder: Path) -> Model:
    """Read a fitted model from a folder that a model's `save` wrote."""
    name = json.loads((Path(folder) / "model.json").read_text())["name"]
    return kind(name).from_folder(Path(folder))


__getattr__ = renamed.lazy(__name__)


__all__ = ["Model", "NotFittedError", "check_model", "create", "kind", "load", "names"]
