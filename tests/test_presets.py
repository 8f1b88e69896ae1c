"""The sizes of notebooks: there, complete, and fit for the models and data that they are for."""

import re
from pathlib import Path

import pytest

from madlab import presets
from madlab.loops import Loop
from madlab.models import create

NOTEBOOKS = sorted((Path(__file__).parent.parent / "notebooks").glob("*.ipynb"))
DIGITS = ["00", "03", "06", "07"]


def test_every_notebook_has_its_presets_and_no_other_has():
    assert [path.stem for path in NOTEBOOKS] == list(presets.tables())


@pytest.mark.parametrize("notebook", [path.stem for path in NOTEBOOKS])
def test_every_preset_has_what_its_notebook_reads_and_nothing_else(notebook):
    about = {"machine", "minutes", "megabytes", "expect"}
    source = next(path for path in NOTEBOOKS if path.stem == notebook).read_text(encoding="utf-8")
    read = set(re.findall(r"\bsettings\.(\w+)", source))
    assert read
    sizes = {name: vars(presets.get(notebook, name)) for name in presets.NAMES}
    for found in sizes.values():
        missing, unread = read - found.keys(), found.keys() - read - about
        assert (missing, unread) == (set(), set())
        assert about <= found.keys()
        assert found["machine"] in ("two cores", "one GPU")
        assert found["expect"]
    for field in read:
        assert len({type(found[field]) for found in sizes.values()}) == 1, field


@pytest.mark.parametrize("name", presets.NAMES)
@pytest.mark.parametrize("start", DIGITS)
def test_sizes_fit_the_digits_there_are(start, name):
    notebook = next(path.stem for path in NOTEBOOKS if path.stem.startswith(start))
    preset = presets.get(notebook, name)
    loops = [Loop.fully_synthetic(preset.n)]
    if notebook.startswith("07"):
        half = preset.n // 2
        loops.append(Loop.fresh_data(half, half, n_initial=preset.n))
    assert all(loop.needs(preset.generations) <= 60_000 for loop in loops)
    assert preset.n_evaluate <= 10_000
    if start != "00":
        create("diffusion", **preset.flow)


def test_notebook_07_finds_the_chains_of_06_in_the_store():
    fields = ("n", "generations", "n_evaluate", "seeds", "flow_n", "flow_generations", "flow")
    for name in ("smoke", "quick"):
        with_real_data = vars(presets.get("07_digits_augmentation_and_fresh", name))
        without = vars(presets.get("06_digits_fully_synthetic", name))
        assert all(with_real_data[field] == without[field] for field in fields)


@pytest.mark.parametrize("name", presets.NAMES)
def test_settings_of_faces_are_those_of_the_models(name):
    preset = presets.get("08_faces", name)
    create("face_gan", **preset.gan)
    create("face_gan", **{**preset.gan, **preset.variant})
    create("face_flow", **preset.flow)
    assert preset.variant_generations <= preset.generations
    # Precision and recall take five neighbours among the samples.
    assert preset.n > 5
    assert preset.size % 4 == 0


def test_sequences_cannot_be_changed_and_every_reader_gets_its_own():
    preset = presets.get("06_digits_fully_synthetic", "quick")
    assert preset.seeds == (0, 1, 2)
    preset.flow["steps"] = 1
    assert presets.get("06_digits_fully_synthetic", "quick").flow == {"steps": 600}


def test_unknown_names_are_refused_with_a_hint():
    with pytest.raises(KeyError, match=r"there are: smoke, quick, full; did you mean 'quick'\?"):
        presets.get("00_start_here", "quik")
    with pytest.raises(KeyError, match="did you mean '00_start_here'"):
        presets.get("00_start_her", "quick")
