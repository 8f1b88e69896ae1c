"""The cache of prepared pictures: damaged, full, killed, shared."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from picture_files import flipped
from platformdirs.macos import MacOS
from platformdirs.windows import Windows

from madlab.data import cache, ffhq, folder

pytestmark = pytest.mark.usefixtures("own_cache")

FAULTS = Path(__file__).parents[1] / "faults"


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


def test_the_cache_lies_where_the_platform_wants_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MADLAB_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", "/xdg")
    monkeypatch.setenv("HOME", "/home/me")
    assert cache.location() == Path("/xdg/madlab")
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache.location() == Path("/home/me/.cache/madlab")
    monkeypatch.setattr("platformdirs.PlatformDirs", MacOS)
    assert cache.location() == Path("/home/me/Library/Caches/madlab")
    monkeypatch.setattr("platformdirs.PlatformDirs", Windows)
    monkeypatch.setattr("platformdirs.windows.get_win_folder", lambda name: "/local")
    assert cache.location().as_posix().replace("\\", "/") == "/local/madlab/Cache"
