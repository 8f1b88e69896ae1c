import json
import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import madlab as ml
from madlab.chain import Chain, _Set
from madlab.data.samples import Dataset, Samples
from madlab.loops import Loop
from madlab.models.gaussian import Gaussian
from madlab.store import Store
from madlab.tables import COLUMNS

POINTS = ml.data.gaussian(dimensions=3, n=2_000, seed=1)
LOOPS = [
    Loop.fully_synthetic(60),
    Loop.synthetic_augmentation(40, 20),
    Loop.synthetic_augmentation(40, 20, accumulate=True),
    Loop.fresh_data(40, 20),
    Loop.fresh_data(40, 21, memory=2),
]


def chain(loop=LOOPS[0], data=POINTS, model="gaussian", **options):
    options = {"n_evaluate": 50, **options}
    return Chain(loop, model, data, **options)


def content(store):
    """Everything of a store that a later run reads: tensors, samples and scores."""
    folder = Path(store)
    files = {
        str(file.relative_to(folder)): file.read_bytes()
        for file in folder.rglob("*")
        if file.is_file() and file.suffix in (".npy", ".safetensors")
    }
    scores = {
        row["id"]: [row[name] for name in COLUMNS if name != "seconds"]
        for row in Store(store).rows()
    }
    return files, scores


def test_the_mean_walks_as_theory_says():
    """E mu_t^2 = t / n for the unbiased fully synthetic loop (Alemohammad et al., Eq. 2).

    The d means of a chain are as good as d / (1 + d t / n) independent ones, since covariances
    drift apart; 4 standard errors are allowed. Reusing one random stream for every generation
    would make the last value more than ten times too large.
    """
    n, d, generations, chains = 1_000, 30, 12, 16
    data = ml.data.gaussian(dimensions=d, n=16_000, seed=3)
    squares = np.zeros((chains, generations))
    for seed in range(chains):
        one = Chain(Loop.fully_synthetic(n), "gaussian", data, seed=seed, n_evaluate=20)
        for generation in one.run(generations):
            squares[seed, generation.t - 1] = np.mean(one.model.fitted["mean"] ** 2)
    t = np.arange(1, generations + 1)
    error = np.sqrt(2 * (1 + d * t / n) / (chains * d))
    ratio = squares.mean(0) / (t / n)
    assert np.all(np.abs(ratio - 1) < 4 * error), ratio


def test_the_variance_shrinks_by_the_bias():
    """E[Sigma_t] = lambda^(t-1) Sigma_1 (the same source, in this project's origin of time)."""
    n, generations, chains = 500, 5, 10
    traces = np.zeros((chains, generations))
    for seed in range(chains):
        one = chain(Loop.fully_synthetic(n), bias=0.8, seed=seed)
        for generation in one.run(generations):
            traces[seed, generation.t - 1] = np.trace(one.model.fitted["covariance"])
    t = np.arange(1, generations + 1)
    ratio = traces.mean(0) / (3 * 0.8 ** (t - 1))
    assert np.all(np.abs(ratio - 1) < 4 * np.sqrt(2 * t / (3 * n * chains))), ratio


def test_records_are_tidy():
    one = chain(Loop.fresh_data(40, 20), bias=0.9, seed=4)
    generations = list(one.run(3))
    records = one.records()
    assert list(records.columns) == COLUMNS
    assert records["generation"].tolist() == [g.t for g in generations] == [1, 2, 3]
    assert records["n_real"].tolist() == [40, 40, 40]
    assert records["n_synthetic"].tolist() == [0, 20, 20]
    assert records["fd"].tolist() == [g.scores.fd for g in generations]
    assert set(records["loop"]) == {"fresh data"}
    assert records["id"].is_unique
    assert generations[0].samples.images.shape == (50, 3)
    assert generations[0].preview.images.shape == (100, 3)


def test_a_record_carries_its_provenance(tmp_path):
    list(chain(store=tmp_path / "runs").run(1))
    row = Store(tmp_path / "runs").rows()[0]
    known = {"torch", "numpy", "python", "madlab", "device", "threads", "commit"}
    assert known <= set(row["provenance"])
    assert row["config"]["loop"]["n_synthetic"] == 60
    assert set(row["cost"]) == {"compose", "fit", "sample", "measure"}


