"""What every network model must keep, whatever its network and its training."""

import math

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from toys import POINTS, TINY, data_of, halves, learner_and_batch, shades, spots, tiny

from madlab.models import check_model, create, load
from madlab.models.base import NotFittedError
from madlab.models.neural import CPU_BATCH

ALL = [*TINY, *POINTS]
LABELLED = [name for name in TINY if not name.startswith("face")]
COLOUR = [name for name in TINY if name.startswith("face")]


@pytest.fixture(scope="module")
def fitted():
    """The small models, each fitted when it is first asked for."""
    kept = {}

    def of(name):
        if name not in kept:
            kept[name] = tiny(name)
            kept[name].fit(*data_of(name), seed=3)
        return kept[name]

    return of


def same(one, two):
    """Require that two models hold the same arrays."""
    assert one.fitted.keys() == two.fitted.keys()
    for name, array in one.fitted.items():
        np.testing.assert_array_equal(array, two.fitted[name])


PROMISES = [
    ("gan", {}, halves(), 0.5),
    ("wgan", {}, halves(), None),
    # Classes that overlap, so that guidance has something to push away from.
    ("diffusion", {"channels": 8, "steps": 60, "batch": 32, "label_dropout": 0.3}, shades(), 0.25),
    (
        "diffusion",
        {"recipe": "ddpm", "channels": 8, "steps": 60, "batch": 32, "sampling_steps": 10}
        | {"label_dropout": 0.3},
        shades(),
        0.25,
    ),
    ("face_gan", {}, (spots(),), 0.5),
    ("face_gan", {"noise": True}, (spots(),), 0.5),
    ("face_flow", {}, (spots(),), 0.5),
]


@pytest.mark.parametrize(("name", "settings", "data", "bias"), PROMISES)
def test_they_keep_the_promises_of_a_model(name, settings, data, bias):
    check_model(tiny(name, **settings), *data, bias=bias)


@pytest.mark.parametrize("name", ALL)
def test_equal_seeds_give_equal_models_and_torch_s_own_randomness_is_left_alone(fitted, name):
    images, labels = data_of(name)
    torch.manual_seed(123)
    before = torch.get_rng_state()
    again, other = tiny(name), tiny(name)
    again.fit(images[30:], None if labels is None else labels[30:], seed=77)
    again.fit(images, labels, seed=3)
    assert torch.equal(torch.get_rng_state(), before)
    same(again, fitted(name))
    other.fit(images, labels, seed=4)
    drawn = [
        model.sample(50, seed=seed).images for model in (fitted(name), other) for seed in (1, 2)
    ]
    for one in drawn[1:]:
        assert (one != drawn[0]).any()


@pytest.mark.parametrize("share", [0.2, 0.25, 0.6])
@pytest.mark.parametrize("name", ALL)
def test_a_stopped_fit_leaves_no_model_and_goes_on_bit_for_bit(fitted, tmp_path, name, share):
    steps = TINY.get(name, {"steps": 15})["steps"]

    def stop(done):
        if done >= share:
            raise KeyboardInterrupt

    model = tiny(name)
    model._keep(fitted(name).fitted)
    with pytest.raises(KeyboardInterrupt):
        model.fit(*data_of(name), seed=3, progress=stop, checkpoint=tmp_path)
    with pytest.raises(NotFittedError):
        model.sample(1, seed=0)
    seen = []
    model.fit(*data_of(name), seed=3, progress=seen.append, checkpoint=tmp_path)
    assert len(seen) == steps - math.ceil(share * steps)
    same(model, fitted(name))


@pytest.mark.parametrize("name", ALL)
def test_saved_models_sample_exactly_as_before(fitted, tmp_path, name):
    fitted(name).save(tmp_path)
    again = load(tmp_path)
    assert type(again) is type(fitted(name))
    assert again.settings == fitted(name).settings
    assert {path.name for path in tmp_path.iterdir()} == {"model.safetensors", "model.json"}
    bias = 0.3 if again.biased else 1.0
    one, two = (model.sample(12, bias=bias, seed=5) for model in (fitted(name), again))
    np.testing.assert_array_equal(one.images, two.images)
    np.testing.assert_array_equal(one.labels, two.labels)


@pytest.mark.parametrize("name", ALL)
def test_a_sample_does_not_depend_on_how_many_are_drawn(fitted, name):
    model = fitted(name)
    bias = 0.5 if model.biased else 1.0
    n = 2 * CPU_BATCH + 30
    every = model.sample(n, bias=bias, seed=4)
    for some in (0, 1, CPU_BATCH - 1, CPU_BATCH, CPU_BATCH + 1):
        found = model.sample(some, bias=bias, seed=4)
        np.testing.assert_array_equal(found.images, every.images[:some])
        if model.conditional:
            np.testing.assert_array_equal(found.labels, every.labels[:some])


