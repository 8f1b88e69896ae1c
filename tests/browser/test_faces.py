"""The browser in JupyterLab, in colour: keyboard, zoom, and generations that play."""

import nbformat
import pytest
from pages import run_all
from playwright.sync_api import Browser, expect

pytestmark = pytest.mark.browser

MAKE = """import madlab as ml
data = ml.data.drawn_faces(80, size=32, n_held_out=40)
options = {"n_evaluate": 60, "features": "pca"}
chains = {}
for bias in (1.0, 0.5):
    loop = ml.Loop.fully_synthetic(80)
    chain = ml.Chain(loop, "principal", data, bias=bias, **options)
    list(chain.run(3))
    chains[f"λ = {bias:g}"] = chain"""


def test_keyboard_zoom_and_play(browser: Browser, lab) -> None:
    cells = [MAKE, "ml.panels.Browser(chains)"]
    nb = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    nb.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3 (ipykernel)"}
    nbformat.write(nb, lab.folder / "faces.ipynb")
    page, outside = run_all(browser, lab, "faces.ipynb")

    status, picture = (
        page.locator(".mad-browser .mad-status"),
        page.locator(".mad-browser .mad-picture"),
    )
    expect(status).to_contain_text("Generation 3 of 3, λ = 1. ")
    before = picture.get_attribute("src")
    handle = page.locator(".mad-browser .mad-chosen .noUi-handle").first
    handle.focus()
    page.keyboard.press("ArrowRight")
    expect(status).to_contain_text("picture 1 in generations 1, 2, 3")
    expect(picture).not_to_have_attribute("src", before)
    page.locator(".mad-browser .mad-generation .noUi-handle").first.focus()
    page.keyboard.press("ArrowLeft")
    expect(status).to_contain_text("Generation 2 of 3, λ = 1. ")
    # A toggle is a button, which Tab reaches and Enter presses.
    page.locator(".mad-browser .mad-zoom").get_by_role("button", name="×4").focus()
    page.keyboard.press("Enter")
    expect(status).to_contain_text("picture 1, the middle ×4")
    page.locator(".mad-browser .mad-view").get_by_role("button", name="25 pictures").focus()
    page.keyboard.press("Enter")
    expect(status).to_contain_text("; 25 pictures, the middle ×4;")
    page.locator(".mad-browser .mad-chain select").select_option("λ = 0.5")
    expect(status).to_contain_text("Generation 2 of 3, λ = 0.5. ")

    page.locator(".mad-browser .mad-view").get_by_role("button", name="beside").focus()
    page.keyboard.press("Enter")
    beside = "25 pictures of generation {} beside those of generation 1"
    expect(status).to_contain_text(beside.format(2))
    page.locator(".mad-browser .mad-play button").first.focus()
    page.keyboard.press("Enter")
    expect(status).to_contain_text(beside.format(3))
    assert outside == []
    page.close()