@pytest.mark.parametrize("loop", LOOPS, ids=lambda loop: loop.name)
def test_a_resumed_chain_equals_an_uninterrupted_one(tmp_path, loop):
    whole = chain(loop, bias=0.9, store=tmp_path / "whole")
    list(whole.run(4))
    for stop in (1, 2, 3):
        steps = chain(loop, bias=0.9, store=tmp_path / "steps").run(4)
        for _ in range(stop):
            next(steps)
    list(chain(loop, bias=0.9, store=tmp_path / "steps").run(4))
    assert content(tmp_path / "steps") == content(tmp_path / "whole")


class Counted(Gaussian):
    """A Gaussian that counts how often it is fitted."""

    fits = 0

    def fit(self, *args, **options):
        Counted.fits += 1
        super().fit(*args, **options)


def test_what_the_store_has_is_not_trained_again(tmp_path):
    Counted.fits = 0
    first = list(chain(model=Counted(), store=tmp_path / "runs").run(3))
    again = chain(model=Counted(), store=tmp_path / "runs")
    second = list(again.run(3))
    assert Counted.fits == 3
    assert [g.scores for g in first] == [g.scores for g in second]
    assert len(Store(tmp_path / "runs").rows()) == 3
    # Generation 1 is shared by every loop and bias with the same seed and n_initial.
    shared = Loop.fresh_data(30, 30, n_initial=60)
    list(chain(shared, model=Counted(), bias=0.5, store=tmp_path / "runs").run(1))
    assert Counted.fits == 3
    list(chain(shared, model=Counted(), bias=0.5).run(1))
    assert Counted.fits == 4


def test_other_settings_are_other_names(tmp_path):
    names = set()
    for options in ({}, {"seed": 1}, {"bias": 0.5}, {"n_evaluate": 60}):
        one = chain(store=tmp_path / "runs", **options)
        list(one.run(2))
        names.add(one.records()["id"].iloc[1])
    assert len(names) == 4
    assert len({chain(loop)._model_name(3) for loop in LOOPS}) == len(LOOPS)


def test_pruned_samples_are_drawn_again(tmp_path):
    one = chain(store=tmp_path / "runs")
    before = [g.samples.images for g in one.run(3)]
    store = Store(tmp_path / "runs")
    store.prune(samples=True)
    after = [g.samples.images for g in chain(store=store).run(3)]
    np.testing.assert_array_equal(before, after)
    store.prune(samples=True, models=True)
    after = [g.samples.images for g in chain(store=store).run(3)]
    np.testing.assert_array_equal(before, after)


def test_a_damaged_generation_is_computed_again(tmp_path):
    list(chain(store=tmp_path / "runs").run(3))
    whole = content(tmp_path / "runs")
    for file in (tmp_path / "runs").glob("*/*/*.*"):
        file.write_bytes(file.read_bytes()[:-7])
    with pytest.warns(RuntimeWarning, match="damaged"):
        list(chain(store=tmp_path / "runs").run(3))
    assert content(tmp_path / "runs") == whole
    assert Store(tmp_path / "runs").verify() == []


def test_an_interrupt_keeps_what_is_done(tmp_path):
    def stop(generation, stage, fraction):
        if (generation, stage) == (3, "fit"):
            raise KeyboardInterrupt

    steps = chain(store=tmp_path / "runs", progress=stop).run(4)
    done = []
    with pytest.raises(KeyboardInterrupt):
        done.extend(steps)
    list(chain(store=tmp_path / "other").run(4))
    list(chain(store=tmp_path / "runs").run(4))
    assert content(tmp_path / "runs") == content(tmp_path / "other")


