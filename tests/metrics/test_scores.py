import math
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from madlab.metrics.scores import (
    KINDS,
    SCORES,
    Scores,
    kind_of,
    kind_of_records,
    score_label,
)


def test_scores_load_no_torch_and_neither_do_neighbours():
    code = (
        "import sys, madlab.store, madlab.metrics as m; x = [[0.], [1.]];"
        "m.neighbours(x, x, 1);"
        "sys.exit('torch' in sys.modules or 'matplotlib' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize(
    ("images", "name"),
    [
        (np.zeros((2, 28, 28), np.uint8), "digits"),
        (np.zeros((2, 5)), "points"),
        (np.zeros((2, 8, 8, 3), np.uint8), "pictures"),
    ],
)
def test_every_kind_of_data_is_told_by_its_samples_and_by_its_records(images, name):
    kind = kind_of(images)
    assert kind is KINDS[name]
    for features in kind.features:
        row = {"features": f"{features}-0f appearance-1e"}
        assert kind_of_records(row) is kind
        assert kind_of_records(pd.DataFrame([row, row])) is kind


def test_samples_of_no_kind_are_refused_with_the_kinds_there_are():
    with pytest.raises(TypeError, match=r"int64 samples of shape \(2, 3\).*digits.*points"):
        kind_of(np.zeros((2, 3), int))


def test_every_score_of_a_kind_is_in_the_table_with_a_label():
    for kind in KINDS.values():
        assert all(SCORES[name].label for name in kind.shown)
        assert len(set(kind.shown)) == len(kind.shown)


def test_what_a_kind_does_not_have_is_nan_and_is_not_recorded():
    found = Scores(fd=1.5, read=math.nan, duplicates=3)
    assert found.fd == 1.5
    assert math.isnan(found.kid)
    assert found._asdict().keys() == {"fd", "read", "duplicates"}
    assert found.record() == {"fd": 1.5, "read": None, "duplicates": 3}
    assert Scores.of({"loop": "fresh", **found.record()}) == Scores.of(found.record())
    assert repr(Scores(fd=1.5)) == "Scores(fd=1.5)"
    assert all(name in (Scores.__doc__ or "") for name, score in SCORES.items() if not score.own)


def test_a_name_that_is_no_score_is_refused_with_the_one_like_it():
    with pytest.raises(TypeError, match="no score named 'recal'; did you mean 'recall'"):
        Scores(recal=1.0)
    with pytest.raises(AttributeError, match="did you mean 'recall'"):
        _ = Scores(recall=1.0).recal
    with pytest.raises(KeyError, match="no metric 'duplicates'; there are: fd"):
        score_label("duplicates")


def test_labels_name_features_where_they_are_known():
    assert score_label("fd") == "FD"
    assert score_label("fd", {"features": "lenet-0f"}) == "FD-LeNet"
    assert score_label("fd_ratio", {"features": "pca-0f"}) == "FD-PCA / floor"
    assert score_label("recall", short=True) == "recall"
