"""The metric lab: damages, strengths and their scores, live and without a kernel."""

import re

import numpy as np
import pytest
from panel_checks import check_controls, check_page

from madlab import data, panels
from madlab.data.damage import DAMAGES
from madlab.data.samples import Dataset, Samples
from madlab.metrics import Reference
from madlab.metrics.scores import KINDS
from madlab.panels.digits import STRENGTHS
from madlab.plots.lines import number
from madlab.plots.sheets import EMPTY
from madlab.streams import generator

N = 150


@pytest.fixture(scope="module")
def digits():
    full = data.mnist()
    held_out = Samples(full.held_out.images[:400], full.held_out.labels[:400])
    return Dataset("mnist-of-lab", full.images[:3000], full.labels[:3000], held_out)


@pytest.fixture
def lab(digits):
    return panels.MetricLab(digits, n=N, sizes=(100,))


def expected(digits, name, strength, n=N, seed=0):
    """The scores of a damage, put together by hand."""
    order = generator(seed, "metric lab").permutation(len(digits))
    some = digits.take(order)
    damaged = DAMAGES[name](some, strength, seed=seed, n=n)
    return Reference(digits.held_out, n).measure(damaged)


@pytest.mark.parametrize(("name", "strength"), [("drop", 0.4), ("noise", 0.6), ("shift", 1.0)])
def test_the_scores_are_those_of_the_damaged_digits(digits, lab, name, strength):
    lab.damage.value = name
    lab.strength.value = strength
    scores = expected(digits, name, strength)
    floor = expected(digits, name, 0.0)
    row = lab.curve(name, N).set_index("strength").loc[strength]
    for metric in KINDS["digits"].shown:
        assert row[metric] == getattr(scores, metric)
    said = lab.alt()
    assert said.startswith(f"Digits with {name}, strength {strength:g}. From strength 0 to")
    for label, metric in (("FD-LeNet", "fd"), ("precision", "precision")):
        ends = number(getattr(floor, metric)), number(getattr(scores, metric))
        assert re.search(rf"{label} {ends[0]} (via \S+ at \S+ )?to {ends[1]},", said)
    assert f"undamaged: FD-LeNet {number(floor.fd)}, precision {number(floor.precision)}" in said
    assert said in lab.status.value


def test_every_control_changes_the_picture(lab):
    check_controls(lab)
    seen = [lab.picture.value]
    for control, value in ((lab.damage, "noise"), (lab.strength, 0.8), (lab.n, 100)):
        control.value = value
        seen.append(lab.picture.value)
    assert len(set(seen)) == 4
    assert "Scores of 100 training digits against 100 held-out digits" in lab.settings()
    assert "noise: Gaussian noise of standard deviation 127.5" in lab.settings()


def test_a_curve_is_measured_once(lab, monkeypatch):
    measured = []
    once = Reference.measure

    def count(self, samples):
        measured.append(len(samples.images))
        return once(self, samples)

    monkeypatch.setattr(Reference, "measure", count)
    lab.damage.value = "shift"
    # Undamaged digits are known from the first damage.
    assert measured == [N] * (len(STRENGTHS) - 1)
    for strength in STRENGTHS:
        lab.strength.value = strength
    lab.damage.value = "drop"
    lab.damage.value = "shift"
    assert len(measured) == len(STRENGTHS) - 1


def test_a_typed_strength_shows_the_nearest_that_was_measured(lab):
    lab.strength.value = 0.55
    assert "strength 0.6." in lab.alt()


def test_the_sheet_has_ten_digits_of_each_class_in_rows(digits, lab):
    lab.strength.value = 0.0
    sheet = np.asarray(lab.figure().axes[0].images[0].get_array())
    some = digits.take(generator(0, "metric lab").permutation(len(digits)))
    for row, label in ((0, 0), (9, 9)):
        first = some.images[:N][some.labels[:N] == label][0]
        assert np.array_equal(sheet[30 * row : 30 * row + 28, :28], 255 - first)
    # A class with fewer than ten among so few digits leaves pale places, and no row moves.
    rare = int(np.bincount(some.labels[:N]).argmin())
    assert np.bincount(some.labels[:N])[rare] < 10
    assert (sheet[30 * rare : 30 * rare + 28, -28:] == 255 - EMPTY).all()


def test_without_a_kernel_it_is_a_contact_sheet_of_all_damages(digits, lab):
    page = lab._repr_mimebundle_()["text/html"]
    alt = check_page(page)
    worst = expected(digits, "noise", 1.0)
    assert re.search(rf"noise: FD-LeNet \S+ to {number(worst.fd)}, precision", alt)
    assert re.search(rf"noise: [^;]* to {number(worst.precision)}, recall", alt)
    caption = re.search(r"<figcaption>(.+)</figcaption>", page)[1]
    for name in DAMAGES:
        assert f"{name}:" in caption
        assert f"{name}: FD-LeNet" in alt
    # The live panel says again what it shows.
    assert lab.alt() in lab.status.value


def test_a_seed_chooses_other_digits(digits, lab):
    other = panels.MetricLab(digits, n=N, sizes=(100,), seed=1)
    assert other.curve("drop", N)["fd"].iloc[0] == expected(digits, "drop", 0.0, seed=1).fd
    assert (other.curve("drop", N)["fd"] != lab.curve("drop", N)["fd"]).all()


def test_data_that_cannot_be_scored_are_refused(digits):
    bare = Dataset("bare", digits.images, None, digits.held_out)
    with pytest.raises(ValueError, match="bare has no labels"):
        panels.MetricLab(bare, n=N)
    with pytest.raises(ValueError, match=r"a size is 5,000, but mnist-of-lab has 3,000 digits"):
        panels.MetricLab(digits, n=N, sizes=(5000,))
    with pytest.raises(ValueError, match=r"n_evaluate is 500"):
        panels.MetricLab(digits, n=N)
