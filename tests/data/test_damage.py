"""Damages: what strength means in each, against what can be counted or computed."""

import numpy as np
import pytest

from madlab.data.damage import DAMAGES, drop, duplicate, noise, shift, shrink
from madlab.data.samples import Samples
from madlab.metrics.neighbours import distinct
from madlab.streams import generator

STRENGTHS = (0.0, 0.2, 0.5, 0.8, 1.0)
EVERY = pytest.mark.parametrize("name", DAMAGES)


@pytest.fixture(scope="module")
def samples():
    """3,000 images of 10 classes, each with its own mean, all different."""
    labels = generator(0, "labels").integers(10, size=3000)
    grey = generator(0, "images").integers(0, 100, (3000, 12, 9))
    return Samples((grey + 15 * labels[:, None, None]).astype(np.uint8), labels)


@EVERY
def test_strength_0_changes_nothing_and_strength_1_much(samples, name):
    same = DAMAGES[name](samples, 0.0)
    assert np.array_equal(same.images, samples.images)
    assert np.array_equal(same.labels, samples.labels)
    most = DAMAGES[name](samples, 1.0)
    changed = (most.images != samples.images).any((1, 2))
    assert changed.mean() > 0.85
    assert most.images.dtype == np.uint8
    assert most.images.shape == samples.images.shape


@EVERY
def test_a_seed_is_a_choice_and_the_same_seed_the_same_bits(samples, name):
    damaged = [DAMAGES[name](samples, 0.5, seed=seed, n=1000).images for seed in (1, 1, 2)]
    assert np.array_equal(damaged[0], damaged[1])
    assert np.array_equal(damaged[0], damaged[2]) == (name in ("shrink", "shift"))


@EVERY
def test_what_is_given_stays_as_it_is(samples, name):
    before = samples.images.copy(), samples.labels.copy()
    DAMAGES[name](samples, 0.7)
    assert np.array_equal(samples.images, before[0])
    assert np.array_equal(samples.labels, before[1])


@pytest.mark.parametrize("strength", STRENGTHS)
def test_drop_leaves_the_classes_that_it_should(samples, strength):
    before = np.bincount(samples.labels[:1000], minlength=10)
    found = drop(samples, strength, seed=3, n=1000)
    counts = np.bincount(found.labels, minlength=10)
    order = generator(3, "drop", "classes").permutation(10)
    whole, part = divmod(round(strength * 9, 9), 1)
    assert (counts[order[: int(whole)]] == 0).all()
    if part:
        partly = order[int(whole)]
        assert counts[partly] == before[partly] - round(part * before[partly])
    assert counts.sum() == 1000
    assert (counts > 0).sum() == 10 - int(whole)


def test_drop_replaces_by_other_samples_and_copies_only_what_is_short(samples):
    found = drop(samples, 0.5, n=1000)
    kept = (found.images == samples.images[:1000]).all((1, 2))
    assert 0.3 < kept.mean() < 0.7
    assert len(distinct(found.images)[0]) == 1000
    # What stands in the places of the rest comes in order from behind the first 1,000.
    rows = {row.tobytes(): i for i, row in enumerate(samples.images)}
    taken = [rows[image.tobytes()] for image in found.images[~kept]]
    assert taken == sorted(taken)
    assert taken[0] >= 1000
    assert (samples.labels[taken] == found.labels[~kept]).all()
    one = drop(samples, 1.0)
    there = (samples.labels == one.labels[0]).sum()
    assert len(distinct(one.images)[0]) == there


def test_shrink_scales_the_variance_within_classes_and_keeps_the_means(samples):
    found = shrink(samples, 0.6)
    for label in range(10):
        own = samples.labels == label
        before, after = (s.images[own].astype(float) for s in (samples, found))
        # Rounding to whole grey levels adds a variance of about 1/12.
        expected = 0.4**2 * before.var(0).mean() + 1 / 12
        assert after.var(0).mean() == pytest.approx(expected, rel=0.02)
        # 0.4 x has fractions 0.2 apart: rounding moves a mean by up to 0.1, chance by less.
        assert np.abs(after.mean(0) - before.mean(0)).max() < 0.17
    assert len(distinct(shrink(samples, 1.0).images)[0]) == 10
    assert len(distinct(shrink(Samples(samples.images), 1.0).images)[0]) == 1


