import io

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from madlab import plots
from madlab.metrics.spectrum import grid_power, high_share, power_spectrum
from madlab.plots.spectra import LIMIT


def noise(n=20, size=32, seed=0, scale=20.0):
    drawn = np.random.default_rng(seed).normal(128, scale, (n, size, size, 3))
    return np.clip(np.rint(drawn), 0, 255).astype(np.uint8)


def images_of(picture):
    return [axes.images[0] for axes in picture.figure.axes if axes.images]


def test_spectra_share_one_scale_and_one_colour_bar():
    named = {str(i): power_spectrum(noise(seed=i)) for i in range(5)}
    for reference in (None, power_spectrum(noise(seed=9))):
        picture = plots.spectra(named, reference)
        figure, drawn = picture.figure, images_of(picture)
        assert [axes.get_title(loc="left") for axes in figure.axes if axes.images] == list(named)
        assert len({(image.norm.vmin, image.norm.vmax) for image in drawn}) == 1
        assert len({image.cmap.name for image in drawn}) == 1
        # Eight places for five spectra, and the bar.
        assert len(figure.axes) == 9
    label = figure.axes[-1].get_ylabel()
    assert label == "times the reference's power"


def test_ratios_are_drawn_at_their_frequencies_around_white():
    reference = power_spectrum(noise())
    power = reference.copy()
    power[0, 0] *= 10
    power[16 + 8, 16] *= 1e6
    image = images_of(plots.spectra({"scarred": power}, reference))[0]
    drawn = np.asarray(image.get_array())
    # The highest frequency is drawn on both sides.
    assert drawn.shape == (33, 33)
    assert np.allclose(drawn[[0, 0, -1, -1], [0, -1, 0, -1]], 10)
    assert drawn[24, 16] == LIMIT
    rest = np.ones((33, 33), bool)
    rest[[0, 0, -1, -1, 24], [0, -1, 0, -1, 16]] = False
    assert (drawn[rest] == 1).all()
    edge = 0.5 + 1 / 64
    assert image.get_extent() == pytest.approx([-edge, edge, edge, -edge])
    middle = image.cmap(image.norm(1.0))
    assert min(middle[:3]) > 0.95
    # More is reddish, less bluish: orange and purple.
    more, less = image.cmap(image.norm(20.0)), image.cmap(image.norm(0.05))
    assert more[0] > more[2]
    assert less[2] > less[0]


def test_one_spectrum_can_be_drawn_into_axes_with_its_own_bar():
    figure = Figure()
    axes = figure.subplots()
    power = power_spectrum(noise())
    drawn = plots.draw_spectrum(axes, power)
    assert len(figure.axes) == 2
    values = np.asarray(drawn.get_array())[:-1, :-1]
    off_middle = np.ones((32, 32), bool)
    off_middle[16, 16] = False
    assert np.allclose(values[off_middle], power[off_middle])
    assert drawn.norm.vmax == power[off_middle].max()


def test_a_reference_without_power_divides_nothing_by_zero():
    power = power_spectrum(noise())
    image = images_of(plots.spectra({"one": power}, np.zeros_like(power)))[0]
    assert (np.asarray(image.get_array()) == 1).all()
    flat = images_of(plots.spectra({"flat": np.zeros_like(power)}))[0]
    assert np.isfinite(np.asarray(flat.get_array())).all()


def test_spectra_in_words_name_fine_detail_and_the_grid():
    power, reference = power_spectrum(noise(scale=40.0)), power_spectrum(noise(seed=1))
    text = plots.spectra({"generation 3": power}, reference).alt
    times = grid_power(power, reference)
    assert 3 < times < 5
    assert f"generation 3: {high_share(power):.1%} of the power is fine detail" in text
    assert f"{times:.1f} times the reference's power" in text
    assert f"reference: {high_share(reference):.1%} of the power is fine detail." in text
    assert "reference" not in plots.spectra({"generation 3": power}).alt


