"""Every way a download can fail, against a server on this machine that fails on purpose."""

import hashlib
import io
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from filelock import FileLock
from PIL import Image

from madlab.cli import main
from madlab.data import ffhq

download = import_module("madlab.data.ffhq")
Remote = tuple[str, str]
CONTENT = np.random.default_rng(0).bytes(300_000)


class Server(ThreadingHTTPServer):
    """Serves `files`; `misbehave` may answer in place of the server, and then returns True."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.files = {"/table": CONTENT}
        self.asked: list[str] = []
        self.misbehave: Callable[[Handler, bytes], bool] | None = None

    def remote(self, path: str = "/table", content: bytes = CONTENT) -> Remote:
        return f"http://127.0.0.1:{self.server_port}{path}", hashlib.md5(content).hexdigest()


class Handler(BaseHTTPRequestHandler):
    server: Server

    def log_message(self, *words: object) -> None:
        pass

    def head(self, status: int, length: int, type: str = "image/png") -> None:
        self.send_response(status)
        self.send_header("Content-Type", type)
        self.send_header("Content-Length", str(length))
        self.end_headers()

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        content = self.server.files.get(self.path)
        if content is None:
            self.send_error(404)
            return
        if self.server.misbehave is not None and self.server.misbehave(self, content):
            return
        self.head(200, len(content))
        self.wfile.write(content)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Server]:
    """A server of this test's own, to which the way is tried again without a pause."""
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setenv("MADLAB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("pooch.core.time", SimpleNamespace(sleep=lambda seconds: None))
    with Server() as found:
        thread = threading.Thread(target=found.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield found
        found.shutdown()
        thread.join()


def first(tries: int, answer: Callable[[Handler, bytes], object]) -> Callable[..., bool]:
    """Misbehave at the first so many requests, then no more."""

    def misbehave(handler: Handler, content: bytes) -> bool:
        bad = len(handler.server.asked) <= tries
        if bad:
            answer(handler, content)
        return bad

    return misbehave


def cut(handler: Handler, content: bytes) -> None:
    """Promise everything and break off in the middle."""
    handler.head(200, len(content))
    handler.wfile.write(content[: len(content) // 2])


def fetch(server: Server, folder: Path) -> None:
    download.fetch({"table": server.remote()}, folder)


def refused(server: Server, folder: Path, message: str) -> None:
    """Fetch in vain; the error says where it was, why, and what to do, and nothing is left."""
    url, _ = server.remote()
    with pytest.raises(OSError, match=message) as caught:
        fetch(server, folder)
    said = str(caught.value)
    assert said.startswith(f"{url} could not be downloaded (")
    assert "by hand from https://github.com/NVlabs/ffhq-dataset" in said
    assert len(said.splitlines()) == 1
    assert list(folder.iterdir()) == []


def test_a_file_is_fetched_once_and_again_when_it_is_damaged(
    server: Server, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "table"
    for _ in range(2):
        fetch(server, tmp_path)
        assert path.read_bytes() == CONTENT
    assert server.asked == ["/table"]
    for damaged in (CONTENT[:-1] + b"?", CONTENT[:1000], b""):
        path.write_bytes(damaged)
        fetch(server, tmp_path)
        assert path.read_bytes() == CONTENT
    assert [file.name for file in tmp_path.iterdir()] == ["table"]
    assert capfd.readouterr() == ("", "")


def test_others_may_read_a_file_as_far_as_the_users_mask_lets_them(
    server: Server, tmp_path: Path
) -> None:
    fetch(server, tmp_path)
    (tmp_path / "other").touch()
    assert (tmp_path / "table").stat().st_mode == (tmp_path / "other").stat().st_mode


@pytest.mark.parametrize(
    "answer",
    [
        cut,
        lambda handler, content: handler.send_error(429),
        lambda handler, content: handler.send_error(500),
        lambda handler, content: handler.send_error(503),
        lambda handler, content: (handler.head(200, 5), handler.wfile.write(b"other")),
        lambda handler, content: handler.connection.close(),
    ],
)
def test_a_server_that_recovers_is_tried_again(
    answer: Callable[[Handler, bytes], object], server: Server, tmp_path: Path
) -> None:
    server.misbehave = first(3, answer)
    fetch(server, tmp_path)
    assert (tmp_path / "table").read_bytes() == CONTENT
    assert len(server.asked) == 4


def test_a_download_that_is_always_cut_short_is_given_up(server: Server, tmp_path: Path) -> None:
    server.misbehave = first(99, cut)
    refused(server, tmp_path, "150000 bytes read, 150000 more expected")
    assert len(server.asked) == 4


def test_a_wrong_checksum_is_refused_and_not_kept(server: Server, tmp_path: Path) -> None:
    for content in (CONTENT[:-1] + b"?", CONTENT + b"more"):
        server.files["/table"] = content
        refused(server, tmp_path, "MD5 hash of downloaded file .* does not match")


def test_a_web_page_in_place_of_the_file_is_refused(server: Server, tmp_path: Path) -> None:
    def page(handler: Handler, content: bytes) -> None:
        handler.head(200, 5, "text/html; charset=utf-8")
        handler.wfile.write(b"quota")

    server.misbehave = first(99, page)
    refused(server, tmp_path, "a web page came in its place; Drive's quota")
    assert len(server.asked) == 1


@pytest.mark.parametrize(("code", "tries"), [(403, 1), (404, 1), (429, 4), (503, 4)])
def test_an_error_of_the_server_is_named(
    code: int, tries: int, server: Server, tmp_path: Path
) -> None:
    server.misbehave = first(99, lambda handler, content: handler.send_error(code))
    refused(server, tmp_path, f"{code}")
    assert len(server.asked) == tries


def test_a_silent_server_is_given_up(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(download, "_SECONDS", 0.05)
    done = threading.Event()
    server.misbehave = first(99, lambda handler, content: done.wait())
    refused(server, tmp_path, "timed out")
    done.set()


def test_a_full_disk_is_named_and_nothing_is_left(server: Server, tmp_path: Path) -> None:
    code = (
        "import resource, sys; from pathlib import Path; "
        "from madlab.data.ffhq import fetch; "
        "resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, 40_000)); "
        "fetch({'table': tuple(sys.argv[2:])}, Path(sys.argv[1]))"
    )
    command = [sys.executable, "-c", code, str(tmp_path), *server.remote()]
    said = subprocess.run(command, capture_output=True, text=True, check=False).stderr
    assert "could not be downloaded ([Errno 27] File too large)" in said
    assert len(server.asked) == 1
    assert list(tmp_path.iterdir()) == []


def test_without_a_network_the_command_says_so_in_a_line(
    server: Server,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    for url, why in (
        (f"http://127.0.0.1:{port}/table", "refused"),
        ("https://no-such-host.invalid/table", "resolve"),
    ):
        monkeypatch.setattr(download, "TABLE", (url, "0" * 32))
        assert main(["data", "ffhq", str(tmp_path / "faces"), "--download"]) == 1
        said = capsys.readouterr()
        assert said.err.startswith(f"madlab: {url} could not be downloaded (")
        assert why in said.err
        assert "needs a network" in said.err
        assert said.err.count("\n") == 1
        assert said.out == ""
    assert [file.name for file in (tmp_path / "faces").iterdir()] == [".lock"]


@pytest.fixture
def table(server: Server, monkeypatch: pytest.MonkeyPatch) -> Remote:
    """The table of 30 faces as NVIDIA writes it, with the thumbnails it names, in its place."""
    faces = {}
    for i in range(30):
        stream = io.BytesIO()
        pixels = np.random.default_rng(i).integers(0, 256, (128, 128, 3), np.uint8)
        Image.fromarray(pixels).save(stream, "PNG")
        server.files[f"/uc?id={i}"] = stream.getvalue()
        url, md5 = server.remote(f"/uc?id={i}", stream.getvalue())
        thumb = {"file_url": url, "file_size": 5, "file_md5": md5}
        landmarks = [[1.5, -2.0], {"a, b": "}"}]
        faces[str(i)] = {"category": "training", "image": landmarks, "thumbnail": thumb}
    content = json.dumps(faces, indent=1).encode()
    server.files["/table"] = content
    monkeypatch.setattr(download, "TABLE", server.remote("/table", content))
    return download.TABLE


def test_thumbnails_are_fetched_by_the_table_and_prepared(
    server: Server,
    table: Remote,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    place = tmp_path / "my faces"
    assert main(["data", "ffhq", str(place), "--download", "--n", "22", "--size", "128"]) == 0
    said = capsys.readouterr().out
    assert "16 training and 6 held-out pictures, 128 x 128 pixels" in said
    assert "texts, ignored: 1 (ffhq-dataset-v2.json)\nskipped: 0 files" in said
    assert f"the pictures are in {place}; set MADLAB_FFHQ to it" in said
    assert len(server.asked) == 23
    data = ffhq(place, 128)
    last = np.random.default_rng(21).integers(0, 256, (128, 128, 3), np.uint8)
    np.testing.assert_array_equal(data.held_out.images[5], last)
    # More of them later: what is there stays.
    download.thumbnails(place, 30)
    assert len(server.asked) == 31
    assert (place / "00000" / "00029.png").exists()


def test_thumbnails_go_to_the_cache_folder_by_default(table: Remote, tmp_path: Path) -> None:
    done: list[tuple[int, int]] = []
    place = download.thumbnails(None, 3, progress=lambda *now: done.append(now))
    assert place == tmp_path / "cache" / "ffhq-thumbnails128x128"
    assert done == [(1, 3), (2, 3), (3, 3)]


def test_a_thumbnail_that_fails_stops_the_run_and_the_next_goes_on(
    server: Server, table: Remote, tmp_path: Path
) -> None:
    good = server.files.pop("/uc?id=7")
    with pytest.raises(OSError, match=r"id=7 could not be downloaded \(HTTP Error 404"):
        download.thumbnails(tmp_path / "faces", 30)
    there = {file.name for file in (tmp_path / "faces").rglob("*.png")}
    assert "00007.png" not in there
    server.files["/uc?id=7"] = good
    server.asked.clear()
    download.thumbnails(tmp_path / "faces", 30)
    assert len(server.asked) == 30 - len(there)
    assert len(list((tmp_path / "faces").rglob("*.png"))) == 30


def test_a_wrong_request_is_answered_with_what_is_allowed(table: Remote, tmp_path: Path) -> None:
    for n in (0, 70_001):
        with pytest.raises(ValueError, match=f"n is {n}; it must be at least 1 and at most 70,000"):
            download.thumbnails(tmp_path, n)
    (tmp_path / "file").write_text("x")
    with pytest.raises(NotADirectoryError, match=r"file is a file; give the folder"):
        download.thumbnails(tmp_path / "file", 3)


def background(place: Path, remote: Remote) -> "subprocess.Popen[str]":
    code = (
        "import sys; from importlib import import_module; from pathlib import Path; "
        "module = import_module('madlab.data.ffhq'); module.TABLE = tuple(sys.argv[2:]); "
        "print(module.thumbnails(Path(sys.argv[1]), 30))"
    )
    command = [sys.executable, "-c", code, str(place), *remote]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_a_second_process_waits_for_the_first(
    server: Server, table: Remote, tmp_path: Path
) -> None:
    place = tmp_path / "faces"
    place.mkdir()
    with FileLock(place / ".lock"):
        process = background(place, table)
        assert process.stderr is not None
        assert "another process downloads into" in process.stderr.readline()
        assert server.asked == []
    out, _ = process.communicate()
    assert out.strip() == str(place)
    assert len(server.asked) == 31


def test_what_a_kill_in_the_middle_leaves_is_removed_by_the_next_run(
    server: Server, table: Remote, tmp_path: Path
) -> None:
    place = tmp_path / "faces"
    stuck = threading.Event()

    def stall(handler: Handler, content: bytes) -> None:
        cut(handler, content)
        handler.wfile.flush()
        stuck.wait()

    server.misbehave = first(1, stall)
    process = background(place, table)
    while not list(place.glob(".tmp*.part")):
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    stuck.set()
    assert list(place.glob("tmp*"))
    for name in ("tmp_of_mine", "tmpmine.txt"):
        (place / name).write_text("as long a name as those of pooch")
    # The lock went with its process, so nobody waits for it.
    download.thumbnails(place, 30)
    assert len(list(place.rglob("*.png"))) == 30
    assert sorted(file.name for file in place.rglob("tmp*")) == ["tmp_of_mine", "tmpmine.txt"]
    assert list(place.rglob(".tmp*")) == []
