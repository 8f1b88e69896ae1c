"""Write docs/paper.md, the paper figure by figure, and its pictures, from records.

    python scripts/build_paper_page.py [--gallery DIR]

Verdicts, sizes, devices and minutes come from the records of the gallery that ships with madlab,
and from benchmarks/results/ for Gaussians and toys; nothing is typed. The same records give the
same text.
"""

import argparse
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from paper_code import code
from paper_toys import TOYS, toy
from PIL import Image

from madlab import findings, gallery, plots
from madlab.findings.claims import NOT_RUN
from madlab.plots.picture import Picture
from madlab.plots.sheets import sheet

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "paper.md"
RESULTS = ROOT / "benchmarks" / "results"
MOST_BYTES = 62_000
# Tried in turn, until a picture is small enough.
COLOURS = (256, 64, 32, 24)
N_SHEET = 20
# Faces are larger and compress less, and fewer colours would look like scars in them.
N_FACES = 7

# Where in a stored result its provenance lies.
PARTS = {"theory": "tables", "modes": "run", "coupling": None}

HEAD = """# The paper, figure by figure

Written by `python scripts/build_paper_page.py`; do not edit.

Alemohammad et al., *Self-Consuming Generative Models Go MAD*,
[arXiv 2307.01850](https://arxiv.org/abs/2307.01850v1), numbered as in its first version. Each
figure stands beside what madlab's own runs show. Figures 2 and 3 are no experiments: they are not
here. Figures 18 to 22, 24, 25 and 29 show more of the faces of Figures 1, 23 and 28.

**How a trend is judged.** Each figure comes to a few claims, listed with their numbers. A score
*falls* or *rises* where its relative change between generation 1 and the last, averaged over seeds,
is over 5% and over two standard errors (of one seed: over 5%). A figure *held* where all its claims
do, *did not hold* where none does, and else *held in part*, also where a claim could not be judged.
The rules are in `madlab/findings/`. FD is FD-LeNet, the Fréchet distance on this project's frozen
features, where the paper has a FID on LeNet features of its own. `ddpm` is the paper's model;
`flow`, `gan` and `mixture` are stand-ins for it.

**Faces** are a scale-down. The paper trains StyleGAN2 on 70,000 faces of 128 pixels; `face_gan` is
a small network of that kind, which starts from the principal components of its training faces. The
tables say how few and how small these are. `principal`, the Gaussian of these components, is a
control without a network: what it loses too is not the network's doing. The distance is KID, as a
FID of so few faces says little. *The grid* is what repeats every 2 or 4 pixels, in which
cross-hatching has its power. It is given as a multiple of generation 1's, once as it is and once
over the same for all other frequencies, which sees a grid that is left while all contrast fades.
Both are read from the faces of one seed that are kept; ± is their standard error over faces, not
over seeds, and they rise where the change is over 5% and over two such errors. Pictures show
generated faces alone, without those that come near a real one.

**Minutes** are those of all chains of a row together, models that several chains share counted in
each.
"""


def page(shown: gallery.Gallery | None) -> tuple[str, dict[str, Picture]]:
    """Return the text of the page and its pictures by their file names.

    - `shown`: the gallery whose records are judged; None where there is none.
    """
    records = _records(shown)
    pictures: dict[str, Picture] = {}
    judged = {one.number: _judged(one, records) for one in findings.FIGURES}
    parts = [HEAD, _overview(judged)]
    for one in findings.FIGURES:
        parts.append(f"## Fig. {one.number}. {one.title}\n")
        if one.number in TOYS:
            parts.append(_toy(one))
        else:
            parts.append(_figure(one, judged[one.number], shown, pictures))
    parts.append(_families(records, pictures))
    return "\n".join(parts), pictures


def _records(shown: gallery.Gallery | None) -> pd.DataFrame:
    chains = shown.finished if shown else []
    found = findings.frame(row for chain in chains for row in chain.rows)
    found = found.assign(chain=[chain.name for chain in chains for _ in chain.rows])
    return findings.with_grid(found, shown) if shown else found


# By family: the records that a figure is judged by, and the conclusion.
Judged = Mapping[str, tuple[pd.DataFrame, findings.Conclusion]]


def _judged(one: findings.PaperFigure, records: pd.DataFrame) -> Judged:
    """Return the records that a figure is judged by and the conclusion, family by family."""
    found = {family: (own, one.of_family(own)) for family, own in one.select(records).items()}
    return {family: known for family, known in found.items() if known[1].result != NOT_RUN}


