"""A loop that trains while one watches: digits and curves grow generation by generation."""

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ipywidgets as widgets
import pandas as pd
from IPython.display import display

from madlab import checks, models
from madlab.data.samples import Dataset
from madlab.loops import Loop
from madlab.panels.background import BackgroundPanel, Run
from madlab.panels.panel import (
    dropdown,
    front_end_listens,
    in_full,
    in_words,
    page,
    slider,
    whole_number,
)
from madlab.plots.curves import curve_facets, tidy
from madlab.plots.lines import draw, words
from madlab.plots.picture import Picture
from madlab.plots.sheets import draw_generations
from madlab.plots.style import GREY
from madlab.store import Store

if TYPE_CHECKING:
    from madlab.chain import Chain, Generation

_LOOPS: dict[str, Callable[[int, int], Loop]] = {
    "fully synthetic": lambda real, synthetic: Loop.fully_synthetic(synthetic, n_initial=real),
    "synthetic augmentation": Loop.synthetic_augmentation,
    "fresh data": Loop.fresh_data,
}
# What each stage is called, and the part of a generation that is done when it begins and ends.
_STAGES = {
    "fit": ("training", 0.0, 0.8),
    "sample": ("sampling from", 0.8, 0.9),
    "measure": ("measuring", 0.9, 1.0),
}


class LiveLoop(BackgroundPanel):
    """A self-consuming loop on digits, run by its controls.

    Changing a control starts the loop anew, Start repeats it (what is in the store is not trained
    again), Stop ends it. Generation 1 trains on `n_real` real digits whatever the loop, so all
    loops start alike.

    - `data`: a data set of uint8 images, for instance `madlab.data.mnist()`.
    - `loop`: "fully synthetic", "synthetic augmentation" or "fresh data".
    - `model`, `model_settings`: as for `madlab.models.create`.
    - `bias`: the sampling bias lambda in (0, 1].
    - `n_real`, `n_synthetic`: real and synthetic digits per generation.
    - `generations`: how many to run; `seed`: the chain's seed.
    - `n_evaluate`: digits scored in each generation.
    - `store`: as for `Chain`; None keeps the work in a temporary folder, shared by all starts.
    - `start`: whether to start at once.

    Raises ValueError, TypeError or KeyError for what cannot work; what only a start can find is
    said in the status line, kept in `error` and raised by `wait`.
    """

    def __init__(
        self,
        data: Dataset,
        *,
        loop: str = "fully synthetic",
        model: str = "mixture",
        model_settings: Mapping[str, Any] | None = None,
        bias: float = 1.0,
        n_real: int = 5_000,
        n_synthetic: int = 5_000,
        generations: int = 6,
        seed: int = 0,
        n_evaluate: int = 2_000,
        store: str | Path | Store | None = None,
        start: bool = True,
    ) -> None:
        checks.pictures(data.images, name=f"images of {data.id}", colour=False)
        self.data, self.n_evaluate = data, checks.count("n_evaluate", n_evaluate, least=2)
        self._create = partial(models.create, model, **(model_settings or {}))
        self._create()
        self._store = Store.of(store, self)
        pool = len(data)
        checks.count("n_real", n_real, least=1, most=pool)
        checks.count("n_synthetic", n_synthetic, least=1)
        checks.count("generations", generations, least=1)
        controls = {
            "loop": dropdown("loop", list(_LOOPS), checks.choice("loop", loop, _LOOPS)),
            "bias": slider("sampling bias", 0.1, 1.0, 0.05, checks.bias(bias)),
            "n_real": whole_number("real digits", 1, pool, n_real),
            "n_synthetic": whole_number("synthetic digits", 1, pool, n_synthetic),
            "generations": whole_number("generations", 1, 20, generations),
            "seed": whole_number("seed", 0, 2**31 - 1, checks.count("seed", seed)),
        }
        super().__init__("mad-live", controls, start=start)
        if not start:
            self.say("Press Start to run the loop.")

    def _changed(self, change: Mapping[str, Any]) -> None:
        self.start_here()

    @property
    def generations(self) -> list["Generation"]:
        """The generations of the present run that are finished."""
        return [generation for generation, _ in self._run.results]

    @property
    def records(self) -> pd.DataFrame:
        """The records of those generations, as `Chain.records()` gives them."""
        return self._run.results[-1][1] if self._run.results else pd.DataFrame()

    def work(self, run: Run) -> str:
        """Run the loop, drawing each generation."""
        total = run.chosen["generations"]
        self.show_of(run, f"Preparing generation 1 of {total}.")
        # Here, because it loads torch, which the panel need not wait for.
        from madlab.chain import Chain

        chain = Chain(
            _loop(run.chosen),
            self._create(),
            self.data,
            bias=run.chosen["bias"],
            seed=run.chosen["seed"],
            store=self._store,
            n_evaluate=self.n_evaluate,
            progress=partial(self._tell, run),
        )
        for generation in chain.run(total):
            run.results.append((generation, chain.records()))
            run.check()
            self.show_of(run, _report(run))
        return f"Finished. {_report(run)}"

    def stopped(self, run: Run) -> str:
        """Return how far the loop came."""
        done, total = len(run.results), run.chosen["generations"]
        return f"Stopped after generation {done} of {total}; Start goes on from there."

    def _tell(self, run: Run, t: int, stage: str, fraction: float) -> None:
        """Take the chain's progress: end it if asked to, else say so, not too often."""
        run.check()
        if run.due():
            so_far = f"{_report(run)} " if run.results else ""
            how_far = f", {fraction:.0%}" if stage == "fit" else ""
            place = f"generation {t} of {run.chosen['generations']}"
            self.say_of(run, f"{so_far}Now {_STAGES[stage][0]} {place}{how_far}.")

    def render(self) -> Picture:
        """Return digits, one row a generation, beside the scores so far."""
        chosen, records = self._run.chosen, self.records
        total = chosen["generations"]
        figure, (digits, scores) = page(min(9.0, max(3.6, 0.42 * total + 0.5)), 1.1, 1)
        axes = digits.subplots(subplot_kw={"anchor": "N"})
        draw_generations(axes, {found.t: found.preview for found in self.generations}, total)
        alt = "An empty sheet: no generation has been trained yet."
        if len(records):
            facets = curve_facets(tidy(records), generations=total)
            draw(scores, facets)
            shown = "one row of digits 0 to 9 a generation, and the scores of each"
            alt = f"{len(records)} generations, {shown}. {words(facets)}"
        else:
            scores.text(0.5, 0.5, "no generation yet", ha="center", color=GREY, fontsize=11)
        about = (
            f"{_loop(chosen).describe()}. Model {in_full(self._create())}; sampling bias "
            f"{chosen['bias']:g}; seed {chosen['seed']}; scores on {self.n_evaluate:,} digits."
        )
        return Picture(figure, alt, about)


