import numpy as np
import pytest
import torch
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from threadpoolctl import threadpool_limits

from madlab.chain import Chain
from madlab.data import mnist, modes
from madlab.data.toy import MODES
from madlab.loops import Loop
from madlab.models import check_model, create, em, load, mixture
from madlab.models.base import NotFittedError
from madlab.models.mixture import Mixture, k_means, principal_loadings, tone_curve
from madlab.streams import generator


@pytest.fixture(scope="module")
def digits():
    return mnist().images[:3000], mnist().labels[:3000]


@pytest.fixture(scope="module")
def fitted(digits):
    model = Mixture()
    model.fit(*digits, seed=0)
    return model


def test_k_means_equals_scikit_learn_from_the_same_start(digits):
    points = PCA(20, random_state=0).fit_transform(digits[0].reshape(3000, -1) / 255.0)
    rng = np.random.default_rng(0)
    start = points[rng.choice(len(points), 12, replace=False)]
    found = k_means(torch.from_numpy(points), 12, np.random.default_rng(0)).numpy()
    peer = KMeans(12, init=start, n_init=1, max_iter=mixture.ROUNDS, tol=0, algorithm="lloyd")
    with threadpool_limits(1):
        peer.fit(points)
    np.testing.assert_array_equal(found, peer.labels_)


def test_k_means_survives_points_that_coincide():
    points = np.repeat(np.array([[0.0, 0.0], [5.0, 5.0]], np.float32), 20, axis=0)
    found = k_means(torch.from_numpy(points), 10, np.random.default_rng(0)).tolist()
    assert len(set(found[:20])) == len(set(found[20:])) == 1
    assert found[0] != found[-1]


def fit_loadings(members, scores, rank):
    found = principal_loadings(torch.from_numpy(members), torch.from_numpy(scores), rank)
    return found[0].numpy(), found[1].numpy()


def test_loadings_equal_probabilistic_pca():
    # 300 points of 20 dimensions whose scores hold everything: the start is already exact.
    rng = np.random.default_rng(2)
    points = rng.standard_normal((300, 20)) * np.linspace(5, 1, 20)
    mean, loadings = fit_loadings(points, points, 6)
    peer = PCA(6).fit(points)
    np.testing.assert_allclose(mean, points.mean(axis=0), rtol=1e-12)
    covariance = loadings.T @ loadings + peer.noise_variance_ * np.eye(20)
    np.testing.assert_allclose(covariance, peer.get_covariance(), rtol=1e-4, atol=1e-4)


def test_loadings_of_digits_are_close_to_a_full_decomposition(digits):
    images, labels = digits
    members = images[labels == 3].reshape(-1, 784).astype(np.float32)
    scores = PCA(mixture.DIMENSIONS, random_state=0).fit_transform(members)
    _, loadings = fit_loadings(members, scores, 15)
    peer = PCA(15, svd_solver="full").fit(members)
    explained = (loadings**2).sum()
    # scikit-learn spreads what is left over min(n, pixels) - rank directions, Tipping and
    # Bishop over pixels - rank.
    left = members.var(axis=0, ddof=1).sum() - peer.explained_variance_.sum()
    best = peer.explained_variance_.sum() - 15 * left / (784 - 15)
    assert explained == pytest.approx(best, rel=0.01)
    assert explained <= best * (1 + 1e-5)


def test_loadings_of_tiny_clusters():
    one = np.full((1, 9), 7.0, np.float32)
    mean, loadings = fit_loadings(one, one[:, :4], 3)
    np.testing.assert_array_equal(mean, one[0])
    np.testing.assert_array_equal(loadings, np.zeros((3, 9)))
    three = np.random.default_rng(0).standard_normal((3, 9)).astype(np.float32)
    _, loadings = fit_loadings(three, three[:, :4], 5)
    np.testing.assert_array_equal(loadings[2:], np.zeros((3, 9)))
    # Two loadings hold all there is to know about three points.
    np.testing.assert_allclose(loadings.T @ loadings, np.cov(three.T), atol=1e-4)


