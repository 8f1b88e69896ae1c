"""Folders and archives: what is in them, and every way they can be hostile."""

import io
import os
import struct
import tarfile
import warnings
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from picture_files import contents, draw, packed, tarred, zipped

from madlab.data import folder, sources

pytestmark = pytest.mark.usefixtures("own_cache")


def test_what_is_no_plain_file_is_named_and_never_waited_for(good: Path) -> None:
    (good / "nowhere.jpg").symlink_to(good / "gone.jpg")
    (good / "elsewhere").symlink_to(good.parent)
    (good / "a folder.jpg").mkdir()
    os.mkfifo(good / "pipe.png")
    with (good / "large.png").open("wb") as stream:
        stream.truncate(70_000_000)
    with pytest.warns(UserWarning, match="4 files"):
        data = folder(good)
    assert data.report.skipped == {
        "elsewhere": "is a link to a folder, which is not followed; give that folder's own path",
        "large.png": "has 70 MB, more than 64 MB",
        "nowhere.jpg": "is a link that leads nowhere (No such file or directory)",
        "pipe.png": "is no regular file",
    }


def test_texts_and_what_desktops_leave_are_passed_over_and_all_else_is_named(good: Path) -> None:
    before = folder(good, on_bad="refuse")
    for name in ("__MACOSX", ".Trash-1000", "lost+found"):
        (good / name).mkdir()
        (good / name / "00001.jpg").write_bytes(packed(draw(99)))
    for name in (".DS_Store", "Thumbs.db", "._00001.jpg", "desktop.ini"):
        (good / name).write_bytes(b"x")
    assert folder(good, on_bad="refuse").id == before.id
    for name in ("README.txt", "no suffix", "d.json"):
        (good / name).write_bytes(b"x")
    data = folder(good)
    assert data.id == before.id
    assert data.report.skipped == {}
    assert data.report.ignored == ["README.txt", "d.json", "no suffix"]
    assert "texts, ignored: 3 (README.txt, d.json, no suffix)" in str(data.report)
    assert folder(good, on_bad="refuse").id == before.id
    (good / "drawing.kra").write_bytes(bytes(100))
    with pytest.raises(ValueError, match=r"1 files .*drawing.kra is no JPEG, PNG or WebP picture"):
        folder(good, on_bad="refuse")


@pytest.mark.parametrize("kind", ["folder", "zip", "tar", "tar.gz"])
def test_a_picture_is_known_by_its_content_whatever_its_name(
    kind: str, good: Path, tmp_path: Path
) -> None:
    expected = folder(good).images
    suffixes = (".jfif", ".jpe", ".JIF", ".mpo", "", ".dat", ".gif")
    for number, file in enumerate(sorted(good.rglob("*.*"))):
        file.rename(file.with_suffix(suffixes[number % len(suffixes)]))
    (good / "notes.dat").write_bytes(b"Dear diary")
    members = {str(f.relative_to(good)): f.read_bytes() for f in good.rglob("*") if f.is_file()}
    place = {
        "folder": lambda: good,
        "zip": lambda: zipped(tmp_path / "a.zip", members, zipfile.ZIP_DEFLATED),
        "tar": lambda: tarred(tmp_path / "a.tar", members),
        "tar.gz": lambda: tarred(tmp_path / "a.tar.gz", members, "w:gz"),
    }[kind]()
    data = folder(place)
    np.testing.assert_array_equal(data.images, expected)
    assert data.report.ignored == ["notes.dat"]


