"""Prepared pictures on disk: one folder a set, published whole or not at all, read as a memory map.

Each folder holds `pictures.u8`, the raw pixels, and `about.json`, which says what they are.
"""

import contextlib
import errno
import hashlib
import json
import os
import re
import shutil
import time
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from madlab import files

FORMAT = 2
PICTURES = "pictures.u8"
_ABOUT = "about.json"
_SPARE_BYTES = 16_000_000
# Up to here the hash is checked in every process; it takes a quarter of a second at most.
HASHED_BYTES = 256_000_000
_ASIDE = re.compile(r"\..+\.[0-9a-f]{32}\.part")
_checked: set[tuple[Path, int]] = set()


def location() -> Path:
    r"""Return the folder of all caches: `MADLAB_CACHE`, else madlab's in the user's cache folder.

    That is `~/.cache/madlab` (or `$XDG_CACHE_HOME/madlab`) on Linux, `~/Library/Caches/madlab` on
    macOS and `%LOCALAPPDATA%\madlab\Cache` on Windows.
    """
    import platformdirs

    if os.environ.get("MADLAB_CACHE"):
        return files.expanded(os.environ["MADLAB_CACHE"])
    # Some of its versions raise where no home is known, others return a path from "~".
    with contextlib.suppress(RuntimeError):
        found = platformdirs.user_cache_path("madlab", appauthor=False)
        if found.is_absolute():
            return found
    raise OSError("no home folder is known for the cache; name a folder in MADLAB_CACHE")


def pictures(about: Mapping[str, Any]) -> tuple[Path, np.ndarray]:
    """Return the file of a set that was found or published, and a read-only memory map of it.

    The map is uint8 `(count, size, size, 3)`.
    """
    file = location() / about["name"] / PICTURES
    return file, np.memmap(file, np.uint8, "r").reshape(-1, about["size"], about["size"], 3)


def find(name: str, *, verify: bool = False) -> Mapping[str, Any] | None:
    """Return what `publish` was told of the set `name`, or None where there is none.

    A damaged set is named in a RuntimeWarning and not used.

    - `verify`: also compare the SHA-256 of a set beyond `HASHED_BYTES`, or checked before.
    """
    folder = location() / name
    if not folder.is_dir():
        return None
    about, why = _examine(folder, verify)
    if about is None:
        warnings.warn(f"{folder} is damaged ({why}); it is made anew", RuntimeWarning, 2)
    return about


def publish(name: str, need: int, write: Callable[[Path], Mapping[str, Any]]) -> Mapping[str, Any]:
    """Let `write` fill a folder, and give it the name `name` in one step.

    - `need`: bytes that writing takes at most.
    - `write`: called with an empty folder, where it leaves `pictures.u8`; returns JSON values with
      "training", "held_out" (counts) and "size", as well as "sha256" of the file.

    Returns these and "name", of another process's set where that was first. Raises OSError,
    leaving no trace, where the disk does not take it; what `write` raises passes through.
    """
    root = location()
    final = root / name
    aside = files.beside(final)
    advice = "nothing half-done is kept: free some space, or name another folder in MADLAB_CACHE"
    try:
        with files.explained(f"the cache {root} did not take the pictures", advice):
            aside.mkdir(parents=True)
            for left in root.glob(".*.part"):
                # Of a killed process: a day old and so nobody's work any more. The folder may be
                # one of the user's with other things in it.
                if _ASIDE.fullmatch(left.name) and files.is_old(left):
                    shutil.rmtree(left, ignore_errors=True)
            free = files.free(root)
            if free < need + _SPARE_BYTES:
                room = f"about {(need + _SPARE_BYTES) / 1e6:,.0f} MB and has {free / 1e6:,.0f}"
                raise OSError(errno.ENOSPC, f"it needs {room}")
            about = dict(write(aside)) | {"format": FORMAT, "name": name, "created": time.time()}
            (aside / _ABOUT).write_text(json.dumps({**about, "check": _check(about)}))
            # A smaller set that a power cut tore is told by its hash: nothing waits for the disk.
            if (aside / PICTURES).stat().st_size > HASHED_BYTES:
                files.sync(aside / PICTURES)
                files.sync(aside / _ABOUT)
            files.publish(aside, final, intact=lambda it: _examine(it, verify=True)[0] is not None)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    found, why = _examine(final, verify=False)
    if found is None:
        raise OSError(errno.EIO, f"{final} was damaged while it was written ({why}); run again")
    return found


def _examine(folder: Path, verify: bool) -> tuple[dict[str, Any] | None, str]:
    """Return what `about.json` says, or None and what is wrong."""
    try:
        about = json.loads((folder / _ABOUT).read_text())
        check = about.pop("check")
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None, f"no readable {_ABOUT}"
    if check != _check(about) or about.get("format") != FORMAT or about.get("name") != folder.name:
        return None, f"{_ABOUT} is not an intact one of format {FORMAT} and of this name"
    file = folder / PICTURES
    expected = (about["training"] + about["held_out"]) * about["size"] ** 2 * 3
    try:
        found = file.stat()
    except OSError:
        return None, f"{PICTURES} is missing"
    if found.st_size != expected:
        return None, f"{PICTURES} has {found.st_size} bytes, not {expected}"
    known = (file, found.st_mtime_ns)
    if verify or (known not in _checked and expected <= HASHED_BYTES):
        if files.sha256(file) != about["sha256"]:
            return None, f"the SHA-256 of {PICTURES} differs"
        _checked.add(known)
    return about, ""


def _check(about: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()
