"""Data of one's own: what arrays become, what is refused and why, and ids that follow content."""

from dataclasses import replace

import numpy as np
import pytest
import torch

import madlab as ml
from madlab.data.samples import Dataset, Samples
from madlab.store import Store

RNG = np.random.default_rng(0)
GREY = RNG.integers(0, 256, (60, 12, 12), dtype=np.uint8)
COLOUR = RNG.integers(0, 256, (60, 12, 8, 3), dtype=np.uint8)
POINTS = RNG.standard_normal((50, 2))
LABELS = np.arange(60) % 3
of = Dataset.from_arrays

SAME_PICTURES = {
    "int64": GREY.astype(np.int64),
    "whole floats": GREY.astype(np.float32),
    "floats in 0..1": GREY / 255,
    "float32 in 0..1": (GREY / 255).astype(np.float32),
    "a channel first": GREY[:, None],
    "a channel last": GREY[..., None],
    "a list of arrays": list(GREY),
    "lists of lists": GREY.tolist(),
    "a tensor": torch.tensor(GREY)[:, None],
    "a tensor with a gradient": (torch.tensor(GREY) / 255).requires_grad_(),
    "a list of tensors": [torch.tensor(one) for one in GREY],
    "not contiguous": GREY[:, ::-1][:, ::-1],
}


@pytest.mark.parametrize("how", SAME_PICTURES)
def test_equal_pictures_in_any_form_are_one_data_set(how):
    found, wanted = of(SAME_PICTURES[how]), of(GREY)
    assert found.id == wanted.id
    assert found.images.dtype == np.uint8
    np.testing.assert_array_equal(found.images, wanted.images)


@pytest.mark.parametrize(
    "labels",
    [
        LABELS.tolist(), torch.tensor(LABELS), LABELS * 1.0, LABELS.astype(np.uint8),
        LABELS[:, None], list(LABELS), [torch.tensor(one) for one in LABELS],
    ],
    ids=["list", "tensor", "float", "uint8", "(n, 1)", "list of numpy", "list of tensors"],
)  # fmt: skip
def test_equal_labels_in_any_form_are_one_data_set(labels):
    found = of(GREY, labels)
    assert found.id == of(GREY, LABELS).id
    assert found.labels.dtype == found.held_out.labels.dtype == np.int64


def test_colour_points_and_masks():
    first = of(COLOUR.transpose(0, 3, 1, 2))
    assert first.id == of(COLOUR).id
    assert first.images.shape == (48, 12, 8, 3)
    assert of(POINTS.astype(np.float32)).images.dtype == np.float64
    assert of(np.arange(40).reshape(20, 2)).images.dtype == np.float64
    assert set(np.unique(of(GREY > 99).images)) == {0, 255}


