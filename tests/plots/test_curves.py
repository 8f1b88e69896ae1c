import itertools

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from madlab import plots
from madlab.data.damage import DAMAGES
from madlab.metrics import Scores
from madlab.metrics.scores import KINDS
from madlab.plots.curves import damage_words, draw_damage, draw_damages, offered, styles
from madlab.tables import COLUMNS, table


def records(loops=("fully synthetic",), biases=(1.0,), seeds=(0,), generations=4, **other):
    rows = []
    for loop, bias, seed, t in itertools.product(loops, biases, seeds, range(1, generations + 1)):
        row = dict.fromkeys(COLUMNS)
        row |= {"generation": t, "loop": loop, "model": "mixture", "bias": bias, "seed": seed}
        row |= {"n_evaluate": 500, "features": "lenet-1a2b3c4d", "id": f"{loop}{bias}{seed}{t}"}
        row |= {"fd": 50.0 * t + seed, "precision": 0.9, "recall": 0.6 / t, "read": 0.99}
        row |= {"density": 1.2, "coverage": 0.3} | other
        rows.append(row)
    return pd.DataFrame(rows, columns=[*COLUMNS, *(set(other) - set(COLUMNS))])


def face_records(seeds=(0,), **other):
    """Return records as chains of colour pictures write them: without a read share."""
    found = records(seeds=seeds, model="face_gan", features="efficientnet-1a2b3c4d")
    found = found.drop(columns="read")
    found["kid"] = 1.0 + 0.5 * found["generation"]
    found["distance"] = 0.9 ** found["generation"]
    found["fd_ratio"], found["memorisation"] = found["fd"] / 10, 1.01
    for error in ("kid_error", "precision_error", "recall_error"):
        found[error] = 0.04
    assert set(table(found.to_dict("records"))) - {"read"} == set(found)
    return found.assign(**other)


def axes_by_title(picture):
    return {axes.get_title(loc="left"): axes for axes in picture.figure.axes}


def test_curves_draw_each_metric_from_zero_with_whole_generations():
    axes = axes_by_title(plots.curves(records()))
    assert list(axes) == ["FD-LeNet", "precision (quality)", "recall (diversity)", "read share"]
    for title, one in axes.items():
        assert one.get_ylim()[0] == 0
        assert one.get_xlabel() == "generation"
        assert one.get_xticks().tolist() == [1, 2, 3, 4]
        assert title == "FD-LeNet" or one.get_ylim()[1] == 1
    drawn = axes["FD-LeNet"].lines[0].get_xydata()
    assert drawn.tolist() == [[1, 50], [2, 100], [3, 150], [4, 200]]


def test_curves_draw_the_band_of_all_seeds_around_their_mean():
    axes = plots.curves(records(seeds=(0, 1, 5)), metrics=["fd"]).figure.axes[0]
    mean = next(line for line in axes.lines if line.get_label() == "fully synthetic, bias 1")
    assert np.allclose(mean.get_ydata(), [52, 102, 152, 202])
    assert len(axes.lines) == 4
    band = axes.collections[0].get_paths()[0].vertices
    assert set(band[band[:, 0] == 1, 1]) == {50, 55}


def test_a_loop_keeps_its_colour_and_marker_whatever_else_is_drawn():
    loops = ["fresh data", "fully synthetic", "synthetic augmentation"]
    many = styles(plots.tidy(records(loops, biases=(0.5, 1.0))))
    assert list(many) == [
        f"{loop}, bias {bias}"
        for loop in ("fully synthetic", "synthetic augmentation", "fresh data")
        for bias in ("1", "0.5")
    ]
    alone = styles(plots.tidy(records(["fresh data"])))
    assert alone["fresh data, bias 1"] == many["fresh data, bias 1"]
    assert len(set(many.values())) == 6
    assert all(look[2] == "solid" for name, look in many.items() if name.endswith("bias 1"))
    biased = styles(plots.tidy(records(biases=(0.5,))))
    assert biased["fully synthetic, bias 0.5"][2] != "solid"


@pytest.mark.parametrize("loop", ["fresh data", "fresh data, last 3 generations"])
def test_lines_of_one_loop_differ_in_colour_and_marker(loop):
    biases = (1.0, 0.9, 0.8, 0.7, 0.6, 0.5)
    found = styles(plots.tidy(records([loop], biases)))
    assert list(found) == [f"{loop}, bias {bias:g}" for bias in biases]
    colours, markers, _ = zip(*found.values(), strict=True)
    assert len(set(colours)) == len(set(markers)) == len(biases)
    alone = styles(plots.tidy(records([loop])))
    assert alone[f"{loop}, bias 1"] == found[f"{loop}, bias 1"]
    several = styles(plots.tidy(records([loop, "fully synthetic"], biases)))
    assert len({look[:2] for look in several.values()}) == 2


