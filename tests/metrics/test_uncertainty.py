"""The spread of scores over subsets."""

import numpy as np
import pandas as pd
import pytest

from madlab import data
from madlab.data.samples import Samples
from madlab.metrics import (
    features,
    frechet_distance,
    neighbours,
    subsample_scores,
)
from madlab.streams import generator

# Subsampling.


REPEATS = 400


def points(n, *purpose, scale=1.0):
    return Samples(scale * generator(0, *purpose).standard_normal((n, 3)))


def drawn(sizes, repeats=100, n=4000, **settings):
    real, synthetic = points(n, "real"), points(n, "synthetic", scale=0.8)
    return subsample_scores(real, synthetic, sizes, repeats, features="points", **settings)


@pytest.fixture(scope="module")
def subsampled():
    return drawn([100, 200], repeats=REPEATS)


def test_subsets_are_scored_as_their_samples_would_be(subsampled):
    real, synthetic = points(4000, "real").images, points(4000, "synthetic", scale=0.8).images
    whole = drawn([4000], repeats=1).iloc[0]
    assert whole["fd"] == pytest.approx(frechet_distance(real, synthetic), rel=1e-9)
    expected = neighbours(real, synthetic)._asdict()
    assert whole[list(expected)].to_dict() == pytest.approx(expected)
    assert subsampled["read"].isna().all()
    assert set(subsampled["features"]) == {"points"}
    assert subsampled.groupby("n")["repeat"].apply(list).map(len).tolist() == [REPEATS] * 2


def test_the_spread_of_subsets_is_that_of_fresh_draws(subsampled):
    fresh = []
    for repeat in range(REPEATS):
        real = points(200, repeat, "fresh real").images
        synthetic = points(200, repeat, "fresh synthetic", scale=0.8).images
        fresh.append(
            {"fd": frechet_distance(real, synthetic), **neighbours(real, synthetic)._asdict()}
        )
    fresh = pd.DataFrame(fresh)
    own = subsampled[subsampled["n"] == 200][fresh.columns]
    # 400 draws know a standard deviation to 3.5%, so a ratio to 5%; subsets are 2.5% too narrow.
    ratio = own.std() / fresh.std()
    assert ratio.between(0.8, 1.2).all()
    # Means agree within 4 standard errors of their difference.
    error = np.hypot(own.std(), fresh.std()) / np.sqrt(REPEATS)
    assert ((own.mean() - fresh.mean()).abs() < 4 * error).all()


def test_the_frechet_distance_of_small_sets_is_as_biased_as_theory_says():
    """N(0, I_d) against itself: about 2 d / n for the means, (d^2 + d) / 2n for the covariances."""
    real, synthetic = points(4000, "one"), points(4000, "other")
    found = subsample_scores(real, synthetic, [50, 400], 200, features="points")
    means = found.groupby("n")["fd"].mean()
    for n in (50, 400):
        # Second order in 1/n, and a standard error of 4%.
        assert means[n] == pytest.approx((2 * 3 + 6) / n, rel=0.15)


def test_the_spread_of_the_read_share_is_hypergeometric():
    digits = data.mnist().held_out
    some = Samples(digits.images[:600], digits.labels[:600])
    damaged = data.damage.noise(some, 0.5)
    found = subsample_scores(some, damaged, [300], 200)["read"]
    share = (features.read(damaged.images) == damaged.labels).mean()
    assert 0.3 < share < 0.7
    expected = np.sqrt(share * (1 - share) / 300 * (600 - 300) / (600 - 1))
    # Within 4 standard errors, of a mean and of a standard deviation of 200 draws.
    assert found.mean() == pytest.approx(share, abs=4 * expected / np.sqrt(200))
    assert found.std() == pytest.approx(expected, rel=4 / np.sqrt(400))


def test_draws_depend_on_the_seed_and_on_their_size_alone(subsampled):
    again = drawn([200], repeats=3)
    first = subsampled[(subsampled["n"] == 200) & (subsampled["repeat"] < 3)]
    pd.testing.assert_frame_equal(again, first.reset_index(drop=True))
    assert (drawn([200], repeats=3, seed=1)["fd"] != again["fd"]).all()


@pytest.mark.parametrize(
    ("sizes", "repeats"), [([], 1), ([100, 5], 1), ([100, 4001], 1), ([100], 0)]
)
def test_sizes_that_do_not_fit_are_refused(sizes, repeats):
    with pytest.raises(ValueError, match=r"more than k = 5 and at most 4000"):
        drawn(sizes, repeats)
