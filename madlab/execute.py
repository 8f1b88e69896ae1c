"""Find a notebook, check the parameters it is given, and run it from start to end."""

import ast
import asyncio
import contextlib
import datetime
import errno
import os
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

import nbformat
import papermill
from ipykernel.kernelspec import get_kernel_dict
from IPython.core.inputtransformer2 import TransformerManager
from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import AsyncKernelManager
from nbclient.exceptions import CellTimeoutError, DeadKernelError
from nbformat import NotebookNode
from papermill.exceptions import PapermillExecutionError

from madlab import checks, files
from madlab.lab import folder

WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"
_FALLBACKS = ("text/html", "text/markdown", "image/png", "image/svg+xml", "image/jpeg")
# What papermill calls cells that did not run to their end.
_CUT = ("failed", "pending")
_NO_FALLBACK = "A control stands here when the notebook is open in JupyterLab."


class Raw(str):
    """A parameter's value that stays text, whatever it looks like."""


class _Code(str):
    """The source of a default that is no literal."""


class NotebookError(RuntimeError):
    """A notebook stopped before its end; the message names the cell and what went wrong."""


def find(notebook: str | os.PathLike[str]) -> Path:
    """Return the path of a notebook.

    - `notebook`: a path, a name of one in `folder()`, or the unique beginning of one (`"06"`).

    Raises FileNotFoundError for none of these, ValueError for several or what is not a notebook.
    """
    path = files.expanded(notebook)
    if path.is_file():
        if path.suffix != ".ipynb":
            raise ValueError(f"{path} is not a notebook: its name does not end in .ipynb")
        return path.resolve()
    there = sorted(folder().glob("*.ipynb"))
    known = {path.stem: path for path in there if not files.is_desktops(path.name)}
    wanted = os.fspath(notebook).removesuffix(".ipynb")
    fitting = [name for name in known if wanted and name.startswith(wanted)]
    if wanted in known or len(fitting) == 1:
        return known.get(wanted) or known[fitting[0]]
    if fitting:
        raise ValueError(f"{wanted!r} fits {', '.join(fitting)}; write out the one you mean")
    meant = checks.hint(wanted, known) or "."
    raise FileNotFoundError(
        f"there is no notebook {os.fspath(notebook)!r}{meant} The notebooks in {folder()} are: "
        f"{', '.join(known) or 'none'}."
    )


def _read(path: Path) -> tuple[NotebookNode, dict[str, Any]]:
    """Return a notebook and the defaults of its parameters; of what is no literal, the source."""
    try:
        # Of format 3 what is read is converted, but not of today's type.
        nb = nbformat.from_dict(nbformat.read(path, as_version=4))
        cells = [cell.source for cell in nb.cells if "parameters" in cell.metadata.get("tags", [])]
        # Magics, as lines that begin with % are called, become calls.
        code = TransformerManager().transform_cell("".join(cells[:1]))
        lines = ast.parse(code, path.name).body
    except SyntaxError as error:
        raise ValueError(f"the parameters cell of {path.name} is not Python: {error}") from error
    except OSError:
        raise
    # A file that is none can make nbformat raise anything.
    except Exception as error:
        raise ValueError(
            f"{path} cannot be read as a notebook ({type(error).__name__}: {error}); open it in "
            "JupyterLab and save it anew, or give another file"
        ) from error
    defaults = {}
    for line in lines:
        if isinstance(line, ast.Assign | ast.AnnAssign) and line.value:
            name = ast.unparse(line.target if isinstance(line, ast.AnnAssign) else line.targets[0])
            defaults[name] = _Code(ast.unparse(line.value))
            with contextlib.suppress(ValueError):
                defaults[name] = ast.literal_eval(line.value)
    # What ran it, in the words of JupyterLab, which the source may leave out.
    kernel = {"name": "python3", "language": "python", "display_name": "Python 3 (ipykernel)"}
    nb.metadata.kernelspec = nbformat.from_dict(kernel)
    return nb, defaults


