"""The browser over chains and galleries, digits and colour, driven from Python."""

import re
import shutil

import numpy as np
import pytest
from panel_checks import check_controls, check_page, check_pages, images_in
from PIL import Image

from madlab import Chain, Loop, data, gallery, models, panels
from madlab.data.samples import Samples
from madlab.gallery import building
from madlab.metrics import features
from madlab.metrics.distances import nearest
from madlab.metrics.features import LeNetFeatures
from madlab.metrics.spectrum import grid_power, power_spectrum
from madlab.panels import Browser, chain_pictures, chain_view, chain_views
from madlab.plots.lines import number
from madlab.store import Store

SIZE = 16
SYNTHETIC = Loop.fully_synthetic(300)
KEPT = [
    (Loop.fresh_data(150, 150, n_initial=300), {}, 1.0, 4),
    (SYNTHETIC, {}, 0.5, 3),
    (SYNTHETIC, {}, 1.0, 6),
    (Loop.fully_synthetic(200), {}, 1.0, 2),
    (SYNTHETIC, {"components": 3}, 1.0, 2),
]


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    """A gallery of digits."""
    folder = tmp_path_factory.mktemp("shown")
    for loop, settings, bias, generations in KEPT:
        model = models.create("mixture", **settings)
        chain = Chain(loop, model, data.mnist(), bias=bias, store=folder / "store", n_evaluate=100)
        list(chain.run(generations))
    return gallery.build([folder / "store"], folder / "gallery").gallery


