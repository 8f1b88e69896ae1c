"""The table and the picture of which failure goes with which family."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from madlab import plots
from madlab.findings.changes import replicates
from madlab.plots.families import BARS, failure
from madlab.tables import COLUMNS, table

QUALITY = {"precision": [0.8, 0.4], "read": [1.0, 0.5], "recall": [0.8, 0.8]}
DIVERSITY = {"precision": [0.8, 0.8], "read": [1.0, 1.0], "recall": [0.8, 0.2]}
NEITHER = {"precision": [0.8, 0.88], "read": [1.0, 1.0], "recall": [0.8, 0.8]}


def chains(model, scores, loop="fully synthetic", bias=1.0, seeds=2):
    rows = [
        {
            "generation": t + 1, "loop": loop, "model": model, "bias": bias, "seed": seed,
            "n_real": 0, "n_synthetic": 100, "n_evaluate": 100, "features": "lenet-0",
            "fd": 0.5 * 3**t, "density": 0.5, "coverage": 0.5, "seconds": 1.0,
            "id": f"{model} {loop} {bias} {seed} {t}",
        }
        | {score: values[t] for score, values in scores.items()}
        for seed in range(seeds)
        for t in range(2)
    ]  # fmt: skip
    return table(rows)


@pytest.fixture(scope="module")
def records():
    parts = [
        chains("flow", QUALITY),
        chains("flow", DIVERSITY, bias=0.5),
        chains("flow", NEITHER, loop="fresh data"),
        chains("gan", DIVERSITY),
    ]
    # Whatever order records come in, loops and biases have one.
    return pd.concat(parts[::-1])


def test_every_row_of_the_table_names_its_failure(records):
    found = plots.failure_table(records)
    assert found[["family", "loop", "bias", "falls"]].to_numpy().tolist() == [
        ["gan", "fully synthetic", 1.0, "diversity"],
        ["flow", "fully synthetic", 1.0, "quality"],
        ["flow", "fully synthetic", 0.5, "diversity"],
        ["flow", "fresh data", 1.0, "neither"],
    ]
    assert found["seeds"].tolist() == [2] * 4
    assert found.loc[0, "recall"] == "−75 ± 0% ▼, halves in 0.7"
    assert found.loc[0, "precision"] == "0 ± 0%"
    assert found.loc[0, "fd"] == "+200 ± 0% ▲"
    assert found.loc[3, "precision"] == "+10 ± 0% ▲"


def test_both_failures_are_both_named_and_one_seed_is_not_trusted():
    both = QUALITY | {"recall": [0.8, 0.1]}
    assert plots.failure_table(chains("flow", both))["falls"].tolist() == ["quality and diversity"]
    alone = plots.failure_table(chains("flow", both, seeds=1))
    assert alone["falls"].tolist() == ["one seed, not known"]
    assert alone["recall"].tolist() == ["−88% ?, halves in 0.6"]


def test_only_the_read_share_falling_is_a_loss_of_quality():
    records = chains("flow", QUALITY | {"precision": [0.8, 0.8]})
    assert [failure(kind) for kind in replicates(records)] == ["quality"]


def test_missing_scores_leave_an_empty_place():
    records = chains("flow", DIVERSITY | {"read": [np.nan, np.nan]})
    found = plots.failure_table(records)
    assert found.loc[0, "read"] == ""
    assert found.loc[0, "falls"] == "diversity"
    (axes,) = plots.families(records).figure.axes
    assert [patch.get_x() + 0.4 for patch in axes.patches] == pytest.approx([0, 2])
    assert "read" not in plots.families(records).alt


def grid(figure):
    """Axes by family and column, column names being those above the first row."""
    heads = [" ".join(axes.get_title(loc="left").split()) for axes in figure.axes]
    columns = [head for head in heads if head]
    families = [axes.get_ylabel() for axes in figure.axes if axes.get_ylabel()]
    cells = iter(figure.axes)
    return families, columns, {(f, c): next(cells) for f in families for c in range(len(columns))}


def test_a_row_is_a_family_and_a_column_a_loop_and_bias(records):
    figure = plots.families(records).figure
    assert isinstance(figure, Figure)
    families, columns, cells = grid(figure)
    assert families == ["gan", "flow"]
    assert columns == ["fully synthetic λ = 1", "λ = 0.5", "fresh data λ = 1"]
    words = [text.get_text() for text in cells["gan", 1].texts]
    assert words == ["not run"]
    assert not cells["gan", 1].patches


def test_bars_are_the_losses_each_in_a_colour_and_a_hatch_of_its_own(records):
    _, _, cells = grid(plots.families(records).figure)
    bars = cells["flow", 0].patches
    assert [bar.get_height() for bar in bars] == pytest.approx([-0.5, -0.5, 0])
    assert [bar.get_height() for bar in cells["flow", 2].patches] == pytest.approx([0.1, 0, 0])
    assert len({bar.get_hatch() for bar in bars}) == len({bar.get_facecolor() for bar in bars}) == 3
    assert len(bars) == len(BARS)
    *words, head = [text.get_text() for text in cells["flow", 0].texts]
    assert words == ["−50", "▼", "−50", "▼", "0", "", "not in 1\n× 3.0"]
    assert head == "½ recall\nFD"
    words = [text.get_text() for text in cells["flow", 1].texts]
    # 0.8 to 0.2 passes 0.4 at two thirds of the way.
    assert words[-1] == "0.7 of 1\n× 3.0"


def test_a_bar_ends_where_the_picture_does_but_its_number_does_not():
    (axes,) = plots.families(chains("gan", NEITHER | {"precision": [0.2, 0.8]})).figure.axes
    assert axes.patches[0].get_height() < 1
    assert axes.texts[0].get_text() == "+300"
    assert axes.texts[1].get_text() == "▲"


def test_error_bars_reach_one_standard_error_either_way():
    records = chains("flow", NEITHER)
    records.loc[(records["seed"] == 1) & (records["generation"] == 2), "recall"] = 0.4
    # Losses of 0 and 0.5: a mean of 0.25, a standard error of 0.25.
    (axes,) = plots.families(records).figure.axes
    ends = [line.get_ydata() for line in axes.lines[1:]]
    assert list(ends[2]) == pytest.approx([-0.5, 0])


def test_the_words_say_what_the_picture_shows(records):
    assert plots.families(records).alt == (
        "What falls between the first generation and the last. gan: fully synthetic, λ = 1: "
        "diversity (precision 0%, read 0%, recall −75%). flow: fully synthetic, λ = 1: quality "
        "(precision −50%, read −50%, recall 0%); fully synthetic, λ = 0.5: diversity (precision "
        "0%, read 0%, recall −75%); fresh data, λ = 1: neither (precision +10%, read 0%, recall "
        "0%)."
    )


def test_a_large_grid_can_be_drawn_small():
    parts = [
        chains(model, DIVERSITY, loop, bias)
        for model in ("mixture", "flow", "ddpm", "gan", "wgan")
        for loop in ("fully synthetic", "synthetic augmentation", "fresh data")
        for bias in (1, 0.8, 0.5)
    ]
    assert len(plots.png(plots.families(pd.concat(parts)))) < 100_000


def test_nothing_to_draw_is_refused():
    for draw in (plots.families, plots.failure_table):
        with pytest.raises(ValueError, match="no records to draw"):
            draw(pd.DataFrame(columns=COLUMNS))
