"""The browser in JupyterLab: lists and buttons choose, its sliders follow the keyboard."""

from collections.abc import Iterator

import nbformat
import pytest
from pages import press, run_all, until_all_ran
from playwright.sync_api import Browser, Locator, Page, expect

pytestmark = pytest.mark.browser

GALLERY = """import madlab as ml
ml.panels.Browser(ml.gallery.open(), family="mixture", generation=1)"""
MAKE = """data = ml.data.drawn_faces(80, size=32, n_held_out=40)
options = {"n_evaluate": 60, "features": "pca"}
chains = {}
for bias in (1.0, 0.5):
    loop = ml.Loop.fully_synthetic(80)
    chain = ml.Chain(loop, "principal", data, bias=bias, **options)
    list(chain.run(3))
    chains[f"λ = {bias:g}"] = chain"""
FACES = "ml.panels.Browser(chains)"


@pytest.fixture(scope="module")
def opened(browser: Browser, lab) -> Iterator[tuple[Page, list[str]]]:
    """A notebook with a browser of the gallery and one of faces, all its cells run."""
    nb = nbformat.v4.new_notebook()
    nb.cells = [nbformat.v4.new_code_cell(cell) for cell in (GALLERY, MAKE, FACES)]
    nb.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3 (ipykernel)"}
    nbformat.write(nb, lab.folder / "browsers.ipynb")
    page, outside = run_all(browser, lab, "browsers.ipynb")
    until_all_ran(page)
    expect(page.locator(".mad-browser")).to_have_count(2)
    yield page, outside
    page.close()


def shown(page: Page, place: int) -> tuple[Locator, Locator, Locator]:
    """The browser at a place among those of the page, its status and its picture."""
    panel = page.locator(".mad-browser").nth(place)
    return panel, panel.locator(".mad-status"), panel.locator(".mad-picture")


def test_lists_choose_and_the_slider_follows_the_keyboard(opened) -> None:
    page, outside = opened
    panel, status, picture = shown(page, 0)
    expect(status).to_contain_text("mixture, fully synthetic, λ = 1. ")
    before = picture.get_attribute("src")
    # JupyterLab's own shortcuts take the arrow keys from a closed list.
    panel.locator(".mad-bias select").select_option("0.7")
    expect(status).to_contain_text("mixture, fully synthetic, λ = 0.7. ")
    expect(picture).not_to_have_attribute("src", before)
    assert "Generation 1 of 5" in status.inner_text()
    press(panel.locator(".mad-generation .noUi-handle").first, "ArrowRight")
    expect(status).to_contain_text("Generation 2 of 5")
    assert outside == []


def test_keyboard_zoom_and_play(opened) -> None:
    page, outside = opened
    panel, status, picture = shown(page, 1)
    expect(status).to_contain_text("Generation 3 of 3, λ = 1. ")
    before = picture.get_attribute("src")
    handle = panel.locator(".mad-chosen .noUi-handle").first
    press(handle, "ArrowRight")
    expect(status).to_contain_text("picture 1 in generations 1, 2, 3")
    expect(picture).not_to_have_attribute("src", before)
    press(panel.locator(".mad-generation .noUi-handle").first, "ArrowLeft")
    expect(status).to_contain_text("Generation 2 of 3, λ = 1. ")
    # A toggle is a button, which Tab reaches and Enter presses.
    press(panel.locator(".mad-zoom").get_by_role("button", name="×4"), "Enter")
    expect(status).to_contain_text("picture 1, the middle ×4")
    press(panel.locator(".mad-view").get_by_role("button", name="25 pictures"), "Enter")
    expect(status).to_contain_text("; 25 pictures, the middle ×4;")
    panel.locator(".mad-chain select").select_option("λ = 0.5")
    expect(status).to_contain_text("Generation 2 of 3, λ = 0.5. ")

    press(panel.locator(".mad-view").get_by_role("button", name="beside"), "Enter")
    beside = "25 pictures of generation {} beside those of generation 1"
    expect(status).to_contain_text(beside.format(2))
    press(panel.locator(".mad-play button").first, "Enter")
    expect(status).to_contain_text(beside.format(3))
    assert outside == []