def test_other_loops_models_and_labels_are_told_apart():
    mixed = pd.concat([records(model="mixture"), records(model="diffusion", id="other")])
    mixed["id"] = [str(i) for i in range(len(mixed))]
    found = styles(plots.tidy(mixed))
    assert set(found) == {"fully synthetic, mixture, bias 1", "fully synthetic, diffusion, bias 1"}
    assert len(set(found.values())) == 2
    variant = records(["fresh data, last 3 generations", "fresh data"])
    assert len(set(styles(plots.tidy(variant)).values())) == 2
    sizes = pd.concat([records(label="few"), records(label="many")])
    assert set(styles(plots.tidy(sizes))) == {
        "fully synthetic, few, bias 1",
        "fully synthetic, many, bias 1",
    }


@pytest.mark.parametrize(
    ("other", "what"), [({"n_evaluate": 999}, "n_evaluate"), ({"features": "points"}, "features")]
)
def test_scores_that_cannot_be_compared_never_share_an_axis(other, what):
    with pytest.raises(ValueError, match=f"2 values of {what}.*cannot share an axis"):
        plots.curves(pd.concat([records(), records(**other)]))


def test_chains_of_other_sizes_are_not_averaged_by_mistake():
    again = records()
    again["id"] = "other"
    with pytest.raises(ValueError, match="generation 1 of fully synthetic, bias 1, seed 0"):
        plots.curves(pd.concat([records(), again]))
    # The same records twice, from a chain and from its store say, are one line.
    assert len(plots.tidy(pd.concat([records(), records()]))) == 4


def test_records_without_rows_and_unknown_metrics_are_refused():
    with pytest.raises(ValueError, match="run a chain first"):
        plots.curves(records().iloc[:0])
    with pytest.raises(KeyError, match="no metric 'fid'"):
        plots.curves(records(), metrics=["fid"])


def test_a_metric_that_is_named_twice_is_drawn_once():
    assert len(plots.curves(records(), metrics=["fd", "fd"]).figure.axes) == 1


def test_a_metric_that_is_nowhere_defined_is_left_out():
    titles = list(axes_by_title(plots.curves(records(features="points", read=None))))
    assert titles == ["FD-points", "precision (quality)", "recall (diversity)"]
    assert "read" not in plots.curves(records(features="points", read=None)).alt


def test_the_floor_is_a_line_where_it_is_defined():
    floor = Scores(fd=1.5, precision=0.95, recall=0.9, density=1.0, coverage=0.9, read=float("nan"))
    axes = axes_by_title(plots.curves(records(), floor=floor))
    assert axes["FD-LeNet"].lines[0].get_ydata() == [1.5, 1.5]
    assert [line.get_label() for line in axes["read share"].lines] == ["fully synthetic, bias 1"]


def test_memorisation_has_no_floor():
    floor = Scores(recall=0.5, memorisation=0.5)
    picture = plots.curves(face_records(), ["recall", "memorisation"], floor)
    drawn = {
        title: [line.get_label() for line in one.lines]
        for title, one in axes_by_title(picture).items()
    }
    assert "real pictures" in drawn["recall (diversity)"]
    assert "real pictures" not in drawn["memorisation (1 = none)"]


def test_curves_of_faces_draw_the_scores_of_colour_pictures():
    floor = Scores(**dict.fromkeys(KINDS["pictures"].shown, 0) | {"kid": -0.002, "recall": 0.9})
    axes = axes_by_title(plots.curves(face_records(), floor=floor))
    assert list(axes) == [
        "KID-EfficientNet",
        "recall (diversity)",
        "pairwise distance / real",
        "precision (quality)",
    ]
    kid = axes["KID-EfficientNet"]
    line = next(line for line in kid.lines if "fully" in str(line.get_label()))
    assert line.get_xydata().tolist() == [[1, 1.5], [2, 2], [3, 2.5], [4, 3]]
    # What real pictures score is in sight, though it is below zero.
    assert kid.get_ylim()[0] <= -0.002
    assert kid.lines[0].get_label() == "real pictures"
    for title, one in axes.items():
        assert title.startswith("KID") or one.get_ylim()[0] == 0


def test_a_score_of_one_seed_gets_a_bar_of_its_error_and_several_seeds_a_band():
    axes = axes_by_title(plots.curves(face_records()))
    (bars,) = axes["KID-EfficientNet"].collections
    spans = [segment[:, 1].tolist() for segment in bars.get_segments()]
    assert np.allclose(spans, [[1.46, 1.54], [1.96, 2.04], [2.46, 2.54], [2.96, 3.04]])
    assert not axes["pairwise distance / real"].collections
    several = axes_by_title(plots.curves(face_records(seeds=(0, 1))))
    (band,) = several["recall (diversity)"].collections
    assert not hasattr(band, "get_segments")


