"""What a chain asks of a model that may be anyone's: whole samples, and the code that made them."""

import ast
import hashlib
import inspect
import json
import textwrap
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from madlab.data.samples import Dataset, Samples
from madlab.loops import Loop
from madlab.models.base import Base, Labels, Model
from madlab.training import provenance


def checked(model: Model, drawn: Any, n: int, like: np.ndarray, labels: Labels) -> Samples:
    """Return what `model.sample` gave, or raise unless it is what was asked for.

    - `drawn`: what it gave; `n`: how many samples were asked for.
    - `like`: real images, whose dtype and shape samples must have.
    - `labels`: those that were asked for, int64 `(n,)`, or None.
    """
    if not isinstance(drawn, Samples):
        raise TypeError(
            f"the model {model.name!r} gave {type(drawn).__name__}, not Samples: mend it"
        )
    wanted = f"{like.dtype} {(n, *like.shape[1:])}"
    found, why = _type(drawn.images), ""
    if found != wanted:
        why = f"gave {found} where {wanted} was asked for"
    elif drawn.labels is not None and _type(drawn.labels) != f"int64 {(n,)}":
        why = f"gave labels that are {_type(drawn.labels)}, not int64 {(n,)}"
    elif not np.isfinite(drawn.images).all():
        why = "gave samples with NaN or infinite values; its training may have diverged"
    elif labels is not None and (drawn.labels is None or (drawn.labels != labels).any()):
        why = "gave other labels than it was asked for"
    if why:
        raise ValueError(f"the model {model.name!r} {why}. Such samples are not kept: mend it")
    return drawn


def _type(array: Any) -> str:
    known = isinstance(array, np.ndarray)
    return f"{array.dtype} {array.shape}" if known else type(array).__name__


def try_data(model: Model, loop: Loop, data: Dataset, generations: int) -> None:
    """Raise what a model would of data that it cannot be fitted to, before anything is trained.

    Of one's own model only the settings are asked for: they must be JSON values.
    """
    parts = map(loop.compose, range(1, generations + 1))
    least = min(part.n_real + part.n_synthetic for part in parts)
    try:
        json.dumps(model.settings, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise TypeError(
            f"the settings of the model {model.name!r} must be JSON values, as they name its work: "
            f"{error}"
        ) from error
    if isinstance(model, Base):
        # Pictures, which may be large, are asked for their kind and number: some will do.
        n = least if data.images.ndim == 2 else min(least, 100)
        model.try_data(*data.take(np.resize(np.arange(len(data)), n)))


def check_classes(model: Model, t: int, asked: np.ndarray, there: np.ndarray, n: int) -> None:
    """Raise ValueError where generation `t` would be asked for classes it was not trained on.

    - `asked`, `there`: labels; `n`: how many synthetic samples the generation trains on.
    """
    missing = np.setdiff1d(asked, there).tolist()
    if missing and isinstance(model, Base):
        raise ValueError(
            f"generation {t} would train on no image of the classes {missing}, which are few, but "
            f"is asked for some: raise n_synthetic, which is {n}, or leave these classes out"
        )


def code_of(model: Model) -> dict[str, str]:
    """Return `{"code": ...}`, 16 hexadecimal digits that name the code of a model's class.

    Of a class all methods count, without comments, and those of its bases outside madlab, but not
    what they call, nor constants, which may be counters. Empty for madlab's own models, whose
    `version` says it, and where Python has no source to show.
    """
    own = [one for one in type(model).__mro__ if one.__module__.split(".")[0] not in _NOT_ONES_OWN]
    methods = [method for one in own for method in _methods(one)]
    try:
        return {"code": hash_of_code(methods)[:16]} if methods else {}
    except (OSError, SyntaxError):
        return {}


def hash_of_code(functions: Iterable[Callable[..., Any]]) -> str:
    """Return the SHA-256 of the text of functions without comments, 64 hexadecimal digits.

    Raises OSError or SyntaxError where Python has no text of one alone, TypeError for those in C.
    """
    text = "\n".join(
        ast.unparse(ast.parse(textwrap.dedent(inspect.getsource(one)))) for one in functions
    )
    return hashlib.sha256(text.encode()).hexdigest()


def made_by(model: Model) -> dict[str, Any]:
    """Return what is kept beside a model's work: `provenance()`, and the code of one's own."""
    return provenance() | code_of(model)


def warn_of_other_code(model: Model, manifest: Mapping[str, Any]) -> None:
    """Warn where a store's entry was made by other code of one's own model.

    Whether that changes what it holds nobody can know, so it is used: it may be days of work.
    """
    made, now = manifest["provenance"].get("code"), code_of(model).get("code")
    if made and now and made != now:
        warnings.warn(
            f"the code of the model {model.name!r} was changed after it made what the store has of "
            "it, which is used as it is: raise the version of its class to train it anew",
            UserWarning,
            3,
        )


_NOT_ONES_OWN = ("madlab", "builtins", "typing", "abc")


def _methods(kind: type) -> Iterator[Callable[..., Any]]:
    for _, value in sorted(vars(kind).items()):
        method = getattr(value, "__func__", getattr(value, "fget", value))
        # What dataclasses write has no source.
        if inspect.isfunction(method) and not method.__code__.co_filename.startswith("<string"):
            yield method
