"""What a saved notebook shows of its panels once the kernel is gone."""

import json
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

import nbformat
import pytest
from bs4 import BeautifulSoup
from nbconvert import HTMLExporter
from pages import PATIENCE, press, run_all, until_all_ran
from playwright.sync_api import Browser, Page, expect

pytestmark = pytest.mark.browser

SET_UP = """
import madlab as ml
digits = ml.data.mnist()
loop = ml.Loop.fully_synthetic(300)
chains = [
    ml.Chain(loop, "mixture", digits, bias=bias, n_evaluate=200) for bias in (0.4, 0.7, 1.0)
]
ran = [list(chain.run(2)) for chain in chains]
"""
# The cell that makes each panel, by the class of the panel; a handle that a reader moves there.
PANELS = {
    "mad-live": (
        "ml.panels.LiveLoop(digits, n_real=300, n_synthetic=300, generations=2, n_evaluate=200)",
        ".mad-bias",
    ),
    "mad-bias-dial": ("ml.panels.BiasDial({'mixture': chains})", ".mad-bias"),
    "mad-metric-lab": ("ml.panels.MetricLab(digits, n=500)", ".mad-strength"),
    "mad-gaussian-loop": ("ml.panels.GaussianLoop(chains=30)", ".mad-bias"),
    "mad-phase": ("ml.panels.PhaseDiagram(start=False)", ".mad-bias"),
    "mad-browser": ("ml.panels.Browser({'mine': chains[0]})", ".mad-generation"),
}
ASKED = "ml.panels.Prediction('Which?', ['this one', 'that one'], key='x', store='kept')"
# The picture of a panel as it is in the page, as base64.
SHOWN = """
async hook => {
  const image = document.querySelector(`.${hook} img.mad-picture`);
  const bytes = new Uint8Array(await (await fetch(image.src)).arrayBuffer());
  return btoa(Array.from(bytes, byte => String.fromCharCode(byte)).join(''));
}
"""


def end_kernels(lab) -> None:
    """End every kernel of the server, as a reader who closes all does."""
    address = f"{lab.address}/api/kernels"
    with urllib.request.urlopen(f"{address}?token={lab.token}", timeout=60) as answer:
        found = json.loads(answer.read())
    for kernel in found:
        request = f"{address}/{kernel['id']}?token={lab.token}"
        urllib.request.urlopen(urllib.request.Request(request, method="DELETE"), timeout=60)


def change(page: Page, hook: str, handle: str) -> str:
    """Move a handle of a panel by one step, wait for its new picture, and return that."""
    before = page.evaluate(SHOWN, hook)
    press(page.locator(f".{hook} {handle} .noUi-handle").first, "ArrowLeft")
    while (now := page.evaluate(SHOWN, hook)) == before:
        page.wait_for_timeout(100)
    return now


def saved(page: Page, file: Path, fits: Callable[[str], bool]) -> str:
    """Save until the file holds what it should, and return it."""
    end = time.monotonic() + PATIENCE / 1000
    while not fits(content := file.read_text(encoding="utf-8")):
        assert time.monotonic() < end, "the file does not follow its panels"
        page.keyboard.press("Control+s")
        page.wait_for_timeout(500)
    return content


def pictures(content: str) -> list[str]:
    """The pictures in a page, as base64, without anything that needs a script or a style."""
    soup = BeautifulSoup(content, "html.parser")
    for gone in soup.select("script, style"):
        gone.decompose()
    return [image["src"].partition("base64,")[2] for image in soup.select("img")]


def test_a_saved_notebook_shows_each_panel_as_it_was_last_seen(browser: Browser, lab) -> None:
    file = lab.folder / "stills.ipynb"
    cells = [SET_UP, ASKED, *(cell for cell, _ in PANELS.values())]
    nb = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    nb.metadata.kernelspec = {"name": "python3", "display_name": "Python 3 (ipykernel)"}
    nbformat.write(nb, file)
    page, _ = run_all(browser, lab, file.name)
    until_all_ran(page)
    expect(page.locator(".mad-live .mad-status")).to_contain_text("Finished")
    assert page.locator(".mad-still:visible").count() == 0, "a still stands beside its panel"
    page.locator(".mad-prediction input[type=radio]").nth(1).check()
    last = {hook: change(page, hook, handle) for hook, (_, handle) in PANELS.items()}
    expect(page.locator(".mad-live .mad-status")).to_contain_text("Finished")
    last["mad-live"] = page.evaluate(SHOWN, "mad-live")

    content = saved(
        page,
        file,
        lambda text: all(one in text for one in [*last.values(), "that one</b> (your"]),
    )
    page.close()
    nb = nbformat.reads(content, as_version=4)
    stills = [
        output["data"]["text/html"]
        for cell in nb.cells
        for output in cell.outputs
        if "mad-still" in output.get("data", {}).get("text/html", "")
    ]
    assert len(stills) == len(cells) - 1
    found = pictures("".join(stills))
    assert found == list(last.values())
    # By nbconvert, with nothing of madlab's.
    assert pictures(HTMLExporter().from_notebook_node(nb)[0]) == found

    end_kernels(lab)
    page = browser.new_page(viewport={"width": 1400, "height": 1000})
    page.set_default_timeout(PATIENCE)
    page.goto(f"{lab.address}/lab/tree/{file.name}?token={lab.token}&reset")
    expect(page.locator("#jp-main-statusbar")).to_contain_text("Python 3 (ipykernel) | Idle")
    expect(page.locator(".mad-still:visible")).to_have_count(len(stills))
    shown = page.locator(".mad-still:visible img").evaluate_all(
        "all => all.map(one => one.naturalWidth ? one.src.split('base64,')[1] : '')"
    )
    assert shown == found
    # What the widgets' own extension says of views without models.
    page.wait_for_function("() => document.body.textContent.includes('model not found')")
    assert page.get_by_text("model not found").locator("visible=true").count() == 0
    page.close()
