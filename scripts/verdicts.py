"""Run the notebooks with many seeds; keep what each of their predictions came to.

    python scripts/verdicts.py smoke 25
    python scripts/verdicts.py quick 3 00 07

Results go to `benchmarks/results/verdicts.json`, run by run; what is there is not run again. The
exit code is 1 where a run failed.
"""

import json
import os
import sys
import tempfile
import time
from pathlib import Path

from madlab import execute, files
from madlab.lab import folder as own
from madlab.report import outcomes

KEPT = Path(__file__).parent.parent / "benchmarks" / "results" / "verdicts.json"


def verdicts(notebook: Path, preset: str, seed: int) -> dict[str, object]:
    """Return what the predictions of one run came to, or why it failed, and its seconds."""
    start = time.perf_counter()
    found: dict[str, object] = {}
    try:
        done = execute.run_notebook(notebook, {"preset": preset, "seed": seed})
        found["verdicts"] = [(shown, went) for _, shown, went in outcomes(done)]
    except execute.NotebookError as error:
        found["failed"] = str(error)
    return {**found, "seconds": round(time.perf_counter() - start, 1)}


def main(preset: str, seeds: int, *names: str) -> int:
    """Run the notebooks that `names` begin, all where none is named, with seeds from 0."""
    kept = json.loads(KEPT.read_text()) if KEPT.exists() else {}
    notebooks = [
        path for path in sorted(own().glob("*.ipynb")) if not names or path.stem.startswith(names)
    ]
    for seed in range(seeds):
        # One store a seed, as a reader has: 07 goes on from 06.
        with tempfile.TemporaryDirectory() as folder:
            os.chdir(folder)
            for notebook in notebooks:
                key = f"{preset} {seed} {notebook.stem}"
                if key not in kept:
                    kept[key] = verdicts(notebook, preset, seed)
                    print(key, kept[key], flush=True)
                    files.write(KEPT, json.dumps(dict(sorted(kept.items())), indent=1) + "\n")
            os.chdir("/")
    return int(any("failed" in run for run in kept.values()))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], int(sys.argv[2]), *sys.argv[3:]))
