"""The panels of colour pictures, driven from Python: explorer, time-lapse, curves, plain lines."""

import base64
import io
import re

import ipywidgets as widgets
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from madlab import Chain, Loop, data, gallery, models, panels
from madlab.data.samples import Dataset, Samples
from madlab.gallery import sources
from madlab.metrics.spectrum import grid_power, power_spectrum
from madlab.models.principal import Principal
from madlab.panels import face_explorer, time_lapse
from madlab.panels.face_runs import face_runs
from madlab.plots.lines import number

SIZE = 16


class Following(Principal):
    """A model whose equal noise is said to give corresponding pictures."""

    follows_noise = True


def blobs(n, seed, colours=(40, 200)):
    """Smooth pictures in colour, unlike each other."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(*colours, (n, 4, 4, 3)).repeat(4, 1).repeat(4, 2)
    return (coarse + rng.integers(-8, 9, coarse.shape)).astype(np.uint8)


@pytest.fixture(scope="module")
def pictures():
    # Real held-out pictures are magenta, as no other picture is.
    held_out = blobs(40, 1)
    held_out[..., [0, 2]], held_out[..., 1] = 255 - held_out[..., [0, 2]] // 16, 0
    return Dataset("blobs-of-panels", blobs(60, 0), None, Samples(held_out))


@pytest.fixture(scope="module")
def chains(pictures, tmp_path_factory):
    store = tmp_path_factory.mktemp("faces") / "store"
    loop, made = Loop.fully_synthetic(60), {}
    for name, model, bias, generations in (
        ("ψ = 1", Principal(8), 1.0, 3),
        ("ψ = 0.5", Principal(8), 0.5, 2),
        ("follows", Following(8), 1.0, 3),
    ):
        chain = Chain(loop, model, pictures, bias=bias, store=store, n_evaluate=60, features="pca")
        list(chain.run(generations))
        made[name] = chain
    return made


@pytest.fixture(scope="module")
def kept(chains, pictures, tmp_path_factory):
    """A gallery of the chains, in which no picture counts as too near a real one."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sources, "far_enough", lambda images, *_, **__: np.ones(len(images), bool))
        folder = tmp_path_factory.mktemp("gallery") / "gallery"
        return gallery.build([chains["ψ = 1"].store], folder, data=[pictures]).gallery


@pytest.fixture
def shown(chains):
    return panels.FaceExplorer(chains)


@pytest.fixture
def drawn(monkeypatch):
    """What the panels hand to the function that draws sheets, call by call."""
    calls = []
    for module in (face_explorer, time_lapse):
        draw = module.draw_sheet

        def draw_sheet(axes, images, columns=10, *, draw=draw, **more):
            calls.append((images, columns, more))
            draw(axes, images, columns, **more)

        monkeypatch.setattr(module, "draw_sheet", draw_sheet)
    return calls


def images_in(page):
    found = re.findall(r"data:image/png;base64,([^\"]+)", page)
    return [
        np.asarray(Image.open(io.BytesIO(base64.b64decode(one))).convert("RGB")) for one in found
    ]


def check_page(page):
    """Every picture of a fallback has alt text, a caption, and more than one colour."""
    pictures = images_in(page)
    alts = re.findall(r'<img alt="([^"]+)"', page)
    captions = re.findall(r"<figcaption>(.+?)</figcaption>", page)
    assert len(pictures) == len(alts) == len(captions) > 0
    assert all(picture.std() > 10 for picture in pictures)
    assert all(len(text) > 30 for text in (*alts, *captions))
    return alts


def controls_of(box):
    for child in box.children:
        if isinstance(child, widgets.Box):
            yield from controls_of(child)
        elif isinstance(child, widgets.ValueWidget) and not isinstance(
            child, (widgets.HTML, widgets.Label, widgets.Image)
        ):
            yield child


def magenta(picture):
    r, g, b = (picture[..., i].astype(int) for i in range(3))
    return ((r > 200) & (b > 200) & (g < 60)).any()


