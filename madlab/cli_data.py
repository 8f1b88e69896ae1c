"""The commands `madlab runs`, `gallery` and `data`: what is kept, what ships, what is learned."""

import importlib.resources
import sys
import time
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from madlab import files

if TYPE_CHECKING:
    from madlab.store import Store

_C = TypeVar("_C", bound=click.Command)


class Ordered(click.Group):
    """A group that lists its commands in the order in which they were added."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: D102
        return list(self.commands)


def examples(*lines: str) -> Callable[[_C], _C]:
    """Add examples to the help of a command: a decorator above the one that makes it."""

    def add(command: _C) -> _C:
        command.epilog = "\n  ".join(["\b\nExamples:" if lines[1:] else "\b\nExample:", *lines])
        return command

    return add


def _open(_context: click.Context, _store: click.Parameter, path: Path) -> "Store":
    from madlab.store import Store

    path = files.expanded(path)
    if not path.exists():
        raise FileNotFoundError(
            f"there is no store {path}; give the folder that a chain or notebook was told to use"
        )
    return Store(path)


_about = "The folder of the store. [default: runs]"
_store = click.argument("store", type=Path, default="runs", callback=_open, help=_about)


@click.group(cls=Ordered)
def runs() -> None:
    """List, verify or prune the generations that a store keeps."""


@examples("madlab runs list runs")
@runs.command("list")
@_store
def list_runs(store: "Store") -> None:
    """List the models and samples in a store, and count its records."""
    from madlab.store import HALF_DONE

    entries = store.entries()
    for entry in entries:
        state = entry.why if entry.why == HALF_DONE else f"NOT INTACT: {entry.why}"
        if entry.ok:
            state = time.strftime("%Y-%m-%d %H:%M", time.localtime(entry.created))
        click.echo(f"{entry.kind:8} {entry.id[:12]:12} {entry.bytes / 1e6:8.1f} MB  {state}")
    total = sum(entry.bytes for entry in entries) / 1e6
    click.echo(f"{len(entries)} entries, {total:.1f} MB; {len(store.rows())} generations recorded")


@examples("madlab runs verify runs")
@runs.command()
@_store
def verify(store: "Store") -> int:
    """Check every file and record of a store against its checksum.

    The exit code is 1 where one differs.
    """
    problems, path = store.verify(), store.path
    for problem in problems:
        click.echo(problem, err=True)
    if problems:
        click.echo(f"{len(problems)} problems; `madlab runs prune {path}` removes what is damaged")
    else:
        click.echo(f"{path}: all {len(store.entries())} entries and all records are intact")
    return int(bool(problems))


@examples("madlab runs prune runs", "madlab runs prune runs --samples --dry-run")
@runs.command()
@_store
@click.option("--samples", is_flag=True, help="Remove all sample sets as well.")
@click.option("--models", is_flag=True, help="Remove all fitted models as well.")
@click.option("--dry-run", is_flag=True, help="Only say what would be removed.")
def prune(store: "Store", dry_run: bool, **also: bool) -> None:
    """Remove damage and left-overs, and on request samples or models.

    Records are kept, so no number is lost; what is needed again is computed again.
    """
    gone = store.prune(dry_run=dry_run, **also)
    for entry in gone:
        click.echo(f"{entry.kind:8} {entry.id[:12]:12} {entry.why}".rstrip())
    verb = "would be removed" if dry_run else "removed"
    click.echo(f"{len(gone)} entries {verb}, {sum(e.bytes for e in gone) / 1e6:.1f} MB")


@click.group(cls=Ordered)
def gallery() -> None:
    """Finished chains to look at without training: list or build them."""


@examples("madlab gallery list", "madlab gallery list gallery")
@gallery.command("list")
@click.argument("folder", type=Path, default=None, help="The gallery. [default: madlab's own]")
def list_chains(folder: Path | None) -> None:
    """List chains, those that differ in the seed alone on one line."""
    from madlab import gallery

    opened = gallery.open(folder)
    chains = opened.chains()
    for _, family in chains.groupby("setup", sort=False):
        first = family.iloc[0]
        seeds = ", ".join(map(str, family["seed"]))
        named = "" if first["subject"] == "digits" else f" of {first['data']}"
        click.echo(
            f"{first['family']}, {first['loop']}, bias {first['bias']:g}, seeds {seeds}\n"
            f"  {family['generations'].max()} generations on {first['sizes']}{named}; "
            f"{first['n_evaluate']:,} scored; {family['seconds'].sum():,.0f} s on {first['device']}"
        )
        for kind, column in ((first["subject"], "sheet"), ("t-SNE", "embedding")):
            generations = sorted({*family[column].explode().dropna()})
            if generations:
                click.echo(f"  {kind} of generations {', '.join(map(str, generations))}")
        near = [str(count) for counts in family["too_near"] for count in counts]
        if near:
            click.echo(f"  too near a real picture to be shown, in each of them: {', '.join(near)}")
    about = opened.about
    by = about["built_by"]
    click.echo(
        f"{len(chains)} chains, {about['records']['rows']:,} generations, "
        f"{opened.size / 1e6:.2f} MB; built {about['built']} by madlab {by['madlab']} "
        f"(commit {by['commit']}) from {about['data']}"
    )


@examples(
    "madlab gallery build runs",
    "madlab gallery build runs runs-gpu --output gallery",
    "madlab gallery build runs --faces ffhq/thumbnails128x128 --size 32 --size 64",
)
@gallery.command("build")
@click.argument(
    "stores", metavar="STORE...", nargs=-1, required=True, type=Path, help="Folders of chains."
)
@click.option("-o", "--output", type=Path, default="gallery", help="The folder for the gallery.")
@click.option("--faces", type=Path, multiple=True, help="FFHQ that chains were trained on.")
@click.option("--folder", type=Path, multiple=True, help="Pictures of your own, likewise.")
@click.option("--size", metavar="PIXELS", multiple=True, default=[32], help="The side of these.")
def build_gallery(stores: Sequence[Path], output: Path, **pictures: Sequence[Any]) -> None:
    """Build a gallery of every complete chain in stores.

    Nothing is trained; chains are of MNIST or of pictures. A gallery that is in the output folder
    is replaced.

    Faces and other pictures are shown where --faces or --folder name what they were trained on:
    only those are that are no near copy of a real picture. These options and --size can be given
    again for more.
    """
    from madlab import data, gallery

    known = [data.ffhq(path, side) for path in pictures["faces"] for side in pictures["size"]]
    known += [data.folder(path, side) for path in pictures["folder"] for side in pictures["size"]]
    built = gallery.build(stores, output, data=known)
    for name, why in built.left_out.items():
        click.echo(f"left out: {name}: {why}")
    chains, size = built.gallery.chains(), built.gallery.size
    click.echo(f"wrote {output}: {len(chains)} chains, {size / 1e6:.2f} MB")


@examples("madlab data", "madlab data folder my-pictures --size 32")
@click.group(cls=Ordered, invoke_without_command=True)
@click.pass_context
def data(context: click.Context) -> None:
    """List and check the data sets, or prepare pictures."""
    if context.invoked_subcommand is not None:
        return
    from madlab.data import mnist

    digits = mnist()
    size = len((importlib.resources.files("madlab.data") / "mnist.xz").read_bytes()) / 1e6
    height, width = digits.images.shape[1:]
    click.echo(
        f"mnist        {len(digits):,} training and {len(digits.held_out.images):,} held-out "
        f"digits, {height} x {width} pixels, id {digits.id}, {size:.1f} MB, all SHA-256 checksums "
        "agree\n"
        "Drawn when asked for:\n"
        "gaussian     points of a standard normal distribution, in any dimension\n"
        "modes        points of 25 small Gaussians on a 5 x 5 grid\n"
        "rosenbrock   points of a banana-shaped density with long tails\n"
        "drawn_faces  coloured cartoons of faces, 16 to 256 pixels\n"
        "From files of yours:\n"
        "ffhq         Flickr-Faces-HQ, see `madlab data ffhq --help`\n"
        "folder       any pictures, see `madlab data folder --help`"
    )


_HOW = [
    click.Option(["--size"], default=32, help="Side in pixels: a multiple of 4 from 16 to 256."),
    click.Option(["--resize"], default="lanczos", help="lanczos, bicubic, bilinear or box."),
    click.Option(["--on-bad"], default="skip", help="With unusable files: skip or refuse."),
    click.Option(["--verify"], is_flag=True, help="Check every byte of the cache."),
]


def _say(verb: str) -> Callable[[int, int], None]:
    """Return what says every five seconds, on stderr, how far the work is."""
    last = time.monotonic()

    def say(done: int, total: int) -> None:
        nonlocal last
        if time.monotonic() - last > 5:
            last = time.monotonic()
            click.echo(f"{verb} {done:,} of {total:,}", err=True)

    return say


def _prepare(name: str, path: Path | None, how: dict[str, Any]) -> None:
    from madlab import data

    # The report names every file that was skipped; a damaged cache is still to be warned of.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        warnings.simplefilter("default", RuntimeWarning)
        prepared = getattr(data, name)(path, **how, progress=_say("decoded"))
    # Names may have letters that the output, a file on Windows say, cannot hold.
    encoding = sys.stdout.encoding or "utf-8"
    click.echo(str(prepared.report).encode(encoding, "backslashreplace").decode(encoding))


@examples(
    "madlab data ffhq thumbnails128x128.zip --size 64", "madlab data ffhq --download --n 2000"
)
@data.command(params=list(_HOW))
@click.argument(
    "path",
    type=Path,
    default=None,
    help="A folder, .zip or .tar of FFHQ, or where the download goes. "
    "[default: what MADLAB_FFHQ names; for the download madlab's cache folder]",
)
@click.option("--download", is_flag=True, help="First get NVIDIA's 128-pixel thumbnails.")
@click.option("--n", type=int, help="Of the download: the first N ids only. [default: all]")
def ffhq(path: Path | None, download: bool, n: int | None, **how: Any) -> None:
    """Prepare Flickr-Faces-HQ, or download its thumbnails.

    Its faces are brought to one size, split by id into training and held-out ones, and reported.

    The set is CC BY-NC-SA 4.0: for non-commercial use, and not for facial recognition.
    """
    from madlab.data.ffhq import COUNT, thumbnails

    if n is not None and not download:
        raise ValueError("--n is of the download alone; give --download too, or leave --n out")
    if download:
        path = thumbnails(path, COUNT if n is None else n, progress=_say("downloaded"))
    _prepare("ffhq", path, how)
    if download:
        click.echo(f"the pictures are in {path}; set MADLAB_FFHQ to it for the notebooks")


@examples("madlab data folder 'my pictures' --size 64 --on-bad refuse")
@data.command(params=list(_HOW))
@click.argument("path", type=Path, help="A folder, .zip or .tar of JPEG, PNG or WebP.")
def folder(path: Path, **how: Any) -> None:
    """Prepare pictures of your own.

    They are brought to one size, split by content into training and held-out, and reported.
    """
    _prepare("folder", path, how)
