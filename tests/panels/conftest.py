"""A few digits, a store, and chains that have run on them."""

import pytest

from madlab import Chain, Loop, data
from madlab.data.samples import Dataset, Samples


@pytest.fixture(scope="session")
def digits():
    full = data.mnist()
    held_out = Samples(full.held_out.images[:100], full.held_out.labels[:100])
    return Dataset("mnist-of-panels", full.images[:1500], full.labels[:1500], held_out)


@pytest.fixture(scope="session")
def store(tmp_path_factory):
    return tmp_path_factory.mktemp("panels") / "store"


@pytest.fixture(scope="session")
def chains(digits, store):
    loops = [Loop.fully_synthetic(300), Loop.fresh_data(300, 300)]
    made = {
        loop.name: Chain(loop, "mixture", digits, store=store, n_evaluate=100) for loop in loops
    }
    for chain in made.values():
        list(chain.run(3))
    return made
