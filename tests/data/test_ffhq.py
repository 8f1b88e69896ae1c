"""Data sets from folders: your own pictures, and FFHQ by its ids."""

from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
from picture_files import REAL, draw, fill, packed
from PIL import Image

from madlab.data import Dataset, faces, ffhq, folder

# `madlab.data.ffhq` is the function; the module of the same name is found here.
module = import_module("madlab.data.ffhq")

pytestmark = pytest.mark.usefixtures("own_cache")


def test_ffhq_is_split_by_id_and_read_only(some_faces: Path, own_cache: Path) -> None:
    data = ffhq(some_faces, 32)
    assert isinstance(data, Dataset)
    assert data.images.shape == (16, 32, 32, 3)
    assert data.held_out.images.shape == (6, 32, 32, 3)
    assert data.labels is None
    assert data.held_out.labels is None
    assert data.id.startswith("ffhq-32-")
    assert len(data.id) == len("ffhq-32-") + 8
    files = sorted(some_faces.rglob("*.*"), key=lambda file: file.name)
    for images, own in ((data.images, files[:16]), (data.held_out.images, files[16:])):
        assert isinstance(images, np.memmap)
        assert Path(images.filename) == data.report.cache
        assert not images.flags.writeable
        with pytest.raises(ValueError, match="read-only"):
            images[0, 0, 0, 0] = 1
        for pixels, file in zip(images, own, strict=True):
            with Image.open(file) as image:
                small = image.convert("RGB").resize((32, 32), Image.Resampling.LANCZOS)
            np.testing.assert_array_equal(pixels, np.asarray(small))
    assert own_cache in data.report.cache.parents
    assert {"32", "lanczos"} <= set(data.report.cache.parent.name.split("-"))


def test_the_share_that_is_held_out_is_the_official_one_for_all_of_ffhq() -> None:
    for n, held_out in ((70_000, 10_000), (1_100, 300), (22, 6)):
        found = module._highest([b""] * n)
        assert found.sum() == held_out
        assert found[n - held_out :].all()


def test_ids_are_read_from_names_wherever_they_lie(tmp_path: Path) -> None:
    place = tmp_path / "set"
    names = [f"{i}.png" for i in range(3, 14)] + ["deep/er/img00000001.png", "ffhq_0002.webp"]
    bad = {
        "a face.png": "has no id: its name must hold one number",
        "00001 (2).png": "has no id: its name must hold one number",
        "other/00004.png": "has the id 4, as 4.png has",
        "70000.png": "has the id 70000; FFHQ's go from 0 to 69,999",
    }
    for k, name in enumerate([*names, *bad]):
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_bytes(packed(draw(k)))
    with pytest.warns(UserWarning, match="4 files"):
        data = ffhq(place, 48)
    assert set(data.report.skipped) == set(bad)
    for name, why in bad.items():
        assert data.report.skipped[name].startswith(why)
    # 9 comes before 10, though "10" before "9".
    seeds = [11, 12, *range(11)]
    both = np.concatenate([data.images, data.held_out.images])
    for i, seed in enumerate(seeds):
        if seed != 12:
            np.testing.assert_array_equal(both[i], np.asarray(draw(seed)))
    with pytest.raises(ValueError, match=r"4 files .* cannot be used"):
        ffhq(place, 48, on_bad="refuse")
    told: list[tuple[int, int]] = []
    with pytest.warns(UserWarning, match="4 files"):
        ffhq(place, 40, progress=lambda done, total: told.append((done, total)))
    assert told[-1] == (17, 17)
    assert module._id(r"thumbnails128x128\00000\00042.png") == 42


def test_the_split_of_a_folder_stays_when_files_come_go_or_are_renamed(good: Path) -> None:
    def sides(data: Dataset) -> tuple[set[bytes], set[bytes]]:
        return {x.tobytes() for x in data.images}, {x.tobytes() for x in data.held_out.images}

    before = folder(good)
    pool, held_out = sides(before)
    assert len(pool) + len(held_out) == 22
    assert not pool & held_out
    fill(good / "more", 60)
    for seed in range(60, 90):
        (good / f"new {seed}.png").write_bytes(packed(draw(seed)))
    files = sorted((good / "00000").iterdir())
    files[0].unlink()
    files[1].rename(good / "renamed.png")
    after = folder(good)
    assert after.id != before.id
    # The folder of 60 has all 22 once more, equal files on equal sides.
    assert after.report.copies == 21
    now_pool, now_held_out = sides(after)
    assert pool <= now_pool
    assert held_out <= now_held_out
    # Of 90 different pictures 24.5 are expected, with a standard deviation of 4.2.
    assert abs(len(now_held_out) - 24.5) < 4 * 4.2


def test_faces_are_ffhq_where_it_is_named_and_drawn_otherwise(
    some_faces: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert faces(16, n=3).id.startswith("drawn-faces-16-")
    monkeypatch.setenv("MADLAB_FFHQ", str(some_faces / "nowhere"))
    with pytest.raises(FileNotFoundError, match=r"MADLAB_FFHQ names .*nowhere, but there is noth"):
        faces(16)
    monkeypatch.setenv("MADLAB_FFHQ", str(some_faces))
    data = faces(16, n=3)
    assert data.id.startswith("ffhq-16-")
    assert data.images.shape == (3, 16, 16, 3)
    assert ffhq(size=16).id == ffhq(some_faces, 16).id


if REAL:

    def test_the_real_faces_are_whole() -> None:
        data = ffhq(REAL, 32)
        n = len(data) + len(data.held_out.images)
        assert len(data.held_out.images) == min(10_000, round(3 / 11 * n))
        assert data.report.skipped == {}
        assert data.report.copies == 0
