"""What chains lose and how soon, in closed form."""

import math

import numpy as np
import pandas as pd
import pytest

from madlab.findings import failures
from madlab.findings.changes import COMPARED, halving, with_family
from madlab.tables import COLUMNS, table


def chain(recall, model="mixture", loop="fully synthetic", bias=1.0, seed=0, **other):
    """Records of one chain: recall as given, quality untouched, FD growing by 1 a generation."""
    rows = [
        {
            "generation": t, "loop": loop, "model": model, "bias": bias, "seed": seed,
            "n_real": 100 if t == 1 else 0, "n_synthetic": 0 if t == 1 else 100,
            "n_evaluate": 100, "features": "lenet-0", "fd": float(t), "precision": 0.9,
            "recall": value, "density": 0.5, "coverage": 0.5, "read": 0.99, "seconds": 1.0,
            "id": f"{model} {loop} {bias} {seed} {t}",
        }
        for t, value in enumerate(recall, start=1)
    ]  # fmt: skip
    return table(rows).assign(**other)


def of(records, score="recall"):
    found = failures(records)
    rows = found[found["score"] == score]
    assert len(rows) == 1
    return rows.iloc[0]


def test_a_loss_is_the_mean_over_seeds_with_its_standard_error():
    records = pd.concat([chain([0.8, r], seed=s) for s, r in enumerate([0.4, 0.2, 0.3])])
    found = of(records)
    lost = np.array([0.5, 0.75, 0.625])
    assert found["lost"] == pytest.approx(lost.mean())
    assert found["error"] == pytest.approx(lost.std(ddof=1) / math.sqrt(3))
    assert (found["seeds"], found["generations"], found["trend"]) == (3, 2, "falls")
    # Quality stays, the distance trebles: it has lost minus one of itself.
    assert of(records, "precision")[["lost", "trend"]].tolist() == [0, "holds"]
    assert of(records, "fd")[["lost", "trend"]].tolist() == [-1, "rises"]


@pytest.mark.parametrize(
    ("last", "trend"),
    [
        ([0.77, 0.77, 0.77], "holds"),  # 3.75% is sure but small
        ([0.75, 0.75, 0.75], "falls"),
        ([0.85, 0.85, 0.85], "rises"),
        # Losses 0.5, 0.25, 0: a mean of 0.25 with an error of 0.144, so 1.73 errors.
        ([0.4, 0.6, 0.8], "holds"),
        # Losses 0.5, 0.25, 0.0625: 0.271 with an error of 0.127, so 2.14 errors.
        ([0.4, 0.6, 0.75], "falls"),
    ],
)
def test_a_trend_is_over_five_percent_and_two_standard_errors(last, trend):
    records = pd.concat([chain([0.8, r], seed=s) for s, r in enumerate(last)])
    assert of(records)["trend"] == trend


def test_one_seed_has_a_loss_but_no_trend():
    found = of(chain([0.8, 0.1]))
    assert found["lost"] == pytest.approx(0.875)
    assert math.isnan(found["error"])
    assert found["trend"] == "one seed"


def test_halving_is_interpolated_between_generations():
    # 0.8, 0.5, 0.3: it passes 0.4 half way between generations 2 and 3.
    assert halving(pd.Series([0.8, 0.5, 0.3], index=[1, 2, 3])) == pytest.approx(1.5)
    assert halving(pd.Series([0.8, 0.4, 0.3], index=[1, 2, 3])) == 1
    # A gap is bridged: 0.8 at 1, 0.2 at 5, so 0.4 is two thirds of the way.
    assert halving(pd.Series([0.8, 0.2], index=[1, 5])) == pytest.approx(8 / 3)
    assert halving(pd.Series([0.8, 0.41], index=[1, 2])) == math.inf
    assert halving(pd.Series([0.8, math.nan, 0.4], index=[1, 2, 3]).dropna()) == 2