def test_a_tar_without_closing_blocks_is_read_and_named(good: Path, tmp_path: Path) -> None:
    whole = tarred(tmp_path / "whole.tar", contents(good))
    with tarfile.open(whole) as archive:
        end = max(m.offset_data + -(-m.size // 512) * 512 for m in archive)
    open_ended = tmp_path / "open.tar"
    open_ended.write_bytes(whole.read_bytes()[:end])
    with pytest.warns(UserWarning, match="its end is not marked: where it was cut short, pictures"):
        data = folder(open_ended)
    assert data.id == folder(whole).id
    with pytest.raises(ValueError, match="its end is not marked"):
        folder(open_ended, on_bad="refuse")


@pytest.mark.parametrize("suffix", ["zip", "tar", "tar.gz", "tar.xz", "tar.bz2"])
def test_an_archive_gives_what_its_folder_gives(
    suffix: str, some_faces: Path, tmp_path: Path
) -> None:
    whole = folder(some_faces)
    # Against the order of names, which the pictures are to have all the same.
    members = dict(reversed(contents(some_faces).items()))
    file = tmp_path / f"an archive.{suffix}"
    if suffix == "zip":
        zipped(file, {"LICENSE.txt": b"free", **members}, zipfile.ZIP_DEFLATED)
    else:
        tarred(file, {"LICENSE.txt": b"free", **members}, f"w:{suffix[4:]}")
    before = sorted(tmp_path.iterdir())
    data = folder(file)
    assert data.id == whole.id
    np.testing.assert_array_equal(data.images, whole.images)
    np.testing.assert_array_equal(data.held_out.images, whole.held_out.images)
    assert data.report.ignored == ["LICENSE.txt"]
    assert sorted(tmp_path.iterdir()) == before


HOSTILE_ZIP = {
    "../../outside.png": "has a path that leads out of the archive",
    "/absolute.png": "has a path that leads out of the archive",
    "C:\\windows\\drive.png": "has a path that leads out of the archive",
    "a/..\\..\\back.png": "has a path that leads out of the archive",
    "link.png": "is a link",
    "inner.zip": "is an archive inside; unpack it",
    "twice.png": "is in the archive 2 times",
    "secret.png": "is encrypted; unpack the archive with its password",
    "broken.png": "cannot be read from the archive (Bad CRC-32",
    "strange.png": "is packed by Deflate64, which is not read; unpack it and give the folder",
}


def test_hostile_members_of_a_zip_are_named_and_the_rest_is_read(
    good: Path, tmp_path: Path
) -> None:
    file = tmp_path / "hostile.zip"
    with zipfile.ZipFile(file, "w") as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name, content in contents(good).items():
            archive.writestr(name, content)
        for name in HOSTILE_ZIP:
            info = zipfile.ZipInfo(name)
            info.external_attr = (0o120777 if name == "link.png" else 0o100644) << 16
            archive.writestr(info, packed(draw(7)))
        archive.writestr("twice.png", packed(draw(8)))
    raw = bytearray(file.read_bytes())
    # Of each member there is a local header, and one in the directory at the end.
    for head, flags, method in ((b"PK\x03\x04", 6, 8), (b"PK\x01\x02", 8, 10)):
        at = raw.find(head)
        while at >= 0:
            fixed = 30 if head == b"PK\x03\x04" else 46
            name = bytes(raw[at + fixed : at + fixed + 11])
            if name.startswith(b"secret.png"):
                raw[at + flags] |= 1
            elif name.startswith(b"strange.png"):
                raw[at + method] = 9
            elif name.startswith(b"broken.png") and fixed == 30:
                raw[at + 30 + 10 + 50] ^= 1
            at = raw.find(head, at + 4)
    file.write_bytes(raw)
    with pytest.warns(UserWarning, match="10 files"):
        data = folder(file)
    assert set(data.report.skipped) == set(HOSTILE_ZIP)
    for name, why in HOSTILE_ZIP.items():
        assert data.report.skipped[name].startswith(why)
    assert data.id == folder(good).id
    assert not (tmp_path.parent / "outside.png").exists()
    with pytest.raises(ValueError, match=r"10 files .*; and 5 more. Mend or remove them"):
        folder(file, on_bad="refuse")


def test_hostile_members_of_a_tar_are_named_and_the_rest_is_read(
    good: Path, tmp_path: Path
) -> None:
    file = tarred(tmp_path / "hostile.tar", contents(good))
    kinds = {"soft.png": tarfile.SYMTYPE, "hard.png": tarfile.LNKTYPE, "pipe.png": tarfile.FIFOTYPE}
    with tarfile.open(file, "a") as archive:
        for name, kind in kinds.items():
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, "/etc/passwd"
            archive.addfile(info)
        for name in ("../outside.png", "/absolute.png", "twice.png", "twice.png"):
            info = tarfile.TarInfo(name)
            info.size = len(packed(draw(9)))
            archive.addfile(info, io.BytesIO(packed(draw(9))))
    with pytest.warns(UserWarning, match="6 files"):
        data = folder(file)
    outside = "has a path that leads out of the archive"
    assert data.report.skipped == {
        **dict.fromkeys(kinds, "is a link or a device"),
        "../outside.png": outside,
        "/absolute.png": outside,
        "twice.png": "is in the archive 2 times",
    }
    assert data.id == folder(good).id


def broken_archives(place: Path, good: Path) -> Iterator[tuple[Path, str]]:
    members = contents(good)
    damaged = "is cut short, damaged or no archive of its kind"
    bomb = "unpacks to more than 100 times its size"
    cut = zipped(place / "cut.zip", members)
    cut.write_bytes(cut.read_bytes()[:-200])
    yield cut, damaged
    (place / "text.zip").write_bytes(b"Dear diary")
    yield place / "text.zip", damaged
    (place / "nothing.zip").write_bytes(b"")
    yield place / "nothing.zip", damaged
    for suffix in ("tar", "tar.gz", "tar.xz"):
        whole = tarred(place / f"cut.{suffix}", members, f"w:{suffix[4:]}").read_bytes()
        (place / f"cut.{suffix}").write_bytes(whole[: len(whole) // 2])
        yield place / f"cut.{suffix}", damaged
    torn = tarred(place / "torn.tar", members)
    raw = bytearray(torn.read_bytes())
    at = raw.find(b"00000/00005")
    raw[at : at + 512] = os.urandom(512)
    torn.write_bytes(raw)
    yield torn, damaged
    (place / "head.tar").write_bytes(raw[: at + 100])
    yield place / "head.tar", damaged
    (place / "text.tar").write_bytes(b"Dear diary" * 100)
    yield place / "text.tar", damaged
    zeros = {f"{i}.png": bytes(6_000_000) for i in range(3)}
    yield zipped(place / "bomb.zip", zeros, zipfile.ZIP_DEFLATED), bomb
    yield tarred(place / "bomb.tar.gz", zeros, "w:gz"), bomb
    yield zipped(place / "empty.zip", {}), "there is no picture in"
    yield tarred(place / "empty.tar", {}), "there is no picture in"
    inside = {"pictures.zip": cut.read_bytes(), "README.txt": b"x"}
    yield zipped(place / "russian doll.zip", inside), "is an archive inside"


def test_an_archive_that_cannot_be_trusted_is_refused_as_a_whole(
    good: Path, tmp_path: Path, own_cache: Path
) -> None:
    seen = 0
    for file, message in broken_archives(tmp_path, good):
        with pytest.raises(ValueError, match=message) as caught:
            folder(file)
        assert str(file) in str(caught.value)
        assert len(str(caught.value).splitlines()) == 1
        seen += 1
    assert seen == 14
    assert not own_cache.exists() or list(own_cache.iterdir()) == []


def test_a_zip_whose_sizes_lie_is_not_unpacked_beyond_what_it_says(
    good: Path, tmp_path: Path
) -> None:
    members = {**contents(good), "liar.png": bytes(8_000_000)}
    file = zipped(tmp_path / "liar.zip", members, zipfile.ZIP_DEFLATED)
    raw = bytearray(file.read_bytes())
    start = raw.rfind(b"PK\x01\x02")
    raw[start + 24 : start + 28] = struct.pack("<I", 5_000)
    file.write_bytes(raw)
    with pytest.warns(UserWarning, match=r"liar.png cannot be read from the archive"):
        data = folder(file)
    assert data.id == folder(good).id


@pytest.mark.parametrize("kind", ["folder", "zip", "tar"])
def test_a_source_of_too_many_files_is_refused(
    kind: str, good: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sources, "COUNT", 20)
    place = {
        "folder": lambda: good,
        "zip": lambda: zipped(tmp_path / "a.zip", contents(good)),
        "tar": lambda: tarred(tmp_path / "a.tar", contents(good)),
    }[kind]()
    with pytest.raises(ValueError, match="holds more than 20 files; give"):
        folder(place)
