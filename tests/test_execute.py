"""Finding, checking and running notebooks."""

import asyncio
import gc
import io
import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import nbformat
import pytest
from cells import PANEL, PARAMETERS
from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import AsyncKernelManager
from jupyter_core.utils import ensure_event_loop
from nbformat import NotebookNode

from madlab import execute
from madlab.execute import NotebookError, run_notebook

Make = Callable[..., Path]


@pytest.fixture
def shelf(tmp_path: Path, make_notebook: Make, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of three notebooks in place of madlab's own."""
    folder = tmp_path / "shelf"
    for name in ("00_start", "06_digits", "06_faces"):
        make_notebook(folder / f"{name}.ipynb", "print(seed)", parameters=PARAMETERS)
    monkeypatch.setattr(execute, "folder", lambda: folder)
    return folder


def test_a_notebook_is_found_by_path_name_or_unique_beginning(shelf: Path) -> None:
    expected = shelf / "06_digits.ipynb"
    assert execute.find(expected) == expected
    assert execute.find("06_digits") == expected
    assert execute.find("06_digits.ipynb") == expected
    assert execute.find("06_d") == expected
    assert execute.find("00") == shelf / "00_start.ipynb"


def test_an_unknown_notebook_is_named_with_a_hint_and_the_known_ones(shelf: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"did you mean '06_digits'.*00_start, 06_digits"):
        execute.find("06_digit_s")
    with pytest.raises(ValueError, match=r"'06' fits 06_digits, 06_faces"):
        execute.find("06")
    with pytest.raises(FileNotFoundError, match=r"no notebook ''"):
        execute.find("")


def test_other_files_are_no_notebooks(tmp_path: Path) -> None:
    other = tmp_path / "notes.txt"
    other.write_text("hello")
    with pytest.raises(ValueError, match=r"notes\.txt is not a notebook"):
        execute.find(other)
    broken = tmp_path / "broken.ipynb"
    broken.write_text("{")
    with pytest.raises(ValueError, match=r"broken\.ipynb cannot be read as a notebook"):
        run_notebook(broken)


def test_parameters_are_those_that_python_finds_in_their_cell(
    tmp_path: Path, make_notebook: Make
) -> None:
    lines = f"%precision 3\n{PARAMETERS}\na = 1; b = 2  # c=3\nd: int = 4\ne = -2 * b"
    source = make_notebook(tmp_path / "x.ipynb", "print(a, b, d, e)", parameters=lines)
    bare = nbformat.read(source, as_version=4)
    del bare.metadata["kernelspec"]
    nbformat.write(bare, source)
    nb = run_notebook(source, {"b": 5, "d": 6})
    assert nb.metadata.kernelspec.name == "python3"
    assert nb.cells[-1].outputs[0].text == "1 5 6 -4\n"
    known = {"preset": "quick", "seed": 0, "store": "runs", "a": 1, "b": 5, "d": 6, "e": "-2 * b"}
    assert nb.metadata.madlab.parameters == known
    broken = make_notebook(tmp_path / "y.ipynb", parameters=f"{PARAMETERS}\na = = 1")
    with pytest.raises(ValueError, match=r"parameters cell of y\.ipynb is not Python: .*line 4"):
        run_notebook(broken)


def test_a_misspelt_parameter_is_refused_before_anything_runs(
    tmp_path: Path, make_notebook: Make
) -> None:
    mark = tmp_path / "ran"
    source = make_notebook(
        tmp_path / "x.ipynb", f"open({str(mark)!r}, 'w').close()", parameters=PARAMETERS
    )
    with pytest.raises(KeyError, match=r"named 'sed'; there are: preset.* mean 'seed'\?"):
        run_notebook(source, {"sed": 1})
    assert not mark.exists()
    bare = make_notebook(tmp_path / "bare.ipynb", "1")
    with pytest.raises(KeyError, match=r"parameter in bare\.ipynb named 'seed'; there are: none"):
        run_notebook(bare, {"seed": 1})


def test_a_source_is_not_where_the_run_is_kept(tmp_path: Path, make_notebook: Make) -> None:
    source = make_notebook(tmp_path / "again.partial.ipynb", "1")
    before = source.read_bytes()
    with pytest.raises(ValueError, match=r"kept in .*again\.partial\.ipynb until it is done"):
        run_notebook(source, output=tmp_path / "again.ipynb")
    with pytest.raises(ValueError, match="give another name"):
        run_notebook(source, output=tmp_path / "x.ipynb", keep=str(tmp_path / "x.ipynb"))
    assert source.read_bytes() == before
    run_notebook(source, output=tmp_path / "x.ipynb", keep=str(tmp_path / "kept.ipynb"))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["again.partial.ipynb", "x.ipynb"]


def test_an_output_that_cannot_be_written_is_refused_before_anything_runs(
    tmp_path: Path, make_notebook: Make
) -> None:
    mark = tmp_path / "ran"
    source = make_notebook(tmp_path / "x.ipynb", f"open({str(mark)!r}, 'w').close()")
    before = source.read_bytes()
    (tmp_path / "link.ipynb").symlink_to(source)
    with pytest.raises(IsADirectoryError, match="is a folder"):
        run_notebook(source, output=tmp_path)
    with pytest.raises(ValueError, match=r"must have a name that ends in \.ipynb"):
        run_notebook(source, output=tmp_path / "y.html")
    with pytest.raises(ValueError, match="is the notebook itself"):
        run_notebook(source, output=tmp_path / "link.ipynb")
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match=r"cannot be written \("):
        run_notebook(source, output=tmp_path / "file" / "y.ipynb")
    assert not mark.exists()
    assert source.read_bytes() == before


