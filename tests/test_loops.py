import pytest

from madlab.loops import Composition, Loop, Share


def test_fully_synthetic_trains_on_the_last_generation_alone():
    loop = Loop.fully_synthetic(500)
    assert loop.compose(1) == Composition((0, 500))
    assert loop.compose(2) == Composition(None, (Share(1, 500),))
    assert loop.compose(7) == Composition(None, (Share(6, 500),))
    assert loop.needs(100) == 500
    assert Loop.fully_synthetic(500, n_initial=900).compose(1).n_real == 900


def test_augmentation_keeps_the_same_real_data():
    loop = Loop.synthetic_augmentation(300, 700)
    assert loop.compose(1) == Composition((0, 300))
    assert loop.compose(2) == loop.compose(2) == Composition((0, 300), (Share(1, 700),))
    assert loop.compose(5).real == (0, 300)
    assert loop.needs(100) == 300
    assert Loop.synthetic_augmentation(300, 700, n_initial=1000).needs(5) == 1000


def test_accumulating_augmentation_keeps_every_generation():
    recipe = Loop.synthetic_augmentation(300, 700, accumulate=True).compose(4)
    assert recipe.synthetic == (Share(1, 700), Share(2, 700), Share(3, 700))
    assert (recipe.n_real, recipe.n_synthetic) == (300, 2100)


def test_fresh_data_are_consecutive_blocks_and_never_reused():
    loop = Loop.fresh_data(200, 400, n_initial=1000)
    blocks = [loop.compose(t).real for t in range(1, 6)]
    assert blocks == [(0, 1000), (1000, 1200), (1200, 1400), (1400, 1600), (1600, 1800)]
    assert loop.needs(5) == 1800
    assert Loop.fresh_data(200, 400).n_initial == 200


def test_memory_spreads_a_fixed_budget_over_the_last_generations():
    loop = Loop.fresh_data(100, 1000, memory=3)
    assert loop.compose(2).synthetic == (Share(1, 1000),)
    assert loop.compose(3).synthetic == (Share(1, 500), Share(2, 500))
    assert loop.compose(6).synthetic == (Share(3, 333), Share(4, 333), Share(5, 334))
    everything = Loop("fixed", 10, 10, 3, memory=None).compose(6)
    assert everything.synthetic == (Share(3, 1), Share(4, 1), Share(5, 1))


def test_names_tell_loops_apart():
    loops = [
        Loop.fully_synthetic(10),
        Loop.synthetic_augmentation(10, 10),
        Loop.synthetic_augmentation(10, 10, accumulate=True),
        Loop.fresh_data(10, 10),
        Loop.fresh_data(10, 10, memory=4),
        Loop.fresh_data(10, 10, memory=None),
    ]
    assert len({loop.name for loop in loops}) == len(loops)
    assert "10 real (new each time)" in loops[3].describe()


@pytest.mark.parametrize("size", [0, -5])
def test_sizes_must_be_positive(size):
    for make in (
        lambda: Loop.fully_synthetic(size),
        lambda: Loop.fully_synthetic(10, n_initial=size),
        lambda: Loop.synthetic_augmentation(size, 10),
        lambda: Loop.fresh_data(10, size),
        lambda: Loop.fresh_data(10, 10, memory=size),
    ):
        with pytest.raises(ValueError, match=f"is {size}; it must be at least 1"):
            make()


def test_sizes_must_be_whole_numbers():
    for size in (2.5, "10", True):
        with pytest.raises(TypeError, match="whole number"):
            Loop.fully_synthetic(size)


def test_unknown_policies_are_refused():
    with pytest.raises(ValueError, match="'sometimes'"):
        Loop("sometimes", 1, 1, 1)
    with pytest.raises(ValueError, match="'huge'"):
        Loop("fresh", 1, 1, 1, budget="huge")
    with pytest.raises(ValueError, match="without real data needs 0"):
        Loop("none", 1, 1, 1)
    with pytest.raises(ValueError, match="generation is 0"):
        Loop.fully_synthetic(5).compose(0)
