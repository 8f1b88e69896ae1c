"""Drawn faces: coloured cartoons made by a procedure, for where no photographs are at hand.

Sealed: the bytes of every picture are part of the names of what was trained on them.
"""

import functools

import numpy as np

from madlab import checks
from madlab.data.cartoons.face import paint_face
from madlab.data.samples import Dataset
from madlab.data.toy import named
from madlab.streams import generator


def drawn_faces(n: int = 800, size: int = 32, seed: int = 0, n_held_out: int = 300) -> Dataset:
    """Return drawn faces: coloured cartoons of heads, no two alike and none of a real person.

    Skin, hair, eyes, glasses, hats, mouths, beards, pose, clothes and backgrounds vary. They are
    plainly drawings, and stand in for photographs wherever a class has none; what they score says
    nothing of photographs.

    - `n`: pictures in the training pool, at least 1; they are uint8 `(n, size, size, 3)`.
    - `size`: pixels a side, a multiple of 4 from 16 to 256. One face is the same at every size.
    - `seed`: names the set; picture i depends on (seed, part, i) alone, the parts being the
      training pool and the held-out set.
    - `n_held_out`: further pictures that are never trained on, at least 1.

    Returns a data set without labels, whose arrays are read-only.

    Raises TypeError for a number that is not whole and ValueError for one that is not allowed.
    """
    counts = checks.count("n", n, 1), checks.count("n_held_out", n_held_out, 1)
    return _dataset(counts, checks.side("size", size), checks.count("seed", seed, -(2**63)))


@functools.lru_cache(maxsize=2)
def _dataset(counts: tuple[int, int], size: int, seed: int) -> Dataset:
    picture = np.dtype((np.uint8, (size, size, 3)))
    pool, held_out = (
        np.fromiter(
            (paint_face(generator(seed, "drawn faces", part, i), size) for i in range(count)),
            picture,
            count,
        )
        for part, count in zip(("pool", "held out"), counts, strict=True)
    )
    return named(f"drawn-faces-{size}", pool, held_out)
