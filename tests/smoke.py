"""A notebook run with the smoke preset, and what the tests of notebooks ask of the run."""

import logging
import os
from pathlib import Path
from typing import NamedTuple

import pytest
from nbformat import NotebookNode

from madlab.execute import run_notebook


class Ran(NamedTuple):
    """An executed notebook, its folder, what papermill warned of, and its CPU-seconds."""

    nb: NotebookNode
    folder: Path
    warned: list[str]
    cpu: float


def run(path: Path, folder: Path) -> Ran:
    """Run a notebook in `folder`, with "a store" there; chains that the store has are read."""
    warned: list[str] = []
    before = os.times()
    handler = logging.Handler(logging.WARNING)
    handler.emit = lambda record: warned.append(record.getMessage())  # type: ignore[method-assign]
    logging.getLogger("papermill").addHandler(handler)
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(folder)
            nb = run_notebook(path, {"preset": "smoke", "seed": 1, "store": "a store"})
    finally:
        logging.getLogger("papermill").removeHandler(handler)
    after = os.times()
    return Ran(nb, folder, warned, sum(after[2:4]) - sum(before[2:4]))
