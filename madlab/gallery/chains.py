"""Chains as their records tell of them: which rows belong together, and what to call them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from madlab.metrics.scores import kind_of_records
from madlab.store import name_of

Row = dict[str, Any]

_SHEETS = (1, 2, 3, 5, 10, 20, 50, 100)
_FACES = ("ffhq-", "drawn-faces-")


@dataclass(frozen=True)
class Finished:
    """A chain that has run: its records from generation 1 on, without a gap.

    - `name`: loop, model, digest of everything but the seed, bias, seed and n, in words.
    - `setup`: a digest of everything but the seed.
    - `subject`: what its pictures show: "digits", "faces", other "pictures", "nothing" of points.
    - `data`: the name of the data set.
    - `loop`, `model`, `bias`, `seed`, `n_evaluate`, `features`: as in its records.
    - `family`: the kind of model: its recipe where it has several, else its name.
    - `n`: the training-set size of generation 1; `sizes`: those of all generations, in words.
    - `generations`: how many it has.
    - `device`, `commit`: where, and from which code, it was made.
    - `seconds`: of all generations, shared ones too.
    - `rows`: one record a generation, in order, as `Store.rows()` gives them.
    """

    name: str
    setup: str
    subject: str
    data: str
    loop: str
    model: str
    family: str
    bias: float
    seed: int
    n: int
    sizes: str
    n_evaluate: int
    features: str
    generations: int
    device: str
    seconds: float
    commit: str
    rows: tuple[Row, ...] = field(repr=False)


def finished(rows: Sequence[Row]) -> Finished:
    """Return the chain of these records, one a generation from 1 on, at least two."""
    first, made = rows[0], [row["provenance"] for row in rows]
    same = ("loop", "model", "bias", "seed", "n_evaluate", "features")
    return Finished(
        name=name(first),
        setup=setup(first),
        subject=subject(first),
        data=first["config"]["data"],
        family=family(first),
        n=first["config"]["loop"]["n_initial"],
        sizes=sizes(rows),
        generations=len(rows),
        device=", ".join(sorted({str(one["device"]) for one in made})),
        seconds=sum(row["seconds"] for row in rows),
        commit=", ".join(sorted({str(one["commit"]) for one in made})),
        rows=tuple(rows),
        **{column: first[column] for column in same},
    )


def family(row: Row) -> str:
    """Return the kind of model that a record is of: its recipe where it has one, else its name."""
    return str(row["config"]["settings"].get("recipe", row["model"]))


def subject(row: Row) -> str:
    """Return what the pictures show that a record is of, as `Finished` says."""
    if row["config"]["data"].startswith("mnist-"):
        return "digits"
    if kind_of_records(row).name != "pictures":
        return "nothing"
    return "faces" if row["config"]["data"].startswith(_FACES) else "pictures"


def setup(row: Row) -> str:
    """Return the digest of all that a record's chain depends on, except its seed."""
    parts = ("loop", "model", "bias", "n_evaluate", "features", "config")
    return name_of({part: row[part] for part in parts})[:8]


def name(row: Row) -> str:
    """Return the name of the chain that a record belongs to."""
    n = row["config"]["loop"]["n_initial"]
    kind = f"{row['loop']}, {family(row)} {setup(row)}"
    return f"{kind}, bias {row['bias']:g}, seed {row['seed']}, n {n}"


def sizes(rows: Sequence[Row]) -> str:
    """Return what generation 1 trained on, and the later ones, in words."""
    first, second, last = rows[0]["config"]["loop"]["n_initial"], rows[1], rows[-1]
    real = f"{last['n_real']:,} real and " if last["n_real"] else ""
    ends = dict.fromkeys(f"{row['n_synthetic']:,}" for row in (second, last))
    return f"{first:,} real, then {real}{' to '.join(ends)} synthetic"


def sheet_generations(last: int) -> list[int]:
    """Return the generations whose pictures are kept: early ones, then fewer, and the last."""
    return sorted({last, *(t for t in _SHEETS if t < last)})


def group(rows: Iterable[Row]) -> tuple[list[Finished], dict[str, str]]:
    """Return the chains that records make up, and why others are none, by their names.

    Two generations at least, counted from 1 without a gap; of two records of one generation the
    newer one counts.
    """
    chains: dict[str, dict[int, Row]] = {}
    for row in rows:
        chains.setdefault(name(row), {})[row["generation"]] = row
    whole, left_out = [], {}
    for chain, found in chains.items():
        gaps = set(range(1, max(found))) - set(found)
        if len(found) < 2:
            left_out[chain] = "it has one generation, a chain has two at least"
        elif gaps:
            left_out[chain] = f"generation {min(gaps)} of {max(found)} is not recorded"
        else:
            whole.append(finished([found[t] for t in sorted(found)]))
    return whole, left_out
