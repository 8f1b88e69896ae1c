"""Hills of pairwise distances, generation by generation."""

import io

import numpy as np
import pytest
from PIL import Image

from madlab import plots
from madlab.plots import describe_sameness, sameness


def distances(scale, seed=0, n=60):
    x = scale * np.random.default_rng(seed).normal(size=(n, 12))
    first, second = np.triu_indices(n, 1)
    return np.linalg.norm(x[first] - x[second], axis=1)


REAL = distances(1.0)
CHAINS = {
    "ψ = 1": {t: distances(1 - 0.1 * t, t) for t in (1, 2, 3)},
    "ψ = 0.5": {t: distances(0.5**t, t) for t in (1, 2)},
}


def stacks(figure):
    return {axes.get_title(loc="left"): axes for axes in figure.axes if axes.axison}


def test_each_chain_has_a_hill_for_real_pictures_and_one_a_generation():
    found = stacks(sameness(CHAINS, REAL))
    assert list(found) == ["ψ = 1", "ψ = 0.5"]
    for name, own in CHAINS.items():
        axes = found[name]
        labels = [label.get_text() for label in axes.get_yticklabels()]
        assert labels == ["real", *map(str, own)]
        assert len(axes.collections) == len(labels)
        # From top to bottom, in equal steps.
        assert np.allclose(np.diff(axes.get_yticks()), -1)


def test_hills_stand_where_the_distances_are():
    axes = stacks(sameness(CHAINS, REAL))["ψ = 0.5"]
    hills, means = axes.lines[::2], axes.lines[1::2]
    for hill, mark, found in zip(hills, means, (REAL, *CHAINS["ψ = 0.5"].values()), strict=True):
        wanted = found.mean() / REAL.mean()
        assert np.allclose(mark.get_xdata(), wanted)
        x, y = hill.get_xdata(), hill.get_ydata()
        y = y - y.min()
        # Half a bin, of 80, is 0.01.
        assert abs((x * y).sum() / y.sum() - wanted) < 0.01


def test_all_stacks_share_their_axes():
    one, other = stacks(sameness(CHAINS, REAL)).values()
    assert one.get_xlim() == other.get_xlim()
    # A row is as high in every stack.
    assert np.diff(one.get_ylim()) == pytest.approx(np.diff(other.get_ylim()))
    assert one.get_xlim()[0] == 0


def test_without_real_pictures_the_first_generation_is_the_unit():
    figure = sameness(CHAINS)
    axes = stacks(figure)["ψ = 1"]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["1", "2", "3"]
    assert np.allclose(axes.lines[1].get_xdata(), 1)
    assert "mean of generation 1" in figure.get_supxlabel()


def test_in_words_it_gives_mean_distances_of_first_and_last():
    first, last = (CHAINS["ψ = 0.5"][t].mean() / REAL.mean() for t in (1, 2))
    said = describe_sameness(CHAINS, REAL)
    assert f"ψ = 0.5: {first:.2f} in generation 1, {last:.2f} in generation 2" in said
    assert "real pictures" in said
    assert "ψ = 1: 1.00 in generation 1" in describe_sameness(CHAINS)


def test_pictures_that_are_all_one_have_a_hill_at_zero():
    figure = sameness({"one face": {1: REAL, 2: np.zeros(len(REAL))}}, REAL)
    pixels = np.asarray(Image.open(io.BytesIO(plots.png(figure))).convert("L"))
    assert pixels.min() < 100
    hill = figure.axes[0].lines[4]
    assert hill.get_ydata().argmax() == 0


@pytest.mark.parametrize("wrong", [{}, {"a": {}}, {"a": {1: np.empty(0)}}])
def test_no_distances_are_refused(wrong):
    with pytest.raises(ValueError, match="no distances"):
        sameness(wrong)
    with pytest.raises(ValueError, match="no distances"):
        describe_sameness(wrong)
