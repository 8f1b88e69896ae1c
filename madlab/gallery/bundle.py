"""The files of a gallery in the making, and what its about.json will say of them."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from madlab.gallery import files, sheets
from madlab.gallery.files import Embedding
from madlab.gallery.sheets import Sheet


class Bundle:
    """What a gallery is to hold.

    - `content`: its files by their names.
    - `about`: what about.json is to say.
    """

    def __init__(self) -> None:
        self.content: dict[str, bytes] = {}
        self.about: dict[str, Any] = {"records": {}, "sheets": {}, "embeddings": {}}

    def _add(self, kind: str, chain: str, ending: str, content: bytes) -> dict[str, Any]:
        known = files.describe(kind, chain, ending, content)
        self.content[known["file"]] = content
        return known

    def add_records(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Add the records of all chains, as a store has them."""
        lines = "".join(json.dumps(row, separators=(",", ":")) + "\n" for row in rows)
        known = self._add("records", "", "jsonl", lines.encode())
        self.about["records"] = {**known, "rows": len(rows)}

    def add_sheet(self, chain: str, sheet: Sheet) -> None:
        """Add pictures of a chain; their labels, if any, are the same in each generation."""
        packed, ending = sheets.pack([images for images, _ in sheet.samples.values()])
        labels = next(iter(sheet.samples.values())).labels
        near = {} if sheet.too_near is None else {"too_near": list(sheet.too_near)}
        self.about["sheets"][chain] = {
            **self._add("sheet", chain, ending, packed),
            "generations": list(sheet.samples),
            "labels": None if labels is None else "".join(map(str, labels)),
            **near,
        }

    def add_embedding(self, chain: str, embedding: Embedding, method: str) -> None:
        """Add an embedding of a chain, and in words how it was made."""
        packed = files.pack_embedding(embedding)
        self.about["embeddings"][chain] = {
            **self._add("embedding", chain, "npz", packed),
            "generations": list(embedding.generations),
            "method": method,
        }

    def check_size(self) -> None:
        """Raise ValueError where the gallery is too large, saying what takes the space."""
        sizes = {"about.json": len(json.dumps(self.about, indent=1))}
        for kind in ("records", "sheet", "embedding"):
            own = [len(one) for name, one in self.content.items() if name.startswith(kind)]
            sizes[f"{len(own)} {kind} files"] = sum(own)
        total = sum(sizes.values())
        if total > files.LIMIT:
            said = ", ".join(f"{size / 1e6:.2f} MB in {what}" for what, size in sizes.items())
            raise ValueError(
                f"the gallery would take {total / 1e6:.2f} MB, its limit is "
                f"{files.LIMIT / 1e6:.2f} MB: {said}, of which records hold "
                f"{self.about['records']['rows']:,} generations. Give fewer stores, or keep fewer "
                "chains"
            )