@pytest.fixture(scope="module")
def ran(
    tmp_path_factory: pytest.TempPathFactory, make_notebook: Make
) -> tuple[Path, NotebookNode, str]:
    """A notebook with a panel, run once with a parameter: its folder, the result, the echo."""
    folder = tmp_path_factory.mktemp("ran")
    source = make_notebook(
        folder / "source {braces}.ipynb",
        "import os, sys\nprint(sys.executable, os.getcwd(), seed, store)",
        PANEL,
        parameters=PARAMETERS,
    )
    echo = io.StringIO()
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        # A kernel of another installation must not be taken for this one's.
        other = folder / "jupyter" / "kernels" / "python3"
        other.mkdir(parents=True)
        (other / "kernel.json").write_text(
            json.dumps({"argv": ["false"], "display_name": "other", "language": "python"})
        )
        patch.setenv("JUPYTER_PATH", str(folder / "jupyter"))
        given = {"seed": 7, "store": folder / "my runs"}
        nb = run_notebook(source, given, "out/done.ipynb", echo=echo)
    return folder, nb, echo.getvalue()


def test_a_run_uses_this_python_and_this_folder_and_takes_parameters(
    ran: tuple[Path, NotebookNode, str],
) -> None:
    folder, nb, _ = ran
    printed = [out.text for c in nb.cells for out in c.get("outputs", []) if "text" in out]
    assert printed == [f"{sys.executable} {folder} 7 {folder / 'my runs'}\n"]


def test_a_run_leaves_its_source_as_it_was(ran: tuple[Path, NotebookNode, str]) -> None:
    source = nbformat.read(ran[0] / "source {braces}.ipynb", as_version=4)
    assert not any(cell.get("outputs") for cell in source.cells)
    assert len(source.cells) == 4
    assert sorted(path.name for path in ran[0].iterdir()) == [
        "jupyter", "out", "source {braces}.ipynb",
    ]  # fmt: skip


def test_a_run_records_how_it_was_made(ran: tuple[Path, NotebookNode, str]) -> None:
    about = ran[1].metadata.madlab
    assert about.parameters == {"preset": "quick", "seed": 7, "store": str(ran[0] / "my runs")}
    assert about.notebook == "source {braces}"
    assert about.seconds > 0
    assert {"torch", "device", "threads"} <= set(about.provenance)