def test_tone_curve_takes_one_histogram_to_another():
    rng = np.random.default_rng(0)
    wanted = (255 * rng.beta(0.3, 0.3, 50_000)).astype(np.uint8)
    drawn = (255 * rng.beta(3, 3, 50_000)).astype(np.uint8)
    tone = tone_curve(drawn, wanted)
    assert (np.diff(tone.astype(int)) >= 0).all()

    def gap(levels):
        have, want = (np.cumsum(np.bincount(x, minlength=256)) / 50_000 for x in (levels, wanted))
        return abs(have - want).max()

    assert gap(drawn) > 0.2
    assert gap(tone[drawn]) < 0.03
    some = np.unique(wanted)
    np.testing.assert_array_equal(tone_curve(wanted, wanted)[some], some)


def test_tone_curve_keeps_the_ink_of_the_training_digits(digits, fitted):
    images, labels = digits
    plain = Mixture(tone=False)
    plain.fit(images, labels, seed=0)
    grey = ((images > 0) & (images < 128)).mean()
    curved, fog = (model.sample(1000, seed=1).images for model in (fitted, plain))
    assert ((fog > 0) & (fog < 128)).mean() > 2 * grey
    assert ((curved > 0) & (curved < 128)).mean() == pytest.approx(grey, rel=0.15)


def test_bias_scales_the_covariance_of_a_component():
    # One component of mid-grey images, so that nothing is clipped.
    rng = np.random.default_rng(0)
    latents = rng.standard_normal((2000, 2))
    directions = rng.standard_normal((2, 36)) * 8
    images = np.rint(128 + latents @ directions).clip(0, 255).astype(np.uint8).reshape(-1, 6, 6)
    model = Mixture(components=1, rank=2, tone=False)
    model.fit(images, seed=0)
    n = 20_000
    for bias in (1.0, 0.5, 0.1):
        drawn = model.sample(n, bias=bias, seed=1).images.reshape(n, -1)
        wanted = bias * np.cov(images.reshape(2000, -1).T)
        assert np.trace(np.cov(drawn.T)) == pytest.approx(np.trace(wanted), rel=0.05)
        assert abs(np.cov(drawn.T) - wanted).max() < 0.08 * abs(wanted).max() + 0.2


def test_an_image_does_not_depend_on_its_company(fitted):
    # Batch sizes and other labels may change the order of sums; exact sums do not mind.
    whole = fitted.sample(20_000, seed=5, labels=np.arange(20_000) % 10)
    part = fitted.sample(33, seed=5, labels=np.arange(33) % 10)
    np.testing.assert_array_equal(whole.images[:33], part.images)
    alone = fitted.sample(33, seed=5, labels=np.where(np.arange(33) == 32, 2, 7))
    np.testing.assert_array_equal(alone.images[32], whole.images[32])


def test_sums_are_exact(fitted):
    loadings = fitted.fitted["loadings"][3].astype(np.float64)
    noise = generator(0, "test").standard_normal((500, len(loadings)))
    latents = mixture._on_grid(noise)
    shuffled = np.random.default_rng(0).permutation(len(loadings))
    product = latents @ loadings
    np.testing.assert_array_equal(product, latents[:, shuffled] @ loadings[shuffled])
    np.testing.assert_array_equal(product, np.einsum("nr,rp->np", latents, loadings))
    # The test would fail for numbers that are not on the grid.
    assert (noise @ loadings != noise[:, shuffled] @ loadings[shuffled]).any()


def test_components_are_chosen_by_their_weights(fitted):
    inside = fitted.fitted
    n = 50_000
    labels = np.full(n, 4)
    uniform = np.random.default_rng(0).random(n)
    chosen = mixture._choose(inside, labels, uniform)
    own = np.flatnonzero(inside["owner"] == 4)
    share = np.bincount(chosen, minlength=len(inside["owner"]))[own] / n
    assert set(np.unique(chosen)) <= set(own)
    assert share.sum() == 1
    error = np.sqrt(inside["weights"][own] / n)
    assert (abs(share - inside["weights"][own]) < 5 * error).all()
    edge = mixture._choose(inside, labels[:1], np.array([np.nextafter(1, 0)]))
    assert edge[0] == own[-1]


