"""The browser of the gallery in JupyterLab: its lists choose, its slider follows the keyboard."""

import nbformat
import pytest
from pages import run_all
from playwright.sync_api import Browser, expect

pytestmark = pytest.mark.browser

CELL = """import madlab as ml
ml.panels.Browser(ml.gallery.open(), family="mixture", generation=1)"""


def test_lists_choose_and_the_slider_follows_the_keyboard(browser: Browser, lab) -> None:
    nb = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(CELL)])
    nb.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3 (ipykernel)"}
    nbformat.write(nb, lab.folder / "gallery.ipynb")
    page, outside = run_all(browser, lab, "gallery.ipynb")
    status, picture = page.locator(".mad-browser .mad-status"), page.locator(".mad-picture")
    expect(status).to_contain_text("mixture, fully synthetic, λ = 1. ")
    before = picture.get_attribute("src")
    # JupyterLab's own shortcuts take the arrow keys from a closed list.
    page.locator(".mad-browser .mad-bias select").select_option("0.7")
    expect(status).to_contain_text("mixture, fully synthetic, λ = 0.7. ")
    expect(picture).not_to_have_attribute("src", before)
    assert "Generation 1 of 5" in status.inner_text()
    page.locator(".mad-browser .mad-generation .noUi-handle").first.focus()
    page.keyboard.press("ArrowRight")
    expect(status).to_contain_text("Generation 2 of 5")
    assert outside == []
    page.close()
