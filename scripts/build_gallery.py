"""Build the gallery that ships with madlab: chains from stores, and maps of digits by t-SNE.

    python scripts/build_gallery.py madlab/gallery STORE... --embed ddpm:1 --faces PATH --size 32

A user's own gallery is built by `madlab gallery build`, from stores alone and without maps. Give
the folder of an older gallery too to keep its chains, pictures and maps: they come first.
"""

import argparse
import io
import math
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tsne

from madlab import data, gallery
from madlab.chain import Chain
from madlab.gallery import files
from madlab.gallery.building import NotKeptError, remade
from madlab.gallery.chains import Finished, in_order, sheet_generations
from madlab.store import Store

HERE = Path(gallery.__file__).parent
MOST_EMBEDDED = 4


def embedded_generations(last: int) -> list[int]:
    """Return up to four generations of a sheet, spread evenly on a logarithmic scale."""
    steps = MOST_EMBEDDED - 1
    places = [last ** (i / steps) for i in range(MOST_EMBEDDED)]
    kept = sheet_generations(last)
    return sorted({min(kept, key=lambda t: abs(math.log(t / place))) for place in places})


def place(made: Chain, last: int) -> files.Part:
    """Return where t-SNE places digits of a chain of `last` generations among real ones."""
    shown = {t: made.samples(t) for t in embedded_generations(last)}
    return packed(tsne.embed(made.data.held_out, shown), tsne.method())


def packed(embedding: gallery.Embedding, method: str) -> files.Part:
    """Return an embedding as a gallery keeps it, points as float16.

    - `method`: how it was made, in words.
    """
    arrays: dict[str, Any] = {"real": embedding.real, "real_labels": embedding.real_labels}
    for t, (points, labels) in embedding.generations.items():
        arrays |= {f"points-{t}": points, f"labels-{t}": labels}
    stream = io.BytesIO()
    np.savez_compressed(
        stream,
        **{k: v.astype(np.uint8 if "labels" in k else np.float16) for k, v in arrays.items()},
    )
    about = {"generations": list(embedding.generations), "method": method}
    return files.Part(stream.getvalue(), "npz", about)


def merge(
    galleries: Sequence[gallery.Gallery],
    folder: Path,
    embed: Callable[[Finished], files.Part | None] = lambda chain: None,
) -> gallery.Gallery:
    """Write one gallery of several.

    Of a chain that is in several the longest is taken, of equals the first; its pictures and map
    are those of the first gallery with the same scores that has them. Of a setup the lowest seed
    with pictures keeps them.

    - `embed`: makes the map of a chain with a sheet that has none yet, where one is wanted.
    """
    longest: dict[str, Finished] = {}
    for chain in (chain for one in galleries for chain in one.finished):
        if chain.name not in longest or chain.generations > longest[chain.name].generations:
            longest[chain.name] = chain
    chains = in_order(longest.values())
    sheets: dict[str, files.Part] = {}
    embeddings: dict[str, files.Part] = {}
    shown: set[str] = set()
    for chain in chains:
        same = [one for one in galleries if _scores(chain) in map(_scores, one.finished)]
        sheet = _first_part(same, "sheets", chain.name)
        if sheet and chain.setup not in shown:
            shown.add(chain.setup)
            sheets[chain.name] = sheet
            placed = _first_part(same, "embeddings", chain.name) or embed(chain)
            embeddings |= {chain.name: placed} if placed else {}
    files.publish(folder, chains, sheets, embeddings)
    return gallery.Gallery(folder)


def _scores(chain: Finished) -> list[dict[str, Any]]:
    """Return the records of a chain without what differs where the same samples are drawn again."""
    apart = ("cost", "seconds", "provenance")
    return [{key: row[key] for key in row if key not in apart} for row in chain.rows]


def _first_part(galleries: Sequence[gallery.Gallery], kind: str, chain: str) -> files.Part | None:
    """Return the file of the first gallery that has one of a chain."""
    for one in galleries:
        if known := one.about[kind].get(chain):
            said = {key: known[key] for key in known if key not in ("file", "bytes", "sha256")}
            ending = known["file"].rsplit(".")[-1]
            return files.Part(files.read_file(one.folder, known), ending, said)
    return None


def main() -> None:
    """Build the gallery, and say what is left out."""
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("sources", nargs="+", type=Path, help="stores, or galleries")
    parser.add_argument("--output", type=Path, default=HERE)
    parser.add_argument("--faces", type=Path, help="the FFHQ faces that chains were trained on")
    parser.add_argument("--size", type=int, action="append", help="the side of these")
    parser.add_argument("--embed", action="append", default=[], metavar="FAMILY:BIAS",
                        help="a fully synthetic chain whose digits t-SNE is to place")  # fmt: skip
    given = parser.parse_args()
    old = [folder for folder in given.sources if (folder / files.ABOUT).exists()]
    stores = [folder for folder in given.sources if folder not in old]
    faces = [data.ffhq(given.faces, side) for side in given.size or [32]] if given.faces else []
    wanted = [word.split(":") for word in given.embed]
    left_out: dict[str, str] = {}

    def embed(chain: Finished) -> files.Part | None:
        asked = [chain.family, f"{chain.bias:g}"] in wanted
        if not asked or chain.loop != "fully synthetic" or chain.subject != "digits":
            return None
        digits = data.mnist()
        for store in map(Store, stores):
            try:
                return place(remade(chain, store, {digits.id: digits}), chain.generations)
            except NotKeptError as error:
                left_out[f"embedding of {chain.name}"] = str(error)
        return None

    with tempfile.TemporaryDirectory() as folder:
        galleries = [gallery.open(one) for one in old]
        if stores:
            built = gallery.build(stores, folder, data=faces)
            left_out |= built.left_out
            galleries.append(built.gallery)
        made = merge(galleries, given.output, embed)
    kept = {chain.name for chain in made.finished} | {
        f"{kind} of {chain.name}"
        for chain in made.finished
        for kind, known in ((chain.subject, "sheets"), ("embedding", "embeddings"))
        if chain.name in made.about[known]
    }
    for name, why in left_out.items():
        if name not in kept:
            print(f"left out: {name}: {why}")
    print(f"wrote {given.output}: {made.size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