def _overview(judged: Mapping[str, Judged]) -> str:
    rows = []
    for one in findings.FIGURES:
        anchor = f"fig-{one.number}-{one.title}".lower().replace(" ", "-").replace(":", "")
        name = f"[{one.number}](#{anchor.replace(',', '')})"
        if one.number in TOYS:
            rows.append([name, one.title, toy(one.number, _results(one.number)).result, ""])
            continue
        found = {family: known.result for family, (_, known) in judged[one.number].items()}
        own = found.pop(one.families[0], NOT_RUN)
        others = (f"{_named(family)}: {result}" for family, result in found.items())
        rows.append([name, one.title, own, "; ".join(others)])
    return table(["Fig.", "what it is of", "the paper's own model", "stand-ins"], rows)


def _results(number: str) -> Any:
    name, _ = TOYS[number]
    return json.loads((RESULTS / f"{name}.json").read_text()) if name else None


def _toy(one: findings.PaperFigure) -> str:
    results, (name, _) = _results(one.number), TOYS[one.number]
    made = "Computed when this page is built, in seconds."
    if name:
        about = results[PARTS[name]] if PARTS[name] else results
        rows = [row for rows in about.get("loops", {}).values() for row in rows]
        seconds = about.get("seconds", sum(row["cpu_seconds"] for row in rows))
        took = f", {seconds / 60:.1f} minutes" if seconds else ""
        made = (
            f"Made by `python benchmarks/{name}.py` ({about['provenance']['device']}{took}), "
            f"stored in [{name}.json](../benchmarks/results/{name}.json)."
        )
    return f"{one.beside(toy(one.number, results))}\n\n{made} Notebook {_notebook(one)} shows it.\n"


def _named(family: str) -> str:
    return f"{family}, the control" if family == "principal" else family


def _figure(
    one: findings.PaperFigure,
    found: Judged,
    shown: gallery.Gallery | None,
    pictures: dict[str, Picture],
) -> str:
    if not found:
        return f"{one.reading()}\n\n**Here: {NOT_RUN}.** It belongs to notebook {_notebook(one)}.\n"
    rows = [
        [family, f"**{known.result}**", known.text.replace("; ", "<br>"), *_made(own)]
        for family, (own, known) in found.items()
    ]
    head = ["model", "trend", "what was found", "training sets", "chains", "device", "minutes"]
    drawn = {family: _samples_of(one, own, shown) for family, (own, _) in found.items()}
    first = next((family for family, picture in drawn.items() if picture), next(iter(found)))
    own, _ = found[first]
    picture = drawn[first] or _lines(one, own)
    ending = "webp" if one.subject == "faces" and one.picture == "sheet" else "png"
    name = f"fig-{one.number.replace(' ', '-')}.{ending}"
    pictures[name] = picture
    return (
        f"{one.reading()}\n\n{table(head, rows)}\n![{picture.alt}](paper/{name})\n\n"
        f"The picture shows `{first}`, made by\n\n```python\n{code(own)}\n```\n\n"
        f"and read in notebook {_notebook(one)}.\n"
    )


def _made(own: pd.DataFrame) -> list[str]:
    """Return training sets, chains, device and minutes of the records of one row."""
    sizes = []
    for _, chain in own.groupby(["loop", "n_initial"], sort=False):
        later = chain[chain["generation"] > 1]
        real = f"{later['n_real'].iloc[-1]:,} real + " if later["n_real"].iloc[-1] else ""
        data = chain["config"].iloc[0]["data"].rsplit("-", 1)[0]
        named = f" (`{data}`)" if chain["subject"].iloc[0] == "faces" else ""
        first = f"{chain['n_initial'].iloc[0]:,} real{named}"
        ends = sorted({later["n_synthetic"].min(), later["n_synthetic"].max()})
        synthetic = " to ".join(f"{n:,}" for n in ends)
        sizes.append(f"{first}, then {real}{synthetic} synthetic")
    kinds = own.groupby(["loop", "bias", "n_initial"])["seed"].nunique()
    few = "" if kinds.min() == kinds.max() else f"{kinds.min()} to "
    seeds = f"{few}{kinds.max()} seed{'s' if kinds.max() > 1 else ''}"
    biases = "λ = " + ", ".join(f"{bias:g}" for bias in sorted(set(own["bias"]), reverse=True))
    return [
        "; ".join(sizes),
        f"{biases}; {seeds}; {own['generation'].max()} generations",
        ", ".join(sorted(set(own["device"]))),
        f"{own['seconds'].sum() / 60:.1f}",
    ]


