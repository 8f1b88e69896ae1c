"""Write docs/paper.md, the paper figure by figure, and its pictures, from records.

    python scripts/build_paper_page.py [--gallery DIR]

Verdicts, sizes, devices and minutes come from the records of the gallery that ships with madlab,
and from benchmarks/results/ for Gaussians and toys; nothing is typed. The same records give the
same text.
"""

import argparse
import io
import json
import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from PIL import Image

from madlab import gallery, models, paper, plots
from madlab.paper.counterpart import DRIFT, SHEET
from madlab.paper.verdict import NOT_RUN
from madlab.plots.sheets import sheet

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "paper.md"
RESULTS = ROOT / "benchmarks" / "results"
MOST_BYTES = 62_000
# Tried in turn, until a picture is small enough.
COLOURS = (256, 64, 32, 24)
N_SHEET = 20

# Where in a stored result its provenance lies.
PARTS = {"theory": "tables", "modes": "run", "coupling": None}

HEAD = """# The paper, figure by figure

Written by `python scripts/build_paper_page.py`; do not edit.

Alemohammad et al., *Self-Consuming Generative Models Go MAD*,
[arXiv 2307.01850](https://arxiv.org/abs/2307.01850v1), numbered as in its first version. Each
figure on digits, Gaussians and toys stands beside what madlab's own runs show. Figures 1, 8, 18 to
25, 28 and 29 are of faces, and 2 and 3 are no experiments: they are not here.

**How a trend is judged.** Each figure comes to a few claims, listed with their numbers. A score
*falls* or *rises* where its relative change between generation 1 and the last, averaged over seeds,
is over 5% and over two standard errors (of one seed: over 5%). A figure *held* where all its claims
do, *did not hold* where none does, and else *held in part*, also where a claim could not be judged.
The rules are in `madlab/paper/`. FD is FD-LeNet, the Fréchet distance on this project's frozen
features, where the paper has a FID on LeNet features of its own. `ddpm` is the paper's model;
`flow`, `gan` and `mixture` are stand-ins for it.

**Minutes** are those of all chains of a row together, models that several chains share counted in
each.
"""


def page(shown: gallery.Gallery | None) -> tuple[str, dict[str, Figure]]:
    """Return the text of the page and its pictures by their file names.

    - `shown`: the gallery whose records are judged; None where there is none.
    """
    records = _records(shown)
    pictures: dict[str, Figure] = {}
    parts = [HEAD, _overview(records)]
    for one in paper.FIGURES:
        parts.append(f"## Fig. {one.number}. {one.title}\n")
        if isinstance(one, paper.ToyFigure):
            parts.append(_toy(one))
        else:
            parts.append(_digits(one, records, shown, pictures))
    parts.append(_families(records, pictures))
    return "\n".join(parts), pictures


def _records(shown: gallery.Gallery | None) -> pd.DataFrame:
    chains = shown.finished if shown else []
    found = paper.frame(row for chain in chains for row in chain.rows)
    return found.assign(chain=[chain.name for chain in chains for _ in chain.rows])


def _results(one: paper.ToyFigure) -> Any:
    return json.loads((RESULTS / f"{one.results}.json").read_text()) if one.results else None


def _verdicts(one: paper.DigitFigure, records: pd.DataFrame) -> dict[str, paper.Verdict]:
    found = {family: one.judge(own) for family, own in one.select(records).items()}
    return {family: verdict for family, verdict in found.items() if verdict.held != NOT_RUN}


def _overview(records: pd.DataFrame) -> str:
    rows = []
    for one in paper.FIGURES:
        anchor = f"fig-{one.number}-{one.title}".lower().replace(" ", "-").replace(":", "")
        name = f"[{one.number}](#{anchor.replace(',', '')})"
        if isinstance(one, paper.ToyFigure):
            rows.append([name, one.title, one.verdict(_results(one)).held, ""])
            continue
        found = _verdicts(one, records)
        own = found.pop(one.families[0], None)
        others = "; ".join(f"{family}: {verdict.held}" for family, verdict in found.items())
        rows.append([name, one.title, own.held if own else NOT_RUN, others])
    return table(["Fig.", "what it is of", "the paper's own model", "stand-ins"], rows)


