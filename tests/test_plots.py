import io
import itertools

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from madlab import plots
from madlab.data.samples import Samples
from madlab.metrics import Scores
from madlab.metrics.pictures import PictureScores
from madlab.plots import sheets
from madlab.plots.lines import number, offered, styles
from madlab.store import COLUMNS, PICTURE_COLUMNS


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
    assert set(PICTURE_COLUMNS) <= set(found)
    return found.assign(**other)


def pixels(content):
    return np.asarray(Image.open(io.BytesIO(content)).convert("RGB"))


def axes_by_title(figure):
    return {axes.get_title(loc="left"): axes for axes in figure.axes}


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
    axes = plots.curves(records(seeds=(0, 1, 5)), metrics=["fd"]).axes[0]
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
    with pytest.raises(KeyError, match="no metric named 'fid'"):
        plots.curves(records(), metrics=["fid"])


def test_a_metric_that_is_nowhere_defined_is_left_out():
    titles = list(axes_by_title(plots.curves(records(features="points", read=None))))
    assert titles == ["FD-points", "precision (quality)", "recall (diversity)"]
    assert "read" not in plots.describe_curves(records(features="points", read=None))


def test_the_floor_is_a_line_where_it_is_defined():
    floor = Scores(1.5, 0.95, 0.9, 1.0, 0.9, float("nan"), 0)
    axes = axes_by_title(plots.curves(records(), floor=floor))
    assert axes["FD-LeNet"].lines[-1].get_ydata() == [1.5, 1.5]
    assert [line.get_label() for line in axes["read share"].lines] == ["fully synthetic, bias 1"]


def test_memorisation_has_no_floor():
    floor = PictureScores(**dict.fromkeys(PictureScores._fields, 0.5))
    figure = plots.curves(face_records(), ["recall", "memorisation"], floor)
    drawn = {
        title: [line.get_label() for line in one.lines]
        for title, one in axes_by_title(figure).items()
    }
    assert "real pictures" in drawn["recall (diversity)"]
    assert "real pictures" not in drawn["memorisation (1 = none)"]


def test_curves_of_faces_draw_the_scores_of_colour_pictures():
    floor = PictureScores(
        **dict.fromkeys(PictureScores._fields, 0) | {"kid": -0.002, "recall": 0.9}
    )
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
    assert kid.lines[-1].get_label() == "real pictures"
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
    assert list(names) == list(plots.PICTURE_METRICS)
    assert names["fd_ratio"] == "FD-EfficientNet / floor"
    assert offered(face_records(features="dinov2-0f"))["kid"] == "KID-DINOv2"
    assert set(offered(records())) == set(plots.METRICS)
    text = plots.describe_curves(face_records(), ["kid", "read", "distance"])
    assert text == (
        "From generation 1 to 4: fully synthetic, bias 1: KID-EfficientNet 1.5 to 3.0, pairwise "
        "distance / real 0.90 to 0.66."
    )
    with pytest.raises(ValueError, match="none of the metrics kid is in the records"):
        plots.curves(records(), ["kid"])


def test_curves_in_words_name_first_and_last_values():
    text = plots.describe_curves(records(seeds=(0, 2)), ["fd", "recall"])
    assert text == (
        "From generation 1 to 4, mean of 2 seeds: fully synthetic, bias 1: FD-LeNet 51.0 to 201, "
        "recall 0.60 to 0.15."
    )
    uneven = pd.concat([records(), records(["fresh data"], generations=2)])
    assert "fresh data, bias 1 (from generation 1 to 2)" in plots.describe_curves(uneven)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0.00"),
        (0.0203, "0.020"),
        (0.123, "0.12"),
        (2.34, "2.3"),
        (1234.6, "1,235"),
        (-0.0002, "0.000"),
        (-0.002, "-0.002"),
    ],
)
def test_numbers_have_about_three_figures(value, text):
    assert number(value) == text


