"""Loops on the 25-mode grid against `Chain`, and neutral drift against exact expectations."""

import numpy as np
import pandas as pd
import pytest

from madlab.chain import Chain
from madlab.data import gaussian, modes
from madlab.data.toy import MODES
from madlab.loops import Loop
from madlab.models import create
from madlab.streams import derive
from madlab.theory.modes import (
    follow_modes,
    heterozygosity,
    mode_statistics,
    simulate_modes,
    wright_fisher,
)

SHARES = np.full(25, 1 / 25)


@pytest.fixture(scope="module")
def grid():
    return modes(1500, n_held_out=300)


LOOPS = {
    "fully synthetic": Loop.fully_synthetic(200, n_initial=300),
    "augmentation": Loop.synthetic_augmentation(150, 60, n_initial=100),
    "accumulating": Loop.synthetic_augmentation(100, 40, accumulate=True),
    "fresh": Loop.fresh_data(100, 80),
    "memory": Loop.fresh_data(100, 81, n_initial=150, memory=2),
    "all": Loop.fresh_data(60, 50, memory=None),
}


@pytest.mark.parametrize("name", LOOPS)
def test_every_chain_is_that_of_chain(grid, name):
    loop = LOOPS[name]
    run = simulate_modes(loop, 4, 2, 0.9, 5, keep=[3, 4], n_evaluate=200, data=grid)
    for i in range(2):
        model = create("mixture", components=25)
        seed = derive(5, "chain", i)
        chain = Chain(loop, model, grid, bias=0.9, seed=seed, n_evaluate=200)
        for generation in chain.run(4):
            if generation.t > 2:
                found = run.samples[generation.t][i]
                np.testing.assert_array_equal(found, generation.samples.images)
        own = run.records[run.records["chain"] == i]
        assert len(set(own) & set(chain.records())) == 9
        for column in set(own) & set(chain.records()):
            assert own[column].tolist() == chain.records()[column].tolist()


def test_runs_do_not_depend_on_what_else_is_run_or_recorded(grid):
    loop = Loop.fully_synthetic(200)
    full = simulate_modes(loop, 6, 3, n_evaluate=100, data=grid, keep=[6])
    assert full.generations.tolist() == [1, 2, 3, 4, 5, 6]
    assert full.shares.shape == (3, 6, 25)
    some = simulate_modes(loop, 7, 2, n_evaluate=100, data=grid, every=3, keep=[2])
    assert some.generations.tolist() == [1, 2, 3, 6, 7]
    assert list(some.samples) == [2]
    both = full.records.merge(some.records, on=["chain", "generation"])
    assert len(both) == 2 * 4
    np.testing.assert_array_equal(both["recall_x"], both["recall_y"])
    np.testing.assert_array_equal(full.shares[:2, [0, 1, 2, 5]], some.shares[:, :4])
    again = simulate_modes(loop, 6, 3, n_evaluate=100, data=grid, seed=1)
    assert not np.array_equal(again.shares, full.shares)
    # Chains differ from each other, in real data too.
    assert not np.array_equal(full.shares[0, 0], full.shares[1, 0])


def test_records_say_what_the_samples_show(grid):
    run = simulate_modes(Loop.fully_synthetic(300), 3, 2, n_evaluate=120, data=grid, keep=[1, 2, 3])
    assert run.records.groupby(["chain", "generation"]).size().tolist() == [1] * 6
    for row in run.records.itertuples():
        points = run.samples[row.generation][row.chain]
        found = mode_statistics(points)
        assert (row.total_variance, row.modal_variance, row.alive) == (
            found.total_variance,
            found.modal_variance,
            found.alive,
        )
        np.testing.assert_array_equal(run.shares[row.chain, row.generation - 1], found.shares)


def test_statistics_are_those_of_pandas():
    rng = np.random.default_rng(0)
    points = MODES[rng.choice(25, 400, p=rng.dirichlet(np.full(25, 0.2)))]
    points = points + 0.2 * rng.standard_normal((400, 2)) * rng.random((400, 1))
    points[0] = [7.0, 7.0]
    found = mode_statistics(points)
    frame = pd.DataFrame(points)
    frame["mode"] = [np.linalg.norm(MODES - point, axis=1).argmin() for point in points]
    counts = frame["mode"].value_counts()
    assert found.alive == (counts >= 2).sum() < 25
    np.testing.assert_allclose(found.shares, counts.reindex(range(25), fill_value=0) / 400)
    within = frame.groupby("mode")[[0, 1]].var().sum(axis=1, skipna=False).dropna()
    assert len(within) == found.alive
    assert found.modal_variance == pytest.approx(within.mean(), rel=1e-12)
    assert found.total_variance == pytest.approx(np.trace(np.cov(points.T)), rel=1e-12)


def test_statistics_of_a_collapsed_set_are_exact():
    spread = 1e-9 * np.random.default_rng(0).standard_normal((500, 2))
    found = mode_statistics(np.array([1.0, -2.0]) + spread)
    # Points near 2 are known to 2e-16, a four-millionth of their spread.
    assert found.modal_variance == pytest.approx(np.trace(np.cov(spread.T)), rel=1e-5)
    assert found.alive == 1
    lonely = mode_statistics(MODES[:2])
    assert lonely.alive == 0
    assert np.isnan(lonely.modal_variance)


def test_the_real_data_have_the_variances_of_the_grid():
    found = mode_statistics(modes(100_000, n_held_out=1).images)
    assert found.alive == 25
    # Standard errors: 0.02 sqrt(1 / 100,000), and about 0.01 for the total.
    assert found.modal_variance == pytest.approx(0.02, abs=4e-4)
    assert found.total_variance == pytest.approx(4.02, abs=0.05)


