"""From files to a data set: requests, subsets, names, reports."""

import os
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from picture_files import contents, draw, fill, packed, zipped

from madlab.cli import main
from madlab.data import ffhq, folder, prepare

pytestmark = pytest.mark.usefixtures("own_cache")


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
            "resize is 'no'; it must be one of 'lanczos'",
            lambda: folder(good, resize="no"),
        ),
        (ValueError, "on_bad is 'no'; it must be one of 'skip'", lambda: folder(good, on_bad="no")),
        (ValueError, "n is 0; it must be at least 1", lambda: folder(good, n=0)),
        (
            ValueError,
            "n, of the training pictures in .*, is 999; it must be at",
            lambda: folder(good, n=999),
        ),
        (TypeError, "n must be a whole number, not 1.5", lambda: folder(good, n=1.5)),
        (ValueError, "no FFHQ is named: give a path, or set MADLAB_FFHQ", ffhq),
    ]
    for error, message, request in cases:
        with pytest.raises(error, match=message):
            request()


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
    monkeypatch.setattr(prepare, "decode", None)
    again = folder(good)
    assert again.id == first.id
    assert again.report == first.report
    np.testing.assert_array_equal(again.images, first.images)


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
