"""Generations on disk: named by what made them, checksummed, published whole or not at all."""

import errno
import hashlib
import json
import os
import re
import shutil
import tempfile
import time
import warnings
import weakref
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from madlab import checks, files
from madlab.tables import table

FORMAT = 1
KINDS = ("models", "samples")
_MARK = "madlab-store.json"
_MANIFEST = "manifest.json"
_RECORDS = "records.jsonl"
HALF_DONE = "half-done: the next run goes on from it"
_LEFT_OVER = "left over from a run that was stopped, or one that is writing now"
_SPARE_BYTES = 16_000_000
_OWN = re.compile(r"[0-9a-f]{32}|\.[0-9a-f]{32}(\.[0-9a-f]{32})?\.part")


def canonical(config: Mapping[str, Any]) -> str:
    """Return the one JSON text that stands for `config`, whatever the order of its keys."""
    return json.dumps(config, sort_keys=True, separators=(",", ":"), allow_nan=False)


def name_of(config: Mapping[str, Any]) -> str:
    """Return the name of what `config` describes: 32 hexadecimal digits of its SHA-256."""
    return hashlib.sha256(canonical(config).encode()).hexdigest()[:32]


@dataclass(frozen=True)
class Entry:
    """One folder of a store: what it is, how large, and whether it can be trusted.

    - `ok`: whether its manifest and every file's size and SHA-256 agree; `why` says what does not.
    - `created`: seconds since 1970, from its manifest; 0 where that cannot be read.
    """

    kind: str
    id: str
    path: Path
    bytes: int
    created: float
    ok: bool
    why: str = ""


