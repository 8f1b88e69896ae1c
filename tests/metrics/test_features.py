"""The frozen networks: what ships, what it reads, and what its features see."""

import hashlib
import json
import shutil

import numpy as np
import pytest
import scipy.special
import torch

import madlab
from madlab.metrics import features, neighbours
from madlab.metrics.features import (
    HERE,
    LeNetFeatures,
    PointFeatures,
    confidence,
    feature_map,
    read,
)
from madlab.metrics.neighbours import squared_radii
from madlab.streams import generator

N = 2000


@pytest.fixture(scope="module")
def data():
    return madlab.data.mnist()


@pytest.fixture(scope="module")
def held_out(data):
    """Features of held-out digits, and their radii."""
    found = LeNetFeatures().embed(data.held_out.images[:N])
    return found, squared_radii(found)


def score(held_out, images):
    real, radii = held_out
    return neighbours(real, LeNetFeatures().embed(images), radii=radii)


def test_what_ships_is_small_hashed_and_accurate():
    entries = json.loads((HERE / "features.json").read_text())
    assert set(entries) == {"lenet", "reader"}
    for entry in entries.values():
        content = (HERE / entry["file"]).read_bytes()
        assert len(content) < 1_000_000
        assert hashlib.sha256(content).hexdigest() == entry["sha256"]
        assert entry["test_accuracy"] >= 0.992
    assert LeNetFeatures().name == f"lenet-{entries['lenet']['sha256'][:8]}"
    assert entries["lenet"]["seed"] != entries["reader"]["seed"]


def test_both_networks_are_as_accurate_as_they_say(data):
    held = data.held_out
    assert (read(held.images) == held.labels).mean() == pytest.approx(
        features.ABOUT["reader"]["test_accuracy"], abs=2e-4
    )
    network = features.load_network("lenet")
    with torch.inference_mode():
        said = [network(features.as_input(p)).argmax(1) for p in np.array_split(held.images, 40)]
    accuracy = (torch.cat(said).numpy() == held.labels).mean()
    assert accuracy == pytest.approx(features.ABOUT["lenet"]["test_accuracy"], abs=2e-4)


@pytest.mark.parametrize(
    "content", [b"", b"not the weights", (HERE / "reader.safetensors").read_bytes()]
)
def test_other_weights_are_refused(tmp_path, content):
    (tmp_path / "lenet.safetensors").write_bytes(content)
    with pytest.raises(OSError, match=r"lenet\.safetensors is not the file .* Install madlab"):
        features.load_network("lenet", tmp_path)


def test_missing_weights_are_an_os_error(tmp_path):
    with pytest.raises(OSError, match=r"reader\.safetensors"):
        features.load_network("reader", tmp_path)


def test_a_copy_of_the_weights_is_accepted(tmp_path):
    shutil.copy(HERE / "reader.safetensors", tmp_path)
    assert features.load_network("reader", tmp_path).training is False


def test_features_are_the_two_blocks_of_the_recipe(data):
    network = features.load_network("lenet")
    x = features.as_input(data.images[:20])
    maps = torch.relu(network.conv1(x))
    inner = torch.relu(network.conv2(torch.max_pool2d(maps, 2)))
    hidden = network.full2(torch.relu(network.full1(torch.max_pool2d(inner, 2).flatten(1))))
    pooled = torch.nn.functional.adaptive_avg_pool2d(maps, 2).flatten(1)
    expected = torch.cat([pooled / network.scales[0], hidden / network.scales[1]], 1)
    found = LeNetFeatures().embed(data.images[:20])
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected.numpy(), rtol=1e-4, atol=1e-5)


def test_both_blocks_weigh_the_same_on_training_digits(data):
    found = LeNetFeatures().embed(data.images[:3000])
    assert found[:, :64].var(0, ddof=1).sum() == pytest.approx(1, rel=1e-3)
    assert found[:, 64:].var(0, ddof=1).sum() == pytest.approx(1, rel=1e-3)


def test_equal_images_get_equal_features_wherever_they_stand(data):
    images = data.images[:700].copy()
    images[[3, 333, 699]] = images[0]
    found = LeNetFeatures().embed(images)
    assert (found[[3, 333, 699]] == found[0]).all()
    np.testing.assert_allclose(found[:50], LeNetFeatures().embed(images[:50]), atol=1e-5)


def test_no_images_give_no_features():
    none = np.zeros((0, 28, 28), np.uint8)
    assert LeNetFeatures().embed(none).shape == (0, 148)
    assert read(none).shape == (0,)