def test_labels_are_drawn_from_the_training_frequencies(digits, fitted):
    labels = fitted.sample(20_000, seed=0).labels
    wanted = np.bincount(digits[1]) / len(digits[1])
    assert abs(np.bincount(labels) / 20_000 - wanted).max() < 5 * np.sqrt(0.1 / 20_000)


def test_samples_look_like_their_label(digits, fitted):
    # The nearest of 3,000 real digits mostly has the label that was asked for.
    images, labels = digits
    drawn = fitted.sample(200, seed=2, labels=np.arange(200) % 10)
    real = images.reshape(len(images), -1).astype(np.float32)
    made = drawn.images.reshape(200, -1).astype(np.float32)
    nearest = ((real**2).sum(axis=1) - 2 * made @ real.T).argmin(axis=1)
    assert (labels[nearest] == drawn.labels).mean() > 0.95


def test_the_same_seed_fits_the_same_model(digits, fitted):
    again, other = Mixture(), Mixture()
    again.fit(*digits, seed=0)
    other.fit(*digits, seed=1)
    for name, array in fitted.fitted.items():
        np.testing.assert_array_equal(array, again.fitted[name])
    assert not np.array_equal(other.sample(20, seed=0).images, fitted.sample(20, seed=0).images)


@pytest.fixture
def two_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def test_threads_change_nothing_and_are_left_as_they_were(digits, fitted, two_threads):
    again = Mixture()
    used = []
    again.fit(*digits, seed=0, progress=lambda fraction: used.append(torch.get_num_threads()))
    assert set(used) == {1}
    assert torch.get_num_threads() == 2
    found, wanted = again.sample(50, seed=0), fitted.sample(50, seed=0)
    np.testing.assert_array_equal(found.images, wanted.images)
    with pytest.raises(ValueError, match="bias"):
        again.sample(1, bias=2, seed=0)
    assert torch.get_num_threads() == 2


@pytest.mark.parametrize("n", [1, 2, 3, 25])
def test_few_images(digits, n):
    model = Mixture()
    model.fit(digits[0][:n], digits[1][:n], seed=0)
    drawn = model.sample(50, seed=0)
    assert set(drawn.labels) <= set(digits[1][:n])
    if n == 1:
        np.testing.assert_array_equal(drawn.images, np.repeat(digits[0][:1], 50, axis=0))


def test_constant_images_and_other_sizes():
    model = Mixture(components=4, rank=2)
    model.fit(np.full((50, 5, 7), 200, np.uint8), seed=0)
    drawn = model.sample(9, bias=0.3, seed=0)
    np.testing.assert_array_equal(drawn.images, np.full((9, 5, 7), 200))
    assert drawn.labels is None


def test_small_classes_get_fewer_components(digits):
    images, labels = digits
    keep = np.concatenate([np.flatnonzero(labels == 1), np.flatnonzero(labels == 8)[:40]])
    model = Mixture(components=20, rank=15)
    model.fit(images[keep], labels[keep], seed=0)
    counts = np.bincount(model.fitted["owner"])
    assert model.fitted["classes"].tolist() == [1, 8]
    assert counts[0] == 20
    assert counts[1] == 2


def test_labels_are_checked(digits, fitted):
    images, labels = digits
    model = Mixture()
    model.fit(images[labels < 3], labels[labels < 3], seed=0)
    with pytest.raises(ValueError, match=r"labels run up to 5; 3 classes"):
        model.sample(2, seed=0, labels=np.array([1, 5]))
    model.fit(images[:100], seed=0)
    with pytest.raises(ValueError, match="fitted without labels"):
        model.sample(2, seed=0, labels=np.array([1, 5]))
    with pytest.raises(ValueError, match="3000 images need shape"):
        model.fit(images, labels[:-1], seed=0)


def test_settings_are_checked():
    with pytest.raises(ValueError, match="components is 0"):
        create("mixture", components=0)
    with pytest.raises(TypeError, match="rank must be a whole number"):
        create("mixture", rank=1.5)
    with pytest.raises(TypeError, match="tone must be True or False"):
        create("mixture", tone="yes")


