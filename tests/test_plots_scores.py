"""Pictures of scores: what they draw is what they were given."""

import matplotlib.colors
import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from madlab import plots
from madlab.data.damage import DAMAGES
from madlab.metrics import neighbours
from madlab.plots import scores
from madlab.streams import generator

STRENGTHS = (0.0, 0.5, 1.0)


def curve(name="noise", scale=1.0, strengths=STRENGTHS):
    rows = [
        {
            "damage": name,
            "strength": s,
            "features": "lenet-1a2b3c4d",
            "fd": 0.5 + 4 * s * scale,
            "precision": 0.9 - 0.75 * s,
            "recall": 0.8 - 0.625 * s,
            "read": 1 - 0.5 * s,
            "density": 1 + s * scale,
            "coverage": 0.75 - 0.25 * s,
        }
        for s in strengths
    ]
    return pd.DataFrame(rows)


def sized(label="real", factor=1.0, **other):
    rows = [
        {
            "n": n,
            "repeat": i,
            "label": label,
            "features": "lenet-1a2b3c4d",
            **dict.fromkeys(
                ("precision", "recall", "read", "density", "coverage"), factor * (0.5 + 0.1 * i)
            ),
            "fd": factor * (100 + i) / n,
        }
        | other
        for n in (100, 1000)
        for i in range(3)
    ]
    return pd.DataFrame(rows)


def titles(figure):
    return [axes.get_title(loc="left") for axes in figure.axes]


def test_one_damage_is_drawn_against_its_strength_with_the_floor_and_a_dot():
    figure = Figure()
    scores.draw_damage(figure, curve().sample(frac=1, random_state=1), 0.5)
    assert titles(figure) == [
        "FD-LeNet 2.5",
        "precision 0.53",
        "recall 0.49",
        "read share 0.75",
        "density 1.5",
        "coverage 0.62",
    ]
    floor, line, dot = figure.axes[1].lines
    assert set(floor.get_ydata()) == {0.9}
    assert line.get_xydata() == pytest.approx(np.array([[0, 0.9], [0.5, 0.525], [1, 0.15]]))
    assert dot.get_xydata().tolist() == [[0.5, 0.525]]
    assert figure.axes[1].get_ylim() == (0, 1)
    assert figure.axes[0].get_ylim() == pytest.approx((0, 1.05 * 4.5))


def test_damages_share_their_axes_and_differ_in_colour_and_marker():
    figure = Figure()
    curves = pd.concat([curve(name, scale) for scale, name in enumerate(DAMAGES, 1)])
    pictures = {name: np.full((10, 28, 28), 255, np.uint8) for name in DAMAGES}
    scores.draw_damages(figure, curves, pictures)
    grid = np.array(figure.axes).reshape(len(DAMAGES), 7)
    assert [axes.get_title(loc="left") for axes in grid[:, 0]] == list(DAMAGES)
    assert [axes.get_ylim() for axes in grid[:, 1]] == [pytest.approx((0, 1.05 * 20.5))] * 5
    lines = [axes.lines[1] for axes in grid[:, 1]]
    assert len({line.get_color() for line in lines}) == len(DAMAGES)
    assert len({line.get_marker() for line in lines}) == len(DAMAGES)
    assert all(len(axes.images) == 1 for axes in grid[:, 0])
    bare = Figure()
    scores.draw_damages(bare, curves)
    assert not any(axes.images for axes in bare.axes)


def test_every_damage_has_a_look():
    assert set(DAMAGES) == set(scores.LOOKS)


def test_damages_in_words_have_the_scores_of_both_ends():
    text = scores.describe_damages(pd.concat([curve("drop"), curve("noise", 2.0)]))
    assert text == (
        "Undamaged: FD-LeNet 0.50, precision 0.90, recall 0.80, read share 1.00, density 1.00, "
        "coverage 0.75. At strength 1: drop FD-LeNet 4.5, precision 0.15, recall 0.18, read share "
        "0.50, density 2.0, coverage 0.50; noise FD-LeNet 8.5, precision 0.15, recall 0.18, read "
        "share 0.50, density 3.0, coverage 0.50."
    )
    assert scores.describe_damage(curve(), 0.5).startswith("FD-LeNet 2.5, precision 0.53")
    assert "undamaged FD-LeNet 0.50" in scores.describe_damage(curve(), 0.5)


