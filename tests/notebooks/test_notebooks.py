"""Every notebook: its source keeps to the rules, and it runs to its end with the smoke preset."""

import ast
import base64
import io
import os
import re
from collections.abc import Callable
from pathlib import Path

import nbformat
import numpy as np
import papermill
import pytest
from bs4 import BeautifulSoup
from nbformat import NotebookNode
from PIL import Image
from smoke import Ran

from madlab import findings, presets
from madlab.execute import WIDGET_VIEW
from madlab.report import to_html

FOLDER = Path(__file__).parents[2] / "notebooks"
SOURCES = sorted(FOLDER.glob("*.ipynb"))
WIDGET_STATE = "application/vnd.jupyter.widget-state+json"
SECONDS = 60


@pytest.fixture(scope="module", params=SOURCES, ids=lambda path: path.stem)
def path(request: pytest.FixtureRequest) -> Path:
    """Each notebook in turn."""
    return request.param


@pytest.fixture(scope="module")
def source(path: Path) -> NotebookNode:
    """A notebook as it is in the repository."""
    return nbformat.read(path, as_version=4)


def of_kind(nb: NotebookNode, kind: str) -> list[NotebookNode]:
    return [cell for cell in nb.cells if cell.cell_type == kind]


def prose(nb: NotebookNode) -> str:
    return "\n\n".join(cell.source for cell in of_kind(nb, "markdown"))


def test_the_notebooks_of_the_main_job_are_there() -> None:
    assert {path.stem for path in SOURCES} >= {
        "00_start_here",
        "06_digits_fully_synthetic",
        "07_digits_augmentation_and_fresh",
    }


def test_a_source_holds_no_outputs_and_no_traces_of_a_run(source: NotebookNode) -> None:
    nbformat.validate(source)
    for cell in of_kind(source, "code"):
        assert cell.outputs == []
        assert cell.execution_count is None
    for cell in source.cells:
        assert set(cell.metadata) <= {"tags", "nbgrader"}
        assert "injected-parameters" not in cell.metadata.get("tags", [])
    assert set(source.metadata) <= {"kernelspec", "language_info"}
    assert source.metadata.kernelspec.name == "python3"
    assert "version" not in source.metadata.get("language_info", {})


def test_the_parameters_of_a_source_can_be_replaced(source: NotebookNode) -> None:
    tagged = [c for c in source.cells if "parameters" in c.metadata.get("tags", [])]
    assert len(tagged) == 1
    names = []
    for line in tagged[0].source.splitlines():
        assert line.count("=") == 1, f"not one `name = literal`: {line}"
        name, value = line.split("=")
        ast.literal_eval(value.split("#")[0].strip())
        names.append(name.strip())
    # With types, which papermill's own help shows.
    assert names[:3] == ["preset: str", "seed: int", "store: str"]
    [begins] = [c for c in source.cells if "presets.begin(" in c.source]
    assert "preset, seed=seed, store=store)" in begins.source


@pytest.mark.parametrize(("seed", "store"), [("three", "runs"), (-1, "runs"), (0, 2024), (0, "")])
def test_other_parameters_are_refused_by_the_notebook_itself(seed: object, store: object) -> None:
    with pytest.raises((TypeError, ValueError), match=f"is {seed}|not {seed!r}|store is {store!r}"):
        presets.begin("00_start_here", "quick", seed=seed, store=store)


def test_papermill_alone_knows_the_parameters_of_a_source(path: Path) -> None:
    found = papermill.inspect_notebook(path)
    types = {name: about["inferred_type_name"] for name, about in found.items()}
    assert types["preset"] == types["store"] == "str"
    assert types["seed"] == "int"
    assert all(about["help"] for about in found.values())


def test_a_source_keeps_within_its_budget(source: NotebookNode) -> None:
    code = of_kind(source, "code")
    assert len(code) <= 25
    assert max(len(cell.source.splitlines()) for cell in code) <= 20
    words = [word for word in prose(source).split() if re.search(r"\w", word)]
    assert 600 <= len(words) <= 1200


def test_a_source_says_what_it_is_for_and_what_was_to_be_seen(source: NotebookNode) -> None:
    assert source.cells[0].cell_type == "markdown"
    assert source.cells[0].source.startswith("# ")
    opening = " ".join(cell.source for cell in source.cells[:3]).lower()
    for part in ("**you will**", "**time**", "**before you start**"):
        assert part in opening
    for part in ("predict", "exercise", "what you should have seen", "summary"):
        assert part in prose(source).lower()


