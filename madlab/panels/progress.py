"""Running chains in a notebook: a widget that moves in a live front end, plain lines elsewhere."""

import math
from typing import TYPE_CHECKING, Any

import ipywidgets as widgets
from IPython.display import display

from madlab.chain import Chain, Generation
from madlab.metrics import AnyScores
from madlab.metrics.pictures import PictureScores
from madlab.panels.panel import front_end_listens

if TYPE_CHECKING:
    import pandas as pd

STAGES = {"fit": "training", "sample": "sampling", "measure": "measuring"}


def watch(chain: Chain, generations: int) -> list[Generation]:
    """Run `generations` generations of a chain and show how far it is.

    Where a front end listens a progress bar names the stage; elsewhere, in a report say, one plain
    line is printed for each generation. Interrupting the kernel keeps every finished generation;
    running the cell again goes on from there. A chain whose training diverges is stopped with a
    line that says so, and the cell goes on with what follows.

    Returns the generations that were finished.
    """
    title = f"{chain.loop.name}, {chain.model.name}, bias {chain.bias:g}, seed {chain.seed}"
    if not front_end_listens():
        done = []
        try:
            for generation in chain.run(generations):
                done.append(generation)
                print(f"{title}: {line(generation, generations)}")
        except FloatingPointError as error:
            print(f"{title}: {_stopped(done, error)}")
        return done
    bar = widgets.FloatProgress(min=0, max=generations, layout=widgets.Layout(width="200px"))
    text = widgets.Label(f"{title}: starting")
    display(widgets.HBox([bar, text]))

    def show(t: int, stage: str, fraction: float) -> None:
        bar.value = t - 1 + {"fit": 0.0, "sample": 0.8, "measure": 0.9}[stage] + fraction * 0.1
        if stage == "fit":
            bar.value = t - 1 + 0.8 * fraction
        text.value = f"{title}: generation {t} of {generations}, {STAGES[stage]}"

    before, chain.progress = chain.progress, show
    done = []
    try:
        for generation in chain.run(generations):
            done.append(generation)
            bar.value = generation.t
            text.value = f"{title}: {line(generation, generations)}"
        return done
    except FloatingPointError as error:
        bar.bar_style = "danger"
        text.value = f"{title}: {_stopped(done, error)}"
        return done
    finally:
        chain.progress = before


def _stopped(done: list[Generation], error: FloatingPointError) -> str:
    return f"stopped after generation {len(done)}: {error}"


def line(generation: Generation, generations: int) -> str:
    """Return one line that says what a generation came to."""
    return f"generation {generation.t} of {generations}: {said(generation.scores)}"


def said(scores: AnyScores) -> str:
    """Return the headline scores in words."""
    if isinstance(scores, PictureScores):
        return said_of_pictures(scores)
    read = "" if math.isnan(scores.read) else f", read {scores.read:.3f}"
    fd, precision, recall = scores.fd, scores.precision, scores.recall
    return f"FD {fd:.3g}, precision {precision:.3f}, recall {recall:.3f}{read}"


def said_of_pictures(scores: "PictureScores | pd.Series[Any]") -> str:
    """Return the headline scores of colour pictures in words, from scores or from a record."""
    return (
        f"KID {scores.kid:.3g} ± {scores.kid_error:.1g}, recall {scores.recall:.2f}, distance "
        f"among them {scores.distance:.2f} of the real one"
    )
