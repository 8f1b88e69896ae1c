"""What several test files need: small notebooks made on the spot, and runs of madlab's own."""

import functools
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

# Before numpy is loaded: on tiny matrices threads that wait for each other cost more than they do.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook
from smoke import Ran, run


@pytest.fixture(scope="session")
def make_notebook() -> Callable[..., Path]:
    """A function that writes a notebook: a str is a code cell, ("md", text) is prose."""

    def make(path: Path, *cells: str | tuple[str, str], parameters: str | None = None) -> Path:
        nb: Any = new_notebook(
            metadata={"kernelspec": {"name": "python3", "display_name": "Python 3 (ipykernel)"}}
        )
        nb.cells.append(new_markdown_cell(f"# A notebook named *{path.stem}*"))
        if parameters is not None:
            nb.cells.append(new_code_cell(parameters, metadata={"tags": ["parameters"]}))
        for cell in cells:
            nb.cells.append(
                new_code_cell(cell) if isinstance(cell, str) else new_markdown_cell(cell[1])
            )
        path.parent.mkdir(parents=True, exist_ok=True)
        nbformat.write(nb, path)
        return path

    return make


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep tests out of the user's cache of pictures; what they run inherits it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MADLAB_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


# By notebook: the one before it, whose chains it has in common, as in a reader's own store.
CONTINUES = {
    "06_digits_fully_synthetic": "03_sampling_bias",
    "07_digits_augmentation_and_fresh": "06_digits_fully_synthetic",
}


@pytest.fixture(scope="session")
def smoke(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Path], Ran]:
    """A function that runs a notebook with the smoke preset, each one once in a session."""

    @functools.cache
    def ran(path: Path) -> Ran:
        folder = tmp_path_factory.mktemp(path.stem)
        if path.stem in CONTINUES:
            before = ran(path.with_stem(CONTINUES[path.stem])).folder
            shutil.copytree(before, folder, dirs_exist_ok=True)
        return run(path, folder)

    return ran