def test_kill_at_every_file_operation_then_resume(tmp_path):
    """SIGKILL before each operation on the store in turn; every resume ends bit-identical."""
    script = Path(__file__).parent / "faults" / "kill_sweep.py"
    ran = subprocess.run(
        [sys.executable, str(script), str(tmp_path)], capture_output=True, text=True
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    report = json.loads(ran.stdout)
    assert report["kills"] >= 40
    assert report["different"] == []


def test_real_data_are_blocks_of_one_permutation():
    one = chain(Loop.fresh_data(40, 20, n_initial=60), seed=9)
    list(one.run(3))
    blocks = [set(one._order[slice(*one.loop.compose(t).real)].tolist()) for t in (1, 2, 3)]
    assert [len(block) for block in blocks] == [60, 40, 40]
    assert len(set.union(*blocks)) == 140


def test_only_the_preview_repeats_its_noise():
    one = chain(seed=2)
    configs = [
        one._samples_config(_Set(t, purpose, 10, reader))["seed"]
        for t in (1, 2, 3)
        for purpose, reader in (("training", t + 1), ("evaluation", 0))
    ]
    assert len(set(configs)) == len(configs)
    assert len({one._samples_config(_Set(t, "preview", 10))["seed"] for t in (1, 2, 3)}) == 1


@pytest.fixture(scope="module")
def digits():
    whole = ml.data.mnist()
    return Dataset("few", whole.images[:3_000], whole.labels[:3_000], whole.held_out)


def test_digits_keep_the_class_frequencies_of_generation_1(digits):
    loop = Loop.fully_synthetic(1_000)
    one = Chain(loop, "mixture", digits, n_evaluate=500)
    generations = list(one.run(2))
    first = digits.labels[one._order[:1_000]]
    asked = [g.samples.labels for g in generations]
    np.testing.assert_array_equal(asked[0], asked[1])
    share = np.bincount(asked[0], minlength=10) / 500
    assert np.abs(share - np.bincount(first, minlength=10) / 1_000).max() < 0.06
    assert generations[0].preview.labels.tolist() == [i % 10 for i in range(100)]
    assert generations[0].samples.images.dtype == np.uint8


def test_clear_errors_come_before_any_training(tmp_path, digits):
    with pytest.raises(ValueError, match=r"need 2,080 real samples, but .* has 2,000"):
        chain(Loop.fresh_data(40, 20)).run(52)
    with pytest.raises(ValueError, match="need 3,000 real samples"):
        chain(Loop.fully_synthetic(3_000))
    with pytest.raises(ValueError, match="generations is 0"):
        chain().run(0)
    for bias in (0, -1, 1.01, math.nan, math.inf):
        with pytest.raises(ValueError, match="bias is"):
            chain(bias=bias)
    with pytest.raises(TypeError, match="bias"):
        chain(bias="half")
    with pytest.raises(KeyError, match="did you mean 'gaussian'"):
        chain(model="gausian")
    with pytest.raises(TypeError, match="must be a Loop"):
        chain("fresh")
    with pytest.raises(ValueError, match="n_evaluate"):
        chain(n_evaluate=0)
    with pytest.raises(ValueError, match="n_evaluate"):
        chain(n_evaluate=10**6)
    with pytest.raises(ValueError, match="seed is -1"):
        chain(seed=-1)
    (tmp_path / "file").write_text("")
    with pytest.raises(NotADirectoryError, match="is a file"):
        chain(store=tmp_path / "file")


def test_labels_that_do_not_match_are_refused(digits):
    odd = Dataset("odd", digits.images, digits.labels[:-1], digits.held_out)
    with pytest.raises(ValueError, match="labels"):
        list(Chain(Loop.fully_synthetic(500), "mixture", odd, n_evaluate=100).run(1))


def test_a_temporary_store_goes_with_its_chain():
    one = chain()
    list(one.run(1))
    folder = one.store.path
    assert folder.is_dir()
    del one
    assert not folder.exists()


def test_points_have_no_read_share():
    generation = next(chain().run(1))
    assert math.isnan(generation.scores.read)
    assert isinstance(generation.samples, Samples)


FLOW = {"channels": 4, "steps": 12, "batch": 16, "sampling_steps": 1}


def flow_chain(store, digits, seed=0, progress=None):
    model = ml.models.create("diffusion", **FLOW)
    options = {"seed": seed, "store": store, "n_evaluate": 50, "progress": progress}
    return Chain(Loop.fully_synthetic(100), model, digits, **options)


def test_a_chain_stopped_within_a_generation_goes_on_from_there_bit_for_bit(tmp_path, digits):
    list(flow_chain(tmp_path / "whole", digits).run(2))

    class Stop(Exception):  # noqa: N818 - a request, not an error
        pass

    def stop(t, stage, fraction):
        if t == 2 and stage == "fit" and fraction > 0.5:
            raise Stop

    with pytest.raises(Stop):
        list(flow_chain(tmp_path / "stopped", digits, progress=stop).run(2))
    assert len(list((tmp_path / "stopped/models").glob(".*.part/*.safetensors"))) == 1
    seen = []
    again = flow_chain(tmp_path / "stopped", digits, progress=lambda *told: seen.append(told))
    list(again.run(2))
    fractions = [fraction for t, stage, fraction in seen if (t, stage) == (2, "fit")]
    assert min(fractions) > 0.5
    assert content(tmp_path / "stopped") == content(tmp_path / "whole")
    assert not list((tmp_path / "stopped/models").glob(".*"))


def test_a_chain_that_diverges_is_stopped_and_leaves_the_others_untouched(
    tmp_path, digits, monkeypatch, capsys
):
    seeds = (0, 1, 2)
    for seed in seeds:
        list(flow_chain(tmp_path / "calm", digits, seed).run(2))
    plain = ml.models.diffusion.RectifiedFlow.loss

    def poisoned(self, predict, data, noise, times):
        value = plain(self, predict, data, noise, times)
        return value * math.nan if running == [1, 2] else value

    running = [0, 0]
    monkeypatch.setattr(ml.models.diffusion.RectifiedFlow, "loss", poisoned)

    def note(t, stage, fraction):
        running[1] = t

    chains = [flow_chain(tmp_path / "poisoned", digits, seed, note) for seed in seeds]
    finished = []
    for seed, one in zip(seeds, chains, strict=True):
        running[:] = [seed, 0]
        finished.append(len(ml.panels.watch(one, 2)))
    assert finished == [2, 1, 2]
    assert "seed 1: stopped after generation 1: the loss is nan at step 2 of 12" in (
        capsys.readouterr().out
    )
    calm, after = content(tmp_path / "calm"), content(tmp_path / "poisoned")
    assert after[0].items() < calm[0].items()
    assert after[1].items() < calm[1].items()
    assert len(after[1]) == len(calm[1]) - 1


def test_a_model_without_bias_is_refused_one_before_any_training(digits):
    class Unbiased(Gaussian):
        biased = False

    with pytest.raises(ValueError, match=r"bias is 0.8; 'gaussian' has no sampling bias"):
        chain(model=Unbiased(), bias=0.8)


def test_half_done_work_on_other_bytes_is_thrown_away(tmp_path, digits):
    class Stop(Exception):  # noqa: N818 - a request, not an error
        pass

    def stop(t, stage, fraction):
        if (t, stage) == (2, "fit") and fraction > 0.5:
            raise Stop

    with pytest.raises(Stop):
        list(flow_chain(tmp_path, digits, progress=stop).run(2))
    store = Store(tmp_path)
    assert store.verify() == []
    assert [entry.why for entry in store.entries() if not entry.ok] == [ml.store.HALF_DONE]
    # As if the training samples had been drawn anew on another device.
    drawn = ml.models.diffusion.Diffusion._draw

    def other(*given):
        images, labels = drawn(*given)
        return Samples(images ^ np.uint8(1), labels)

    store.prune(samples=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ml.models.diffusion.Diffusion, "_draw", other)
        assert len(list(flow_chain(tmp_path, digits).run(2))) == 2


def test_picking_from_a_model_without_bias_has_none(digits):
    with pytest.raises(ValueError, match="'picked' has no sampling bias"):
        chain(data=digits, model=ml.models.create("picked", model="wgan"), bias=0.5)
