"""Draw the README's picture: digits of the `flow` model going MAD, generation by generation.

    python scripts/draw_readme.py --store DIR

Trains whatever the store does not have: about an hour on one core from nothing, seconds after
`benchmarks/flow.py run --store DIR --seeds 0`.
"""

import argparse
from pathlib import Path

from matplotlib.figure import Figure

from madlab import Chain, Loop
from madlab.data import mnist
from madlab.plots import png
from madlab.plots.sheets import draw_generations

PICTURE = Path(__file__).parent.parent / "docs" / "digits_go_mad.png"
N = 10_000
GENERATIONS = 6
CHAINS = {
    "fully synthetic, λ = 1": (Loop.fully_synthetic(N), 1.0),
    "fully synthetic, λ = 0.5": (Loop.fully_synthetic(N), 0.5),
    "half fresh real data, λ = 1": (Loop.fresh_data(N // 2, N // 2, n_initial=N), 1.0),
}


def main() -> None:
    """Read or train the three chains and draw their previews side by side."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--store", type=Path, required=True)
    store = parser.parse_args().store
    figure = Figure(figsize=(12, 2.8), layout="constrained")
    for axes, (name, (loop, bias)) in zip(figure.subplots(1, 3), CHAINS.items(), strict=True):
        chain = Chain(loop, "diffusion", mnist(), bias=bias, seed=0, store=store)
        draw_generations(axes, {g.t: g.preview for g in chain.run(GENERATIONS)})
        axes.set_title(name, fontsize=12)
    PICTURE.write_bytes(png(figure))
    print(f"wrote {PICTURE.name} ({PICTURE.stat().st_size / 1e3:.0f} kB)")


if __name__ == "__main__":
    main()