@pytest.mark.parametrize("name", LABELLED)
def test_a_picture_does_not_depend_on_other_labels(fitted, name):
    one, two = np.zeros(20, np.int64), np.arange(20) // 10
    first, second = (fitted(name).sample(20, seed=4, labels=labels).images for labels in (one, two))
    np.testing.assert_array_equal(first[:10], second[:10])
    assert (first[10:] != second[10:]).any()


@pytest.mark.parametrize("name", TINY)
def test_random_numbers_of_a_step_are_a_function_of_seed_and_step(name):
    drawn = [
        learner_and_batch(name, step, seed)[0].draw(step, 16)
        for seed, step in [(1, 0), (1, 1), (2, 0), (1, 0)]
    ]
    for key in drawn[0].keys() - {"rate"}:
        first, *others, again = [batch[key] for batch in drawn]
        assert len(first) in (16, 16 // 3)
        assert torch.equal(first, again)
        if first.dtype.is_floating_point:
            assert not any(torch.equal(first, other) for other in others)


@pytest.mark.parametrize("name", TINY)
def test_a_step_leaves_no_gradients(name):
    learner, batch = learner_and_batch(name, step=1)
    losses = learner.update(batch, learner.kind(1))
    assert not losses.requires_grad
    assert all(weight.grad is None for weight in learner.networks.parameters())


class Spy(TorchDispatchMode):
    """Notes the name of every operation, those of the backward passes included."""

    def __init__(self):
        super().__init__()
        self.seen = set()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.seen.add(func.overloadpacket.__name__)
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("step", [0, 1])
@pytest.mark.parametrize("name", TINY)
def test_a_step_can_be_captured_as_a_graph(name, step):
    # None of these may be in a CUDA graph: they wait for the device, have shapes that depend on
    # values, or draw random numbers.
    forbidden = {"_local_scalar_dense", "equal", "nonzero", "masked_select", "unique_dim"}
    forbidden |= {"randn", "rand", "randint", "randperm", "normal_", "uniform_", "bernoulli_"}
    learner, batch = learner_and_batch(name, step)
    with Spy() as spy:
        learner.update(batch, learner.kind(step))
    assert {"convolution", "convolution_backward", "_fused_adamw_"} <= spy.seen
    assert not spy.seen & forbidden


@pytest.mark.parametrize("name", TINY)
def test_half_precision_trains_as_float32_does(monkeypatch, name):
    # What a GPU does by itself; a CPU has to be told.
    learner, batch = learner_and_batch(name)
    wanted = learner.update(batch, learner.kind(0))
    monkeypatch.setenv("MADLAB_PRECISION", "bfloat16")
    learner, batch = learner_and_batch(name)
    found = learner.update(batch, learner.kind(0))
    assert found.dtype == torch.float32
    # bfloat16 has three decimal digits, and a step of wgan is three updates.
    tolerance = 0.05 if name == "wgan" else 0.02
    torch.testing.assert_close(found, wanted, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("name", TINY)
def test_a_fit_that_diverges_is_stopped(monkeypatch, name):
    model = tiny(name)
    made = model._learner

    def spoiled(*given):
        learner = made(*given)
        update = learner.update
        learner.update = lambda batch, kind: update(batch, kind) * math.nan
        return learner

    monkeypatch.setattr(model, "_learner", spoiled)
    with pytest.raises(FloatingPointError, match="lower the learning rate, which is"):
        model.fit(*data_of(name), seed=0)
    with pytest.raises(NotFittedError):
        model.sample(1, seed=0)


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("gan", {"steps": 300}),
        ("wgan", {"steps": 120}),
        ("diffusion", {"steps": 150}),
        ("diffusion", {"steps": 150, "recipe": "ddpm", "sampling_steps": 50}),
    ],
)
def test_they_learn_the_classes(name, settings):
    model = tiny(name, **settings)
    model.fit(*halves(200), seed=0)
    images, labels = model.sample(100, seed=1)
    upper, lower = images[:, :4].mean((1, 2)), images[:, 4:].mean((1, 2))
    assert ((lower > upper) == (labels == 1)).mean() > 0.9
    assert labels.mean() == pytest.approx(0.5, abs=0.15)


