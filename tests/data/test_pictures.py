"""Pictures from files: every way one can be broken, and that whole ones come out right."""

import io
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from picture_files import draw, flipped, packed, png
from PIL import Image, ImageOps, PngImagePlugin

from madlab.data import folder
from madlab.data.pictures import RESIZE, decode

pytestmark = pytest.mark.usefixtures("own_cache")


def animated(format: str) -> bytes:
    return packed(draw(1), format, save_all=True, append_images=[draw(2), draw(3)])


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


@pytest.mark.parametrize("kind", ["profile", "text"])
def test_long_notes_in_a_png_spoil_no_picture(kind: str, good: Path) -> None:
    whole = folder(good).images
    file = next(iter(sorted(good.rglob("*.png"))))
    image, notes = Image.open(file), PngImagePlugin.PngInfo()
    notes.add_text("notes", "x" * 3_000_000, zip=True)
    options = {"icc_profile": bytes(3_000_000)} if kind == "profile" else {"pnginfo": notes}
    content = packed(image, **options)
    file.write_bytes(content)
    np.testing.assert_array_equal(folder(good, on_bad="refuse").images, whole)
    file.write_bytes(flipped(content, 100))
    with pytest.raises(ValueError, match="is cut short or corrupt"):
        folder(good, on_bad="refuse")


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
    laid = decode(files["half.webp"], 48, "lanczos")[0]
    assert (laid[:20] == (0, 0, 255)).all()
    assert (laid[28:] == 255).all()
    assert (decode(files["key.png"], 32, "box")[0] == 255).all()
    for name, seed in (("opaque.png", 3), ("png named.jpg", 5)):
        pixels, changes = decode(files[name], 48, "lanczos")
        np.testing.assert_array_equal(pixels, np.asarray(draw(seed)))
        assert changes == []


@pytest.mark.parametrize("orientation", range(1, 9))
def test_pictures_are_turned_as_their_camera_noted(orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    content = packed(draw(orientation, 70, 50), exif=exif)
    with Image.open(io.BytesIO(content)) as image:
        upright = packed(ImageOps.exif_transpose(image))
    expected = decode(upright, 32, "lanczos")[0]
    pixels, changes = decode(content, 32, "lanczos")
    np.testing.assert_array_equal(pixels, expected)
    assert ("turned upright" in changes) == (orientation != 1)


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
    got = decode(packed(Image.fromarray(pixels)), 32, filter)[0]
    assert abs(got.astype(float) - expected).max() <= 1


def test_importing_the_data_loads_no_pillow() -> None:
    code = "import madlab.data, sys; raise SystemExit('PIL' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
