"""Models and loops of one's own in a chain: what is wrong is said before it is kept."""

import textwrap
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import madlab as ml
from madlab.chain import Chain
from madlab.data.samples import Dataset, Samples
from madlab.loops import Composition, Loop, Share
from madlab.models.gaussian import Gaussian
from madlab.models.own import code_of
from madlab.store import Store

POINTS = ml.data.gaussian(dimensions=3, n=2_000, seed=1)
LOOP = Loop.fully_synthetic(60)


class TooFew(Gaussian):
    def sample(self, n, *, bias=1.0, seed, labels=None):
        return Samples(super().sample(n, bias=bias, seed=seed).images[1:])


class NotFinite(Gaussian):
    def sample(self, n, *, bias=1.0, seed, labels=None):
        drawn = super().sample(n, bias=bias, seed=seed)
        drawn.images[n // 2, 1] = np.nan
        return drawn


class OtherType(Gaussian):
    def sample(self, n, *, bias=1.0, seed, labels=None):
        return Samples(super().sample(n, bias=bias, seed=seed).images.astype(np.float32))


class OtherShape(Gaussian):
    def sample(self, n, *, bias=1.0, seed, labels=None):
        return Samples(super().sample(n, bias=bias, seed=seed).images[:, :2])


class NoSamples(Gaussian):
    def sample(self, n, *, bias=1.0, seed, labels=None):
        return None


class BareArray(Gaussian):
    def sample(self, n, *, bias=1.0, seed, labels=None):
        return super().sample(n, bias=bias, seed=seed).images


class OtherLabels(Gaussian):
    conditional = True

    def sample(self, n, *, bias=1.0, seed, labels=None):
        return Samples(super().sample(n, bias=bias, seed=seed).images, labels[::-1].copy())


class ListOfImages(Gaussian):
    def sample(self, n, *, bias=1.0, seed, labels=None):
        return Samples(list(super().sample(n, bias=bias, seed=seed).images))


class FewLabels(OtherLabels):
    def sample(self, n, *, bias=1.0, seed, labels=None):
        return Samples(super().sample(n, bias=bias, seed=seed, labels=labels).images, labels[1:])


class FloatLabels(Gaussian):
    def sample(self, n, *, bias=1.0, seed, labels=None):
        return Samples(super().sample(n, bias=bias, seed=seed).images, np.zeros(n))


WRONG = {
    ListOfImages: r"gave list where float64 \(50, 3\) was asked for",
    FewLabels: r"gave labels that are int64 \(49,\), not int64 \(50,\)",
    FloatLabels: r"gave labels that are float64 \(50,\), not int64 \(50,\)",
    TooFew: r"gave float64 \(49, 3\) where float64 \(50, 3\) was asked for",
    NotFinite: "gave samples with NaN or infinite values; its training may have diverged",
    OtherType: r"gave float32 \(50, 3\) where float64 \(50, 3\) was asked for",
    OtherShape: r"gave float64 \(50, 2\) where float64 \(50, 3\) was asked for",
    NoSamples: "gave NoneType, not Samples: mend it",
    BareArray: "gave ndarray, not Samples: mend it",
    OtherLabels: "gave other labels than it was asked for",
}


@pytest.mark.parametrize("kind", WRONG)
def test_what_a_model_must_not_give_is_said_and_not_kept(kind, tmp_path):
    labels = np.arange(len(POINTS)) % 2
    data = replace(POINTS, labels=labels) if kind.conditional else POINTS
    one = Chain(LOOP, kind(), data, store=tmp_path / "runs", n_evaluate=50)
    with pytest.raises((ValueError, TypeError), match=f"the model 'gaussian' {WRONG[kind]}"):
        list(one.run(1))
    store = Store(tmp_path / "runs")
    assert [entry.kind for entry in store.entries()] == ["models"]
    assert store.rows() == []


def test_a_set_that_is_not_finite_does_not_stand_in_the_store_for_ever(tmp_path):
    whole = list(Chain(LOOP, "gaussian", POINTS, n_evaluate=50).run(2))
    one = Chain(LOOP, "gaussian", POINTS, store=tmp_path, n_evaluate=50)
    list(one.run(1))
    ids = [entry.id for entry in one.store.entries() if entry.kind == "samples"]
    [id] = [id for id in ids if one.store.manifest("samples", id)["config"]["n"] == 50]
    about = one.store.manifest("samples", id)
    kept = {key: about[key] for key in ("config", "provenance")}
    bad = one.samples(1)
    bad.images[3] = np.inf
    one.store.remove("samples", id)
    one.store.publish("samples", id, bad.save, kept)
    with pytest.warns(RuntimeWarning, match=r"NaN or infinite values.*; it is drawn again"):
        again = list(Chain(LOOP, "gaussian", POINTS, store=tmp_path, n_evaluate=50).run(2))
    assert all(map(np.array_equal, *([g.samples.images for g in of] for of in (whole, again))))


def mine(tmp_path: Path, factor: str, comment: str = "") -> type[Gaussian]:
    """A model in a file of its own, as a student changes it."""
    text = f"""
        from madlab.data.samples import Samples
        from madlab.models.gaussian import Gaussian

        class Mine(Gaussian):
            name = "mine"
            def sample(self, n, *, bias=1.0, seed, labels=None):
                drawn = super().sample(n, bias=bias, seed=seed)  # {comment}
                return Samples(drawn.images * {factor})
    """
    file = tmp_path / f"{factor} {comment}.py".replace("/", "")
    file.write_text(textwrap.dedent(text))
    space: dict = {"__name__": "mine"}
    exec(compile(file.read_text(), str(file), "exec"), space)
    return space["Mine"]


def test_a_change_of_ones_own_code_is_said_and_what_is_there_is_used(tmp_path):
    def run(kind):
        return list(Chain(LOOP, kind(), POINTS, store=tmp_path / "runs", n_evaluate=50).run(2))

    first = run(mine(tmp_path, "1.0"))
    provenance = Store(tmp_path / "runs").rows()[0]["provenance"]
    assert provenance["code"] == code_of(mine(tmp_path, "1.0")())["code"]
    # Comments are no code.
    run(mine(tmp_path, "1.0", "another comment"))
    with pytest.warns(UserWarning, match="the code of the model 'mine' was changed .* version"):
        second = run(mine(tmp_path, "2.0"))
    np.testing.assert_array_equal(second[1].samples.images, first[1].samples.images)


def test_a_fit_that_found_no_numbers_is_not_kept(tmp_path):
    class Diverged(Gaussian):
        def _fit(self, images, labels, how):
            found = super()._fit(images, labels, how)
            return {**found, "mean": found["mean"] * np.nan}

    with pytest.raises(
        FloatingPointError, match="'gaussian' found NaN or infinite values in 'mean'"
    ):
        list(Chain(LOOP, Diverged(), POINTS, store=tmp_path / "runs", n_evaluate=50).run(1))
    assert Store(tmp_path / "runs").entries() == []


def test_madlabs_own_models_have_no_code_to_compare():
    assert all(code_of(ml.models.create(name)) == {} for name in ml.models.names())


class Greedy(Loop):
    """Takes 60 more real samples in each generation, whatever `needs` says."""

    def compose(self, t):
        return Composition((0, 1_000 * t), (Share(t - 1, 10),) if t > 1 else ())


class Impatient(Loop):
    def compose(self, t):
        return Composition((0, 60), (Share(t, 10),))


class Empty(Loop):
    def compose(self, t):
        return Composition((0, 60) if t == 1 else None)


class NoComposition(Loop):
    def compose(self, t):
        return (0, 60)


class HalfSamples(Loop):
    def compose(self, t):
        return Composition((0, 60.5))


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        (Greedy, "3 generations need 3,000 real samples, but .* has 2,000"),
        (Impatient, r"composes generation 1 of .*generation=1.* samples of generations before it"),
        (Empty, r"composes generation 2 of .*; it needs a block of real samples"),
        (NoComposition, r"returned \(0, 60\) for generation 1; it must return a madlab.loops.Comp"),
        (HalfSamples, r"the block of generation 1 of the loop .* must be a whole number, not 60.5"),
    ],
)
def test_a_loop_that_asks_for_what_is_not_there_is_refused_before_training(kind, message, tmp_path):
    loop = kind(real="none", n_initial=60, n_real=0, n_synthetic=60)
    with pytest.raises((ValueError, TypeError), match=message):
        list(Chain(loop, "gaussian", POINTS, store=tmp_path / "runs", n_evaluate=50).run(3))
    assert not list(tmp_path.rglob("*.safetensors"))


