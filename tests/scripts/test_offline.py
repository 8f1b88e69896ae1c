"""The folder for a class without a network: what it takes for each kind of machine."""

import re
import zipfile
from pathlib import Path

import offline
import pytest

# By name: the start of its wheel's name, its tag but for the platform, and what it requires.
INDEX = {
    "madlab-loops": (
        "madlab_loops-1.0-py3-none-any",
        ["torch>=2", 'colorama; sys_platform == "win32"', "web[fast]>=1"],
    ),
    "torch": (
        "torch-2.1+cpu-cp311-cp311-HERE",
        ['nvidia-all==13.*; platform_system == "Linux"', 'new; python_version >= "3.12"'],
    ),
    "colorama": ("colorama-0.4-py2.py3-none-any", []),
    "web": ("web-1.2-py3-none-any", ['speed==3.*; extra == "fast"', 'slow; extra == "other"']),
    "speed": ("speed-3.1-cp39-abi3-HERE", []),
    "nvidia-all": ("nvidia_all-13.0-py3-none-HERE", []),
}
ALL = {"madlab_loops", "torch", "web", "speed"}


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names that pip is asked for, one by one; it has what is in INDEX."""
    names: list[str] = []

    def pip(command: str, option: str, folder: Path, *words: str) -> None:
        assert (command, option, words[0]) == ("download", "-d", "--platform")
        for word in words[words.index("--python-version") + 2 :]:
            name = re.split("[<>=]", word)[0]
            names.append(name)
            file, requires = INDEX.get(name, (None, []))
            if file:
                text = "\n".join(f"Requires-Dist: {line}" for line in requires)
                with zipfile.ZipFile(folder / f"{file.replace('HERE', words[1])}.whl", "w") as zip:
                    zip.writestr(f"{name}.dist-info/METADATA", text)

    monkeypatch.setattr(offline, "pip", pip)
    return names


@pytest.mark.parametrize(
    ("kind", "more"),
    [("windows", {"colorama"}), ("linux", {"nvidia_all"}), ("macos", set())],
)
def test_a_folder_has_what_that_kind_of_machine_needs(
    kind: str, more: set[str], asked: list[str], tmp_path: Path
) -> None:
    used = offline.fill(tmp_path, kind, "3.11")
    assert {file.name.split("-")[0] for file in used} == ALL | more
    assert used == set(tmp_path.iterdir())
    # A second time nothing is missing; to other machines what is of one kind is of no use.
    asked.clear()
    assert offline.fill(tmp_path, kind, "3.11") == used
    assert asked == []
    offline.fill(tmp_path, "windows" if kind == "macos" else "macos", "3.11")
    assert {"torch", "speed"} <= set(asked)
    assert not {"madlab-loops", "web"} & set(asked)


def test_what_there_is_no_wheel_of_is_named(asked: list[str], tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match=r"no wheel for linux, Python 3\.12, of torch>=2"):
        offline.fill(tmp_path, "linux", "3.12")


def test_a_wheel_that_is_too_old_is_missing(asked: list[str], tmp_path: Path) -> None:
    offline.fill(tmp_path, "windows", "3.11")
    (old,) = tmp_path.glob("web-*")
    old.rename(tmp_path / "web-0.9-py3-none-any.whl")
    asked.clear()
    offline.fill(tmp_path, "windows", "3.11")
    assert asked == ["web"]
