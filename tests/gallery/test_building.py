"""The gallery: what is built from real little chains is what those chains hold."""

import errno
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import build_gallery as script
import numpy as np
import pandas as pd
import pytest
from ink_maps import by_ink
from PIL import Image

from madlab import Chain, Loop, data, gallery
from madlab.cli import main
from madlab.gallery import files
from madlab.gallery.chains import Finished, group, sheet_generations
from madlab.store import Store
from madlab.tables import COLUMNS

LOOPS = [Loop.fully_synthetic(300), Loop.fresh_data(150, 150, n_initial=300)]
BIASES = (1.0, 0.5)


def run(store, loop, bias=1.0, seed=0, generations=3, digits=None):
    chain = Chain(
        loop, "mixture", digits or data.mnist(),
        bias=bias, seed=seed, store=store, n_evaluate=200,
    )  # fmt: skip
    list(chain.run(generations))
    return chain


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return tmp_path_factory.mktemp("gallery") / "store"


@pytest.fixture(scope="module")
def chains(store):
    made = [run(store, loop, bias) for loop in LOOPS for bias in BIASES]
    return [*made, run(store, LOOPS[0], seed=1)]


@pytest.fixture(scope="module")
def built(store, chains, tmp_path_factory):
    return gallery.build([store], tmp_path_factory.mktemp("built")).gallery


@pytest.fixture(scope="module")
def shown(built, chains, tmp_path_factory):
    """The built gallery with one map, of the first chain."""
    first = name_of(built, chains[0])
    folder = tmp_path_factory.mktemp("shown")
    script.merge(
        [built], folder, lambda one: by_ink(chains[0], (1, 2, 3)) if one.name == first else None
    )
    return gallery.open(folder)


@pytest.fixture
def copy(shown, tmp_path):
    return Path(shutil.copytree(shown.folder, tmp_path / "copy"))


def name_of(shown, chain):
    (found,) = shown.chains(loop=chain.loop.name, bias=chain.bias, seed=chain.seed)["chain"]
    return found


