"""Distances within and between sets, against scipy and by hand."""

import numpy as np
import pytest
from scipy.spatial.distance import cdist, pdist
from sklearn.neighbors import NearestNeighbors

from madlab.data.samples import Samples
from madlab.metrics import far_enough, mean_distance
from madlab.metrics.distances import (
    Memorisation,
    nearest,
    nearest_weights,
    pixel_distances,
    small,
)
from madlab.streams import generator


def pictures(n, size=8, seed=0):
    return generator(seed, "pictures").integers(0, 256, (n, size, size, 3), np.uint8)


def test_the_mean_distance_is_that_of_all_pairs():
    x = generator(0, "x").normal(size=(600, 5))
    assert mean_distance(x) == pytest.approx(pdist(x).mean(), rel=1e-9)


def test_equal_rows_are_no_distance_apart():
    row = generator(0, "x").normal(size=(1, 50)) * 1e6
    assert mean_distance(row.repeat(400, 0)) == 0


def test_one_row_has_no_distance():
    with pytest.raises(ValueError, match="1 rows of features; give at least 2"):
        mean_distance(np.zeros((1, 3)))


def test_pixel_distances_see_mirror_images():
    x = pictures(5)
    plain = cdist(x.reshape(5, -1).astype(float), x.reshape(5, -1).astype(float))
    turned = cdist(x.reshape(5, -1).astype(float), x[:, :, ::-1].reshape(5, -1).astype(float))
    found = pixel_distances(small(x), small(x))
    np.testing.assert_allclose(found, np.minimum(plain, turned), rtol=1e-6)


def test_large_pictures_are_averaged_down():
    x = pictures(3, 64)
    expected = x.reshape(3, 32, 2, 32, 2, 3).mean((2, 4)).transpose(0, 3, 1, 2)
    np.testing.assert_allclose(small(x), expected, rtol=1e-6)
    narrow = np.full((2, 64, 16, 3), 7, np.uint8)
    np.testing.assert_array_equal(small(narrow), np.full((2, 3, 32, 16), 7, np.float32))


def test_copies_mirrored_faded_or_nearly_are_not_far_enough():
    training, others = pictures(400), pictures(20, seed=1)
    near = np.clip(training[:3].astype(int) + 4, 0, 255).astype(np.uint8)
    mean = training.mean(0)
    mean = (mean + mean[:, ::-1]) / 2
    faded = np.rint(mean + 0.5 * (training[:3] - mean)).astype(np.uint8)
    samples = np.concatenate([training[:3], training[:3, :, ::-1], near, faded, others])
    found = far_enough(samples, training)
    assert not found[:12].any()
    assert found[12:].mean() > 0.8


def test_pictures_that_are_there_twice_let_no_near_copy_pass():
    training, others = pictures(100), pictures(20, seed=1)
    noise = generator(2, "noise").integers(-6, 7, training[50:60].shape)
    near = np.clip(training[50:60].astype(int) + noise, 0, 255).astype(np.uint8)
    for twice in (training[:4], training[:4, :, ::-1], training):
        found = far_enough(np.concatenate([near, others]), np.concatenate([training, twice]))
        assert not found[:10].any()
        assert found[10:].mean() > 0.8
    assert not far_enough(others, training[[0, 0, 0]]).any()


def test_an_average_of_many_is_far_enough_though_it_lies_near_to_all():
    training = pictures(400)
    averages = np.rint(pictures(400, seed=2).reshape(20, 20, *training.shape[1:]).mean(1))
    averages = averages.astype(np.uint8)
    plain = pixel_distances(small(averages), small(training)).min(1)
    between = pixel_distances(small(training), small(training))
    np.fill_diagonal(between, np.inf)
    assert plain.max() < between.min()
    assert far_enough(averages, training).mean() > 0.8


def test_the_limit_is_the_quantile_of_real_to_real_distances():
    training, samples = pictures(80), pictures(200, seed=1)
    mean = training.mean(0)
    mean = (mean + mean[:, ::-1]) / 2
    sides = [x - mean for x in (training, training[:, :, ::-1], samples)]
    real, mirrored, drawn = (x.reshape(len(x), -1) for x in sides)
    a, b, c = (x / np.linalg.norm(x, axis=1)[:, None] for x in (real, mirrored, drawn))
    between = np.minimum(cdist(a, a), cdist(a, b))
    np.fill_diagonal(between, np.inf)
    gaps = np.minimum(cdist(c, a), cdist(c, b)).min(1)
    for share in (0, 0.05, 0.5, 1):
        limit = np.quantile(between.min(1), share)
        # Apart from those at the limit itself, within rounding.
        clear = np.abs(gaps - limit) > 1e-5
        assert clear.mean() > 0.95
        assert (far_enough(samples, training, share) == (gaps > limit))[clear].all()


