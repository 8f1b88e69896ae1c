"""Sufficient statistics against drawing every point, and against what is known exactly."""

import numpy as np
import pytest
import torch
from scipy import stats

import madlab as ml
from madlab.loops import Loop
from madlab.theory import expected_mean_square, expected_variance, median_variance, simulate
from madlab.theory import simulation as module
from madlab.theory.simulation import follow

# (loop, d, generations, bias): every kind of loop, more and fewer points than dimensions.
CASES = {
    "synthetic, d = 1": (Loop.fully_synthetic(8), 1, 4, 1.0),
    "synthetic, other first size": (Loop.fully_synthetic(12, n_initial=5), 3, 3, 0.8),
    "synthetic, fewer points than dimensions": (Loop.fully_synthetic(3), 4, 3, 1.0),
    "augmentation": (Loop.synthetic_augmentation(6, 9), 3, 4, 0.7),
    "augmentation, few fixed": (Loop.synthetic_augmentation(4, 9, n_initial=10), 2, 3, 1.0),
    "augmentation, many fixed": (Loop.synthetic_augmentation(12, 6, n_initial=5), 2, 3, 1.0),
    "accumulating": (Loop.synthetic_augmentation(5, 6, accumulate=True), 2, 5, 1.0),
    "fresh": (Loop.fresh_data(5, 20), 3, 5, 1.0),
    "fresh, biased": (Loop.fresh_data(10, 10, n_initial=30), 5, 3, 0.5),
    "fresh, memory": (Loop.fresh_data(4, 11, memory=3), 2, 6, 0.9),
    "all generations": (Loop("fixed", 6, 6, 10, memory=None), 2, 5, 1.0),
}
# Each case is compared for this many seeds, on both statistics; p-values are combined.
SEEDS = 6
CHAINS = 400
LEVEL = 1e-4


def w2_squared(means: np.ndarray, covariances: np.ndarray) -> np.ndarray:
    variances = np.linalg.eigvalsh(covariances).clip(0)
    return (means**2).sum(-1) + ((1 - np.sqrt(variances)) ** 2).sum(-1)


