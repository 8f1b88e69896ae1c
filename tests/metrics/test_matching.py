import numpy as np
import pytest
from sklearn.neighbors import NearestNeighbors

from madlab.data.samples import Samples
from madlab.metrics.matching import nearest


def pictures(n, seed, labels=True):
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 256, (n, 28, 28)).astype(np.uint8)
    return Samples(images, np.arange(n) % 10 if labels else None)


def test_nearest_is_what_scikit_learn_finds_within_each_label():
    a, b = pictures(60, 0), pictures(300, 1)
    found = nearest(a, b)
    for label in range(10):
        among = np.flatnonzero(b.labels == label)
        asked = np.flatnonzero(a.labels == label)
        oracle = NearestNeighbors(n_neighbors=1).fit(b.images[among].reshape(-1, 784).astype(float))
        wanted = oracle.kneighbors(a.images[asked].reshape(-1, 784).astype(float))[1][:, 0]
        assert np.array_equal(found[asked], among[wanted])


def test_a_picture_among_the_candidates_finds_itself():
    a = pictures(50, 2)
    assert np.array_equal(nearest(a, a), np.arange(50))


def test_without_labels_every_candidate_counts():
    a, b = pictures(20, 3, labels=False), pictures(80, 4)
    distance = ((a.images[:, None].astype(int) - b.images[None].astype(int)) ** 2).sum((2, 3))
    assert np.array_equal(nearest(a, b), distance.argmin(1))


def test_no_candidate_with_the_label_is_minus_one():
    a = Samples(np.zeros((2, 28, 28), np.uint8), np.array([3, 4]))
    b = Samples(np.zeros((1, 28, 28), np.uint8), np.array([4]))
    assert nearest(a, b).tolist() == [-1, 0]
    assert nearest(a, Samples(b.images[:0], b.labels[:0])).tolist() == [-1, -1]
    assert nearest(a, Samples(b.images[:0])).tolist() == [-1, -1]


def test_colour_pictures_are_matched_over_all_their_channels():
    rng = np.random.default_rng(5)
    a, b = (rng.integers(0, 256, (n, 12, 12, 3)).astype(np.uint8) for n in (20, 90))
    distance = ((a[:, None].astype(int) - b[None].astype(int)) ** 2).sum((2, 3, 4))
    assert np.array_equal(nearest(Samples(a), Samples(b)), distance.argmin(1))
    grey = Samples(np.repeat(a.mean(3, keepdims=True), 3, 3).astype(np.uint8))
    assert not np.array_equal(nearest(grey, Samples(b)), distance.argmin(1))


def test_points_and_other_sizes_are_refused():
    a = pictures(3, 0)
    with pytest.raises(TypeError, match="candidates must be uint8"):
        nearest(a, Samples(np.zeros((3, 2))))
    with pytest.raises(TypeError, match="queries must be uint8"):
        nearest(Samples(np.zeros((3, 8, 8, 2), np.uint8)), a)
    with pytest.raises(ValueError, match="one size"):
        nearest(Samples(np.zeros((3, 28, 28, 3), np.uint8)), a)
    with pytest.raises(ValueError, match="one size"):
        nearest(a, Samples(np.zeros((3, 14, 14), np.uint8)))


def test_colour_pictures_are_compared_in_all_their_colours():
    rng = np.random.default_rng(5)
    a, b = (rng.integers(0, 256, (n, 8, 8, 3)).astype(np.uint8) for n in (20, 60))
    distance = ((a[:, None].astype(int) - b[None].astype(int)) ** 2).sum((2, 3, 4))
    assert np.array_equal(nearest(Samples(a), Samples(b)), distance.argmin(1))
    # The same pictures in another order of colours are others.
    assert not np.array_equal(nearest(Samples(a[..., ::-1]), Samples(b)), distance.argmin(1))