def test_the_links_of_a_source_lead_somewhere(source: NotebookNode) -> None:
    headings = re.findall(r"^#+ +(.+)$", prose(source), re.MULTILINE)
    anchors = {heading.strip().replace(" ", "-") for heading in headings}
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(source)):
        file, _, anchor = target.partition("#")
        if re.match(r"https?:", target):
            continue
        if file:
            assert (FOLDER / file).exists(), f"link to {target}"
        else:
            assert anchor in anchors, f"link to {target}"


def test_a_source_has_nothing_that_swallows_errors(source: NotebookNode) -> None:
    for cell in of_kind(source, "code"):
        found = re.search(r"\binteract\w*\b|\bOutput\b|except\s*:|# *type: *ignore", cell.source)
        assert not found, f"{found} in: {cell.source}"


@pytest.fixture(scope="module")
def ran(path: Path, smoke: Callable[[Path], Ran]) -> Ran:
    """The notebook, run with the smoke preset."""
    return smoke(path)


@pytest.mark.notebook
def test_a_run_ends_in_time_and_without_warnings(
    ran: Ran, path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    nb, folder, warned, cpu = ran
    seconds = nb.metadata.madlab.seconds
    with capsys.disabled():
        print(f"\n{path.stem}, smoke: {seconds:.1f} s, {cpu:.1f} CPU-s", end=" ")
    assert warned == []
    for cell in of_kind(nb, "code"):
        for output in cell.outputs:
            assert output.output_type != "error"
            assert output.get("name") != "stderr", output.text
    # The limit is for an idle machine: where others use the cores too, CPU-seconds are the fairer
    # measure (Windows counts none), and they grow as well, with shared caches and clocks.
    busy = max(1.0, os.getloadavg()[0]) if hasattr(os, "getloadavg") else 1.0
    assert min(seconds, cpu or seconds) < SECONDS * busy
    assert {entry.name for entry in folder.iterdir()} <= {"a store"}


@pytest.mark.notebook
def test_no_widget_holds_an_error(ran: Ran) -> None:
    models = ran.nb.metadata.get("widgets", {}).get(WIDGET_STATE, {}).get("state", {})
    assert models
    names = [model["model_name"] for model in models.values()]
    assert "OutputModel" not in names
    for model in models.values():
        value = str(model["state"].get("value", ""))
        assert not re.search(r"ended with an error|cannot be shown|\w+Error\b", value)


@pytest.mark.notebook
def test_every_panel_has_a_fallback_with_alt_text_and_a_caption(
    ran: Ran,
) -> None:
    bundles = [out.get("data", {}) for cell in of_kind(ran.nb, "code") for out in cell.outputs]
    # Views would hide the pictures from nbconvert, and from whoever opens the notebook later.
    assert not any(WIDGET_VIEW in bundle for bundle in bundles)
    pictures = 0
    for bundle in bundles:
        soup = BeautifulSoup(bundle.get("text/html", ""), "html.parser")
        for image in soup.select(".mad-still img"):
            assert len(image["alt"].strip()) > 20
            caption = image.find_parent("figure").find("figcaption")
            assert len(caption.text.strip()) > 10
            assert not blank(image["src"])
            pictures += 1
    assert pictures > 0


@pytest.mark.notebook
def test_the_papers_reading_stands_in_the_notebook_that_has_the_figures_counterpart(
    ran: Ran, path: Path
) -> None:
    outputs = [output for cell in of_kind(ran.nb, "code") for output in cell.outputs]
    shown = "\n".join(output.get("data", {}).get("text/markdown", "") for output in outputs)
    for figure in findings.FIGURES:
        # Sheets of digits are what the browser of the gallery shows.
        if figure.subject == "digits" and figure.picture != "sheet":
            assert (figure.reading() in shown) == (figure.notebook == path.stem)


@pytest.mark.notebook
def test_a_report_shows_every_picture_with_words(ran: Ran) -> None:
    page = to_html(ran.nb, "a report")
    soup = BeautifulSoup(page, "html.parser")
    assert soup("img")
    for image in soup("img"):
        assert image["alt"]
        assert image["alt"] != "No description has been provided for this image"
        assert not blank(image["src"])
    assert "A control stands here" not in soup.text
    assert "A smoke run." in soup.text
    assert len(page) < 10_000_000


def blank(address: str) -> bool:
    """Whether the picture in a data address is all of one colour."""
    kind, content = address.split(",", 1)
    assert kind == "data:image/png;base64"
    pixels = np.asarray(Image.open(io.BytesIO(base64.b64decode(content))).convert("L"))
    return pixels.min() == pixels.max()
