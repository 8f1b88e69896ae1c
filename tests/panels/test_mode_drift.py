"""The panel of the dying modes, driven from Python."""

import re

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from panel_checks import check_controls, check_page

from madlab import Loop, data, panels
from madlab.panels import mode_drift
from madlab.plots.lines import number
from madlab.theory.modes import simulate_modes


@pytest.fixture(scope="module")
def grid():
    return data.modes(1000, n_held_out=200)


@pytest.fixture(scope="module")
def run(grid):
    loop = Loop.fully_synthetic(100)
    return simulate_modes(loop, 12, 3, every=3, keep=[1, 4, 9, 12], n_evaluate=80, data=grid)


@pytest.fixture
def shown(run, grid):
    return panels.ModeDrift(run, real=grid.held_out)


def test_the_slider_and_the_list_go_through_the_generations_that_were_kept(shown, run, monkeypatch):
    drawn = []

    def draw_cloud(axes, points, limits, real):
        drawn.append(points)

    monkeypatch.setattr(mode_drift, "draw_cloud", draw_cloud)
    pictures = {shown.picture.value}
    assert [t for _, t in shown.generation.options] == [1, 4, 9, 12]
    assert shown.generation.value == 12
    check_controls(shown)
    listed, _ = shown.generation.box.children
    listed.value = 4
    assert shown.generation.value == 4
    np.testing.assert_array_equal(drawn[-1], run.samples[4][0])
    pictures.add(shown.picture.value)
    shown.generation.value = 9
    assert listed.value == 9
    pictures.add(shown.picture.value)
    shown.chain.value = 2
    np.testing.assert_array_equal(drawn[-1], run.samples[9][2])
    pictures.add(shown.picture.value)
    assert len(pictures) == 4


def test_the_words_say_what_the_records_say(shown, run):
    shown.generation.value, shown.chain.value = 9, 1
    records = run.records.set_index(["chain", "generation"])
    now, then = records.loc[(1, 9)], records.loc[(1, 1)]
    said = shown.alt()
    assert f"generation 9 of chain 1: {now['alive']} of 25 modes are alive" in said
    largest = run.shares[1, run.generations.tolist().index(9)].max()
    assert f"the largest share is {largest:.2f}" in said
    for name in ("recall", "modal_variance", "total_variance"):
        assert f"{number(now[name])} ({number(then[name])})" in said
    assert said in shown.status.value
    settings = shown.settings()
    assert "fully synthetic; n_real 0 and n_synthetic 100" in settings
    assert "all 3 chains, the thick one is chain 1" in settings
    assert "Grey dots are real data" in settings


def test_the_picture_shows_shares_and_marks_the_generation(shown, run):
    shown.generation.value = 4
    cloud, bars, *lines = (axes for part in shown.figure().subfigs for axes in part.axes)
    heights = [bar.get_height() for bar in bars.patches]
    assert heights == run.shares[0, run.generations.tolist().index(4)].tolist()
    assert bars.lines[0].get_ydata()[0] == 1 / 25
    assert sum(len(line.get_xdata()) for line in cloud.lines) == 2 * 80 + 120
    records = run.records.set_index(["generation", "chain"])
    for axes, name in zip(lines, ("recall", "modal_variance", "total_variance"), strict=True):
        *chains, own, mark = axes.lines
        for chain in range(3):
            line = records.xs(chain, level="chain")[name].tolist()
            assert line in [found.get_ydata().tolist() for found in chains]
        assert own.get_xdata().tolist() == run.generations.tolist()
        assert (mark.get_xdata()[0], mark.get_ydata()[0]) == (4, records.loc[(4, 0), name])
        # Other chains stay behind the chosen one, and its marker stands out.
        assert all(np.mean(to_rgb(line.get_color())) > 0.6 for line in chains)
        assert all(line.get_linewidth() < own.get_linewidth() for line in chains)
        assert mark.get_markersize() >= 7


def test_without_a_kernel_it_is_a_contact_sheet_over_the_generations(shown):
    page = shown._repr_mimebundle_()["text/html"]
    alt = check_page(page)
    assert "generations 1, 4, 9, 12" in alt
    assert re.search(r"Modes alive: \d+ in generation 1, .* in generation 12", alt)
    assert "Thin lines are all 3 chains" in re.search(r"<figcaption>(.+)</figcaption>", page)[1]
    # The state at hand is kept apart from it.
    assert "Samples of generation 12" in shown.html()


def test_one_generation_is_enough(grid):
    loop = Loop.fully_synthetic(60)
    run = simulate_modes(loop, 1, 1, keep=[1], n_evaluate=60, data=grid)
    alone = panels.ModeDrift(run)
    assert "Samples of generation 1 of chain 0" in alone.alt()
    assert "Grey dots" not in alone.settings()
    assert "generations 1, above" in alone.fallback()


def test_a_run_that_kept_no_samples_is_refused(grid):
    run = simulate_modes(Loop.fully_synthetic(60), 1, 1, n_evaluate=60, data=grid)
    with pytest.raises(ValueError, match=r"kept no samples.*keep="):
        panels.ModeDrift(run)
