"""Run a notebook and write what came out as one HTML file that needs no network and no kernel."""

import html
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TextIO
from urllib.parse import urlsplit

import nbformat
import pandas as pd
from bs4 import BeautifulSoup, Tag
from jinja2 import pass_context
from jinja2.runtime import Context
from latex2mathml.converter import convert
from nbconvert.exporters import HTMLExporter
from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath
from nbformat import NotebookNode
from traitlets.config import Config

from madlab import files
from madlab.execute import NotebookError, check_output, find, freeze, run_notebook

_TEMPLATES = Path(__file__).parent / "templates"
_IMAGES = ["image/svg+xml", "image/png", "image/jpeg"]
_SHOWN = ["text/html", "text/markdown", *_IMAGES, "text/latex", "text/plain"]
_LIVE = ["script", "link", "iframe", "object", "embed", "base", "video", "audio"]


def report(
    notebook: str | os.PathLike[str],
    parameters: Mapping[str, Any] | None = None,
    output: str | os.PathLike[str] | None = None,
    *,
    timeout: float | None = None,
    echo: TextIO | None = None,
    executed: bool = False,
) -> Path:
    """Run a notebook and write it as one self-contained HTML file.

    - `notebook`, `parameters`, `timeout`, `echo`: as for `run_notebook`.
    - `output`: the `.html` file; without it, `reports/NAME.html` in the current folder.
    - `executed`: the notebook was run already, by papermill say, and is written as it is.

    Returns the path of the file, which is written whole or not at all. Raises ValueError for a
    notebook that was not executed, and what `run_notebook` raises, which keeps
    `NAME.partial.ipynb` beside the output.
    """
    source = find(notebook)
    target = check_output(output or Path("reports", f"{source.stem}.html"), ".html", source)
    if executed:
        nb = nbformat.read(source, as_version=4)
        if not any(cell.get("outputs") for cell in nb.cells):
            raise ValueError(f"{source} was not executed: it has no outputs; leave `executed` out")
        _write(nb, source, target)
    else:
        _written(source, parameters, target, timeout, echo)
    return target


def _written(
    source: Path,
    parameters: Mapping[str, Any] | None,
    target: Path,
    timeout: float | None,
    echo: TextIO | None,
) -> NotebookNode:
    partial = target.with_suffix(".partial.ipynb")
    nb = run_notebook(source, parameters, keep=partial, timeout=timeout, echo=echo)
    _write(nb, source, target)
    return nb


def _write(nb: NotebookNode, source: Path, target: Path) -> None:
    prose = "\n".join(cell.source for cell in nb.cells if cell.cell_type == "markdown")
    heading = re.search(r"^# +(.+)$", prose, re.MULTILINE)
    title = re.sub(r"[*_`]", "", heading[1]).strip() if heading else source.stem
    files.write(target, to_html(nb, title, source.parent))


def over_seeds(
    notebook: str | os.PathLike[str],
    seeds: Sequence[int],
    parameters: Mapping[str, Any] | None = None,
    output: str | os.PathLike[str] | None = None,
    *,
    echo: TextIO | None = None,
) -> tuple[Path, int]:
    """Write a report for each seed, and a table of what their predictions came to.

    - `notebook`, `parameters`, `output`, `echo`: as for `report`. The reports lie beside `output`,
      `NAME-seed-3.html`; it is the table.

    Returns the table's file and how many seeds failed, which are named in it and lose no other.
    """
    source = find(notebook)
    target = check_output(output or Path("reports", f"{source.stem}-seeds.html"), ".html", source)
    rows, failed = [], 0
    for seed in seeds:
        page = target.with_stem(f"{target.stem.removesuffix('-seeds')}-seed-{seed}")
        row = {"seed": f'<a href="{html.escape(page.name)}">{seed}</a>'}
        try:
            nb = _written(source, {**(parameters or {}), "seed": seed}, page, None, echo)
            row |= {question: f"<b>{went}</b>: {shown}" for question, shown, went in outcomes(nb)}
        except NotebookError as error:
            failed += 1
            row |= {"seed": str(seed), "failed": html.escape(str(error))}
        rows.append(row)
        table = pd.DataFrame(rows).fillna("").to_html(index=False, escape=False, border=0)
        title = f"{source.stem}, seeds {', '.join(map(str, seeds))}"
        style = (_TEMPLATES / "report" / "style.css").read_text("utf-8")
        style += "main td, main th { text-align: left; }"
        head = f'<meta charset="utf-8"><title>{title}</title><style>{style}</style>'
        # Anew with each seed, so that an interrupt leaves those that are done.
        files.write(target, f"<!doctype html>{head}<main><h1>{title}</h1>{table}</main>")
    return target, failed


