"""JupyterLab's page, as a reader opens it."""

import re
from typing import Any

from playwright.sync_api import Browser, Locator, Page, expect

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


def until_all_ran(page: Page) -> None:
    """Wait until the last cell has its number, before which controls' messages wait in the kernel.

    Between two cells the kernel may say that it is idle.
    """
    prompt = page.locator(".jp-Notebook .jp-CodeCell .jp-InputArea-prompt").last
    expect(prompt).to_have_text(re.compile(r"\[\d+\]"))
    expect(page.locator("#jp-main-statusbar")).to_contain_text("Python 3 (ipykernel) | Idle")


def press(handle: Locator, key: str) -> None:
    """Press a key on a control once it has the keyboard, which a page that still moves may take."""
    handle.focus()
    expect(handle).to_be_focused()
    handle.press(key)
