"""Old public names lead to new ones for a release, and say so."""

import importlib

import pytest

from madlab import renamed


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