def test_scores_of_faces_name_their_features_and_digits_are_offered_no_kid():
    names = offered(face_records())
    assert list(names) == list(KINDS["pictures"].shown)
    assert names["fd_ratio"] == "FD-EfficientNet / floor"
    assert offered(face_records(features="dinov2-0f"))["kid"] == "KID-DINOv2"
    assert set(offered(records())) == set(KINDS["digits"].shown)
    text = plots.curves(face_records(), ["kid", "read", "distance"]).alt
    assert text == (
        "From generation 1 to 4: fully synthetic, bias 1: KID-EfficientNet 1.5 to 3.0, pairwise "
        "distance / real 0.90 to 0.66."
    )
    with pytest.raises(ValueError, match="none of the metrics kid is in the records"):
        plots.curves(records(), ["kid"])


def test_curves_in_words_name_first_and_last_values():
    text = plots.curves(records(seeds=(0, 2)), ["fd", "recall"]).alt
    assert text == (
        "From generation 1 to 4, mean of 2 seeds: fully synthetic, bias 1: FD-LeNet 51.0 to 201, "
        "recall 0.60 to 0.15."
    )
    uneven = pd.concat([records(), records(["fresh data"], generations=2)])
    assert "From generation 1 to 2: fresh data, bias 1: FD" in plots.curves(uneven).alt


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
    draw_damage(figure, curve().sample(frac=1, random_state=1), 0.5)
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
    draw_damages(figure, curves, pictures)
    grid = np.array(figure.axes).reshape(len(DAMAGES), 7)
    assert [axes.get_title(loc="left") for axes in grid[:, 0]] == list(DAMAGES)
    assert [axes.get_ylim() for axes in grid[:, 1]] == [pytest.approx((0, 1.05 * 20.5))] * 5
    lines = [axes.lines[1] for axes in grid[:, 1]]
    assert len({line.get_color() for line in lines}) == len(DAMAGES)
    assert len({line.get_marker() for line in lines}) == len(DAMAGES)
    assert all(len(axes.images) == 1 for axes in grid[:, 0])


def test_damages_in_words_have_the_scores_of_both_ends():
    text = damage_words(pd.concat([curve("drop"), curve("noise", 2.0)]))
    assert text == (
        "From strength 0 to 1: drop: FD-LeNet 0.50 to 4.5, precision 0.90 to 0.15, recall 0.80 to "
        "0.18, read share 1.00 to 0.50, density 1.00 to 2.0, coverage 0.75 to 0.50; noise: "
        "FD-LeNet 0.50 to 8.5, precision 0.90 to 0.15, recall 0.80 to 0.18, read share 1.00 to "
        "0.50, density 1.00 to 3.0, coverage 0.75 to 0.50; undamaged: FD-LeNet 0.50, precision "
        "0.90, recall 0.80, read share 1.00, density 1.00, coverage 0.75."
    )
    half = damage_words(curve(), 0.5)
    assert half.startswith("From strength 0 to 0.5: noise: FD-LeNet 0.50 to 2.5, precision 0.90 to")


def test_sizes_are_drawn_as_means_with_bands_on_a_logarithmic_axis():
    expected = pd.DataFrame({"n": [100, 1000], "fd": [0.9, 0.1], "label": "expected"})
    both = pd.concat([sized(), sized("damaged", 0.5), expected], ignore_index=True)
    both["features"] = "lenet-1a2b3c4d"
    figure = plots.size_curves(both).figure
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
    assert len({str(line._unscaled_dash_pattern) for line in fd.lines}) == 3


def test_sizes_in_words_leave_out_what_is_missing():
    text = plots.size_curves(sized(read=np.nan)).alt
    assert text == (
        "From n, samples of each kind 100 to 1,000, mean of 3 subsets: real: FD-LeNet 1.01 to "
        "0.10, precision 0.60 to 0.60, recall 0.60 to 0.60, density 0.60 to 0.60, coverage 0.60 to "
        "0.60."
    )


def test_one_unnamed_set_needs_no_legend():
    figure = plots.size_curves(sized().drop(columns="label")).figure
    assert not figure.legends
    assert len(figure.axes[0].lines) == 1


def test_what_cannot_share_an_axis_is_refused():
    with pytest.raises(ValueError, match=r"lenet-1a2b3c4d, points\. Scores of different"):
        plots.size_curves(pd.concat([sized(), sized(features="points")]))
    with pytest.raises(ValueError, match="7 lines cannot be told apart"):
        plots.size_curves(pd.concat([sized(str(i)) for i in range(7)]))
