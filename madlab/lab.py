"""Where madlab's notebooks are, a reader's own copy of them, and JupyterLab on it."""

import contextlib
import hashlib
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import madlab
from madlab import files

# `madlab` is another project's name on the package index.
DISTRIBUTION = "madlab-loops"
START = "00_start_here.ipynb"
_WORKSPACE = "madlab"
_PACKAGE = Path(__file__).resolve().parent
_PAGE = _PACKAGE / "templates" / "lab"


def folder() -> Path:
    """Return the folder of madlab's own notebooks: in the package, or in the clone that it is of.

    Raises FileNotFoundError where there is none.
    """
    # Beside an installed package, a folder of this name is somebody else's.
    project = _PACKAGE.parent / "pyproject.toml"
    ours = project.is_file() and f'name = "{DISTRIBUTION}"' in project.read_text(encoding="utf-8")
    for place in (_PACKAGE / "notebooks", *([_PACKAGE.parent / "notebooks"] if ours else [])):
        if place.is_dir():
            return place
    raise FileNotFoundError(
        f"madlab's notebooks are not beside it in {_PACKAGE}: install it again, as its README "
        "says, or name a notebook by its path"
    )


def own_copy() -> tuple[Path, str]:
    """Return the folder of notebooks that a reader may change, and what was done to it, in a line.

    A clone's is its own. Of an installed madlab it is `madlab-notebooks` in the home folder, or in
    the current one where there is no home: what is missing there is copied, and what was not
    changed since it was copied is renewed. What was changed stays as it is; a newer version of it
    is put beside it, under a name with madlab's version. Raises OSError where that cannot be.
    """
    source = folder()
    if source.parent != _PACKAGE:
        return source, f"the notebooks are those of the clone, in {source}"
    try:
        target = Path.home() / "madlab-notebooks"
    except RuntimeError:
        target = Path.cwd() / "madlab-notebooks"
    note = target / ".madlab.json"
    given: dict[str, str] = {}
    done: dict[str, list[str]] = {"copied": [], "renewed": [], "new, beside yours": []}
    with files.explained(
        f"the notebooks cannot be copied to {target}",
        "make that a folder that can be written, or name one: --ServerApp.root_dir=FOLDER",
    ):
        target.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(ValueError, FileNotFoundError):
            given = dict(json.loads(note.read_text(encoding="utf-8")))
        for file in sorted(source.glob("*.ipynb")):
            mine, was, new = target / file.name, given.get(file.name), _content(file)
            has = _content(mine) if mine.exists() else None
            what = "renewed" if has else "copied"
            if has not in (None, was, new) and was != new:
                mine, what = (
                    mine.with_stem(f"{mine.stem}-{madlab.__version__}"),
                    "new, beside yours",
                )
                has = _content(mine) if mine.exists() else None
            if has is None or has == was != new:
                files.write(mine, file.read_bytes())
                done[what].append(mine.stem)
            given[file.name] = new
        files.write(note, json.dumps(given, indent=1))
    did = [f"{what}: {', '.join(names)}" for what, names in done.items() if names]
    return target, "; ".join([f"your own notebooks are in {target}", *did])


def _content(file: Path) -> str:
    """Return a hash of a notebook's cells with their outputs: JupyterLab rewrites the rest."""
    content = file.read_bytes()
    with contextlib.suppress(ValueError, KeyError, TypeError):
        cells = json.loads(content)["cells"]
        parts = [[one["cell_type"], "".join(one["source"]), one.get("outputs")] for one in cells]
        content = json.dumps(parts).encode()
    return hashlib.sha256(content).hexdigest()


def arguments(words: Sequence[str]) -> tuple[list[str], str]:
    """Return the words to start JupyterLab with, and a line on the notebooks where it serves them.

    - `words`: what the user gave for it; it is kept.
    """
    args, given, said = list(words), " ".join(words), ""
    root = next((Path(word.split("=", 1)[1]) for word in words if "root_dir=" in word), None)
    if "ServerApp.ip" not in given and "--ip" not in given:
        args.append("--ServerApp.ip=127.0.0.1")
    if "root_dir" not in given and not any(Path(word).exists() for word in words):
        root, said = own_copy()
        args.append(f"--ServerApp.root_dir={root}")
    if root and (root / START).is_file() and "default_url" not in given:
        args.append(f"--LabApp.default_url=/lab/workspaces/{_WORKSPACE}{_first()}")
    # Jupyter refuses to start for root, who is the only user in most containers.
    if hasattr(os, "geteuid") and os.geteuid() == 0 and "--allow-root" not in words:
        args.append("--allow-root")
    return args, said


def _first() -> str:
    """Return what to open in madlab's workspace: notebook 00 where nobody worked in it, else "".

    There stand neither a launcher nor tabs of other work, and whole names of files fit in.
    """
    from jupyterlab.commands import get_workspaces_dir
    from jupyterlab_server.workspaces_handler import WorkspacesManager

    spaces, key = WorkspacesManager(get_workspaces_dir()), "layout-restorer:data"
    with contextlib.suppress(OSError, ValueError):
        if "main" in spaces.load(_WORKSPACE)["data"].get(key, {}):
            return ""
        names = {"collapsed": False, "current": "filebrowser", "visible": True}
        layout = {"left": names, "relativeSizes": [0.28, 0.72, 0]}
        content = {"data": {key: layout}, "metadata": {"id": _WORKSPACE}}
        spaces.save(_WORKSPACE, json.dumps(content))
    return f"/tree/{START}"


def open_lab(words: Sequence[str]) -> None:
    """Run JupyterLab until it is ended: on the notebooks, to this machine alone, asking nothing.

    - `words`: what the user gave for it.
    """
    from jupyterlab.labapp import LabApp

    args, said = arguments(words)
    if said:
        print(said, file=sys.stderr)
    # Defaults of madlab's, which the user's own settings go before.
    paths = [os.environ.get("JUPYTER_CONFIG_PATH"), str(_PAGE)]
    os.environ["JUPYTER_CONFIG_PATH"] = os.pathsep.join(filter(None, paths))
    LabApp.launch_instance(args)
