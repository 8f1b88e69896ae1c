"""Scores of small sets of colour pictures: equal to their parts, honest at small sizes."""

import math
import os

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

import madlab
from madlab.data.samples import Dataset, Samples
from madlab.metrics import (
    Reference,
    frechet_distance,
    kernel_distance,
    mean_distance,
    neighbours,
)
from madlab.metrics.picture_features import Appearance, EfficientNetFeatures, PcaFeatures
from madlab.models import create
from madlab.models.base import to_bytes
from madlab.streams import generator

FFHQ = os.environ.get("MADLAB_FFHQ")
N, HELD = 120, 60


def drawn():
    return madlab.data.drawn_faces(N, 32, 0, HELD)


def real_faces():
    found = madlab.data.ffhq()
    return madlab.data.ffhq(n=2000) if len(found) > 2000 else found


@pytest.fixture(scope="module")
def data():
    return drawn()


@pytest.fixture(scope="module")
def reference(data):
    return Reference(data, N)


@pytest.fixture(scope="module")
def floor(data, reference):
    return reference.measure(Samples(data.images))


@pytest.fixture(scope="module", params=["drawn", "ffhq"])
def faces(request):
    """A set, its reference, and the scores of its own training pictures."""
    if request.param == "ffhq":
        if not FFHQ:
            pytest.skip("MADLAB_FFHQ names no faces")
        found = real_faces()
    else:
        found = drawn()
    wanted = Reference(found, min(N, len(found)))
    return found, wanted, wanted.measure(Samples(found.images[: wanted.n_evaluate]))


def noisy(images, sigma):
    return to_bytes(images + sigma * generator(0, "noise").normal(size=images.shape))


def test_scores_equal_their_parts(data, reference):
    samples = create("principal")
    samples.fit(data.images, seed=0)
    images = samples.sample(N, seed=1).images
    found = reference.measure(Samples(images))
    look = EfficientNetFeatures()
    held, made, training = map(look.embed, (data.held_out.images, images, data.images))
    assert (found.kid, found.kid_error) == pytest.approx(kernel_distance(held, made), rel=1e-9)
    axes = np.linalg.svd(training - training.mean(0, dtype=float), full_matrices=False)[2][:64]
    fd, floor = (frechet_distance(held @ axes.T, x @ axes.T) for x in (made, training))
    # Sums in single precision before the axes, in double after.
    assert found.fd == pytest.approx(fd, rel=1e-4)
    assert found.fd_ratio == pytest.approx(fd / floor, rel=1e-4)
    plane = PcaFeatures(data.images)
    distances = [mean_distance(plane.embed(x)) for x in (images, data.held_out.images)]
    assert found.distance == pytest.approx(distances[0] / distances[1], rel=1e-9)
    assert found.duplicates == 0


def test_precision_and_recall_are_means_over_ten_fixed_draws(data, reference, floor):
    look = Appearance(data.images)
    held, made = look.embed(data.held_out.images), look.embed(data.images)
    draws = []
    for i in range(10):
        rows = np.sort(generator(0, "draw", i, "generated").permutation(N)[:HELD])
        draws.append(neighbours(held, made[rows]))
    shares = [floor.precision, floor.recall, floor.density, floor.coverage]
    assert shares == pytest.approx(np.mean(draws, 0), rel=1e-9)
    spreads = np.std(draws, 0, ddof=1)[:2]
    assert (floor.precision_error, floor.recall_error) == pytest.approx(spreads, rel=1e-9)
    assert reference.measure(Samples(data.images)) == floor


def test_where_there_is_one_draw_only_its_spread_is_not_known(data):
    found = Reference(data, HELD, "pca").measure(Samples(data.images[:HELD]))
    assert math.isnan(found.precision_error)
    assert math.isnan(found.recall_error)
    fewer = Reference(data, 40, "pca").measure(Samples(data.images[:40]))
    assert fewer.precision_error > 0


def test_a_collapsed_set_is_finite_and_no_distance_wide(data, reference):
    same = Samples(data.images[:1].repeat(N, 0))
    found = reference.measure(same)
    assert all(map(math.isfinite, found._asdict().values()))
    assert found.duplicates == N - 1
    assert found.distance == 0
    assert found.recall == 0
    assert found.fd_ratio > 1


@pytest.mark.parametrize("features", ["efficientnet", "pca"])
@pytest.mark.parametrize("size", [16, 64])
def test_any_sizes_will_do(features, size):
    data = madlab.data.drawn_faces(70, size, 0, 20)
    found = Reference(data, 25, features, k=3).measure(Samples(data.images[:25]))
    assert all(map(math.isfinite, found._asdict().values()))
    assert found.memorisation < 0.8


def test_names_depend_on_all_that_scores_depend_on(data):
    other = Dataset("other", data.images[::-1], None, data.held_out)
    references = [
        Reference(data, 100),
        Reference(data, 101),
        Reference(data, 100, k=4),
        Reference(data, 100, "pca"),
        Reference(other, 100),
    ]
    assert len({one.id for one in references}) == 5
    assert len(set(references)) == 5
    assert Reference(data, 100) == references[0]
    assert hash(Reference(data, 100)) == hash(references[0])
    kinds = [name.split("-")[0] for name in references[0].features.split(" ")]
    assert kinds == ["efficientnet", "appearance", "pca"]
    assert references[3].features == PcaFeatures(data.images).name


