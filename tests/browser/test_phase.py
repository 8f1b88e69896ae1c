"""The phase diagram in JupyterLab: the map follows the keyboard, points fill in after Start."""

from pathlib import Path

import nbformat
import pytest
from pages import press, run_all, until_all_ran
from playwright.sync_api import Browser, Page, expect

pytestmark = pytest.mark.browser

SOURCE = Path(__file__).parents[2] / "notebooks" / "02_three_loops_one_equation.ipynb"


def wait_until_it_says(page: Page, pattern: str) -> str:
    status = ".mad-phase .mad-status"
    page.wait_for_function(
        f"pattern => new RegExp(pattern).test(document.querySelector('{status}')?.innerText ?? '')",
        arg=pattern,
    )
    return page.locator(status).inner_text()


def test_the_map_follows_the_keyboard_and_points_fill_in(browser: Browser, lab) -> None:
    nb = nbformat.read(SOURCE, as_version=4)
    nb.cells[1].source = nb.cells[1].source.replace('"quick"', '"smoke"', 1)
    nbformat.write(nb, lab.folder / "loops.ipynb")
    page, outside = run_all(browser, lab, "loops.ipynb")
    first = wait_until_it_says(page, r"^Finished.*9 simulated points")
    assert "λ = 0.7:" in first
    until_all_ran(page)
    picture = page.locator(".mad-phase .mad-picture")
    before = picture.get_attribute("src")
    handle = page.locator(".mad-phase .mad-bias .noUi-handle").first
    press(handle, "ArrowRight")
    said = wait_until_it_says(page, r"λ = 0\.75:")
    assert "simulated points" not in said
    expect(picture).not_to_have_attribute("src", before)
    page.locator(".mad-phase .mad-start-button").click()
    wait_until_it_says(page, r"^Finished.*λ = 0\.75:.*9 simulated points")
    assert outside == []
    page.close()