def test_a_run_echoes_cells_and_what_they_print(ran: tuple[Path, NotebookNode, str]) -> None:
    lines = ran[2].splitlines()
    assert lines[0].startswith("[1/3] preset")
    assert lines[1] == "[2/3] import os, sys"
    assert lines[2].endswith("my runs")
    assert lines[3].startswith("[3/3] import base64")
    assert len(lines) == 4


def test_what_is_written_is_the_run_frozen(ran: tuple[Path, NotebookNode, str]) -> None:
    folder, nb, _ = ran
    assert "widgets" in nb.metadata
    written = nbformat.read(folder / "out" / "done.ipynb", as_version=4)
    nbformat.validate(written)
    assert written == execute.freeze(nb)
    assert [path.name for path in (folder / "out").iterdir()] == ["done.ipynb"]


def test_a_failing_cell_is_named_and_the_notebook_so_far_is_kept(
    tmp_path: Path, make_notebook: Make
) -> None:
    source = make_notebook(
        tmp_path / "x.ipynb", "print('kept')", "bias = 2\nraise ValueError('bias is 2')", "print(3)"
    )
    output = tmp_path / "done.ipynb"
    expected = (
        r"x\.ipynb stopped in code cell '\[2/3\] bias = 2' with ValueError: bias is 2\..*partial"
    )
    with pytest.raises(NotebookError, match=expected):
        run_notebook(source, output=output)
    assert not output.exists()
    partial = nbformat.read(tmp_path / "done.partial.ipynb", as_version=4)
    texts = [out.get("text", "") for c in partial.cells for out in c.get("outputs", [])]
    assert "kept\n" in texts


def test_a_cell_that_takes_too_long_or_kills_its_kernel_is_an_error(
    tmp_path: Path, make_notebook: Make
) -> None:
    slow = make_notebook(tmp_path / "slow.ipynb", "import time\ntime.sleep(60)")
    with pytest.raises(
        NotebookError, match=r"slow\.ipynb .* '\[1/1\] import time', .* than 1 seconds"
    ):
        run_notebook(slow, timeout=1)
    dead = make_notebook(tmp_path / "dead.ipynb", "import os\nos._exit(1)")
    with pytest.raises(NotebookError, match=r"dead\.ipynb .*'\[1/1\] import os': its kernel died"):
        run_notebook(dead)


@pytest.mark.parametrize(
    ("default", "text", "value"),
    [
        ("'runs'", "2024", "2024"),
        ("0", "3", 3),
        ("0", execute.Raw("3"), "3"),
        ("0.5", "1", 1),
        ("0.5", "1e-3", 1e-3),
        ("True", "False", False),
        ("[1, 2]", "[3]", [3]),
        ("None", "4", 4),
        ("None", "four", "four"),
        ("2**3", "4", 4),
        ("0", "0.5", "its default is 0: give a whole number"),
        ("0", "True", "its default is 0: give a whole number"),
        ("True", "1", "its default is True: give True or False"),
        ("0.5", "much", "its default is 0.5: give a number"),
        ("[1]", "1", "its default is \\[1\\]: give a list"),
    ],
)
def test_a_parameter_is_of_the_type_of_its_default(
    default: str, text: str, value: Any, tmp_path: Path, make_notebook: Make
) -> None:
    source = make_notebook(tmp_path / "x.ipynb", "1", parameters=f"n: object = {default}")
    given = execute._read(source)[1]["n"]
    if isinstance(value, str) and "default" in value:
        with pytest.raises(ValueError, match=f"^n is '{re.escape(text)}'; {value}$"):
            execute._typed("n", given, text)
    else:
        found = execute._typed("n", given, text)
        assert (found, type(found)) == (value, type(text) if found is text else type(value))


@pytest.mark.parametrize("exit", ["sys.exit(0)", "sys.exit()", "raise SystemExit"])
def test_a_cell_that_exits_is_no_good_end(tmp_path: Path, make_notebook: Make, exit: str) -> None:
    source = make_notebook(tmp_path / "x.ipynb", f"import sys\n{exit}", "print('more')")
    with pytest.raises(NotebookError, match=r"ended early in code cell '\[1/2\] import sys'"):
        run_notebook(source, output=tmp_path / "y.ipynb")
    assert not (tmp_path / "y.ipynb").exists()
    assert (tmp_path / "y.partial.ipynb").exists()


