"""Kill a chain before each of its operations on the store in turn, resume it, compare the result.

Run as `python kill_sweep.py FOLDER`; prints a JSON report. Everything is imported once; each
trial is a fork that counts the system's audit events for the store and kills itself, with
SIGKILL, before the chosen one.
"""

import json
import os
import signal
import sys
import warnings
from pathlib import Path

import torch

import madlab as ml
from madlab.chain import Chain
from madlab.loops import Loop
from madlab.store import Store
from madlab.tables import COLUMNS

torch.set_num_threads(1)
WATCHED = ("open", "os.mkdir", "os.rename", "os.remove", "os.rmdir", "shutil.rmtree")


def work(store: Path) -> None:
    data = ml.data.gaussian(dimensions=2, n=500, seed=0)
    chain = Chain(Loop.fresh_data(20, 20), "gaussian", data, bias=0.9, store=store, n_evaluate=20)
    for _ in chain.run(2):
        pass


def killed(store: Path, at: int) -> bool:
    """Run the work in a fork that dies before its event number `at`; return whether it died."""
    child = os.fork()
    if child == 0:
        seen = 0

        def count(event: str, arguments: tuple) -> None:
            nonlocal seen
            if event in WATCHED and str(store) in str(arguments[0]):
                seen += 1
                if seen == at:
                    os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(count)
        try:
            work(store)
        finally:
            os._exit(0)
    return os.WIFSIGNALED(os.waitpid(child, 0)[1])


def content(folder: Path) -> tuple[dict, dict]:
    files = {
        str(file.relative_to(folder)): file.read_bytes()
        for file in folder.rglob("*")
        if file.suffix in (".npy", ".safetensors") and ".part" not in str(file)
    }
    rows = {
        row["id"]: [row[name] for name in COLUMNS if name != "seconds"]
        for row in Store(folder).rows()
    }
    return files, rows


def main() -> None:
    base = Path(sys.argv[1])
    warnings.simplefilter("error")
    work(base / "whole")
    expected = content(base / "whole")
    different, at = [], 0
    while True:
        at += 1
        store = base / f"killed-{at}"
        if not killed(store, at):
            break
        before = {row["id"] for row in Store(store).rows()} if store.exists() else set()
        work(store)
        rows = Store(store).rows()
        if content(store) != expected or not before <= {row["id"] for row in rows}:
            different.append(at)
    json.dump({"kills": at - 1, "different": different}, sys.stdout)


if __name__ == "__main__":
    main()
