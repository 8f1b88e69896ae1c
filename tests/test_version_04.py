"""What version 0.4 made is read, and made again with equal bits: see `version_04.py`.

Bits are compared where versions, threads and arithmetic are those that the fixtures were made
with; elsewhere means and standard deviations, to one grey level and 1% of a coordinate's spread.
"""

import json
import shutil
from typing import NamedTuple

import nbformat
import pytest
import version_04 as work
from nbformat.v4 import new_code_cell, new_notebook
from smoke import run
from version_04 import (
    CHAINS,
    FIXTURES,
    GENERATIONS,
    HALF_DONE,
    MODELS,
    MORE_MODELS,
    STEPS,
    STOPPED_AFTER,
    TRAINED,
)

from madlab import models
from madlab.store import Store

GOLDEN = json.loads((FIXTURES / "golden.json").read_text())
EQUAL_BITS = work.arithmetic() == GOLDEN["arithmetic"]
NOTEBOOKS = sorted((FIXTURES / "notebooks").glob("*.ipynb"))
needs_equal_bits = pytest.mark.skipif(
    not EQUAL_BITS, reason="versions, threads or the CPU's arithmetic are not the fixtures'"
)


@pytest.fixture
def store(tmp_path):
    """A copy of the store that 0.4 made."""
    return shutil.copytree(FIXTURES / "store", tmp_path / "store")


@pytest.fixture
def untrained(monkeypatch):
    """Let no model be fitted and none be sampled."""

    def refuse(*_, **__):
        raise AssertionError("the store has it, and it was computed again")

    for name in models.names():
        monkeypatch.setattr(models.kind(name), "fit", refuse)
        monkeypatch.setattr(models.kind(name), "sample", refuse)


def check_samples(found, wanted):
    """Ask for equal hashes, or on other machines for nearly equal numbers."""
    assert found.keys() == wanted.keys()
    for bias, some in wanted.items():
        if EQUAL_BITS:
            assert found[bias] == some
        else:
            near = 0.01 * some["std"] if some["std"] < 10 else 1.0
            assert found[bias]["mean"] == pytest.approx(some["mean"], abs=near)
            assert found[bias]["std"] == pytest.approx(some["std"], abs=near)


def near(found, wanted, rel=1e-4):
    """Compare values by name; 1e-4 is more than another CPU's arithmetic does to scores."""
    assert found.keys() == wanted.keys()
    for name, value in wanted.items():
        if isinstance(value, dict):
            near(found[name], value, rel)
            continue
        wanted_value = pytest.approx(value, rel=rel) if isinstance(value, float) else value
        assert found[name] == wanted_value, name


@pytest.mark.parametrize("name", models.names())
def test_every_model_keeps_its_version_settings_and_stored_names(name):
    found, wanted = work.of_names(name), GOLDEN["names"][name]
    assert (found["settings"], found["version"]) == (wanted["settings"], wanted["version"])
    if name not in ("coupling", "gaussian") or EQUAL_BITS:
        assert found["stored"] == wanted["stored"]


def test_no_model_is_lost():
    assert set(models.names()) >= set(GOLDEN["names"])
    assert {name for name, _, _ in MODELS.values()} == set(GOLDEN["names"])


@pytest.mark.parametrize("row", MODELS | MORE_MODELS)
def test_a_fit_and_its_samples_are_those_of_04(row):
    model = work.fitted(row)
    if EQUAL_BITS:
        assert work.saved(model) == GOLDEN["models"][row]["tensors"]
    check_samples(work.sampled(model), GOLDEN["models"][row]["samples"])


@pytest.mark.parametrize("row", MODELS)
def test_a_model_that_04_saved_is_read_and_samples_as_it_did(row, untrained_fits):
    model = models.load(FIXTURES / "models" / row.replace(" ", "_"))
    assert work.saved(model) == GOLDEN["models"][row]["tensors"]
    check_samples(work.sampled(model), GOLDEN["models"][row]["samples"])


@pytest.fixture
def untrained_fits(monkeypatch):
    """Let no model be fitted."""
    for name in models.names():
        monkeypatch.setattr(models.kind(name), "fit", None)


@pytest.mark.parametrize("row", TRAINED)
def test_a_fit_that_04_left_half_done_goes_on_from_its_step(row, tmp_path):
    folder = shutil.copytree(FIXTURES / "half_done" / row, tmp_path / "half done")
    told = []
    model = work.fitted(row, progress=told.append, checkpoint=folder)
    assert told == [step / STEPS for step in range(STOPPED_AFTER + 1, STEPS + 1)]
    if EQUAL_BITS:
        assert work.saved(model) == GOLDEN["models"][row]["tensors"]
    check_samples(work.sampled(model), GOLDEN["models"][row]["samples"])


@pytest.mark.parametrize("name", CHAINS)
def test_the_store_of_04_is_read_without_a_fit_or_a_sample(name, store, untrained):
    before = sorted(path.relative_to(store) for path in store.rglob("*"))
    found, wanted = work.ran(work.chain(CHAINS[name], store)), GOLDEN["chains"][name]
    assert found["columns"] == wanted["columns"]
    assert found["records"] == wanted["records"]
    assert found["samples"] == wanted["samples"]
    assert sorted(path.relative_to(store) for path in store.rglob("*")) == before


