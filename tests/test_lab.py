"""Where notebooks are, a reader's own copy of them, and what JupyterLab is started with."""

import json
import os
from pathlib import Path

import nbformat
import pytest

import madlab
from madlab import lab
from madlab.cli import main

HERE = ["--ServerApp.ip=127.0.0.1"]
ROOM = "--LabApp.default_url=/lab/workspaces/madlab"
START = f"{ROOM}/tree/00_start_here.ipynb"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home folder, an installed madlab with two notebooks, and a current folder elsewhere."""
    package = tmp_path / "site" / "madlab"
    (package / "notebooks").mkdir(parents=True)
    for name in ("00_start_here", "01_more"):
        (package / "notebooks" / f"{name}.ipynb").write_text(f"{name}, first")
    monkeypatch.setattr(lab, "_PACKAGE", package)
    for name in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(name, str(tmp_path / "home"))
    monkeypatch.setenv("JUPYTERLAB_WORKSPACES_DIR", str(tmp_path / "spaces"))
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    return tmp_path / "home"


def contents(folder: Path) -> dict[str, str]:
    return {file.stem: file.read_text() for file in folder.glob("*.ipynb")}


def test_a_copy_is_made_once_and_follows_the_package_but_never_undoes_work(home: Path) -> None:
    source, mine = lab.folder(), home / "madlab-notebooks"
    where = f"your own notebooks are in {mine}"
    first = {"00_start_here": "00_start_here, first", "01_more": "01_more, first"}
    assert lab.own_copy() == (mine, f"{where}; copied: 00_start_here, 01_more")
    assert contents(mine) == first
    assert lab.own_copy() == (mine, where)
    # Work of the reader's, with the package as it was; then one that is gone.
    (mine / "01_more.ipynb").write_text("my own")
    assert lab.own_copy() == (mine, where)
    (mine / "00_start_here.ipynb").unlink()
    assert lab.own_copy() == (mine, f"{where}; copied: 00_start_here")
    assert contents(mine) == first | {"01_more": "my own"}
    # A new version of the package.
    for file in source.iterdir():
        file.write_text(f"{file.stem}, second")
    (source / "02_new.ipynb").write_text("new")
    beside = f"01_more-{madlab.__version__}"
    said = f"{where}; copied: 02_new; renewed: 00_start_here; new, beside yours: {beside}"
    assert lab.own_copy() == (mine, said)
    assert contents(mine) == {
        "00_start_here": "00_start_here, second",
        "01_more": "my own",
        beside: "01_more, second",
        "02_new": "new",
    }
    assert lab.own_copy() == (mine, where)
    # Without the note of what was copied, whatever differs is taken for work.
    (mine / ".madlab.json").write_text("{")
    (mine / "00_start_here.ipynb").write_text("mine too")
    lab.own_copy()
    assert contents(mine)["00_start_here"] == "mine too"
    assert contents(mine)["01_more"] == "my own"


def test_a_notebook_that_was_only_looked_at_is_renewed(home: Path) -> None:
    source = lab.folder() / "00_start_here.ipynb"
    nb = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("1")])
    nbformat.write(nb, source)
    mine = lab.own_copy()[0] / source.name
    nb.metadata["language_info"] = {"name": "python", "version": "3.14"}
    nbformat.write(nb, mine)
    nbformat.write(nbformat.v4.new_notebook(), source)
    assert lab.own_copy()[1].endswith("; renewed: 00_start_here")
    # One that was run is not: its outputs are work.
    nb.cells[0].outputs = [nbformat.v4.new_output("stream", text="2")]
    nbformat.write(nb, mine)
    nbformat.write(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("3")]), source)
    assert "new, beside yours: 00_start_here-" in lab.own_copy()[1]
    assert nbformat.read(mine, as_version=4).cells[0].outputs[0].text == "2"


def test_a_copy_that_cannot_be_made_is_explained(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    home.mkdir()
    (home / "madlab-notebooks").write_text("a file of mine")
    assert main(["lab"]) == 1
    said = capsys.readouterr().err
    assert f"the notebooks cannot be copied to {home / 'madlab-notebooks'} (" in said
    assert "--ServerApp.root_dir=FOLDER" in said

    def homeless() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", homeless)
    assert lab.own_copy()[0] == Path.cwd() / "madlab-notebooks"


def test_a_clone_s_notebooks_are_opened_where_they_are() -> None:
    clone = Path(lab.__file__).parents[1] / "notebooks"
    assert lab.own_copy() == (clone, f"the notebooks are those of the clone, in {clone}")


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ([], [*HERE, "--ServerApp.root_dir={mine}", START]),
        (["--ip=0.0.0.0"], ["--ServerApp.root_dir={mine}", START]),
        (["--port", "8899", "."], HERE),
        (["--ServerApp.root_dir=/nowhere"], HERE),
        (["--LabApp.default_url=/lab"], [*HERE, "--ServerApp.root_dir={mine}"]),
    ],
)
def test_lab_opens_notebook_00_of_the_copy_to_this_machine_alone(
    words: list[str],
    expected: list[str],
    home: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    from jupyterlab.labapp import LabApp

    got: list[str] = []
    monkeypatch.setattr(LabApp, "launch_instance", got.extend)
    monkeypatch.setattr(lab.os, "geteuid", lambda: 1000, raising=False)
    monkeypatch.setenv("JUPYTER_CONFIG_PATH", "mine")
    mine = home / "madlab-notebooks"
    wanted = words + [word.format(mine=mine) for word in expected]
    assert main(["lab", *words]) == 0
    assert got == wanted
    assert (str(mine) in capsys.readouterr().err) == any(str(mine) in word for word in wanted)
    assert mine.exists() == any(str(mine) in word for word in wanted)
    mine_first, defaults = os.environ["JUPYTER_CONFIG_PATH"].split(os.pathsep)
    assert mine_first == "mine"
    assert (Path(defaults) / "labconfig" / "default_setting_overrides.json").is_file()
    monkeypatch.setattr(lab.os, "geteuid", lambda: 0, raising=False)
    got.clear()
    main(["lab", *words])
    assert got == [*wanted, "--allow-root"]


def test_the_next_day_begins_with_what_was_open(home: Path, tmp_path: Path) -> None:
    assert lab.arguments([])[0][2] == START
    (space,) = (tmp_path / "spaces").iterdir()
    # Made by madlab, and not yet opened by anybody.
    assert lab.arguments([])[0][2] == START
    content = json.loads(space.read_text())
    content["data"]["layout-restorer:data"]["main"] = {}
    space.write_text(json.dumps(content))
    assert lab.arguments([])[0][2] == ROOM
    space.write_text("{")
    assert lab.arguments([])[0][2] == START