REFUSED = {
    "floats in -1..1": ({"images": GREY / 127.5 - 1}, "float64 from -1 to 1; pictures are whole"),
    "0 to 16": ({"images": GREY // 16}, "uint8 from 0 to 15; .* scale them"),
    "16 bits": ({"images": GREY.astype(np.uint16) * 257}, "uint16 from 0 to 65535; .* scale them"),
    "NaN": ({"images": np.where(GREY > 99, np.nan, 0.5)}, "NaN or infinite"),
    "NaN points": ({"images": np.full((9, 2), np.nan)}, r"NaN or infinite values in rows \[0, 1"),
    "complex": ({"images": GREY + 1j}, "must be numbers, not complex128"),
    "None": ({"images": None}, "images are NoneType; give an array"),
    "strings": ({"images": ["a.png", "b.png"]}, "must be numbers, not <U5"),
    "sizes": ({"images": [GREY[0], GREY[1, :6]]}, r"\(12, 12\) and \(6, 12\): bring them to one"),
    "flat": ({"images": GREY.reshape(60, -1)}, r"for pictures give shape \(n, height, width\)"),
    "one picture": ({"images": COLOUR[0]}, r"have shape \(12, 8, 3\); give pictures"),
    "RGBA": ({"images": np.concatenate([COLOUR, COLOUR[..., :1]], 3)}, "have shape .*, 4.; give"),
    "numbers": ({"images": POINTS[:, 0]}, r"have shape \(50,\); .* or points \(n, d\)"),
    "none": ({"images": GREY[:0]}, "at least one"),
    "alone": ({"images": GREY[:1]}, "one image cannot be split"),
    "one-hot": ({"images": GREY, "labels": np.eye(3)[LABELS]}, r"give labels.argmax\(1\)"),
    "words": ({"images": GREY, "labels": ["a"] * 60}, "number the classes"),
    "halves": ({"images": GREY, "labels": LABELS / 2}, "whole numbers, not float64 such as 0.5"),
    "below 0": ({"images": GREY, "labels": LABELS - 1}, "labels run from -1"),
    "huge": ({"images": GREY, "labels": LABELS + 10**9}, "number the classes"),
    "fewer": ({"images": GREY, "labels": LABELS[:9]}, r"60 images need shape \(60,\)"),
    "all held": ({"images": GREY, "held_out": 60}, "held_out is 60; .* at most 59"),
    "a share of 1": ({"images": GREY, "held_out": 1.0}, "held_out is 1.0"),
    "other size": ({"images": GREY, "held_out": GREY[:, :6]}, "one type and size"),
    "no held-out": ({"images": GREY, "held_out": None}, "held-out images are NoneType"),
    "no name": ({"images": GREY, "name": ""}, "name is ''"),
}


@pytest.mark.parametrize("how", REFUSED)
def test_what_is_not_plain_is_refused_in_one_sentence(how):
    given, message = REFUSED[how]
    with pytest.raises((TypeError, ValueError), match=message):
        of(**given)


def test_the_split_is_seeded_and_stated():
    data = of(GREY, LABELS, held_out=0.25)
    assert (len(data), len(data.held_out.images)) == (45, 15)
    both = np.concatenate([data.images, data.held_out.images])
    assert {one.tobytes() for one in both} == {one.tobytes() for one in GREY}
    assert data.id == of(GREY, LABELS, held_out=15).id
    assert data.id != of(GREY, LABELS, held_out=15, seed=1).id
    mine = of(GREY[:40], LABELS[:40], held_out=(GREY[40:] / 255, LABELS[40:].tolist()))
    np.testing.assert_array_equal(mine.held_out.images, GREY[40:])
    np.testing.assert_array_equal(mine.held_out.labels, LABELS[40:])
    assert of(GREY[:40], held_out=Samples(GREY[40:])).id == of(GREY[:40], held_out=GREY[40:]).id


def test_an_id_follows_its_content_and_arrays_cannot_change_under_it():
    data = of(GREY, LABELS, name="moons")
    assert data.id.startswith("moons-")
    changed = GREY.copy()
    changed[7, 3, 3] ^= 1
    ids = {data.id, of(changed, LABELS, name="moons").id, of(GREY, name="moons").id}
    assert len({*ids, of(GREY, LABELS[::-1], name="moons").id}) == 4
    with pytest.raises(ValueError, match="read-only"):
        data.images[0] = 0


LOOP = ml.Loop.fully_synthetic(30)


def run(data, store, model="gaussian", **settings):
    chain = ml.Chain(LOOP, model, data, store=store, **settings)
    return [generation.samples.images for generation in chain.run(2)]


def test_two_arrays_under_one_id_never_share(tmp_path):
    a, b = (Dataset("mine", POINTS + i, None, Samples(POINTS[:20] + i)) for i in (0, 5))
    first = run(a, tmp_path)
    with pytest.raises(ValueError, match=r"work on other data under the id 'mine'.*images differ"):
        ml.Chain(LOOP, "gaussian", b, store=tmp_path)
    # Whatever else was asked for: also where nothing of it is there.
    with pytest.raises(ValueError, match="from_arrays"):
        ml.Chain(ml.Loop.fresh_data(10, 10), "gaussian", b, seed=3, store=tmp_path)
    np.testing.assert_array_equal(run(replace(a, images=a.images.copy()), tmp_path), first)
    run(replace(b, id="mine too"), tmp_path)
    # In stores of their own they may be called the same.
    run(b, tmp_path / "another")
    run(b, None)


def test_labels_count_where_they_are_used(tmp_path):
    grey = RNG.integers(0, 256, (60, 28, 28), dtype=np.uint8)
    data = Dataset("mine", grey, LABELS, Samples(grey[:20], LABELS[:20]))
    run(data, tmp_path, "mixture", n_evaluate=10)
    for labels in (LABELS[::-1], None):
        with pytest.raises(ValueError, match="labels differ"):
            run(replace(data, labels=labels), tmp_path, "mixture", n_evaluate=10)
    run(replace(data, labels=LABELS.tolist()), tmp_path, "mixture", n_evaluate=10)
    points = Dataset("points", POINTS, None, Samples(POINTS[:20]))
    run(points, tmp_path)
    run(replace(points, labels=LABELS[:50]), tmp_path)


def test_of_pictures_what_is_held_out_counts_too(tmp_path):
    data = Dataset("mine", COLOUR, None, Samples(COLOUR[:20]))
    run(data, tmp_path, "principal", features="pca", n_evaluate=10)
    with pytest.raises(ValueError, match="held_out differ"):
        run(replace(data, held_out=Samples(COLOUR[20:40])), tmp_path, "principal", features="pca")


def test_a_changed_copy_of_a_built_in_set_is_known_as_such(tmp_path):
    digits = ml.data.mnist()
    assert digits.id_is_of_content
    cut = replace(digits, images=digits.images[:100], labels=digits.labels[:100] % 2)
    assert not cut.id_is_of_content
    run(cut, tmp_path, "mixture", n_evaluate=10)
    other = replace(digits, images=digits.images[100:200], labels=digits.labels[100:200] % 2)
    with pytest.raises(ValueError, match="images, labels differ"):
        run(other, tmp_path, "mixture", n_evaluate=10)


def test_nothing_is_hashed_whose_id_is_of_content_or_that_shares_nothing(tmp_path, monkeypatch):
    def never(self):
        raise AssertionError("this costs a reading of all data")

    sets = [ml.data.mnist(), ml.data.gaussian(2, 60, n_held_out=20), ml.data.drawn_faces(40, 16)]
    monkeypatch.setattr(Dataset, "content", never)
    for data in (*sets, of(POINTS)):
        assert data.id_is_of_content
    run(sets[1], tmp_path)
    run(Dataset("mine", POINTS, None, Samples(POINTS[:20])), None)


def test_a_store_that_remembers_nothing_takes_the_first_at_its_word(tmp_path):
    data = Dataset("mine", POINTS, None, Samples(POINTS[:20]))
    first = run(data, tmp_path)
    (tmp_path / "data.jsonl").unlink()
    np.testing.assert_array_equal(run(data, tmp_path), first)
    assert (tmp_path / "data.jsonl").read_bytes().count(b"\n") == 1
    run(data, tmp_path)
    assert (tmp_path / "data.jsonl").read_bytes().count(b"\n") == 1
    store = Store(tmp_path)
    assert store.verify() == []
    assert store.prune() == []


def test_no_data_set_at_all_is_refused():
    with pytest.raises(TypeError, match=r"data is ndarray; .*Dataset.from_arrays"):
        ml.Chain(LOOP, "gaussian", POINTS)
    with pytest.raises(TypeError, match="samples are list, not a numpy array"):
        ml.Chain(LOOP, "gaussian", Dataset("x", POINTS.tolist(), None, Samples(POINTS)))
    with pytest.raises(TypeError, match=r"held-out samples are float32 .* one type and size"):
        ml.Chain(LOOP, "gaussian", Dataset("x", POINTS, None, Samples(POINTS.astype("f4"))))
