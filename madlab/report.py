"""Run a notebook and write what came out as one HTML file that needs no network and no kernel."""

import html
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TextIO
from urllib.parse import urlsplit

from bs4 import BeautifulSoup
from jinja2 import pass_context
from jinja2.runtime import Context
from latex2mathml.converter import convert
from nbconvert.exporters import HTMLExporter
from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath
from nbformat import NotebookNode
from traitlets.config import Config

from madlab import files
from madlab.execute import check_output, find, freeze, run_notebook

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
) -> Path:
    """Run a notebook and write it as one self-contained HTML file.

    - `notebook`, `parameters`, `timeout`, `echo`: as for `run_notebook`.
    - `output`: the `.html` file; without it, `reports/NAME.html` in the current folder.

    Returns the path of the file, which is written whole or not at all. Raises what
    `run_notebook` raises, which keeps `NAME.partial.ipynb` beside the output.
    """
    source = find(notebook)
    target = check_output(output or Path("reports", f"{source.stem}.html"), ".html", source)
    partial = target.with_suffix(".partial.ipynb")
    nb = run_notebook(source, parameters, keep=partial, timeout=timeout, echo=echo)
    prose = "\n".join(cell.source for cell in nb.cells if cell.cell_type == "markdown")
    heading = re.search(r"^# +(.+)$", prose, re.MULTILINE)
    title = re.sub(r"[*_`]", "", heading[1]).strip() if heading else source.stem
    files.write(target, to_html(nb, title, source.parent))
    return target


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