def _typed(name: str, default: Any, value: Any) -> Any:
    """Return a parameter's value, as text of the type of its default."""
    free = default is None or isinstance(default, _Code)
    text = isinstance(default, str) and not free
    if not isinstance(value, str) or isinstance(value, Raw) or text:
        return value
    try:
        found = ast.literal_eval(value)
    except (ValueError, SyntaxError):
        found = value
    kinds = (int, float) if type(default) is float else type(default)
    fits = isinstance(found, kinds) and isinstance(found, bool) == isinstance(default, bool)
    if not (free or fits):
        words = {bool: "True or False", int: "a whole number", float: "a number"}
        wanted = words.get(type(default), f"a {type(default).__name__}")
        raise ValueError(f"{name} is {value!r}; its default is {default!r}: give {wanted}")
    return found


def check_output(output: str | os.PathLike[str], suffix: str, source: Path) -> Path:
    """Return `output` as an absolute path, its folder made.

    Raises ValueError where its name does not end in `suffix` or it is `source` itself, and
    OSError where it is a folder or cannot be written.
    """
    path = files.expanded(output).absolute()
    if path.is_dir():
        raise IsADirectoryError(f"the output {path} is a folder; give a file name in it")
    if path.suffix.lower() != suffix:
        raise ValueError(f"the output {path} must have a name that ends in {suffix}")
    if path.exists() and path.samefile(source):
        raise ValueError(f"the output {path} is the notebook itself; give another name")
    with files.explained(f"the output {path} cannot be written", "give another place"):
        path.parent.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=path.parent).close()
    return path


def freeze(nb: NotebookNode) -> NotebookNode:
    """Return a copy of an executed notebook that reads well with no kernel and no network.

    What stays of a widget is the picture or text that it published beside its view, or a sentence.
    """
    frozen = nbformat.from_dict(nb)
    frozen.metadata.pop("widgets", None)
    for cell in frozen.cells:
        for output in cell.get("outputs", []):
            data = output.get("data", {})
            if data.pop(WIDGET_VIEW, None) and not any(kind in data for kind in _FALLBACKS):
                output["data"] = nbformat.from_dict({"text/plain": _NO_FALLBACK})
    return frozen


