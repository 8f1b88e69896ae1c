"""The mixture on points: EM behind the promises that every model keeps."""

import numpy as np
import pytest
import torch

from madlab.chain import Chain
from madlab.data import mnist, modes
from madlab.data.toy import MODES
from madlab.loops import Loop
from madlab.models import check_model, create, em, load
from madlab.models.base import NotFittedError


@pytest.fixture(scope="module")
def points():
    return modes(2500, n_held_out=1).images


@pytest.fixture(scope="module")
def fitted(points):
    model = create("mixture", components=25)
    model.fit(points, seed=3)
    return model


@pytest.mark.parametrize("bias", [0.9, 0.1])
def test_a_mixture_of_points_keeps_every_promise(points, bias):
    # The covariance within a mode is a two-hundredth of the whole: the diversity is taken within.
    def within(samples):
        nearest = ((samples.images[:, None] - MODES) ** 2).sum(2).argmin(1)
        return float(((samples.images - MODES[nearest]) ** 2).sum())

    model = create("mixture", components=25)
    check_model(model, points[:800], bias=bias, diversity=within)


def test_a_mixture_of_points_is_what_em_finds(points, fitted):
    found = em.fit(torch.tensor(points)[None], 25, [3])
    for one, many in zip(fitted._fitted, found[:3], strict=True):
        assert torch.equal(one, many[0])
    drawn = em.draw(found, *em.noise([8], 40, 2), bias=0.5)[0].numpy()
    np.testing.assert_array_equal(fitted.sample(40, bias=0.5, seed=8).images, drawn)


def test_every_mode_has_a_component_and_its_share(points, fitted):
    drawn = fitted.sample(50_000, seed=0)
    assert drawn.images.dtype == np.float64
    assert drawn.labels is None
    nearest = ((drawn.images[:, None] - MODES) ** 2).sum(2).argmin(1)
    wanted = np.bincount(((points[:, None] - MODES) ** 2).sum(2).argmin(1), minlength=25) / 2500
    # Five standard errors of a share of 0.04 among 50,000.
    np.testing.assert_allclose(np.bincount(nearest, minlength=25) / 50_000, wanted, atol=0.0045)


def test_bias_scales_the_covariance_of_the_components(fitted):
    n = 50_000
    full, half = (fitted.sample(n, bias=bias, seed=1).images for bias in (1.0, 0.5))
    nearest = ((full[:, None] - MODES) ** 2).sum(2).argmin(1)
    means = np.stack([fitted._fitted.means.numpy()[k] for k in range(25)])
    own = means[((means[:, None] - MODES[nearest][None]) ** 2).sum(2).argmin(0)]
    # The same noise: what lies between a sample and its mean shrinks by the root of the bias.
    np.testing.assert_allclose(half - own, np.sqrt(0.5) * (full - own), atol=1e-12)


def test_a_saved_mixture_of_points_is_read_exactly(fitted, tmp_path):
    fitted.save(tmp_path)
    loaded = load(tmp_path)
    assert loaded.settings == fitted.settings
    np.testing.assert_array_equal(
        loaded.sample(500, seed=2).images, fitted.sample(500, seed=2).images
    )


def test_one_mixture_takes_points_after_images_and_images_after_points(points, fitted):
    model = create("mixture", components=25)
    model.fit(mnist().images[:300], mnist().labels[:300], seed=0)
    model.fit(points, seed=3)
    np.testing.assert_array_equal(model.sample(9, seed=0).images, fitted.sample(9, seed=0).images)
    model.fit(mnist().images[:300], seed=0)
    assert model.sample(2, seed=0).images.dtype == np.uint8


def test_a_chain_runs_on_the_grid():
    chain = Chain(
        Loop.fully_synthetic(500),
        create("mixture", components=25),
        modes(2000, n_held_out=500),
        n_evaluate=500,
    )
    first, _, last = chain.run(3)
    assert first.samples.images.shape == (500, 2)
    # 500 points of a good fit against as many of the data; the floor of real data is about 0.97.
    assert first.scores.recall > 0.8
    assert last.scores.recall < first.scores.recall


def test_what_is_no_set_of_points_is_refused(points, fitted):
    model = create("mixture", components=25)
    with pytest.raises(ValueError, match="24 points are too few for 25 components"):
        model.fit(points[:24], seed=0)
    with pytest.raises(ValueError, match="NaN or infinite"):
        model.fit(np.full((30, 2), np.nan), seed=0)
    with pytest.raises(TypeError, match="points must be float64 of shape"):
        model.fit(points[None], seed=0)
    with pytest.raises(TypeError, match=r"uint8 images .* or to float64 points .*float32"):
        model.fit(points.astype(np.float32), seed=0)
    with pytest.raises(ValueError, match="points knows no labels"):
        model.fit(points, np.zeros(2500, np.int64), seed=0)
    with pytest.raises(ValueError, match="points knows no labels"):
        fitted.sample(3, seed=0, labels=np.zeros(3, np.int64))


def test_a_stopped_fit_of_points_leaves_no_model(points):
    def stop(fraction):
        raise KeyboardInterrupt

    model = create("mixture", components=25)
    model.fit(points, seed=0)
    with pytest.raises(KeyboardInterrupt):
        model.fit(points, seed=0, progress=stop)
    with pytest.raises(NotFittedError):
        model.sample(1, seed=0)
