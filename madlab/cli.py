"""The command `madlab`: JupyterLab, notebooks, stores, the gallery, data and a check-up."""

import os
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from madlab.cli_data import app as _data
from madlab.gallery.cli import app as _gallery

app = typer.Typer(
    name="madlab",
    help="See, teach and study what happens when generative models train on their own output.",
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    add_completion=False,
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)
_runs = typer.Typer(
    help="List, verify or prune the generations that a store keeps.",
    rich_markup_mode=None,
    no_args_is_help=True,
)
app.add_typer(_runs, name="runs")
app.add_typer(_gallery, name="gallery")
app.add_typer(_data, name="data")

_Notebook = Annotated[
    str, typer.Argument(help="A path, a name as `06_digits_fully_synthetic`, or its start, `06`.")
]
_Parameters = Annotated[
    list[str] | None,
    typer.Option(
        "-p",
        "--parameter",
        metavar="NAME VALUE",
        help="A parameter of the notebook and its value; give it again for another one.",
    ),
]
_Store = Annotated[Path, typer.Argument(help="The folder of the store.")]
_DryRun = Annotated[bool, typer.Option("--dry-run", help="Only say what would be removed.")]


@app.command(
    short_help="Open JupyterLab on the notebooks.",
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True},
    epilog="\b\nExamples:\n  madlab lab\n  madlab lab --no-browser --port 8899",
)
def lab(context: typer.Context) -> None:
    """Open JupyterLab on madlab's notebooks, for this machine's own browser only.

    Whatever else is written goes to JupyterLab as it is.
    """
    from jupyterlab.labapp import LabApp

    from madlab.execute import folder

    words = list(context.args)
    given = " ".join(words)
    if "ServerApp.ip" not in given and "--ip" not in given:
        words.append("--ServerApp.ip=127.0.0.1")
    if "root_dir" not in given and not any(Path(word).exists() for word in words):
        words.append(f"--ServerApp.root_dir={folder()}")
    # Jupyter refuses to start for root, who is the only user in most containers.
    if hasattr(os, "geteuid") and os.geteuid() == 0 and "--allow-root" not in words:
        words.append("--allow-root")
    LabApp.launch_instance(words)


@app.command(
    short_help="Run a notebook and keep it with its outputs.",
    epilog="\b\nExamples:\n  madlab run 06\n"
    "  madlab run 06 -p preset smoke -p seed 1 --output seed1.ipynb",
)
def run(
    notebook: _Notebook,
    parameter: _Parameters = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="[default: reports/NAME.ipynb]")
    ] = None,
) -> None:
    """Run a notebook from start to end and keep it with its outputs."""
    from madlab.execute import find, run_notebook

    source = find(notebook)
    target = output or Path("reports", f"{source.stem}.ipynb")
    with _running():
        run_notebook(source, _pairs(parameter), target, echo=sys.stderr)
    typer.echo(f"wrote {target}")


@app.command(
    short_help="Run a notebook and write one HTML file.",
    epilog="\b\nExamples:\n  madlab report 06\n"
    "  madlab report 06 -p preset quick -p seed 1 --output seed1.html",
)
def report(
    notebook: _Notebook,
    parameter: _Parameters = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="[default: reports/NAME.html]")
    ] = None,
) -> None:
    """Run a notebook and write it as one HTML file that needs no network and no kernel."""
    from madlab.report import report as write_report

    with _running():
        path = write_report(notebook, _pairs(parameter), output, echo=sys.stderr)
    typer.echo(f"wrote {path} ({path.stat().st_size / 1e6:.1f} MB)")


@_runs.command(
    "list", short_help="List what a store keeps.", epilog="\b\nExample:\n  madlab runs list runs"
)
def list_runs(store: _Store = Path("runs")) -> None:
    """List the models and samples in a store, and how many generations are recorded."""
    from madlab.store import HALF_DONE

    found = _open(store)
    entries = found.entries()
    for entry in entries:
        made = time.strftime("%Y-%m-%d %H:%M", time.localtime(entry.created))
        state = (
            made
            if entry.ok
            else entry.why
            if entry.why == HALF_DONE
            else f"NOT INTACT: {entry.why}"
        )
        typer.echo(f"{entry.kind:8} {entry.id[:12]:12} {entry.bytes / 1e6:8.1f} MB  {state}")
    total = sum(entry.bytes for entry in entries) / 1e6
    typer.echo(f"{len(entries)} entries, {total:.1f} MB; {len(found.rows())} generations recorded")


