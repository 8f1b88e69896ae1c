"""Draw the README's picture: digits going MAD, as notebook 00 opens, from the gallery.

python scripts/draw_readme.py
"""

from pathlib import Path
from typing import Any

from madlab import gallery
from madlab.plots import strips

PICTURE = Path(__file__).parent.parent / "docs" / "digits_go_mad.png"
CHAINS: dict[str, dict[str, Any]] = {
    "scribbles": {"family": "flow", "loop": "fully synthetic", "bias": 1.0, "n": 60_000},
    "clones": {"family": "flow", "loop": "fully synthetic", "bias": 0.5, "n": 60_000},
    "holds": {"family": "mixture", "loop": "fresh data", "bias": 1.0},
}


def main() -> None:
    """Draw a strip of each chain."""
    shown, found = gallery.open(), {}
    for name, wanted in CHAINS.items():
        chain = shown.chains(subject="digits", **wanted).iloc[0]
        found[name] = {t: shown.sheet(chain["chain"], t) for t in chain["sheet"]}
    PICTURE.write_bytes(strips(found).png())
    print(f"wrote {PICTURE.name} ({PICTURE.stat().st_size / 1e3:.0f} kB)")


if __name__ == "__main__":
    main()
