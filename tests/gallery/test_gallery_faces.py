"""The gallery with faces: what is shown of them, what is never shown, and digits beside them."""

import io
import json
import os

import build_gallery
import build_paper_page as script
import numpy as np
import pytest
from PIL import Image

from madlab import Chain, Loop, data, findings, gallery, models
from madlab.cli import main
from madlab.data.samples import Dataset, Samples
from madlab.gallery.building import NotKeptError, far_from_real
from madlab.gallery.chains import subject as subject_of
from madlab.gallery.files import pack_sheet, unpack_sheet
from madlab.metrics.distances import far_enough
from madlab.metrics.scores import SCORES
from madlab.panels import Browser, chain_views
from madlab.tables import COLUMNS

PICTURE_COLUMNS = [
    "kid", "kid_error", "fd_ratio", "precision_error", "recall_error", "distance", "memorisation",
]  # fmt: skip
SIZE, N = 16, 60
LOOP = Loop.fully_synthetic(N)


def noise(n, seed, size=SIZE):
    return np.random.default_rng(seed).integers(0, 256, (n, size, size, 3), dtype=np.uint8)


def blobs(n, seed, size=SIZE):
    """Coloured blots, no two near each other."""
    coarse = np.random.default_rng(seed).integers(30, 226, (n, 4, 4, 3), dtype=np.uint8)
    return coarse.repeat(size // 4, axis=1).repeat(size // 4, axis=2)


class Copier:
    """A model whose every `every`-th sample is a picture it was trained on, mirrored and blotted.

    The others are noise around the mean colour, far from any blots.
    """

    name = "copier"
    version = 1
    conditional = False
    biased = True
    follows_noise = True

    def __init__(self, every: int = 10) -> None:
        self.every = every
        self.seen: np.ndarray | None = None

    @property
    def settings(self):
        return {"every": self.every}

    def fit(self, images, labels=None, *, seed, progress=None, checkpoint=None):
        self.seen = images

    def sample(self, n, *, bias=1.0, seed, labels=None):
        white = np.random.default_rng(seed).normal(size=(n, *self.seen.shape[1:]))
        spread = 50 + 10 * bias
        drawn = np.clip(self.seen.mean() + spread * white, 0, 255).astype(np.uint8)
        copied = np.arange(n) % self.every == 0
        drawn[copied] = self.seen[np.arange(n)[copied] % len(self.seen), :, ::-1] ^ 3
        return Samples(drawn)

    def save(self, folder):
        np.save(folder / "seen.npy", self.seen)
        (folder / "model.json").write_text(json.dumps(self.settings))

    @classmethod
    def from_folder(cls, folder):
        model = cls(**json.loads((folder / "model.json").read_text()))
        model.seen = np.load(folder / "seen.npy")
        return model


def run(store, pictures, bias=1.0, generations=3, every=10, seed=0):
    chain = Chain(
        LOOP, Copier(every), pictures,
        bias=bias, seed=seed, store=store, n_evaluate=50, features="pca",
    )  # fmt: skip
    list(chain.run(generations))
    return chain


@pytest.fixture(scope="module", autouse=True)
def _known():
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(models._WHERE, "copier", (__name__, "Copier"))
        yield


@pytest.fixture(scope="module")
def faces():
    return Dataset("ffhq-16-00000000", blobs(N, 0), None, Samples(blobs(60, 1)))


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return tmp_path_factory.mktemp("faces") / "store"


@pytest.fixture(scope="module")
def chains(store, faces):
    digits = Chain(Loop.fully_synthetic(300), "mixture", data.mnist(), store=store, n_evaluate=200)
    list(digits.run(2))
    return [run(store, faces), run(store, faces, bias=0.5, generations=6), digits]


@pytest.fixture(scope="module")
def built(store, chains, faces, tmp_path_factory):
    return gallery.build([store], tmp_path_factory.mktemp("built"), data=[faces])


@pytest.fixture(scope="module")
def shown(built):
    return gallery.open(built.gallery.folder)


def name_of(shown, chain):
    (found,) = shown.chains(model=chain.model.name, bias=chain.bias)["chain"]
    return found


def apart(images, others):
    """The largest difference in a pixel to the other picture that is nearest by it."""
    gaps = np.abs(images[:, None].astype(int) - others[None])
    return gaps.max(axis=(2, 3, 4)).min(axis=1)


# What is shown, and what is not.


def test_sheets_of_faces_are_previews_in_colour_of_the_same_noise_in_every_generation(
    shown, chains
):
    for chain, generations in zip(chains, ((1, 2, 3), (1, 2, 3, 5, 6)), strict=False):
        name = name_of(shown, chain)
        assert shown.chains(chain=name)["sheet"].iloc[0] == generations
        first, labels = shown.sheet(name, 1)
        assert (first.shape, first.dtype, labels) == ((48, SIZE, SIZE, 3), np.uint8, None)
        # The nearest preview tells the place: another one is farther off than rounding is.
        gaps = np.abs(first[:, None].astype(int) - chain.preview(1).images[None]).max((2, 3, 4))
        places = gaps.argmin(axis=1)
        assert (np.diff(places) > 0).all()
        for t in generations:
            images = shown.sheet(name, t).images
            # Levels are 9 apart.
            assert np.abs(images - chain.preview(t).images[places].astype(int)).max() <= 4


def test_no_near_copy_of_a_real_face_is_shown_and_their_number_is_said(shown, chains, faces):
    real = np.concatenate([faces.images, faces.images[:, :, ::-1]])
    for chain in chains[:2]:
        name = name_of(shown, chain)
        row = shown.chains(chain=name).iloc[0]
        assert len(row["too_near"]) == len(row["sheet"])
        # Ten previews are copies by making, off by 3 at most.
        copies = apart(chain.preview(1).images, real) <= 3
        assert copies.sum() == 10
        assert row["too_near"][0] == 10
        for t in row["sheet"]:
            assert apart(shown.sheet(name, t).images, real).min() > 40
    digits = shown.chains(subject="digits")
    assert list(digits["too_near"]) == [()]
    assert "too_near" not in shown.about["sheets"][digits["chain"].iloc[0]]


def test_a_place_is_shown_where_its_faces_of_all_generations_are_far_enough(faces):
    fresh = [noise(100, seed) for seed in (2, 3, 4)]
    for images, places in zip(fresh, (slice(0, 5), slice(3, 9), [50]), strict=True):
        images[places] = faces.images[:100][places]
    places, too_near = far_from_real(np.stack(fresh), [1, 2, 7], faces)
    assert too_near == [5, 6, 1]
    assert list(places) == [*range(9, 50), *range(51, 58)]


@pytest.mark.parametrize(("size", "places"), [(16, 48), (32, 48), (48, 32), (64, 24), (128, 12)])
def test_of_larger_faces_fewer_are_shown(size, places):
    pictures = Dataset("ffhq-0", blobs(20, 0, size), None, Samples(blobs(4, 1, size)))
    coarse = [noise(100, t).repeat(size // 16, 1).repeat(size // 16, 2) for t in (1, 2)]
    found, _ = far_from_real(np.stack(coarse), [1, 2], pictures)
    assert len(found) == places


def test_of_faces_that_are_all_too_near_nothing_is_shown(faces, tmp_path):
    run(tmp_path / "store", faces, every=1)
    found = gallery.build([tmp_path / "store"], tmp_path / "out", data=[faces])
    assert len(found.gallery.records()) == 3
    assert found.gallery.about["sheets"] == {}
    ((name, why),) = found.left_out.items()
    assert name.startswith("faces of fully synthetic, copier ")
    assert "too few of its 100 previews are far enough from the real pictures" in why
    assert "shown: 0 in 1, 0 in 2, " in why


def test_pictures_that_are_not_square_are_not_shown(faces):
    with pytest.raises(NotKeptError, match="are 8 x 16, a sheet's are square"):
        far_from_real(blobs(20, 2)[None, :, :8], [1], faces)


# Data that are not at hand.


def test_without_their_data_chains_keep_their_records_alone(store, chains, shown, tmp_path):
    found = gallery.build([store], tmp_path / "out")
    assert len(found.gallery.records()) == len(shown.records()) == 11
    assert list(found.gallery.about["sheets"]) == list(shown.chains(subject="digits")["chain"])
    assert sorted(found.left_out) == sorted(
        f"faces of {name}" for name in shown.chains(subject="faces")["chain"]
    )
    assert set(found.left_out.values()) == {
        "its data, ffhq-16-00000000, are not at hand: give `data`, or --faces or --folder"
    }


def test_without_their_data_sheets_that_a_gallery_has_stay(store, shown, tmp_path):
    bare = gallery.build([store], tmp_path / "bare").gallery
    merged = build_gallery.merge([bare, shown], tmp_path / "out")
    for kind in ("records", "sheets", "embeddings", "data"):
        assert merged.about[kind] == shown.about[kind]


# Digits and faces side by side.


def test_records_of_digits_and_faces_have_all_columns_and_nan_where_there_is_no_score(
    shown, chains
):
    found = shown.records()
    assert list(found) == [*COLUMNS, *PICTURE_COLUMNS, "family", "chain", "subject"]
    own = [*PICTURE_COLUMNS]
    digits, pictures = (shown.records(subject=one) for one in ("digits", "faces"))
    assert (len(digits), len(pictures)) == (2, 9)
    assert digits[own].isna().all(axis=None)
    assert digits["read"].notna().all()
    assert pictures["read"].isna().all()
    assert pictures[["kid", "distance", "recall"]].notna().all(axis=None)
    for chain in chains:
        same = shown.records(chain=name_of(shown, chain))
        kept = [name for name in SCORES if name in chain.records()]
        expected = chain.records()[kept].to_numpy(float)
        np.testing.assert_array_equal(same[kept].to_numpy(float), expected)


def test_a_gallery_of_faces_alone_has_numbers_in_every_column(store, chains, faces, tmp_path):
    found = gallery.build(
        [store], tmp_path / "out", data=[faces], keep=lambda chain: chain.subject == "faces"
    ).gallery
    assert found.records()["read"].dtype == float
    assert np.isnan(found.records()["read"].mean())
    with pytest.raises(KeyError, match="no subject 'digits'"):
        chain_views(found, subject="digits")


def test_chains_say_what_they_show_and_of_which_data(shown, faces):
    found = shown.chains().set_index("model")
    assert found.loc["mixture", "subject"] == "digits"
    assert set(found.loc["copier", "subject"]) == {"faces"}
    assert set(found.loc["copier", "data"]) == {faces.id}
    assert shown.about["data"] == f"{faces.id}, {data.mnist().id}"


@pytest.mark.parametrize(
    ("id", "features", "subject"),
    [
        ("mnist-01234567", "lenet-0f", "digits"),
        ("ffhq-64-01234567", "pca-0f", "faces"),
        ("drawn-faces-32-01234567", "pca-0f", "faces"),
        ("folder-32-01234567", "dinov2-0f appearance-1e", "pictures"),
        ("gaussian-01234567", "points", "nothing"),
    ],
)
def test_the_subject_is_told_by_data_and_features(id, features, subject):
    assert subject_of({"config": {"data": id}, "features": features}) == subject


def test_the_browser_begins_with_digits_and_scores_each_kind_by_its_own(shown):
    browser = Browser(shown)
    assert [value for _, value in browser.lists["subject"].options] == ["digits", "faces"]
    assert [value for _, value in browser.lists["family"].options] == ["mixture"]
    assert [value for _, value in browser.lists["bias"].options] == [1.0]
    assert "kid" not in browser.alt().lower()
    browser.lists["subject"].value = "faces"
    assert [value for _, value in browser.lists["family"].options] == ["copier"]
    assert "read share" not in browser.alt()


def test_the_papers_figures_on_digits_leave_faces_aside(shown):
    rows = [row for chain in shown.finished for row in chain.rows]
    # As if a model of faces had the name of one of digits, and as many pictures.
    alike = {"loop": {**rows[0]["config"]["loop"], "n_initial": 300, "n_synthetic": 300}}
    rows = [
        {**row, "model": "mixture", "config": {**row["config"], **alike}} if "kid" in row else row
        for row in rows
    ]
    every, digits = findings.frame(rows), findings.frame([row for row in rows if "kid" not in row])
    assert set(every["subject"]) == {"digits", "faces"}
    for figure in findings.FIGURES:
        if figure.subject == "digits":
            assert figure.conclude(every) == figure.conclude(digits)
    assert list(findings.of_one_size(every)["id"]) == list(findings.of_one_size(digits)["id"])
    # Without what tells them apart they would count.
    mixed = every.assign(subject="digits")
    assert len(findings.of_one_size(mixed)) > len(findings.of_one_size(digits))


def test_the_page_of_the_paper_is_the_same_with_faces_in_the_gallery(store, shown, tmp_path):
    digits = gallery.build(
        [store], tmp_path / "digits", keep=lambda chain: chain.subject == "digits"
    ).gallery
    assert script.page(shown)[0] == script.page(digits)[0]


# Files.


def test_colour_is_packed_without_loss_once_it_is_rounded():
    rng = np.random.default_rng(0)
    rows = rng.integers(0, 256, (3, 7, 12, 12, 3), dtype=np.uint8)
    content, ending = pack_sheet(rows)
    assert ending == "webp"
    found = unpack_sheet(content, 3)
    assert found.shape == (3, 7, 12, 12, 3)
    assert np.abs(found - rows.astype(int)).max() == 4
    assert set(np.unique(found)) == set(range(0, 256, 9))
    assert pack_sheet(found) == (content, ending)
    with Image.open(io.BytesIO(content)) as picture:
        assert (picture.format, picture.size) == ("WEBP", (7 * 12, 3 * 12))


def test_a_sheet_of_faces_is_replaced_with_its_gallery(store, chains, faces, tmp_path):
    out = tmp_path / "out"
    gallery.build([store], out, data=[faces])
    assert len(list(out.glob("sheet-*.webp"))) == 2
    gallery.build([store], out, keep=lambda chain: chain.subject == "digits")
    assert list(out.glob("sheet-*.webp")) == []


# The commands.


@pytest.mark.parametrize(
    ("loader", "option", "subject"),
    [(data.ffhq, "--faces", "faces"), (data.folder, "--folder", "pictures")],
)
def test_the_commands_build_and_list_faces_and_pictures(tmp_path, capsys, loader, option, subject):
    own = tmp_path / "Käthes Bilder"
    own.mkdir()
    for i, picture in enumerate(blobs(90, 5, 32)):
        Image.fromarray(picture).save(own / f"{i:05}.png")
    pictures = loader(own, SIZE)
    store, out = str(tmp_path / "store"), str(tmp_path / "out")
    chain = Chain(
        Loop.fully_synthetic(40), Copier(), pictures, store=store, n_evaluate=24, features="pca"
    )
    list(chain.run(2))
    assert main(["gallery", "build", store, "-o", out]) == 0
    said = capsys.readouterr().out
    assert f"left out: {subject} of fully synthetic, copier " in said
    assert f"its data, {pictures.id}, are not at hand" in said
    assert main(["gallery", "build", store, "-o", out, option, str(own), "--size", "16"]) == 0
    assert "left out" not in capsys.readouterr().out
    assert main(["gallery", "list", out]) == 0
    said = capsys.readouterr().out
    assert f"  2 generations on 40 real, then 40 synthetic of {pictures.id}; 24 scored; " in said
    assert f"  {subject} of generations 1, 2\n" in said
    near = gallery.open(out).chains()["too_near"].iloc[0]
    assert near[0] >= 10
    told = ", ".join(map(str, near))
    assert f"  too near a real picture to be shown, in each of them: {told}\n" in said
    assert said.splitlines()[-1].endswith(f" from {pictures.id}")


def test_the_command_says_what_is_wrong_with_data(store, chains, tmp_path, capsys):
    words = ["gallery", "build", str(store), "-o", str(tmp_path / "out")]
    for more, message in [
        (["--faces", str(tmp_path / "none")], "none"),
        (["--folder", str(tmp_path), "--size", "17"], "17"),
    ]:
        assert main([*words, *more]) == 1
        said = capsys.readouterr().err
        assert message in said
        assert said.count("\n") == 1
    assert not (tmp_path / "out").exists()


# The gallery that comes with the package.


def test_the_packages_faces_are_in_colour_and_of_one_number_in_every_generation():
    own = gallery.open()
    for chain, row in own.chains().set_index("chain").iterrows():
        if row["subject"] != "digits":
            images = [own.sheet(chain, t).images for t in row["sheet"]]
            assert len({one.shape for one in images}) <= 1
            assert all(one.ndim == 4 and one.shape[3] == 3 for one in images)
            assert len(row["too_near"]) == len(row["sheet"])


@pytest.mark.skipif(not os.environ.get("MADLAB_FFHQ"), reason="needs FFHQ, named by MADLAB_FFHQ")
def test_no_face_of_the_package_is_near_a_real_one():
    own = gallery.open()
    chains = own.chains()
    for id in sorted(set(chains["data"][chains["subject"] == "faces"])):
        real = data.ffhq(size=int(id.split("-")[1])) if id.startswith("ffhq-") else None
        if real is not None and real.id == id:
            ours = chains[(chains["data"] == id) & chains["sheet"].map(bool)]
            assert len(ours) > 1
            for chain, kept in zip(ours["chain"], ours["sheet"], strict=True):
                images = np.concatenate([own.sheet(chain, t).images for t in kept])
                # Half the share: rounding to 29 levels can move a picture across a limit.
                assert far_enough(images, real.images, share=0.025).all()


def likeness(pictures, real, shift=4):
    """The largest correlation of each picture's grey middle with a real one's, moved or mirrored.

    It does not see brightness and contrast, so that these hide no copy either.
    """

    def unit(x):
        flat = x.reshape(len(x), -1)
        flat = flat - flat.mean(1, keepdims=True)
        return flat / np.maximum(np.linalg.norm(flat, axis=1, keepdims=True), 1e-6)

    grey = np.array([0.3, 0.6, 0.1], np.float32)
    x, y = (images.astype(np.float32) @ grey for images in (pictures, real))
    size = x.shape[1] - 2 * shift
    middle = unit(x[:, shift : shift + size, shift : shift + size])
    found = np.full(len(x), -1.0, np.float32)
    for side in (y, y[:, :, ::-1]):
        for i, j in np.ndindex(2 * shift + 1, 2 * shift + 1):
            moved = unit(side[:, i : i + size, j : j + size])
            np.maximum(found, (middle @ moved.T).max(1), out=found)
    return found


def test_a_copy_that_was_moved_mirrored_or_darkened_is_known_by_its_likeness():
    real = data.drawn_faces(60, 32).images
    others = likeness(data.drawn_faces(60, 32).held_out.images[:20], real)
    copies = np.roll(real[:10, :, ::-1], (2, -3), (1, 2)) * 0.6
    assert likeness(copies.astype(np.uint8), real).min() > 0.99 > others.max()


@pytest.mark.skipif(not os.environ.get("MADLAB_FFHQ"), reason="needs FFHQ, named by MADLAB_FFHQ")
def test_no_face_of_the_package_is_a_moved_copy_of_a_real_one():
    own = gallery.open()
    chains = own.chains()
    real = data.ffhq(size=32)
    ours = chains[chains["data"] == real.id]
    shown = [
        own.sheet(chain, t).images
        for chain, kept in zip(ours["chain"], ours["sheet"], strict=True)
        for t in kept
    ]
    # People who are strangers to the training set are as like it as this.
    strangers = likeness(real.held_out.images, real.images).max()
    assert likeness(np.concatenate(shown), real.images).max() <= strangers
