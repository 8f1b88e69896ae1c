"""JupyterLab's page, as a reader opens it."""

from typing import Any

from playwright.sync_api import Browser, Page, expect

# Milliseconds that a page is given for each thing that is waited for: on a busy machine all takes
# longer, and only what is stuck should fail.
PATIENCE = 600_000
expect.set_options(timeout=PATIENCE)


def run_all(browser: Browser, lab: Any, name: str) -> tuple[Page, list[str]]:
    """Open a notebook of the served folder and run all its cells, by the menu.

    Returns the page, and the list to which requests to other machines are added.
    """
    page = browser.new_page(viewport={"width": 1400, "height": 1000})
    page.set_default_timeout(PATIENCE)
    outside: list[str] = []
    page.on(
        "request",
        lambda request: (
            None
            if request.url.startswith((lab.address, "data:", "blob:", "ws://127.0.0.1"))
            else outside.append(request.url)
        ),
    )
    page.goto(f"{lab.address}/lab/tree/{name}?token={lab.token}&reset")
    page.locator(".jp-Notebook .jp-Cell").first.wait_for()
    expect(page.locator("#jp-main-statusbar")).to_contain_text("Python 3 (ipykernel) | Idle")
    page.get_by_text("Run", exact=True).first.click()
    page.locator('.lm-Menu-item[data-command="runmenu:run-all"]').click()
    return page, outside
