"""A few digits and colour pictures, and chains that have run on them."""

import numpy as np
import pytest

from madlab import Chain, Loop, data
from madlab.data.samples import Dataset, Samples
from madlab.models.principal import Principal


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


class Following(Principal):
    """A model whose equal noise is said to give corresponding pictures."""

    follows_noise = True


def blobs(n, seed, colours=(40, 200)):
    """Smooth pictures in colour, unlike each other."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(*colours, (n, 4, 4, 3)).repeat(4, 1).repeat(4, 2)
    return (coarse + rng.integers(-8, 9, coarse.shape)).astype(np.uint8)


@pytest.fixture(scope="session")
def pictures():
    # Real held-out pictures are magenta, as no other picture is.
    held_out = blobs(40, 1)
    held_out[..., [0, 2]], held_out[..., 1] = 255 - held_out[..., [0, 2]] // 16, 0
    return Dataset("blobs-of-panels", blobs(60, 0), None, Samples(held_out))


@pytest.fixture(scope="session")
def faces(pictures, tmp_path_factory):
    """Chains in colour."""
    store = tmp_path_factory.mktemp("faces") / "store"
    loop, made = Loop.fully_synthetic(60), {}
    for name, model, bias, generations in (
        ("ψ = 1", Principal(8), 1.0, 3),
        ("ψ = 0.5", Principal(8), 0.5, 2),
        ("follows", Following(8), 1.0, 3),
    ):
        chain = Chain(loop, model, pictures, bias=bias, store=store, n_evaluate=60, features="pca")
        list(chain.run(generations))
        made[name] = chain
    return made
