"""The command `madlab`: JupyterLab, notebooks, stores, the gallery, data and a check-up."""

import errno
import io
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import click

from madlab import files
from madlab.cli_data import Ordered, data, examples, gallery, runs

_WHOLE = "MADLAB_TRACEBACK"
# Errors whose message is written for whoever reads it.
_SAID = (ValueError, KeyError, OSError, TypeError, ImportError, RuntimeError)


def _value(text: str) -> Any:
    """Return what a parameter's text says, typed as papermill does."""
    for number in (int, float):
        with suppress(ValueError):
            return number(text)
    return {"True": True, "False": False, "None": None}.get(text, text)


_notebook = click.argument(
    "notebook", help="A path, a name as `06_digits_fully_synthetic`, or its start, `06`."
)
_parameters = click.option(
    *("-p", "--parameter", "parameters"),
    nargs=2,
    multiple=True,
    metavar="NAME VALUE",
    callback=lambda _, __, pairs: {name: _value(text) for name, text in pairs},
    help="A parameter of the notebook and its value; give it again for another one.",
)


@click.group(
    cls=Ordered,
    context_settings={"help_option_names": ["-h", "--help"], "show_default": True},
)
def app() -> None:
    """See, teach and study what happens when generative models train on their own output."""


@examples("madlab lab", "madlab lab --no-browser --port 8899")
@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
@click.pass_context
def lab(context: click.Context) -> None:
    """Open JupyterLab on the notebooks.

    It answers this machine's own browser only. Whatever else is written goes to it as it is. Of an
    installed madlab it opens your own copy of the notebooks, which it makes if it is not there.
    """
    from madlab.lab import open_lab

    open_lab(context.args)


@examples("madlab run 06", "madlab run 06 -p preset smoke -p seed 1 --output seed1.ipynb")
@app.command()
@_notebook
@_parameters
@click.option("-o", "--output", type=Path, help="[default: reports/NAME.ipynb]")
def run(notebook: str, parameters: dict[str, Any], output: Path | None) -> None:
    """Run a notebook from start to end and keep it with its outputs."""
    from madlab.execute import find, run_notebook

    target = output or Path("reports", f"{find(notebook).stem}.ipynb")
    run_notebook(notebook, parameters, target, echo=sys.stderr)
    click.echo(f"wrote {target}")


@examples("madlab report 06", "madlab report 06 -p preset quick -p seed 1 --output seed1.html")
@app.command()
@_notebook
@_parameters
@click.option("-o", "--output", type=Path, help="[default: reports/NAME.html]")
def report(notebook: str, parameters: dict[str, Any], output: Path | None) -> None:
    """Run a notebook and write it as one HTML file.

    The file needs no network and no kernel.
    """
    from madlab.report import report as write_report

    path = write_report(notebook, parameters, output, echo=sys.stderr)
    click.echo(f"wrote {path} ({path.stat().st_size / 1e6:.1f} MB)")


@examples("madlab doctor")
@app.command()
def doctor() -> int:
    """Say what was found on this machine, and how to mend it.

    The exit code is 1 where something needs mending.
    """
    from madlab.doctor import examine, table

    findings = examine()
    click.echo(table(findings))
    return int(not all(finding.ok for finding in findings))


for group in (runs, gallery, data):
    app.add_command(group)


def _split(words: Sequence[str]) -> Iterator[str]:
    """Write `-p NAME=VALUE` as `-p NAME VALUE`, for both are taken."""
    before = ""
    for word in words:
        yield from word.split("=", 1) if before in ("-p", "--parameter") else [word]
        before = word


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code.

    - `arguments`: the words after `madlab`; without them, those of this process.

    What goes wrong is one line on stderr (with `MADLAB_TRACEBACK=1` a traceback): code 1 for a
    request that failed, 2 for one that could not be understood, 130 after Ctrl+C.
    """
    # A narrow code page, as of a redirected output on Windows, must not lose the answer.
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    words = list(_split(sys.argv[1:] if arguments is None else arguments))
    try:
        # A command returns its exit code, or None for 0.
        return app.main(words, prog_name="madlab", standalone_mode=False) or 0
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except click.Abort:
        kept = ". Every generation that was finished is kept; the same command goes on from there."
        click.echo(f"madlab: interrupted{kept if words[0] in ('run', 'report') else ''}", err=True)
        return 130
    except Exception as error:
        if os.environ.get(_WHOLE):
            raise
        message = str(error.args[0] if isinstance(error, KeyError) and error.args else error)
        if not isinstance(error, _SAID):
            message = f"{type(error).__name__}: {message} ({_WHOLE}=1 shows where it comes from)"
        if getattr(error, "errno", None) in (errno.EMFILE, errno.ENFILE):
            message += files.few_open()
        click.echo(f"madlab: {' '.join(message.split())}", err=True)
        return 1