class Store:
    """A folder of models, sample sets and records that survives kills and half-written files.

    - `path`: the folder; it is made when something is first published.
    - `durable`: whether to wait until the disk has each entry; False suits a temporary folder.

    An entry is written aside, checksummed, then moved to its name in one step; the first
    publisher wins. What does not match its checksums is reported once, never used, and replaced
    when it is computed again. Raises NotADirectoryError where `path` is a file and FileExistsError
    where it is a folder of something else.
    """

    def __init__(self, path: str | os.PathLike[str], *, durable: bool = True) -> None:
        self.path = files.expanded(path)
        self.durable = durable
        self._trusted: set[tuple[str, str]] = set()
        self._writable = False
        if self.path.exists() and not self.path.is_dir():
            raise NotADirectoryError(
                f"the store {self.path} is a file; give a new folder's name, or a store's"
            )
        if self.path.is_dir() and any(self.path.iterdir()) and not self._mark_is_ours():
            raise FileExistsError(
                f"the folder {self.path} holds files but is not a madlab store (no {_MARK} of "
                f"format {FORMAT}); give an empty folder, a new name or a store"
            )

    @classmethod
    def of(cls, store: "str | os.PathLike[str] | Store | None", owner: object = None) -> "Store":
        """Return `store` itself where it is one, else the store in the folder it names.

        Where None, one in a temporary folder, which goes with its `owner`.
        """
        if store is None:
            folder = tempfile.mkdtemp(prefix="madlab-")
            weakref.finalize(owner, shutil.rmtree, folder, ignore_errors=True)
            return cls(folder, durable=False)
        return store if isinstance(store, Store) else cls(store)

    def _mark_is_ours(self) -> bool:
        try:
            mark = json.loads((self.path / _MARK).read_text())
        except (OSError, ValueError):
            # A kill may come before the mark is there, and predictions may be kept before any work.
            names = [path.name for path in self.path.iterdir() if not files.is_desktops(path.name)]
            known = (*KINDS, "predictions.jsonl")
            return all(name in known or name.startswith(".") for name in names)
        return isinstance(mark, dict) and mark.get("format") == FORMAT

    def prepare(self, need_bytes: int = 0) -> None:
        """Make the folder; raise OSError unless it takes files and has `need_bytes` to spare."""
        if not self._writable:
            self._make()
            self._writable = True
        free = files.free(self.path)
        if free < need_bytes + _SPARE_BYTES:
            raise OSError(
                errno.ENOSPC,
                f"the store {self.path} needs about {(need_bytes + _SPARE_BYTES) / 1e6:.0f} MB for "
                f"the next generation but its disk has {free / 1e6:.0f} MB left; free some space "
                "(madlab runs prune) or give another folder, then run again: nothing is lost",
            )

    def _make(self) -> None:
        mark = self.path / _MARK
        with files.explained(
            f"the store {self.path} cannot be written",
            "give another folder or mend its permissions",
        ):
            self.path.mkdir(parents=True, exist_ok=True)
            probe = files.beside(mark)
            probe.write_text(json.dumps({"format": FORMAT}))
            probe.unlink() if mark.exists() else files.move(probe, mark)
            for kind in KINDS:
                (self.path / kind).mkdir(exist_ok=True)

    def _folder(self, kind: str, id: str) -> Path:
        checks.choice("kind", kind, KINDS)
        return self.path / kind / id

    def find(self, kind: str, id: str) -> Path | None:
        """Return the folder of an entry that matches its checksums, or None.

        A damaged entry counts as absent and is reported once as a RuntimeWarning.
        """
        folder = self._folder(kind, id)
        if (kind, id) in self._trusted and folder.is_dir():
            return folder
        if not folder.is_dir():
            return None
        why = _damage(folder, id)
        if why:
            warnings.warn(
                f"{folder} is damaged ({why}); it will be computed again", RuntimeWarning, 2
            )
            return None
        self._trusted.add((kind, id))
        return folder

    def manifest(self, kind: str, id: str) -> dict[str, Any]:
        """Return the manifest of an entry: its configuration, versions, device, cost and files."""
        manifest: dict[str, Any] = json.loads((self._folder(kind, id) / _MANIFEST).read_text())
        return manifest

    def scratch(self, kind: str, id: str) -> Path:
        """Return a folder for half-done work on an entry; publishing the entry removes it.

        It need not exist. Like everything left over it is pruned when it is a day old.
        """
        return self._folder(kind, id).with_name(f".{id}.part")

    def publish(
        self, kind: str, id: str, write: Callable[[Path], None], about: Mapping[str, Any]
    ) -> Path:
        """Let `write` fill a folder, checksum it and give it its name in one step.

        - `write`: called with an empty folder; it writes plain files into it.
        - `about`: JSON values kept in the manifest: configuration, provenance, cost.

        Returns the published folder, another publisher's where that one was first. Raises
        OSError, leaving no trace, where the disk does not take it.
        """
        final = self._folder(kind, id)
        aside = files.beside(final)
        try:
            with self._explained("an entry", "what was published before is kept"):
                aside.mkdir(parents=True)
                write(aside)
                written = {file.name: self._sealed_file(file) for file in sorted(aside.iterdir())}
                body = {**about, "format": FORMAT, "id": id, "created": time.time()}
                manifest = aside / _MANIFEST
                manifest.write_text(json.dumps(sealed({**body, "files": written}), indent=1))
                self._sealed_file(manifest)
                files.publish(aside, final, intact=lambda folder: not _damage(folder, id))
                if self.durable:
                    files.sync(final.parent)
        finally:
            shutil.rmtree(aside, ignore_errors=True)
        shutil.rmtree(self.scratch(kind, id), ignore_errors=True)
        self._trusted.add((kind, id))
        return final

    def _sealed_file(self, file: Path) -> dict[str, Any]:
        if self.durable:
            files.sync(file)
        return {"bytes": file.stat().st_size, "sha256": files.sha256(file)}

    def _explained(self, what: str, kept: str) -> AbstractContextManager[None]:
        return files.explained(
            f"the store {self.path} did not take {what}",
            f"{kept}: free some space or mend the folder, then run again",
        )

    def append(self, record: Mapping[str, Any]) -> None:
        """Add one record, a line of JSON with its own checksum, to the store's records."""
        with self._explained("a record", "nothing published is lost"):
            line = json.dumps(sealed(record))
            files.append(self.path / _RECORDS, line, durable=self.durable)

    def rows(self) -> list[dict[str, Any]]:
        """Return every intact record as it was appended, the first of each `id`."""
        kept: dict[str, dict[str, Any]] = {}
        for row in self._lines():
            if row is not None:
                kept.setdefault(row["id"], row)
        return list(kept.values())

    def _lines(self) -> Iterator[dict[str, Any] | None]:
        file = self.path / _RECORDS
        return map(unsealed, file.read_bytes().splitlines() if file.exists() else [])

    def records(self) -> pd.DataFrame:
        """Return the records as a tidy table, one row a generation of a chain."""
        return table(self.rows())

    def entries(self) -> list[Entry]:
        """Return every entry with its size and whether it matches its checksums.

        Files and folders by other names than a store gives are none of its own.
        """
        found = []
        for kind in KINDS:
            folder = self.path / kind
            there = folder.iterdir() if folder.is_dir() else []
            for path in sorted(path for path in there if _OWN.fullmatch(path.name)):
                if files.is_part(path):
                    # `scratch` has the name alone, an entry that is written a random part beside.
                    half_done = path.name.count(".") == 2
                    why = HALF_DONE if half_done else _LEFT_OVER
                else:
                    why = _damage(path, path.name)
                size = sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
                created = 0.0 if why else float(self.manifest(kind, path.name)["created"])
                found.append(Entry(kind, path.name, path, size, created, not why, why))
        return found

    def verify(self) -> list[str]:
        """Return a sentence for everything in the store that cannot be trusted; none is good."""
        problems = [
            f"{entry.path}: {entry.why}"
            for entry in self.entries()
            if not entry.ok and entry.why != HALF_DONE
        ]
        for number, row in enumerate(self._lines(), start=1):
            if row is None:
                problems.append(f"{self.path / _RECORDS}, line {number}: not an intact record")
        return problems

    def prune(
        self, *, samples: bool = False, models: bool = False, dry_run: bool = False
    ) -> list[Entry]:
        """Remove what cannot be trusted; with `samples` or `models`, also all of those.

        Leftovers younger than a day are kept, since a run may be writing them. Records stay, so
        every number stays; pruned models and samples are computed again when they are needed.
        Returns what was removed, or would be with `dry_run`.
        """
        gone = []
        for entry in self.entries():
            wanted = {"samples": samples, "models": models}[entry.kind] and entry.ok
            unwanted = files.is_old(entry.path) if files.is_part(entry.path) else not entry.ok
            if wanted or unwanted:
                gone.append(entry)
                if not dry_run:
                    self.remove(entry.kind, entry.path.name)
        return gone

    def remove(self, kind: str, id: str) -> None:
        """Remove one entry, whole or not; it is computed again when it is needed."""
        self._trusted.discard((kind, id))
        path = self._folder(kind, id)
        shutil.rmtree(path) if path.is_dir() else path.unlink()


def sealed(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return a line of JSON to keep, with its own checksum."""
    return {**body, "check": name_of(body)}


def unsealed(text: bytes) -> dict[str, Any] | None:
    """Return what `sealed` was given, or None for a line that is not intact."""
    try:
        body = json.loads(text)
        check = body.pop("check")
        return body if check == name_of(body) else None
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def _damage(folder: Path, id: str) -> str:
    """Return what is wrong with an entry, or an empty string."""
    try:
        body = unsealed((folder / _MANIFEST).read_bytes())
    except OSError:
        return f"no readable {_MANIFEST}"
    if body is None or body.get("format") != FORMAT:
        return f"{_MANIFEST} is not an intact one of format {FORMAT}"
    if body["id"] != id:
        return f"it was published as {body['id']}"
    for name, known in body["files"].items():
        file = folder / name
        if Path(name).name != name or not file.is_file():
            return f"{name} is missing"
        if file.stat().st_size != known["bytes"]:
            return f"{name} has {file.stat().st_size} bytes, not {known['bytes']}"
        if files.sha256(file) != known["sha256"]:
            return f"the SHA-256 of {name} differs"
    return ""
