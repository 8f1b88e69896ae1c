"""Train on samples, test on real digits: what a sample set can still teach."""

import numpy as np
import pytest
import torch

from madlab import data
from madlab.data.samples import Samples
from madlab.metrics import trained_accuracy
from madlab.streams import generator

FEW = {"steps": 60}


@pytest.fixture(scope="module")
def digits():
    mnist = data.mnist()
    return mnist.take(generator(0, "classifier test").permutation(len(mnist))[:10_000])


@pytest.fixture(scope="module")
def held_out():
    return data.mnist().held_out


@pytest.fixture(scope="module")
def some(held_out):
    return first(held_out, 2_000)


def first(samples, n):
    return Samples(samples.images[:n], samples.labels[:n])


def test_real_digits_teach_to_read_real_digits(digits, held_out):
    assert 0.97 <= trained_accuracy(digits, held_out) <= 1


def test_shuffled_labels_teach_nothing(digits, some):
    def shuffled(seed):
        labels = generator(seed, "shuffle").permutation(digits.labels)
        return trained_accuracy(Samples(digits.images, labels), some, seed=seed, **FEW)

    found = np.array([shuffled(seed) for seed in range(4)])
    # Digits of one class are mistaken together, so the spread is far above a binomial one.
    assert found.mean() == pytest.approx(0.1, abs=4 * found.std(ddof=1) / np.sqrt(4))
    assert found.max() < 0.25


def test_labels_shifted_by_one_teach_every_digit_wrong(digits, some):
    wrong = Samples(digits.images, (digits.labels + 1) % 10)
    assert trained_accuracy(wrong, some, **FEW) < 0.05


def test_fewer_and_poorer_digits_teach_less(digits, some):
    plenty = trained_accuracy(digits, some, **FEW)
    few = trained_accuracy(first(digits, 50), some, **FEW)
    noisy = data.damage.noise(digits, 1.0)
    assert few < plenty - 0.05
    assert trained_accuracy(noisy, some, **FEW) < plenty - 0.05


def test_one_class_teaches_that_class(digits, some):
    threes = digits.labels == 3
    only = Samples(digits.images[threes], digits.labels[threes])
    assert trained_accuracy(only, some, **FEW) == pytest.approx(
        (some.labels == 3).mean(), abs=1e-12
    )


def test_one_digit_is_enough_to_train_on(digits, some):
    assert 0 <= trained_accuracy(first(digits, 1), first(some, 1), steps=1) <= 1


def test_the_seed_alone_decides_whatever_torch_was_left_in(digits, some):
    once = trained_accuracy(digits, some, seed=3, **FEW)
    threads = torch.get_num_threads()
    torch.manual_seed(99)
    state = torch.random.get_rng_state()
    torch.set_num_threads(2)
    try:
        again = trained_accuracy(digits, some, seed=3, **FEW)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(threads)
    assert again == once
    assert torch.equal(torch.random.get_rng_state(), state)
    assert trained_accuracy(digits, some, seed=4, **FEW) != once


@pytest.mark.parametrize("which", ["samples", "held_out"])
@pytest.mark.parametrize(
    ("labels", "error", "message"),
    [
        (None, ValueError, "has no labels"),
        (np.zeros(4, int), ValueError, r"shape \(4,\); 5 images need shape \(5,\)"),
        (np.zeros(5), TypeError, "whole numbers, not float64"),
        (np.arange(6, 11), ValueError, "run up to 10; 10 classes have 0 to 9"),
        (np.arange(-1, 4), ValueError, "run from -1; they must not be negative"),
    ],
)
def test_labels_that_do_not_fit_are_refused(digits, which, labels, error, message):
    sets = {"samples": first(digits, 5), "held_out": first(digits, 5)}
    sets[which] = Samples(digits.images[:5], labels)
    with pytest.raises(error, match=f"labels of {which}.*{message}|{which} {message}"):
        trained_accuracy(**sets)


def test_other_pictures_and_no_training_are_refused(digits, some):
    points = Samples(np.zeros((5, 2)), np.zeros(5, int))
    with pytest.raises(TypeError, match="must be uint8 with shape"):
        trained_accuracy(points, some)
    with pytest.raises(ValueError, match="there are 0 digits of samples; give at least 1"):
        trained_accuracy(first(digits, 0), some)
    with pytest.raises(ValueError, match="steps is 0; it must be at least 1"):
        trained_accuracy(digits, some, steps=0)
