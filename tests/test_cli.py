"""The command line: what it understands, what it prints, and its exit codes."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
import pytest
from cells import PARAMETERS

import madlab
from madlab import doctor, lab, report
from madlab.cli import main
from madlab.store import Store

Make = Callable[..., Path]
Capture = pytest.CaptureFixture[str]
COMMANDS = [
    "lab",
    "run",
    "report",
    "runs list",
    "runs verify",
    "runs prune",
    "gallery list",
    "gallery build",
    "data",
    "data ffhq",
    "data folder",
    "doctor",
]


@pytest.mark.parametrize("command", ["", "runs", "gallery", *COMMANDS])
def test_every_command_explains_itself(command: str, capsys: Capture) -> None:
    assert main([*command.split(), "--help"]) == 0
    said = capsys.readouterr().out
    assert f"Usage: madlab {command}".rstrip() in said
    if command in COMMANDS:
        assert f"  madlab {command}" in said.split("Example")[1]


def test_the_help_and_the_package_are_quick_to_come_and_load_no_torch() -> None:
    code = (
        "import sys, time; start = time.process_time(); "
        "import madlab; from madlab.cli import main; main(['--help']); "
        "print(time.process_time() - start, 'torch' in sys.modules, "
        "'jupyterlab' in sys.modules)"
    )
    last = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.splitlines()[-1]
    seconds, torch, jupyterlab = last.split()
    assert (torch, jupyterlab) == ("False", "False")
    assert float(seconds) < 1


def test_python_m_madlab_is_the_same_command() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "madlab", "runs", "lst"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "No such command 'lst'" in done.stderr


def test_parameters_are_given_as_papermill_takes_them(monkeypatch: pytest.MonkeyPatch) -> None:
    got: dict[str, Any] = {}

    def fake(notebook: str, parameters: dict[str, Any], output: Path, echo: object) -> Path:
        got.update(parameters, notebook=notebook, output=output)
        return Path(__file__)

    monkeypatch.setattr(report, "report", fake)
    words = "report 06 -p preset smoke -p seed 3 -p bias -0.5 -p live False -p store None"
    assert main([*words.split(), "-p", "title", "a = b", "-p", "n=4", "-o", "x.html"]) == 0
    assert got == {
        "preset": "smoke", "seed": 3, "bias": -0.5, "live": False, "store": None,
        "title": "a = b", "n": 4, "notebook": "06", "output": Path("x.html"),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        ("run x.ipynb -p seed", 2, "Option '-p' requires 2 arguments"),
        ("run x.ipynb -p sed 1", 1, "no parameter in x.ipynb named 'sed'; there are: preset"),
        ("run y", 1, "there is no notebook 'y'"),
        ("report x.ipynb -o .", 1, "is a folder; give a file name in it"),
        ("runs list nowhere", 1, "there is no store nowhere"),
        ("runs list x.ipynb", 1, "the store x.ipynb is a file"),
        ("runs list .", 1, "is not a madlab store"),
        ("run x.ipynb --oops", 2, "No such option"),
        ("mad", 2, "No such command 'mad'"),
    ],
)
def test_a_wrong_request_is_answered_in_a_line(
    words: str,
    code: int,
    message: str,
    tmp_path: Path,
    make_notebook: Make,
    monkeypatch: pytest.MonkeyPatch,
    capsys: Capture,
) -> None:
    make_notebook(tmp_path / "x.ipynb", "1", parameters=PARAMETERS)
    monkeypatch.chdir(tmp_path)
    assert main(words.split()) == code
    said = capsys.readouterr()
    assert message in said.err
    assert "Traceback" not in said.err
    assert said.out == ""
    if code == 1:
        assert said.err.startswith("madlab: ")
        assert said.err.count("\n") == 1


def test_run_keeps_the_executed_notebook(
    tmp_path: Path, make_notebook: Make, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    make_notebook(tmp_path / "x.ipynb", "print('seed', seed)", parameters=PARAMETERS)
    monkeypatch.chdir(tmp_path)
    assert main(["run", "x.ipynb", "-p", "seed", "4"]) == 0
    said = capsys.readouterr()
    assert said.out == f"wrote {Path('reports/x.ipynb')}\n"
    assert "[2/2] print" in said.err
    cells = nbformat.read(tmp_path / "reports" / "x.ipynb", as_version=4).cells
    assert cells[-1].outputs[0].text == "seed 4\n"


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    """A store in `runs` of the current folder, with a model and a sample set."""
    monkeypatch.chdir(tmp_path)
    found = Store("runs", durable=False)
    found.prepare()
    for kind, letter in (("models", "a"), ("samples", "b")):
        found.publish(kind, letter * 32, lambda folder: (folder / "x").write_text("hello"), {})
    return found


def test_runs_lists_verifies_and_prunes_a_store(store: Store, capsys: Capture) -> None:
    assert main(["runs", "list"]) == 0
    listed = capsys.readouterr().out.splitlines()
    assert [line.split()[:2] for line in listed[:2]] == [
        ["models", "a" * 12],
        ["samples", "b" * 12],
    ]
    assert listed[2].startswith("2 entries, 0.0 MB; 0 generations recorded")
    assert main(["runs", "verify", "runs"]) == 0
    assert "all 2 entries and all records are intact" in capsys.readouterr().out

    (store.path / "models" / ("a" * 32) / "x").write_text("hallo")
    assert main(["runs", "verify"]) == 1
    said = capsys.readouterr()
    assert "the SHA-256 of x differs" in said.err
    assert main(["runs", "list"]) == 0
    assert "NOT INTACT: the SHA-256 of x differs" in capsys.readouterr().out

    assert main(["runs", "prune", "--samples", "--dry-run"]) == 0
    assert "2 entries would be removed" in capsys.readouterr().out
    assert len(store.entries()) == 2
    assert main(["runs", "prune"]) == 0
    assert "1 entries removed" in capsys.readouterr().out
    assert [entry.kind for entry in store.entries()] == ["samples"]
    assert main(["runs", "prune", "--samples", "--models"]) == 0
    assert store.entries() == []


def test_data_lists_what_there_is(capsys: Capture) -> None:
    assert main(["data"]) == 0
    said = capsys.readouterr().out
    assert "60,000 training and 10,000 held-out digits, 28 x 28 pixels, id mnist-" in said
    assert "all SHA-256 checksums agree" in said


@pytest.mark.parametrize(("ok", "code"), [(True, 0), (False, 1)])
def test_doctor_exits_with_what_it_found(
    ok: bool, code: int, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    findings = [doctor.Finding("data", ok, "70,000 digits", "" if ok else "install again")]
    monkeypatch.setattr(doctor, "examine", lambda: findings)
    assert main(["doctor"]) == code
    assert "70,000 digits" in capsys.readouterr().out


def test_the_version_is_one_number() -> None:
    from importlib.metadata import version

    assert version(lab.DISTRIBUTION) == madlab.__version__