def test_sizes_are_drawn_as_means_with_bands_on_a_logarithmic_axis():
    expected = pd.DataFrame({"n": [100, 1000], "fd": [0.9, 0.1], "label": "expected"})
    both = pd.concat([sized(), sized("damaged", 0.5), expected], ignore_index=True)
    both["features"] = "lenet-1a2b3c4d"
    figure = plots.size_curves(both)
    fd, precision = figure.axes[:2]
    assert fd.get_xscale() == "log"
    assert [label.get_text() for label in fd.get_xticklabels()] == ["100", "1,000"]
    assert [line.get_ydata().tolist() for line in fd.lines] == [
        pytest.approx([1.01, 0.101]),
        pytest.approx([0.505, 0.0505]),
        [0.9, 0.1],
    ]
    # What has no precision is left out there, and stays in the legend.
    assert len(precision.lines) == 2
    assert precision.lines[0].get_ydata() == pytest.approx([0.6, 0.6])
    band = precision.collections[0].get_paths()[0].vertices[:, 1]
    assert (band.min(), band.max()) == pytest.approx((0.5, 0.7))
    legend = [text.get_text() for text in figure.legends[0].get_texts()]
    assert legend == ["real", "damaged", "expected"]
    assert len({line.get_marker() for line in fd.lines}) == 3
    assert len({line.get_linestyle() for line in fd.lines}) == 3


def test_sizes_in_words_leave_out_what_is_missing():
    text = plots.describe_sizes(sized(read=np.nan))
    assert text == (
        "Scores against the size of the samples. real, n = 100 to 1,000: FD-LeNet 1.01 to 0.10, "
        "precision 0.60 to 0.60, recall 0.60 to 0.60, density 0.60 to 0.60, coverage 0.60 to 0.60."
    )


def test_one_unnamed_set_needs_no_legend():
    figure = plots.size_curves(sized().drop(columns="label"))
    assert not figure.legends
    assert len(figure.axes[0].lines) == 1


def test_what_cannot_share_an_axis_is_refused():
    with pytest.raises(ValueError, match="lenet-1a2b3c4d and points cannot share an axis"):
        plots.size_curves(pd.concat([sized(), sized(features="points")]))
    with pytest.raises(ValueError, match="there are 5 labels; at most 4"):
        plots.size_curves(pd.concat([sized(str(i)) for i in range(5)]))


def test_balls_fill_the_points_that_precision_and_recall_count():
    real = generator(0, "real").standard_normal((30, 2))
    synthetic = generator(0, "synthetic").normal([2.0, 0], 0.6, (20, 2))
    figure = plots.balls(real, synthetic, k=3)
    expected = neighbours(real, synthetic, k=3)
    shares = (expected.precision, expected.recall)
    for axes, share, asked in zip(figure.axes, shares, (synthetic, real), strict=True):
        middle, inside, outside = axes.lines
        count = len(inside.get_xdata())
        assert 0 < count < len(asked)
        assert count == round(share * len(asked))
        assert count + len(outside.get_xdata()) == len(asked)
        assert matplotlib.colors.to_rgba(inside.get_markerfacecolor())[3] == 1
        assert outside.get_markerfacecolor() == "none"
        assert len(axes.collections[0].get_paths()) == len(middle.get_xdata())
        assert f"{count} of {len(asked)}" in axes.get_title(loc="left")


def test_balls_need_the_plane_and_enough_points():
    with pytest.raises(TypeError, match="points with shape"):
        plots.balls(np.zeros((9, 3)), np.zeros((9, 3)))
    with pytest.raises(ValueError, match="k = 5 neighbours need at least 6"):
        plots.balls(np.eye(2), np.eye(2))
