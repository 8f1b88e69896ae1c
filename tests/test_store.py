import errno
import json
import os
import shutil
import subprocess
import sys
import time

import pytest

import madlab as ml
from madlab.store import Store, name_of
from madlab.tables import table

ABOUT = {"config": {"a": 1}, "cost": {"seconds": 1.0, "cpu_seconds": 1.0}, "provenance": {}}
ID = name_of({"a": 1})


def write(text):
    return lambda folder: (folder / "data.txt").write_text(text) and None


@pytest.fixture
def store(tmp_path):
    made = Store(tmp_path / "runs")
    made.prepare()
    return made


def test_publish_then_find(store):
    assert store.find("samples", ID) is None
    folder = store.publish("samples", ID, write("hello"), ABOUT)
    assert (folder / "data.txt").read_text() == "hello"
    assert Store(store.path).find("samples", ID) == folder
    assert store.manifest("samples", ID)["config"] == {"a": 1}
    assert [e.id for e in store.entries() if e.ok] == [ID]
    assert store.verify() == []


def test_names_do_not_depend_on_the_order_of_keys():
    assert name_of({"a": 1, "b": [2, 3]}) == name_of({"b": [2, 3], "a": 1})
    assert name_of({"a": 1}) != name_of({"a": 1.5})
    assert ID == "015abd7f5cc57a2dd94b7590f04ad808"


def test_the_first_publisher_wins(store):
    other = Store(store.path)
    store.publish("models", ID, write("first"), ABOUT)
    folder = other.publish("models", ID, write("second"), ABOUT)
    assert (folder / "data.txt").read_text() == "first"
    assert [p.name for p in (store.path / "models").iterdir()] == [ID]


def cut(file):
    file.write_bytes(file.read_bytes()[:-1])


def flip(file):
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(bytes(content))


@pytest.mark.parametrize("name", ["data.txt", "manifest.json"])
@pytest.mark.parametrize("harm", [cut, flip, lambda f: f.write_bytes(b""), lambda f: f.unlink()])
def test_a_damaged_entry_is_reported_never_used_and_replaced(store, name, harm):
    folder = store.publish("samples", ID, write("hello"), ABOUT)
    harm(folder / name)
    again = Store(store.path)
    assert len(again.verify()) == 1
    with pytest.warns(RuntimeWarning, match="damaged"):
        assert again.find("samples", ID) is None
    again.publish("samples", ID, write("hello"), ABOUT)
    assert again.find("samples", ID) == folder
    assert again.verify() == []


def test_a_foreign_entry_is_not_used(store):
    folder = store.publish("samples", ID, write("hello"), ABOUT)
    stranger = folder.with_name(name_of({"b": 2}))
    folder.rename(stranger)
    assert "published as" in Store(store.path).verify()[0]


def test_a_failing_writer_leaves_no_trace(store):
    def fail(folder):
        (folder / "half.txt").write_text("half")
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(OSError, match="what was published before is kept") as caught:
        store.publish("samples", ID, fail, ABOUT)
    assert caught.value.errno == errno.ENOSPC
    assert list((store.path / "samples").iterdir()) == []


def test_a_limit_of_the_system_on_files_is_reported(tmp_path):
    # A real failing write: the process may not write files of over 4 kB.
    code = f"""
import resource, signal
from madlab.store import Store
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
store = Store({str(tmp_path / "runs")!r})
store.prepare()
store.publish("samples", "{ID}", lambda f: (f / "x").write_text("ok") and None, {{}})
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
try:
    store.publish("models", "{ID}", lambda f: (f / "x").write_bytes(bytes(10_000)) and None, {{}})
except OSError as error:
    print(error)
"""
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "File too large" in ran.stdout
    store = Store(tmp_path / "runs")
    assert [(e.kind, e.ok) for e in store.entries()] == [("samples", True)]


def test_a_full_disk_is_noticed_before_any_work(store):
    with pytest.raises(OSError, match=r"MB left.*nothing is lost") as caught:
        store.prepare(need_bytes=10**18)
    assert caught.value.errno == errno.ENOSPC


def test_a_store_that_is_a_file_is_refused(tmp_path):
    (tmp_path / "runs").write_text("")
    with pytest.raises(NotADirectoryError, match="is a file"):
        Store(tmp_path / "runs")


def test_a_folder_of_something_else_is_refused(tmp_path):
    (tmp_path / "thesis.tex").write_text("")
    with pytest.raises(FileExistsError, match="not a madlab store"):
        Store(tmp_path)
    (tmp_path / "madlab-store.json").write_text(json.dumps({"format": 999}))
    with pytest.raises(FileExistsError, match="not a madlab store"):
        Store(tmp_path)


def test_a_store_below_a_file_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="cannot be written"):
        Store(tmp_path / "file" / "runs").prepare()


