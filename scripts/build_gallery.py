"""Build the gallery that ships with madlab: chains from stores, and maps of digits by t-SNE.

    python scripts/build_gallery.py madlab/gallery STORE... --embed ddpm:1 --faces PATH --size 32

A user's own gallery is built by `madlab gallery build`, without maps. Give the folder of the old
gallery first, to keep its chains and maps.
"""

import argparse
import math
from pathlib import Path

import tsne

from madlab import data, gallery
from madlab.chain import Chain
from madlab.gallery.chains import sheet_generations

HERE = Path(gallery.__file__).parent
MOST_EMBEDDED = 4


def embedded_generations(last: int) -> list[int]:
    """Return up to four generations of a sheet, spread evenly on a logarithmic scale."""
    steps = MOST_EMBEDDED - 1
    places = [last ** (i / steps) for i in range(MOST_EMBEDDED)]
    kept = sheet_generations(last)
    return sorted({min(kept, key=lambda t: abs(math.log(t / place))) for place in places})


def place(chain: gallery.Finished, made: Chain) -> tuple[gallery.Embedding, str]:
    """Return where t-SNE places digits of a chain among real ones, and how that was made."""
    shown = {t: made.samples(t) for t in embedded_generations(chain.generations)}
    return tsne.embed(made.data.held_out, shown), tsne.method()


def main() -> None:
    """Build the gallery, and say what is left out."""
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("stores", nargs="+", type=Path, help="stores, or galleries")
    parser.add_argument("--output", type=Path, default=HERE)
    parser.add_argument("--faces", type=Path, help="the FFHQ faces that chains were trained on")
    parser.add_argument("--size", type=int, action="append", help="the side of these")
    parser.add_argument("--embed", action="append", default=[], metavar="FAMILY:BIAS",
                        help="a fully synthetic chain whose digits t-SNE is to place")  # fmt: skip
    given = parser.parse_args()
    wanted = [word.split(":") for word in given.embed]
    known = [data.ffhq(given.faces, side) for side in given.size or [32]] if given.faces else []

    def embed(chain: gallery.Finished, made: Chain) -> tuple[gallery.Embedding, str] | None:
        asked = chain.loop == "fully synthetic" and [chain.family, f"{chain.bias:g}"] in wanted
        return place(chain, made) if asked else None

    built = gallery.build(given.stores, given.output, data=known, embed=embed)
    for name, why in built.left_out.items():
        print(f"left out: {name}: {why}")
    print(f"wrote {given.output}: {built.gallery.size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