def test_a_loop_of_ones_own_runs(tmp_path):
    class MoreAndMore(Loop):
        def compose(self, t):
            return Composition((0, 30 * t), (Share(t - 1, 30),) if t > 1 else ())

    loop = MoreAndMore(real="fixed", n_initial=30, n_real=30, n_synthetic=30)
    one = Chain(loop, "gaussian", POINTS, n_evaluate=50)
    list(one.run(3))
    assert one.records()["n_real"].tolist() == [30, 60, 90]


def pictures(labels):
    digits = ml.data.mnist()
    held = Samples(digits.held_out.images[:200], None if labels is None else labels[:200])
    return Dataset("some digits", digits.images[:600], labels, held)


@pytest.mark.parametrize(
    "labels",
    [np.arange(600) % 3 * 4, np.arange(600) % 2 + 1, np.full(600, 3), np.zeros(600, int)],
    ids=["with gaps", "from 1", "one class", "one class 0"],
)
def test_labels_need_not_be_all_numbers_from_0(labels):
    one = Chain(Loop.fully_synthetic(200), "mixture", pictures(labels), n_evaluate=100)
    *_, last = one.run(2)
    assert set(last.samples.labels) <= set(labels.tolist())
    assert set(last.preview.labels) == set(labels.tolist())


def test_a_model_without_classes_takes_labelled_data_as_without():
    faces = ml.data.drawn_faces(60, 16)
    labelled = replace(faces, labels=np.arange(len(faces)) % 2)
    runs = [
        list(Chain(Loop.fully_synthetic(40), "principal", data, features="pca").run(2))
        for data in (faces, labelled)
    ]
    assert all(map(np.array_equal, *([g.samples.images for g in run] for run in runs)))


