"""Executed notebooks, frozen and written as one offline page."""

import re
from collections.abc import Callable
from pathlib import Path

import nbformat
import papermill
import pytest
from bs4 import BeautifulSoup
from cells import PANEL, PARAMETERS
from nbconvert.exporters import HTMLExporter
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from madlab.execute import WIDGET_VIEW, NotebookError, freeze
from madlab.report import over_seeds, report, to_html

Make = Callable[..., Path]

VIEW = {"model_id": "1", "version_major": 2, "version_minor": 0}
PROSE = r"""Growth as $\lambda^{t-1}$ and `code $x$`, [the web](https://example.org/a),
[a neighbour](07_next.ipynb), [below](#below).

$$\Sigma_t = \lambda^{t-1} \Sigma_1$$

![here](dot.png) ![elsewhere](https://example.org/dot.png)
<script src="https://example.org/evil.js"></script>
"""


def executed(*outputs: NotebookNode, prose: str = "# A *title*") -> NotebookNode:
    """A notebook of one piece of prose and one cell with these outputs, beside widget state."""
    return new_notebook(
        cells=[new_markdown_cell(prose), new_code_cell("x = 1 < 2", outputs=list(outputs))],
        metadata={"widgets": {"application/vnd.jupyter.widget-state+json": {"state": {}}}},
    )


def test_freezing_keeps_the_fallback_of_a_widget_and_drops_the_rest() -> None:
    nb = executed(
        new_output("display_data", {WIDGET_VIEW: VIEW, "text/html": "<b>1</b>", "text/plain": "W"}),
        new_output("display_data", {WIDGET_VIEW: VIEW, "text/plain": "IntSlider(value=0)"}),
        new_output("display_data", {"image/png": "abc", "text/plain": "F"}),
        new_output("stream", name="stdout", text="hello"),
    )
    before = nbformat.writes(nb)
    frozen = freeze(nb)
    nbformat.validate(frozen)
    kept, bare, picture, stream = frozen.cells[1].outputs
    assert kept.data == {"text/html": "<b>1</b>", "text/plain": "W"}
    assert bare.data == {
        "text/plain": "A control stands here when the notebook is open in JupyterLab."
    }
    assert picture.data == {"image/png": "abc", "text/plain": "F"}
    assert stream.text == "hello"
    assert "widgets" not in frozen.metadata
    assert nbformat.writes(nb) == before, "freeze must not change what it is given"
    assert freeze(frozen) == frozen


def test_the_page_loads_nothing(tmp_path: Path) -> None:
    (tmp_path / "dot.png").write_bytes(b"\x89PNG")
    nb = executed(
        new_output("display_data", {"text/html": "<iframe src='https://example.org'></iframe>"}),
        new_output("display_data", {"text/html": "<img src='https://example.org/x.png' alt='x'>"}),
        new_output("display_data", {"application/javascript": "alert(1)", "text/plain": "js"}),
        prose=PROSE,
    )
    page = to_html(nb, "a title", tmp_path)
    soup = BeautifulSoup(page, "html.parser")
    assert not soup(["script", "link", "iframe", "object", "embed", "base"])
    assert not re.search(r"(src|srcset|action|data)=[\"']?\s*(https?:)?//", page)
    assert not re.search(r"@import|url\(", page)
    assert "default-src 'none'" in soup.find("meta", {"http-equiv": True})["content"]
    assert [image["alt"] for image in soup("img")] == ["here"]
    assert soup.img["src"].startswith("data:image/png;base64,")
    assert "[picture not included: elsewhere]" in soup.text
    assert "[picture not included: x]" in soup.text


def test_links_into_the_web_stay_and_links_to_neighbours_become_text() -> None:
    soup = BeautifulSoup(to_html(executed(prose=PROSE), "t"), "html.parser")
    assert [link["href"] for link in soup("a")] == ["https://example.org/a", "#below"]
    assert "a neighbour" in soup.text


def test_mathematics_is_drawn_by_the_browser_and_code_is_left_alone() -> None:
    soup = BeautifulSoup(to_html(executed(prose=PROSE), "t"), "html.parser")
    inline, block = soup("math")
    assert (inline["display"], block["display"]) == ("inline", "block")
    assert inline.text == "λt−1"
    assert soup.find("code").text == "code $x$"
    broken = to_html(executed(prose=r"$\left($"), "t")
    assert r"<code>\left(</code>" in broken


def test_the_page_is_readable_by_people_and_screen_readers() -> None:
    nb = executed(
        new_output("stream", name="stderr", text="1 < 2"),
        new_output("display_data", {"image/png": "aGk="}, metadata={"image/png": {"alt": "a dot"}}),
        new_output("execute_result", {"text/plain": "a & b"}),
        new_output("error", ename="E", evalue="e", traceback=["\x1b[31mred\x1b[0m"]),
    )
    soup = BeautifulSoup(to_html(nb, "Digits <go> mad"), "html.parser")
    assert soup.html["lang"] == "en"
    assert soup.title.text == "Digits <go> mad"
    assert soup.h1.text == "A title"
    assert soup.find("meta", {"name": "viewport"})
    assert soup.img["alt"] == "a dot"
    texts = [pre.text.strip() for pre in soup("pre") if not pre.find_parent("details")]
    assert texts == ["1 < 2", "a & b", "red"]
    code = soup.find("details", class_="code")
    assert "open" not in code.attrs
    assert code.summary.text == "Show code"
    assert "x = 1 < 2" in code.text


