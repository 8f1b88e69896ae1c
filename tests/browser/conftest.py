"""A real browser, and JupyterLab to point it at."""

import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from playwright.sync_api import Browser, sync_playwright

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
QUIET = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
# Without these JupyterLab leaves cells out of the page until they are scrolled to.
SETTINGS = {
    "@jupyterlab/notebook-extension/tracker.jupyterlab-settings": {
        "windowingMode": "none",
        "autoStartDefaultKernel": True,
    },
}


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Chromium: the system's, or the one that playwright installed."""
    with sync_playwright() as tools:
        path = next(filter(None, map(shutil.which, NAMES)), tools.chromium.executable_path)
        if not Path(path).exists():
            pytest.fail(
                "no browser was found: run `sh scripts/browser.sh` (make test does), or install "
                "chromium or google-chrome, or run `playwright install chromium`"
            )
        opened = tools.chromium.launch(executable_path=path, args=QUIET)
        yield opened
        opened.close()


class Lab(NamedTuple):
    """A running JupyterLab: the folder it serves, its address and its token."""

    folder: Path
    address: str
    token: str


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """`madlab lab` on a copy of the notebooks, with settings of its own, ended with its kernels."""
    folder = tmp_path_factory.mktemp("lab")
    served, home = folder / "served", folder / "home"
    shutil.copytree(NOTEBOOKS, served, ignore=shutil.ignore_patterns(".*", "runs"))
    environment = {
        **os.environ,
        **{
            name: str(home / name.lower())
            for name in (
                "JUPYTER_CONFIG_DIR",
                "JUPYTER_DATA_DIR",
                "JUPYTER_RUNTIME_DIR",
                "JUPYTERLAB_SETTINGS_DIR",
                "JUPYTERLAB_WORKSPACES_DIR",
                "IPYTHONDIR",
            )
        },
    }
    for name, content in SETTINGS.items():
        file = Path(environment["JUPYTERLAB_SETTINGS_DIR"], name)
        file.parent.mkdir(parents=True)
        file.write_text(json.dumps(content))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    token = secrets.token_hex(16)
    log = folder / "lab.log"
    with log.open("w") as stream:
        server = subprocess.Popen(
            [
                sys.executable,
                *("-m", "madlab", "lab", "--no-browser"),
                f"--ServerApp.port={port}",
                "--ServerApp.port_retries=0",
                f"--IdentityProvider.token={token}",
                f"--ServerApp.root_dir={served}",
                "--LabApp.extension_manager=readonly",
            ],
            env=environment,
            cwd=served,
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        address = f"http://127.0.0.1:{port}"
        _wait(f"{address}/api/status?token={token}", server, log)
        yield Lab(served, address, token)
    finally:
        _end(f"{address}/api/shutdown?token={token}", server)


def _wait(address: str, server: "subprocess.Popen[bytes]", log: Path) -> None:
    while server.poll() is None:
        try:
            with urllib.request.urlopen(address, timeout=5):
                return
        except OSError:
            time.sleep(0.2)
    pytest.fail(f"JupyterLab did not start:\n{log.read_text()[-4000:]}")


def _end(address: str, server: "subprocess.Popen[bytes]") -> None:
    try:
        # Asked to, the server ends its kernels too, which live in sessions of their own.
        with urllib.request.urlopen(urllib.request.Request(address, method="POST"), timeout=60):
            server.wait(timeout=60)
    except (OSError, subprocess.TimeoutExpired):
        os.killpg(server.pid, signal.SIGKILL)
        server.wait()