def test_the_store_of_04_is_intact_and_its_records_are_read(store):
    opened = Store(store)
    assert opened.verify() == []
    ids = [row["id"] for chain in GOLDEN["chains"].values() for row in chain["records"]]
    assert set(ids) < set(opened.records()["id"])


@needs_equal_bits
@pytest.mark.parametrize("name", CHAINS)
def test_a_chain_of_04_comes_out_again(name, tmp_path):
    found, wanted = work.ran(work.chain(CHAINS[name], tmp_path / "new")), GOLDEN["chains"][name]
    assert found["samples"] == wanted["samples"]
    for row, known in zip(found["records"], wanted["records"], strict=True):
        assert row.pop("seconds") > 0
        near(row, {name: value for name, value in known.items() if name != "seconds"})


def test_a_chain_that_04_left_half_done_goes_on(store):
    told = []

    def progress(t, stage, fraction):
        if stage == "fit":
            told.append((t, fraction))

    found = work.ran(work.chain(HALF_DONE, store, progress=progress))
    assert told == [(2, step / STEPS) for step in range(STOPPED_AFTER + 1, STEPS + 1)]
    wanted = GOLDEN["half done"]
    assert found["samples"][0] == wanted["samples"][0]
    if EQUAL_BITS:
        assert found["samples"] == wanted["samples"]
    ids = [row["id"] for row in found["records"]]
    assert ids == [row["id"] for row in wanted["records"]]
    assert Store(store).verify() == []
    assert len(found["records"]) == GENERATIONS


@needs_equal_bits
def test_data_sets_drawn_faces_and_damages_are_those_of_04(tmp_path):
    assert work.of_data(tmp_path / "pictures") == GOLDEN["data"]


@pytest.mark.parametrize("name", GOLDEN["references"])
def test_references_and_features_keep_their_ids(name):
    found, wanted = work.of_reference(name), GOLDEN["references"][name]
    if EQUAL_BITS or "digits" in name:
        assert (found["id"], found["features"]) == (wanted["id"], wanted["features"])
    if "scores" in wanted:
        near(found["scores"], wanted["scores"])


def test_metrics_are_those_of_04():
    near(work.of_metrics(), GOLDEN["metrics"])


def test_theory_is_that_of_04():
    found, wanted = work.of_theory(), GOLDEN["theory"]
    assert found["fresh_limit"] == pytest.approx(wanted["fresh_limit"], rel=1e-12)
    assert found["simulate"] == pytest.approx(wanted["simulate"], rel=1e-9)
    for row, known in zip(found["modes"], wanted["modes"], strict=True):
        near(row, known, rel=1e-9)


def code(path):
    """Return the code cells of a notebook."""
    nb = nbformat.read(path, as_version=4)
    return [cell.source for cell in nb.cells if cell.cell_type == "code"]


class Old(NamedTuple):
    """What a notebook of 0.4 showed, and the chains in its store before and after."""

    outputs: list
    before: set
    after: set


@pytest.fixture(scope="module")
def old_runs(smoke, tmp_path_factory):
    """Every notebook of 0.4 with code of its own, one after the other in one kernel.

    Each has its own folder, and nothing but imported modules of those before it.
    """
    cells, before = [], {}
    for path in NOTEBOOKS:
        now = FIXTURES.parents[2] / "notebooks" / path.name
        if now.exists() and code(now) == code(path):
            continue  # test_notebooks.py runs this code
        folder = tmp_path_factory.mktemp(path.stem)
        if now.exists():
            # The chains that today's notebook left are those of 0.4's, which need not train them.
            shutil.copytree(smoke(now).folder, folder, dirs_exist_ok=True)
        before[folder] = path, chains(folder)
        first, *others = code(path)
        given = 'preset, seed, store = "smoke", 1, "a store"'
        start = f"%reset -f\nimport os\nos.chdir({str(folder)!r})"
        about = {"of": path.stem}
        cells += [new_code_cell(one, metadata=about) for one in (start, first, given, *others)]
    cells.insert(0, new_code_cell(code(NOTEBOOKS[0])[0], metadata={"tags": ["parameters"]}))
    together = tmp_path_factory.mktemp("old") / "all_of_04.ipynb"
    nbformat.write(new_notebook(cells=cells), together)
    shown = {}
    for cell in run(together, together.parent).nb.cells:
        shown.setdefault(cell.metadata.get("of"), []).extend(cell.get("outputs", ()))
    return {
        path: Old(shown[path.stem], chains_before, chains(folder))
        for folder, (path, chains_before) in before.items()
    }


@pytest.mark.notebook
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_of_04_still_runs_unchanged(path, old_runs):
    if path not in old_runs:
        return
    outputs, before, after = old_runs[path]
    assert after == before
    assert len(outputs) > 3
    assert [out for out in outputs if out.output_type == "error"] == []
    for out in outputs:
        if out.get("name") == "stderr":
            assert "the old name goes in the next release" in out.text, out.text


def chains(folder):
    """Return the ids of all models and sample sets in the store of `folder`."""
    return {path.name for path in folder.glob("a store/[ms]*/*")}
