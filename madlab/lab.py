"""Where madlab's notebooks are, and JupyterLab on them."""

from pathlib import Path

# `madlab` is another project's name on the package index.
DISTRIBUTION = "madlab-loops"


def folder() -> Path:
    """Return the folder of madlab's own notebooks: in the package, or in the clone that it is of.

    Raises FileNotFoundError where there is none.
    """
    package = Path(__file__).resolve().parent
    clone = package.parent
    # Beside an installed package, a folder of this name is somebody else's.
    project = clone / "pyproject.toml"
    ours = project.is_file() and f'name = "{DISTRIBUTION}"' in project.read_text(encoding="utf-8")
    for place in (package / "notebooks", *([clone / "notebooks"] if ours else [])):
        if place.is_dir():
            return place
    raise FileNotFoundError(
        f"madlab's notebooks are not beside it in {package}; install it again (pip install "
        f"--force-reinstall --no-deps {DISTRIBUTION}), or name a notebook by its path"
    )
