"""A loop that trains while one watches: digits and curves grow generation by generation."""

import math
import shutil
import tempfile
import threading
import time
import weakref
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import ipywidgets as widgets
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from madlab import models
from madlab.chain import Chain, Generation
from madlab.data.samples import Dataset
from madlab.loops import Loop
from madlab.models.base import check_bias, check_count
from madlab.panels.panel import Panel, front_end_listens, labelled, replaces, row, slider
from madlab.plots.colours import GREY, WIDTH
from madlab.plots.lines import describe_curves, draw_curves, metric_label, number, tidy
from madlab.plots.sheets import draw_generations
from madlab.store import Store

_LOOPS: dict[str, Callable[[int, int], Loop]] = {
    "fully synthetic": lambda real, synthetic: Loop.fully_synthetic(synthetic, n_initial=real),
    "synthetic augmentation": Loop.synthetic_augmentation,
    "fresh data": Loop.fresh_data,
}
_STAGES = {"fit": "training", "sample": "sampling from", "measure": "measuring"}
# Messages to the front end: at most so many seconds apart.
_BEAT = 0.25


class _Stopped(Exception):  # noqa: N818
    """Raised inside a chain to end it where it is."""


class _Run:
    """One start of the loop: what was asked for, and what came of it so far."""

    def __init__(self, chosen: Mapping[str, Any], seen: bool = True) -> None:
        self.chosen = dict(chosen)
        self.seen = seen
        self.stop = threading.Event()
        self.thread: threading.Thread | None = None
        self.generations: list[Generation] = []
        self.records = pd.DataFrame()
        self.features = ""
        self.error: Exception | None = None
        self.told = 0.0


