import re

import numpy as np
import pytest
from panel_checks import check_controls, check_page

from madlab import Chain, Loop, data, models, panels
from madlab.data.samples import Dataset, Samples
from madlab.panels import digits as panel_of_digits
from madlab.plots.lines import number

BIASES = (1.0, 0.5, 0.2)


@pytest.fixture(scope="module")
def digits():
    full = data.mnist()
    held_out = Samples(full.held_out.images[:100], full.held_out.labels[:100])
    return Dataset("mnist-of-the-dial", full.images[:600], full.labels[:600], held_out)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return tmp_path_factory.mktemp("dial") / "store"


@pytest.fixture(scope="module")
def run(digits, store):
    def made(components=3, biases=BIASES, **other):
        chains = []
        for bias in biases:
            model = models.create("mixture", components=components, rank=4)
            options = {"store": store, "n_evaluate": 100} | other
            chain = Chain(Loop.fully_synthetic(300), model, digits, bias=bias, **options)
            list(chain.run(1))
            chains.append(chain)
        return chains

    return made


@pytest.fixture
def shown(run):
    return panels.BiasDial({"coarse": run(1), "fine": run(6)})


def test_turning_the_dial_shows_other_digits_of_the_same_noise(shown, run, monkeypatch):
    drawn = []

    def draw_sheet(axes, images, *rest, **other):
        drawn.append(images)

    monkeypatch.setattr(panel_of_digits, "draw_sheet", draw_sheet)
    for model, bias, chain in (
        ("coarse", 0.2, run(1)[2]),
        ("fine", 0.2, run(6)[2]),
        ("fine", 1.0, run(6)[0]),
    ):
        shown.model.value, shown.bias.value = model, bias
        np.testing.assert_array_equal(drawn[-1], chain.preview(1).images)
    # The noise is the same: the biased digit i lies nearer to the unbiased digit i than to others
    # of its class, for nearly all; by chance it would be a tenth.
    full, half = (chain.preview(1).images.reshape(100, -1).astype(float) for chain in run(1)[:2])
    apart = ((half[:, None] - full[None]) ** 2).sum(2)
    assert np.mean(apart.argmin(1) == np.arange(100)) > 0.8


def test_the_words_give_the_scores_at_the_setting(shown, run):
    assert shown.bias.value == 1.0
    shown.model.value, shown.bias.value = "fine", 0.5
    row = run(6)[1].records().iloc[0]
    said = ", ".join(
        f"{name} {number(row[key])}"
        for name, key in (
            ("FD-LeNet", "fd"),
            ("precision", "precision"),
            ("recall", "recall"),
            ("read share", "read"),
        )
    )
    assert shown.alt() == f"100 digits of fine at a sampling bias λ of 0.5. {said}."
    assert said in shown.status.value
    assert "components 6, rank 4" in shown.settings()
    assert "trained on 300 real digits, seed 0" in shown.settings()


def test_the_ring_is_where_the_dial_is(shown, run):
    shown.model.value, shown.bias.value = "coarse", 0.2
    axes = shown.figure().subfigs[1].axes[0]
    (ring,) = [line for line in axes.lines if line.get_markersize() == 15]
    row = run(1)[2].records().iloc[0]
    assert ring.get_xydata().tolist() == [[row["recall"], row["precision"]]]
    assert [text.get_text() for text in axes.texts] == ["0.2"]
    assert set(axes.get_legend_handles_labels()[1]) == {"coarse", "fine"}


def test_slider_and_list_turn_together_and_both_work_by_keyboard(shown):
    check_controls(shown)
    listed, handle = shown.bias.box.children
    assert [label for label, _ in handle.options] == ["0.2", "0.5", "1"]
    before = shown.picture.value
    handle.index = 0
    assert shown.bias.value == listed.value == 0.2
    assert shown.picture.value != before


def test_without_a_kernel_every_bias_of_every_model_is_on_one_sheet(shown, monkeypatch):
    drawn = []
    real = panel_of_digits.draw_sheet

    def draw_sheet(axes, images, *rest, rows=(), **other):
        drawn.append((len(images), list(rows)))
        real(axes, images, *rest, rows=rows, **other)

    monkeypatch.setattr(panel_of_digits, "draw_sheet", draw_sheet)
    page = shown._repr_mimebundle_()["text/html"]
    assert drawn == [(30, ["1", "0.5", "0.2"])] * 2
    alt = check_page(page)
    assert alt.startswith("Contact sheet of coarse and fine: one row for each sampling bias λ, 1, ")
    assert "components 1" in re.search(r"<figcaption>(.+)</figcaption>", page)[1]


def test_chains_that_do_not_fit_are_refused(run, digits, store):
    good = run(1)
    for given, message in [
        ({}, "no chains to draw from"),
        ({"one": good[2:]}, r"biases \[0.2\]; give two at least"),
        ({"twice": [*good, good[2]]}, r"biases \[0.2, 0.2, 0.5, 1.0\]; .*all different"),
        ({"seeds": [*good[1:], *run(1, (1.0,), seed=1)]}, r"seeds \[0, 1\]; give chains of one"),
        ({"a": good, "b": run(6)[:2]}, r"same biases, but they are: a: \[0.2, 0.5, 1.0\]; b: "),
        (
            {"a": good, "b": run(6, n_evaluate=50)},
            "values of n_evaluate: 50, 100. .*cannot share an axis",
        ),
    ]:
        with pytest.raises(ValueError, match=message):
            panels.BiasDial(given)
    idle = Chain(Loop.fully_synthetic(300), "mixture", digits, bias=0.9, store=store, n_evaluate=50)
    with pytest.raises(ValueError, match=r"bias 0\.9' has not run: run it first"):
        panels.BiasDial({"idle": [*good, idle]})


def test_points_have_no_digits_to_show():
    cloud = data.gaussian(n=50, n_held_out=50)
    chains = [
        Chain(Loop.fully_synthetic(50), "gaussian", cloud, bias=bias, n_evaluate=50)
        for bias in (1.0, 0.5)
    ]
    with pytest.raises(ValueError, match="has points, not pictures"):
        panels.BiasDial({"points": chains})
