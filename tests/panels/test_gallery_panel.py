"""The panel of the gallery, driven from Python."""

import base64
import io
import re
import shutil

import ipywidgets as widgets
import numpy as np
import pytest
from PIL import Image

from madlab import Chain, Loop, data, gallery, models
from madlab.metrics.features import LeNetFeatures
from madlab.panels import gallery_browser
from madlab.panels.gallery_browser import GalleryBrowser
from madlab.plots.lines import number
from madlab.store import Store

SYNTHETIC = Loop.fully_synthetic(300)
CHAINS = [
    (Loop.fresh_data(150, 150, n_initial=300), {}, 1.0, 4),
    (SYNTHETIC, {}, 0.5, 3),
    (SYNTHETIC, {}, 1.0, 6),
    (Loop.fully_synthetic(200), {}, 1.0, 2),
    (SYNTHETIC, {"components": 3}, 1.0, 2),
]


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    folder = tmp_path_factory.mktemp("shown")
    for loop, settings, bias, generations in CHAINS:
        model = models.create("mixture", **settings)
        chain = Chain(loop, model, data.mnist(), bias=bias, store=folder / "store", n_evaluate=100)
        list(chain.run(generations))
    return gallery.build([folder / "store"], folder / "gallery").gallery


@pytest.fixture
def shown(own):
    return GalleryBrowser(own)


def values(control):
    return [value for _, value in control.options]


def controls_of(box):
    for child in box.children:
        if isinstance(child, widgets.Box):
            yield from controls_of(child)
        elif isinstance(child, widgets.ValueWidget) and not isinstance(
            child, (widgets.HTML, widgets.Image)
        ):
            yield child


def test_it_begins_with_the_unbiased_fully_synthetic_loop_and_its_last_generation(shown):
    chosen = (shown.family.value, shown.loop.value, shown.bias.value, shown.generation.value)
    assert chosen[:3] == ("mixture", "fully synthetic", 1.0)
    assert values(shown.loop) == ["fully synthetic", "fresh data"]
    assert values(shown.bias) == [1.0, 0.5]
    # The largest chain, of equals the longest.
    assert chosen[3] == 6
    assert shown.chain.label.startswith("300 real, then 300 synthetic")


def test_every_control_has_a_label_or_a_labelled_list_beside_it(shown):
    found = list(controls_of(shown))
    assert [control.description for control in found if control.description] == [
        "model", "loop", "sampling bias", "training-set size", "generation",
    ]  # fmt: skip
    (slider,) = (control for control in found if not control.description)
    assert slider is shown.generation
    assert not slider.continuous_update


def test_lists_offer_what_there_is_and_keep_what_was_chosen(shown):
    sizes = [label for label, _ in shown.chain.options]
    assert len(sizes) == 3
    assert sum(label.startswith("300 real, then 300 synthetic (") for label in sizes) == 2
    assert "200 real, then 200 synthetic" in sizes
    shown.bias.value = 0.5
    assert [label for label, _ in shown.chain.options] == ["300 real, then 300 synthetic"]
    assert values(shown.generation) == [1, 2, 3]
    shown.loop.value = "fresh data"
    # There is no bias 0.5 in this loop.
    assert (shown.loop.value, shown.bias.value, values(shown.bias)) == ("fresh data", 1.0, [1.0])
    assert values(shown.generation) == [1, 2, 3, 4]
    shown.generation.value = 2
    shown.loop.value = "fully synthetic"
    assert shown.generation.value == 2


def test_the_slider_stays_in_the_chain(shown):
    listed = shown.children[1].children[1].children[0]
    assert (type(listed), listed.description) == (widgets.Dropdown, "generation")
    for chain in values(shown.chain):
        shown.chain.value = chain
        for t in values(shown.generation):
            listed.value = t
            assert shown.generation.value == t
            assert f"Digits of generation {t} of " in shown.alt()
    longest = max(
        values(shown.chain), key=lambda name: max(shown.gallery.records(chain=name)["generation"])
    )
    shown.chain.value = longest
    assert values(shown.generation) == [1, 2, 3, 5, 6] == [value for _, value in listed.options]
    shown.generation.value = 5
    shown.loop.value = "fresh data"
    assert shown.generation.value == listed.value == 4


