"""Chains as their records tell of them: which rows belong together, and what to call them."""

from collections.abc import Iterable, Sequence
from typing import Any

from madlab.metrics.scores import kind_of_records
from madlab.store import name_of

Row = dict[str, Any]


class Finished:
    """A chain that has run: its records from generation 1 on, without a gap.

    - `name`: loop, model, digest of everything but the seed, bias, seed and n, in words.
    - `setup`: a digest of everything but the seed.
    - `subject`: what its pictures show: "digits", "faces", "pictures" where the data are a folder
      of someone's own, "nothing" of points; `data`: the name of the data set.
    - `loop`, `model`, `bias`, `seed`, `n_evaluate`, `features`: as in its records.
    - `family`: the kind of model: its recipe where it has several, else its name.
    - `n`: the training-set size of generation 1; `sizes`: those of all generations, in words.
    - `generations`: how many it has; `seconds`: of all of them, shared ones too.
    - `device`, `commit`: where, and from which code, it was made.
    - `rows`: one record a generation, in order, as `Store.rows()` gives them.
    """

    def __init__(self, rows: Sequence[Row]) -> None:
        first, made = rows[0], [row["provenance"] for row in rows]
        self.name = name(first)
        self.setup = setup(first)
        self.subject = subject(first)
        self.data: str = first["config"]["data"]
        self.loop: str = first["loop"]
        self.model: str = first["model"]
        self.family = family(first)
        self.bias: float = first["bias"]
        self.seed: int = first["seed"]
        self.n: int = first["config"]["loop"]["n_initial"]
        ends = dict.fromkeys(f"{row['n_synthetic']:,}" for row in (rows[1], rows[-1]))
        real = f"{rows[-1]['n_real']:,} real and " if rows[-1]["n_real"] else ""
        self.sizes = f"{self.n:,} real, then {real}{' to '.join(ends)} synthetic"
        self.n_evaluate: int = first["n_evaluate"]
        self.features: str = first["features"]
        self.generations = len(rows)
        self.device = ", ".join(sorted({str(one["device"]) for one in made}))
        self.seconds: float = sum(row["seconds"] for row in rows)
        self.commit = ", ".join(sorted({str(one["commit"]) for one in made}))
        self.rows = tuple(rows)


def family(row: Row) -> str:
    """Return the kind of model that a record is of, as `Finished` says."""
    return str(row["config"]["settings"].get("recipe", row["model"]))


def subject(row: Row) -> str:
    """Return what the pictures show that a record is of, as `Finished` says."""
    data = row["config"]["data"]
    if data.startswith("mnist-"):
        return "digits"
    if kind_of_records(row).name != "pictures":
        return "nothing"
    return "faces" if data.startswith(("ffhq-", "drawn-faces-")) else "pictures"


def setup(row: Row) -> str:
    """Return the digest of all that a record's chain depends on, except its seed."""
    parts = ("loop", "model", "bias", "n_evaluate", "features", "config")
    return name_of({part: row[part] for part in parts})[:8]


def name(row: Row) -> str:
    """Return the name of the chain that a record belongs to."""
    ends = f"bias {row['bias']:g}, seed {row['seed']}, n {row['config']['loop']['n_initial']}"
    return f"{row['loop']}, {family(row)} {setup(row)}, {ends}"


def sheet_generations(last: int) -> list[int]:
    """Return the generations whose pictures are kept: early ones, then fewer, and the last."""
    return sorted({last, *(t for t in (1, 2, 3, 5, 10, 20, 50, 100) if t < last)})


def in_order(chains: Iterable[Finished]) -> list[Finished]:
    """Return chains by family, loop, bias, size and seed, as a gallery has them."""
    return sorted(
        chains, key=lambda one: (one.family, one.loop, -one.bias, one.n, one.setup, one.seed)
    )


def group(rows: Iterable[Row]) -> tuple[list[Finished], dict[str, str]]:
    """Return the chains that records make up, and why others are none, by their names.

    Of two records of one generation the newer one counts.
    """
    chains: dict[str, dict[int, Row]] = {}
    for row in rows:
        chains.setdefault(name(row), {})[row["generation"]] = row
    whole, left_out = [], {}
    for chain, found in chains.items():
        if gaps := set(range(1, max(found))) - set(found):
            left_out[chain] = f"generation {min(gaps)} of {max(found)} is not recorded"
        elif len(found) < 2:
            left_out[chain] = "it has one generation, a chain has two at least"
        else:
            whole.append(Finished([found[t] for t in sorted(found)]))
    return whole, left_out
