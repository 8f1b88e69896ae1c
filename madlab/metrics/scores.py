"""What is scored, as tables: the scores, and which of them each kind of data has; needs no torch.

A new score is a row of `SCORES`; columns of records, axes, labels and words follow from it. A new
kind of data, such as text, adds one row to `KINDS` here, and its feature map to `metrics.features`.
"""

import inspect
import math
from collections.abc import Iterable, Mapping
from types import SimpleNamespace
from typing import Any, NamedTuple, Self

import numpy as np

from madlab import checks


class Score(NamedTuple):
    """One score: what it is called, where its axis ends and what it says.

    - `label`: what figures call it, with "{}" where the features are named; empty where no figure
      shows it.
    - `words`: what it says.
    - `low`, `high`: the ends of its axis; None where the numbers decide.
    - `floor`: whether as many real training samples show what a perfect model gets.
    - `own`: whether it is not madlab's.
    """

    label: str
    words: str
    low: float | None = 0.0
    high: float | None = None
    floor: bool = True
    own: bool = False


# In the order of the columns of records. `kid` of as good as real pictures may be a little below 0;
# real training pictures have no `memorisation` to compare with: all are copies of training ones.
SCORES: dict[str, Score] = {
    "fd": Score(
        "FD{}",
        "Frechet distance on the named features; of colour pictures on 64 of their principal "
        "components, fitted to training pictures: it grows as sets get smaller, so read `fd_ratio`",
    ),
    "precision": Score("precision (quality)", "samples inside a ball of held-out ones", high=1),
    "recall": Score(
        "recall (diversity)", "held-out samples inside a ball of generated ones", high=1
    ),
    "density": Score("density", "balls of held-out samples around a sample, over k"),
    "coverage": Score("coverage", "balls of held-out samples that hold a sample", high=1),
    "read": Score("read share", "the share that a separate classifier reads as its label", high=1),
    "duplicates": Score("", "samples that are exact copies of an earlier one in the same set"),
    "kid": Score("KID{}", "kernel distance on the named features, see `KernelDistance`", low=None),
    "kid_error": Score("", "the standard error of `kid`"),
    "fd_ratio": Score("FD{} / floor", "`fd` over that of as many real training pictures"),
    "precision_error": Score(
        "",
        "standard deviation of `precision` between the 10 draws of equal sizes whose mean it is, "
        "not an error against other held-out pictures; NaN where all draws are one",
    ),
    "recall_error": Score("", "the same of `recall`"),
    "distance": Score(
        "pairwise distance / real",
        "mean distance between two of the pictures, over that between two held-out ones, on 64 "
        "principal components of pixels, which no grain or grid disturbs; 0: all are one picture",
    ),
    "memorisation": Score(
        "memorisation (1 = none)",
        "mean distance to the nearest training picture, over that to the nearest held-out one, see "
        "`madlab.metrics.distances.Memorisation`; less than 1 where training pictures are copied",
        floor=False,
    ),
}


class Kind(NamedTuple):
    """One kind of data: how to tell it, and what it is scored by.

    - `name`: what its samples are called, in words.
    - `arrays`: the types and dimensions that an array of samples may have.
    - `features`: the feature maps it can be scored on, by what figures call them, default first.
    - `title`: what figures call its scores, with "{}" where the features are named.
    - `headline`, `others`: the scores that figures show at once, and those they can show besides.
    - `side`: the class that scores it, by module of `madlab.metrics` and name.
    - `read`: whether the separate classifier reads its samples.
    - `size`: the height and width that they must have, where not any will do.
    """

    name: str
    arrays: tuple[tuple[str, int], ...]
    features: Mapping[str, str]
    title: str
    headline: tuple[str, ...] = ("fd", "precision", "recall", "read")
    others: tuple[str, ...] = ("density", "coverage")
    side: str = "reference:Plain"
    read: bool = False
    size: tuple[int, int] | None = None

    @property
    def shown(self) -> tuple[str, ...]:
        """All scores that figures can show, in their order."""
        return self.headline + self.others


_DIGITS = Kind(
    "digits",
    (("uint8", 3),),
    {"lenet": "LeNet"},
    "Digits, on {} features",
    read=True,
    size=(28, 28),
)
_POINTS = Kind("points", (("float64", 2),), {"points": "points"}, "Points, on their coordinates")
_PICTURES = Kind(
    "pictures",
    (("uint8", 3), ("uint8", 4)),
    {"efficientnet": "EfficientNet", "inception": "Inception", "dinov2": "DINOv2", "pca": "PCA"},
    "Pictures, on {} features",
    headline=("kid", "recall", "distance", "precision"),
    # A Frechet distance of small sets says nothing except beside its floor.
    others=("fd_ratio", "memorisation", "density", "coverage"),
    side="small_sets:SmallSets",
)
# Records on features of one's own.
_OTHER = Kind("samples", (), {}, "Samples, on {} features")
KINDS: dict[str, Kind] = {kind.name: kind for kind in (_DIGITS, _POINTS, _PICTURES)}