def _loop(chosen: Mapping[str, Any]) -> Loop:
    return _LOOPS[chosen["loop"]](chosen["n_real"], chosen["n_synthetic"])


def _report(run: Run) -> str:
    generation, records = run.results[-1]
    return _line(records, generation.t, run.chosen["generations"]) + "."


def watch(chain: "Chain", generations: int) -> list["Generation"]:
    """Run `generations` generations of a chain and show how far it is.

    Where a front end listens a progress bar names the stage; elsewhere, in a report say, one plain
    line is printed for each generation. Interrupting the kernel keeps every finished generation;
    running the cell again goes on from there. A chain whose training diverges is stopped with a
    line that says so, and the cell goes on with what follows.

    Returns the generations that were finished.
    """
    title = f"{chain.loop.name}, {chain.model.name}, bias {chain.bias:g}, seed {chain.seed}"
    bar = widgets.FloatProgress(max=generations, layout=widgets.Layout(width="200px"))
    text = widgets.Label(f"{title}: starting")
    before, done = chain.progress, []
    listens = front_end_listens()

    def say(words: str) -> None:
        text.value = f"{title}: {words}"
        if not listens:
            print(text.value)

    def show(t: int, stage: str, fraction: float) -> None:
        name, begin, end = _STAGES[stage]
        bar.value = t - 1 + begin + (end - begin) * fraction
        text.value = f"{title}: generation {t} of {generations}, {name}"

    if listens:
        display(widgets.HBox([bar, text]))
        chain.progress = show
    try:
        for generation in chain.run(generations):
            done.append(generation)
            bar.value = generation.t
            say(_line(chain.records(), generation.t, generations))
    except FloatingPointError as error:
        bar.bar_style = "danger"
        say(f"stopped after generation {len(done)}: {error}")
    finally:
        chain.progress = before
    return done


def _line(records: pd.DataFrame, t: int, generations: int) -> str:
    scores = in_words(records[records["generation"] == t])
    return f"Generation {t} of {generations}: {scores}"
