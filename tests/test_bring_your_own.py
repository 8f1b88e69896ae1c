"""The page on data, models and loops of one's own is run from top to bottom, and says the truth."""

import re
from pathlib import Path

import numpy as np
import pytest

import madlab as ml
from madlab.loops import Composition, Loop
from madlab.models import create, names, register
from madlab.models.gaussian import Gaussian

PAGE = Path(__file__).parent.parent / "docs" / "bring_your_own.md"
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)


@pytest.fixture
def own_models(monkeypatch):
    """Models that are registered here are gone afterwards."""
    monkeypatch.setattr(ml.models, "_OWN", {})


def test_every_block_of_the_page_runs(tmp_path, monkeypatch, capsys, own_models):
    monkeypatch.chdir(tmp_path)
    space = {"__name__": "page"}
    for block in BLOCKS:
        exec(compile(block, PAGE.name, "exec"), space)
    said = capsys.readouterr().out
    assert "fresh real share 0.75 → 0.5 → 0.25" in said
    assert len(BLOCKS) == 6
    model = next(block for block in BLOCKS if "register" in block)
    assert len([line for line in model.splitlines() if line.strip()]) <= 40
    records = ml.store.Store("runs").records()
    assert {"remember", "mixture"} == set(records["model"])
    fading = records[records["loop"].str.startswith("fresh real share")]
    assert fading["n_real"].tolist() == [500, 375, 250, 125]
    assert fading["bias"].tolist() == [1.0, 0.9, 0.8, 0.8]
    # One line, though its bias changes.
    assert ml.plots.tidy(fading)["line"].nunique() == 1
    assert fading.groupby("biases").size().to_dict() == {"1, 0.9, 0.8": 4}


def test_a_model_of_ones_own_has_a_name_to_itself(own_models):
    @register
    class Mine(Gaussian):
        name = "mine"

    assert "mine" in names()
    assert type(create("mine")) is Mine

    def again():
        class Mine(Gaussian):
            name = "mine"

        return Mine

    with pytest.raises(ValueError, match="there is another model named 'mine'"):
        register(again())
    renewed = again()
    renewed.__qualname__ = Mine.__qualname__
    assert register(renewed) is renewed
    assert type(create("mine")) is renewed
    with pytest.raises(ValueError, match="there is another model named 'gaussian'"):
        register(type("Mine", (Gaussian,), {}))
    with pytest.raises(TypeError, match="has no name: give its class one"):
        register(type("Nameless", (), {}))
    with pytest.raises(TypeError, match="Few is no model, it lacks conditional, fit"):
        register(type("Few", (), {"name": "few", "version": 1}))


def test_a_share_that_changes_by_generation():
    loop = Loop.changing_share(100, [0.8, 0.5, 0.0])
    parts = [loop.compose(t) for t in range(1, 6)]
    assert [part.real for part in parts] == [(0, 100), (100, 180), (180, 230), None, None]
    assert [part.n_synthetic for part in parts] == [0, 20, 50, 100, 100]
    assert loop.needs(5) == 230
    fixed = Loop.changing_share(100, [1.0, 0.25], real="fixed", n_initial=60)
    assert [fixed.compose(t).real for t in (1, 2, 3)] == [(0, 60), (0, 100), (0, 25)]
    assert fixed.compose(2) == Composition((0, 100))
    for shares, message in (
        ([], "shares are empty"),
        ([1.5], "a share is 1.5; it must lie between"),
    ):
        with pytest.raises(ValueError, match=message):
            Loop.changing_share(100, shares)
    with pytest.raises(TypeError, match="give a list of them"):
        Loop.changing_share(100, 0.5)


def test_theory_refuses_what_it_does_not_follow():
    loop = Loop.changing_share(100, [0.8])
    with pytest.raises(
        TypeError, match=r"must be a Loop .* theory follows no other, a madlab\.Chain"
    ):
        ml.theory.simulate(loop, d=2, generations=2, chains=2)


def test_a_plain_bias_keeps_its_names(tmp_path):
    data = ml.data.gaussian(dimensions=2, n=500, seed=0)
    loop = Loop.fully_synthetic(50)
    one, two, falling = (
        ml.Chain(loop, "gaussian", data, bias=bias, store=tmp_path, n_evaluate=50)
        for bias in (0.9, [0.9], np.array([0.9, 0.5]))
    )
    for chain in (one, two, falling):
        list(chain.run(3))
    assert one.records()["id"].tolist() == two.records()["id"].tolist()
    # Equal until the first samples of another bias.
    same = [np.array_equal(one.samples(t).images, falling.samples(t).images) for t in (1, 2, 3)]
    assert same == [True, False, False]
    with pytest.raises(ValueError, match=r"bias is 1\.5"):
        ml.Chain(loop, "gaussian", data, bias=[0.9, 1.5])
