"""The principal-component Gaussian against covariances of all pictures and their mirror images."""

import numpy as np
import pytest

from madlab.models import check_model, principal
from madlab.models.principal import Principal, principal_components
from madlab.streams import generator


def waves(n=80, height=12, width=16, seed=0):
    """Smooth colour pictures around mid-grey that span a few dimensions, plus a little noise."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width] / width
    axes = np.stack([np.sin(2 * y + k * x + k * k) for k in range(5)])
    weights = rng.standard_normal((n, 5, 3)) * np.array([12, 9, 6, 4, 3])[:, None]
    images = (
        128 + np.einsum("nkc,khw->nhwc", weights, axes) + rng.normal(0, 2, (n, height, width, 3))
    )
    return images.round().clip(0, 255).astype(np.uint8)


def both_ways(images):
    x = images.astype(np.float64)
    return np.concatenate([x, x[:, :, ::-1]]).reshape(2 * len(x), -1)


@pytest.mark.parametrize("n", [30, 400])
def test_components_are_those_of_pictures_and_mirror_images(n):
    # 12 x 8 x 3 = 288 values in half a picture: fewer pictures than that, and more.
    images = waves(n)
    mean, scaled = principal_components(images, 20)
    points = both_ways(images)
    np.testing.assert_allclose(mean.ravel(), points.mean(0), rtol=1e-12)
    values, vectors = np.linalg.eigh(np.cov(points.T, ddof=0))
    flat = scaled.reshape(20, -1)
    np.testing.assert_allclose((flat**2).sum(1), values[::-1][:20], rtol=1e-8)
    best = (vectors[:, -20:] * values[-20:]) @ vectors[:, -20:].T
    # The 20th and 21st variances lie apart, so the sum of the first 20 parts is unique.
    assert values[-20] > 1.001 * values[-21]
    np.testing.assert_allclose(flat.T @ flat, best, atol=1e-7 * values[-1])


def test_components_beyond_what_pictures_span_are_zero():
    _, scaled = principal_components(waves(4), 20)
    # Four pictures and four mirror images lie in seven dimensions around their mean.
    lengths = (scaled**2).sum((1, 2, 3))
    assert lengths[6] > 1
    assert lengths[7:].max() < 1e-16 * lengths[0] * 288
    assert scaled.shape == (20, 12, 16, 3)


def test_many_large_pictures_are_stood_for_by_some(monkeypatch):
    images = waves(400)
    monkeypatch.setattr(principal, "MOST", 100)
    mean, scaled = principal_components(images, 5)
    wanted = principal_components(images[np.linspace(0, 399, 100).round().astype(int)], 5)
    np.testing.assert_array_equal(mean, wanted[0])
    np.testing.assert_array_equal(scaled, wanted[1])


def test_covariance_of_samples_is_the_closed_form_and_bias_scales_it_by_its_square():
    images = waves(400)
    model = Principal(components=8)
    model.fit(images, seed=0)
    values = np.sort(np.linalg.eigvalsh(np.cov(both_ways(images).T, ddof=0)))[::-1]
    flat = model.fitted["scaled"].reshape(8, -1)
    axes = flat / np.linalg.norm(flat, axis=1)[:, None]
    for bias in (1.0, 0.7):
        found = model.sample(4000, bias=bias, seed=1).images.reshape(4000, -1).astype(np.float64)
        variances = ((found - model.fitted["mean"].ravel()) @ axes.T).var(axis=0)
        # A variance of n normal numbers has a relative error of sqrt(2 / n), here 2.2%; rounding
        # to bytes adds 1/12, and nothing is clipped.
        np.testing.assert_allclose(variances, bias**2 * values[:8] + 1 / 12, rtol=0.1)
        assert found.var(axis=0).sum() == pytest.approx(
            bias**2 * values[:8].sum() + found.shape[1] / 12, rel=0.05
        )


def test_samples_are_rounded_sums_of_mean_and_components():
    model = Principal(components=8)
    model.fit(waves(), seed=0)
    z = generator(5, "noise").standard_normal((3, 8), dtype=np.float32)
    expected = model.fitted["mean"] + np.einsum(
        "nk,khwc->nhwc", 0.4 * z.astype(np.float64), model.fitted["scaled"]
    )
    np.testing.assert_array_equal(
        model.sample(3, bias=0.4, seed=5).images, np.rint(expected).clip(0, 255)
    )


def test_it_keeps_the_promises_of_a_model():
    check_model(Principal(components=8), waves())


@pytest.mark.parametrize(
    ("images", "error", "message"),
    [
        (waves()[..., 0], TypeError, "in colour"),
        (waves()[:1], ValueError, "give at least 2"),
        (waves()[:, :, :15], ValueError, "15 pixels wide"),
    ],
)
def test_images_are_checked(images, error, message):
    with pytest.raises(error, match=message):
        Principal().fit(images, seed=0)


def test_settings_are_checked():
    with pytest.raises(ValueError, match="components is 0"):
        Principal(components=0)