def test_mosaic_puts_every_picture_in_its_place_in_dark_ink():
    images = np.arange(5 * 4, dtype=np.uint8).reshape(5, 2, 2)
    sheet = sheets.mosaic(images, columns=3, gap=1)
    assert sheet.shape == (5, 8)
    assert np.array_equal(sheet[0:2, 3:5], 255 - images[1])
    assert np.array_equal(sheet[3:5, 0:2], 255 - images[3])
    assert (sheet[3:5, 6:8] == 255).all()


def test_one_of_each_takes_the_first_of_every_label():
    images = np.arange(12, dtype=np.uint8).reshape(12, 1, 1) + 100
    found = sheets.one_of_each(Samples(images, np.array([3, 1, 3, 0, 2, 9, 8, 7, 6, 6, 5, 1])))
    assert found.ravel().tolist() == [103, 101, 104, 100, sheets.EMPTY, 110, 108, 107, 106, 105]
    assert sheets.one_of_each(Samples(images)).ravel().tolist() == list(range(100, 110))


def test_generations_sheet_leaves_room_for_what_is_to_come():
    some = Samples(np.full((10, 28, 28), 255, np.uint8), np.arange(10))
    axes = plots.generations_sheet({1: some, 2: some}, total=3).axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["1", "2", "3"]
    drawn = np.asarray(axes.images[0].get_array())
    assert (drawn[:28, :28] == 0).all()
    assert (drawn[60:88, :28] == 255 - sheets.EMPTY).all()


def test_colour_pictures_are_shown_as_they_are():
    images = np.random.default_rng(0).integers(0, 256, (5, 4, 4, 3)).astype(np.uint8)
    shown = sheets.mosaic(images, columns=3, gap=1)
    assert shown.shape == (9, 14, 3)
    assert np.array_equal(shown[0:4, 5:9], images[1])
    assert np.array_equal(shown[5:9, 0:4], images[3])
    assert (shown[5:9, 10:14] == 255).all()
    drawn = plots.sheet(images, columns=3).axes[0].images[0]
    assert np.array_equal(np.asarray(drawn.get_array()), sheets.mosaic(images, 3))


def test_a_sheet_makes_no_coarse_pattern_of_a_fine_one():
    board = np.indices((128, 128)).sum(0) % 2 * 200
    images = np.repeat(board.astype(np.uint8)[None, ..., None], 3, -1)
    drawn = pixels(plots.png(plots.sheet(np.repeat(images, 20, 0), columns=20), colours=None))
    inside = drawn[20:50, 20:50].astype(float)
    # 128 pixels are drawn on about 60: one in two left out would leave all of the contrast.
    assert inside.mean() == pytest.approx(100, abs=5)
    assert inside.std() < 15


def test_generations_of_colour_pictures_are_their_first_ten():
    images = np.random.default_rng(0).integers(0, 256, (12, 8, 8, 3)).astype(np.uint8)
    axes = plots.generations_sheet({1: Samples(images)}, total=2).axes[0]
    drawn = np.asarray(axes.images[0].get_array())
    assert np.array_equal(drawn[:8, :8], images[0])
    assert np.array_equal(drawn[:8, 90:98], images[9])
    assert (drawn[10:, :8] == 255 - sheets.EMPTY).all()
    assert not axes.get_xticklabels()


@pytest.mark.parametrize("images", [np.zeros((4, 2)), np.zeros((4, 8, 8, 4), np.uint8)])
def test_points_and_other_channels_have_no_picture(images):
    with pytest.raises(TypeError, match="points have no picture"):
        plots.sheet(images)


def test_class_histogram_shows_read_and_asked():
    axes = plots.class_histogram(np.array([1, 1, 7]), np.array([1, 2, 7])).axes[0]
    assert [bar.get_height() for bar in axes.patches] == [0, 2, 0, 0, 0, 0, 0, 1, 0, 0]
    asked = [segment[0][1] for segment in axes.collections[0].get_segments()]
    assert asked == [0, 1, 1, 0, 0, 0, 0, 1, 0, 0]