@_runs.command(
    short_help="Check every file and record.", epilog="\b\nExample:\n  madlab runs verify runs"
)
def verify(store: _Store = Path("runs")) -> None:
    """Check every file of a store against its checksum; the exit code is 1 where one differs."""
    found = _open(store)
    problems = found.verify()
    for problem in problems:
        typer.echo(problem, err=True)
    if problems:
        typer.echo(f"{len(problems)} problems; `madlab runs prune {store}` removes what is damaged")
        raise typer.Exit(1)
    typer.echo(f"{store}: all {len(found.entries())} entries and all records are intact")


@_runs.command(
    short_help="Remove damage, and on request more.",
    epilog="\b\nExamples:\n  madlab runs prune runs\n  madlab runs prune runs --samples --dry-run",
)
def prune(
    store: _Store = Path("runs"),
    samples: Annotated[
        bool, typer.Option("--samples", help="Remove all sample sets as well.")
    ] = False,
    models: Annotated[
        bool, typer.Option("--models", help="Remove all fitted models as well.")
    ] = False,
    dry_run: _DryRun = False,
) -> None:
    """Remove what is damaged or left over from a store, and on request samples or models.

    Records are kept, so no number is lost; what is needed again is computed again.
    """
    gone = _open(store).prune(samples=samples, models=models, dry_run=dry_run)
    for entry in gone:
        typer.echo(f"{entry.kind:8} {entry.id[:12]:12} {entry.why}".rstrip())
    verb = "would be removed" if dry_run else "removed"
    typer.echo(f"{len(gone)} entries {verb}, {sum(e.bytes for e in gone) / 1e6:.1f} MB")


@app.command(
    short_help="Say what was found here and how to mend it.", epilog="\b\nExample:\n  madlab doctor"
)
def doctor() -> None:
    """Say what madlab found on this machine, and how to mend what is wrong.

    The exit code is 1 where something needs mending.
    """
    from madlab.doctor import examine, table

    findings = examine()
    typer.echo(table(findings))
    raise typer.Exit(0 if all(finding.ok for finding in findings) else 1)


@contextmanager
def _running() -> Iterator[None]:
    """Say in a line why a notebook stopped before its end."""
    from madlab.execute import NotebookError

    try:
        yield
    except NotebookError as error:
        raise typer.Exit(_fail(error)) from error
    except KeyboardInterrupt:
        typer.echo(
            "madlab: interrupted. Every generation that was finished is kept in the store of the "
            "run; the same command goes on from there.",
            err=True,
        )
        raise typer.Exit(130) from None


def _fail(error: Exception) -> int:
    message = error.args[0] if isinstance(error, KeyError) and error.args else error
    typer.echo(f"madlab: {' '.join(str(message).split())}", err=True)
    return 1


def _open(store: Path) -> Any:
    from madlab.store import Store

    if not store.exists():
        raise FileNotFoundError(
            f"there is no store {store}; give the folder that a chain or notebook was told to use"
        )
    return Store(store)


def _pairs(words: list[str] | None) -> dict[str, Any]:
    """Read NAME=VALUE words, as `_joined` leaves them, with values typed as papermill does."""
    pairs = {}
    for word in words or []:
        name, equals, value = word.partition("=")
        if not equals or not name.isidentifier():
            raise ValueError(f"-p takes a name and a value, as in `-p seed 1`, not {word!r}")
        pairs[name] = _typed(value)
    return pairs


def _typed(text: str) -> Any:
    words = {"True": True, "False": False, "None": None}
    if text in words:
        return words[text]
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def _joined(words: Sequence[str]) -> list[str]:
    """Join `-p NAME VALUE` into one word, as typer has no option that repeats with two values."""
    rest = list(words)
    joined = []
    while rest:
        word = rest.pop(0)
        joined.append(word)
        if word in ("-p", "--parameter") and rest and "=" not in rest[0]:
            name = rest.pop(0)
            joined.append(f"{name}={rest.pop(0)}" if rest else name)
    return joined


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code.

    - `arguments`: the words after `madlab`; without them, those of this process.

    What goes wrong is one line on stderr: code 1 for a request that failed, 2 for one that
    could not be understood, 130 after Ctrl+C.
    """
    words = _joined(sys.argv[1:] if arguments is None else arguments)
    try:
        app(words, prog_name="madlab")
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else 1
    except (ValueError, KeyError, OSError, TypeError) as error:
        return _fail(error)
    return 0