def kind_of(images: np.ndarray) -> Kind:
    """Return the kind of data that an array of samples is; raises TypeError for any other."""
    if not isinstance(images, np.ndarray):
        raise TypeError(
            f"samples are {type(images).__name__}, not a numpy array; "
            "madlab.data.Dataset.from_arrays takes lists and tensors"
        )
    for kind in KINDS.values():
        fits = (str(images.dtype), images.ndim) in kind.arrays
        if fits and kind.size in (None, images.shape[1:3]):
            return kind
    raise TypeError(
        f"nothing scores {images.dtype} samples of shape {images.shape}; there are scores of "
        "uint8 digits (n, 28, 28), float64 points (n, d) and uint8 pictures (n, height, width), or "
        "(n, height, width, 3) in colour"
    )


def kind_of_records(records: Any) -> Kind:
    """Return the kind of data that records are of, a table or one row, by features and scores."""
    names = _features(records)
    found = [kind for kind in KINDS.values() if names & set(kind.features)]
    if found:
        return found[-1]
    kid: Any = np.atleast_1d(records["kid"]) if "kid" in records else []
    return _PICTURES if any(x is not None and x == x for x in kid) else _OTHER


def score_label(name: str, records: Any = None, *, short: bool = False) -> str:
    """Return what figures call a score.

    - `records`: rows whose features are named in it, where it is named after features.
    - `short`: without what stands in brackets, as sentences have it.

    Raises KeyError for a name that no figure shows, naming those that they do.
    """
    shown = [name for name, score in SCORES.items() if score.label]
    checks.known("metric", name, shown)
    named = "" if records is None else _called(records)
    found = SCORES[name].label.format(f"-{named}" if named else "")
    return found.split(" (")[0] if short else found


def scored_on(records: Any) -> str:
    """Return what figures call the kind of data and the features that records are scored on."""
    return kind_of_records(records).title.format(_called(records))


def _called(records: Any) -> str:
    """Return what figures call the features of records."""
    called = {key: word for kind in KINDS.values() for key, word in kind.features.items()}
    return "/".join(sorted(called.get(one, one) for one in _features(records)))


def _features(records: Any) -> set[str]:
    return {str(name).split("-")[0] for name in np.atleast_1d(records["features"])}


def side_of(images: np.ndarray, features: Any) -> tuple[str, Any]:
    """Return the class that scores samples, as in `Kind.side`, and features: as given, or default.

    Pictures of digits' size are scored as pictures where features of pictures are asked for.
    """
    kind = kind_of(images)
    if kind is _DIGITS and isinstance(features, str) and features in _PICTURES.features:
        kind = _PICTURES
    return kind.side, next(iter(kind.features)) if features is None else features


def know_own(names: Iterable[str]) -> None:
    """Add scores of one's own to `SCORES`, as records name them."""
    for name in names:
        SCORES.setdefault(
            name, Score(name, "a score of one's own", low=None, floor=False, own=True)
        )


def defined(name: str, records: Any) -> bool:
    """Return whether a table of records has numbers of a score, and not only places for them."""
    return name in records and bool(records[name].notna().any())


class Scores(SimpleNamespace):
    """How a set of samples compares with the held-out set: the scores that its kind of data has.

    `scores.fd` is one of them, `scores._asdict()` all that there are by their names. Those that
    other kinds of data have are NaN, as `read` is without labels. What they say:
    """

    def __init__(self, **found: float) -> None:
        unknown = sorted(set(found) - set(SCORES))
        if unknown:
            raise TypeError(f"no score named {unknown[0]!r}{checks.hint(unknown[0], SCORES)}")
        super().__init__(**found)

    def __getattr__(self, name: str) -> float:
        # Asked only for what is not there.
        if name in SCORES:
            return math.nan
        raise AttributeError(f"no score named {name!r}{checks.hint(name, SCORES)}")

    def _asdict(self) -> dict[str, float]:
        """Return the scores that there are by their names."""
        return dict(vars(self))

    def record(self) -> dict[str, float | None]:
        """Return the scores that there are as records keep them, with None for NaN."""
        return {name: None if math.isnan(x) else x for name, x in vars(self).items()}

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> Self:
        """Return the scores in a record as a store keeps it, in which None stands for NaN."""
        know_own(row.get("own", ()))
        found = {name: row[name] for name in SCORES if name in row}
        return cls(**{name: math.nan if x is None else x for name, x in found.items()})


_EXPLAINED = "\n".join(f"- `{name}`: {score.words}." for name, score in SCORES.items())
Scores.__doc__ = f"{inspect.cleandoc(Scores.__doc__ or '')}\n\n{_EXPLAINED}"
