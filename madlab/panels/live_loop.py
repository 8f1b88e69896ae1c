"""A loop that trains while one watches: digits and curves grow generation by generation."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import ipywidgets as widgets
import numpy as np
import pandas as pd
from IPython.display import display
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from madlab import checks, models
from madlab.data.samples import Dataset
from madlab.loops import Loop
from madlab.panels.background import BackgroundPanel, Run
from madlab.panels.panel import (
    buttons,
    dropdown,
    in_full,
    in_words,
    slider,
    whole_number,
)
from madlab.panels.still import front_end_listens
from madlab.plots.curves import curve_facets, tidy
from madlab.plots.lines import draw, words
from madlab.plots.picture import Picture, paste, pixels
from madlab.plots.sheets import draw_wall
from madlab.plots.style import GREY, WIDTH
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

# What the dial of sizes offers; milliseconds that playing shows each generation; of a contact
# sheet, the most walls in its row.
_SIZES = (250, 500, 1_000, 2_000, 5_000, 10_000, 20_000, 60_000)
_MILLISECONDS = 700
_WALLS = 4


class _Plan(NamedTuple):
    """Inches: of a figure, of the sides of its walls, and left, bottom, width, height of scores."""

    high: float
    side: float
    scores: tuple[float, float, float, float]


_BESIDE = _Plan(3.3, 2.9, (6.35, 0.0, WIDTH - 6.35, 3.3))
_ABOVE = _Plan(5.4, 1.95, (0.0, 0.0, WIDTH, 3.1))


class LiveLoop(BackgroundPanel):
    """A self-consuming loop on digits, run by its controls.

    Many digits of a generation stand beside as many of generation 1, in the same places where the
    model follows its noise, and beside the scores of all. Changing a control starts the loop anew,
    Start repeats it (what is in the store is not trained again), Stop ends it; which generation
    and which class are shown may change at any time. Generation 1 trains on `n_real` real digits
    whatever the loop, so all loops start alike.

    - `data`: a data set of uint8 images, for instance `madlab.data.mnist()`.
    - `loop`: "fully synthetic", "synthetic augmentation" or "fresh data".
    - `model`, `model_settings`: as for `madlab.models.create`.
    - `bias`: the sampling bias lambda in (0, 1].
    - `n`: digits per generation, real and synthetic alike, on one dial; or in its place
      `n_real`, `n_synthetic`: real and synthetic digits per generation.
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
        n: int | None = None,
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
        self._drawn: Any = (None, None)
        pool = len(data)
        checks.count("generations", generations, least=1)
        if n is None:
            checks.count("n_real", n_real, least=1, most=pool)
            checks.count("n_synthetic", n_synthetic, least=1)
            sizes = {
                "n_real": whole_number("real digits", 1, pool, n_real),
                "n_synthetic": whole_number("synthetic digits", 1, pool, n_synthetic),
            }
        else:
            checks.count("n", n, least=1, most=pool)
            offered = sorted({n, *(one for one in _SIZES if one <= pool)})
            sizes = {"n": dropdown("digits a generation", offered, n)}
        controls = {
            **sizes,
            "loop": dropdown("loop", list(_LOOPS), checks.choice("loop", loop, _LOOPS)),
            "bias": slider("sampling bias", 0.1, 1.0, 0.05, checks.bias(bias)),
            "generations": whole_number("generations", 1, 20, generations),
            "seed": whole_number("seed", 0, 2**31 - 1, checks.count("seed", seed)),
        }
        classes = [] if data.labels is None else np.unique(data.labels).tolist()
        step = slider("generation", 1, generations, 1, generations)
        play = widgets.Play(
            description="Play", min=1, max=generations, value=generations, interval=_MILLISECONDS
        )
        widgets.link((play, "value"), (step, "value"))
        widgets.link((step, "max"), (play, "max"))
        looks = {"play": widgets.HBox([play]), "shown": step}
        if classes:
            every = {"all": None, **{str(one): one for one in classes}}
            looks["digit"] = buttons("show", every, "3em")
        super().__init__("mad-live", controls, looks=looks, start=start)
        if not start:
            self.say("Press Start to run the loop.")

    def _changed(self, change: Mapping[str, Any]) -> None:
        # The newest generation is shown, however many there were before.
        self.shown.max = self.shown.value = self.controls["generations"].value
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
        """Return digits of generation 1 and of the one chosen, beside the scores so far."""
        found = self.generations
        at = sorted({1, min(self.shown.value, len(found))}) if found else []
        return self._draw(_BESIDE, at)

    def sheet(self) -> list[Picture]:
        """Return digits of some generations, above the scores of all."""
        # Evenly on a logarithmic scale: most happens early.
        total = len(self.generations)
        at = np.geomspace(1, total, min(_WALLS, total)).round().astype(int).tolist()
        return [self._draw(_ABOVE, at) if total > 2 else self._shown]

    def _draw(self, plan: "_Plan", at: list[int]) -> Picture:
        """Draw walls of the generations `at` and the scores where the plan has them."""
        settings = self._run.chosen
        said: dict[str, list[str]] = {}
        # Laid out by hand: matplotlib's layouts take longer than one who plays it would wait.
        figure = Figure(figsize=(WIDTH, plan.high))
        across = (plan.side + 0.25) / WIDTH
        for place, t in enumerate(at):
            top = plan.high - 0.28 - plan.side
            corner = (place * across + 0.25 / WIDTH, top / plan.high)
            axes = figure.add_axes((*corner, plan.side / WIDTH, plan.side / plan.high))
            said.setdefault(self._wall(axes, self.generations[t - 1]), []).append(str(t))
            axes.set_title(f"generation {t}", fontsize=11, loc="left")
        if at:
            shown, told = self._scores(plan)
            paste(figure, shown, *plan.scores[:2])
            walls = "; ".join(f"{what} of generation {', '.join(t)}" for what, t in said.items())
            alt = f"{walls}, beside the scores of {len(self.records)}. {told}"
        else:
            figure.text(0.5, 0.5, "no generation yet", ha="center", color=GREY, fontsize=11)
            alt = "An empty wall: no generation has been trained yet."
        about = (
            f"{_loop(settings).describe()}. Model {in_full(self._create())}; sampling bias "
            f"{settings['bias']:g}; seed {settings['seed']}; scores on {self.n_evaluate:,} digits."
        )
        return Picture(figure, alt, about)

    def _scores(self, plan: "_Plan") -> tuple[np.ndarray, str]:
        """Return a drawing of the scores and what it says, as long as no generation is added."""
        key = (id(self._run), len(self.records), plan)
        if self._drawn[0] != key:
            facets = curve_facets(tidy(self.records), generations=self._run.chosen["generations"])
            figure = Figure(figsize=plan.scores[2:], layout="constrained")
            # Narrow ones have no room for what a score stands for.
            narrow = plan is _BESIDE
            draw(figure, [replace(one, title=one.name) for one in facets] if narrow else facets)
            self._drawn = key, (pixels(figure), words(facets))
        shown: tuple[np.ndarray, str] = self._drawn[1]
        return shown

    def _wall(self, axes: Axes, generation: "Generation") -> str:
        """Draw the digits of a generation that are asked for, and say what they are."""
        digit = self.controls["digit"].value if "digit" in self.controls else None
        # More of one class than a preview has; only a preview repeats its noise.
        many = digit is not None and not self._create().follows_noise
        return draw_wall(axes, generation.samples if many else generation.preview, digit)


def _loop(chosen: Mapping[str, Any]) -> Loop:
    real, synthetic = chosen.get("n_real"), chosen.get("n_synthetic")
    return _LOOPS[chosen["loop"]](real or chosen["n"], synthetic or chosen["n"])


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
