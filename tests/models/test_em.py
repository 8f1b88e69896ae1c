"""EM for many mixtures at a time, against scikit-learn, scipy and itself."""

import numpy as np
import pytest
import torch
from scipy.special import logsumexp
from scipy.stats import multivariate_normal
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture

from madlab.data import modes
from madlab.data.toy import MODES
from madlab.models import em


def chains_of(*sets):
    return torch.from_numpy(np.stack(sets))


@pytest.fixture(scope="module")
def grid():
    return chains_of(*[modes(2500, seed=i, n_held_out=1).images for i in range(6)])


def blobs(n, seed, d=2):
    """Points of three overlapping Gaussians, and their parameters."""
    rng = np.random.default_rng(seed)
    weights = np.array([0.5, 0.3, 0.2])
    means = 3 * rng.standard_normal((3, d))
    roots = rng.standard_normal((3, d, d))
    covariances = roots @ roots.transpose(0, 2, 1) / d + 0.3 * np.eye(d)
    owner = rng.choice(3, n, p=weights)
    noise = np.einsum("nij,nj->ni", np.linalg.cholesky(covariances)[owner], rng.normal(size=(n, d)))
    return means[owner] + noise, weights, means, covariances


def start_of(points, k, seed):
    """Weights, means and precisions of the start of `fit`, computed by numpy."""
    labels = em.k_means_plus_plus(torch.from_numpy(points)[None], k, [seed])[0].numpy()
    found = [points[labels == j] for j in range(k)]
    return (
        np.array([len(part) for part in found]) / len(points),
        np.stack([part.mean(0) for part in found]),
        np.stack([np.linalg.inv(np.atleast_2d(np.cov(part.T, bias=True))) for part in found]),
    )


@pytest.mark.parametrize("d", [1, 2, 3])
def test_em_equals_scikit_learn_from_the_same_start(d):
    points = blobs(900, seed=d, d=d)[0]
    weights, means, precisions = start_of(points, 4, seed=5)
    peer = GaussianMixture(
        4,
        tol=0,
        max_iter=60,
        reg_covar=em.FLOOR,
        weights_init=weights,
        means_init=means,
        precisions_init=precisions.reshape(4, d, d),
    )
    with pytest.warns(ConvergenceWarning):
        peer.fit(points)
    found = em.fit(chains_of(points), 4, [5], tolerance=-1, rounds=60)
    # Sixty rounds carry rounding errors along, and scikit-learn's ridge of 1e-10.
    np.testing.assert_allclose(found.weights[0], peer.weights_, atol=1e-6)
    np.testing.assert_allclose(found.means[0], peer.means_, atol=1e-6)
    np.testing.assert_allclose(found.covariances[0], peer.covariances_, atol=1e-6)
    likelihood = em.log_likelihood(chains_of(points), found)
    assert likelihood[0] == pytest.approx(peer.score(points), abs=1e-8)


def test_one_fit_is_as_likely_as_the_best_of_scikit_learns(grid):
    found = em.log_likelihood(grid, em.fit(grid, 25, range(6)))
    for points, likelihood in zip(grid.numpy(), found, strict=True):
        best = GaussianMixture(25, init_params="k-means++", n_init=8, random_state=0).fit(points)
        # A missed mode costs 0.03 and more.
        assert likelihood >= best.score(points) - 1e-3


def test_log_likelihood_is_that_of_scipy(grid):
    found = em.fit(grid, 25, range(6))
    for i in range(2):
        parts = (part[i].numpy() for part in found[:3])
        densities = [
            np.log(w) + multivariate_normal(m, s).logpdf(grid[i].numpy())
            for w, m, s in zip(*parts, strict=True)
        ]
        wanted = logsumexp(densities, axis=0).mean()
        assert em.log_likelihood(grid, found)[i] == pytest.approx(wanted, abs=1e-10)


def test_no_round_lowers_the_likelihood():
    # Four components for three, and duplicates and a line, where covariances meet the floor.
    line = np.repeat(np.linspace(0, 1, 60)[:, None], 2, axis=1)
    points = np.concatenate([blobs(440, seed=3)[0], line, np.repeat([[9.0, 9.0]], 100, axis=0)])
    sets = chains_of(points, blobs(600, seed=4)[0])
    steps = [
        em.log_likelihood(sets, em.fit(sets, 6, [0, 1], tolerance=-1, rounds=rounds))
        for rounds in range(40)
    ]
    steps = torch.stack(steps)
    assert (steps[-1] > steps[0] + 0.01).all()
    # The floor, 1e-10, leaves densities exact to about 1e-6.
    assert (steps.diff(dim=0) > -1e-6).all()


@pytest.mark.parametrize("d", [2, 3])
def test_known_parameters_are_found_again(d):
    points, weights, means, covariances = blobs(40_000, seed=11, d=d)
    found = em.fit(chains_of(points), 3, [0], tolerance=1e-7, rounds=500)
    order = [int((found.means[0] - torch.from_numpy(mean)).norm(dim=1).argmin()) for mean in means]
    assert sorted(order) == [0, 1, 2]
    # Standard errors of the smallest component are about 0.01, a few times that by the overlap.
    np.testing.assert_allclose(found.weights[0, order], weights, atol=0.03)
    np.testing.assert_allclose(found.means[0, order], means, atol=0.1)
    np.testing.assert_allclose(found.covariances[0, order], covariances, atol=0.2)