def run_notebook(
    notebook: str | os.PathLike[str],
    parameters: Mapping[str, Any] | None = None,
    output: str | os.PathLike[str] | None = None,
    *,
    keep: str | os.PathLike[str] | None = None,
    timeout: float | None = None,
    echo: TextIO | None = None,
) -> NotebookNode:
    """Run a notebook from start to end in a fresh kernel of this Python, in the current folder.

    The source is never written to.

    - `notebook`: what `find` takes.
    - `parameters`: values for names of its parameters cell; the others keep their defaults. Text
      for one whose default is no text is read as Python; a `Raw` is not.
    - `output`: a `.ipynb` file for the executed notebook, frozen.
    - `keep`: where the notebook is until it is done; `NAME.partial.ipynb` beside `output` if None.
    - `timeout`: the most seconds that one cell may take; None for no limit.
    - `echo`: a text stream that is told of each cell and what it prints, for instance sys.stderr.

    Returns the notebook with its outputs and widget state; `metadata.madlab` says with which
    parameters, when, how long, and under which versions it ran. Raises NotebookError where a
    cell fails or takes too long, and, before anything runs, KeyError for an unknown parameter,
    ValueError for a text that is not of its default's type, and what `find` and `check_output`
    raise.
    """
    source = find(notebook)
    nb, known = _read(source)
    given = dict(parameters or {})
    given |= {name: os.fspath(one) for name, one in given.items() if isinstance(one, os.PathLike)}
    for name, value in given.items():
        checks.known(f"parameter in {source.name} named", name, known)
        given[name] = _typed(f"{name} in {source.name}", known[name], value)
    target = None if output is None else check_output(output, ".ipynb", source)
    if keep is None and target is not None:
        keep = target.with_suffix(".partial.ipynb")
    kept = None if keep is None else files.expanded(keep).absolute()
    # It is written to as the run goes, and goes in the end.
    if kept is not None and kept in (source, target):
        raise ValueError(
            f"the notebook would be kept in {kept} until it is done, which is the notebook itself "
            "or its output: give another name"
        )
    progress = _Progress([cell.source for cell in nb.cells if cell.cell_type == "code"], echo)
    started = datetime.datetime.now().astimezone()
    clock = time.perf_counter()
    try:
        done = papermill.execute_notebook(
            nb,
            # papermill fills parameters into braces.
            None if kept is None else str(kept).replace("{", "{{").replace("}", "}}"),
            given,
            kernel_name="python3",
            language="python",
            progress_bar=False,
            kernel_manager_class=_OwnKernel,
            extra_arguments=["--log-level=CRITICAL"],
            on_cell_start=progress,
            stdout_file=echo,
            execution_timeout=timeout,
        )
    except (PapermillExecutionError, CellTimeoutError, DeadKernelError) as error:
        where = f"{source.name} stopped in code cell {progress.cell!r}{_why(error, timeout)}"
        so_far = f" The notebook as far as it ran, with the whole traceback, is {kept}."
        raise NotebookError(where + (so_far if kept else "")) from error
    except Exception as error:
        if progress.cell or (isinstance(error, OSError) and error.errno == errno.ENOSPC):
            raise
        raise NotebookError(
            f"no kernel could be started for {source.name} ({error}): "
            f"`madlab doctor` looks for the cause.{files.few_open()}"
        ) from error
    # papermill takes sys.exit(0) for a good end.
    cut = [cell for cell in done.cells if cell.metadata.get("papermill", {}).get("status") in _CUT]
    if cut:
        raise NotebookError(
            f"{source.name} ended early in code cell {progress.cell!r}, which called for an exit; "
            f"take that call out.{f' The notebook as far as it ran is {kept}.' if kept else ''}"
        )
    from madlab.training import provenance

    about = {
        "notebook": source.stem,
        "parameters": {**known, **given},
        "date": started.isoformat(timespec="seconds"),
        "seconds": round(time.perf_counter() - clock, 1),
        "provenance": provenance(),
    }
    parts = {"papermill": {"parameters": given}, "madlab": about}
    done.metadata.update(nbformat.from_dict(parts))
    if target is not None:
        files.write(target, nbformat.writes(freeze(done)))
    if kept is not None:
        kept.unlink(missing_ok=True)
    return done


class _OwnKernel(AsyncKernelManager):
    """Starts this Python: a python3 kernel of another installation may come first elsewhere."""

    @property
    def kernel_spec(self) -> KernelSpec:
        return KernelSpec(**get_kernel_dict())

    async def shutdown_kernel(  # type: ignore[override]
        self, now: bool = False, restart: bool = False
    ) -> None:
        # After an interrupt the cell's tasks still wait, and would complain that it is gone.
        left = asyncio.all_tasks() - {asyncio.current_task()}
        for task in left:
            task.cancel()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(asyncio.gather(*left, return_exceptions=True), 10)
        await super().shutdown_kernel(now, restart)


@dataclass
class _Progress:
    """Follows a run from cell to cell: `cell` is the number and first line of the latest one."""

    sources: list[str]
    echo: TextIO | None
    cell: str = ""

    def __call__(self, cell: NotebookNode, cell_index: int) -> None:
        # The cell of given parameters that papermill puts in is none of the notebook's own.
        if cell.source in self.sources:
            begins = next((line for line in cell.source.splitlines() if line.strip()), "")
            number = self.sources.index(cell.source) + 1
            self.cell = f"[{number}/{len(self.sources)}] {begins[:70]}"
            if self.echo is not None:
                print(self.cell, file=self.echo, flush=True)


def _why(error: Exception, timeout: float | None) -> str:
    if isinstance(error, PapermillExecutionError):
        return f" with {f'{error.ename}: {error.evalue}'.rstrip('.')}."
    if isinstance(error, CellTimeoutError):
        return f", which took longer than {timeout:g} seconds."
    return (
        ": its kernel died, as it does when memory runs out; try a smaller preset or close other "
        "programs."
    )