def test_pictures_are_followed_by_noise_or_to_the_nearest_of_all(chains):
    runs = face_runs(chains)
    first = chains["ψ = 1"].preview(1).images
    np.testing.assert_array_equal(runs["ψ = 1"].followed(1), first)
    among = chains["ψ = 1"].samples(3).images
    apart = ((first[:, None].astype(int) - among[None]) ** 2).sum((2, 3, 4))
    np.testing.assert_array_equal(runs["ψ = 1"].followed(3), among[apart.argmin(1)])
    np.testing.assert_array_equal(runs["follows"].followed(3), chains["follows"].preview(3).images)
    assert [run.how for run in runs.values()] == ["matched", "matched", "same noise"]


def test_the_matrix_has_a_row_a_chain_and_a_column_a_generation(chains, drawn):
    shown = panels.FaceExplorer(chains)
    shown.chosen.value = 7
    cells, columns, more = drawn[-1]
    assert (len(cells), columns) == (9, 3)
    runs = list(face_runs(chains).values())
    for place, cell in enumerate(cells):
        run, t = runs[place // 3], place % 3 + 1
        if t in run.generations:
            np.testing.assert_array_equal(cell, run.followed(t)[7])
        else:
            assert len(np.unique(cell)) == 1
    assert more["rows"] == ["ψ = 1\n(matched)", "ψ = 0.5\n(matched)", "follows\n(same noise)"]
    assert more["heads"] == ["1", "2", "3"]
    assert more["frame"] == 2
    # Chain 2 has two generations: its last is framed and shown.
    shown.chain.value = "ψ = 0.5"
    assert drawn[-1][2]["frame"] == 4
    assert "generation 2 of ψ = 0.5" in shown.alt()


def near(shown):
    (axes,) = (a for a in shown.figure().axes if a.get_title(loc="left").startswith("generation")
               and "power" not in a.get_title(loc="left"))  # fmt: skip
    return axes.images[0]


def test_zoom_shows_the_middle_in_whole_pixels(shown):
    cell = shown.runs["ψ = 1"].followed(3)[0]
    for zoom, part in ((1, slice(0, 16)), (2, slice(4, 12)), (4, slice(6, 10))):
        shown.zoom.value = zoom
        found = near(shown)
        np.testing.assert_array_equal(found.get_array(), cell[part, part])
        assert found.get_interpolation() == "nearest"
    shown.zoom.value = 1
    shown.whole.value = True
    sheet = near(shown).get_array()
    assert sheet.shape == (5 * SIZE + 4 * 2, 5 * SIZE + 4 * 2, 3)
    np.testing.assert_array_equal(sheet[-SIZE:, -SIZE:], shown.runs["ψ = 1"].pictures(3)[24])


def test_the_words_give_scores_and_what_the_spectrum_says(shown, chains, pictures):
    shown.generation.value = 2
    row = chains["ψ = 1"].records().iloc[1]
    said = shown.alt()
    assert f"KID {row['kid']:.3g} ± {row['kid_error']:.1g}, recall {row['recall']:.2f}" in said
    assert f"{row['distance']:.2f} of the real one" in said
    real = power_spectrum(pictures.held_out.images)
    times = grid_power(power_spectrum(chains["ψ = 1"].samples(2).images), real)
    assert f"grid {number(times)} times that of real held-out pictures" in said
    assert said in shown.status.value.replace("&#x27;", "'")
    assert "Rows of ψ = 1 and ψ = 0.5 are matched" in shown.settings()
    assert "not the same noise" in shown.settings()
    assert "fully synthetic: generation 1 trains on 60 real samples" in shown.settings()


def test_every_control_redraws_once_has_a_label_and_works_by_keyboard(shown):
    assert [control.description for control in controls_of(shown) if control.description] == [
        "chain", "generation", "picture", "zoom", "25 pictures",
    ]  # fmt: skip
    for control, value in (
        (shown.chosen, 5),
        (shown.zoom, 4),
        (shown.whole, True),
        (shown.generation, 1),
        (shown.chain, "follows"),
    ):
        before = shown.picture.value
        control.value = value
        assert shown.picture.value != before, control


def test_no_real_picture_is_in_any_picture(chains, pictures):
    assert magenta(pictures.held_out.images)
    shown = panels.FaceExplorer(chains)
    lapse = panels.TimeLapse(chains)
    pages = shown.fallback() + shown.html() + lapse.fallback() + lapse.html()
    found = images_in(pages)
    assert len(found) == 5
    assert not any(magenta(picture) for picture in found)


def test_without_a_kernel_the_explorer_shows_every_chain_and_its_spectrum(shown):
    sheet, spectra = check_page(shown.fallback())
    assert "a row for each of ψ = 1, ψ = 0.5, follows" in sheet
    assert "ψ = 0.5, generation 2: power at the frequencies of a grid" in spectra


def test_full_colour_is_kept(shown):
    colours = np.unique(images_in(shown.html())[0].reshape(-1, 3), axis=0)
    assert len(colours) > 256


def test_the_time_lapse_plays_through_the_generations(chains):
    shown = panels.TimeLapse(chains)
    assert shown.generation.value == 1
    seen = []
    for place in range(3):
        shown.play.value = place
        assert shown.generation.value == place + 1
        assert f"50 pictures of generation {place + 1} of 3, ψ = 1: KID" in shown.alt()
        seen.append(shown.picture.value)
    assert len(set(seen)) == 3
    shown.play.value = 0
    assert shown.picture.value == seen[0]
    shown.generation.value = 2
    assert shown.play.value == 1
    shown.chain.value = "ψ = 0.5"
    shown.play.value = 2
    assert "generation 2 of 2, ψ = 0.5" in shown.alt()
    assert [control.description for control in controls_of(shown) if control.description] == [
        "chain", "generation", "play",
    ]  # fmt: skip


def test_the_time_lapse_shows_what_each_generation_drew(chains, drawn):
    shown = panels.TimeLapse(chains)
    shown.generation.value = 3
    images, *_ = drawn[-1]
    np.testing.assert_array_equal(images, chains["ψ = 1"].preview(3).images[:50])
    assert "do not correspond" in shown.settings()
    shown.chain.value = "follows"
    assert "same noise in every generation" in shown.settings()


def test_the_time_lapse_is_exported_as_a_gif(chains, tmp_path):
    shown = panels.TimeLapse(chains)
    path = shown.export(tmp_path / "faces of ψ.gif")
    with Image.open(path) as film:
        assert (film.format, film.n_frames) == ("GIF", 3)
    (alt,) = check_page(shown.fallback())
    assert "one row each" in alt
    with pytest.raises(OSError, match="nowhere"):
        shown.export(tmp_path / "nowhere" / "x.gif")


def test_the_gallery_is_shown_in_the_same_shape(kept, drawn):
    shown = panels.FaceExplorer(kept)
    whole, half = "principal, fully synthetic, λ = 1", "principal, fully synthetic, λ = 0.5"
    assert list(shown.runs) == [whole, half]
    cells, columns, _ = drawn[-1]
    assert (len(cells), columns) == (6, 3)
    (name,) = kept.chains(bias=1.0)["chain"]
    np.testing.assert_array_equal(cells[0], kept.sheet(name, 1).images[0])
    # It has no real pictures to hold spectra against.
    power, whose = shown.runs[whole].yardstick
    assert whose == "generation 1"
    np.testing.assert_array_equal(power, power_spectrum(kept.sheet(name, 1).images))
    assert "times that of generation 1" in shown.alt()
    assert "Rows are matched" in shown.settings()
    assert "60 real, then 60 synthetic pictures" in shown.settings()
    check_page(shown.fallback())
    chosen = face_runs(kept, bias=0.5)
    assert list(panels.TimeLapse(chosen).runs) == [half]
    with pytest.raises(KeyError, match=r"no bias 0\.9"):
        face_runs(kept, bias=0.9)


def test_a_gallery_without_colour_pictures_is_refused(tmp_path):
    loop, store = Loop.fully_synthetic(200), tmp_path / "store"
    list(Chain(loop, "mixture", data.mnist(), store=store, n_evaluate=50).run(2))
    digits = gallery.build([store], tmp_path / "gallery").gallery
    with pytest.raises(ValueError, match="no chains of colour pictures"):
        panels.FaceExplorer(digits)


def test_pictures_of_two_sizes_share_a_matrix(chains, drawn):
    small = face_runs(chains)["ψ = 1"]
    large = blobs(50, 5).repeat(2, 1).repeat(2, 2)
    records = small.records.iloc[:1]

    def run(name, images):
        def give(t):
            return images

        return panels.FaceRun(name, f"{name}.", records, (1,), True, give, give)

    shown = panels.FaceExplorer({"ψ = 1": small, "large": run("large", large)})
    cells = drawn[-1][0]
    assert cells.shape == (6, 32, 32, 3)
    np.testing.assert_array_equal(cells[0][::2, ::2], small.pictures(1)[0])
    np.testing.assert_array_equal(cells[3], large[0])
    shown.chain.value = "large"
    assert "picture 0 of generation 1 of large" in shown.alt()
    other = run("odd", np.zeros((9, 24, 24, 3), np.uint8))
    with pytest.raises(ValueError, match="16 and 24 pixels a side"):
        panels.FaceExplorer({"ψ = 1": small, "odd": other})


@pytest.mark.parametrize("panel", [panels.FaceExplorer, panels.TimeLapse])
def test_what_cannot_be_shown_is_refused(panel, chains, pictures):
    with pytest.raises(ValueError, match="no chains of colour pictures"):
        panel({})
    idle = Chain(Loop.fully_synthetic(60), Principal(8), pictures, n_evaluate=60, features="pca")
    with pytest.raises(ValueError, match="'idle' has not run"):
        panel({"idle": idle})
    digits = Chain(Loop.fully_synthetic(50), models.create("mixture"), data.mnist(), n_evaluate=50)
    with pytest.raises(ValueError, match="'digits' has no colour pictures"):
        panel({"digits": digits})
    # One chain needs no name.
    assert list(panel(chains["ψ = 1"]).runs) == ["principal, fully synthetic, λ = 1"]


def test_curves_of_pictures_show_their_headline_scores(chains):
    records = pd.concat([chains[name].records() for name in ("ψ = 1", "ψ = 0.5")])
    shown = panels.LoopComparison(records, floor=None)
    ticked = [name for name, box in shown.metrics.items() if box.value]
    assert ticked == ["kid", "recall", "distance", "precision"]
    # A Fréchet distance of so few pictures is offered as a multiple of its floor alone.
    assert "fd" not in shown.metrics
    assert "fd_ratio" in shown.metrics
    titles = [axes.get_title(loc="left") for axes in shown.figure().axes]
    assert titles[0] == "KID-PCA"
    assert re.search(r"KID-PCA [\d.-]+ to [\d.-]+, recall", shown.alt())
    first = shown.figure().axes[0]
    bars = [one for one in first.containers if len(one) == 3]
    assert len(bars) == 2
    spans = bars[0][2][0].get_segments()
    row = chains["ψ = 1"].records().iloc[0]
    assert np.allclose(
        [spans[0][0][1], spans[0][1][1]],
        [row["kid"] - row["kid_error"], row["kid"] + row["kid_error"]],
    )


def test_the_plain_line_of_pictures_says_kid_and_recall(chains, capsys):
    panels.watch(chains["ψ = 1"], 2)
    line = capsys.readouterr().out.splitlines()[1]
    row = chains["ψ = 1"].records().iloc[1]
    assert line.startswith("fully synthetic, principal, bias 1, seed 0: generation 2 of 2: KID")
    assert f"KID {row['kid']:.3g} ± {row['kid_error']:.1g}, recall {row['recall']:.2f}" in line
    assert "read" not in line
