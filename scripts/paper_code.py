"""The code that makes the chains of given records, for the page of the paper."""

import math
from typing import Any

import pandas as pd

from madlab import models


def code(own: pd.DataFrame) -> str:
    """Return the Python code that runs the chains of these records, and no others.

    - `own`: records as `findings.frame` gives them, of one model and its settings.
    """
    parts = [_of_one_loop(rows) for _, rows in own.groupby("loop", sort=False)]
    return "\n\n".join(["import madlab as ml", *parts])


def _of_one_loop(own: pd.DataFrame) -> str:
    config, first = own["config"].iloc[0], own.iloc[0]
    lines, vary = _over(own)
    given = {name: name if name in vary else _number(first[name]) for name in ("bias", "seed")}
    n_initial = "n_initial" if "n_initial" in vary else str(first["n_initial"])
    loop = loop_code(config["loop"], n_initial)
    model = model_code(str(first["model"]), config["settings"])
    data, usual = _data(config["data"])
    size = "" if first["n_evaluate"] == usual else f", n_evaluate={first['n_evaluate']}"
    indent = "    " * len(lines)
    return "\n".join(
        [
            *lines,
            f"{indent}loop = {loop}",
            f"{indent}chain = ml.Chain(",
            f"{indent}    loop, {model}, {data},",
            f'{indent}    bias={given["bias"]}, seed={given["seed"]}, store="runs"{size},',
            f"{indent})",
            f"{indent}list(chain.run({own['generation'].max()}))",
        ]
    )


def _over(own: pd.DataFrame) -> tuple[list[str], list[str]]:
    """Return the heads of the loops over the chains of these records, and what varies in them.

    One loop a variable where every combination was run, else one over those that were.
    """
    names = ["n_initial", "bias", "seed"]
    chains = own[names].drop_duplicates().sort_values(names, ascending=[True, False, True])
    values = {name: [_number(one) for one in chains[name].unique()] for name in names}
    vary = [name for name in names if len(values[name]) > 1]
    if math.prod(map(len, values.values())) == len(chains):
        heads = [f"for {name} in ({', '.join(values[name])}):" for name in vary]
        return [f"{'    ' * i}{head}" for i, head in enumerate(heads)], vary
    run = [f"({', '.join(map(_number, chain))})" for chain in chains[vary].to_numpy()]
    return [f"for {', '.join(vary)} in ({', '.join(run)}):"], vary


def _data(id: str) -> tuple[str, int]:
    """Return the code that reads a data set, and how many samples of it are usually scored."""
    kind, *size = id.split("-")
    if kind == "mnist":
        return "ml.data.mnist()", 10_000
    return f"ml.data.{'ffhq' if kind == 'ffhq' else 'drawn_faces'}(size={size[-2]})", 800


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) else f"{value:g}"


def loop_code(loop: dict[str, Any], n_initial: str) -> str:
    """Return the code that makes a loop.

    - `loop`: as configurations hold it; `n_initial`: the code of that number.
    """
    name = {"none": "fully_synthetic", "fixed": "synthetic_augmentation", "fresh": "fresh_data"}
    sizes = [] if loop["real"] == "none" else [str(loop["n_real"])]
    sizes.append(str(loop["n_synthetic"]))
    if n_initial != sizes[0]:
        sizes.append(f"n_initial={n_initial}")
    if loop["budget"] == "growing":
        sizes.append("accumulate=True")
    elif loop["memory"] != 1:
        sizes.append(f"memory={loop['memory']}")
    return f"ml.Loop.{name[loop['real']]}({', '.join(sizes)})"


def model_code(name: str, settings: dict[str, Any]) -> str:
    """Return the code that makes a model, naming the settings that are not the usual ones."""
    usual = models.create(name).settings
    # Some defaults follow from the recipe, so those of that recipe are what goes without saying.
    if "recipe" in settings:
        usual = {**models.create(name, recipe=settings["recipe"]).settings, "recipe": None}
    others = {key: value for key, value in settings.items() if usual.get(key) != value}
    words = "".join(f", {key}={value!r}" for key, value in others.items())
    return f'ml.models.create("{name}"{words})'.replace("'", '"')