def test_no_samples_and_wrong_ones():
    assert far_enough(pictures(0), pictures(5)).shape == (0,)
    with pytest.raises(TypeError, match=r"samples must be uint8 with shape \(n, 12, 12, 3\)"):
        far_enough(pictures(2, 8), pictures(5, 12))
    with pytest.raises(TypeError, match="must be uint8 with shape"):
        far_enough(np.zeros((2, 8, 8, 3)), pictures(5))
    with pytest.raises(ValueError, match="share is 2"):
        far_enough(pictures(2), pictures(5), 2)


def test_weights_average_over_all_subsets():
    rng = generator(0, "weights")
    distances = np.sort(rng.random(12))
    drawn = [distances[rng.permutation(12)[:5]].min() for _ in range(20_000)]
    weights = nearest_weights(12, 5)
    assert weights.sum() == pytest.approx(1, rel=1e-12)
    # The drawn mean is known to about 4e-4.
    assert distances[:8] @ weights == pytest.approx(np.mean(drawn), abs=2e-3)
    assert nearest_weights(7, 7).tolist() == [1]


def test_memorisation_is_one_for_fresh_pictures_and_falls_with_copies():
    training, held_out, fresh = pictures(300), pictures(100, seed=1), pictures(100, seed=2)
    memorisation = Memorisation(training, held_out)
    assert memorisation.ratio(fresh) == pytest.approx(1, abs=0.01)
    noise = generator(3, "noise").integers(-3, 4, fresh.shape)
    copies = np.clip(training[:100].astype(int) + noise, 0, 255).astype(np.uint8)
    # A copy's original is among 100 of 300 one time in three.
    assert memorisation.ratio(copies) == pytest.approx(2 / 3, abs=0.03)
    assert memorisation.ratio(copies[:, :, ::-1]) == pytest.approx(2 / 3, abs=0.03)
    some = np.concatenate([copies[:20], fresh[:80]])
    assert memorisation.ratio(some) == pytest.approx(1 - 0.2 / 3, abs=0.02)
    assert Memorisation(training[:100], held_out).ratio(copies) < 0.05


def digits(n, seed, labels=True):
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 256, (n, 28, 28)).astype(np.uint8)
    return Samples(images, np.arange(n) % 10 if labels else None)


def test_nearest_is_what_scikit_learn_finds_within_each_label():
    a, b = digits(60, 0), digits(300, 1)
    found = nearest(a, b)
    for label in range(10):
        among = np.flatnonzero(b.labels == label)
        asked = np.flatnonzero(a.labels == label)
        oracle = NearestNeighbors(n_neighbors=1).fit(b.images[among].reshape(-1, 784).astype(float))
        wanted = oracle.kneighbors(a.images[asked].reshape(-1, 784).astype(float))[1][:, 0]
        assert np.array_equal(found[asked], among[wanted])


def test_a_digit_among_the_candidates_finds_itself():
    a = digits(50, 2)
    assert np.array_equal(nearest(a, a), np.arange(50))


def test_without_labels_every_candidate_counts():
    a, b = digits(20, 3, labels=False), digits(80, 4)
    distance = ((a.images[:, None].astype(int) - b.images[None].astype(int)) ** 2).sum((2, 3))
    assert np.array_equal(nearest(a, b), distance.argmin(1))


def test_no_candidate_with_the_label_is_minus_one():
    a = Samples(np.zeros((2, 28, 28), np.uint8), np.array([3, 4]))
    b = Samples(np.zeros((1, 28, 28), np.uint8), np.array([4]))
    assert nearest(a, b).tolist() == [-1, 0]
    assert nearest(a, Samples(b.images[:0], b.labels[:0])).tolist() == [-1, -1]
    assert nearest(a, Samples(b.images[:0])).tolist() == [-1, -1]


def test_points_and_other_sizes_are_refused():
    a = digits(3, 0)
    with pytest.raises(TypeError, match="candidates must be uint8"):
        nearest(a, Samples(np.zeros((3, 2))))
    with pytest.raises(TypeError, match="queries must be uint8"):
        nearest(Samples(np.zeros((3, 8, 8, 2), np.uint8)), a)
    for images in (np.zeros((3, 28, 28, 3), np.uint8), np.zeros((3, 14, 14), np.uint8)):
        with pytest.raises(TypeError, match="candidates must be uint8 with shape"):
            nearest(a, Samples(images))
        with pytest.raises(TypeError, match=r"not uint8 with shape \(3, 28, 28\)"):
            nearest(Samples(images), a)


def test_colour_pictures_are_compared_in_all_their_colours():
    rng = np.random.default_rng(5)
    a, b = (rng.integers(0, 256, (n, 8, 8, 3)).astype(np.uint8) for n in (20, 60))
    distance = ((a[:, None].astype(int) - b[None].astype(int)) ** 2).sum((2, 3, 4))
    assert np.array_equal(nearest(Samples(a), Samples(b)), distance.argmin(1))
    # The same pictures in another order of colours are others.
    assert not np.array_equal(nearest(Samples(a[..., ::-1]), Samples(b)), distance.argmin(1))