def test_a_stopped_fit_leaves_no_model(digits):
    def stop(fraction):
        raise KeyboardInterrupt

    model = Mixture()
    model.fit(*digits, seed=0)
    with pytest.raises(KeyboardInterrupt):
        model.fit(*digits, seed=0, progress=stop)
    with pytest.raises(RuntimeError, match="is not fitted"):
        model.sample(1, seed=0)


# Points: EM behind the promises that every model keeps.


@pytest.fixture(scope="module")
def points():
    return modes(2500, n_held_out=1).images


@pytest.fixture(scope="module")
def of_points(points):
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


def test_a_mixture_of_points_is_what_em_finds(points, of_points):
    found = em.fit(torch.tensor(points)[None], 25, [3])
    for name, array in of_points.fitted.items():
        np.testing.assert_array_equal(array, getattr(found, name)[0])
    drawn = em.draw(found, *em.noise([8], 40, 2), bias=0.5)[0].numpy()
    np.testing.assert_array_equal(of_points.sample(40, bias=0.5, seed=8).images, drawn)


def test_every_mode_has_a_component_and_its_share(points, of_points):
    drawn = of_points.sample(50_000, seed=0)
    assert drawn.images.dtype == np.float64
    assert drawn.labels is None
    nearest = ((drawn.images[:, None] - MODES) ** 2).sum(2).argmin(1)
    wanted = np.bincount(((points[:, None] - MODES) ** 2).sum(2).argmin(1), minlength=25) / 2500
    # Five standard errors of a share of 0.04 among 50,000.
    np.testing.assert_allclose(np.bincount(nearest, minlength=25) / 50_000, wanted, atol=0.0045)


def test_bias_scales_the_covariance_of_the_components(of_points):
    n = 50_000
    full, half = (of_points.sample(n, bias=bias, seed=1).images for bias in (1.0, 0.5))
    nearest = ((full[:, None] - MODES) ** 2).sum(2).argmin(1)
    means = np.stack([of_points.fitted["means"][k] for k in range(25)])
    own = means[((means[:, None] - MODES[nearest][None]) ** 2).sum(2).argmin(0)]
    # The same noise: what lies between a sample and its mean shrinks by the root of the bias.
    np.testing.assert_allclose(half - own, np.sqrt(0.5) * (full - own), atol=1e-12)


def test_a_saved_mixture_of_points_is_read_exactly(of_points, tmp_path):
    of_points.save(tmp_path)
    loaded = load(tmp_path)
    assert loaded.settings == of_points.settings
    np.testing.assert_array_equal(
        loaded.sample(500, seed=2).images, of_points.sample(500, seed=2).images
    )


def test_one_mixture_takes_points_after_images_and_images_after_points(points, of_points):
    model = create("mixture", components=25)
    model.fit(mnist().images[:300], mnist().labels[:300], seed=0)
    model.fit(points, seed=3)
    np.testing.assert_array_equal(
        model.sample(9, seed=0).images, of_points.sample(9, seed=0).images
    )
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


def test_what_is_no_set_of_points_is_refused(points, of_points):
    model = create("mixture", components=25)
    with pytest.raises(ValueError, match="24 rows of points; give at least 25"):
        model.fit(points[:24], seed=0)
    with pytest.raises(ValueError, match="NaN or infinite"):
        model.fit(np.full((30, 2), np.nan), seed=0)
    with pytest.raises(TypeError, match="points must be float64 with shape"):
        model.fit(points[None], seed=0)
    with pytest.raises(TypeError, match=r"images of a mixture must be uint8 .* not float32"):
        model.fit(points.astype(np.float32), seed=0)
    with pytest.raises(ValueError, match="points knows no labels"):
        model.fit(points, np.zeros(2500, np.int64), seed=0)
    with pytest.raises(ValueError, match="points knows no labels"):
        of_points.sample(3, seed=0, labels=np.zeros(3, np.int64))


def test_a_stopped_fit_of_points_leaves_no_model(points):
    def stop(fraction):
        raise KeyboardInterrupt

    model = create("mixture", components=25)
    model.fit(points, seed=0)
    with pytest.raises(KeyboardInterrupt):
        model.fit(points, seed=0, progress=stop)
    with pytest.raises(NotFittedError):
        model.sample(1, seed=0)