def test_shrink_uses_the_means_of_all_samples(samples):
    few = shrink(samples, 1.0, n=5)
    for image, label in zip(few.images, few.labels, strict=True):
        mean = samples.images[samples.labels == label].mean(0)
        assert np.array_equal(image, np.rint(mean))


@pytest.mark.parametrize(("strength", "pixels"), [(0.2, 1), (0.4, 2), (0.55, 3), (1.0, 5)])
def test_shift_moves_by_whole_pixels(samples, strength, pixels):
    found = shift(samples, strength).images
    assert np.array_equal(found[:, :, pixels:], samples.images[:, :, :-pixels])
    assert (found[:, :, :pixels] == 0).all()


def test_shift_of_a_narrow_picture_leaves_paper():
    found = shift(Samples(np.full((2, 4, 3), 9, np.uint8)), 1.0).images
    assert found.shape == (2, 4, 3)
    assert not found.any()


@pytest.mark.parametrize("strength", STRENGTHS)
def test_duplicate_makes_so_many_copies_and_keeps_the_labels(samples, strength):
    found = duplicate(samples, strength, n=1000)
    assert 1000 - len(distinct(found.images)[0]) == round(strength * 990)
    assert np.array_equal(found.labels, samples.labels[:1000])
    copies = (found.images != samples.images[:1000]).any((1, 2))
    assert len(distinct(found.images[copies])[0]) == (10 if strength else 0)
    for label in np.unique(found.labels[copies]):
        own = found.images[copies & (found.labels == label)]
        assert (own == own[0]).all()
    if not strength:
        return
    alike = duplicate(Samples(samples.images), strength, n=1000)
    assert 1000 - len(distinct(alike.images)[0]) == round(strength * 999)


def test_stronger_duplication_goes_on_from_weaker(samples):
    weak, strong = (duplicate(samples, s, n=1000).images for s in (0.3, 0.7))
    copied = (weak != samples.images[:1000]).any((1, 2))
    assert copied.sum() == 297
    assert np.array_equal(strong[copied], weak[copied])


def test_noise_has_the_deviation_that_it_says_and_is_clipped():
    grey = Samples(np.full((200, 28, 28), 128, np.uint8))
    found = noise(grey, 0.2).images.astype(float)
    # Within 5 standard errors: the deviation is 25.5, nothing is clipped, 156,800 pixels.
    assert found.std() == pytest.approx(25.5, rel=0.01)
    assert found.mean() == pytest.approx(128, abs=0.35)
    black = noise(Samples(np.zeros((200, 28, 28), np.uint8)), 1.0).images
    # Half of a normal variable is below 0; the mean of the rest is sigma / sqrt(2 pi), of which
    # clipping at 255, two sigmas, takes 0.0085 sigma.
    assert (black == 0).mean() == pytest.approx(0.5, abs=0.01)
    assert black.mean() == pytest.approx(127.5 * (0.39894 - 0.00849), rel=0.01)


def test_every_strength_scales_the_same_noise_for_any_n(samples):
    grey = Samples(np.full((50, 28, 28), 128, np.uint8))
    weak, strong = (noise(grey, s).images.astype(float) - 128 for s in (0.1, 0.2))
    assert np.abs(strong - 2 * weak).max() <= 1.5
    assert np.array_equal(noise(samples, 0.4, n=7).images, noise(samples, 0.4).images[:7])


@EVERY
@pytest.mark.parametrize("strength", [-0.1, 1.1, float("nan")])
def test_other_strengths_are_refused(samples, name, strength):
    with pytest.raises(
        ValueError, match=f"strength is {strength}; it must (lie between 0 and 1|be finite)"
    ):
        DAMAGES[name](samples, strength)


@EVERY
def test_other_images_and_sizes_are_refused(samples, name):
    with pytest.raises(TypeError, match=r"must be uint8 with shape .* not float64 with shape"):
        DAMAGES[name](Samples(np.zeros((4, 2)), np.zeros(4, int)), 0.5)
    with pytest.raises(ValueError, match="n is 3001; it must be at least 0 and at most 3,000"):
        DAMAGES[name](samples, 0.5, n=3001)


@EVERY
def test_no_samples_stay_no_samples(samples, name):
    assert DAMAGES[name](samples, 0.5, n=0).images.shape == (0, 12, 9)


def test_classes_cannot_be_dropped_without_labels(samples):
    with pytest.raises(ValueError, match="these have no labels"):
        drop(Samples(samples.images), 0.5)
    assert shift(Samples(samples.images), 0.5).labels is None
