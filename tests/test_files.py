"""Whole or not at all, wherever a write is cut short."""

import errno
import hashlib
import math
import os
import shutil
import time

import pytest

from madlab import files


def names(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("durable", [False, True])
def test_a_file_is_written_as_it_is_given(tmp_path, durable):
    path = tmp_path / "a.txt"
    files.write(path, "ä\r\nb\n", durable=durable)
    assert path.read_bytes() == b"\xc3\xa4\r\nb\n"
    files.write(path, b"\x00\x01", durable=durable)
    assert path.read_bytes() == b"\x00\x01"
    assert names(tmp_path) == ["a.txt"]


@pytest.mark.parametrize("there", [False, True])
def test_a_block_that_fails_leaves_what_was_there(tmp_path, there):
    path = tmp_path / "a.txt"
    if there:
        path.write_text("before")

    def write():
        with files.whole(path) as aside:
            aside.write_text("half")
            assert files.is_part(aside)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write()
    assert names(tmp_path) == (["a.txt"] if there else [])
    assert not there or path.read_text() == "before"


@pytest.mark.parametrize("operation", ["replace", "fsync"])
def test_a_disk_that_fails_leaves_what_was_there(tmp_path, monkeypatch, operation):
    path = tmp_path / "a.txt"
    path.write_text("before")

    def refuse(*_):
        raise OSError(errno.ENOSPC, "no space")

    monkeypatch.setattr(os, operation, refuse)
    monkeypatch.setattr(type(path), "replace", refuse) if operation == "replace" else None
    with pytest.raises(OSError, match="no space"):
        files.write(path, "after", durable=True)
    assert names(tmp_path) == ["a.txt"]
    assert path.read_text() == "before"


@pytest.mark.parametrize("answer", ["EINVAL", "EBADF", "ENOTSUP", "EACCES"])
def test_a_drive_that_cannot_sync_takes_files_all_the_same(tmp_path, monkeypatch, answer):
    def refuse(_):
        raise OSError(getattr(errno, answer), os.strerror(getattr(errno, answer)))

    monkeypatch.setattr(os, "fsync", refuse)
    files.write(tmp_path / "a.txt", "whole", durable=True)
    files.append(tmp_path / "a.txt", "!", durable=True)
    files.sync(tmp_path)
    assert (tmp_path / "a.txt").read_text() == "whole\n!\n"
    monkeypatch.setattr(os, "fsync", lambda _: (_ for _ in ()).throw(OSError(errno.EIO, "broken")))
    with pytest.raises(OSError, match="broken"):
        files.sync(tmp_path)


@pytest.mark.parametrize(("refusals", "taken"), [(2, True), (99, False)])
def test_a_name_that_is_refused_for_a_moment_is_given_later(tmp_path, monkeypatch, refusals, taken):
    waits, replace = [], os.replace

    def scanned(source, target):
        if len(waits) < refusals:
            raise PermissionError(errno.EACCES, "in use by another process")
        replace(source, target)

    monkeypatch.setattr(files.Path, "replace", scanned)
    monkeypatch.setattr(files.time, "sleep", waits.append)
    if taken:
        files.write(tmp_path / "a.txt", "whole")
        assert (tmp_path / "a.txt").read_text() == "whole"
    else:
        with pytest.raises(PermissionError, match="in use"):
            files.write(tmp_path / "a.txt", "whole")
        assert names(tmp_path) == []
    assert 0 < sum(waits) < 1


def test_a_drive_that_does_not_say_its_size_is_not_full(tmp_path, monkeypatch):
    assert 0 < files.free(tmp_path) < math.inf
    usage = type(shutil.disk_usage(tmp_path))
    monkeypatch.setattr(files.shutil, "disk_usage", lambda _: usage(0, 0, 0))
    assert files.free(tmp_path) == math.inf


def test_lines_are_added_each_on_its_own(tmp_path):
    path = tmp_path / "records.jsonl"
    files.append(path, "one")
    files.append(path, "two", durable=True)
    assert path.read_bytes() == b"one\ntwo\n"


def test_after_a_kill_within_a_line_the_next_starts_anew(tmp_path):
    path = tmp_path / "records.jsonl"
    path.write_bytes(b"one\nhal")
    files.append(path, "two")
    assert path.read_bytes() == b"one\nhal\ntwo\n"


def test_parts_are_hidden_and_no_two_have_one_name(tmp_path):
    parts = {files.beside(tmp_path / "model") for _ in range(100)}
    assert len(parts) == 100
    for part in parts:
        assert part.parent == tmp_path
        assert part.name.startswith(".model.")
        assert files.is_part(part)
    for other in ("model", ".model", "model.part"):
        assert not files.is_part(tmp_path / other)


def folder(path, content):
    path.mkdir()
    (path / "content").write_text(content)
    return path


def intact(path):
    return (path / "content").read_text() != "damaged"


def test_a_folder_is_published_in_one_step(tmp_path):
    files.publish(folder(tmp_path / ".new", "whole"), tmp_path / "final", intact=intact)
    assert names(tmp_path) == ["final"]
    assert intact(tmp_path / "final")


def test_the_first_publisher_wins(tmp_path):
    folder(tmp_path / "final", "first")
    files.publish(folder(tmp_path / ".new", "second"), tmp_path / "final", intact=intact)
    assert names(tmp_path) == ["final"]
    assert (tmp_path / "final" / "content").read_text() == "first"


def test_a_damaged_folder_is_replaced(tmp_path):
    folder(tmp_path / "final", "damaged")
    files.publish(folder(tmp_path / ".new", "whole"), tmp_path / "final", intact=intact)
    assert names(tmp_path) == ["final"]
    assert (tmp_path / "final" / "content").read_text() == "whole"


def test_a_folder_that_cannot_be_named_is_an_error(tmp_path):
    aside = folder(tmp_path / ".new", "whole")
    with pytest.raises(OSError, match="No such file"):
        files.publish(aside, tmp_path / "missing" / "final", intact=intact)
    assert intact(aside)


def test_files_and_folders_can_be_waited_for(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"content")
    files.sync(path)
    files.sync(tmp_path)
    assert path.read_bytes() == b"content"


def test_a_digest_is_that_of_the_content(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"x" * 1_000_000)
    assert files.sha256(path) == hashlib.sha256(b"x" * 1_000_000).hexdigest()


def test_what_was_not_changed_for_a_day_is_old(tmp_path):
    path = tmp_path / "a"
    assert not files.is_old(path)
    path.touch()
    assert not files.is_old(path)
    then = time.time() - 25 * 3600
    os.utime(path, (then, then))
    assert files.is_old(path)


def test_an_error_of_the_disk_says_what_and_what_to_do():
    def fail():
        with files.explained("the store a is full", "free some space"):
            raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(OSError, match="free some space") as caught:
        fail()
    assert caught.value.errno == errno.ENOSPC
    words = "the store a is full (No space left on device); free some space"
    assert caught.value.strerror == words
    assert isinstance(caught.value.__cause__, OSError)


def test_other_errors_pass_as_they_are():
    def fail():
        with files.explained("the store a", "free some space"):
            raise ValueError("something else")

    with pytest.raises(ValueError, match=r"^something else$"):
        fail()