def _toy(one: paper.ToyFigure) -> str:
    results = _results(one)
    made = "Computed when this page is built, in seconds."
    if one.results:
        about = results[PARTS[one.results]] if PARTS[one.results] else results
        rows = [row for rows in about.get("loops", {}).values() for row in rows]
        seconds = about.get("seconds", sum(row["cpu_seconds"] for row in rows))
        took = f", {seconds / 60:.1f} minutes" if seconds else ""
        made = (
            f"Made by `python benchmarks/{one.results}.py` "
            f"({about['provenance']['device']}{took}), stored in "
            f"[{one.results}.json](../benchmarks/results/{one.results}.json)."
        )
    beside = one.beside(one.verdict(results))
    return f"{beside}\n\n{made} Notebook {_notebook(one)} shows it.\n"


def _digits(
    one: paper.DigitFigure,
    records: pd.DataFrame,
    shown: gallery.Gallery | None,
    pictures: dict[str, Figure],
) -> str:
    verdicts = _verdicts(one, records)
    chosen = {family: own for family, own in one.select(records).items() if family in verdicts}
    if not chosen:
        return f"{one.reading()}\n\n**Here: {NOT_RUN}.** It belongs to notebook {_notebook(one)}.\n"
    rows = [
        [family, f"**{found.held}**", found.said.replace("; ", "<br>"), *_made(own)]
        for (family, own), found in zip(chosen.items(), verdicts.values(), strict=True)
    ]
    head = ["model", "trend", "what was found", "training sets", "chains", "device", "minutes"]
    drawn = {family: _digits_of(one, own, shown) for family, own in chosen.items()}
    first = next((family for family, found in drawn.items() if found), next(iter(chosen)))
    own = chosen[first]
    figure, alt = drawn[first] or _lines(one, own)
    name = f"fig-{one.number.replace(' ', '-')}.png"
    pictures[name] = figure
    return (
        f"{one.reading()}\n\n{table(head, rows)}\n![{alt}](paper/{name})\n\n"
        f"The picture shows `{first}`, made by\n\n```python\n{code(own)}\n```\n\n"
        f"and read in notebook {_notebook(one)}.\n"
    )


def _made(own: pd.DataFrame) -> list[str]:
    """Return training sets, chains, device and minutes of the records of one row."""
    sizes = []
    for _, chain in own.groupby("n_initial"):
        later = chain[chain["generation"] > 1].iloc[-1]
        real = f"{later['n_real']:,} real + " if later["n_real"] else ""
        first = f"{chain['n_initial'].iloc[0]:,} real"
        sizes.append(f"{first}, then {real}{later['n_synthetic']:,} synthetic")
    kinds = own.groupby(["bias", "n_initial"])["seed"].nunique()
    few = "" if kinds.min() == kinds.max() else f"{kinds.min()} to "
    seeds = f"{few}{kinds.max()} seed{'s' if kinds.max() > 1 else ''}"
    biases = "λ = " + ", ".join(f"{bias:g}" for bias in sorted(set(own["bias"]), reverse=True))
    return [
        "; ".join(sizes),
        f"{biases}; {seeds}; {own['generation'].max()} generations",
        ", ".join(sorted(set(own["device"]))),
        f"{own['seconds'].sum() / 60:.1f}",
    ]


def _digits_of(
    one: paper.DigitFigure, own: pd.DataFrame, shown: gallery.Gallery | None
) -> tuple[Figure, str] | None:
    """Return a map or a sheet of digits and its words, where the figure wants one that is kept."""
    if shown is not None and one.picture in (DRIFT, SHEET):
        kind = "embedding" if one.picture == DRIFT else "sheet"
        known = shown.chains()
        known = known[known["chain"].isin(set(own["chain"])) & known[kind].map(bool)]
        for chain, generations in zip(known["chain"], known[kind], strict=True):
            if one.picture == SHEET:
                return _sheet(shown, chain, generations)
            placed = shown.embedding(chain)
            return plots.digit_map(*placed), plots.describe_digit_map(*placed)
    return None


def _lines(one: paper.DigitFigure, own: pd.DataFrame) -> tuple[Figure, str]:
    """Return the curves of a figure's scores and what they show, in words."""
    if one.starts:
        own = own.assign(label=[f"n_initial {n:,}" for n in own["n_initial"]])
    return plots.curves(own), plots.describe_curves(own)


def _sheet(shown: gallery.Gallery, chain: str, generations: Sequence[int]) -> tuple[Figure, str]:
    rows = [shown.sheet(chain, t).images[:N_SHEET] for t in generations]
    names = [f"{t}" for t in generations]
    alt = f"Digits 0 to 9, twice, a row a generation ({', '.join(names)}), a column from one noise."
    return sheet(np.concatenate(rows), N_SHEET, rows=names), alt


