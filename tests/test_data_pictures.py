"""Pictures from files: every way they can be broken, and that whole ones come out right."""

import io
import json
import os
import struct
import subprocess
import sys
import tarfile
import warnings
import zipfile
import zlib
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageOps

from madlab.cli import main
from madlab.data import Dataset, faces, ffhq, folder
from madlab.data.pictures import RESIZE, decode
from madlab.data.prepare import Found

archives = import_module("madlab.data.archives")
cache = import_module("madlab.data.cache")
listing = import_module("madlab.data.listing")
ffhq_module = import_module("madlab.data.ffhq")
FAULTS = Path(__file__).parent / "faults"
REAL = os.environ.get("MADLAB_FFHQ")


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A cache of this test's own; whatever happens in it, no half-written entry is left."""
    monkeypatch.setenv("MADLAB_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("MADLAB_FFHQ", raising=False)
    yield tmp_path / "cache"
    if (tmp_path / "cache").is_dir():
        left = [path.name for path in (tmp_path / "cache").iterdir()]
        assert [name for name in left if name.startswith(".")] == []
        for name in left:
            assert {file.name for file in (tmp_path / "cache" / name).iterdir()} == {
                "pictures.u8",
                "about.json",
            }


def draw(seed: int, width: int = 48, height: int = 48) -> Image.Image:
    """A picture of a few ellipses."""
    rng = np.random.default_rng(seed)
    image = Image.new("RGB", (width, height), tuple(rng.integers(0, 256, 3).tolist()))
    pen = ImageDraw.Draw(image)
    for _ in range(5):
        x, y = rng.integers(0, width), rng.integers(0, height)
        w, h = rng.integers(4, 24, 2)
        pen.ellipse((x, y, x + w, y + h), fill=tuple(rng.integers(0, 256, 3).tolist()))
    return image


def packed(image: Image.Image, format: str = "PNG", **options: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, format, **options)
    return stream.getvalue()


def png(width: int, height: int, depth: int, colour: int, rows: bytes) -> bytes:
    """A PNG file written by hand, for what Pillow does not write."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        code = struct.pack(">I", zlib.crc32(kind + content))
        return struct.pack(">I", len(content)) + kind + content + code

    head = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    data = chunk(b"IDAT", zlib.compress(rows))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + data + chunk(b"IEND", b"")


FORMATS = (("JPEG", "jpg"), ("PNG", "png"), ("WEBP", "webp"))


def fill(place: Path, n: int = 22) -> Path:
    """A folder of n good pictures in all three formats, in nested folders, named by ids."""
    for i in range(n):
        format, suffix = FORMATS[i % 3]
        file = place / f"{i // 10:05d}" / f"{i:05d}.{suffix}"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(packed(draw(i), format))
    return place


@pytest.fixture
def good(tmp_path: Path) -> Path:
    return fill(tmp_path / "pictures")


@pytest.fixture(params=["drawn", "real"] if REAL else ["drawn"])
def some_faces(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """Drawn pictures as JPEG, PNG and WebP; where MADLAB_FFHQ names them also 22 real faces."""
    if request.param == "drawn":
        return fill(tmp_path / "pictures")
    place = tmp_path / "faces"
    place.mkdir()
    found = sorted(Path(REAL).rglob("*.jpg")) + sorted(Path(REAL).rglob("*.png"))
    for file in found[:22]:
        (place / file.name).symlink_to(file.resolve())
    return place


def animated(format: str) -> bytes:
    return packed(draw(1), format, save_all=True, append_images=[draw(2), draw(3)])


def flipped(content: bytes, at: int) -> bytes:
    return content[:at] + bytes([content[at] ^ 0x55]) + content[at + 1 :]


DEEP = png(48, 48, 16, 2, (b"\0" + bytes(48 * 6)) * 48)
BAD = {
    "empty.jpg": (b"", "is empty"),
    "text.jpg": (b"Dear diary", "is no JPEG, PNG or WebP picture"),
    "gif.png": (packed(draw(1), "GIF"), "is no JPEG, PNG or WebP picture"),
    "bmp.webp": (packed(draw(1), "BMP"), "is no JPEG, PNG or WebP picture"),
    "cut.jpg": (packed(draw(1), "JPEG")[:-300], "is cut short or corrupt"),
    "cut.png": (packed(draw(1))[:-60], "is cut short or corrupt"),
    "cut.webp": (packed(draw(1), "WEBP")[:-60], "is cut short or corrupt"),
    "head.jpg": (packed(draw(1), "JPEG")[:20], "is cut short or corrupt"),
    "flipped.png": (flipped(packed(draw(1)), 60), "is cut short or corrupt"),
    "head.png": (flipped(packed(draw(1)), 18), "is cut short or corrupt"),
    "tiny.png": (packed(draw(1, 20, 20)), "is 20 x 20 pixels, smaller than 32 x 32"),
    "thin.jpg": (packed(draw(1, 400, 31), "JPEG"), "is 400 x 31 pixels, smaller than"),
    "grey.jpg": (packed(draw(1).convert("L"), "JPEG"), "is grey (1 channel)"),
    "grey.png": (packed(draw(1).convert("LA")), "is grey (1 channel)"),
    "bilevel.png": (packed(draw(1).convert("1")), "is grey (1 channel)"),
    "deep grey.png": (packed(Image.new("I;16", (48, 48), 999)), "has 16 bits a channel"),
    "deep.png": (DEEP, "has 16 bits a channel, not 8"),
    "deep alpha.png": (png(40, 40, 16, 6, (b"\0" + bytes(40 * 8)) * 40), "has 16 bits"),
    "moving.png": (animated("PNG"), "is animated"),
    "moving.webp": (animated("WEBP"), "is animated"),
    "large.png": (png(9_200, 9_200, 8, 2, b""), "has 85 million pixels, more than 80"),
    "huge.png": (png(12_000, 12_000, 8, 2, b""), "has more than 80 million pixels"),
    "bomb.png": (png(60_000, 60_000, 8, 2, b""), "has more than 80 million pixels"),
    "phone.heic": (b"ftypheic", "is a .heic file; save it as JPEG, PNG or WebP"),
    "scan.TIFF": (packed(draw(1), "TIFF"), "is a .tiff file"),
    "more.zip": (b"PK", "is an archive inside; unpack it"),
    "nœud né.jpg": (b"x", "is no JPEG, PNG or WebP picture"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_a_bad_file_is_named_and_skipped_or_refused(name: str, good: Path) -> None:
    content, why = BAD[name]
    whole = folder(good)
    (good / name).write_bytes(content)
    with pytest.raises(ValueError, match=r"1 files in .* cannot be used") as caught:
        folder(good, on_bad="refuse")
    assert f"{name} {why}" in str(caught.value)
    assert "on_bad='skip'" in str(caught.value)
    with pytest.warns(UserWarning, match="1 files in .* were skipped") as warned:
        data = folder(good)
    assert f"{name} {why}" in str(warned[0].message)
    assert warned[0].filename == __file__
    assert list(data.report.skipped) == [name]
    assert f"  {name} {why}" in str(data.report)
    assert data.id == whole.id
    # From the cache it is refused all the same.
    with pytest.raises(ValueError, match="cannot be used"):
        folder(good, on_bad="refuse")


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


def test_files_that_are_no_pictures_are_ignored_and_counted(good: Path) -> None:
    before = folder(good)
    (good / "__MACOSX").mkdir()
    (good / "__MACOSX" / "00001.jpg").write_bytes(b"x")
    for name in ("README.txt", ".DS_Store", "Thumbs.db", "._00001.jpg", "no suffix", "d.json"):
        (good / name).write_bytes(b"x")
    data = folder(good)
    assert data.id == before.id
    assert data.report.skipped == {}
    assert data.report.ignored == 6
    assert "no pictures, ignored: 6 files" in str(data.report)


def test_names_with_spaces_accents_and_undecodable_bytes_are_read_and_printable(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = fill(tmp_path / "Zoë’s pictures — 写真")
    (place / "grün und blau.png").write_bytes(packed(draw(50)))
    odd = b"/\xff.png" if sys.platform == "linux" else b"/odd.png"
    Path(os.fsdecode(os.fsencode(place) + odd)).write_bytes(packed(draw(51)))
    (place / "new\nline\x1b[31m.png").write_bytes(b"x")
    assert main(["data", "folder", str(place)]) == 0
    said = capsys.readouterr().out
    assert "Zoë’s pictures — 写真" in said
    assert "  new\\nline\\x1b[31m.png is no JPEG" in said
    assert "\x1b" not in said
    with pytest.warns(UserWarning, match="1 files"):
        data = folder(place)
    assert len(data) + len(data.held_out.images) == 24


def zipped(file: Path, members: dict[str, bytes], method: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(file, "w", method) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return file


def tarred(file: Path, members: dict[str, bytes], mode: str = "w") -> Path:
    with tarfile.open(file, mode) as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return file


def contents(place: Path) -> dict[str, bytes]:
    files = sorted(place.rglob("*.*"))
    return {str(file.relative_to(place)): file.read_bytes() for file in files}


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
    assert data.report.ignored == 1
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
    "strange.png": "cannot be read from the archive (That compression method",
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
                raw[at + method] = 77
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
    for more in (0, 100):
        (place / f"head {more}.tar").write_bytes(raw[: at + more])
        yield place / f"head {more}.tar", damaged
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
    assert seen == 15
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
    for module in (archives, listing, import_module("madlab.data.sources")):
        monkeypatch.setattr(module, "COUNT", 20)
    place = {
        "folder": lambda: good,
        "zip": lambda: zipped(tmp_path / "a.zip", contents(good)),
        "tar": lambda: tarred(tmp_path / "a.tar", contents(good)),
    }[kind]()
    with pytest.raises(ValueError, match="holds more than 20 files; give"):
        folder(place)


def test_a_wrong_request_is_answered_with_what_is_allowed(good: Path, tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(packed(draw(1), "JPEG"))
    (tmp_path / "none").mkdir()
    fill(tmp_path / "two", 2)
    few = "training and . held-out pictures; each part needs"
    cases: list[tuple[type[Exception], str, Callable[[], object]]] = [
        (FileNotFoundError, "there is no .*nowhere; give a fol", lambda: folder(good / "nowhere")),
        (ValueError, "a.jpg is neither a folder nor a .zip", lambda: folder(tmp_path / "a.jpg")),
        (ValueError, "the path is empty", lambda: folder("")),
        (ValueError, "there is no picture in .*none", lambda: folder(tmp_path / "none")),
        (ValueError, few, lambda: folder(tmp_path / "two")),
        (ValueError, few, lambda: ffhq(tmp_path / "two")),
        (ValueError, "size is 33; it must be a multiple of 4", lambda: folder(good, 33)),
        (ValueError, "size is 512", lambda: folder(good, 512)),
        (TypeError, "size must be a whole number, not 32.0", lambda: folder(good, 32.0)),
        (
            ValueError,
            "resize is 'no'; it must be one of lanczos",
            lambda: folder(good, resize="no"),
        ),
        (ValueError, "on_bad is 'no'; it must be one of skip", lambda: folder(good, on_bad="no")),
        (ValueError, "n is 0; it must be from 1 to", lambda: folder(good, n=0)),
        (ValueError, "n is 999; it must be from 1 to", lambda: folder(good, n=999)),
        (TypeError, "n must be a whole number, not 1.5", lambda: folder(good, n=1.5)),
        (ValueError, "no FFHQ is named: give a path, or set MADLAB_FFHQ", ffhq),
    ]
    for error, message, request in cases:
        with pytest.raises(error, match=message):
            request()


def test_what_a_file_needs_besides_resizing_is_done_and_reported(good: Path) -> None:
    half = Image.new("RGBA", (48, 48), (255, 0, 0, 0))
    half.paste((0, 0, 255, 255), (0, 0, 48, 24))
    turned = Image.Exif()
    turned[0x0112] = 6
    phone = io.BytesIO()
    draw(60).save(phone, "MPO", save_all=True, append_images=[draw(61)])
    files = {
        "cmyk.jpg": packed(draw(1).convert("CMYK"), "JPEG"),
        "palette.png": packed(draw(2).quantize(16)),
        "opaque.png": packed(draw(3).convert("RGBA")),
        "half.webp": packed(half, "WEBP", lossless=True),
        "key.png": packed(Image.new("RGB", (40, 40), (1, 2, 3)), transparency=(1, 2, 3)),
        "phone.jpg": phone.getvalue(),
        "turned.jpg": packed(draw(4, 60, 48), "JPEG", exif=turned),
        "png named.jpg": packed(draw(5)),
    }
    for name, content in files.items():
        (good / name).write_bytes(content)
    data = folder(good)
    assert data.report.skipped == {}
    assert data.report.changed == {
        "converted from CMYK": ["cmyk.jpg"],
        "transparency laid on white": ["half.webp", "key.png"],
        "converted from a palette": ["palette.png"],
        "turned upright": ["turned.jpg"],
        "cropped to the middle square": ["turned.jpg"],
    }
    assert "turned upright: 1 (turned.jpg)" in str(data.report)
    laid = decode(files["half.webp"], 48, "lanczos").pixels
    assert (laid[:20] == (0, 0, 255)).all()
    assert (laid[28:] == 255).all()
    assert (decode(files["key.png"], 32, "box").pixels == 255).all()
    for name, seed in (("opaque.png", 3), ("png named.jpg", 5)):
        picture = decode(files[name], 48, "lanczos")
        np.testing.assert_array_equal(picture.pixels, np.asarray(draw(seed)))
        assert picture.changes == ()


@pytest.mark.parametrize("orientation", range(1, 9))
def test_pictures_are_turned_as_their_camera_noted(orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    content = packed(draw(orientation, 70, 50), exif=exif)
    with Image.open(io.BytesIO(content)) as image:
        upright = packed(ImageOps.exif_transpose(image))
    expected = decode(upright, 32, "lanczos").pixels
    got = decode(content, 32, "lanczos")
    np.testing.assert_array_equal(got.pixels, expected)
    assert ("turned upright" in got.changes) == (orientation != 1)


def weights(filter: str, source: int, target: int) -> np.ndarray:
    """Return the matrix (target, source) of an antialiased filter, from its definition."""

    def cubic(x: np.ndarray) -> np.ndarray:
        near = 1.5 * x**3 - 2.5 * x**2 + 1
        return np.where(x < 1, near, np.where(x < 2, -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2, 0))

    kernel = {
        "box": lambda x: x < 0.5,
        "bilinear": lambda x: np.maximum(1 - x, 0),
        "bicubic": cubic,
        "lanczos": lambda x: np.where(x < 3, np.sinc(x) * np.sinc(x / 3), 0),
    }[filter]
    scale = source / target
    centres = (np.arange(target) + 0.5) * scale
    far = abs(np.arange(source) + 0.5 - centres[:, None]) / scale
    found = kernel(far).astype(float)
    return found / found.sum(1, keepdims=True)


@pytest.mark.parametrize("filter", RESIZE)
def test_resizing_is_the_filter_it_says_over_the_middle_square(filter: str) -> None:
    image = draw(11, 150, 128)
    noisy = np.asarray(image).astype(int)
    noisy += np.random.default_rng(0).integers(-40, 41, noisy.shape)
    pixels = noisy.clip(0, 255).astype(np.uint8)
    square = pixels[:, 11 : 11 + 128].astype(float)
    matrix = weights(filter, 128, 32)
    # Pillow rounds to whole values and clips after each of the two passes.
    rows = np.einsum("ij,kjc->kic", matrix, square).round().clip(0, 255)
    expected = np.einsum("ij,jkc->ikc", matrix, rows).round().clip(0, 255)
    got = decode(packed(Image.fromarray(pixels)), 32, filter).pixels
    assert abs(got.astype(float) - expected).max() <= 1


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
        found = ffhq_module._highest([Found(f"{i:05d}.png", b"") for i in range(n)])
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
    assert ffhq_module._id(r"thumbnails128x128\00000\00042.png") == 42


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


def test_a_subset_is_set_by_number_and_seed(some_faces: Path) -> None:
    data = ffhq(some_faces)
    few, more = ffhq(some_faces, n=5, seed=1), ffhq(some_faces, n=9, seed=1)
    assert few.images.shape == (5, 32, 32, 3)
    assert not few.images.flags.writeable
    rows = [{image.tobytes() for image in part.images} for part in (few, more, data)]
    assert rows[0] < rows[1] < rows[2]
    for part in (few, more):
        np.testing.assert_array_equal(part.held_out.images, data.held_out.images)
    ids = [part.id for part in (data, few, more, ffhq(some_faces, n=5, seed=2))]
    assert len(set(ids)) == 4
    assert ffhq(some_faces, n=5, seed=1).id == few.id
    assert ffhq(some_faces, n=16, seed=3).id == data.id


def test_the_id_is_of_the_content_and_the_cache_of_the_source(good: Path, tmp_path: Path) -> None:
    first = folder(good)
    elsewhere = folder(zipped(tmp_path / "same.zip", contents(good)))
    assert elsewhere.id == first.id
    assert elsewhere.report.cache != first.report.cache
    others = [folder(good, 36), folder(good, resize="box"), ffhq(good)]
    assert len({data.id for data in [first, *others]}) == 4
    assert len({data.report.cache for data in [first, elsewhere, *others]}) == 5
    changed = good / "00000" / "00001.png"
    changed.write_bytes(packed(draw(77)))
    os.utime(changed, (1, 1))
    assert folder(good).id != first.id
    # The old map is not pulled away from under whoever reads it.
    assert first.images[0].tobytes()


def test_a_second_call_decodes_nothing(good: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = folder(good)
    monkeypatch.setattr(import_module("madlab.data.prepare"), "decode", None)
    again = folder(good)
    assert again.id == first.id
    assert again.report == first.report
    np.testing.assert_array_equal(again.images, first.images)


def test_a_damaged_cache_is_noticed_and_made_anew(good: Path) -> None:
    data = folder(good)
    expected = np.array(data.images)
    pictures, about = data.report.cache, data.report.cache.with_name("about.json")
    whole = pictures.read_bytes()
    told = json.loads(about.read_text())
    cases: list[tuple[Path, bytes | None, str]] = [
        (pictures, flipped(whole, 1000), "the SHA-256 of pictures.u8 differs"),
        (pictures, whole[:-1], "pictures.u8 has 67583 bytes, not 67584"),
        (pictures, None, "pictures.u8 is missing"),
        (about, None, "no readable about.json"),
        (about, b"{}", "no readable about.json"),
        (about, b"[1, 2", "no readable about.json"),
        (about, json.dumps({**told, "training": 3}).encode(), "is not an intact one"),
    ]
    for file, content, message in cases:
        if content is None:
            file.unlink()
        else:
            file.write_bytes(content)
        with pytest.warns(RuntimeWarning, match=f"is damaged .*{message}.*; it is made anew"):
            again = folder(good)
        assert again.id == data.id
        np.testing.assert_array_equal(again.images, expected)
        assert folder(good).id == data.id


def test_a_large_cache_is_checked_byte_by_byte_on_request(
    good: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = folder(good)
    monkeypatch.setattr(cache, "HASHED_BYTES", 1000)
    pictures = data.report.cache
    pictures.write_bytes(flipped(pictures.read_bytes(), 1000))
    assert folder(good).id == data.id
    with pytest.warns(RuntimeWarning, match="the SHA-256 of pictures.u8 differs"):
        folder(good, verify=True)
    assert folder(good, verify=True).id == data.id


def test_a_cache_that_cannot_be_written_is_an_error_that_says_so(
    good: Path, tmp_path: Path, own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = cache.shutil.disk_usage
    monkeypatch.setattr(cache.shutil, "disk_usage", lambda path: usage(path)._replace(free=10**7))
    with pytest.raises(OSError, match=r"needs about 16 MB and has 10.*name another folder in"):
        folder(good)
    assert list(own_cache.iterdir()) == []
    monkeypatch.undo()
    (tmp_path / "file").write_text("x")
    monkeypatch.setenv("MADLAB_CACHE", str(tmp_path / "file"))
    with pytest.raises(OSError, match=r"the cache .*file did not take the pictures"):
        folder(good)


def python(code: str, *arguments: object) -> "subprocess.Popen[str]":
    command = [sys.executable, "-c", code, *map(str, arguments)]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True)


def test_a_disk_that_is_full_in_the_middle_leaves_nothing(good: Path, own_cache: Path) -> None:
    code = (
        "import resource, sys; from madlab.data import folder; "
        "resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, 40_000)); folder(sys.argv[1])"
    )
    _, said = python(code, good).communicate()
    assert "did not take the pictures (File too large); nothing half-done is kept" in said
    assert list(own_cache.iterdir()) == []


def test_two_processes_prepare_at_once_and_agree(some_faces: Path, own_cache: Path) -> None:
    code = (
        "import sys, time; from madlab.data import ffhq; print('ready', flush=True); "
        "sys.stdin.read(1); data = ffhq(sys.argv[1]); print(data.id, int(data.images.sum()))"
    )
    command = [sys.executable, "-c", code, str(some_faces)]
    pipe = subprocess.PIPE
    both = [subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) for _ in range(2)]
    for process in both:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in both:
        assert process.stdin is not None
        process.stdin.write("go")
        process.stdin.flush()
    said = [process.communicate()[0].split() for process in both]
    data = ffhq(some_faces)
    assert said == [[data.id, str(int(data.images.sum()))]] * 2
    assert len(list(own_cache.iterdir())) == 1


def test_a_kill_at_any_moment_leaves_no_half_written_entry(good: Path, tmp_path: Path) -> None:
    script = [sys.executable, FAULTS / "kill_cache.py", good, tmp_path / "kills"]
    done = subprocess.run(script, capture_output=True, text=True, check=True)
    report = json.loads(done.stdout)
    assert report["kills"] >= 8
    assert report["ids"] == [folder(good).id]
    assert report["half"] == []


def test_what_a_killed_process_left_is_removed_after_a_day(good: Path, own_cache: Path) -> None:
    old, new = (own_cache / f".{name}.{'0f' * 16}.part" for name in ("old", "new"))
    others = own_cache / ".anything.part"
    for left in (old, new, others):
        left.mkdir(parents=True)
        (left / "rough.u8").write_bytes(b"x")
    os.utime(old, (0, 0))
    os.utime(others, (0, 0))
    folder(good)
    assert not old.exists()
    assert (others / "rough.u8").exists()
    assert new.exists()
    for left in (new, others):
        (left / "rough.u8").unlink()
        left.rmdir()


def test_a_failure_halfway_restores_warnings_and_ends_the_threads(
    good: Path, own_cache: Path
) -> None:
    def stop(done: int, total: int) -> None:
        if done == 5:
            raise KeyboardInterrupt

    filters = list(warnings.filters)
    with pytest.raises(KeyboardInterrupt):
        folder(good, progress=stop)
    assert list(warnings.filters) == filters
    assert list(own_cache.iterdir()) == []


def test_the_cache_lies_where_the_platform_wants_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MADLAB_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", "/xdg")
    monkeypatch.setenv("HOME", "/home/me")
    monkeypatch.setattr(cache.sys, "platform", "linux")
    assert cache.location() == Path("/xdg/madlab")
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache.location() == Path("/home/me/.cache/madlab")
    monkeypatch.setattr(cache.sys, "platform", "darwin")
    assert cache.location() == Path("/home/me/Library/Caches/madlab")
    monkeypatch.setattr(cache.sys, "platform", "win32")
    monkeypatch.setenv("LOCALAPPDATA", "/local")
    assert cache.location() == Path("/local/madlab/Cache")


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


def test_the_commands_prepare_and_report(
    some_faces: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["data", "ffhq", str(some_faces), "--size", "36", "--resize", "box"]) == 0
    said = capsys.readouterr().out
    assert "16 training and 6 held-out pictures, 36 x 36 pixels (box), id ffhq-36-" in said
    assert "pictures.u8 (0.1 MB)" in said
    assert "skipped: 0 files" in said
    assert main(["data", "ffhq", str(some_faces), "--n", "5"]) == 1
    assert "--n is of the download alone" in capsys.readouterr().err
    assert main(["data", "folder", str(some_faces), "--verify"]) == 0
    assert "32 x 32 pixels (lanczos), id folder-32-" in capsys.readouterr().out
    (some_faces / "a note.jpg").write_bytes(b"x")
    assert main(["data", "folder", str(some_faces)]) == 0
    said = capsys.readouterr()
    assert "skipped: 1 files\n  a note.jpg is no JPEG, PNG or WebP picture" in said.out
    assert said.err == ""
    assert main(["data", "folder", str(some_faces), "--on-bad", "refuse"]) == 1
    said = capsys.readouterr()
    assert said.err.startswith("madlab: 1 files in ")
    assert said.err.count("\n") == 1


def test_importing_the_data_loads_no_pillow() -> None:
    code = "import madlab.data, sys; raise SystemExit('PIL' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


if REAL:

    def test_the_real_faces_are_whole() -> None:
        data = ffhq(REAL, 32)
        n = len(data) + len(data.held_out.images)
        assert len(data.held_out.images) == min(10_000, round(3 / 11 * n))
        assert data.report.skipped == {}
        assert data.report.copies == 0