def _samples_of(
    one: findings.PaperFigure, own: pd.DataFrame, shown: gallery.Gallery | None
) -> Picture | None:
    """Return a map or a sheet of samples, where the figure wants one that is kept."""
    kind = {"drift": "embedding", "sheet": "sheet"}.get(one.picture)
    if shown is None or kind is None:
        return None
    known = shown.chains()
    known = known[known["chain"].isin(own.loc[own["loop"] == one.loop, "chain"])]
    for chain, generations in zip(known["chain"], known[kind], strict=True):
        if generations and kind == "sheet":
            return _sheet(shown, chain, generations, one.subject)
        if generations:
            placed = shown.embedding(chain)
            return plots.digit_map(*placed)
    return None


def _lines(one: findings.PaperFigure, own: pd.DataFrame) -> Picture:
    """Return the curves of a figure's scores."""
    if one.starts:
        own = own.assign(label=[f"n_initial {n:,}" for n in own["n_initial"]])
    return plots.curves(own)


def _sheet(shown: gallery.Gallery, chain: str, generations: Sequence[int], subject: str) -> Picture:
    """Return a row of samples for each generation."""
    faces = subject == "faces"
    rows = [shown.sheet(chain, t).images[: N_FACES if faces else N_SHEET] for t in generations]
    names, n = [f"{t}" for t in generations], len(rows[0])
    each = f"a row a generation ({', '.join(names)})"
    alt = f"Digits 0 to 9, twice, {each}, a column from one noise."
    if faces:
        alt = f"{n} generated faces a row, {each}. Columns do not belong together."
    figure = sheet(np.concatenate(rows), n if faces else N_SHEET, rows=names)
    return plots.show(figure, alt)


def _families(records: pd.DataFrame, pictures: dict[str, Picture]) -> str:
    title = "## Which failure, which family\n"
    chosen = findings.of_one_size(records)
    unbiased = chosen[chosen["bias"] == 1]
    if unbiased.empty:
        return f"{title}\nNot run yet.\n"
    picture = plots.families(unbiased)
    pictures["families.png"] = picture
    found = plots.failure_table(chosen)
    found["bias"] = found["bias"].map("{:g}".format)
    rows = [[str(value) for value in row] for row in found.to_numpy()]
    return (
        f"{title}\nChains with {chosen['n_initial'].iloc[0]:,} digits in every training set; the "
        "picture is of λ = 1. The paper's DDPM loses quality and "
        "diversity at λ = 1 (its Fig. 4) and diversity alone with bias (its Fig. 6).\n\n"
        f"![{picture.alt}](paper/families.png)\n\n"
        "▼ falls and ▲ rises, by over 5% and two standard errors; ± is one standard error, over "
        "seeds.\n\n"
        f"{table(list(found.columns), rows)}"
    )


def _notebook(one: findings.PaperFigure) -> str:
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


def encode(name: str, picture: Picture) -> bytes:
    """Return a picture as a file that is small enough; stop where none is.

    That is a PNG of few colours, or a lossless WebP of as many as there is room for.
    """
    colourful = name.endswith(".webp")
    pixels = Image.open(io.BytesIO(picture.png())).convert("RGB")
    for colours in (None, *COLOURS) if colourful else COLOURS:
        stream, drawn = io.BytesIO(), _fewer(pixels, colours)
        if colourful:
            drawn.convert("RGB").save(stream, "webp", lossless=True, quality=90, method=6)
        else:
            drawn.save(stream, "png", optimize=True)
        if len(stream.getvalue()) <= MOST_BYTES:
            return stream.getvalue()
    raise SystemExit(f"{name} takes {len(stream.getvalue()):,} bytes, more than {MOST_BYTES:,}")


def _fewer(pixels: Image.Image, colours: int | None) -> Image.Image:
    if colours is None:
        return pixels
    return pixels.quantize(colours, Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)


def main() -> None:
    """Write the page and its pictures, and take away pictures that it no longer shows."""
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--gallery", type=Path, help="a gallery's folder; madlab's own if left out")
    text, pictures = page(open_gallery(parser.parse_args().gallery))
    folder = PAGE.with_suffix("")
    folder.mkdir(exist_ok=True)
    drawn = {name: encode(name, picture) for name, picture in pictures.items()}
    for name, content in drawn.items():
        (folder / name).write_bytes(content)
    for old in set(folder.glob("fig*.*")) - {folder / name for name in drawn}:
        old.unlink()
    PAGE.write_text(text, encoding="utf-8")
    print(f"wrote {PAGE.name} and {len(drawn)} pictures, {sum(map(len, drawn.values())):,} bytes")


if __name__ == "__main__":
    main()
