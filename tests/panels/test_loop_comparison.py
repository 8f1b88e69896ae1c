"""The comparison of loops: what is ticked is drawn and said."""

import re

import numpy as np
import pandas as pd
import pytest
from panel_checks import check_controls, check_page

from madlab import panels
from madlab.plots.lines import number


def test_the_comparison_draws_what_is_ticked(chains):
    records = pd.concat([chain.records() for chain in chains.values()])
    shown = panels.LoopComparison(records)
    check_controls(shown)
    both = shown.picture.value
    assert set(shown.loops.boxes) == {"fully synthetic", "fresh data"}
    shown.loops.boxes["fresh data"].value = False
    assert shown.picture.value != both
    assert "fresh data" not in shown.alt()
    shown.metrics.boxes["coverage"].value = True
    assert "coverage" in shown.alt()
    shown.loops.boxes["fresh data"].value = True
    shown.metrics.boxes["coverage"].value = False
    assert shown.picture.value == both
    first, last = records[records["loop"] == "fresh data"]["fd"].iloc[[0, -1]]
    assert f"fresh data, bias 1: FD-LeNet {number(first)} to {number(last)}," in shown.alt()
    check_page(shown._repr_mimebundle_()["text/html"])


def test_the_comparison_says_when_nothing_is_chosen(chains):
    shown = panels.LoopComparison(chains["fresh data"].records())
    shown.biases.boxes[1.0].value = False
    assert "Nothing is chosen" in shown.status.value


def test_the_comparison_refuses_scores_of_other_sizes(chains):
    records = chains["fresh data"].records()
    with pytest.raises(ValueError, match="n_evaluate"):
        panels.LoopComparison(pd.concat([records, records.assign(n_evaluate=7)]))


def test_curves_of_pictures_show_their_headline_scores(faces):
    records = pd.concat([faces[name].records() for name in ("ψ = 1", "ψ = 0.5")])
    shown = panels.LoopComparison(records, floor=None)
    assert set(shown.metrics.value) == {"kid", "recall", "distance", "precision"}
    # A Fréchet distance of so few pictures is offered as a multiple of its floor alone.
    assert "fd" not in shown.metrics.boxes
    assert "fd_ratio" in shown.metrics.boxes
    titles = [axes.get_title(loc="left") for axes in shown.figure().axes]
    assert titles[0] == "KID-PCA"
    assert re.search(r"KID-PCA [\d.-]+ to [\d.-]+, recall", shown.alt())
    first = shown.figure().axes[0]
    bars = [one for one in first.containers if len(one) == 3]
    assert len(bars) == 2
    spans = bars[0][2][0].get_segments()
    row = faces["ψ = 1"].records().iloc[0]
    assert np.allclose(
        [spans[0][0][1], spans[0][1][1]],
        [row["kid"] - row["kid_error"], row["kid"] + row["kid_error"]],
    )
