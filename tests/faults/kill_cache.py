"""Kill the preparing of pictures before each of its operations on the cache in turn, then go on.

Run as `python kill_cache.py PICTURES FOLDER`; prints a JSON report. Each trial is a fork that
counts the system's audit events for its cache and kills itself, with SIGKILL, before the chosen
one; preparing again must give the same set and leave nothing but whole entries.
"""

import json
import os
import signal
import sys
from pathlib import Path

from PIL import Image

from madlab.data import folder
from madlab.data.cache import location

WATCHED = ("open", "os.mkdir", "os.rename", "os.remove", "os.rmdir", "shutil.rmtree")


def killed(pictures: str, at: int) -> bool:
    """Prepare in a fork that dies before its event number `at`; return whether it died."""
    child = os.fork()
    if child == 0:
        seen = 0

        def count(event: str, arguments: tuple) -> None:
            nonlocal seen
            if event in WATCHED and str(location()) in str(arguments[0]):
                seen += 1
                if seen == at:
                    os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(count)
        try:
            folder(pictures)
        finally:
            os._exit(0)
    return os.WIFSIGNALED(os.waitpid(child, 0)[1])


def main() -> None:
    pictures, base = sys.argv[1], Path(sys.argv[2])
    Image.init()
    ids, half, at = set(), [], 0
    while True:
        at += 1
        os.environ["MADLAB_CACHE"] = str(base / f"killed-{at}")
        died = killed(pictures, at)
        entries = location().glob("[!.]*") if location().exists() else []
        half += [at for entry in entries if not (entry / "about.json").exists()]
        ids.add(folder(pictures).id)
        if not died:
            break
    print(json.dumps({"kills": at - 1, "ids": sorted(ids), "half": half}))


if __name__ == "__main__":
    main()
