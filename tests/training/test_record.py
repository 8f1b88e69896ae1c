"""What numbers depend on."""

import json

import torch

from madlab import training
from madlab.training import (
    provenance,
)


def test_provenance_is_json_and_says_what_numbers_depend_on(monkeypatch):
    found = provenance()
    assert json.loads(json.dumps(found)) == found
    assert found["torch"] == torch.__version__
    assert found["threads"] == torch.get_num_threads()
    wanted = "python torch numpy madlab device precision threads commit"
    assert set(found) == set(wanted.split())

    def no_git(*_):
        raise FileNotFoundError("git")

    training.record._commit.cache_clear()
    monkeypatch.setattr(training.record, "_git", no_git)
    assert provenance()["commit"] is None
    training.record._commit.cache_clear()
