import io
import itertools

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from madlab import plots
from madlab.plots.calibration import _apart, blocks, draw_plane, looks, strengths
from madlab.tables import COLUMNS

BIASES = (1.0, 0.6, 0.2)


def records(model="mixture", biases=BIASES, seeds=(0,), t=1, **other):
    rows = []
    for bias, seed in itertools.product(biases, seeds):
        row = dict.fromkeys(COLUMNS)
        row |= {"generation": t, "loop": "fully synthetic", "model": model, "bias": bias}
        row |= {"seed": seed, "n_evaluate": 500, "features": "lenet-1a2b3c4d", "read": 0.9}
        row |= {"fd": 2 - bias + seed, "precision": 1 - bias / 4, "recall": 0.9 * bias + seed / 100}
        row |= {"density": 1.2, "coverage": 0.3, "id": f"{model}{bias}{seed}{t}"} | other
        rows.append(row)
    return pd.DataFrame(rows, columns=[*COLUMNS, *(set(other) - set(COLUMNS))])


def points(model="gaussian", **other):
    return records(model, features="points", read=None, **other)


def picked(*kept):
    return pd.concat([records("picked", (1.0,), kept=q, recall=q / 200) for q in kept])


def lines_of(axes):
    return {line.get_label(): line.get_xydata().tolist() for line in axes.lines}


def axes_of(picture):
    """The axes of each block by their titles."""
    return [
        {axes.get_title(loc="left"): axes for axes in part.axes} for part in picture.figure.subfigs
    ]


def test_every_metric_stands_against_the_bias_and_precision_against_recall():
    (axes,) = axes_of(plots.calibration(records()))
    assert list(axes) == [
        "precision (quality)",
        "recall (diversity)",
        "FD-LeNet",
        "read share",
        "quality against diversity",
    ]
    (fd,) = lines_of(axes["FD-LeNet"]).values()
    np.testing.assert_allclose(sorted(fd), [[0.2, 1.8], [0.6, 1.4], [1, 1]])
    (plane,) = lines_of(axes["quality against diversity"]).values()
    np.testing.assert_allclose(plane, [[0.18, 0.95], [0.54, 0.85], [0.9, 0.75]])
    assert axes["FD-LeNet"].get_xlabel() == axes["read share"].get_xlabel() == "sampling bias λ"
    for title, one in axes.items():
        if title != "quality against diversity":
            assert one.get_xlim()[0] == one.get_ylim()[0] == 0
            assert title == "FD-LeNet" or one.get_ylim()[1] == 1
    # The read share is in the picture wherever precision is.
    assert len(axes["read share"].lines) == len(axes["precision (quality)"].lines)


def test_points_of_the_plane_are_named_by_bias_or_by_the_per_cent_kept():
    (axes,) = axes_of(plots.calibration(pd.concat([records(), picked(100, 50, 12.5)])))
    plane = axes["quality against diversity"]
    named = {text.get_text(): text.xy for text in plane.texts}
    assert set(named) == {"1", "0.6", "0.2", "100%", "50%", "12.5%"}
    assert named["50%"] == pytest.approx((0.25, 0.75))
    assert axes["FD-LeNet"].get_xlabel() == "sampling bias λ or share kept"
    alone = axes_of(plots.calibration(picked(100, 50)))[0]
    assert alone["FD-LeNet"].get_xlabel() == "share kept"
    assert list(lines_of(alone["recall (diversity)"]).values()) == [[[1, 0.5], [0.5, 0.25]]]


def test_names_stand_above_below_or_beside_a_path_but_not_on_it():
    steep = records("diffusion", recall=0.5)
    flat = [records(model, precision=0.9) for model in ("mixture", "picked")]
    (axes,) = axes_of(plots.calibration(pd.concat([steep, *flat])))
    offsets = [text.xyann for text in axes["quality against diversity"].texts]
    assert offsets == [(8, 0)] * 3 + [(0, -7)] * 3 + [(0, 7)] * 3


def test_other_features_and_sizes_never_share_an_axis():
    mixed = pd.concat([records(), points(), records("diffusion", n_evaluate=900)])
    found = axes_of(plots.calibration(mixed))
    assert [list(lines_of(axes["quality against diversity"])) for axes in found] == [
        ["mixture"],
        ["diffusion"],
        ["gaussian"],
    ]
    titles = [part.get_suptitle() for part in plots.calibration(mixed).figure.subfigs]
    assert titles == [
        "Digits, on LeNet features; 500 samples",
        "Digits, on LeNet features; 900 samples",
        "Points, on their coordinates; 500 samples",
    ]
    assert list(found[2]) == [
        "precision (quality)",
        "recall (diversity)",
        "FD-points",
        "quality against diversity",
    ]


