"""Which data a store has work on: two sets of data must not share results under one id."""

import contextlib
import json
from collections.abc import Mapping
from typing import Any

from madlab import files
from madlab.data.samples import Dataset
from madlab.metrics.reference import Reference
from madlab.models.base import Model
from madlab.store import Store, sealed, unsealed

_FILE = "data.jsonl"


def named_by_id(data: Dataset, model: Model, reference: Reference) -> dict[str, str]:
    """Return hashes of what names in a store say by the data's id alone, by what they are of."""
    unused = set() if model.conditional else {"labels"}
    unused |= set() if reference.held_out_by_id else {"held_out"}
    return {name: found for name, found in data.content().items() if name not in unused}


def check(store: Store, data: str, content: Mapping[str, str]) -> None:
    """Raise ValueError where a store remembers other content of a data set than this.

    - `data`: the data set's id; `content`: as `named_by_id` returns it.
    """
    for row in _rows(store):
        other = [name for name in content if row["content"].get(name) not in (None, content[name])]
        if row["data"] == data and other:
            raise ValueError(
                f"the store {store.path} has work on other data under the id {data!r} (their "
                f"{', '.join(other)} differ): give these another id, or let their content name "
                "them, madlab.data.Dataset.from_arrays(images, labels, held_out=...)"
            )


def remember(store: Store, data: str, content: Mapping[str, str]) -> None:
    """Let a store remember what `check` asks for; of several programs the first is right."""
    row = {"data": data, "content": dict(content)}
    # A store that cannot be written is read all the same.
    with contextlib.suppress(OSError):
        store.prepare()
        if row not in _rows(store):
            text = json.dumps(sealed(row))
            files.append(store.path / _FILE, text, durable=store.durable)
    check(store, data, content)


def _rows(store: Store) -> list[dict[str, Any]]:
    file = store.path / _FILE
    lines = file.read_bytes().splitlines() if file.exists() else []
    return [row for row in map(unsealed, lines) if row is not None]
