from pathlib import Path

import pytest

from madlab import presets
from madlab.loops import Loop
from madlab.models import create
from madlab.presets.digits import Digits

NOTEBOOKS = Path(__file__).parent.parent / "notebooks"
DIGITS = [
    (notebook, name)
    for notebook, known in presets.PRESETS.items()
    for name, preset in known.items()
    if isinstance(preset, Digits)
]


def test_every_notebook_has_its_presets():
    assert {path.stem for path in NOTEBOOKS.glob("*.ipynb")} == set(presets.PRESETS)
    for known in presets.PRESETS.values():
        assert list(known) == ["smoke", "quick", "full"]


@pytest.mark.parametrize(("notebook", "name"), DIGITS)
def test_sizes_fit_the_digits_there_are(notebook, name):
    preset = presets.get(notebook, name)
    loops = [Loop.fully_synthetic(preset.n)]
    if notebook.startswith("07"):
        half = preset.n // 2
        loops.append(Loop.fresh_data(half, half, n_initial=preset.n))
    assert all(loop.needs(preset.generations) <= 60_000 for loop in loops)
    assert preset.n_evaluate <= 10_000
    if preset.flow:
        create("diffusion", **preset.flow)


@pytest.mark.parametrize("name", ["smoke", "quick", "full"])
def test_settings_of_faces_are_those_of_the_models(name):
    preset = presets.get("08_faces", name)
    create("face_gan", **preset.gan)
    create("face_gan", **{**preset.gan, **preset.variant})
    create("face_flow", **preset.flow)
    assert preset.variant_generations <= preset.generations
    # Precision and recall take five neighbours among the samples.
    assert preset.n > 5
    assert preset.size % 4 == 0


def test_unknown_names_are_refused_with_a_hint():
    with pytest.raises(KeyError, match="did you mean 'quick'"):
        presets.get("00_start_here", "quik")
    with pytest.raises(KeyError, match="did you mean '00_start_here'"):
        presets.get("00_start_her", "quick")
