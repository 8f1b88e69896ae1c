"""Notebook 00 in JupyterLab, as a student meets it: run by the menu, steered by the keyboard."""

import time
from pathlib import Path

import nbformat
import pytest
from pages import PATIENCE, press, run_all, until_all_ran
from playwright.sync_api import Browser, Page, TimeoutError, expect

pytestmark = pytest.mark.browser

SOURCE = Path(__file__).parents[2] / "notebooks" / "00_start_here.ipynb"

# The left part of the live loop's picture, where the digits are, as one number per pixel row.
DIGITS = """
() => {
  const image = document.querySelector('.mad-live img.mad-picture, .mad-live .mad-picture img');
  if (!image || !image.complete || !image.naturalWidth) return null;
  const canvas = document.createElement('canvas');
  canvas.width = Math.floor(image.naturalWidth * 0.4);
  canvas.height = image.naturalHeight;
  const context = canvas.getContext('2d');
  context.drawImage(image, 0, 0);
  const data = context.getImageData(0, 0, canvas.width, canvas.height).data;
  const rows = [];
  for (let y = 0; y < canvas.height; y++) {
    let sum = 0;
    for (let x = 0; x < canvas.width; x++) {
      sum = (sum * 31 + data[4 * (y * canvas.width + x)]) % 1000000007;
    }
    rows.push(sum);
  }
  return rows;
}
"""
WHOLE = "name => name.scrollWidth <= name.clientWidth"
STATUS = "() => document.querySelector('.mad-live .mad-status')?.innerText ?? ''"


def wait_for_status(page: Page, pattern: str) -> str:
    """Wait until the live loop says what fits `pattern`, and return what it says."""
    try:
        page.wait_for_function(
            f"pattern => new RegExp(pattern).test(({STATUS})())",
            arg=pattern,
        )
    except TimeoutError:
        said = page.evaluate(STATUS)
        pytest.fail(f"the live loop does not say {pattern!r} but {said!r}")
    return page.evaluate(STATUS)


def test_the_first_thing_that_opens_is_notebook_00(browser: Browser, lab) -> None:
    page = browser.new_page(viewport={"width": 1280, "height": 800})
    page.set_default_timeout(PATIENCE)
    page.goto(f"{lab.address}/?token={lab.token}")
    expect(page.locator("#jp-main-statusbar")).to_contain_text("Python 3 (ipykernel) | Idle")
    assert page.url.endswith("/lab/workspaces/madlab/tree/00_start_here.ipynb")
    tabs = page.locator("#jp-main-dock-panel .lm-TabBar-tabLabel")
    assert tabs.all_inner_texts() == ["00_start_here.ipynb"]
    assert page.locator(".jp-Dialog, .Toastify__toast").count() == 0
    names = page.locator(".jp-DirListing-itemText")
    whole = {name.inner_text() for name in names.all() if name.evaluate(WHOLE)}
    assert {file.name for file in SOURCE.parent.glob("*.ipynb")} - whole == set()
    page.close()


def test_digits_go_mad_live_and_follow_the_keyboard(
    browser: Browser, lab, capsys: pytest.CaptureFixture[str]
) -> None:
    nb = nbformat.read(SOURCE, as_version=4)
    nb.cells[1].source = nb.cells[1].source.replace('"quick"', '"smoke"', 1)
    nbformat.write(nb, lab.folder / "start.ipynb")
    page, outside = run_all(browser, lab, "start.ipynb")
    start = time.perf_counter()
    wait_for_status(page, r"Generation 1 of \d+: FD|Generation [2-9]|Finished")
    page.wait_for_function(f"() => ({DIGITS})() !== null")
    first = time.perf_counter() - start
    said = wait_for_status(page, r"^Finished")
    with capsys.disabled():
        print(f"\n00_start_here in JupyterLab: first digits after {first:.1f} s", end=" ")
    shown = page.evaluate(DIGITS)
    assert len(set(shown)) > 20, "the digits are blank"

    until_all_ran(page)
    handle = page.locator(".mad-live .mad-bias .noUi-handle").first
    before = float(handle.get_attribute("aria-valuenow"))
    press(handle, "ArrowLeft")
    expect(handle).not_to_have_attribute("aria-valuenow", str(before))
    assert float(handle.get_attribute("aria-valuenow")) < before
    page.wait_for_function(f"said => ({STATUS})() !== said", arg=said)
    after = wait_for_status(page, r"^Finished")
    assert after != said
    again = page.evaluate(DIGITS)
    assert len(set(again)) > 20
    assert again != shown, "the digits did not change with the bias"
    assert outside == []
    page.close()