def test_the_head_of_the_page_says_how_it_was_made() -> None:
    nb = executed()
    nb.metadata["madlab"] = {
        "notebook": "06_digits",
        "parameters": {"preset": "smoke", "seed": 3},
        "date": "2026-01-02T03:04:05+00:00",
        "seconds": 83.2,
        "provenance": {
            "python": "3.11.7", "torch": "2.14.1", "device": "cpu: x", "threads": 2, "commit": None,
        },
    }  # fmt: skip
    soup = BeautifulSoup(to_html(nb, "t"), "html.parser")
    said = {name.text: value.text for name, value in zip(soup("dt"), soup("dd"), strict=True)}
    assert said == {
        "notebook": "06_digits",
        "parameters": "preset = 'smoke', seed = 3",
        "date": "2026-01-02 03:04:05+00:00",
        "duration": "1 min 23 s",
        "versions": "python 3.11.7, torch 2.14.1",
        "device": "cpu: x",
        "threads": "2",
        "commit": "unknown",
    }


def test_a_report_is_one_small_file_with_the_figures_of_its_panels(
    tmp_path: Path, make_notebook: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = make_notebook(tmp_path / "x.ipynb", "print(seed)", PANEL, parameters=PARAMETERS)
    monkeypatch.chdir(tmp_path)
    path = report(source, {"seed": 5})
    assert path == tmp_path / "reports" / "x.html"
    assert [entry.name for entry in path.parent.iterdir()] == ["x.html"]
    assert path.stat().st_size < 100_000
    soup = BeautifulSoup(path.read_text(encoding="utf-8"), "html.parser")
    assert soup.title.text == "A notebook named x"
    assert [image["alt"] for image in soup("img")] == ["a rising line"]
    assert soup.figcaption.text == "seed 5"
    assert "seed = 5" in soup.header.text


def test_a_report_that_fails_leaves_an_older_one_alone(tmp_path: Path, make_notebook: Make) -> None:
    source = make_notebook(tmp_path / "x.ipynb", "1 / 0")
    older = tmp_path / "x.html"
    older.write_text("older")
    with pytest.raises(NotebookError, match=r"ZeroDivisionError.*x\.partial\.ipynb"):
        report(source, output=older)
    assert older.read_text() == "older"
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "x.html", "x.ipynb", "x.partial.ipynb",
    ]  # fmt: skip


def test_a_report_refuses_a_place_it_cannot_write_before_running(
    tmp_path: Path, make_notebook: Make
) -> None:
    source = make_notebook(tmp_path / "x.ipynb", "raise RuntimeError('it ran')")
    with pytest.raises(IsADirectoryError, match="is a folder"):
        report(source, output=tmp_path)
    with pytest.raises(ValueError, match=r"must have a name that ends in \.html"):
        report(source, output=tmp_path / "x.pdf")


ASKED = """
import madlab as ml
asked = ml.panels.Prediction("What will it be?", ["even", "odd & strange"], key="k")
asked
"""
TOLD = "asked.beside(f'seed {seed} < 9', ['even', 'odd & strange'][seed % 2])"


def test_reports_over_seeds_have_a_table_and_one_that_fails_loses_no_other(
    tmp_path: Path, make_notebook: Make
) -> None:
    source = make_notebook(
        tmp_path / "x.ipynb", ASKED, TOLD, "1 / (seed - 1)", parameters="seed = 0"
    )
    table, failed = over_seeds(source, range(3), output=tmp_path / "out" / "x-seeds.html")
    assert failed == 1
    soup = BeautifulSoup(table.read_text("utf-8"), "html.parser")
    head, *rows = ([cell.text for cell in row(["th", "td"])] for row in soup("tr"))
    assert head == ["seed", "What will it be?", "failed"]
    assert rows[0][:2] == ["0", "even: seed 0 < 9"]
    assert rows[2][:2] == ["2", "even: seed 2 < 9"]
    assert "stopped in code cell '[4/4] 1 / (seed - 1)' with ZeroDivisionError" in rows[1][2]
    assert [link["href"] for link in soup("a")] == ["x-seed-0.html", "x-seed-2.html"]
    assert all((table.parent / link["href"]).exists() for link in soup("a"))
    assert (table.parent / "x-seed-1.partial.ipynb").exists()


def test_papermill_and_nbconvert_alone_show_panels_too(tmp_path: Path, make_notebook: Make) -> None:
    source = make_notebook(tmp_path / "x.ipynb", ASKED, TOLD, parameters="seed = 0")
    with pytest.raises(ValueError, match="was not executed"):
        report(source, output=tmp_path / "x.html", executed=True)
    papermill.execute_notebook(
        source, tmp_path / "y.ipynb", {"seed": 3}, language="python", progress_bar=False
    )
    page, _ = HTMLExporter().from_filename(str(tmp_path / "y.ipynb"))
    soup = BeautifulSoup(page, "html.parser")
    assert "What will it be?" in soup.select_one(".mad-still").text
    assert "seed 3 < 9" in soup.text
    assert not soup.select('script[type*="widget-view"]')
    ours = report(tmp_path / "y.ipynb", output=tmp_path / "y.html", executed=True)
    assert "What will it be?" in ours.read_text("utf-8")