def draw_every_point(
    loop: Loop, d: int, generations: int, bias: float, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return W2 squared and trace of the last generation, of chains that draw all their points."""
    rng = np.random.default_rng(seed)
    pool = rng.standard_normal((CHAINS, loop.needs(generations), d))
    models: dict[int, tuple[np.ndarray, np.ndarray]] = {}
    kept: dict[int, np.ndarray] = {}
    for t in range(1, generations + 1):
        recipe = loop.compose(t)
        parts = [] if recipe.real is None else [pool[:, slice(*recipe.real)]]
        for share in recipe.synthetic:
            if share.generation not in kept or loop.budget == "fixed":
                mean, covariance = models[share.generation]
                variances, axes = np.linalg.eigh(bias * covariance)
                spread = axes * np.sqrt(variances.clip(0))[:, None, :]
                noise = rng.standard_normal((CHAINS, share.n, d))
                kept[share.generation] = mean[:, None] + noise @ spread.swapaxes(1, 2)
            parts.append(kept[share.generation])
        points = np.concatenate(parts, 1)
        mean = points.mean(1)
        apart = points - mean[:, None]
        models[t] = mean, apart.swapaxes(1, 2) @ apart / (points.shape[1] - 1)
    means, covariances = models[generations]
    return w2_squared(means, covariances), np.trace(covariances, axis1=1, axis2=2)


def p_value(case: str) -> float:
    """Return the smaller of the p-values of W2 squared and of the trace, over all seeds."""
    loop, d, generations, bias = CASES[case]
    found: list[list[float]] = [[], []]
    for seed in range(SEEDS):
        run = simulate(loop, d, generations, CHAINS, bias, seed, at=[generations])
        drawn = draw_every_point(loop, d, generations, bias, seed)
        for values, ours, theirs in zip(found, (run.w2, run.traces), drawn, strict=True):
            values.append(stats.ks_2samp(ours[:, 0], theirs).pvalue)
    return min(stats.combine_pvalues(values).pvalue for values in found)


@pytest.mark.parametrize("case", CASES)
def test_has_the_distribution_of_drawing_every_point(case):
    assert p_value(case) > LEVEL


def one_degree_too_many(monkeypatch):
    right = module._Noise.bartlett
    monkeypatch.setattr(
        module._Noise, "bartlett", lambda noise, d, freedom: right(noise, d, freedom + 1)
    )


def no_scatter_between_sets(monkeypatch):
    right = module._pool

    def wrong(parts):
        pooled = right(parts)
        if len(parts) == 1:
            return pooled
        return pooled._replace(root=pooled.root[..., : -len(parts)])

    monkeypatch.setattr(module, "_pool", wrong)


def no_walk_of_the_mean(monkeypatch):
    right = module._sample

    def wrong(noise, n, source=None):
        drawn = right(noise, n, source)
        return drawn if source is None else drawn._replace(mean=source.mean)

    monkeypatch.setattr(module, "_sample", wrong)


def deviations_scaled_by_bias(monkeypatch):
    right = module.follow
    monkeypatch.setattr(
        module,
        "follow",
        lambda loop, d, chains, bias, *more: right(loop, d, chains, bias**2, *more),
    )


BREAKS = {
    one_degree_too_many: "synthetic, d = 1",
    no_scatter_between_sets: "fresh, memory",
    no_walk_of_the_mean: "synthetic, d = 1",
    deviations_scaled_by_bias: "fresh, biased",
}


@pytest.mark.parametrize("break_it", BREAKS, ids=lambda broken: broken.__name__)
def test_the_comparison_finds_what_is_broken(break_it, monkeypatch):
    break_it(monkeypatch)
    assert p_value(BREAKS[break_it]) < LEVEL / 100


def test_agrees_with_chains_of_the_gaussian_model():
    loop, d, generations, bias = Loop.fresh_data(5, 15), 2, 3, 0.8
    data = ml.data.gaussian(d, n=2_000, seed=5)
    found = []
    for seed in range(150):
        chain = ml.Chain(loop, "gaussian", data, bias=bias, seed=seed, n_evaluate=10)
        list(chain.run(generations))
        fitted = chain.model.fitted
        found.append(w2_squared(fitted["mean"], fitted["covariance"]))
    run = simulate(loop, d, generations, 20_000, bias, at=[generations], covariances=False)
    assert stats.ks_2samp(found, run.w2[:, 0]).pvalue > 1e-3


@pytest.mark.parametrize("bias", [1.0, 0.8])
def test_moments_of_the_fully_synthetic_loop_are_the_closed_forms(bias):
    d, n, chains, generations = 5, 20, 20_000, 8
    run = simulate(Loop.fully_synthetic(n), d, generations, chains, bias, seed=2)
    t = run.generations
    for found, expected in (
        (run.traces, d * expected_variance(t, bias)),
        ((run.means**2).sum(-1), expected_mean_square(t, d, n, bias=bias)),
    ):
        error = found.std(0) / np.sqrt(chains)
        assert (abs(found.mean(0) - expected) < 3 * error).all()


def test_the_median_decays_where_the_mean_stays():
    n, chains = 100, 20_000
    run = simulate(Loop.fully_synthetic(n), 1, 100, chains, seed=1, at=[10, 50, 100])
    expected = median_variance(run.generations, n)
    # The median of 20,000 numbers is good to 1.25 / sqrt(20,000) standard deviations of a log.
    spread = np.log(run.traces).std(0) * 1.25 / np.sqrt(chains)
    assert (abs(np.log(np.median(run.traces, 0) / expected)) < 4 * spread + 0.01).all()
    assert run.traces.mean(0) == pytest.approx(1, abs=0.05)
    # The table of paper.md: E mu^2 = t / n, E W2^2 = 1.42 at t = 100.
    assert (run.means[:, 2, 0] ** 2).mean() == pytest.approx(1.0, rel=0.06)
    assert run.w2[:, 2].mean() == pytest.approx(1.42, rel=0.06)


def test_records_what_is_asked_for_and_nothing_depends_on_it():
    loop = Loop.fresh_data(10, 20)
    whole = simulate(loop, 3, 6, 4, seed=9)
    assert whole.means.shape == (4, 6, 3)
    assert whole.covariances.shape == (4, 6, 3, 3)
    assert whole.w2.shape == whole.traces.shape == (4, 6)
    assert {part.dtype for part in whole[:4]} == {np.dtype(np.float64)}
    some = simulate(loop, 3, 6, 4, seed=9, at=[2, 6], covariances=False)
    assert some.covariances is None
    assert some.generations.tolist() == [2, 6]
    for name in ("means", "w2", "traces"):
        np.testing.assert_array_equal(getattr(some, name), getattr(whole, name)[:, [1, 5]])
    np.testing.assert_allclose(whole.w2, w2_squared(whole.means, whole.covariances), atol=1e-12)
    np.testing.assert_allclose(
        whole.traces, np.trace(whole.covariances, axis1=2, axis2=3), rtol=1e-13
    )
    assert not np.array_equal(simulate(loop, 3, 6, 4, seed=8).w2, whole.w2)


def test_progress_is_told_and_may_stop_the_run():
    told: list[float] = []
    simulate(Loop.fully_synthetic(5), 1, 4, 2, progress=told.append)
    assert told == [0.25, 0.5, 0.75, 1.0]

    def stop(fraction: float) -> None:
        raise KeyboardInterrupt

    for chains in (2, 3_000):
        with pytest.raises(KeyboardInterrupt):
            simulate(Loop.fully_synthetic(50), 30, 4, chains, progress=stop, covariances=False)


def test_threads_change_no_bit_and_are_left_as_they_were():
    before = torch.get_num_threads()
    found = []
    try:
        for threads in (1, 3):
            torch.set_num_threads(threads)
            # 200 chains in 60 dimensions are six blocks.
            found.append(simulate(Loop.fresh_data(80, 90), 60, 3, 200, seed=2, covariances=False))
            assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)
    np.testing.assert_array_equal(found[0].w2, found[1].w2)
    # Blocks have streams of their own: no chain is another's copy.
    assert len(np.unique(found[0].w2[:, -1])) == 200


@pytest.mark.parametrize(
    ("loop", "d", "bias"),
    [
        (Loop.fully_synthetic(2), 1, 1.0),
        (Loop.fully_synthetic(2), 3, 0.5),
        (Loop.fully_synthetic(3), 5, 1.0),
        (Loop.fully_synthetic(4), 2, 1e-6),
        (Loop.synthetic_augmentation(1, 1, n_initial=2), 2, 1.0),
        (Loop.fresh_data(1, 1, n_initial=2), 4, 1.0),
        (Loop.fresh_data(1, 1, n_initial=2), 1, 1e-9),
    ],
)
def test_vanished_covariances_are_zero_and_never_nan(loop, d, bias):
    run = simulate(loop, d, 800, 20, bias, seed=3)
    for part in run[:4]:
        assert np.isfinite(part).all()
    assert (run.traces >= 0).all()
    assert (run.w2 >= 0).all()
    if loop.real == "none":
        assert (run.traces[:, -1] < 1e-30).all()
        # The distance to N(0, I) of one point: |mu|^2 + d.
        walked = (run.means[:, -1] ** 2).sum(-1)
        np.testing.assert_allclose(run.w2[:, -1], walked + d, rtol=1e-12)


def test_accumulating_keeps_what_it_drew():
    # The first generation's samples never change, so their mean stays in every later pool.
    loop = Loop.synthetic_augmentation(2, 1_000, n_initial=2, accumulate=True)
    means = simulate(loop, 1, 4, 2_000, seed=1).means[..., 0]
    # Two independent halves of a pool would be half as dependent on each other.
    assert np.corrcoef(means[:, 1], means[:, 2])[0, 1] > 0.98


def test_bad_sizes_are_refused_before_any_work():
    loop = Loop.fully_synthetic(10)
    with pytest.raises(
        ValueError, match=r"generation 1 of this loop trains on 1 point.*at least 2"
    ):
        simulate(Loop.fully_synthetic(10, n_initial=1), 2, 3)
    with pytest.raises(ValueError, match="generation 2 of this loop trains on 1 point"):
        simulate(Loop.fully_synthetic(1, n_initial=10), 2, 3)
    with pytest.raises(ValueError, match="n_real is 0; it must be at least 1"):
        Loop.fresh_data(0, 10)
    with pytest.raises(ValueError, match="d is 0; it must be at least 1"):
        simulate(loop, 0, 3)
    with pytest.raises(TypeError, match="d must be a whole number"):
        simulate(loop, 1.5, 3)
    for bias in (0, -1, 1.1, float("nan")):
        with pytest.raises(ValueError, match=r"it must lie in \(0, 1\]"):
            simulate(loop, 2, 3, bias=bias)
    for name in ("generations", "chains"):
        with pytest.raises(ValueError, match=f"{name} is 0"):
            simulate(loop, 2, **{"generations": 3, "chains": 2, name: 0})
    with pytest.raises(ValueError, match="seed is -1"):
        simulate(loop, 2, 3, seed=-1)
    for at in ([], [2, 2], [3, 1], [4]):
        with pytest.raises(ValueError, match="give rising generations from 1 to 3"):
            simulate(loop, 2, 3, at=at)
    for at in ([1.5], np.linspace(1, 3, 4), [float("nan")]):
        with pytest.raises(TypeError, match="at must be a whole number"):
            simulate(loop, 2, 3, at=at)
    with pytest.raises(ValueError, match=r"GiB of results.*covariances=False"):
        simulate(loop, 1_000, 1_000)
    with pytest.raises(TypeError, match="must be a Loop"):
        simulate("fresh", 2, 3)
    with pytest.raises(ValueError, match="no device is named 'gpu'"):
        simulate(loop, 2, 3, device="gpu")


def test_the_cost_does_not_depend_on_n():
    # No array has a side of n: a trillion points would need 8 terabytes.
    run = simulate(Loop.fresh_data(10**12, 10**12), 2, 5, 10, seed=1)
    assert run.w2.max() < 1e-10


def test_products_of_triangles_are_products():
    generator = torch.Generator().manual_seed(0)

    def draw(*size: int) -> torch.Tensor:
        return torch.randn(2, *size, generator=generator, dtype=torch.float64)

    for d, k, columns in ((1, 1, 1), (2, 2, 1), (60, 60, 60), (60, 60, 20), (30, 26, 26)):
        left, right = draw(d, k).tril(), draw(k, columns).tril()
        torch.testing.assert_close(module._product(left, right.clone()), left @ right)
    for d, k in ((1, 3), (60, 130), (26, 4)):
        root = draw(d, k)
        torch.testing.assert_close(module._lower_gram(root).tril(), (root @ root.mT).tril())


@pytest.mark.parametrize("chains", [1, 2, 5])
def test_chains_that_share_squares_of_numbers_share_no_number(chains):
    drawn = module._Noise(chains, 4, 0, torch.device("cpu")).bartlett(4, 10)
    below = drawn[:, *torch.tril_indices(4, 4, -1)].flatten()
    assert len(torch.unique(below)) == 6 * chains
    assert torch.equal(drawn, drawn.tril())


def test_the_roots_stay_triangles():
    for loop in (Loop.fully_synthetic(3), Loop.fresh_data(2, 2), Loop.fresh_data(9, 9)):
        for _, fitted in zip(range(6), follow(loop, 4, 5), strict=False):
            assert torch.equal(fitted.root, fitted.root.tril())
