"""Chains as their records tell of them: which rows belong together, and what to call them."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from madlab.store import name_of

Row = dict[str, Any]

SHEETS = (1, 2, 3, 5, 10, 20, 50, 100)
_MOST_EMBEDDED = 4
_FACES = ("ffhq-", "drawn-faces-")


@dataclass(frozen=True)
class Finished:
    """A chain that has run: its records from generation 1 on, without a gap.

    - `rows`: one record a generation, in order, as `Store.rows()` gives them.
    """

    rows: tuple[Row, ...]

    @property
    def loop(self) -> str:
        """The name of the loop."""
        return str(self.rows[0]["loop"])

    @property
    def model(self) -> str:
        """The name of the model."""
        return str(self.rows[0]["model"])

    @property
    def bias(self) -> float:
        """The sampling bias."""
        return float(self.rows[0]["bias"])

    @property
    def seed(self) -> int:
        """The seed of the chain."""
        return int(self.rows[0]["seed"])

    @property
    def n(self) -> int:
        """The training-set size of generation 1."""
        return int(self.rows[0]["config"]["loop"]["n_initial"])

    @property
    def data(self) -> str:
        """The name of the data set."""
        return str(self.rows[0]["config"]["data"])

    @property
    def subject(self) -> str:
        """What its pictures show: "digits", "faces", other "pictures" or, of points, "nothing"."""
        return subject(self.rows[0])

    @property
    def generations(self) -> int:
        """How many generations it has."""
        return len(self.rows)

    @property
    def sizes(self) -> str:
        """What generation 1 trained on, and the later ones, in words."""
        second, last = self.rows[1], self.rows[-1]
        real = f"{last['n_real']:,} real and " if last["n_real"] else ""
        low, high = f"{second['n_synthetic']:,}", f"{last['n_synthetic']:,}"
        synthetic = low if low == high else f"{low} to {high}"
        return f"{self.n:,} real, then {real}{synthetic} synthetic"

    @property
    def family(self) -> str:
        """The kind of model: its recipe where it has several, else its name."""
        return family(self.rows[0])

    @property
    def setup(self) -> str:
        """A name for this chain and those that differ from it in nothing but the seed."""
        return setup(self.rows[0])

    @property
    def name(self) -> str:
        """The chain's name: loop, model, digest of everything but the seed, bias, seed and n."""
        return name(self.rows[0])

    def sheet_generations(self) -> list[int]:
        """Return the generations whose pictures are kept: early ones, then fewer, and the last."""
        last = self.generations
        return sorted({last, *(t for t in SHEETS if t < last)})

    def embedded_generations(self) -> list[int]:
        """Return up to four of the same, spread evenly on a logarithmic scale."""
        kept, steps = self.sheet_generations(), _MOST_EMBEDDED - 1
        places = [math.log(self.generations) * i / steps for i in range(_MOST_EMBEDDED)]
        return sorted({min(kept, key=lambda t: abs(math.log(t) - place)) for place in places})


def family(row: Row) -> str:
    """Return the kind of model that a record is of: its recipe where it has one, else its name."""
    return str(row["config"]["settings"].get("recipe", row["model"]))


def subject(row: Row) -> str:
    """Return what the pictures show that a record is of.

    That is "digits" of MNIST, "faces" of FFHQ or drawn ones, "pictures" for other ones in colour,
    and "nothing" for all else, such as points.
    """
    if row["config"]["data"].startswith("mnist-"):
        return "digits"
    if "kid" not in row:
        return "nothing"
    return "faces" if row["config"]["data"].startswith(_FACES) else "pictures"


def setup(row: Row) -> str:
    """Return the digest of all that a record's chain depends on, except its seed."""
    parts = ("loop", "model", "bias", "n_evaluate", "features", "config")
    return name_of({part: row[part] for part in parts})[:8]


def name(row: Row) -> str:
    """Return the name of the chain that a record belongs to."""
    n = row["config"]["loop"]["n_initial"]
    return (
        f"{row['loop']}, {family(row)} {setup(row)}, bias {row['bias']:g}, seed {row['seed']}, "
        f"n {n}"
    )


def group(rows: Iterable[Row]) -> tuple[list[Finished], dict[str, str]]:
    """Return the chains that records make up, and why others are none, by their names.

    Two generations at least, counted from 1 without a gap; of two records of one generation the
    newer one counts.
    """
    chains: dict[str, dict[int, Row]] = {}
    for row in rows:
        chains.setdefault(name(row), {})[row["generation"]] = row
    finished, left_out = [], {}
    for chain, found in chains.items():
        if len(found) < 2:
            left_out[chain] = "it has one generation, a chain has two at least"
        elif sorted(found) != list(range(1, len(found) + 1)):
            gap = min(set(range(1, max(found))) - set(found))
            left_out[chain] = f"generation {gap} of {max(found)} is not recorded"
        else:
            finished.append(Finished(tuple(found[t] for t in sorted(found))))
    return finished, left_out
