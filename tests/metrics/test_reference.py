"""The reference: sizes, names, and scores equal to their parts."""

import math

import numpy as np
import pytest

import madlab
from madlab.data.samples import Samples
from madlab.metrics import Reference, frechet_distance, neighbours
from madlab.metrics.features import LeNetFeatures, read
from madlab.streams import generator

N = 1000


@pytest.fixture(scope="module")
def data():
    return madlab.data.mnist()


@pytest.fixture(scope="module")
def reference(data):
    return Reference(data.held_out, N)


def points(n, seed=0):
    return Samples(generator(seed, "points").normal(size=(n, 3)))


def shares(scores):
    return (scores.precision, scores.recall, scores.density, scores.coverage)


def test_scores_equal_their_parts(data, reference):
    samples = data.take(np.arange(N))
    scores = reference.measure(samples)
    real = LeNetFeatures().embed(reference.images)
    synthetic = LeNetFeatures().embed(samples.images)
    assert scores.fd == pytest.approx(frechet_distance(real, synthetic), rel=1e-9)
    assert shares(scores) == neighbours(real, synthetic)
    assert scores.read == (read(samples.images) == samples.labels).mean()
    assert scores.duplicates == 0


def test_real_digits_are_read_as_their_labels(data, reference):
    assert (
        reference.measure(Samples(data.held_out.images[:N], data.held_out.labels[:N])).read > 0.99
    )


def test_wrong_labels_are_not_read(data, reference):
    samples = data.take(np.arange(N))
    wrong = Samples(samples.images, (samples.labels + 1) % 10)
    assert reference.measure(wrong).read < 0.01


def test_no_labels_give_no_read_share(data, reference):
    assert math.isnan(reference.measure(Samples(data.images[:N])).read)


def test_a_collapsed_set_is_finite_and_its_copies_are_counted(data, reference):
    same = Samples(data.images[:1].repeat(N, 0), data.labels[:1].repeat(N))
    scores = reference.measure(same)
    assert all(map(math.isfinite, scores._asdict().values()))
    assert scores.duplicates == N - 1
    assert scores.recall == 0.0
    assert scores.fd > reference.measure(data.take(np.arange(N))).fd


def test_duplicates_count_copies_beyond_the_first(data, reference):
    images = data.images[:N].copy()
    images[[5, 6, 7]] = images[0]
    images[900] = images[800]
    assert reference.measure(Samples(images)).duplicates == 4


def test_measuring_twice_gives_the_same_numbers(data, reference):
    samples = data.take(np.arange(N, 2 * N))
    assert reference.measure(samples) == reference.measure(samples)


def test_a_part_of_the_held_out_set_is_always_the_same_part(data):
    small, again = Reference(data.held_out, 500), Reference(data.held_out, 500)
    larger = Reference(data.held_out, 800)
    assert (small.images == again.images).all()
    members = {image.tobytes() for image in larger.images}
    assert all(image.tobytes() in members for image in small.images)
    assert not (small.images == data.held_out.images[:500]).all()


def test_the_whole_held_out_set_is_taken_in_order(data):
    assert (Reference(data.held_out, 10_000).images == data.held_out.images).all()


def test_the_name_depends_on_all_that_scores_depend_on(data):
    held = data.held_out
    names = {
        Reference(held, 500).id,
        Reference(held, 501).id,
        Reference(held, 500, k=3).id,
        Reference(Samples(held.images[::-1]), 500).id,
        Reference(points(500), 500, features="points").id,
    }
    assert len(names) == 5
    assert Reference(held, 500).id == Reference(Samples(held.images.copy()), 500).id
    assert Reference(held, 500).features.startswith("lenet-")


def test_points_are_measured_as_they_are():
    real, synthetic = points(400), Samples(points(400, 1).images, np.zeros(400, np.int64))
    scores = Reference(real, 400, features="points").measure(synthetic)
    assert scores.fd == pytest.approx(frechet_distance(real.images, synthetic.images), rel=1e-9)
    assert shares(scores) == neighbours(real.images, synthetic.images)
    assert math.isnan(scores.read)


def test_a_data_set_stands_for_its_held_out_samples_and_features_for_its_kind(data):
    assert Reference(data, N) == Reference(data.held_out, N, "lenet")
    assert Reference(data).n_evaluate == 10_000
    assert Reference(points(40)).n_evaluate == 40
    assert Reference(points(40)).features == "points"


def test_sizes_that_do_not_fit_are_refused(reference):
    with pytest.raises(ValueError, match=r"n_evaluate is 11; it must be .* at most 10, the number"):
        Reference(points(10), 11, features="points")
    with pytest.raises(ValueError, match="n_evaluate is 5; it must be more than k = 5"):
        Reference(points(10), 5, features="points")
    with pytest.raises(ValueError, match="3 samples were given; this reference measures 1000"):
        reference.measure(Samples(np.zeros((3, 28, 28), np.uint8)))


def test_other_contents_are_refused(data, reference):
    with pytest.raises(KeyError, match="there are: lenet, points"):
        Reference(data.held_out, N, features="dino")
    with pytest.raises(ValueError, match="labels have shape"):
        reference.measure(Samples(data.images[:N], data.labels[: N - 1]))
    with pytest.raises(TypeError, match="must be uint8 with shape"):
        reference.measure(Samples(np.zeros((N, 3))))
    bad = points(50, 1).images
    bad[9] = np.inf
    with pytest.raises(ValueError, match=r"points have NaN .* in rows \[9\]\..*may have diverged"):
        Reference(points(50), 50, features="points").measure(Samples(bad))
