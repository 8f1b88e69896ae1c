"""The commands `madlab gallery list` and `madlab gallery build`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    import pandas as pd

app = typer.Typer(
    help="Finished chains to look at without training: list them, or build them from stores.",
    rich_markup_mode=None,
    no_args_is_help=True,
)


@app.command(
    "list",
    short_help="List the chains of a gallery.",
    epilog="\b\nExamples:\n  madlab gallery list\n  madlab gallery list gallery",
)
def list_chains(
    folder: Annotated[
        Path | None, typer.Argument(help="The folder of a gallery. [default: madlab's own]")
    ] = None,
) -> None:
    """List what a gallery holds: chains that differ in nothing but the seed on one line."""
    from madlab import gallery

    found = gallery.open(folder)
    chains = found.chains()
    for _, family in chains.groupby("setup", sort=False):
        first = family.iloc[0]
        seeds = ", ".join(map(str, family["seed"]))
        typer.echo(f"{first['family']}, {first['loop']}, bias {first['bias']:g}, seeds {seeds}")
        typer.echo(
            f"  {family['generations'].max()} generations on {first['sizes']}{_named(first)}; "
            f"{first['n_evaluate']:,} scored; {family['seconds'].sum():,.0f} s on {first['device']}"
        )
        kinds = {first["subject"]: "sheet", "t-SNE": "embedding"}
        kept = {kind: sorted({*family[name].explode().dropna()}) for kind, name in kinds.items()}
        for kind, generations in kept.items():
            if generations:
                typer.echo(f"  {kind} of generations {', '.join(map(str, generations))}")
        near = [str(count) for counts in family["too_near"] for count in counts]
        if near:
            typer.echo(f"  too near a real picture to be shown, in each of them: {', '.join(near)}")
    about = found.about
    by = about["built_by"]
    typer.echo(
        f"{len(chains)} chains, {about['records']['rows']:,} generations, "
        f"{found.size / 1e6:.2f} MB; built {about['built']} by madlab {by['madlab']} "
        f"(commit {by['commit']}) from {about['data']}"
    )


@app.command(
    "build",
    short_help="Build a gallery from stores.",
    epilog="\b\nExamples:\n  madlab gallery build runs\n"
    "  madlab gallery build runs-gpu old-gallery --output gallery --embed mixture:1\n"
    "  madlab gallery build runs --faces ffhq/thumbnails128x128 --size 32 --size 64",
)
def build_gallery(
    stores: Annotated[
        list[Path], typer.Argument(metavar="STORE...", help="Folders of stores, or of galleries.")
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="The folder that the gallery is put into.")
    ] = Path("gallery"),
    embed: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FAMILY:BIAS",
            help="A fully synthetic chain whose digits t-SNE is to place; give it again for more.",
        ),
    ] = None,
    faces: Annotated[
        list[Path] | None,
        typer.Option(metavar="PATH", help="The FFHQ faces that chains were trained on."),
    ] = None,
    folder: Annotated[
        list[Path] | None,
        typer.Option(metavar="PATH", help="Pictures of your own that chains were trained on."),
    ] = None,
    size: Annotated[
        list[int] | None,
        typer.Option(
            metavar="PIXELS", help="The side of these; give it again for more. [default: 32]"
        ),
    ] = None,
) -> None:
    """Build a gallery of every complete chain on MNIST or pictures in the stores, without training.

    A gallery that is in the output folder is replaced; give it as a store too to keep its chains.

    Faces and other pictures are shown where --faces or --folder name what they were trained on:
    only those are that are no near copy of a real picture.
    """
    from madlab import data, gallery

    wanted = {_pair(word) for word in embed or []}
    sizes = size or [32]
    known = [data.ffhq(path, side) for path in faces or [] for side in sizes]
    known += [data.folder(path, side) for path in folder or [] for side in sizes]
    try:
        built = gallery.build(
            stores,
            output,
            data=known,
            embed=lambda chain: (
                chain.loop == "fully synthetic" and (chain.family, chain.bias) in wanted
            ),
        )
    except ImportError as error:
        typer.echo(f"madlab: {error}", err=True)
        raise typer.Exit(1) from error
    for name, why in built.left_out.items():
        typer.echo(f"left out: {name}: {why}")
    found = built.gallery
    typer.echo(f"wrote {output}: {len(found.chains())} chains, {found.size / 1e6:.2f} MB")


def _named(chain: "pd.Series[Any]") -> str:
    return "" if chain["subject"] == "digits" else f" of {chain['data']}"


def _pair(word: str) -> tuple[str, float]:
    family, _, bias = word.partition(":")
    try:
        return family, float(bias)
    except ValueError:
        raise ValueError(
            f"--embed takes a family of models and a bias, as in `--embed mixture:1`, not {word!r}"
        ) from None
