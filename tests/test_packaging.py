"""The files around the package: they must agree with each other and with pyproject.toml."""

import os
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from importlib import metadata
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

import madlab
from madlab import lab

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = PROJECT["optional-dependencies"]
NEEDED = [Requirement(r) for r in sum(EXTRAS.values(), PROJECT["dependencies"])]
PINS = {
    canonicalize_name(line.split("==")[0]): line.split("==")[1]
    for line in (ROOT / "constraints.txt").read_text().splitlines()
    if not line.startswith("#")
}


def text(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def test_constraints_are_plain_pins() -> None:
    for line in text("constraints.txt").splitlines():
        assert re.fullmatch(r"#.*|[A-Za-z0-9_.-]+==[0-9][A-Za-z0-9.]*", line), line


def test_pins_are_for_the_first_release_of_the_oldest_python() -> None:
    oldest = f"{PROJECT['requires-python'].removeprefix('>=')}.0"
    for found in metadata.distributions():
        about = found.metadata
        if PINS.get(canonicalize_name(about["Name"])) == about["Version"]:
            allowed = SpecifierSet(about.get("Requires-Python") or "")
            assert allowed.contains(oldest), f"{about['Name']} {allowed}"


@pytest.mark.parametrize("requirement", NEEDED, ids=str)
def test_every_dependency_has_a_floor_and_a_pin_within_it(requirement: Requirement) -> None:
    assert any(part.operator == ">=" for part in requirement.specifier), "no floor"
    pin = PINS[canonicalize_name(requirement.name)]
    assert requirement.specifier.contains(pin), f"{pin} is pinned"


def test_the_pinned_torchvision_was_built_for_the_pinned_torch() -> None:
    if metadata.version("torchvision").split("+")[0] != PINS["torchvision"]:
        pytest.fail(f"install as constraints.txt says: torchvision {PINS['torchvision']}")
    needed = [Requirement(r) for r in metadata.requires("torchvision") or []]
    torch = next(r for r in needed if r.name == "torch")
    assert torch.specifier.contains(PINS["torch"])


def test_whatever_a_dependency_requires_here_is_pinned_too() -> None:
    seen, left = set(), [(r.name, "") for r in NEEDED]
    while left:
        name, extra = left.pop()
        if (name, extra) in seen:
            continue
        seen.add((name, extra))
        assert canonicalize_name(name) in PINS, f"{name} has no pin"
        for line in metadata.requires(name) or []:
            needed = Requirement(line)
            if needed.marker is None or needed.marker.evaluate({"extra": extra}):
                left += [(needed.name, part) for part in ("", *needed.extras)]
    assert len({name for name, _ in seen}) > 50


def test_the_conda_environment_agrees_with_pyproject() -> None:
    environment = yaml.safe_load(text("environment.yml"))
    assert environment["name"] == "madlab"
    python, pip, from_pip = environment["dependencies"]
    assert pip == "pip"
    version = re.fullmatch(r"python=(3\.\d+)", python)
    assert version
    assert Requirement(f"python{PROJECT['requires-python']}").specifier.contains(version[1])
    constraints, package = from_pip["pip"]
    assert constraints == "-c constraints.txt"
    extras = re.fullmatch(r"-e \.(?:\[([a-z,]+)\])?", package)
    assert extras
    assert set((extras[1] or "test").split(",")) <= set(EXTRAS)


def test_every_entry_of_the_conda_environment_has_a_reason() -> None:
    entries = [line for line in text("environment.yml").splitlines() if line.startswith("  - ")]
    inner = [line for line in text("environment.yml").splitlines() if line.startswith("      - ")]
    for line in entries + inner:
        if line not in ("  - conda-forge", "  - pip:"):
            assert re.search(r"\S # \w", line), f"no reason: {line}"


def test_the_version_is_the_same_everywhere() -> None:
    citation = yaml.safe_load(text("CITATION.cff"))
    assert citation["version"] == madlab.__version__
    changes = re.findall(r"^## (\S+)", text("CHANGELOG.md"), re.MULTILINE)
    released = [name for name in changes if name != "Unreleased"]
    assert released[0] == madlab.__version__
    assert released == sorted(released, key=Version, reverse=True)
    assert "Unreleased" not in changes[1:]


def test_the_citation_names_the_paper() -> None:
    paper = yaml.safe_load(text("CITATION.cff"))["references"][0]
    assert paper["title"] == "Self-Consuming Generative Models Go MAD"
    assert paper["authors"][0]["family-names"] == "Alemohammad"
    assert {"type": "other", "value": "arXiv:2307.01850"} in paper["identifiers"]


def test_code_and_text_have_their_licences() -> None:
    licence = text("LICENSE")
    assert PROJECT["license"] == "BSD-3-Clause"
    assert "Redistribution and use in source and binary forms" in licence
    assert "Creative Commons Attribution 4.0 International" in licence
    assert "https://creativecommons.org/licenses/by/4.0/" in licence


def test_data_files_go_into_the_package() -> None:
    found = {
        path.name for path in (ROOT / "madlab").rglob("*") if path.suffix not in (".py", ".pyc")
    }
    assert {"mnist.xz", "index.html.j2", "style.css", "conf.json"} <= found
    settings = tomllib.loads(text("pyproject.toml"))["tool"]["setuptools"]
    patterns = settings["package-data"]["madlab"]
    for path in (ROOT / "madlab").rglob("*"):
        if path.is_file() and path.suffix not in (".py", ".pyc"):
            inside = path.relative_to(ROOT / "madlab")
            assert any(inside.match(pattern) for pattern in patterns), f"{inside} is left out"


def test_every_folder_of_files_is_a_package_that_is_installed() -> None:
    settings = tomllib.loads(text("pyproject.toml"))["tool"]["setuptools"]
    folders = {file.parent for file in (ROOT / "madlab").rglob("*") if file.is_file()}
    found = {".".join(folder.relative_to(ROOT).parts) for folder in folders}
    found = {name for name in found if "__pycache__" not in name} | {"madlab.notebooks"}
    assert found == set(settings["packages"])
    assert PROJECT["name"] == lab.DISTRIBUTION


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a wheel as `pip install .` makes it, `one`, and one of an sdist, `two`."""
    folder = tmp_path_factory.mktemp("built")
    source = folder / "source"
    for name in ("madlab", "notebooks"):
        nothing = shutil.ignore_patterns("__pycache__", ".ipynb_checkpoints", "runs")
        shutil.copytree(ROOT / name, source / name, ignore=nothing)
    for file in [*ROOT.glob("*.*"), ROOT / "LICENSE"]:
        if file.is_file() and file.suffix in ("", ".md", ".toml", ".txt", ".in", ".cff", ".yml"):
            shutil.copy(file, source)

    def build(kind: str, place: Path, into: str) -> Path:
        code = f"from setuptools import build_meta; build_meta.build_{kind}({str(folder / into)!r})"
        done = subprocess.run(
            [sys.executable, "-c", code], cwd=place, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        assert "would be ignored" not in done.stderr
        return next((folder / into).iterdir())

    build("wheel", source, "one")
    with tarfile.open(build("sdist", source, "sdist")) as packed:
        # Python 3.11.0 to 3.11.3 have no filters; later ones warn without.
        safe = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}
        packed.extractall(folder / "unpacked", **safe)
    build("wheel", next((folder / "unpacked").iterdir()), "two")
    return folder


def test_a_wheel_and_an_sdist_bring_the_notebooks_and_all_data(built: Path) -> None:
    name = f"madlab_loops-{madlab.__version__}-py3-none-any.whl"
    expected = {
        f"madlab/{file.relative_to(ROOT / 'madlab')}": file
        for file in (ROOT / "madlab").rglob("*")
        if file.is_file() and "__pycache__" not in file.parts
    }
    expected |= {f"madlab/notebooks/{f.name}": f for f in (ROOT / "notebooks").glob("*.ipynb")}
    assert len([name for name in expected if "/notebooks/" in name]) == 9
    for way in ("one", "two"):
        with zipfile.ZipFile(built / way / name) as wheel:
            inside = {n: wheel.read(n) for n in wheel.namelist() if ".dist-info/" not in n}
        assert set(inside) == set(expected), way
        for inner, file in expected.items():
            assert inside[inner] == file.read_bytes(), f"{way}: {inner}"
    sdist = next((built / "unpacked").iterdir())
    assert {"constraints.txt", "CITATION.cff", "DATA.md"} <= {f.name for f in sdist.iterdir()}


@pytest.fixture(scope="module")
def installed(built: Path) -> Path:
    """The wheel's files with a foreign folder `notebooks` beside them, as in site-packages."""
    with zipfile.ZipFile(next((built / "two").iterdir())) as wheel:
        wheel.extractall(built / "site")
    (built / "site" / "notebooks").mkdir()
    shutil.copy(
        ROOT / "notebooks/01_a_model_eats_itself.ipynb", built / "site/notebooks/09_x.ipynb"
    )
    return built / "site"


def in_installed(site: Path, code: str, folder: Path, **environment: str) -> str:
    """What `code` prints in a Python that has the wheel's files, run in `folder`."""
    folder.mkdir(exist_ok=True)
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(site), **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_an_installed_madlab_finds_its_own_notebooks(installed: Path, tmp_path: Path) -> None:
    code = "from madlab.execute import find; print(find('00'))"
    found = in_installed(installed, code, tmp_path)
    assert Path(found) == installed / "madlab" / "notebooks" / "00_start_here.ipynb"
    home = {name: str(tmp_path / "home") for name in ("HOME", "USERPROFILE")}
    code = "from madlab.lab import own_copy; print(own_copy()[0])"
    mine = Path(in_installed(installed, code, tmp_path, **home))
    assert mine == tmp_path / "home" / "madlab-notebooks"
    assert len(list(mine.glob("0*.ipynb"))) == 9


def test_folders_of_others_are_never_taken_for_the_notebooks(
    installed: Path, tmp_path: Path
) -> None:
    site = tmp_path / "site"
    ours = shutil.ignore_patterns("*.ipynb", "*.xz", "gallery")
    shutil.copytree(installed, site, ignore=ours)
    shutil.rmtree(site / "madlab" / "notebooks")
    (site / "pyproject.toml").write_text('[project]\nname = "other"')
    (tmp_path / "here" / "notebooks").mkdir(parents=True)
    code = (
        "import sys; from madlab.cli import main; "
        "sys.stderr = sys.stdout; print(main(['run', '00']))"
    )
    said = in_installed(site, code, tmp_path / "here")
    assert re.search(r"madlab's notebooks are not .*: install it again, .*\n1$", said), said


@pytest.mark.parametrize("target", ["lab", "test", "report", "lint", "offline"])
def test_make_sets_everything_up_under_the_constraints(target: str, tmp_path: Path) -> None:
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        (tmp_path / name).write_text(text(name))
    # These tests may themselves run below a make, which would tell this one to talk differently.
    plain = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    steps = subprocess.run(
        ["make", "-n", target],
        cwd=tmp_path,
        env=plain,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    assert steps[0].endswith("-m venv .venv")
    installs = [step for step in steps if "pip install" in step]
    assert len(installs) == 1
    assert "-c constraints.txt -e " in installs[0]
    assert ("[test]" in installs[0]) == (target in ("test", "lint"))


def test_the_readme_gives_the_commands_that_there_are() -> None:
    readme = text("README.md")
    for command in ("make lab", "make test", "make report", "make offline", "madlab doctor"):
        assert command in readme
    assert "pip install -c constraints.txt -e ." in readme
    assert f"pip install --no-index --find-links offline {PROJECT['name']}" in readme
    address = "https://download.pytorch.org/whl/cpu"
    assert f"export PIP_EXTRA_INDEX_URL={address}" in readme.split("## ")[0]
    assert f'$env:PIP_EXTRA_INDEX_URL = "{address}"' in readme.split("## ")[0]
    for name in re.findall(r"\]\((?!https?:|#)([^)#]+)", readme):
        assert (ROOT / name).exists(), f"the README links to {name}, which is not there"


def test_ci_runs_the_test_command_of_the_readme() -> None:
    script = ROOT / ".ci" / "run"
    assert script.stat().st_mode & 0o111
    commands = [line for line in text(".ci/run").splitlines() if not line.startswith("#")]
    assert "make test </dev/null" in commands
    assert not any(re.search(r"\bpip\b", line) for line in commands)


@pytest.mark.parametrize(
    ("module", "light"),
    [
        ("madlab", True),
        ("madlab.cli", True),
        ("madlab.checks", True),
        ("madlab.files", True),
        ("madlab.loops", True),
        ("madlab.presets", True),
        ("madlab.theory", True),
        ("madlab.store", False),
        ("madlab.findings", False),
        ("madlab.gallery", False),
    ],
)
def test_what_needs_no_torch_is_imported_without(module: str, light: bool) -> None:
    heavy = {"torch", "matplotlib", "IPython", "jupyterlab", *(["pandas"] if light else [])}
    code = f"import {module}, sys; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert set(done.stdout.split()) & heavy == set()


def test_a_clone_keeps_every_byte_where_git_would_change_line_ends(tmp_path: Path) -> None:
    names = [".gitattributes", "scripts/browser.sh", "madlab/metrics/features.json"]
    names += [str(file.relative_to(ROOT)) for file in (ROOT / "madlab/gallery").glob("*.json*")]
    for name in names:
        (tmp_path / "one" / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, tmp_path / "one" / name)
    git = ["git", "-c", "core.autocrlf=true", "-c", "user.name=a", "-c", "user.email=a@b.c"]
    for words in (["init"], ["add", "-A"], ["commit", "-m", "all"], ["clone", ".", "../two"]):
        subprocess.run([*git, *words], cwd=tmp_path / "one", check=True, capture_output=True)
    assert len(names) > 3
    for name in names:
        assert (tmp_path / "two" / name).read_bytes() == (ROOT / name).read_bytes(), name


def test_panels_of_chains_do_not_wait_for_torch() -> None:
    code = "from madlab.panels import BiasDial, Browser, LiveLoop; import sys; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "torch" not in done.stdout.split()


def test_an_unknown_name_is_no_attribute_of_the_package() -> None:
    with pytest.raises(AttributeError, match="module 'madlab' has no attribute 'mad'"):
        madlab.mad  # noqa: B018


def test_no_file_is_loaded_that_could_run_code() -> None:
    for path in (ROOT / "madlab").rglob("*.py"):
        source = path.read_text(encoding="utf-8")
        if path.name == "picture_features.py":
            # Weights of others: tensors alone are read, of a known SHA-256.
            assert source.count("torch.load(") == source.count("weights_only=True") == 1
            source = re.sub(r"torch\.load\(.*, weights_only=True\)", "", source)
        assert not re.search(r"import pickle|torch\.load\(|weights_only", source), path


def test_no_text_holds_a_place_that_was_to_be_filled_in() -> None:
    for path in [*ROOT.glob("*.md"), ROOT / "benchmarks" / "README.md"]:
        assert not re.search(r"@[A-Z0-9]+@", path.read_text()), path.name


PAGES = [ROOT / "README.md", ROOT / "DATA.md", ROOT / "benchmarks" / "README.md"]
PAGES += sorted((ROOT / "docs").glob("*.md"))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_what_pages_name_of_the_library_is_there(page: Path) -> None:
    words = page.read_text(encoding="utf-8")
    for name in re.findall(r"\bmadlab(?:/\w+)+\.\w+", words):
        assert (ROOT / name).exists(), name
    for name in re.findall(r"\b(?:ml|madlab)((?:\.[A-Za-z]\w*)+)", words):
        found: object = madlab
        for part in name[1:].split("."):
            found = getattr(found, part)
