"""MNIST: 70,000 handwritten digits that ship with the package, so that nothing is downloaded.

`mnist.xz` holds the four arrays of the original files one after the other, as raw bytes without
headers; `scripts/build_mnist.py` makes it, and every reading checks it against `SECTIONS`.
"""

import functools
import hashlib
import importlib.resources
import lzma
import math
from importlib.resources.abc import Traversable
from pathlib import Path

import numpy as np

from madlab.data.samples import Dataset, Samples

# Name, shape and SHA-256 of the bytes of each original array, in the order of the file.
SECTIONS = (
    ("train images", (60_000, 28, 28),
     "741c988805d008ac6e4c904b69001ba184c24b2c540a4ef403f4c71b676cf757"),
    ("train labels", (60_000,),
     "1feba77c54802fa5339a11837ea4b2866434b83314ec45192930f1df69120c13"),
    ("test images", (10_000, 28, 28),
     "6d87418db22cc8025d05968bec9bd5c3932904b23485740db143a061a2c9d161"),
    ("test labels", (10_000,),
     "ddeff807876a9661a1110d45c266c86239a3a1b7d37da0c3716a7a683c852ff5"),
)  # fmt: skip
FILE = "mnist.xz"
_REBUILD = "Install madlab again, or rebuild the file with `python scripts/build_mnist.py`."


@functools.cache
def mnist() -> Dataset:
    """Return MNIST: 60,000 training digits, and the 10,000 test digits as the held-out set.

    Images are uint8 `(n, 28, 28)`, 0 = paper and 255 = ink, labels int64 `(n,)` from 0 to 9;
    all are read-only. The first call of a process takes about a second, later ones nothing.

    Raises OSError where the shipped file is missing, cut short or altered.

    Source: Y. LeCun, C. Cortes, C. J. C. Burges, "The MNIST database of handwritten digits".
    """
    return load(importlib.resources.files("madlab.data") / FILE)


def load(file: Traversable | Path) -> Dataset:
    """Read and check a file that `scripts/build_mnist.py` wrote; raises as `mnist` does."""
    try:
        content = lzma.decompress(file.read_bytes())
    except OSError as error:
        raise OSError(
            f"the MNIST digits cannot be read from {file}: {error}. {_REBUILD}"
        ) from error
    except (lzma.LZMAError, EOFError) as error:
        raise OSError(f"{file} is cut short or damaged: {error}. {_REBUILD}") from error
    ends = np.cumsum([math.prod(shape) for _, shape, _ in SECTIONS])
    if len(content) != ends[-1]:
        raise OSError(f"{file} holds {len(content)} bytes instead of {ends[-1]}. {_REBUILD}")
    arrays = []
    parts = np.split(np.frombuffer(content, np.uint8), ends[:-1])
    for (name, shape, digest), part in zip(SECTIONS, parts, strict=True):
        if hashlib.sha256(part.data).hexdigest() != digest:
            raise OSError(f"{file}: the {name} are not those of MNIST. {_REBUILD}")
        array = part.astype(np.int64) if len(shape) == 1 else part.reshape(shape)
        array.flags.writeable = False
        arrays.append(array)
    digests = "".join(digest for _, _, digest in SECTIONS)
    id = f"mnist-{hashlib.sha256(digests.encode()).hexdigest()[:8]}"
    return Dataset(id, arrays[0], arrays[1], Samples(arrays[2], arrays[3])).sealed()