def test_a_kernel_that_does_not_start_is_an_error_of_the_notebook(
    tmp_path: Path, make_notebook: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = make_notebook(tmp_path / "x.ipynb", "print(1)")
    for command in ([str(tmp_path / "gone")], [sys.executable, "-c", "raise SystemExit(3)"]):
        spec = KernelSpec(argv=command)
        monkeypatch.setattr(execute._OwnKernel, "kernel_spec", property(lambda _, spec=spec: spec))
        with pytest.raises(NotebookError, match=r"no kernel could be started for x.ipynb .*doctor"):
            run_notebook(source)


def test_files_that_are_no_notebooks_and_old_ones(tmp_path: Path) -> None:
    file = tmp_path / "x.ipynb"
    for content in ("[]", "{}", '"x"', "3", "", "{", '{"nbformat": 99, "cells": []}'):
        file.write_text(content)
        with pytest.raises(ValueError, match=r"cannot be read as a notebook .*save it anew"):
            run_notebook(file)
    cell = {"cell_type": "code", "input": "print(1 + 1)", "outputs": [], "language": "python"}
    sheet = {"cells": [cell], "metadata": {}}
    old = {"nbformat": 3, "nbformat_minor": 0, "metadata": {"name": ""}, "worksheets": [sheet]}
    file.write_text(json.dumps(old))
    assert run_notebook(file).cells[0].outputs[0].text == "2\n"


def test_an_interrupt_leaves_no_task_that_complains_of_its_kernel(
    tmp_path: Path, make_notebook: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Stop(io.StringIO):
        def write(self, text: str) -> int:
            if "started" in text:
                raise KeyboardInterrupt
            return super().write(text)

    shut_down = AsyncKernelManager.shutdown_kernel

    async def slowly(self: AsyncKernelManager, now: bool = False, restart: bool = False) -> None:
        await shut_down(self, now, restart)
        # nbclient asks every second whether the kernel lives.
        await asyncio.sleep(1.5)

    monkeypatch.setattr(AsyncKernelManager, "shutdown_kernel", slowly)
    source = make_notebook(tmp_path / "{x}.ipynb", "import time\nprint('started')\ntime.sleep(60)")

    def interrupted() -> tuple[list[dict[str, Any]], set[asyncio.Task[Any]]]:
        complaints: list[dict[str, Any]] = []
        loop = ensure_event_loop()
        loop.set_exception_handler(lambda _, about: complaints.append(about))
        with pytest.raises(KeyboardInterrupt):
            run_notebook(source, output=tmp_path / "{y}.ipynb", echo=Stop())
        gc.collect()
        left = asyncio.all_tasks(loop)
        loop.close()
        return complaints, left

    # In a thread, as here a browser's loop may run, beside which Jupyter hands its work to another.
    with ThreadPoolExecutor(1) as thread:
        complaints, left = thread.submit(interrupted).result()
    assert complaints == []
    assert not left
    assert (tmp_path / "{y}.partial.ipynb").exists()


def test_an_interrupt_keeps_the_notebook_so_far(tmp_path: Path, make_notebook: Make) -> None:
    mark = tmp_path / "started"
    make_notebook(
        tmp_path / "x.ipynb", f"import time\nopen({str(mark)!r}, 'w').close()\ntime.sleep(600)"
    )
    command = [sys.executable, "-m", "madlab", "run", "x.ipynb", "--output", "y.ipynb"]
    with subprocess.Popen(
        command,
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        text=True,
        # A shell that starts the tests in the background has interrupts ignored.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    ) as process:
        while not mark.exists() and process.poll() is None:
            time.sleep(0.1)
        process.send_signal(2)
        _, errors = process.communicate()
    assert process.returncode == 130, errors
    assert "madlab: interrupted. Every generation that was finished is kept" in errors
    assert "Traceback" not in errors
    assert (tmp_path / "y.partial.ipynb").exists()
    assert not (tmp_path / "y.ipynb").exists()