def modes_found(labels, grid):
    nearest = torch.cdist(grid, torch.from_numpy(MODES.copy())).argmin(2)
    found = []
    for own, near in zip(labels, nearest, strict=True):
        table = torch.zeros(25, 25)
        table.index_put_((own, near), torch.ones(len(own)), accumulate=True)
        found.append(len(set(table.argmax(1)[table.sum(1) > 0].tolist())))
    return np.array(found)


def test_many_candidates_find_every_mode_and_few_do_not(monkeypatch):
    grid = chains_of(*[modes(1000, seed=i, n_held_out=1).images for i in range(60)])
    found = modes_found(em.k_means_plus_plus(grid, 25, range(60)), grid)
    assert (found == 25).mean() >= 0.98
    monkeypatch.setattr(em, "CANDIDATES", 1)
    found = modes_found(em.k_means_plus_plus(grid, 25, range(60)), grid)
    assert (found == 25).mean() < 0.3


def test_the_start_is_that_of_k_means_plus_plus():
    # By hand, from the same uniform numbers, distances taken as differences.
    points = blobs(300, seed=8)[0]
    uniforms = em.generator(4, "mixture", "k-means++").random(1 + 5 * em.CANDIDATES)
    centres = [points[int(uniforms[0] * 300)]]
    for centre in range(1, 5):
        closest = ((points[:, None] - np.array(centres)) ** 2).sum(2).min(1)
        own = uniforms[1 + centre * em.CANDIDATES :][: em.CANDIDATES]
        tried = np.searchsorted(closest.cumsum(), own * closest.sum(), side="right")
        left = [np.minimum(closest, ((points - points[i]) ** 2).sum(1)).sum() for i in tried]
        centres.append(points[tried[np.argmin(left)]])
    wanted = ((points[:, None] - np.array(centres)) ** 2).sum(2).argmin(1)
    found = em.k_means_plus_plus(chains_of(points), 5, [4])[0]
    np.testing.assert_array_equal(found, wanted)


@pytest.fixture(params=[1, 2])
def threads(request):
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


@pytest.mark.parametrize(("n", "k"), [(2500, 25), (97, 7), (6, 3), (40_001, 2)])
def test_a_chain_does_not_depend_on_those_beside_it(n, k, threads):
    sets = chains_of(*[blobs(n, seed=20 + i)[0] for i in range(5)])
    together = em.fit(sets, k, range(5), tolerance=1e-4)
    if n == 2500:
        assert len(set(together.rounds.tolist())) > 1
    for i in range(5):
        alone = em.fit(sets[i : i + 1], k, [i], tolerance=1e-4)
        for one, many in zip(alone, together, strict=True):
            assert torch.equal(one[0], many[i])
    assert torch.get_num_threads() == threads


def test_another_seed_is_another_start(grid):
    first, second = (em.k_means_plus_plus(grid[:1], 25, [seed]) for seed in (0, 1))
    assert not torch.equal(first, second)


def test_points_stay_as_they_were(grid):
    before = grid.clone()
    em.fit(grid, 25, range(6), rounds=1)
    assert torch.equal(grid, before)


@pytest.mark.parametrize("k", [1, 5, 40])
def test_points_that_all_coincide(k):
    points = torch.full((2, 40, 2), 3.7, dtype=torch.float64)
    found = em.fit(points, k, [0, 1])
    assert found.weights.sort(descending=True).values.tolist() == [[1.0] + [0.0] * (k - 1)] * 2
    full = found.weights > 0
    np.testing.assert_allclose(found.means[full], 3.7, atol=1e-12)
    wanted = torch.full((2, 2), em.FLOOR, dtype=torch.float64).diag().diag()
    np.testing.assert_allclose(found.covariances[full][0], wanted, atol=1e-16)
    drawn = em.draw(found, *em.noise([5, 6], 100, 2))
    np.testing.assert_allclose(drawn, 3.7, atol=6 * np.sqrt(em.FLOOR))


def test_duplicates_and_lines_and_more_components_than_differ():
    rng = np.random.default_rng(0)
    duplicates = np.repeat(rng.standard_normal((4, 2)), 25, axis=0)
    line = np.linspace(-1, 1, 100)[:, None] * np.array([1.0, 2.0])
    lone = np.concatenate([rng.standard_normal((99, 2)), [[50.0, 0.0]]])
    found = em.fit(chains_of(duplicates, line, lone), 12, [0, 1, 2])
    for part in found[:3]:
        assert part.isfinite().all()
    np.testing.assert_allclose(found.weights.sum(1), 1, atol=1e-12)
    assert torch.linalg.eigvalsh(found.covariances).min() >= em.FLOOR * (1 - 1e-6)
    # Of duplicates each component takes one place whole; the rest stay empty.
    weights = found.weights[0].sort(descending=True).values
    np.testing.assert_allclose(weights, [0.25] * 4 + [0.0] * 8, atol=1e-12)
    # The distant point has a component to itself.
    assert (found.means[2] - torch.tensor([50.0, 0.0])).norm(dim=1).min() < 1e-9


