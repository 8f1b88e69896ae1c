"""Random streams: every draw madlab makes comes from a seed named by what it is for."""

import hashlib

import numpy as np


def derive(seed: int, *purpose: int | str) -> int:
    """Return the 63-bit seed of the stream that `purpose` names under `seed`.

    Two streams with different purposes are independent for all practical ends; the same
    words always name the same stream, on every machine.

    - `seed`: an integer of any size, for instance a chain's seed.
    - `purpose`: words and numbers, for instance `(3, "fit")` for fitting generation 3.
    """
    words = "/".join([str(int(seed)), *map(str, purpose)])
    return int.from_bytes(hashlib.sha256(words.encode()).digest()[:8], "big") >> 1


def generator(seed: int, *purpose: int | str) -> np.random.Generator:
    """Return a counter-based numpy generator for the stream that `purpose` names under `seed`.

    Drawn row by row, its numbers do not depend on how many rows are drawn at a time, so
    row i is a function of (seed, purpose, i) alone.
    """
    return np.random.Generator(np.random.Philox(derive(seed, *purpose)))