@pytest.mark.skipif(os.name != "posix", reason="permissions of POSIX systems")
def test_a_read_only_store_is_read_but_not_written(store):
    store.publish("samples", ID, write("hello"), ABOUT)
    for folder in (store.path / "samples", store.path):
        folder.chmod(0o555)
    # Root passes over permissions, so the attempt is made as another user where we are root.
    code = f"""
import os
from madlab.store import Store
if os.getuid() == 0:
    os.setuid(65534)
store = Store({str(store.path)!r})
assert store.find("samples", {ID!r}) is not None
try:
    store.prepare()
except OSError as error:
    print(error)
"""
    for folder in [store.path, *store.path.parents]:
        if folder.stat().st_uid == os.getuid() and str(folder).startswith("/tmp/"):
            folder.chmod(folder.stat().st_mode | 0o055)
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    for folder in (store.path, store.path / "samples"):
        folder.chmod(0o755)
    assert "cannot be written" in ran.stdout, ran.stderr


def test_records_survive_half_written_and_damaged_lines(store):
    for number in range(3):
        store.append({"id": f"r{number}", "generation": number, "fd": 1.5})
    file = store.path / "records.jsonl"
    with file.open("ab") as stream:
        stream.write(b'{"id": "r3", "gener')
    store.append({"id": "r4", "generation": 4, "fd": 2.5})
    assert [row["id"] for row in store.rows()] == ["r0", "r1", "r2", "r4"]
    file.write_bytes(file.read_bytes().replace(b'"generation": 1', b'"generation": 9'))
    assert [row["id"] for row in store.rows()] == ["r0", "r2", "r4"]
    assert len(store.verify()) == 2
    assert store.records()["generation"].tolist() == [0, 2, 4]


def test_the_first_record_of_an_id_counts(store):
    store.append({"id": "r", "fd": 1.0})
    store.append({"id": "r", "fd": 2.0})
    assert [row["fd"] for row in store.rows()] == [1.0]


def test_an_empty_table_has_all_columns():
    assert {"generation", "fd", "recall", "id"} <= set(table([]).columns)


def test_prune_removes_what_is_broken_and_what_is_asked(store):
    store.publish("samples", ID, write("a"), ABOUT)
    store.publish("models", ID, write("b"), ABOUT)
    store.append({"id": "r", "fd": 1.0})
    old = store.path / "samples" / f".{'0' * 32}.part"
    young = store.path / "samples" / f".{'1' * 32}.part"
    for folder in (old, young):
        folder.mkdir()
    os.utime(old, (time.time() - 100_000,) * 2)
    cut(store.path / "models" / ID / "data.txt")
    planned = store.prune(dry_run=True)
    assert {e.path.name for e in planned} == {old.name, ID}
    assert old.exists()
    assert len(store.prune()) == 2
    assert not old.exists()
    assert young.exists()
    assert [e.id for e in store.prune(samples=True)] == [ID]
    assert store.find("samples", ID) is None
    assert len(store.rows()) == 1


DESKTOPS = (".DS_Store", "desktop.ini", "Thumbs.db", "lost+found", "._x", ".nfs0001", ".Trash-1000")


def litter(folder):
    for name in DESKTOPS:
        (folder / name).mkdir() if name == "lost+found" else (folder / name).write_bytes(b"x")


def test_what_desktops_leave_spoils_no_store_and_stays(tmp_path):
    litter(tmp_path)
    store = Store(tmp_path)
    store.publish("samples", ID, write("a"), ABOUT)
    for folder in (store.path / "samples", store.path / "samples" / ID):
        litter(folder)
    (store.path / "samples" / "my notes.txt").write_text("not ours")
    again = Store(tmp_path)
    assert again.verify() == []
    assert again.find("samples", ID) is not None
    assert again.prune(samples=True, dry_run=True)[0].id == ID
    again.prune()
    assert (store.path / "samples" / "my notes.txt").exists()
    assert {path.name for path in (store.path / "samples").iterdir()} == {
        ID, "my notes.txt", *DESKTOPS
    }  # fmt: skip


def test_a_chain_runs_on_a_drive_that_can_neither_sync_nor_say_its_size(tmp_path, monkeypatch):
    def refuse(_):
        raise OSError(errno.EINVAL, "Invalid argument")

    usage = type(shutil.disk_usage(tmp_path))
    monkeypatch.setattr(os, "fsync", refuse)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(0, 0, 0))
    data = ml.data.gaussian(dimensions=2, n=500, seed=0)
    loop = ml.Loop.fully_synthetic(20)
    list(ml.Chain(loop, "gaussian", data, store=tmp_path, n_evaluate=20).run(2))
    assert Store(tmp_path).verify() == []
    assert len(Store(tmp_path).rows()) == 2


def test_kinds_are_known(store):
    with pytest.raises(ValueError, match="'videos'"):
        store.find("videos", ID)