def listing(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def pruned(store, folder):
    own = Path(shutil.copytree(store, folder))
    Store(own).prune(samples=True)
    return own


# What is kept.


def test_records_are_those_of_the_chains(shown, chains, store):
    found = shown.records()
    assert list(found) == [*COLUMNS, "family", "chain", "subject"]
    assert set(found["subject"]) == {"digits"}
    assert set(found["family"]) == {"mixture"}
    assert len(found) == 15
    for chain in chains:
        own = shown.records(chain=name_of(shown, chain))
        pd.testing.assert_frame_equal(own[COLUMNS], chain.records())
    # The whole record is there: configuration, versions, device, cost and commit.
    kept = {row["id"]: row for chain in shown.finished for row in chain.rows}
    assert kept == {row["id"]: row for row in Store(store).rows()}


def test_sheets_are_the_previews_in_16_levels_of_grey(shown, chains):
    for chain in chains[:4]:
        name = name_of(shown, chain)
        for t in (1, 2, 3):
            images, labels = shown.sheet(name, t)
            preview = chain.preview(t)
            assert images.shape == (50, 28, 28)
            assert images.dtype == np.uint8
            assert set(np.unique(images)) <= set(range(0, 256, 17))
            # Rounding to the nearest of levels that are 17 apart is at most 8 off.
            assert np.abs(images - preview.images[:50].astype(int)).max() <= 8
            np.testing.assert_array_equal(labels, preview.labels[:50])


def test_a_sheet_that_is_written_into_stays_as_it_was(shown, chains):
    name = name_of(shown, chains[0])
    before = shown.sheet(name, 1).images.copy()
    shown.sheet(name, 1).images[:] = 7
    np.testing.assert_array_equal(shown.sheet(name, 1).images, before)


def test_chains_are_summed_up_in_a_row_each(shown, chains, store):
    found = shown.chains()
    assert len(found) == 5
    assert found["chain"].is_unique
    assert [*found][-7:-3] == ["generations", "device", "seconds", "commit"]
    row = found[(found["loop"] == "fresh data") & (found["bias"] == 0.5)].iloc[0]
    assert (row["model"], row["seed"], row["n"], row["generations"]) == ("mixture", 0, 300, 3)
    assert row["sizes"] == "300 real, then 150 real and 150 synthetic"
    assert row["device"] == Store(store).rows()[0]["provenance"]["device"]
    assert row["seconds"] == pytest.approx(chains[3].records()["seconds"].sum())
    assert row["sheet"] == (1, 2, 3)
    assert row["embedding"] == ()
    assert re.fullmatch(r"fresh data, mixture [0-9a-f]{8}, bias 0.5, seed 0, n 300", row["chain"])


def test_of_each_family_the_lowest_seed_has_the_sheet(shown, chains):
    found = shown.chains(loop="fully synthetic", bias=1)
    assert len(set(found["setup"])) == 1
    assert dict(zip(found["seed"], found["sheet"], strict=True)) == {0: (1, 2, 3), 1: ()}
    lowest, other = (name_of(shown, chain) for chain in (chains[0], chains[4]))
    with pytest.raises(KeyError, match=f"no sheet of '{other}'; .* are of: {lowest}"):
        shown.sheet(other, 1)


def test_an_embedding_has_real_digits_and_those_of_each_generation(shown, chains):
    chain = chains[0]
    real, real_labels, generations = shown.embedding(name_of(shown, chain))
    assert real.shape == (150, 2)
    assert real.dtype == np.float32
    assert np.bincount(real_labels, minlength=10).min() > 3
    assert list(generations) == [1, 2, 3]
    for t, (points, labels) in generations.items():
        assert points.shape == (60, 2)
        assert np.isfinite(points).all()
        np.testing.assert_array_equal(labels, chain.samples(t).labels[:60])
    about = shown.about["embeddings"][name_of(shown, chain)]
    assert about["method"] == "ink"


def test_the_same_chains_make_the_same_files(built, shown, store, tmp_path):
    own = gallery.build([store], tmp_path / "own").gallery
    again = script.merge([shown], tmp_path / "again")
    merged = script.merge([own, shown], tmp_path / "merged")
    for one, other in ((own, built), (again, shown), (merged, shown)):
        assert set(listing(one.folder)) == set(listing(other.folder))
        for kind in ("records", "sheets", "embeddings", "data"):
            assert one.about[kind] == other.about[kind]
    assert own.about["sheets"] == shown.about["sheets"]
    assert own.about["embeddings"] == {}
    assert own.about["data"] == data.mnist().id
    assert {"python", "torch", "device", "commit"} <= set(own.about["built_by"])


@pytest.mark.parametrize(
    ("last", "sheet"),
    [
        (2, [1, 2]),
        (3, [1, 2, 3]),
        (6, [1, 2, 3, 5, 6]),
        (10, [1, 2, 3, 5, 10]),
        (20, [1, 2, 3, 5, 10, 20]),
        (120, [1, 2, 3, 5, 10, 20, 50, 100, 120]),
    ],
)
def test_early_generations_are_kept_then_fewer_and_the_last(last, sheet):
    assert sheet_generations(last) == sheet


def test_a_chain_that_keeps_more_and_more_says_so(store):
    row = Store(store).rows()[0]
    rows = [{**row, "n_real": 300, "n_synthetic": 300 * t} for t in range(3)]
    assert Finished(rows).sizes == "300 real, then 300 real and 300 to 600 synthetic"


# What is chosen.


def test_records_and_chains_are_selected_by_their_columns(shown):
    assert set(shown.records(bias=0.5)["loop"]) == {"fully synthetic", "fresh data"}
    assert len(shown.records(bias=[1, 0.5], generation=3)) == 5
    assert len(shown.chains(loop="fully synthetic", seed=[0, 1], bias=1)) == 2
    for call in (shown.records, shown.chains):
        with pytest.raises(KeyError, match=r"no column 'biass'; there are: .*bias"):
            call(biass=1)
        with pytest.raises(KeyError, match=r"no bias 0\.7; there are: 1, 0\.5"):
            call(bias=0.7)
        with pytest.raises(KeyError, match="no model 'gan'; there are: mixture"):
            call(model=["mixture", "gan"])


def test_what_is_not_there_is_named(shown, chains):
    name = name_of(shown, chains[1])
    with pytest.raises(KeyError, match="in generation 4; there are: 1, 2, 3"):
        shown.sheet(name, 4)
    for call in (lambda: shown.sheet("mixture", 1), lambda: shown.embedding("mixture")):
        with pytest.raises(KeyError, match="no chain 'mixture'; names are in the column 'chain'"):
            call()
    with pytest.raises(KeyError, match=f"no embedding of '{name}'; .* are of: fully synthetic"):
        shown.embedding(name)


def test_a_chain_with_a_gap_or_one_generation_is_left_out(store, chains):
    rows = Store(store).rows()
    whole, left_out = group(rows)
    assert (len(whole), left_out) == (5, {})
    few = [row for row in rows if row["generation"] == 1 or row["bias"] == 1]
    short, left_out = group(few)
    assert len(short) == 3
    assert set(left_out.values()) == {"it has one generation, a chain has two at least"}
    gap = [row for row in rows if row["generation"] != 2]
    assert group(gap)[0] == []
    assert set(group(gap)[1].values()) == {"generation 2 of 3 is not recorded"}


def test_what_is_not_mnist_is_left_out(tmp_path, chains, store):
    points = data.gaussian(n=500, n_held_out=100)
    chain = Chain(Loop.fully_synthetic(50), "gaussian", points, store=tmp_path, n_evaluate=50)
    list(chain.run(2))
    with pytest.raises(
        ValueError, match=f"no complete chain on mnist-.*are {points.id}, not mnist"
    ):
        gallery.build([tmp_path], tmp_path / "out")
    assert not (tmp_path / "out").exists()
    found = gallery.build([tmp_path, store], tmp_path / "out")
    assert set(found.gallery.records()["model"]) == {"mixture"}
    assert [why.split(",")[0] for why in found.left_out.values()] == [f"its data are {points.id}"]


def test_only_chains_that_are_wanted_are_kept(store, chains, tmp_path):
    found = gallery.build([store], tmp_path, keep=lambda chain: chain.bias == 0.5).gallery
    assert len(found.chains()) == 2
    assert set(found.records()["bias"]) == {0.5}


def test_of_a_chain_in_two_stores_the_longer_is_taken(store, chains, shown, tmp_path):
    run(tmp_path / "short", LOOPS[0], generations=2)
    run(tmp_path / "long", LOOPS[0], bias=0.5, generations=4)
    merged = gallery.build([tmp_path / "short", tmp_path / "long", store], tmp_path / "out").gallery
    lengths = merged.chains().set_index(["loop", "bias", "seed"])["generations"]
    assert lengths["fully synthetic", 1.0, 0] == 3
    assert lengths["fully synthetic", 0.5, 0] == 4
    assert len(lengths) == 5
    (longest,) = merged.chains(bias=0.5, loop="fully synthetic")["sheet"]
    assert longest == (1, 2, 3, 4)


def test_a_gallery_is_no_store(shown, tmp_path):
    with pytest.raises(ValueError, match=r"is a gallery, not a store; scripts/build_gallery\.py"):
        gallery.build([shown.folder], tmp_path / "out")


# Galleries together, by the script that builds the one which ships.


def test_chains_of_another_gallery_stay(shown, chains, tmp_path):
    run(tmp_path / "new", LOOPS[1], seed=5)
    new = gallery.build([tmp_path / "new"], tmp_path / "built").gallery
    merged = script.merge([new, shown], tmp_path / "out")
    assert len(merged.chains()) == 6
    old, new = listing(shown.folder), listing(merged.folder)
    # The new seed's family has its sheet already.
    assert {name for name in old if "sheet" in name} == {name for name in new if "sheet" in name}
    for name, content in old.items():
        if name.startswith(("sheet", "embedding")):
            assert new[name] == content


def test_of_a_chain_in_two_galleries_the_longer_is_taken(shown, tmp_path):
    run(tmp_path / "long", LOOPS[0], generations=4)
    longer = gallery.build([tmp_path / "long"], tmp_path / "built").gallery
    merged = script.merge([shown, longer], tmp_path / "out")
    found = merged.chains(loop="fully synthetic", bias=1, seed=0).iloc[0]
    # The shorter chain's map is not of these records.
    assert (found["sheet"], found["embedding"]) == ((1, 2, 3, 4), ())
    assert len(merged.chains()) == 5


@pytest.mark.parametrize("store_first", [True, False])
def test_pictures_that_a_store_lost_come_from_the_gallery_that_has_them(
    store, shown, tmp_path, store_first
):
    bare = gallery.build([pruned(store, tmp_path / "store")], tmp_path / "bare").gallery
    merged = script.merge([bare, shown][:: 1 if store_first else -1], tmp_path / "out")
    for kind in ("records", "sheets", "embeddings"):
        assert merged.about[kind] == shown.about[kind]


def test_pictures_of_other_digits_by_the_same_name_are_not_taken(
    store, shown, tmp_path, monkeypatch
):
    own = pruned(store, tmp_path / "store")
    # As of another device, which rounds otherwise.
    rows = [{**row, "fd": 7.0} for row in Store(own).rows()]
    monkeypatch.setattr(Store, "rows", lambda store: rows)
    bare = gallery.build([own], tmp_path / "bare").gallery
    merged = script.merge([bare, shown], tmp_path / "out")
    assert set(merged.records()["fd"]) == {7.0}
    assert merged.about["sheets"] == merged.about["embeddings"] == {}


# Nothing is trained, and nothing is touched.


def test_building_needs_no_model_and_leaves_the_store_as_it_was(store, chains, tmp_path):
    own = Path(shutil.copytree(store, tmp_path / "store"))
    Store(own).prune(models=True)
    before = sorted(path.relative_to(own) for path in own.rglob("*"))
    found = gallery.build([own], tmp_path / "out")
    assert found.left_out == {}
    assert len(found.gallery.about["sheets"]) == 4
    assert sorted(path.relative_to(own) for path in own.rglob("*")) == before


def test_samples_that_are_gone_are_not_made_again(store, chains, tmp_path):
    own = pruned(store, tmp_path / "store")
    before = sorted(path.relative_to(own) for path in own.rglob("*"))
    found = gallery.build([own], tmp_path / "out")
    assert len(found.gallery.records()) == 15
    assert found.gallery.about["sheets"] == found.gallery.about["embeddings"] == {}
    assert len(found.left_out) == 5
    assert all("not in the store" in why for why in found.left_out.values())
    assert sorted(path.relative_to(own) for path in own.rglob("*")) == before


def test_digits_of_another_version_are_left_out_and_their_records_kept(
    store, chains, tmp_path, monkeypatch
):
    monkeypatch.setattr(type(chains[0].model), "version", 99)
    found = gallery.build([store], tmp_path)
    assert len(found.gallery.records()) == 15
    assert found.gallery.chains()["sheet"].map(len).sum() == 0
    assert "of mixture made the chain, it has version 99" in str(found.left_out)


# Too large, disks that are full, kills.


def test_a_gallery_that_is_too_large_is_refused_and_the_old_one_stays(
    store, chains, copy, monkeypatch
):
    before = listing(copy)
    monkeypatch.setattr(files, "LIMIT", 40_000)
    with pytest.raises(ValueError, match=r"0\.\d\d MB, its limit is 0\.04 MB: ") as refused:
        gallery.build([store], copy)
    records, sheets = (
        sum(len(content) for name, content in before.items() if name.startswith(kind))
        for kind in ("records", "sheet")
    )
    assert f"{records / 1e6:.2f} MB in 1 records files" in str(refused.value)
    assert f"{sheets / 1e6:.2f} MB in 4 sheet files" in str(refused.value)
    assert "hold 15 generations" in str(refused.value)
    assert listing(copy) == before


@pytest.mark.parametrize("at", range(4))
def test_a_full_disk_leaves_the_old_gallery_whole(store, chains, copy, monkeypatch, at):
    before, left = listing(copy), [at]
    sync = os.fsync

    def fsync(descriptor):
        if not left[0]:
            raise OSError(errno.ENOSPC, "No space left on device")
        left[0] -= 1
        sync(descriptor)

    run(copy.parent / "new", LOOPS[1], seed=2)
    monkeypatch.setattr(os, "fsync", fsync)
    # The new chain alone has three files: records, a sheet and about.json.
    new = [copy.parent / "new"]
    if at < 3:
        with pytest.raises(
            OSError, match=r"did not take the gallery .No space.*was there is intact"
        ):
            gallery.build(new, copy)
        assert listing(copy) == before
    else:
        assert len(gallery.build(new, copy).gallery.chains()) == 1
        assert len(listing(copy)) == 3


KILLS = """
import json, os, signal, sys
from pathlib import Path
from madlab.gallery import files

def publish(folder, content):
    sheets = {name: files.Part(body, "png", {}) for name, body in content.items()}
    files.publish(folder, [], sheets, {})
    return files.read_about(folder)

OLD, NEW = {"a": b"1", "b": b"2"}, {"b": b"2", "c": b"3"}
ends, at = [], 0
while True:
    at += 1
    folder = Path(sys.argv[1], str(at))
    old = publish(folder, OLD)
    child = os.fork()
    if child == 0:
        seen = 0
        def count(event, arguments):
            global seen
            if event in ("open", "os.rename", "os.remove") and str(folder) in str(arguments[0]):
                seen += 1
                if seen == at:
                    os.kill(os.getpid(), signal.SIGKILL)
        sys.addaudithook(count)
        publish(folder, NEW)
        os._exit(0)
    killed = os.WIFSIGNALED(os.waitpid(child, 0)[1])
    found = files.read_about(folder)
    for known in found["sheets"].values():
        files.read_file(folder, known)
    ends.append("old" if found["sheets"] == old["sheets"] else "new")
    # What a stopped build left is the next one's to remove.
    publish(folder, NEW)
    assert len(list(folder.iterdir())) == 4, list(folder.iterdir())
    if not killed:
        break
print(json.dumps(ends))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="kills a fork")
def test_a_kill_at_any_moment_leaves_the_old_gallery_or_the_new_one(tmp_path):
    said = subprocess.run(
        [sys.executable, "-c", KILLS, str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert said.returncode == 0, said.stderr
    ends = json.loads(said.stdout)
    # Old until about.json takes its place, new from then on; the last one was not killed.
    assert ends == ["old"] * ends.count("old") + ["new"] * ends.count("new")
    assert ends.count("old") >= 4
    assert ends.count("new") >= 2


def publish(folder, **sheets):
    """Make a gallery without chains."""
    parts = {name: files.Part(body, "png", {}) for name, body in sheets.items()}
    files.publish(folder, [], parts, {})


def test_what_no_gallery_names_is_removed_and_other_files_are_not(tmp_path):
    kept = ["notes.txt", f".mine.{'0' * 32}.part"]
    ours = ["about.json", "sheet-a-01234567.png"]
    gone = [ours[1], *(f".{name}.{'0' * 32}.part" for name in ours)]
    for name in (*kept, *gone):
        (tmp_path / name).write_bytes(b"1")
    publish(tmp_path)
    assert {*kept, *gone} & set(listing(tmp_path)) == {*kept}


def test_a_full_disk_is_named_though_the_old_gallery_is_damaged(tmp_path, monkeypatch):
    def full(descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    publish(tmp_path, old=b"1")
    (tmp_path / files.ABOUT).write_text("{")
    before = listing(tmp_path)
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match=r"did not take the gallery \(No space left on device\)"):
        publish(tmp_path, new=b"2")
    assert listing(tmp_path) == before


def test_a_gallery_is_built_though_a_file_of_the_old_one_is_in_use(tmp_path, monkeypatch):
    def locked(path, missing_ok=False):
        raise PermissionError(errno.EACCES, "in use", str(path))

    publish(tmp_path, old=b"1")
    monkeypatch.setattr(Path, "unlink", locked)
    publish(tmp_path, new=b"2")
    assert list(files.read_about(tmp_path)["sheets"]) == ["new"]
    monkeypatch.undo()


def test_damaged_missing_and_other_files_are_told_apart(copy, store, chains, tmp_path):
    name = next(iter(gallery.open(copy).about["sheets"]))
    known = gallery.open(copy).about["sheets"][name]
    sheet = copy / known["file"]
    content = bytearray(sheet.read_bytes())
    content[100] ^= 1
    sheet.write_bytes(content)
    with pytest.raises(OSError, match=r"is damaged: its SHA-256 differs. Install madlab again"):
        gallery.open(copy).sheet(name, 1)
    sheet.unlink()
    with pytest.raises(OSError, match="cannot be read: No such file"):
        gallery.open(copy).sheet(name, 1)
    about = copy / files.ABOUT
    for text, message in [
        ("{", "is damaged"),
        ("[]", "not that of a gallery"),
        ('{"gallery": 99}', "has format 99, this madlab reads format 1"),
    ]:
        about.write_text(text)
        with pytest.raises(OSError, match=message):
            gallery.open(copy)
    about.write_text('{"name": "mine"}')
    with pytest.raises(FileExistsError, match="not that of a gallery; give another folder"):
        gallery.build([store], copy)
    # A damaged one is replaced.
    about.write_text("{")
    assert len(gallery.build([store], copy).gallery.chains()) == 5
    with pytest.raises(FileNotFoundError, match=r"no gallery in .*nowhere; build one with"):
        gallery.open(tmp_path / "nowhere")
    with pytest.raises(FileNotFoundError, match="there is no store"):
        gallery.build([tmp_path / "nowhere"], copy)


# The gallery that comes with the package.


def test_the_package_has_a_gallery_below_6_mb():
    own = gallery.open()
    listed = [*own.folder.iterdir()]
    kept = [path for path in listed if path.is_file()]
    assert sum(path.stat().st_size for path in kept) < 6_000_000
    about = own.about
    parts = [about["records"], *about["sheets"].values(), *about["embeddings"].values()]
    named = {files.ABOUT, *(part["file"] for part in parts)}
    assert {path.name for path in kept if path.suffix != ".py"} == named
    assert own.size <= files.LIMIT
    digits = own.chains(subject="digits")
    assert set(digits["data"]) == {data.mnist().id}
    assert own.about["data"].split(", ") == sorted({chain.data for chain in own.finished})
    assert set(digits["loop"]) >= {"fully synthetic", "synthetic augmentation", "fresh data"}
    for chain, generations in zip(digits["chain"], digits["sheet"], strict=True):
        for t in generations:
            assert own.sheet(chain, t).images.shape == (50, 28, 28)
    for chain in own.about["embeddings"]:
        assert len(own.embedding(chain).real) == 500


def test_a_gallery_is_read_without_torch_or_matplotlib():
    code = (
        "import sys; from madlab import gallery; own = gallery.open(); own.records(); "
        "own.sheet(next(iter(own.about['sheets'])), 1); "
        "print(sorted({'torch', 'matplotlib', 'sklearn', 'scipy'} & set(sys.modules)))"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout == "[]\n"


def test_a_sheet_file_is_a_picture_with_a_row_a_generation(shown):
    known = next(iter(shown.about["sheets"].values()))
    with Image.open(shown.folder / known["file"]) as picture:
        assert picture.size == (50 * 28, 3 * 28)
        assert len(picture.getcolors()) <= 16
        assert picture.convert("L").getpixel((0, 0)) == 0


# The commands.


def test_the_commands_build_and_list(store, chains, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["gallery", "build", str(store)]) == 0
    assert capsys.readouterr().out == (
        f"wrote gallery: 5 chains, {gallery.open('gallery').size / 1e6:.2f} MB\n"
    )
    assert main(["gallery", "list", "gallery"]) == 0
    said = capsys.readouterr().out
    assert "mixture, fully synthetic, bias 1, seeds 0, 1\n" in said
    assert "  3 generations on 300 real, then 150 real and 150 synthetic; 200 scored; " in said
    assert said.count("  digits of generations 1, 2, 3\n") == 4
    assert "5 chains, 15 generations, 0." in said.splitlines()[-1]


def test_recipes_of_one_model_are_listed_apart(capsys):
    assert main(["gallery", "list"]) == 0
    said = capsys.readouterr().out
    assert "\nflow, fully synthetic, bias 1, seeds " in said
    assert "ddpm, fully synthetic, bias 1, seeds " in said
    assert "diffusion," not in said


def test_the_commands_say_what_is_left_out_and_what_is_wrong(store, chains, tmp_path, capsys):
    own = pruned(store, tmp_path / "store")
    out = str(tmp_path / "out")
    assert main(["gallery", "build", str(own), "-o", out]) == 0
    assert "left out: digits of fresh data, mixture " in capsys.readouterr().out
    for words, message in [
        (["build", str(tmp_path / "none")], "there is no store"),
        (["list", str(own)], "there is no gallery in"),
    ]:
        assert main(["gallery", *words]) == 1
        said = capsys.readouterr().err
        assert message in said
        assert said.count("\n") == 1


@pytest.mark.parametrize("command", ["gallery", "gallery list", "gallery build"])
def test_every_command_explains_itself(command, capsys):
    assert main([*command.split(), "--help"]) == 0
    said = capsys.readouterr().out
    assert f"Usage: madlab {command}" in said
    assert "Example" in said or command == "gallery"
