"""What a chain asks of a model that may be anyone's: whole samples, and the code that made them."""

import ast
import hashlib
import inspect
import textwrap
import warnings
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from madlab.data.samples import Samples
from madlab.models.base import Labels, Model
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
    found, why = f"{drawn.images.dtype} {drawn.images.shape}", ""
    if found != wanted:
        why = f"gave {found} where {wanted} was asked for"
    elif not np.isfinite(drawn.images).all():
        why = "gave samples with NaN or infinite values; its training may have diverged"
    elif labels is not None and (drawn.labels is None or (drawn.labels != labels).any()):
        why = "gave other labels than it was asked for"
    if why:
        raise ValueError(f"the model {model.name!r} {why}. Such samples are not kept: mend it")
    return drawn


def code_of(model: Model) -> dict[str, str]:
    """Return `{"code": ...}`, 16 hexadecimal digits that name the code of a model's class.

    Of a class all methods count, without comments, and those of its bases outside madlab, but not
    what they call. Empty for madlab's own models, whose `version` says it, and where Python has no
    source to show.
    """
    own = (one for one in type(model).__mro__ if one.__module__.split(".")[0] not in _NOT_ONES_OWN)
    try:
        text = "\n".join(
            ast.unparse(ast.parse(textwrap.dedent(inspect.getsource(method))))
            for one in own
            for method in _methods(one)
        )
    except (OSError, SyntaxError):
        return {}
    return {"code": hashlib.sha256(text.encode()).hexdigest()[:16]} if text else {}


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