def test_a_geometric_fall_halves_where_the_logarithm_says_up_to_the_straight_lines():
    found = of(chain(0.9 * 0.8 ** np.arange(8)))
    # log 2 / log 1.25 = 3.106; a chord lies above a convex curve, by under 0.02 here.
    exact = math.log(2) / math.log(1.25)
    assert exact < found["halves"] < exact + 0.02


def test_the_median_of_halvings_minds_no_single_seed_that_does_not_halve():
    records = [chain([0.8, r, r], seed=s) for s, r in enumerate([0.4, 0.2, 0.7])]
    assert of(pd.concat(records))["halves"] == 1
    assert of(pd.concat([*records, chain([0.8, 0.7, 0.7], seed=3)]))["halves"] == math.inf


def test_kinds_are_told_apart_and_kept_in_order():
    records = pd.concat(
        [
            chain([0.8, 0.7], "gan"),
            chain([0.8, 0.6], "flow", bias=0.5),
            chain([0.8, 0.5], "flow", "fresh data"),
        ]
    )
    found = failures(records)
    kinds = found.drop_duplicates(["family", "loop", "bias"])
    assert kinds[["family", "loop", "bias"]].to_numpy().tolist() == [
        ["gan", "fully synthetic", 1.0],
        ["flow", "fully synthetic", 0.5],
        ["flow", "fresh data", 1.0],
    ]
    assert found["score"].tolist() == [*COMPARED] * 3


def test_a_family_is_the_model_unless_a_column_says_otherwise():
    records = pd.concat([chain([0.8, 0.4], f, family=f) for f in ("ddpm", "flow")])
    assert set(failures(records.assign(model="diffusion"))["family"]) == {"ddpm", "flow"}
    assert with_family(chain([0.8]))["family"].tolist() == ["mixture"]


def test_seeds_are_compared_up_to_the_last_generation_they_share():
    records = pd.concat([chain([0.8, 0.4, 0.1]), chain([0.8, 0.4], seed=1)])
    found = of(records)
    assert (found["generations"], found["lost"]) == (2, 0.5)


def test_what_is_not_defined_is_not_a_number_and_has_no_trend():
    two = pd.concat([chain([0.0, 0.0]), chain([0.8, 0.1], seed=1)])
    unread = chain([0.8, 0.1]).assign(read=np.nan)
    alone = pd.concat([chain([0.8]), chain([0.8], seed=1)])
    for found in (of(two), of(unread, "read"), of(alone)):
        assert math.isnan(found["lost"])
        assert math.isnan(found["halves"])
        assert found["trend"] == ""


def test_records_twice_count_once_and_none_give_an_empty_table():
    once = chain([0.8, 0.4])
    pd.testing.assert_frame_equal(failures(pd.concat([once, once])), failures(once))
    assert failures(pd.DataFrame(columns=COLUMNS)).empty


@pytest.mark.parametrize(
    ("records", "message"),
    [
        (chain([0.8, 0.4]).iloc[1:], "generation 1 of mixture, fully synthetic, bias 1, seed 0"),
        (
            chain([0.8, 0.6, 0.5, 0.3]).query("generation != 3"),
            "generation 3 of mixture.*, seed 0, is missing; give records of every generation",
        ),
        (
            pd.concat([chain([0.8, 0.4]), chain([0.8, 0.4]).assign(id=["a", "b"])]),
            "generation 1 of mixture.* more than once.*column 'family'",
        ),
        (
            pd.concat([chain([0.8, 0.4]), chain([0.8, 0.4], seed=1).assign(n_synthetic=7)]),
            "seeds of mixture.* differ in n_synthetic",
        ),
        (
            pd.concat([chain([0.8, 0.4]), chain([0.8, 0.4], seed=1).assign(features="other")]),
            "differ in features",
        ),
    ],
)
def test_records_that_do_not_fit_together_are_refused(records, message):
    with pytest.raises(ValueError, match=message):
        failures(records)
