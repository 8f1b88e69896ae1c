"""The command `madlab`: JupyterLab, notebooks, stores, the gallery, data and a check-up."""

import errno
import io
import os
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import click

from madlab import files
from madlab.cli_data import Ordered, data, examples, gallery, runs

_WHOLE = "MADLAB_TRACEBACK"
# Errors whose message is written for whoever reads it.
_SAID = (ValueError, KeyError, OSError, TypeError, ImportError, RuntimeError)


class _Seeds(click.ParamType[range]):
    """The first and the last of some whole numbers."""

    name = "FIRST..LAST"

    def convert(self, value: str, _: object, __: object) -> range:
        """Return the seeds that a text as "0..4" names."""
        found = re.fullmatch(r"(\d+)\.\.(\d+)", value)
        if not found or int(found[1]) > int(found[2]):
            self.fail(f"{value!r} names no seeds; write the first and the last, as in 0..4")
        return range(int(found[1]), int(found[2]) + 1)


_Pairs = Sequence[tuple[str, str]]
_notebook = click.argument(
    "notebook", help="A path, a name as `06_digits_fully_synthetic`, or its start, `06`."
)
_parameters = click.option(
    *("-p", "--parameter", "parameters"),
    nargs=2,
    multiple=True,
    metavar="NAME VALUE",
    help="A parameter of the notebook and its value, of the type of its default; give it again "
    "for another one.",
)
_raw = click.option(
    *("-r", "--raw", "raw"),
    nargs=2,
    multiple=True,
    metavar="NAME TEXT",
    help="A parameter whose value is this text, whatever it looks like.",
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
@_raw
@click.option("-o", "--output", type=Path, help="[default: reports/NAME.ipynb]")
def run(notebook: str, parameters: _Pairs, raw: _Pairs, output: Path | None) -> None:
    """Run a notebook from start to end and keep it with its outputs."""
    from madlab.execute import find, run_notebook

    target = output or Path("reports", f"{find(notebook).stem}.ipynb")
    run_notebook(notebook, _given(parameters, raw), target, echo=sys.stderr)
    click.echo(f"wrote {target}")


@examples(
    "madlab report 06 -p preset quick -p seed 1 --output seed1.html",
    "madlab report 06 --seeds 0..4",
    "papermill 06.ipynb done.ipynb -p seed 1; madlab report done.ipynb --executed",
)
@app.command()
@_notebook
@_parameters
@_raw
@click.option("-o", "--output", type=Path, help="[default: reports/NAME.html]")
@click.option("--seeds", type=_Seeds(), help="A report for each, and a table of their verdicts.")
@click.option("--executed", is_flag=True, help="It was run already, by papermill say.")
def report(
    notebook: str,
    parameters: _Pairs,
    raw: _Pairs,
    output: Path | None,
    seeds: range | None,
    executed: bool,
) -> int:
    """Run a notebook and write it as one HTML file.

    The file needs no network and no kernel.
    """
    from madlab import report as reports

    given = _given(parameters, raw)
    if executed and (given or seeds):
        raise click.UsageError("a notebook that was executed takes no parameters and no seeds")
    failed = 0
    if seeds:
        path, failed = reports.over_seeds(notebook, seeds, given, output, echo=sys.stderr)
    else:
        path = reports.report(notebook, given, output, echo=sys.stderr, executed=executed)
    click.echo(f"wrote {path} ({path.stat().st_size / 1e6:.1f} MB)")
    return int(failed > 0)


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


def _given(parameters: _Pairs, raw: _Pairs) -> dict[str, str]:
    from madlab.execute import Raw

    return {**dict(parameters), **{name: Raw(text) for name, text in raw}}


for group in (runs, gallery, data):
    app.add_command(group)


def _split(words: Sequence[str]) -> Iterator[str]:
    """Write `-p NAME=VALUE` as `-p NAME VALUE`, for both are taken, and `-r` likewise."""
    before = ""
    for word in words:
        yield from word.split("=", 1) if before in ("-p", "--parameter", "-r", "--raw") else [word]
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
