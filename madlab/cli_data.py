"""The command `madlab data`: lists the data sets, and prepares pictures of your own or FFHQ."""

import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from madlab.data.prepare import PictureDataset

app = typer.Typer(
    help="List and check the data sets, or prepare pictures.",
    rich_markup_mode=None,
    invoke_without_command=True,
    epilog="\b\nExamples:\n  madlab data\n  madlab data folder my-pictures --size 32",
)

_Size = Annotated[int, typer.Option(help="Side of the pictures: a multiple of 4 from 16 to 256.")]
_Resize = Annotated[str, typer.Option(help="The filter: lanczos, bicubic, bilinear or box.")]
_OnBad = Annotated[str, typer.Option(help="What files that cannot be used do: skip or refuse.")]
_Verify = Annotated[bool, typer.Option("--verify", help="Check every byte of the cache.")]


@app.callback()
def data(context: typer.Context) -> None:
    """List the data sets, reading and checking every digit of MNIST; or prepare pictures."""
    if context.invoked_subcommand is not None:
        return
    import importlib.resources

    from madlab.data import mnist

    digits = mnist()
    file = importlib.resources.files("madlab.data") / "mnist.xz"
    with importlib.resources.as_file(file) as path:
        size = path.stat().st_size / 1e6
    height, width = digits.images.shape[1:]
    typer.echo(
        f"mnist        {len(digits):,} training and {len(digits.held_out.images):,} held-out "
        f"digits, {height} x {width} pixels, id {digits.id}, {size:.1f} MB, all SHA-256 checksums "
        "agree"
    )
    typer.echo("Drawn when asked for:")
    typer.echo("gaussian     points of a standard normal distribution, in any dimension")
    typer.echo("modes        points of 25 small Gaussians on a 5 x 5 grid")
    typer.echo("rosenbrock   points of a banana-shaped density with long tails")
    typer.echo("drawn_faces  coloured cartoons of faces, 16 to 256 pixels")
    typer.echo("From files of yours:")
    typer.echo("ffhq         Flickr-Faces-HQ, see `madlab data ffhq --help`")
    typer.echo("folder       any pictures, see `madlab data folder --help`")


@app.command(
    short_help="Prepare Flickr-Faces-HQ, or download its thumbnails.",
    epilog="\b\nExamples:\n  madlab data ffhq thumbnails128x128.zip --size 64\n"
    "  madlab data ffhq --download --n 2000",
)
def ffhq(
    path: Annotated[
        Path | None,
        typer.Argument(
            help="A folder, .zip or .tar of FFHQ, or where the download goes. "
            "[default: what MADLAB_FFHQ names; for the download madlab's cache folder]"
        ),
    ] = None,
    size: _Size = 32,
    resize: _Resize = "lanczos",
    on_bad: _OnBad = "skip",
    verify: _Verify = False,
    download: Annotated[
        bool, typer.Option("--download", help="First get NVIDIA's 128-pixel thumbnails.")
    ] = False,
    n: Annotated[
        int | None, typer.Option(help="Of the download: the first N ids only. [default: all]")
    ] = None,
) -> None:
    """Prepare FFHQ at one size, split by id into training and held-out faces, and report.

    The set is CC BY-NC-SA 4.0: for non-commercial use, and not for facial recognition.
    """
    from madlab.data import ffhq as prepare
    from madlab.data.download import COUNT, thumbnails

    if n is not None and not download:
        raise ValueError("--n is of the download alone; give --download too, or leave --n out")
    if download:
        path = thumbnails(path, COUNT if n is None else n, progress=_progress("downloaded"))
    _prepare(
        lambda: prepare(
            path, size, resize=resize, on_bad=on_bad, verify=verify, progress=_progress("decoded")
        )
    )
    if download:
        typer.echo(f"the pictures are in {path}; set MADLAB_FFHQ to it for the notebooks")


@app.command(
    short_help="Prepare pictures of your own.",
    epilog="\b\nExample:\n  madlab data folder 'my pictures' --size 64 --on-bad refuse",
)
def folder(
    path: Annotated[Path, typer.Argument(help="A folder, .zip or .tar of JPEG, PNG or WebP.")],
    size: _Size = 32,
    resize: _Resize = "lanczos",
    on_bad: _OnBad = "skip",
    verify: _Verify = False,
) -> None:
    """Prepare pictures at one size, split by content into training and held-out, and report."""
    from madlab.data import folder as prepare

    _prepare(
        lambda: prepare(
            path, size, resize=resize, on_bad=on_bad, verify=verify, progress=_progress("decoded")
        )
    )


def _prepare(prepare: "Callable[[], PictureDataset]") -> None:
    # The report names every file that was skipped; a damaged cache is still to be warned of.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        warnings.simplefilter("default", RuntimeWarning)
        data = prepare()
    # Names may have letters that the output, a file on Windows say, cannot hold.
    encoding = sys.stdout.encoding or "utf-8"
    typer.echo(str(data.report).encode(encoding, "backslashreplace").decode(encoding))


def _progress(verb: str) -> Callable[[int, int], None]:
    """Return what says every few seconds, on stderr, how far the work is."""
    last = time.monotonic()

    def say(done: int, total: int) -> None:
        nonlocal last
        if time.monotonic() - last > 5:
            last = time.monotonic()
            print(f"{verb} {done:,} of {total:,}", file=sys.stderr, flush=True)

    return say