def test_variances_above_the_floor_are_those_of_the_points():
    # A ridge of the floor's size in every fit would show here as 1 part in 25.
    points = np.random.default_rng(1).normal(2, 5e-5, (5000, 2))
    found = em.fit(chains_of(points), 1, [0])
    np.testing.assert_allclose(found.covariances[0, 0], np.cov(points.T, bias=True), rtol=1e-4)
    found = em.fit(chains_of(points), 1, [0], floor=1e-8)
    np.testing.assert_allclose(found.covariances[0, 0], 1e-8 * np.eye(2), atol=1e-15)


def test_components_as_many_as_points():
    points = np.random.default_rng(2).standard_normal((8, 2))
    found = em.fit(chains_of(points), 8, [0])
    np.testing.assert_allclose(np.sort(found.means[0], axis=0), np.sort(points, axis=0), atol=1e-9)


def test_where_the_origin_is_matters_little():
    points = blobs(500, seed=6)[0]
    near, far = (em.fit(chains_of(points + shift), 3, [0]) for shift in (0, 1e4))
    np.testing.assert_allclose(far.covariances, near.covariances, atol=1e-6)
    np.testing.assert_allclose(far.means - 1e4, near.means, atol=1e-6)


def test_draws_have_the_moments_of_the_mixture():
    _, weights, means, covariances = blobs(1, seed=12)
    fitted = em.Fitted(*(torch.from_numpy(a)[None] for a in (weights, means, covariances)), None)
    n = 200_000
    for bias in (1.0, 0.3):
        drawn = em.draw(fitted, *em.noise([3], n, 2), bias=bias)[0].numpy()
        spread = means - weights @ means
        wanted = bias * np.einsum("k,kij->ij", weights, covariances)
        wanted = wanted + np.einsum("k,ki,kj->ij", weights, spread, spread)
        # Five standard errors of means and covariances of 200,000 points, variances about 10.
        np.testing.assert_allclose(drawn.mean(0), weights @ means, atol=0.04)
        np.testing.assert_allclose(np.cov(drawn.T), wanted, atol=0.2)


def test_a_draw_depends_on_its_own_numbers_alone():
    fitted = em.fit(chains_of(blobs(300, 1)[0], blobs(300, 2)[0]), 4, [0, 1])
    uniforms, normals = em.noise([7, 8], 1001, 2)
    whole = em.draw(fitted, uniforms, normals, bias=0.7)
    few = em.draw(fitted, *em.noise([7, 8], 13, 2), bias=0.7)
    assert torch.equal(whole[:, :13], few)
    alone = em.Fitted(*(part[1:] for part in fitted))
    assert torch.equal(em.draw(alone, uniforms[1:], normals[1:], bias=0.7), whole[1:])


def test_empty_components_are_never_drawn():
    weights = torch.tensor([[0.0, 0.5, 0.0, 0.5, 0.0]], dtype=torch.float64)
    means = torch.arange(5, dtype=torch.float64)[None, :, None]
    fitted = em.Fitted(weights, means, torch.full((1, 5, 1, 1), 1e-10).double(), torch.zeros(1))
    edges = torch.tensor([[0.0, 0.25, 0.5, np.nextafter(1, 0)]], dtype=torch.float64)
    drawn = em.draw(fitted, edges, torch.zeros(1, 4, 1, dtype=torch.float64))
    assert drawn.flatten().tolist() == [1.0, 1.0, 3.0, 3.0]


GOOD = torch.zeros(2, 10, 2, dtype=torch.float64)


@pytest.mark.parametrize(
    ("points", "k", "seeds", "settings", "error", "message"),
    [
        (GOOD, 11, [0, 1], {}, ValueError, "10 points are too few for 11 components"),
        (GOOD, 0, [0, 1], {}, ValueError, "k is 0"),
        (GOOD, 1.5, [0, 1], {}, TypeError, "k must be a whole number"),
        (GOOD, 2, [0], {}, ValueError, "1 seeds are given for 2 chains"),
        (GOOD.float(), 2, [0, 1], {}, TypeError, "float64 tensor .*not torch.float32"),
        (GOOD[0], 2, [0, 1], {}, TypeError, r"shape \(10, 2\)"),
        (GOOD.numpy(), 2, [0, 1], {}, TypeError, "not ndarray"),
        (GOOD[:0], 2, [], {}, ValueError, "there must be a chain"),
        (GOOD / 0, 2, [0, 1], {}, ValueError, "NaN or infinite"),
        (GOOD, 2, [0, 1], {"floor": 0.0}, ValueError, "floor is 0.0"),
        (GOOD, 2, [0, 1], {"rounds": -1}, ValueError, "rounds is -1"),
    ],
)
def test_what_cannot_be_fitted_is_refused(points, k, seeds, settings, error, message):
    with pytest.raises(error, match=message):
        em.fit(points, k, seeds, **settings)
