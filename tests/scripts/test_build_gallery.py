"""The maps of the gallery that ships with madlab: digits placed in the plane by t-SNE."""

import shutil
import sys
from pathlib import Path

import build_gallery
import numpy as np
import pytest
import tsne
from threadpoolctl import threadpool_limits

from madlab import Chain, Loop, data, gallery
from madlab.gallery import Embedding
from madlab.gallery.files import unpack_embedding
from madlab.store import Store


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    folder = tmp_path_factory.mktemp("maps") / "store"
    for bias in (1.0, 0.5):
        loop = Loop.fully_synthetic(300)
        chain = Chain(loop, "mixture", data.mnist(), bias=bias, store=folder, n_evaluate=200)
        list(chain.run(3))
    return folder


@pytest.mark.parametrize(
    ("last", "embedded"),
    [(2, [1, 2]), (3, [1, 2, 3]), (6, [1, 2, 3, 6]), (10, [1, 2, 5, 10]), (20, [1, 3, 10, 20]),
     (120, [1, 5, 20, 120])],
)  # fmt: skip
def test_generations_of_a_map_are_spread_evenly(last, embedded):
    assert build_gallery.embedded_generations(last) == embedded


def test_the_script_places_the_chains_that_are_asked_for(store, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(tsne, "N_REAL", 150)
    monkeypatch.setattr(tsne, "N_SYNTHETIC", 60)
    out = tmp_path / "out"
    words = [str(store), "--output", str(out), "--embed", "mixture:1"]
    monkeypatch.setattr("sys.argv", ["build_gallery.py", *words])
    build_gallery.main()
    assert capsys.readouterr().out.startswith(f"wrote {out}: 0.")
    shown = gallery.open(out)
    ((name, known),) = shown.about["embeddings"].items()
    assert "bias 1," in name
    assert known["method"].startswith("t-SNE of scikit-learn ")
    assert "perplexity 30, on lenet-" in known["method"]
    real, _, generations = shown.embedding(name)
    assert (len(real), list(generations)) == (150, [1, 2, 3])
    # The old gallery's maps stay, and are not made again.
    monkeypatch.setattr(tsne, "embed", None)
    words = [str(store), str(out), "--output", str(tmp_path / "again"), "--embed", "mixture:1"]
    monkeypatch.setattr("sys.argv", ["build_gallery.py", *words])
    build_gallery.main()
    assert gallery.open(tmp_path / "again").about["embeddings"] == shown.about["embeddings"]


def test_neighbours_in_an_embedding_are_mostly_of_the_same_digit(monkeypatch):
    monkeypatch.setattr(tsne, "N_REAL", 200)
    monkeypatch.setattr(tsne, "N_SYNTHETIC", 100)
    digits = data.mnist()
    noise = np.random.default_rng(0).integers(0, 256, (100, 28, 28)).astype(np.uint8)
    shown = {1: digits.take(np.arange(500)), 2: data.Samples(noise, np.arange(100) % 10)}
    found = tsne.embed(digits.held_out, shown)
    assert len(found.real) == 200
    points, labels = found.generations[1]
    np.testing.assert_array_equal(labels, digits.labels[:100])
    away = ((points[:, None] - found.real) ** 2).sum(-1)
    # Ten kinds of digits: chance is about 0.1.
    assert (found.real_labels[away.argmin(1)] == labels).mean() > 0.8
    # Noise lies by itself: its nearest neighbour is noise.
    own, _ = found.generations[2]
    others = np.concatenate([found.real, points])
    apart = np.linalg.norm(own[:, None] - own, axis=-1) + 1e9 * np.eye(100)
    assert (apart.min(1) < np.linalg.norm(own[:, None] - others, axis=-1).min(1)).mean() > 0.9
    # The same on any number of threads.
    with threadpool_limits(2):
        again = tsne.embed(digits.held_out, shown)
    np.testing.assert_array_equal(again.real, found.real)
    # As float16 the points are off by 2**-11 of their size at most.
    read = unpack_embedding(build_gallery.packed(found, "t-SNE").content)
    np.testing.assert_allclose(read.real, found.real, rtol=2**-11, atol=1e-6)
    np.testing.assert_array_equal(read.generations[1][1], labels)


def test_what_cannot_be_embedded_is_refused(monkeypatch):
    digits = data.mnist()
    with pytest.raises(ValueError, match="give labels"):
        tsne.embed(digits.held_out, {1: data.Samples(digits.images[:100])})
    monkeypatch.setattr(tsne, "N_REAL", 50)
    with pytest.raises(ValueError, match="90 digits are too few for an embedding: give 91"):
        tsne.embed(digits.held_out, {1: digits.take(np.arange(40))})


def test_without_scikit_learn_the_message_says_how_to_get_it(store, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.manifold", None)
    out = tmp_path / "out"
    words = ["build_gallery.py", str(store), "--output", str(out), "--embed", "mixture:1"]
    monkeypatch.setattr("sys.argv", words)
    with pytest.raises(ImportError, match="pip install scikit-learn"):
        build_gallery.main()
    assert not out.exists()


def test_only_the_points_and_labels_are_packed(monkeypatch):
    """numpy before 2.2 takes `allow_pickle` of `savez_compressed` for one more array."""
    save, names = np.savez_compressed, []

    def recorded(file, *arrays, **named):
        names.extend(named)
        save(file, *arrays, **named)

    monkeypatch.setattr(np, "savez_compressed", recorded)
    points, labels = np.zeros((3, 2), np.float32), np.arange(3)
    build_gallery.packed(Embedding(points, labels, {2: (points, labels)}), "by hand")
    assert names == ["real", "real_labels", "points-2", "labels-2"]


def test_what_is_not_kept_is_said_and_what_an_old_gallery_has_is_not(
    store, tmp_path, monkeypatch, capsys
):
    old = gallery.build([store], tmp_path / "old").gallery
    lost = Path(shutil.copytree(store, tmp_path / "lost"))
    Store(lost).prune(samples=True)
    out = tmp_path / "out"

    def said(*sources):
        words = [*map(str, sources), "--output", str(out), "--embed", "mixture:1"]
        monkeypatch.setattr("sys.argv", ["build_gallery.py", *words])
        build_gallery.main()
        *lines, last = capsys.readouterr().out.splitlines()
        assert last == f"wrote {out}: {gallery.open(out).size / 1e6:.2f} MB"
        return [line.split(" of ")[0] for line in lines]

    assert said(lost) == ["left out: digits"] * 2
    assert said(lost, old.folder) == ["left out: embedding"]
    assert gallery.open(out).about["sheets"] == old.about["sheets"]