@pytest.fixture(scope="module")
def kept(faces, pictures, tmp_path_factory):
    """A gallery of the chains in colour, in which no picture counts as too near a real one."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(building, "far_enough", lambda images, *_, **__: np.ones(len(images), bool))
        folder = tmp_path_factory.mktemp("gallery") / "gallery"
        return gallery.build([faces["ψ = 1"].store], folder, data=[pictures]).gallery


@pytest.fixture
def drawn(monkeypatch):
    """What the browser hands to the function that draws sheets, call by call."""
    calls, draw = [], chain_pictures.draw_sheet

    def draw_sheet(axes, images, columns=10, **more):
        calls.append((images, columns, more))
        draw(axes, images, columns, **more)

    monkeypatch.setattr(chain_pictures, "draw_sheet", draw_sheet)
    return calls


def values(control):
    return [value for _, value in control.options]


def magenta(picture):
    r, g, b = (picture[..., i].astype(int) for i in range(3))
    return ((r > 200) & (b > 200) & (g < 60)).any()


# Digits of chains.


def test_digits_of_any_generation_and_any_picture(chains):
    shown = Browser(chains)
    check_controls(shown)
    seen = {shown.picture.value}
    shown.generation.value = 2
    seen.add(shown.picture.value)
    shown.chosen.value = 42
    seen.add(shown.picture.value)
    shown.lists["chain"].value = "fresh data"
    shown.generation.value = 3
    seen.add(shown.picture.value)
    assert len(seen) == 4
    assert "Generation 3 of 3, fresh data." in shown.alt()
    assert "100 pictures of generation 3 beside those of generation 1" in shown.alt()
    assert "picture 42, a 2, in generations 1, 2, 3 of fully synthetic, fresh data" in shown.alt()
    samples = chains["fresh data"].samples(3)
    share = (features.read(samples.images) == samples.labels).mean()
    assert f"{share:.0%} of 100 digits are read as their label" in shown.alt()
    assert shown.view.layout.display == shown.zoom.layout.display == "none"


def test_pictures_of_a_mixture_are_matched_and_said_to_be(chains):
    chain = chains["fully synthetic"]
    shown = Browser(chain)
    assert "matched: of each generation the picture nearest to that of gen" in shown.settings()
    assert "not the same noise" in shown.settings()
    found = shown.chain.followed(3)
    index = nearest(chain.preview(1), chain.samples(3))
    there = index >= 0
    assert there.sum() > 80
    assert np.array_equal(found[there], chain.samples(3).images[index[there]])
    assert (found[~there] == 0).all()


def test_pictures_are_matched_once_however_often_another_is_chosen(chains, monkeypatch):
    shown, found = Browser(chains), []
    monkeypatch.setattr(chain_view, "nearest", lambda *given: found.append(1) or nearest(*given))
    for chosen in (3, 1, 4):
        shown.chosen.value = chosen
    shown.generation.value = 2
    assert len(found) <= 2 * len(chains)


def test_chains_with_other_lists_are_chosen_by_name(chains):
    views = chain_views(chains)
    for view, key in zip(views.values(), ("who", "when"), strict=True):
        view.lists = {key: "x"}
    assert [*Browser([*views.values()]).lists] == ["chain"]


def test_pictures_of_a_model_that_follows_noise_are_its_previews(chains, monkeypatch):
    chain = chains["fully synthetic"]
    monkeypatch.setattr(type(chain.model), "follows_noise", True, raising=False)
    shown = Browser({"flow": chain})
    assert "same noise gives a chain's pictures in every generation" in shown.settings()
    assert np.array_equal(shown.chain.followed(3), chain.preview(3).images)


def test_without_a_kernel_there_is_a_contact_sheet_of_every_chain(chains):
    shown = Browser(chains)
    alt = check_page(shown._repr_mimebundle_()["text/html"])
    assert "fully synthetic, generations 1, 2, 3; generation 3: FD-LeNet" in alt
    assert "fresh data, generations 1, 2, 3; generation 3: FD-LeNet" in alt
    # The state at hand is kept apart from it.
    assert "picture 0, a 0, in generations" in check_page(shown.html())


def test_chains_with_nothing_to_browse_are_refused(digits):
    with pytest.raises(ValueError, match="give at least one"):
        Browser({})
    with pytest.raises(ValueError, match="'new' has not run"):
        Browser({"new": Chain(Loop.fully_synthetic(300), "mixture", digits, n_evaluate=100)})
    points = Chain(
        Loop.fully_synthetic(9), "gaussian", data.gaussian(n=9, n_held_out=9), n_evaluate=9
    )
    with pytest.raises(ValueError, match="'points' has points, not pictures"):
        Browser({"points": points})


# Digits of a gallery.


def test_a_gallery_begins_with_the_unbiased_fully_synthetic_loop_and_its_last_generation(own):
    shown = Browser(own)
    chosen = {name: control.value for name, control in shown.lists.items()}
    assert chosen.pop("n").startswith("300 real, then 300 synthetic")
    assert list(chosen.values()) == ["digits", "mixture", "fully synthetic", 1.0]
    assert values(shown.lists["loop"]) == ["fully synthetic", "fresh data"]
    assert values(shown.lists["bias"]) == [1.0, 0.5]
    # The largest chain, of equals the longest.
    assert shown.generation.value == 6
    check_controls(shown)


def test_lists_offer_what_there_is_and_keep_what_was_chosen(own):
    shown = Browser(own)
    size, loop, bias = (shown.lists[name] for name in ("n", "loop", "bias"))
    assert len(values(size)) == 3
    alike = [label for label in values(size) if label.startswith("300 real, then 300 synthetic (")]
    assert len(alike) == 2
    assert "200 real, then 200 synthetic" in values(size)
    bias.value = 0.5
    assert values(size) == ["300 real, then 300 synthetic"]
    assert values(shown.generation) == [1, 2, 3]
    loop.value = "fresh data"
    # There is no bias 0.5 in this loop.
    assert (loop.value, bias.value, values(bias)) == ("fresh data", 1.0, [1.0])
    assert values(shown.generation) == [1, 2, 3, 4]
    shown.generation.value = 2
    loop.value = "fully synthetic"
    assert shown.generation.value == 2


def test_the_slider_stays_in_the_chain(own):
    shown = Browser(own)
    listed = shown.generation.box.children[0]
    for size in values(shown.lists["n"]):
        shown.lists["n"].value = size
        for t in values(shown.generation):
            listed.value = t
            assert shown.generation.value == t
            assert f"Generation {t} of " in shown.alt()
    shown.lists["n"].value = values(shown.lists["n"])[0]
    assert values(shown.generation) == [1, 2, 3, 5, 6] == values(listed)
    shown.generation.value = 5
    shown.lists["loop"].value = "fresh data"
    assert shown.generation.value == listed.value == 4


def test_it_draws_generation_1_beside_the_chosen_one(own, drawn):
    shown = Browser(own, loop="fresh data", generation=3)
    (name,) = own.chains(loop="fresh data")["chain"]
    assert len(drawn) == 3
    for (images, _, _), t in zip(drawn, (1, 3), strict=False):
        np.testing.assert_array_equal(images, own.sheet(name, t).images)
    titles = [axes.get_title(loc="left") for axes in shown.figure().axes]
    assert titles[:2] == ["generation 1", "generation 3"]
    # Each change draws once.
    drawn.clear()
    before = shown.picture.value
    shown.lists["loop"].value = "fully synthetic"
    assert len(drawn) == 3
    assert shown.picture.value != before


def test_the_words_give_scores_of_both_generations_size_and_device(own):
    shown = Browser(own, bias=0.5, generation=2)
    records = own.records(loop="fully synthetic", bias=0.5).set_index("generation")
    said = shown.alt()
    assert said in shown.status.value.replace("&#x27;", "'")
    for name, metric in (("FD-LeNet", "fd"), ("precision", "precision"), ("recall", "recall")):
        now, first = records.loc[2, metric], records.loc[1, metric]
        assert f"{name} {number(now)} ({number(first)})" in said
    assert "Generation 2 of 3, mixture, fully synthetic, λ = 0.5" in said
    assert "generation 1's in brackets" in said
    about = shown.settings()
    assert "trained on 300 real, then 300 synthetic pictures on cpu" in about
    assert "seed 0, one of 1 that were run; scores on 100 samples" in about
    assert LeNetFeatures().name in about


def test_without_a_kernel_a_gallery_shows_the_chosen_chain(own):
    shown = Browser(own, bias=0.5)
    page = shown._repr_mimebundle_()["text/html"]
    alt = check_page(page)
    assert alt.startswith("Contact sheet, one row of pictures a generation. mixture, fully synth")
    assert "generations 1, 2, 3; generation 3: " in alt
    assert "recall" in alt
    assert re.search(r'<img alt="Generation 3 of 3', shown.html())


def test_what_the_gallery_does_not_have_is_refused(own, tmp_path):
    for given, message in [
        ({"family": "gan"}, "no chain of family gan to show; by family there are: mixture"),
        (
            {"loop": "fresh"},
            "no chain of loop fresh to show; by loop there are: fully synthetic; fresh data",
        ),
        ({"bias": 0.7}, r"no chain of bias 0\.7 to show; by bias there are: 1; 0\.5"),
        ({"bias": None}, "no chain of bias None to show; by bias there are: 1; "),
        ({"flavour": 1}, "no chain of flavour 1 to show; by subject and family and"),
        ({"generation": 4, "bias": 0.5}, "has no generation 4 to show, but 1, 2, 3"),
        (
            {"loop": "fresh data", "bias": 0.5},
            r"loop fresh data, bias 0\.5 to show; by loop and bias there are: fully synthetic, 1; ",
        ),
    ]:
        with pytest.raises(KeyError, match=message):
            Browser(own, **given)
    with pytest.raises(ValueError, match="view is 'big'; it must be one of 'one picture'"):
        Browser(own, view="big")
    store = shutil.copytree(own.folder.parent / "store", tmp_path / "store")
    Store(store).prune(samples=True)
    bare = gallery.build([store], tmp_path / "bare").gallery
    with pytest.raises(ValueError, match="no chains of pictures to browse"):
        Browser(bare)


# In colour.


def test_pictures_are_followed_by_noise_or_to_the_nearest_of_all(faces):
    found = chain_views(faces)
    first = faces["ψ = 1"].preview(1).images
    np.testing.assert_array_equal(found["ψ = 1"].followed(1), first)
    among = faces["ψ = 1"].samples(3).images
    apart = ((first[:, None].astype(int) - among[None]) ** 2).sum((2, 3, 4))
    np.testing.assert_array_equal(found["ψ = 1"].followed(3), among[apart.argmin(1)])
    np.testing.assert_array_equal(found["follows"].followed(3), faces["follows"].preview(3).images)
    assert [chain.follows_noise for chain in found.values()] == [False, False, True]


def test_the_matrix_has_a_row_a_chain_and_a_column_a_generation(faces, drawn):
    shown = Browser(faces)
    shown.chosen.value = 7
    cells, columns, more = drawn[-1]
    assert (len(cells), columns) == (9, 3)
    for place, cell in enumerate(cells):
        chain, t = list(shown.chains.values())[place // 3], place % 3 + 1
        if t in chain.generations:
            np.testing.assert_array_equal(cell, chain.followed(t)[7])
        else:
            assert len(np.unique(cell)) == 1
    assert more["rows"] == ["ψ = 1\n(matched)", "ψ = 0.5\n(matched)", "follows\n(same noise)"]
    assert more["heads"] == ["1", "2", "3"]
    assert more["frame"] == 2
    # Chain 2 has two generations: its last is framed and shown.
    shown.lists["chain"].value = "ψ = 0.5"
    assert drawn[-1][2]["frame"] == 4
    assert "Generation 2 of 2, ψ = 0.5." in shown.alt()


def near(shown):
    titled = [axes for axes in shown.figure().axes if axes.get_title(loc="left")]
    (axes,) = (one for one in titled if one.get_title(loc="left").startswith("generation 3:"))
    return axes.images[0]


def test_zoom_shows_the_middle_in_whole_pixels(faces):
    shown = Browser(faces)
    cell = shown.chain.followed(3)[0]
    for zoom, part in ((1, slice(0, 16)), (2, slice(4, 12)), (4, slice(6, 10))):
        shown.zoom.value = zoom
        found = near(shown)
        np.testing.assert_array_equal(found.get_array(), cell[part, part])
        assert found.get_interpolation() == "nearest"
    assert "picture 0, the middle ×4" in shown.alt()
    shown.zoom.value = 1
    # Beside generation 1 there is nothing to zoom into.
    for view in ("beside generation 1", "25 pictures"):
        shown.view.value = view
        assert shown.zoom.disabled == (view == "beside generation 1")
    sheet = near(shown).get_array()
    assert sheet.shape == (5 * SIZE + 4 * 2, 5 * SIZE + 4 * 2, 3)
    np.testing.assert_array_equal(sheet[-SIZE:, -SIZE:], shown.chain.pictures(3)[24])


def test_the_words_give_scores_and_what_the_spectrum_says(faces, pictures):
    shown = Browser(faces, generation=2)
    row = faces["ψ = 1"].records().iloc[1]
    said = shown.alt()
    assert f"KID-PCA {row['kid']:.3g} ± {row['kid_error']:.1g}" in said
    assert f"pairwise distance / real {number(row['distance'])}" in said
    real = power_spectrum(pictures.held_out.images)
    times = grid_power(power_spectrum(faces["ψ = 1"].samples(2).images), real)
    assert f"grid {number(times)} times that of real held-out pictures" in said
    assert said in shown.status.value.replace("&#x27;", "'")
    assert "ψ = 1 and ψ = 0.5 are matched" in shown.settings()
    assert "not the same noise" in shown.settings()
    assert "fully synthetic: generation 1 trains on 60 real samples" in shown.settings()


def test_every_control_redraws_and_has_a_label(faces):
    shown = Browser(faces)
    check_controls(shown)
    for control, value in (
        (shown.chosen, 5),
        (shown.zoom, 4),
        (shown.view, "25 pictures"),
        (shown.generation, 1),
        (shown.lists["chain"], "follows"),
    ):
        before = shown.picture.value
        control.value = value
        assert shown.picture.value != before, control


def test_no_real_picture_is_in_any_picture(faces, pictures):
    assert magenta(pictures.held_out.images)
    near, beside = Browser(faces), Browser(faces, view="beside generation 1")
    found = images_in(near.fallback() + near.html() + beside.fallback() + beside.html())
    assert len(found) == 5
    assert not any(magenta(picture) for picture in found)


def test_without_a_kernel_there_is_every_chain_in_colour_and_its_spectrum(faces):
    sheet, spectra = check_pages(Browser(faces).fallback())
    assert "a row for each of ψ = 1, ψ = 0.5, follows" in sheet
    assert "ψ = 0.5, generation 2: power at the frequencies of a grid" in spectra


def test_full_colour_is_kept(faces):
    colours = np.unique(images_in(Browser(faces).html())[0].reshape(-1, 3), axis=0)
    assert len(colours) > 256


def test_it_plays_through_the_generations(faces, drawn):
    shown = Browser(faces, view="beside generation 1", generation=1)
    seen = []
    for place in range(3):
        shown.play.value = place
        assert shown.generation.value == place + 1
        assert f"25 pictures of generation {place + 1} beside those of gen" in shown.alt()
        images, *_ = drawn[-1]
        np.testing.assert_array_equal(images, faces["ψ = 1"].preview(place + 1).images[:25])
        seen.append(shown.picture.value)
    assert len(set(seen)) == 3
    shown.play.value = 0
    assert shown.picture.value == seen[0]
    shown.generation.value = 2
    assert shown.play.value == 1
    shown.lists["chain"].value = "ψ = 0.5"
    assert shown.play.max == 1


def test_it_is_exported_as_a_gif(faces, chains, tmp_path):
    shown = Browser(faces, view="beside generation 1")
    with Image.open(shown.export(tmp_path / "faces of ψ.gif")) as film:
        assert (film.format, film.n_frames) == ("GIF", 3)
    (alt,) = check_pages(shown.fallback())
    assert "one row of pictures a generation" in alt
    with Image.open(Browser(chains).export(tmp_path / "digits.gif")) as film:
        assert film.n_frames == 3
    with pytest.raises(OSError, match="nowhere"):
        shown.export(tmp_path / "nowhere" / "x.gif")


def test_a_gallery_in_colour_is_shown_in_the_same_shape(kept, drawn):
    shown = Browser(kept)
    whole, half = "principal, fully synthetic, λ = 1", "principal, fully synthetic, λ = 0.5"
    assert list(shown.chains) == [whole, half]
    cells, columns, _ = drawn[-1]
    assert (len(cells), columns) == (6, 3)
    (name,) = kept.chains(bias=1.0)["chain"]
    np.testing.assert_array_equal(cells[0], kept.sheet(name, 1).images[0])
    # It has no real pictures to hold spectra against.
    power, whose = shown.chain.yardstick
    assert whose == "generation 1"
    np.testing.assert_array_equal(power, power_spectrum(kept.sheet(name, 1).images))
    assert "times that of generation 1" in shown.alt()
    assert "Pictures are matched" in shown.settings()
    assert "60 real, then 60 synthetic pictures" in shown.settings()
    check_pages(shown.fallback())
    assert list(Browser(chain_views(kept, bias=0.5)).chains) == [half]
    with pytest.raises(KeyError, match=r"no bias 0\.9"):
        chain_views(kept, bias=0.9)


def test_digits_and_colour_share_a_browser(chains, faces):
    shown = Browser({**chains, **faces})
    assert "picture 0, a 0, in generations 1, 2, 3 of fully synthetic, fresh data;" in shown.alt()
    shown.lists["chain"].value = "ψ = 1"
    assert "picture 0 in generations 1, 2, 3 of ψ = 1, ψ = 0.5, follows;" in shown.alt()
    assert shown.zoom.layout.display == ""


def test_pictures_of_two_sizes_share_a_matrix(faces, pictures, drawn):
    small = chain_views(faces)["ψ = 1"]

    def view(name, images):
        return panels.ChainView(
            name, f"{name}.", small.records.iloc[:1], (1,), True, lambda t: Samples(images)
        )

    large = pictures.images[:50].repeat(2, 1).repeat(2, 2)
    shown = Browser({"ψ = 1": small, "large": view("large", large)})
    cells = drawn[-1][0]
    assert cells.shape == (6, 32, 32, 3)
    np.testing.assert_array_equal(cells[0][::2, ::2], small.followed(1)[0])
    np.testing.assert_array_equal(cells[3], large[0])
    shown.lists["chain"].value = "large"
    assert "Generation 1 of 1, large." in shown.alt()
    other = view("odd", np.zeros((9, 24, 24, 3), np.uint8))
    with pytest.raises(ValueError, match="16 and 24 pixels a side"):
        Browser({"ψ = 1": small, "odd": other})


# Version 0.4.


def test_names_of_version_0_4_still_work(chains, own, faces, kept):
    with pytest.warns(DeprecationWarning, match="GenerationBrowser is madlab.panels.Browser now"):
        assert list(panels.GenerationBrowser(chains).chains) == list(chains)
    with pytest.warns(DeprecationWarning, match="GalleryBrowser"):
        assert panels.GalleryBrowser(own, loop="fresh data").lists["loop"].value == "fresh data"
    with pytest.warns(DeprecationWarning, match="FaceExplorer"):
        explorer = panels.FaceExplorer
    assert list(explorer({**chains, **faces}).chains) == list(faces)
    with pytest.raises(ValueError, match="no chains of pictures to browse"):
        explorer(own)
    with pytest.warns(DeprecationWarning, match="TimeLapse"):
        lapse = panels.TimeLapse(kept)
    assert (lapse.generation.value, lapse.view.value) == (1, "beside generation 1")
    with pytest.warns(DeprecationWarning, match="face_runs"):
        assert list(panels.face_runs(faces)) == list(faces)
    # One chain needs no name.
    assert list(Browser(faces["ψ = 1"]).chains) == ["principal, fully synthetic, λ = 1"]
    with pytest.raises(AttributeError, match="no attribute 'Brwser'"):
        _ = panels.Brwser