def test_what_does_not_fit_is_refused(data, reference):
    with pytest.raises(ValueError, match=r"n_evaluate is 121; .* at most 120, the tr"):
        Reference(data, N + 1)
    with pytest.raises(ValueError, match="n_evaluate is 5; it must be more than k = 5"):
        Reference(data, 5)
    with pytest.raises(ValueError, match="there are 5 held-out pictures; give at least 6"):
        Reference(Dataset("few", data.images, None, Samples(data.held_out.images[:5])), 100)
    with pytest.raises(KeyError, match="efficientnet, inception, dinov2, pca"):
        Reference(data, 100, "lenet")
    with pytest.raises(ValueError, match="3 samples were given; this reference measures 120"):
        reference.measure(Samples(data.images[:3]))
    with pytest.raises(TypeError, match=r"samples must be uint8 with shape \(n, 32, 32, 3\)"):
        reference.measure(Samples(np.zeros((N, 16, 16, 3), np.uint8)))
    grey = data.images[..., :1]
    with pytest.raises(TypeError, match="training pictures must be uint8"):
        Reference(Dataset("grey", grey, None, data.held_out), 100)
    with pytest.raises(TypeError, match="held-out pictures must be uint8"):
        Reference(Dataset("grey", data.images, None, Samples(grey)), 100)
    with pytest.raises(TypeError, match="give the whole data set"):
        Reference(data.held_out)


def test_the_old_name_takes_800_pictures_where_the_new_one_takes_all(data):
    assert Reference(data).n_evaluate == N
    with pytest.warns(DeprecationWarning, match="next release"):
        old = madlab.metrics.PictureReference
    assert old(data, 100, "pca") == Reference(data, 100, "pca")
    with pytest.raises(ValueError, match="n_evaluate is 800"):
        old(data)


def test_real_faces_pass(faces):
    _, _, floor = faces
    assert floor.precision > 0.75
    assert floor.recall > 0.75
    assert abs(floor.kid) < 4 * floor.kid_error
    # Sets of 120 faces against other sets of as many.
    assert floor.fd_ratio == pytest.approx(1, rel=0.35)
    assert floor.distance == pytest.approx(1, abs=0.15)


def test_junk_does_not(faces):
    data, reference, floor = faces
    images = data.images[: reference.n_evaluate]
    rng = generator(0, "junk")
    junk = {
        "noise": rng.integers(0, 256, images.shape, np.uint8),
        "shuffled": rng.permuted(images.reshape(len(images), -1, 3), axis=1).reshape(images.shape),
        "black": np.zeros_like(images),
    }
    for made in junk.values():
        found = reference.measure(Samples(made))
        assert found.precision < 0.05
        assert found.recall < 0.05
        assert found.kid > 20 * found.kid_error
        assert found.fd_ratio > 3 * floor.fd_ratio


def test_precision_falls_and_kid_rises_with_the_damage(faces):
    data, reference, floor = faces
    images = data.images[: reference.n_evaluate]
    y, x = np.mgrid[: images.shape[1], : images.shape[2]]
    grid = ((-1.0) ** (x + y))[None, :, :, None]
    series = {
        "noise": [noisy(images, sigma) for sigma in (12, 40)],
        "blur": [to_bytes(gaussian_filter(images * 1.0, (0, s, s, 0))) for s in (0.8, 2)],
        "grid": [to_bytes(images + strength * grid) for strength in (6, 20)],
    }
    for steps in series.values():
        line = [floor, *(reference.measure(Samples(step)) for step in steps)]
        assert line[0].precision > line[1].precision > line[2].precision
        assert line[2].precision < 0.2
        assert line[0].kid < line[1].kid < line[2].kid


def test_recall_and_distance_fall_with_diversity(faces):
    data, reference, floor = faces
    images = data.images[: reference.n_evaluate]
    mean = images.mean(0)
    line = [floor]
    for factor in (0.7, 0.4):
        line.append(reference.measure(Samples(to_bytes(mean + factor * (images - mean)))))
        assert line[-1].distance == pytest.approx(factor * floor.distance, abs=0.06)
        assert line[-1].recall < line[-2].recall
    few = images[generator(0, "few").integers(5, size=len(images))]
    assert reference.measure(Samples(noisy(few, 2))).recall < 0.1


def test_copies_are_seen_and_fresh_pictures_are_not_taken_for_copies(faces):
    data, reference, _ = faces
    n = reference.n_evaluate
    copies = reference.measure(Samples(noisy(data.images[:n], 3)))
    assert copies.memorisation < 0.8
    model = create("principal")
    model.fit(data.images, seed=0)
    fresh = reference.measure(Samples(model.sample(n, seed=1).images))
    assert fresh.memorisation == pytest.approx(1, abs=0.06)
    half = np.concatenate(
        [noisy(data.images[: n // 2], 3), model.sample(n - n // 2, seed=1).images]
    )
    assert copies.memorisation < reference.measure(Samples(half)).memorisation < fresh.memorisation


@pytest.mark.skipif(not FFHQ, reason="MADLAB_FFHQ names no faces")
def test_a_gaussian_is_not_taken_for_faces_although_pixels_take_it_for_them():
    data = real_faces()
    n = min(200, len(data))
    model = create("principal")
    model.fit(data.images, seed=0)
    made = Samples(model.sample(n, seed=1).images)
    seen, blind = (Reference(data, n, name).measure(made) for name in ("efficientnet", "pca"))
    assert blind.precision > 0.75
    assert blind.recall > 0.75
    assert seen.precision < 0.65
    assert seen.recall < 0.3
    assert seen.fd_ratio > 5
