"""The comparison of loops: what is ticked is drawn and said."""

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
    assert set(shown.loops) == {"fully synthetic", "fresh data"}
    shown.loops["fresh data"].value = False
    assert shown.picture.value != both
    assert "fresh data" not in shown.alt()
    shown.metrics["coverage"].value = True
    assert "coverage" in shown.alt()
    shown.loops["fresh data"].value = True
    shown.metrics["coverage"].value = False
    assert shown.picture.value == both
    first, last = records[records["loop"] == "fresh data"]["fd"].iloc[[0, -1]]
    assert f"fresh data, bias 1: FD-LeNet {number(first)} to {number(last)}," in shown.alt()
    check_page(shown._repr_mimebundle_()["text/html"])


def test_the_comparison_says_when_nothing_is_chosen(chains):
    shown = panels.LoopComparison(chains["fresh data"].records())
    shown.biases[1.0].value = False
    assert "Nothing is chosen" in shown.status.value


def test_the_comparison_refuses_scores_of_other_sizes(chains):
    records = chains["fresh data"].records()
    with pytest.raises(ValueError, match="n_evaluate"):
        panels.LoopComparison(pd.concat([records, records.assign(n_evaluate=7)]))