class LiveLoop(Panel):
    """A self-consuming loop on digits, run by its controls.

    Changing a control starts the loop anew, Start repeats it (what is in the store is not trained
    again), Stop ends it. In a live front end the loop trains in a thread, so the notebook stays
    usable; elsewhere each start waits until the loop is done, so that a report shows it whole.
    Generation 1 trains on `n_real` real digits whatever the loop, so all loops start alike.
    The number of torch threads is left as it is, since bit-identity depends on it.

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
        if data.images.dtype != np.uint8 or data.images.ndim != 3:
            raise ValueError(f"{data.id} holds no images: a live loop shows pictures of uint8")
        if loop not in _LOOPS:
            raise ValueError(f"loop is {loop!r}; it must be one of: {', '.join(_LOOPS)}")
        self.data, self.n_evaluate = data, check_count("n_evaluate", n_evaluate, least=2)
        self._create = partial(models.create, model, **(model_settings or {}))
        self._create()
        if store is None:
            store = Store(tempfile.mkdtemp(prefix="madlab-"), durable=False)
            weakref.finalize(self, shutil.rmtree, store.path, ignore_errors=True)
        self._store = store if isinstance(store, Store) else Store(store)
        self._build(
            loop,
            check_bias(bias),
            {
                "n_real": check_count("n_real", n_real, least=1),
                "n_synthetic": check_count("n_synthetic", n_synthetic, least=1),
                "generations": check_count("generations", generations, least=1),
                "seed": check_count("seed", seed),
            },
        )
        self._run = _Run(self._chosen())
        self.draw()
        self.say("Press Start to run the loop.")
        replaces(self, lambda panel: panel.stop())
        if start:
            self._start_here()

    def _build(self, loop: str, bias: float, counts: Mapping[str, int]) -> None:
        """Make the controls."""
        self.loop = labelled(widgets.Dropdown, "loop", "mad-loop", options=list(_LOOPS), value=loop)
        # The slider reaches any bias that the notebook asks for.
        self.bias, bias_box = slider("sampling bias", "mad-bias", min(0.1, bias), 1.0, 0.05, bias)
        pool = len(self.data)
        limits = {
            "n_real": ("real digits", 1, pool),
            "n_synthetic": ("synthetic digits", 1, max(pool, counts["n_synthetic"])),
            "generations": ("generations", 1, max(20, counts["generations"])),
            "seed": ("seed", 0, max(2**31 - 1, counts["seed"])),
        }
        if counts["n_real"] > pool:
            raise ValueError(f"n_real is {counts['n_real']:,}, but {self.data.id} has {pool:,}")
        self.counts = {
            name: labelled(
                widgets.BoundedIntText,
                label,
                f"mad-{name.replace('_', '-')}",
                width="13em",
                min=low,
                max=high,
                value=counts[name],
            )
            for name, (label, low, high) in limits.items()
        }
        self.start_button = widgets.Button(description="Start").add_class("mad-start")
        self.stop_button = widgets.Button(description="Stop", disabled=True).add_class("mad-stop")
        self.start_button.on_click(lambda _: self._start_here())
        self.stop_button.on_click(lambda _: self.stop())
        for control in (self.loop, self.bias, *self.counts.values()):
            control.observe(lambda _: self._start_here(), "value")
        choices = row(self.loop, bias_box, *self.counts.values())
        super().__init__([choices, row(self.start_button, self.stop_button)], "mad-live")
        self.picture.add_class("mad-digits")

    def start(self, *, seen: bool = True) -> None:
        """Start the loop in a thread with the settings shown, ending the one that runs.

        - `seen`: whether to draw every generation as it comes, or the whole loop at its end.
        """
        before, self._run = self._run, _Run(self._chosen(), seen)
        before.stop.set()
        self.start_button.disabled, self.stop_button.disabled = True, False
        self.say("Starting.")
        thread = threading.Thread(target=self._work, args=(self._run, before.thread), daemon=True)
        self._run.thread = thread
        thread.start()

    def stop(self) -> None:
        """Ask the loop to end; what is finished stays. Returns at once, see `wait`."""
        self._run.stop.set()
        if self._run.thread is not None and self._run.thread.is_alive():
            self.say("Stopping.")

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until the loop ends, at most `timeout` seconds, and return whether it has.

        Raises what went wrong in it. Interrupting the kernel ends the loop.
        """
        run = self._run
        try:
            if run.thread is not None:
                run.thread.join(timeout)
        except KeyboardInterrupt:
            run.stop.set()
            raise
        if run.error is not None:
            raise run.error
        return run.thread is None or not run.thread.is_alive()

    @property
    def generations(self) -> list[Generation]:
        """The generations of the present run that are finished."""
        return list(self._run.generations)

    @property
    def records(self) -> pd.DataFrame:
        """The records of those generations, as `Chain.records()` gives them."""
        return self._run.records

    @property
    def error(self) -> Exception | None:
        """What ended the present run, where something went wrong."""
        return self._run.error

    def _start_here(self) -> None:
        listens = front_end_listens()
        self.start(seen=listens)
        if not listens:
            self.wait()

    def _chosen(self) -> dict[str, Any]:
        counts = {name: control.value for name, control in self.counts.items()}
        return {"loop": self.loop.value, "bias": round(self.bias.value, 6), **counts}

    def _work(self, run: _Run, before: threading.Thread | None) -> None:
        """Run the loop: the body of the thread."""
        total = run.chosen["generations"]
        try:
            if before is not None:
                before.join()
            self._check(run)
            self._show(run, f"Preparing generation 1 of {total}.")
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
                run.generations.append(generation)
                run.records = chain.records()
                self._check(run)
                self._show(run, self._report(run))
            self._say(run, f"Finished. {self._report(run)}")
        except _Stopped:
            done = len(run.generations)
            self._say(run, f"Stopped after generation {done} of {total}; Start goes on from there.")
        except Exception as error:
            run.error = error
            self._say(run, f"The loop ended with an error: {error}", wrong=True)
        finally:
            if run is self._run:
                if not run.seen:
                    self.draw()
                self.start_button.disabled, self.stop_button.disabled = False, True

    def _check(self, run: _Run) -> None:
        if run.stop.is_set():
            raise _Stopped

    def _tell(self, run: _Run, t: int, stage: str, fraction: float) -> None:
        """Take the chain's progress: end it if asked to, else say so, not too often."""
        self._check(run)
        now = time.monotonic()
        if now - run.told >= _BEAT:
            run.told = now
            total = run.chosen["generations"]
            so_far = f"{self._report(run)} " if run.generations else ""
            how_far = f", {fraction:.0%}" if stage == "fit" else ""
            now_at = f"Now {_STAGES[stage]} generation {t} of {total}{how_far}."
            self._say(run, so_far + now_at)

    def _say(self, run: _Run, text: str, *, wrong: bool = False) -> None:
        # A run that was replaced keeps silent.
        if run is self._run:
            self.say(text, wrong=wrong)

    def _show(self, run: _Run, text: str) -> None:
        if run is self._run and run.seen:
            self.draw()
        self._say(run, text)

    def _report(self, run: _Run) -> str:
        latest = run.generations[-1]
        scores = [
            f"{metric_label(name, run.records).split(' (')[0]} {number(value)}"
            for name in ("fd", "precision", "recall", "read")
            if not math.isnan(value := getattr(latest.scores, name))
        ]
        total = run.chosen["generations"]
        return f"Generation {latest.t} of {total}: {', '.join(scores)}."

    def figure(self) -> Figure:
        """Return digits, one row a generation, beside the scores so far."""
        run = self._run
        total = run.chosen["generations"]
        size = (WIDTH, min(9.0, max(3.6, 0.42 * total + 0.5)))
        figure = Figure(figsize=size, layout="constrained")
        digits, scores = figure.subfigures(1, 2, width_ratios=(1.1, 1), squeeze=False)[0]
        previews = {generation.t: generation.preview for generation in run.generations}
        axes = digits.subplots()
        axes.set_anchor("N")
        draw_generations(axes, previews, total)
        if len(run.records):
            draw_curves(scores, tidy(run.records), generations=total)
        else:
            scores.text(0.5, 0.5, "no generation yet", ha="center", color=GREY, fontsize=11)
        return figure

    def alt(self) -> str:
        """Return which generations are shown and how their scores went."""
        run = self._run
        if not len(run.records):
            return "An empty sheet: no generation has been trained yet."
        shown = "one row of digits 0 to 9 a generation, and the scores of each"
        return f"{len(run.records)} generations, {shown}. {describe_curves(run.records)}"

    def settings(self) -> str:
        """Return the loop with its sizes, the model, bias and seed, and what the scores rest on."""
        chosen = self._run.chosen
        model = self._create()
        extra = "".join(f", {key} {value}" for key, value in model.settings.items())
        return (
            f"{_loop(chosen).describe()}. Model {model.name}{extra}; sampling bias "
            f"{chosen['bias']:g}; seed {chosen['seed']}; scores on {self.n_evaluate:,} digits."
        )


def _loop(chosen: Mapping[str, Any]) -> Loop:
    return _LOOPS[chosen["loop"]](chosen["n_real"], chosen["n_synthetic"])