@pytest.mark.parametrize("name", TINY)
@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"channels": 6}, ValueError, "channels is 6; it must be a multiple of 4"),
        ({"channels": 0}, ValueError, "channels is 0"),
        ({"steps": 0}, ValueError, "steps is 0"),
        ({"steps": 1.5}, TypeError, "steps must be a whole number"),
        ({"batch": -1}, ValueError, "batch is -1"),
        ({"learning_rate": 0}, ValueError, "learning_rate is 0; it must be above 0"),
        ({"learning_rate": math.nan}, ValueError, "learning_rate is nan"),
        ({"learning_rate": "fast"}, TypeError, "learning_rate must be a number, not 'fast'"),
        ({"step": 3}, TypeError, "did you mean 'steps'"),
    ],
)
def test_settings_that_cannot_work_are_refused(name, settings, error, message):
    with pytest.raises(error, match=message):
        create(name, **settings)


@pytest.mark.parametrize(
    ("name", "settings", "error", "message"),
    [
        ("wgan", {"critic_updates": 0}, ValueError, "critic_updates is 0"),
        ("wgan", {"batch": 64}, ValueError, "batch is 64; .* multiple of critic_updates, .* 5"),
        ("wgan", {"bias": 0.5}, TypeError, "has no setting 'bias'"),
        ("diffusion", {"recipe": "edm"}, ValueError, "'edm'; it must be one of 'flow', 'ddpm'"),
        (
            "diffusion",
            {"recipe": "ddpm", "sampling_steps": 501},
            ValueError,
            "sampling_steps is 501; .* at most 500",
        ),
        ("diffusion", {"sampling_steps": 0}, ValueError, "sampling_steps is 0"),
        ("diffusion", {"label_dropout": 0.0}, ValueError, "label_dropout is 0.0"),
        ("diffusion", {"label_dropout": 1.0}, ValueError, "label_dropout is 1.0"),
        ("face_gan", {"augmentation": 1.5}, ValueError, "augmentation is 1.5"),
        ("face_gan", {"penalty": -1}, ValueError, "penalty is -1"),
        (
            "face_gan",
            {"upsampling": "cubic"},
            ValueError,
            "'cubic'; .* one of 'shuffle', 'nearest'",
        ),
        ("face_gan", {"noise": 1}, TypeError, "noise must be True or False, not 1"),
        ("face_gan", {"linear": "no"}, TypeError, "linear must be True or False, not 'no'"),
        ("face_flow", {"sampling_steps": 0}, ValueError, "sampling_steps is 0"),
        ("face_flow", {"early": 0.0}, ValueError, "early is 0.0; it must lie between 0 and 1"),
        ("face_flow", {"early": 1}, ValueError, "early is 1"),
    ],
)
def test_settings_of_their_own_are_checked(name, settings, error, message):
    with pytest.raises(error, match=message):
        create(name, **settings)


@pytest.mark.parametrize("name", TINY)
def test_pictures_that_cannot_work_are_refused_and_change_nothing(fitted, name):
    images, labels = data_of(name)
    model = fitted(name)
    before = model.sample(3, seed=0).images
    with pytest.raises(ValueError, match="both sides must be multiples of 4"):
        model.fit(images[:, 1:], labels, seed=0)
    with pytest.raises(TypeError, match="uint8"):
        model.fit(images / 255, labels, seed=0)
    with pytest.raises(TypeError, match="in colour" if model.colour else r"\(n, height, width\)"):
        model.fit(images[..., 0] if model.colour else images[..., None], labels, seed=0)
    with pytest.raises(ValueError, match="give at least 1"):
        model.fit(images[:0], None if labels is None else labels[:0], seed=0)
    with pytest.raises(ValueError, match="n is -1"):
        model.sample(-1, seed=0)
    for bias in (0, -1, 1.1, math.nan):
        with pytest.raises(ValueError, match="bias is"):
            model.sample(1, bias=bias, seed=0)
    np.testing.assert_array_equal(model.sample(3, seed=0).images, before)


@pytest.mark.parametrize("name", LABELLED)
def test_labels_that_cannot_work_are_refused(fitted, name):
    images, labels = halves()
    model = tiny(name, steps=1)
    with pytest.raises(ValueError, match="give labels"):
        model.fit(images, seed=0)
    with pytest.raises(ValueError, match="need shape"):
        model.fit(images, labels[1:], seed=0)
    with pytest.raises(ValueError, match="2 classes"):
        fitted(name).sample(1, seed=0, labels=np.array([2]))
    model.fit(images, labels * 2, seed=0)
    with pytest.raises(ValueError, match=r"labels \[1\] are on no training image"):
        model.sample(3, seed=0, labels=np.array([0, 1, 2]))


@pytest.mark.parametrize("name", COLOUR)
def test_pictures_in_colour_have_no_labels(fitted, name):
    found = fitted(name).sample(5, seed=0)
    assert found.images.shape == (5, 16, 16, 3)
    assert found.labels is None
