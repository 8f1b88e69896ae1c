"""The check-up, on this machine as it is and on machines with something broken."""

import importlib
import shutil
import sys
from types import SimpleNamespace
from typing import Any

import jupyterlab_server.config
import pytest
from jupyter_client.kernelspec import KernelSpecManager

from madlab import doctor, lab
from madlab.doctor import Finding, examine, table


def finding(name: str) -> Finding:
    return next(found for found in examine() if found.name == name)


def test_this_machine_can_run_madlab() -> None:
    findings = examine()
    assert [found.name for found in findings] == list(doctor._CHECKS)
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
    found = finding("torchvision")
    assert not found.ok
    assert "operator torchvision::nms does not exist" in found.found
    assert "take both from one place" in found.mend
    assert "https://download.pytorch.org/whl/cpu" in found.mend


def test_any_other_failure_is_a_finding_and_not_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(name: str) -> Any:
        raise ImportError("libfoo.so: cannot open")

    monkeypatch.setattr(doctor, "importlib", SimpleNamespace(import_module=broken))
    found = finding("torchvision")
    assert (found.ok, found.found) == (False, "ImportError: libfoo.so: cannot open")
    assert "pip install -c constraints.txt -e ." in found.mend


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def version(name: str) -> str:
        if name == "pooch":
            raise importlib.metadata.PackageNotFoundError(name)
        return "9"

    monkeypatch.setattr(doctor.metadata, "version", version)
    needed = ["click>=8", "pooch>=1.8", 'prdc>=0.2; extra == "test"']
    monkeypatch.setattr(doctor.metadata, "requires", {lab.DISTRIBUTION: needed}.__getitem__)
    found = finding("packages")
    assert (found.ok, found.found) == (False, "pooch is not installed")
    assert "pip install -c constraints.txt -e ." in found.mend


def test_a_package_of_a_version_that_does_not_fit_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    needed = ["click>=8", "jupyterlab<5,>=4.4"]
    monkeypatch.setattr(doctor.metadata, "requires", {lab.DISTRIBUTION: needed}.__getitem__)
    versions = {"click": "8.5.1", "jupyterlab": "5.0.0"}
    monkeypatch.setattr(doctor.metadata, "version", versions.__getitem__)
    found = finding("packages")
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
    found = finding("widgets")
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
    found = finding("widgets")
    assert (found.ok, found.mend) == (False, f"jupyter labextension enable {name}")
    monkeypatch.setattr(jupyterlab_server.config, "get_federated_extensions", lambda _: {})
    assert "JupyterLab does not see its part" in finding("widgets").found


def test_a_kernel_of_another_python_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    spec = SimpleNamespace(argv=["/opt/other/bin/python", "-m", "ipykernel_launcher"])
    monkeypatch.setattr(KernelSpecManager, "get_kernel_spec", lambda self, name: spec)
    found = finding("kernel")
    assert not found.ok
    assert f"{sys.executable} -m ipykernel install --sys-prefix" in found.mend


def test_a_full_disk_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=1.5e9, total=1))
    found = finding("disk")
    assert not found.ok
    assert found.found.startswith("1.5 GB free")
    assert "madlab runs prune" in found.mend


def test_damaged_digits_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def damaged() -> Any:
        raise OSError("mnist.xz is cut short or damaged")

    monkeypatch.setattr("madlab.data.mnist", damaged)
    found = finding("data")
    assert not found.ok
    assert "mnist.xz is cut short" in found.found