def test_it_draws_generation_1_and_the_chosen_one(own, monkeypatch):
    drawn = []
    draw = gallery_browser.draw_sheet

    def draw_sheet(axes, images, *rest, **more):
        drawn.append(images)
        draw(axes, images, *rest, **more)

    monkeypatch.setattr(gallery_browser, "draw_sheet", draw_sheet)
    shown = GalleryBrowser(own, loop="fresh data", generation=3)
    assert len(drawn) == 2
    for images, t in zip(drawn, (1, 3), strict=True):
        np.testing.assert_array_equal(images, own.sheet(shown.chain.value, t).images)
    assert [axes.get_title(loc="left") for axes in shown.figure().axes] == [
        "generation 1", "generation 3",
    ]  # fmt: skip
    # Each change draws once.
    drawn.clear()
    before = shown.picture.value
    shown.loop.value = "fully synthetic"
    assert len(drawn) == 2
    assert shown.picture.value != before


def test_the_words_give_scores_of_both_generations_size_and_device(shown, own):
    shown.bias.value, shown.generation.value = 0.5, 2
    records = own.records(loop="fully synthetic", bias=0.5).set_index("generation")
    said = shown.alt()
    assert shown.alt() in shown.status.value.replace("&#x27;", "'")
    for name, metric in (("FD-LeNet", "fd"), ("precision", "precision"), ("recall", "recall")):
        now, first = records.loc[2, metric], records.loc[1, metric]
        assert f"{name} {number(now)} ({number(first)})" in said
    assert "Digits of generation 2 of 3" in said
    assert "sampling bias 0.5" in said
    assert "Trained on 300 real, then 300 synthetic digits, on cpu" in said
    assert "seed 0, one of 1 that were run; scores on 100 samples" in shown.settings()
    assert LeNetFeatures().name in shown.settings()


def test_without_a_kernel_there_is_a_contact_sheet_over_generations(shown):
    shown.bias.value = 0.5
    assert shown.generation.value == 3
    page = shown._repr_mimebundle_()["text/html"]
    alt = re.search(r'<img alt="([^"]+)"', page)[1]
    assert alt.startswith("Contact sheet of generations 1, 2, 3, one row each, with 20 digits: ")
    assert "recall" in alt
    caption = re.search(r"<figcaption>(.+)</figcaption>", page)[1]
    assert caption.startswith("mixture, fully synthetic, sampling bias 0.5. Scores of generation 3")
    assert len(page) < 150_000
    content = base64.b64decode(re.search(r"data:image/png;base64,([^\"]+)", page)[1])
    drawn = np.asarray(Image.open(io.BytesIO(content)).convert("L"))
    assert drawn.std() > 10
    # A snapshot is the state at hand instead.
    assert re.search(r'<img alt="Digits of generation 3', shown.snapshot().data)


def test_what_the_gallery_does_not_have_is_refused(own, tmp_path):
    for given, message in [
        ({"family": "gan"}, "no family 'gan'; it has mixture"),
        ({"loop": "fresh"}, "no loop 'fresh'; it has "),
        ({"bias": 0.7}, r"no bias 0\.7; it has 1, 0\.5"),
        ({"generation": 4, "bias": 0.5}, "has no generation 4; it has 1, 2, 3"),
        (
            {"loop": "fresh data", "bias": 0.5},
            r"no digits of loop fresh data, bias 0\.5 together; it has: mixture, ",
        ),
    ]:
        with pytest.raises(KeyError, match=message):
            GalleryBrowser(own, **given)
    store = shutil.copytree(own.folder.parent / "store", tmp_path / "store")
    Store(store).prune(samples=True)
    bare = gallery.build([store], tmp_path / "bare").gallery
    with pytest.raises(ValueError, match="has no sheets of digits to show"):
        GalleryBrowser(bare)


def test_it_begins_where_it_is_told_to(own):
    shown = GalleryBrowser(own, family="mixture", loop="fully synthetic", bias=0.5, generation=2)
    assert (shown.loop.value, shown.bias.value, shown.generation.value) == (
        "fully synthetic", 0.5, 2,
    )  # fmt: skip
