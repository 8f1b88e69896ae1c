"""Old public names lead to new ones for a release, and say so."""

import importlib

import numpy as np
import pytest

from madlab import plots, renamed


def test_an_old_name_gives_the_new_thing_and_warns(monkeypatch):
    monkeypatch.setitem(renamed.NAMES, "madlab.loops.Policy", "madlab.loops:Loop")
    with pytest.warns(
        DeprecationWarning, match=r"madlab\.loops\.Policy is madlab\.loops\.Loop now"
    ):
        found = renamed.find("madlab.loops", "Policy")
    assert found is importlib.import_module("madlab.loops").Loop


def test_a_module_that_moved_is_found_whole(monkeypatch):
    monkeypatch.setitem(renamed.NAMES, "madlab.policies", "madlab.loops")
    with pytest.warns(DeprecationWarning, match=r"the old name goes in the next release"):
        found = renamed.find("madlab", "policies")
    assert found is importlib.import_module("madlab.loops")


def test_a_name_that_never_was_is_refused():
    with pytest.raises(AttributeError, match="module 'madlab' has no attribute 'nonsense'"):
        renamed.find("madlab", "nonsense")


@pytest.mark.parametrize("old", renamed.NAMES)
def test_every_old_name_of_the_table_works_where_it_was(old):
    """Also through its module, whose `__getattr__` must ask; `find` names another module."""
    where, _, name = old.rpartition(".")
    with pytest.warns(DeprecationWarning, match="the old name goes in the next release"):
        found = renamed.find(where, name)
    with pytest.warns(DeprecationWarning, match="the old name goes in the next release"):
        assert getattr(importlib.import_module(where), name) is found


def test_the_words_of_a_picture_are_still_found_under_their_old_names():
    values = np.array([[1.0, 0.5], [2.0, 1.5]])
    with pytest.warns(DeprecationWarning, match="describe_tails is madlab.plots.tails"):
        describe = plots.describe_tails
    assert describe([1, 2], {"a": values}) == plots.tails([1, 2], {"a": values}).alt
    with pytest.warns(DeprecationWarning, match="fan_words"):
        said = plots.describe_fan([1, 2], values, "Variance")
    assert said.startswith("From generation 1 to 2, 2 chains: median: Variance 1.5 to 1.00")
    figure = plots.fans([1, 2], {"variance": values})
    assert plots.show(figure, said, caption="as in 0.4").alt == said