def test_the_table_of_records_tells_sweep_points_apart(tmp_path):
    data = ml.data.mnist()
    for components in (1, 2):
        for n in (300, 400):
            model = ml.models.create("mixture", components=components)
            loop = Loop.fully_synthetic(n)
            list(Chain(loop, model, data, store=tmp_path, n_evaluate=50).run(1))
    records = Store(tmp_path).records()
    more = [name for name in records if "." in name]
    assert more == ["loop.n_initial", "loop.n_synthetic", "settings.components"]
    assert records.groupby(more).size().tolist() == [1, 1, 1, 1]
    # Not one line with a band over what are no seeds.
    records["seed"] = range(4)
    lines = ml.plots.tidy(records)["line"]
    assert lines.nunique() == 4
    assert lines[0] == "fully synthetic, n_initial 300, components 1, bias 1"


def test_classes_that_a_later_generation_would_lose_are_found_before_training(tmp_path):
    rare = np.arange(600) % 2
    rare[ml.Chain(LOOP, "mixture", pictures(rare), n_evaluate=50)._order[3]] = 7
    one = Chain(Loop.fully_synthetic(60, 300), "mixture", pictures(rare), store=tmp_path / "runs")
    with pytest.raises(ValueError, match=r"generation 2 .* no image of the classes \[7\]"):
        one.run(2)
    assert not (tmp_path / "runs").exists()
    assert len(list(one.run(1))) == 1
    kept = Chain(Loop.synthetic_augmentation(300, 60), "mixture", pictures(rare), n_evaluate=50)
    assert len(list(kept.run(2))) == 2


def test_numpys_numbers_in_a_loop_are_python_numbers(tmp_path):
    one, two = np.int64(60), np.int32(2)
    loop = Loop.fresh_data(one, one, n_initial=one, memory=two)
    assert loop == Loop.fresh_data(60, 60, 60, 2)
    assert {type(x) for x in (loop.n_real, loop.n_synthetic, loop.n_initial, loop.memory)} == {int}
    chain = Chain(
        loop, "gaussian", POINTS, n_evaluate=np.int64(50), seed=np.uint8(1), store=tmp_path
    )
    assert len(list(chain.run(np.int64(2)))) == 2


def test_settings_that_are_no_json_are_refused_before_training(tmp_path):
    class Mine(Gaussian):
        @property
        def settings(self):
            return {"width": np.int64(3)}

    with pytest.raises(TypeError, match="the settings of the model 'gaussian' must be JSON values"):
        Chain(LOOP, Mine(), POINTS, store=tmp_path / "runs", n_evaluate=50).run(1)
    assert not (tmp_path / "runs").exists()
