"""The command line: what it understands, what it prints, and its exit codes."""

import io
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
import pytest
from cells import PARAMETERS
from picture_files import fill

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


def test_parameters_are_given_in_pairs(monkeypatch: pytest.MonkeyPatch) -> None:
    got: dict[str, Any] = {}

    def fake(
        notebook: str, parameters: dict[str, Any], output: Path, echo: object, executed: bool
    ) -> Path:
        got.update(parameters, notebook=notebook, output=output)
        return Path(__file__)

    monkeypatch.setattr(report, "report", fake)
    words = "report 06 -p preset smoke -p seed 3 -p bias -0.5 -p live False -p store None"
    assert main([*words.split(), "-p", "title", "a = b", "-p", "n=4", "-o", "x.html"]) == 0
    assert got == {
        "preset": "smoke", "seed": "3", "bias": "-0.5", "live": "False", "store": "None",
        "title": "a = b", "n": "4", "notebook": "06", "output": Path("x.html"),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        ("run x.ipynb -p seed", 2, "Option '-p' requires 2 arguments"),
        ("run x.ipynb -p sed 1", 1, "no parameter in x.ipynb named 'sed'; there are: preset"),
        (
            "run x.ipynb -p seed three",
            1,
            "seed in x.ipynb is 'three'; its default is 0: give",
        ),
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


@pytest.mark.parametrize("code_page", ["cp1252", "cp437"])
def test_a_narrow_code_page_loses_no_answer(
    code_page: str, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.path.rename(tmp_path / "Ж λ")
    told = {name: io.TextIOWrapper(io.BytesIO(), code_page) for name in ("stdout", "stderr")}
    for name, stream in told.items():
        monkeypatch.setattr(sys, name, stream)
    assert main(["runs", "list", str(tmp_path / "Ж λ")]) == 0
    assert main(["runs", "list", str(tmp_path / "Ж")]) == 1
    out, err = (stream.detach().getvalue().decode(code_page) for stream in told.values())
    assert out.rstrip().endswith("generations recorded")
    assert "there is no store" in err
    assert "\\u0416" in err


def test_an_error_nobody_foresaw_is_one_line_and_its_traceback_can_be_had(
    monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    def fails() -> None:
        raise AttributeError("no attribute 'x'")

    monkeypatch.setattr(doctor, "examine", fails)
    assert main(["doctor"]) == 1
    said = capsys.readouterr().err
    assert said.splitlines() == [
        "madlab: AttributeError: no attribute 'x' (MADLAB_TRACEBACK=1 shows where it comes from)"
    ]
    monkeypatch.setenv("MADLAB_TRACEBACK", "1")
    with pytest.raises(AttributeError, match="no attribute 'x'"):
        main(["doctor"])


def test_a_home_that_nobody_knows_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: Capture, tmp_path: Path
) -> None:
    for words in (["run", "~nosuch/x.ipynb"], ["runs", "verify", "~nosuch/runs"]):
        assert main(words) == 1
        assert (
            "begins with a home folder that nobody knows; write it out" in capsys.readouterr().err
        )
    # As of a user that the system does not know, in a container.
    monkeypatch.delenv("MADLAB_CACHE")
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)
    monkeypatch.chdir(tmp_path)
    fill(tmp_path / "pictures")
    assert main(["data", "folder", "pictures"]) == 1
    assert "no home folder is known for the cache" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["pictures"]


def test_the_version_is_one_number() -> None:
    from importlib.metadata import version

    assert version(lab.DISTRIBUTION) == madlab.__version__
