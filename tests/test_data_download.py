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

import numpy as np
import pytest
from PIL import Image

from madlab.cli import main
from madlab.data import ffhq

download = import_module("madlab.data.download")
Remote = download.Remote
CONTENT = np.random.default_rng(0).bytes(300_000)


class Server(ThreadingHTTPServer):
    """Serves `files`; `misbehave` may answer in place of the server, and then returns True."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.files = {"/table": CONTENT}
        self.asked: list[tuple[str, str | None]] = []
        self.ranges = True
        self.misbehave: Callable[[BaseHTTPRequestHandler, bytes, int], bool] | None = None

    def remote(self, path: str = "/table", content: bytes = CONTENT) -> Remote:
        url = f"http://127.0.0.1:{self.server_port}{path}"
        return Remote(url, len(content), hashlib.md5(content).hexdigest())


class Handler(BaseHTTPRequestHandler):
    server: Server

    def log_message(self, *words: object) -> None:
        pass

    def head(self, status: int, length: int, kind: str = "image/png", sent: str = "") -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(length))
        if sent:
            self.send_header("Content-Range", sent)
        self.end_headers()

    def do_GET(self) -> None:
        wanted = self.headers.get("Range")
        self.server.asked.append((self.path, wanted))
        content = self.server.files.get(self.path)
        if content is None:
            self.send_error(404)
            return
        start = 0
        if wanted and self.server.ranges:
            start = int(wanted.removeprefix("bytes=").removesuffix("-"))
            if start >= len(content):
                self.send_error(416)
                return
        if self.server.misbehave is not None and self.server.misbehave(self, content, start):
            return
        if start:
            last = len(content) - 1
            self.head(206, len(content) - start, sent=f"bytes {start}-{last}/{len(content)}")
        else:
            self.head(200, len(content))
        self.wfile.write(content[start:])


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Server]:
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setenv("MADLAB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(download, "PAUSE", 0.001)
    with Server() as found:
        thread = threading.Thread(target=found.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield found
        found.shutdown()
        thread.join()


def cut(bytes_a_try: int) -> Callable[[Handler, bytes, int], bool]:
    """Promise everything and break off after some bytes."""

    def answer(handler: Handler, content: bytes, start: int) -> bool:
        rest = content[start:]
        sent = f"bytes {start}-{len(content) - 1}/{len(content)}" if start else ""
        handler.head(206 if start else 200, len(rest), sent=sent)
        handler.wfile.write(rest[:bytes_a_try])
        return True

    return answer


def refused(server: Server, path: Path, message: str) -> str:
    """Fetch in vain; return the error, which says where it was, why, and what to do."""
    remote = server.remote()
    with pytest.raises(OSError, match=message) as caught:
        download.fetch(remote, path)
    said = str(caught.value)
    assert said.startswith(f"{remote.url} could not be downloaded (")
    assert "by hand from https://github.com/NVlabs/ffhq-dataset" in said
    assert len(said.splitlines()) == 1
    assert not path.exists()
    return said


def test_a_file_is_fetched_once(server: Server, tmp_path: Path) -> None:
    path = tmp_path / "table"
    for _ in range(2):
        assert download.fetch(server.remote(), path) == path
        assert path.read_bytes() == CONTENT
    assert server.asked == [("/table", None)]
    path.write_bytes(CONTENT[:-1] + b"?")
    download.fetch(server.remote(), path)
    assert path.read_bytes() == CONTENT
    assert [file.name for file in tmp_path.iterdir()] == ["table"]


def test_a_connection_that_breaks_goes_on_where_it_was(server: Server, tmp_path: Path) -> None:
    server.misbehave = cut(100_000)
    download.fetch(server.remote(), tmp_path / "table")
    assert (tmp_path / "table").read_bytes() == CONTENT
    assert [wanted for _, wanted in server.asked] == [None, "bytes=100000-", "bytes=200000-"]


def test_a_download_cut_short_keeps_what_came_for_the_next_run(
    server: Server, tmp_path: Path
) -> None:
    server.misbehave = cut(10_000)
    said = refused(server, tmp_path / "table", "it ended before its 300,000 bytes")
    assert "40,000 bytes are kept" in said
    assert len(server.asked) == 4
    server.misbehave = None
    download.fetch(server.remote(), tmp_path / "table")
    assert (tmp_path / "table").read_bytes() == CONTENT
    assert server.asked[-1] == ("/table", "bytes=40000-")


def test_a_server_without_ranges_sends_all_again(server: Server, tmp_path: Path) -> None:
    (tmp_path / "table.part").write_bytes(CONTENT[:50_000])
    server.ranges = False
    download.fetch(server.remote(), tmp_path / "table")
    assert (tmp_path / "table").read_bytes() == CONTENT
    assert server.asked == [("/table", "bytes=50000-")]


def test_a_range_that_was_not_asked_for_is_not_appended(server: Server, tmp_path: Path) -> None:
    (tmp_path / "table.part").write_bytes(CONTENT[:50_000])

    def wrong(handler: Handler, content: bytes, start: int) -> bool:
        if start:
            handler.head(206, len(content), sent=f"bytes 0-{len(content) - 1}/{len(content)}")
            handler.wfile.write(content)
        return bool(start)

    server.misbehave = wrong
    download.fetch(server.remote(), tmp_path / "table")
    assert (tmp_path / "table").read_bytes() == CONTENT


def test_a_wrong_checksum_is_refused_and_not_kept(server: Server, tmp_path: Path) -> None:
    for content in (CONTENT[:-1] + b"?", CONTENT + b"more"):
        server.files["/table"] = content
        server.asked.clear()
        refused(server, tmp_path / "table", "what came is another file, not of MD5 ")
        assert list(tmp_path.glob("table*")) == []
        assert len(server.asked) == 1


def test_a_wrong_beginning_from_an_earlier_run_is_fetched_again(
    server: Server, tmp_path: Path
) -> None:
    for part in (bytes(50_000), bytes(len(CONTENT)), bytes(len(CONTENT) + 5)):
        (tmp_path / "table").unlink(missing_ok=True)
        (tmp_path / "table.part").write_bytes(part)
        download.fetch(server.remote(), tmp_path / "table")
        assert (tmp_path / "table").read_bytes() == CONTENT


def test_a_file_that_was_whole_but_not_named_yet_is_not_fetched_again(
    server: Server, tmp_path: Path
) -> None:
    (tmp_path / "table.part").write_bytes(CONTENT)
    download.fetch(server.remote(), tmp_path / "table")
    assert server.asked == []


def test_a_web_page_in_place_of_the_file_is_refused(server: Server, tmp_path: Path) -> None:
    def page(handler: Handler, content: bytes, start: int) -> bool:
        handler.head(200, 5, "text/html; charset=utf-8")
        handler.wfile.write(b"quota")
        return True

    server.misbehave = page
    refused(server, tmp_path / "table", "a web page came in its place; Drive's quota")
    assert len(server.asked) == 1


@pytest.mark.parametrize(("code", "tries"), [(403, 1), (404, 1), (429, 4), (503, 4)])
def test_an_error_of_the_server_is_named(
    code: int, tries: int, server: Server, tmp_path: Path
) -> None:
    def fail(handler: Handler, content: bytes, start: int) -> bool:
        handler.send_error(code)
        return True

    server.misbehave = fail
    refused(server, tmp_path / "table", f"HTTP Error {code}")
    assert len(server.asked) == tries


def test_a_server_that_recovers_is_tried_again(server: Server, tmp_path: Path) -> None:
    def fail_first(handler: Handler, content: bytes, start: int) -> bool:
        if len(server.asked) == 1:
            handler.send_error(500)
        return len(server.asked) == 1

    server.misbehave = fail_first
    download.fetch(server.remote(), tmp_path / "table")
    assert (tmp_path / "table").read_bytes() == CONTENT


def test_a_part_longer_than_the_servers_file_begins_anew(server: Server, tmp_path: Path) -> None:
    server.files["/table"] = CONTENT[:1000]
    (tmp_path / "table.part").write_bytes(CONTENT[:2000])
    refused(server, tmp_path / "table", "it ended before its")
    assert (tmp_path / "table.part").stat().st_size == 1000


def test_a_silent_server_is_given_up(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(download, "_SECONDS", 0.05)
    done = threading.Event()

    def sleep(handler: Handler, content: bytes, start: int) -> bool:
        return done.wait(10)

    server.misbehave = sleep
    refused(server, tmp_path / "table", "timed out")
    done.set()


def unreachable() -> Remote:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    return Remote(f"http://127.0.0.1:{port}/table", len(CONTENT), "0" * 32)


def test_without_a_network_the_command_says_so_in_a_line(
    server: Server,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    nameless = Remote("https://no-such-host.invalid/table", 5, "0" * 32)
    for remote, why in ((unreachable(), "refused"), (nameless, "Errno")):
        monkeypatch.setattr(download, "TABLE", remote)
        assert main(["data", "ffhq", str(tmp_path / "faces"), "--download"]) == 1
        said = capsys.readouterr()
        assert said.err.startswith(f"madlab: {remote.url} could not be downloaded (")
        assert why in said.err
        assert "needs a network" in said.err
        assert said.err.count("\n") == 1
        assert said.out == ""
    assert [file.name for file in (tmp_path / "faces").iterdir()] == [".lock"]


@pytest.fixture
def table(server: Server) -> Remote:
    """The table of 30 faces as NVIDIA writes it, with the thumbnails it names."""
    faces = {}
    for i in range(30):
        stream = io.BytesIO()
        pixels = np.random.default_rng(i).integers(0, 256, (128, 128, 3), np.uint8)
        Image.fromarray(pixels).save(stream, "PNG")
        server.files[f"/uc?id={i}"] = stream.getvalue()
        remote = server.remote(f"/uc?id={i}", stream.getvalue())
        thumb = {"file_url": remote.url, "file_size": remote.bytes, "file_md5": remote.md5}
        landmarks = [[1.5, -2.0], {"a, b": "}"}]
        faces[str(i)] = {"category": "training", "image": landmarks, "thumbnail": thumb}
    content = json.dumps(faces, indent=1).encode()
    server.files["/table"] = content
    return server.remote("/table", content)


def test_thumbnails_are_fetched_by_the_table_and_prepared(
    server: Server,
    table: Remote,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(download, "TABLE", table)
    place = tmp_path / "my faces"
    assert main(["data", "ffhq", str(place), "--download", "--n", "22", "--size", "128"]) == 0
    said = capsys.readouterr().out
    assert "16 training and 6 held-out pictures, 128 x 128 pixels" in said
    assert "no pictures, ignored: 2 files\nskipped: 0 files" in said
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
    place = download.thumbnails(None, 3, table=table, progress=lambda *now: done.append(now))
    assert place == tmp_path / "cache" / "ffhq-thumbnails128x128"
    assert done == [(1, 3), (2, 3), (3, 3)]


def test_a_thumbnail_that_fails_stops_the_run_and_the_next_goes_on(
    server: Server, table: Remote, tmp_path: Path
) -> None:
    good = server.files.pop("/uc?id=7")
    with pytest.raises(OSError, match=r"id=7 could not be downloaded \(HTTP Error 404"):
        download.thumbnails(tmp_path / "faces", 30, table=table)
    there = {file.name for file in (tmp_path / "faces").rglob("*.png")}
    assert "00007.png" not in there
    server.files["/uc?id=7"] = good
    server.asked.clear()
    download.thumbnails(tmp_path / "faces", 30, table=table)
    assert len(server.asked) == 30 - len(there)
    assert len(list((tmp_path / "faces").rglob("*.png"))) == 30


def test_a_wrong_request_is_answered_with_what_is_allowed(table: Remote, tmp_path: Path) -> None:
    for n in (0, 70_001):
        with pytest.raises(ValueError, match=f"n is {n}; it must be from 1 to 70,000"):
            download.thumbnails(tmp_path, n, table=table)
    (tmp_path / "file").write_text("x")
    with pytest.raises(NotADirectoryError, match=r"file is a file; give the folder"):
        download.thumbnails(tmp_path / "file", 3, table=table)


def background(place: Path, remote: Remote) -> "subprocess.Popen[str]":
    code = (
        "import sys; from pathlib import Path; "
        "from madlab.data.download import Remote, thumbnails; "
        "table = Remote(sys.argv[2], int(sys.argv[3]), sys.argv[4]); "
        "print(thumbnails(Path(sys.argv[1]), 30, table=table))"
    )
    command = [sys.executable, "-c", code, str(place), *map(str, remote)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_a_second_process_waits_for_the_first(
    server: Server, table: Remote, tmp_path: Path
) -> None:
    place = tmp_path / "faces"
    place.mkdir()
    with download.locked(place / ".lock"):
        process = background(place, table)
        assert process.stderr is not None
        assert "another process downloads into" in process.stderr.readline()
        assert server.asked == []
    out, _ = process.communicate()
    assert out.strip() == str(place)
    assert len(server.asked) == 31


def test_a_kill_in_the_middle_leaves_a_part_that_is_gone_on_with(
    server: Server, table: Remote, tmp_path: Path
) -> None:
    place = tmp_path / "faces"
    half = len(server.files["/table"]) // 2
    stuck = threading.Event()

    def stall(handler: Handler, content: bytes, start: int) -> bool:
        handler.head(200, len(content))
        handler.wfile.write(content[:half])
        handler.wfile.flush()
        return stuck.wait(20)

    server.misbehave = stall
    process = background(place, table)
    part = place / "ffhq-dataset-v2.json.part"
    while not part.exists() or part.stat().st_size < half:
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    stuck.set()
    server.misbehave = None
    assert not part.with_suffix("").exists()
    # The lock went with its process, so nobody waits for it.
    download.thumbnails(place, 30, table=table)
    assert server.asked[1] == ("/table", f"bytes={half}-")
    assert len(list(place.rglob("*.png"))) == 30
    assert list(place.rglob("*.part")) == []