@pytest.mark.parametrize(
    ("named", "message"),
    [
        ({}, "no spectra"),
        ({"a": np.ones((8, 9))}, "'a' has float64 of shape"),
        ({"a": np.ones((8, 8)), "b": np.ones((16, 16))}, "'b' has float64 of shape"),
        ({"a": np.ones((8, 8), np.uint8)}, "'a' has uint8"),
        ({"a": np.full((8, 8), np.nan)}, "from 0"),
    ],
)
def test_arrays_that_are_no_spectra_are_refused(named, message):
    with pytest.raises(ValueError, match=message):
        plots.spectra(named)


def distances(scale, seed=0, n=60):
    x = scale * np.random.default_rng(seed).normal(size=(n, 12))
    first, second = np.triu_indices(n, 1)
    return np.linalg.norm(x[first] - x[second], axis=1)


REAL = distances(1.0)
CHAINS = {
    "ψ = 1": {t: distances(1 - 0.1 * t, t) for t in (1, 2, 3)},
    "ψ = 0.5": {t: distances(0.5**t, t) for t in (1, 2)},
}


def stacks(picture):
    return {axes.get_title(loc="left"): axes for axes in picture.figure.axes if axes.axison}


def test_each_chain_has_a_hill_for_real_pictures_and_one_a_generation():
    found = stacks(plots.sameness(CHAINS, REAL))
    assert list(found) == ["ψ = 1", "ψ = 0.5"]
    for name, own in CHAINS.items():
        axes = found[name]
        labels = [label.get_text() for label in axes.get_yticklabels()]
        assert labels == ["real", *map(str, own)]
        assert len(axes.collections) == len(labels)
        # From top to bottom, in equal steps.
        assert np.allclose(np.diff(axes.get_yticks()), -1)


def test_hills_stand_where_the_distances_are():
    axes = stacks(plots.sameness(CHAINS, REAL))["ψ = 0.5"]
    hills, means = axes.lines[::2], axes.lines[1::2]
    for hill, mark, found in zip(hills, means, (REAL, *CHAINS["ψ = 0.5"].values()), strict=True):
        wanted = found.mean() / REAL.mean()
        assert np.allclose(mark.get_xdata(), wanted)
        x, y = hill.get_xdata(), hill.get_ydata()
        y = y - y.min()
        # Half a bin, of 80, is 0.01.
        assert abs((x * y).sum() / y.sum() - wanted) < 0.01


def test_all_stacks_share_their_axes():
    one, other = stacks(plots.sameness(CHAINS, REAL)).values()
    assert one.get_xlim() == other.get_xlim()
    # A row is as high in every stack.
    assert np.diff(one.get_ylim()) == pytest.approx(np.diff(other.get_ylim()))
    assert one.get_xlim()[0] == 0


def test_without_real_pictures_the_first_generation_is_the_unit():
    picture = plots.sameness(CHAINS)
    axes = stacks(picture)["ψ = 1"]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["1", "2", "3"]
    assert np.allclose(axes.lines[1].get_xdata(), 1)
    assert "mean of generation 1" in picture.figure.get_supxlabel()


def test_in_words_it_gives_mean_distances_of_first_and_last():
    first, last = (CHAINS["ψ = 0.5"][t].mean() / REAL.mean() for t in (1, 2))
    said = plots.sameness(CHAINS, REAL).alt
    assert f"ψ = 0.5: {first:.2f} in generation 1, {last:.2f} in generation 2" in said
    assert "real pictures" in said
    assert "ψ = 1: 1.00 in generation 1" in plots.sameness(CHAINS).alt


def test_pictures_that_are_all_one_have_a_hill_at_zero():
    figure = plots.sameness({"one face": {1: REAL, 2: np.zeros(len(REAL))}}, REAL).figure
    pixels = np.asarray(Image.open(io.BytesIO(plots.png(figure))).convert("L"))
    assert pixels.min() < 100
    hill = figure.axes[0].lines[4]
    assert hill.get_ydata().argmax() == 0


@pytest.mark.parametrize("wrong", [{}, {"a": {}}, {"a": {1: np.empty(0)}}])
def test_no_distances_are_refused(wrong):
    with pytest.raises(ValueError, match="no distances"):
        plots.sameness(wrong)