def _sizes(chosen: pd.DataFrame) -> str:
    n = chosen["n_initial"].iloc[0]
    return f"Chains with {n:,} digits in every training set; the picture is of λ = 1."


def _families(records: pd.DataFrame, pictures: dict[str, Figure]) -> str:
    title = "## Which failure, which family\n"
    chosen = paper.of_one_size(records)
    unbiased = chosen[chosen["bias"] == 1]
    if unbiased.empty:
        return f"{title}\nNot run yet.\n"
    pictures["families.png"] = plots.families(unbiased)
    found = plots.failure_table(chosen)
    found["bias"] = found["bias"].map("{:g}".format)
    rows = [[str(value) for value in row] for row in found.to_numpy()]
    return (
        f"{title}\n{_sizes(chosen)} The paper's DDPM loses quality and "
        "diversity at λ = 1 (its Fig. 4) and diversity alone with bias (its Fig. 6).\n\n"
        f"![{plots.describe_families(unbiased)}](paper/families.png)\n\n"
        "▼ falls and ▲ rises, by over 5% and two standard errors; ± is one standard error, over "
        "seeds.\n\n"
        f"{table(list(found.columns), rows)}"
    )


def code(own: pd.DataFrame) -> str:
    """Return the Python code that runs the chains of these records, and no others."""
    config, first = own["config"].iloc[0], own.iloc[0]
    lines, vary = _over(own)
    given = {name: name if name in vary else _number(first[name]) for name in ("bias", "seed")}
    n_initial = "n_initial" if "n_initial" in vary else str(first["n_initial"])
    loop = _loop(config["loop"], n_initial)
    model = _model(str(first["model"]), config["settings"])
    size = "" if first["n_evaluate"] == 10_000 else f", n_evaluate={first['n_evaluate']}"
    indent = "    " * len(lines)
    return "\n".join(
        [
            "import madlab as ml",
            "",
            *lines,
            f"{indent}loop = {loop}",
            f"{indent}chain = ml.Chain(",
            f"{indent}    loop, {model}, ml.data.mnist(),",
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


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) else f"{value:g}"


def _loop(loop: dict[str, Any], n_initial: str) -> str:
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


def _model(name: str, settings: dict[str, Any]) -> str:
    usual = models.create(name).settings
    # Some defaults follow from the recipe, so those of that recipe are what goes without saying.
    if "recipe" in settings:
        usual = {**models.create(name, recipe=settings["recipe"]).settings, "recipe": None}
    others = {key: value for key, value in settings.items() if usual.get(key) != value}
    words = "".join(f", {key}={value!r}" for key, value in others.items())
    return f'ml.models.create("{name}"{words})'.replace("'", '"')


def _notebook(one: paper.Figure) -> str:
    return f"[{one.notebook[:2]}](../notebooks/{one.notebook}.ipynb)"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table in Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(str(cell) for cell in line)} |\n" for line in lines)


def open_gallery(folder: Path | None) -> gallery.Gallery | None:
    """Return a gallery, or None where there is none."""
    try:
        return gallery.open(folder)
    except FileNotFoundError:
        return None


def encode(name: str, figure: Figure) -> bytes:
    """Return a picture as a PNG that is small enough; stop where none is."""
    drawn = plots.png(figure)
    pixels = Image.open(io.BytesIO(drawn)).convert("RGB")
    for colours in COLOURS:
        stream = io.BytesIO()
        few = pixels.quantize(colours, Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
        few.save(stream, format="png", optimize=True)
        if len(stream.getvalue()) <= MOST_BYTES:
            return stream.getvalue()
    raise SystemExit(f"{name} takes {len(stream.getvalue()):,} bytes, more than {MOST_BYTES:,}")


def main() -> None:
    """Write the page and its pictures, and take away pictures that it no longer shows."""
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--gallery", type=Path, help="a gallery's folder; madlab's own if left out")
    text, pictures = page(open_gallery(parser.parse_args().gallery))
    folder = PAGE.with_suffix("")
    folder.mkdir(exist_ok=True)
    drawn = {name: encode(name, figure) for name, figure in pictures.items()}
    for name, content in drawn.items():
        (folder / name).write_bytes(content)
    for old in set(folder.glob("*.png")) - {folder / name for name in drawn}:
        old.unlink()
    PAGE.write_text(text, encoding="utf-8")
    print(f"wrote {PAGE.name} and {len(drawn)} pictures, {sum(map(len, drawn.values())):,} bytes")


if __name__ == "__main__":
    main()