def test_seeds_become_a_band_around_their_mean():
    (axes,) = axes_of(plots.calibration(records(seeds=(0, 2, 4))))
    (mean,) = lines_of(axes["FD-LeNet"]).values()
    np.testing.assert_allclose(mean, [[0.2, 3.8], [0.6, 3.4], [1, 3]])
    band = axes["FD-LeNet"].collections[0].get_paths()[0].vertices
    np.testing.assert_allclose(sorted(set(band[band[:, 0] == 1, 1])), [1, 5])
    (plane,) = lines_of(axes["quality against diversity"]).values()
    np.testing.assert_allclose(plane[2], [0.92, 0.75])


def test_only_generation_1_is_drawn_and_once_whatever_the_loop():
    again = records(loop="fresh data", id="other")
    found = strengths(pd.concat([records(), again, records(t=2, recall=0.0)]))
    assert len(found) == 3
    assert found["strength"].tolist() == [0.2, 0.6, 1.0]
    with pytest.raises(ValueError, match="no records of generation 1"):
        plots.calibration(records(t=2))
    with pytest.raises(ValueError, match="run a chain first"):
        plots.calibration(records().iloc[:0])


def test_two_scores_in_one_place_are_refused_until_a_label_tells_them_apart():
    other = records(fd=7.0, id="other")
    with pytest.raises(ValueError, match="two records are of mixture, strength 1, seed 0"):
        plots.calibration(pd.concat([records(), other]))
    found = strengths(pd.concat([records(), other.assign(label="mixture, few digits")]))
    assert found.groupby("path").size().to_dict() == {"mixture": 3, "mixture, few digits": 3}
    # The model keeps its look, its variant gets a free one.
    chosen = looks(found)
    assert list(chosen) == ["mixture", "mixture, few digits"]
    assert chosen["mixture"] == looks(strengths(records()))["mixture"]
    assert len(set(chosen.values())) == 2


@pytest.mark.parametrize("kept", [0, -5, 100.5])
def test_what_is_kept_is_a_percentage(kept):
    with pytest.raises(ValueError, match=rf"kept is {kept:g}; it is a percentage"):
        plots.calibration(picked(50, kept))


def test_every_model_has_a_look_of_its_own():
    known = ["mixture", "diffusion", "picked", "gaussian", "coupling", "gan", "wgan"]
    chosen = looks(strengths(pd.concat([records(model) for model in known])))
    colours, markers, _ = zip(*chosen.values(), strict=True)
    assert len(set(colours)) == len(set(markers)) == len(known)
    many = looks(strengths(pd.concat([records(f"model {i}") for i in range(9)])))
    assert len(many) == 9


def test_the_plane_rings_and_names_one_point():
    found = strengths(pd.concat([records(), picked(100, 25)]))
    axes = plots.calibration(records()).figure.subfigs[0].axes[0]
    axes.clear()
    draw_plane(axes, found, looks(found), ("picked", 0.25))
    assert [text.get_text() for text in axes.texts] == ["25%"]
    (ring,) = [line for line in axes.lines if line.get_markersize() == 15]
    assert ring.get_xydata().tolist() == [[0.125, 0.75]]


def test_names_in_the_plane_keep_apart_but_the_ends_of_a_path_have_theirs():
    at = np.array([[0.1, 0.5], [0.5, 0.5], [0.52, 0.5], [0.53, 0.5]])
    least = np.array([0.05, 0.05])
    assert _apart(at, least) == [3, 0]
    assert _apart(at[:3], least) == [2, 0]
    at[:, 1] = [0.5, 0.9, 0.6, 0.7]
    assert _apart(at, least) == [3, 0, 1, 2]
    assert _apart(at[:1], least) == [0]


def test_a_calibration_in_words_names_both_ends_of_every_path():
    mixed = pd.concat([records(seeds=(0, 2)), points(), picked(100, 25)])
    assert plots.calibration(mixed).alt == (
        "Digits, on LeNet features; 500 samples. From sampling bias λ or share kept 1 to 0.2, mean "
        "of 2 seeds: mixture: precision 0.75 to 0.95, recall 0.91 to 0.19, FD-LeNet 2.0 to 2.8, "
        "read share 0.90 to 0.90. From sampling bias λ or share kept 1 to 0.25: picked: precision "
        "0.75 to 0.75, recall 0.50 to 0.12, FD-LeNet 1.00 to 1.00, read share 0.90 to 0.90. "
        "Points, on their coordinates; 500 samples. From sampling bias λ 1 to 0.2: gaussian: "
        "precision 0.75 to 0.95, recall 0.90 to 0.18, FD-points 1.00 to 1.8."
    )


def test_the_picture_is_drawn_in_full():
    figure = plots.calibration(pd.concat([records(), picked(100, 50), points()])).figure
    drawn = np.asarray(Image.open(io.BytesIO(plots.png(figure))).convert("RGB"))
    wide, high = figure.get_size_inches()
    assert drawn.shape[:2] == (round(150 * high), round(150 * wide))
    for half in np.array_split(drawn, 2):
        assert half.std() > 10
    assert len(blocks(strengths(records()))) == 1