def test_confidence_is_the_softmax_of_the_reader(data):
    images, labels = data.images[:300], data.labels[:300]
    network = features.load_network("reader")
    with torch.inference_mode():
        scores = network(features.as_input(images)).numpy().astype(np.float64)
    wanted = scipy.special.softmax(scores, axis=1)
    found = np.stack([confidence(images, np.full(300, digit)) for digit in range(10)], 1)
    # Sums of another order: float32 scores of up to about 20 differ by some 1e-5.
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-9)
    np.testing.assert_allclose(found.sum(1), 1, rtol=1e-12)
    assert (found.argmax(1) == read(images)).all()
    assert found.dtype == np.float64
    assert (confidence(images, labels) == found[np.arange(300), labels]).all()


def test_confidence_does_not_depend_on_how_many_images_there_are(data):
    whole = confidence(data.images[:600], data.labels[:600])
    for n in (0, 1, 249, 250, 251, 599):
        np.testing.assert_array_equal(confidence(data.images[:n], data.labels[:n]), whole[:n])


@pytest.mark.parametrize(
    ("labels", "error", "message"),
    [
        (np.zeros(2, np.int64), ValueError, r"labels have shape \(2,\); 3 images"),
        (np.zeros(3), TypeError, "labels must be whole numbers, not float64"),
        (np.array([0, 1, 10]), ValueError, "labels run up to 10; 10 classes have 0 to 9"),
        (np.array([-1, 1, 2]), ValueError, "labels run from -1; they must not be neg"),
    ],
)
def test_confidence_refuses_labels_that_do_not_fit(data, labels, error, message):
    with pytest.raises(error, match=message):
        confidence(data.images[:3], labels)
    with pytest.raises(TypeError, match=r"must be uint8 with shape \(n, 28, 28\), not "):
        confidence(data.images[:3] / 255, np.zeros(3, np.int64))


@pytest.mark.parametrize(
    "images",
    [
        np.zeros((2, 28, 28), np.float32),
        np.zeros((2, 32, 32), np.uint8),
        np.zeros((2, 784), np.uint8),
    ],
)
def test_other_images_are_refused(images):
    with pytest.raises(TypeError, match=r"must be uint8 with shape \(n, 28, 28\), not "):
        LeNetFeatures().embed(images)
    with pytest.raises(TypeError, match=r"must be uint8 with shape \(n, 28, 28\), not "):
        read(images)


def test_points_pass_through_and_images_do_not():
    points = np.arange(6, dtype=np.float32).reshape(3, 2)
    assert (PointFeatures().embed(points) == points).all()
    assert PointFeatures().embed(points).dtype == np.float64
    with pytest.raises(ValueError, match=r"points must have shape \(n, d\), not \(2, 28, 28\)"):
        PointFeatures().embed(np.zeros((2, 28, 28), np.uint8))


def test_unknown_features_are_refused_with_the_names():
    with pytest.raises(KeyError, match=r"'inception'; there are: lenet, points"):
        feature_map("inception")


def test_real_digits_have_quality_and_diversity(data, held_out):
    found = score(held_out, data.images[:N])
    assert found.precision >= 0.9
    assert found.recall >= 0.9


@pytest.mark.parametrize("junk", ["uniform", "shuffled", "black", "mean", "inverted"])
def test_junk_has_no_precision(data, held_out, junk):
    digits, rng = data.images[:500], generator(0, junk)
    images = {
        "uniform": lambda: rng.integers(0, 256, digits.shape, np.uint8),
        "shuffled": lambda: rng.permuted(digits.reshape(500, -1), axis=1).reshape(digits.shape),
        "black": lambda: np.zeros_like(digits),
        "mean": lambda: digits.mean(0, keepdims=True).astype(np.uint8).repeat(500, 0),
        "inverted": lambda: 255 - digits,
    }[junk]()
    found = score(held_out, images)
    assert found.precision <= 0.05
    assert found.coverage <= 0.05


def test_growing_noise_lowers_density_step_by_step(data, held_out):
    digits, rng = data.images[:500].astype(float), generator(0, "noise")
    noise = 255 * rng.normal(size=digits.shape)
    steps = [
        score(held_out, np.clip(digits + sigma * noise, 0, 255).astype(np.uint8)).density
        for sigma in (0, 0.1, 0.2, 0.4)
    ]
    assert steps == sorted(steps, reverse=True)
    assert steps[-1] < 0.05 < 0.5 < steps[0]
