"""Records as a table: its columns, and those that tell chains apart."""

from typing import Any

import pandas as pd

from madlab.metrics.scores import SCORES, know_own

COLUMNS = [
    "generation", "loop", "model", "bias", "seed", "n_real", "n_synthetic", "n_evaluate",
    "features", "fd", "precision", "recall", "density", "coverage", "read", "seconds", "id",
]  # fmt: skip


_APART = ("data", "version", "loop.", "settings.")


def table(rows: list[dict[str, Any]]) -> pd.DataFrame:
    """Return records as a table with the columns that every plot and panel reads.

    Scores that only some kinds of data have follow where a row has them, then what tells chains of
    one loop and model apart: `data`, `version`, `loop.memory`, `settings.steps` and their like,
    each where it differs.
    """
    for row in rows:
        know_own(row.get("own", ()))
    known = {*COLUMNS, "duplicates"}
    more = [name for name in SCORES if name not in known and any(name in row for row in rows)]
    columns = COLUMNS + more
    found = pd.DataFrame([[row.get(name) for name in columns] for row in rows], columns=columns)
    config = pd.json_normalize([row.get("config") or {} for row in rows])
    if "biases" in config:
        said = config["biases"].map(lambda one: ", ".join(map("{:g}".format, one)), "ignore")
        config["biases"] = said
    schedule = [name for name in config if name == "biases"]
    kinds = config.astype(str).groupby([found["loop"], found["model"]]).nunique().max().to_dict()
    differ = [name for name in config if kinds[name] > 1 and name not in schedule]
    return found.join(config[differ + schedule])


def told_apart(records: pd.DataFrame) -> list[str]:
    """Return the columns of a table that tell chains of one loop and model apart."""
    return [name for name in map(str, records) if name.startswith(_APART)]
