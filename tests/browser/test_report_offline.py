"""A report in a browser that has no network: everything is there all the same."""

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Request, Route
from smoke import Ran

from madlab.report import to_html

pytestmark = pytest.mark.browser

SOURCE = Path(__file__).parents[2] / "notebooks" / "00_start_here.ipynb"

# For every picture: its alt text, its width, and how far its lightest and darkest pixel differ.
PICTURES = """
async () => {
  const found = [];
  for (const image of document.images) {
    await image.decode();
    const canvas = document.createElement('canvas');
    canvas.width = image.naturalWidth;
    canvas.height = image.naturalHeight;
    const context = canvas.getContext('2d');
    context.drawImage(image, 0, 0);
    const data = context.getImageData(0, 0, canvas.width, canvas.height).data;
    let low = 255, high = 0;
    for (let i = 0; i < data.length; i += 4) {
      const grey = (data[i] + data[i + 1] + data[i + 2]) / 3;
      low = Math.min(low, grey);
      high = Math.max(high, grey);
    }
    found.push({alt: image.alt, width: image.naturalWidth, shown: image.clientWidth,
                contrast: high - low});
  }
  return found;
}
"""


@pytest.fixture(scope="module")
def page_of_00(smoke: Callable[[Path], Ran], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of notebook 00, run with the smoke preset."""
    page = tmp_path_factory.mktemp("report") / "report.html"
    page.write_text(to_html(smoke(SOURCE).nb, "Start here", SOURCE.parent), encoding="utf-8")
    return page


@pytest.mark.parametrize("width", [1200, 390], ids=["desk", "phone"])
def test_a_report_needs_no_network(browser: Browser, page_of_00: Path, width: int) -> None:
    context = browser.new_context(offline=True, viewport={"width": width, "height": 900})
    asked: list[str] = []

    def block(route: Route, request: Request) -> None:
        if request.url == page_of_00.as_uri():
            route.continue_()
        else:
            asked.append(request.url)
            route.abort()

    context.route("**/*", block)
    page = context.new_page()
    errors: list[str] = []
    page.on("console", lambda message: errors.append(message.text))
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(page_of_00.as_uri())
    pictures = page.evaluate(PICTURES)
    assert pictures
    for picture in pictures:
        assert len(picture["alt"]) > 20
        assert picture["width"] > 0
        assert picture["shown"] > 0
        assert picture["contrast"] > 50, "the picture is blank"
    assert page.title()
    assert page.locator("h1").count() == 1
    assert page.locator("header dl").inner_text()
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    assert [address for address in asked if not address.startswith("data:")] == []
    assert errors == []
    context.close()