def test_a_single_generation_of_the_mixture_drifts_as_alleles_do():
    # With 500 points and one refit, shares are resampled twice: real data, then samples.
    run = simulate_modes(Loop.fully_synthetic(500), 1, 120, n_evaluate=500, data=modes(20_000))
    found = 1 - (run.shares[:, 0] ** 2).sum(axis=1)
    wanted = heterozygosity(2, 500, SHARES)
    error = found.std(ddof=1) / np.sqrt(len(found))
    # Two resamplings cost 0.0038; one, or three, would be nine errors away at the least.
    assert error < 2e-4
    assert found.mean() == pytest.approx(wanted, abs=4 * error)


def test_modes_die_about_as_fast_as_alleles():
    run = simulate_modes(Loop.fully_synthetic(400), 40, 12, n_evaluate=400, every=40)
    alive = run.records.loc[run.records["generation"] == 40, "alive"]
    drift = (wright_fisher(SHARES, 400, 41, 2_000)[:, -1] * 400 >= 2).sum(axis=1)
    error = np.sqrt(alive.var() / len(alive) + drift.var() / len(drift))
    # Components that span two modes add noise that drift has not: two modes more or less.
    assert alive.mean() == pytest.approx(drift.mean(), abs=2 + 4 * error)
    assert alive.mean() < 20


def test_drift_keeps_means_and_loses_heterozygosity_as_the_closed_form_says():
    start = np.array([0.5, 0.3, 0.15, 0.05])
    found = wright_fisher(start, 30, 25, chains=40_000)
    assert found.shape == (40_000, 26, 4)
    np.testing.assert_array_equal(found[:, 0], np.broadcast_to(start, (40_000, 4)))
    np.testing.assert_allclose(found.sum(axis=2), 1, atol=1e-12)
    np.testing.assert_array_equal(found[:, 1:] * 30, np.rint(found[:, 1:] * 30))
    for step in (0, 1, 5, 25):
        lost = 1 - (found[:, step] ** 2).sum(axis=1)
        error = lost.std() / 200
        assert lost.mean() == pytest.approx(heterozygosity(step, 30, start), abs=4 * error + 1e-12)
        # Var p = p (1 - p) (1 - (1 - 1/n)^t).
        spread = start * (1 - start) * (1 - (1 - 1 / 30) ** step)
        np.testing.assert_allclose(found[:, step].mean(axis=0), start, atol=0.01)
        np.testing.assert_allclose(found[:, step].var(axis=0), spread, rtol=0.05, atol=1e-9)
    assert (found[:, -1] == 0).any()
    # What is lost never comes back.
    assert (found[:, 1:][found[:, :-1] == 0] == 0).all()


def test_drift_is_named_by_its_seed():
    same = [wright_fisher(SHARES, 100, 3, 5, seed) for seed in (0, 0, 1)]
    np.testing.assert_array_equal(same[0], same[1])
    assert not np.array_equal(same[0], same[2])


def test_progress_counts_generations_and_can_stop(grid):
    seen = []
    loop = Loop.fully_synthetic(100)
    simulate_modes(loop, 4, 1, n_evaluate=50, data=grid, every=10, progress=seen.append)
    assert seen == [0.25, 0.5, 0.75, 1.0]

    def stop(fraction):
        if fraction > 0.01:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        simulate_modes(loop, 1000, 1, n_evaluate=50, data=grid, progress=stop)


LOOP = Loop.fully_synthetic(200)


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ({"loop": "fresh"}, TypeError, "must be a Loop"),
        ({"generations": 0}, ValueError, "generations is 0"),
        ({"chains": 0}, ValueError, "chains is 0"),
        ({"bias": 0.0}, ValueError, "bias is 0.0"),
        ({"seed": -1}, ValueError, "seed is -1"),
        ({"every": 0}, ValueError, "every is 0"),
        ({"keep": [3, 9]}, ValueError, r"keep holds \[9\]; there are generations 1 to 5"),
        ({"n_evaluate": 25}, ValueError, "n_evaluate is 25"),
        ({"components": 0}, ValueError, "components is 0"),
        (
            {"loop": Loop.fully_synthetic(24)},
            ValueError,
            "24 points; a mixture of 25 .* at least 25",
        ),
        ({"loop": Loop.fully_synthetic(24, 100)}, ValueError, "generation 2 .* trains on 24"),
        ({"loop": Loop.fresh_data(400, 9)}, ValueError, "need 2,000 real points.*modes.2000"),
        ({"data": gaussian(3, 100, n_held_out=300)}, ValueError, "lie in the plane"),
        ({"device": "abacus"}, ValueError, "abacus"),
    ],
)
def test_what_cannot_work_is_refused(grid, given, error, message):
    settings = {"loop": LOOP, "generations": 5, "chains": 2, "n_evaluate": 100, "data": grid}
    with pytest.raises(error, match=message):
        simulate_modes(**{**settings, **given})


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"shares": [0.5, 0.4]}, "sum 0.9"),
        ({"shares": [1.5, -0.5]}, "not negative"),
        ({"shares": [[1.0]]}, "shape"),
        ({"n": 0}, "n is 0"),
        ({"resamplings": -1}, "resamplings is -1"),
    ],
)
@pytest.mark.parametrize("function", [wright_fisher, heterozygosity])
def test_wrong_shares_are_refused(function, given, message):
    with pytest.raises(ValueError, match=message):
        function(**{"shares": np.array([0.5, 0.5]), "n": 10, "resamplings": 2, **given})


def test_models_can_be_followed_one_by_one(grid):
    found = follow_modes(LOOP, 3, 2, data=grid)
    first = next(found)
    assert first.means.shape == (2, 25, 2)
    assert len(list(found)) == 2
