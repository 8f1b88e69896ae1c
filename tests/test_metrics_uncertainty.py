"""The generation at which recall has halved."""

import math

import pandas as pd
import pytest

from madlab.metrics import halving_generation


def chain(recall, **other):
    about = {
        "loop": "fully synthetic",
        "model": "mixture",
        "bias": 1.0,
        "seed": 0,
        "n_evaluate": 100,
        "features": "lenet-0",
    }
    rows = range(1, len(recall) + 1)
    return pd.DataFrame({"generation": rows, "recall": recall, **{**about, **other}})


def test_every_chain_gets_its_own_generation():
    records = pd.concat(
        [
            chain([0.8, 0.6, 0.4, 0.1], seed=0),
            chain([0.8, 0.3, 0.5, 0.5], seed=1),
            chain([0.8, 0.8, 0.7, 0.41], bias=0.9),
        ]
    )
    found = halving_generation(records.sample(frac=1, random_state=0)).set_index(["bias", "seed"])
    assert found.loc[(1.0, 0), "halved"] == 3
    assert found.loc[(1.0, 1), "halved"] == 2
    assert math.isnan(found.loc[(0.9, 0), "halved"])
    assert len(found) == 3


def test_nothing_gives_an_empty_table():
    assert halving_generation(chain([])).empty


def test_records_without_a_start_are_refused():
    with pytest.raises(ValueError, match=r"generation 1 of the chain \(loop fully synthetic"):
        halving_generation(chain([0.8, 0.3]).iloc[1:])


def test_two_settings_at_once_are_refused():
    with pytest.raises(ValueError, match=r"generation 1 of the chain .* more than once"):
        halving_generation(pd.concat([chain([0.8, 0.3]), chain([0.7, 0.3])]))