def outcomes(nb: NotebookNode) -> list[tuple[str, str, str]]:
    """Return of each prediction in an executed notebook the question, what was shown, the verdict.

    They are HTML; a verdict is empty where the notebook gives none.
    """
    found = []
    for cell in nb.cells:
        for output in cell.get("outputs", []):
            soup = BeautifulSoup(output.get("data", {}).get("text/html", ""), "html.parser")
            for terms in soup.select("dl.mad-outcome"):
                names = [term.text for term in terms("dt")]
                said = dict(zip(names, map(_inner, terms("dd")), strict=True))
                went = said.get("So it went", "")
                found.append((said["Question"], said["The run shows"], went))
    return found


def _inner(element: Tag) -> str:
    return element.decode_contents()


def to_html(nb: NotebookNode, title: str, images: Path | None = None) -> str:
    """Return an executed notebook as one HTML page that loads nothing from anywhere.

    Code is folded away behind "Show code"; mathematics is MathML; pictures are embedded and keep
    their alt texts; links into the web stay, links to neighbouring files become plain text.

    - `title`: the title of the page.
    - `images`: the folder that pictures in the text are relative to; None embeds none of them.
    """
    exporter = _Exporter(
        template_name="report",
        extra_template_basedirs=[str(_TEMPLATES)],
        embed_images=images is not None,
        exclude_anchor_links=True,
        filters={"mathml": _mathml},
        config=Config(NbConvertBase={"display_data_priority": _SHOWN}),
    )
    resources = {
        "metadata": {"name": title, "path": str(images or "")},
        "facts": _facts(nb.metadata.get("madlab", {})),
    }
    return _offline(exporter.from_notebook_node(freeze(nb), resources)[0])


class _Renderer(IPythonRenderer):
    """Markdown to HTML, with TeX turned into MathML, which browsers draw by themselves."""

    def inline_math(self, body: str) -> str:
        return _mathml(body, "inline")

    def block_math(self, body: str) -> str:
        return _mathml(body)

    def latex_environment(self, name: str, body: str) -> str:
        return _mathml(f"\\begin{{{name}}}{body}\\end{{{name}}}")


def _mathml(tex: str, display: str = "block") -> str:
    try:
        return convert(tex.strip().strip("$"), display=display)
    except Exception:
        # The converter raises many kinds of errors; a reader can still make sense of the TeX.
        return f"<code>{html.escape(tex)}</code>"


class _Exporter(HTMLExporter):
    @pass_context
    def markdown2html(self, context: Context, source: str) -> str:
        renderer = _Renderer(
            escape=False,
            attachments=context.get("cell", {}).get("attachments", {}),
            embed_images=self.embed_images,
            path=context["resources"]["metadata"]["path"],
            exclude_anchor_links=True,
        )
        return str(MarkdownWithMath(renderer=renderer).render(source))


def _facts(about: Mapping[str, Any]) -> dict[str, str]:
    if not about:
        return {}
    minutes, seconds = divmod(round(about["seconds"]), 60)
    made = dict(about["provenance"])
    machine = {name: made.pop(name, None) for name in ("device", "threads", "commit")}
    return {
        "notebook": about["notebook"],
        "parameters": ", ".join(f"{k} = {v!r}" for k, v in about["parameters"].items()),
        "date": about["date"].replace("T", " "),
        "duration": f"{minutes} min {seconds} s" if minutes else f"{seconds} s",
        "versions": ", ".join(f"{name} {version}" for name, version in made.items()),
        **{name: "unknown" if value is None else str(value) for name, value in machine.items()},
    }


def _offline(page: str) -> str:
    """Take out whatever would load something: scripts, frames, remote pictures, dead links."""
    soup = BeautifulSoup(page, "html.parser")
    for element in soup(_LIVE):
        element.decompose()
    for picture in soup("img"):
        del picture["srcset"]
        if not str(picture.get("src", "")).startswith("data:"):
            described = picture.get("alt") or "no description"
            picture.replace_with(f"[picture not included: {described}]")
    for link in soup("a", href=True):
        address = urlsplit(str(link["href"]))
        if address.scheme not in ("http", "https", "mailto") and str(link["href"])[:1] != "#":
            link.unwrap()
    return str(soup)
