"""The loop on one screen makes what a chain makes, and reads as little as it says."""

import ast
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import madlab as ml
from madlab import example


@pytest.mark.parametrize(("name", "settings", "bias"), [("mixture", {}, 0.8), ("gan", 3, 1.0)])
def test_every_sample_is_that_of_a_chain(tmp_path, name, settings, bias):
    settings = {"steps": settings} if settings else {}
    chain = ml.Chain(
        ml.Loop.fully_synthetic(300),
        ml.models.create(name, **settings),
        ml.data.mnist(),
        bias=bias,
        seed=3,
        n_evaluate=300,
        store=tmp_path / "runs",
    )
    model = ml.models.create(name, **settings)
    mine = list(example.fully_synthetic(model, 300, 3, bias=bias, seed=3))
    for generation, (training, samples, scores) in zip(chain.run(3), mine, strict=True):
        np.testing.assert_array_equal(generation.samples.images, samples.images)
        np.testing.assert_array_equal(generation.samples.labels, samples.labels)
        assert generation.scores == scores
        composed = chain._compose(generation.t)
        np.testing.assert_array_equal(composed.images, training.images)
        np.testing.assert_array_equal(composed.labels, training.labels)


def test_it_fits_on_a_screen_and_needs_neither_chain_nor_store():
    source = Path(example.__file__).read_text(encoding="utf-8")
    (loop,) = (one for one in ast.parse(source).body if isinstance(one, ast.FunctionDef))
    after_docstring = loop.body[1].lineno
    assert loop.end_lineno - after_docstring < 20
    asked = f"import madlab.{example.__name__.rpartition('.')[2]}, sys\n"
    asked += "print([name for name in ('madlab.chain', 'madlab.store') if name in sys.modules])"
    ran = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"
