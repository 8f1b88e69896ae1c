"""Panels that work in a thread: Start, Stop, and what they say in between."""

import threading
import time
import weakref
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import ipywidgets as widgets

from madlab.panels.panel import Panel, Row
from madlab.panels.still import front_end_listens, request_of_kernel

# Messages to the front end: at most so many seconds apart.
_BEAT = 0.25
# Of each cell: the run of it that made its panel last, and that panel.
_SHOWN: "dict[str, tuple[str, weakref.ref[BackgroundPanel]]]" = {}


class Stopped(Exception):  # noqa: N818
    """Raised inside the work of a run to end it where it is."""


@dataclass(eq=False)
class Run:
    """One start of a panel's work: what was asked for, and how it goes.

    - `chosen`: the panel's state when it was started.
    - `seen`: whether to draw as it goes, or only at the end.
    - `results`: what came of it so far; `error`: what ended it, where something went wrong.
    """

    chosen: Mapping[str, Any]
    seen: bool = True
    results: list[Any] = field(default_factory=list)
    error: Exception | None = None
    thread: threading.Thread | None = None
    stop: threading.Event = field(default_factory=threading.Event)
    _beat: float = 0.0

    def check(self) -> None:
        """Raise Stopped where the run was asked to end."""
        if self.stop.is_set():
            raise Stopped

    def due(self, seconds: float = _BEAT) -> bool:
        """Return whether it is time for another message, `seconds` after the last at the least."""
        now = time.monotonic()
        if now - self._beat < seconds:
            return False
        self._beat = now
        return True


class BackgroundPanel(Panel):
    """A panel whose Start does work in a thread and whose Stop ends it.

    In a live front end the notebook stays usable meanwhile; elsewhere each start waits until the
    work is done, so that a report shows it whole. A start ends the run before it, and so does a
    changed control. The number of torch threads is left as it is, since bit-identity depends on it.

    A panel implements, beside `render`, `work`, which does the work of a `Run`, calling its `check`
    often, and returns what to say at its end; and `stopped`, which returns what to say of a run
    that was ended by Stop.

    - `hook`, `rows`: as for `Panel`; the buttons stand below the rows.
    - `looks`: controls below the buttons that say how the work is drawn; they end no run.
    - `start`: whether to start at once.
    """

    def __init__(self, hook: str, *rows: Row, looks: Row | None = None, start: bool) -> None:
        start_button = widgets.Button(description="Start")
        stop_button = widgets.Button(description="Stop")
        start_button.on_click(lambda _: self.start_here())
        stop_button.on_click(lambda _: self.stop())
        self._turn = threading.Lock()
        # From drawing to showing: a run and a reader who looks around draw at the same time.
        self._drawing = threading.Lock()
        self._run = Run({})
        buttons = {"start_button": start_button, "stop_button": stop_button}
        super().__init__(hook, *rows, buttons, *([looks] if looks else []))
        for name in self.controls.keys() & (looks or {}).keys():
            self.controls[name].unobserve(self._changed, "value")
            self.controls[name].observe(lambda _: self.redraw(), "value")
        self._replace()
        if start:
            self.start_here()

    def _replace(self) -> None:
        """Stop the panel that an earlier run of the same cell made: the kernel still has it."""
        parent = request_of_kernel()
        cell, run = parent.get("metadata", {}).get("cellId"), parent.get("header", {}).get("msg_id")
        if cell is None:
            return
        earlier = _SHOWN.get(cell)
        _SHOWN[cell] = run, weakref.ref(self)
        if earlier is not None and earlier[0] != run and (gone := earlier[1]()) is not None:
            gone.stop()

    def _renew(self, running: bool, seen: bool = True) -> threading.Thread | None:
        """End the run in silence, put one of the present state in its place, return its thread."""
        with self._turn:
            before, self._run = self._run, Run(self.state, seen)
            # Waiting, and the next start, still wait for it.
            self._run.thread = before.thread
            self._enable(running)
        before.stop.set()
        return before.thread

    def _enable(self, running: bool) -> None:
        self.start_button.disabled, self.stop_button.disabled = running, not running

    def settle(self) -> None:
        """End the run: what it would say belongs to settings no longer shown."""
        self._renew(running=False)

    def redraw(self) -> None:
        """Draw the present state and say what it shows, never over a newer picture."""
        with self._drawing:
            super().redraw()

    def start(self, *, seen: bool = True) -> None:
        """Start the work in a thread with the settings shown, ending the run before.

        - `seen`: whether to draw as it goes, or only at the end.
        """
        before = self._renew(running=True, seen=seen)
        self.say("Starting.")
        thread = threading.Thread(target=self._body, args=(self._run, before), daemon=True)
        self._run.thread = thread
        thread.start()

    def stop(self) -> None:
        """Ask the run to end; what is finished stays. Returns at once, see `wait`."""
        self._run.stop.set()
        if self._run.thread is not None and self._run.thread.is_alive():
            self.say("Stopping.")

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until the run ends, at most `timeout` seconds, and return whether it has.

        Raises what went wrong in it. Interrupting the kernel ends the run.
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
    def error(self) -> Exception | None:
        """What ended the present run, where something went wrong."""
        return self._run.error

    def start_here(self) -> None:
        """Start, and wait for the end where no front end listens."""
        listens = front_end_listens()
        self.start(seen=listens)
        if not listens:
            self.wait()

    def say_of(self, run: Run, text: str, *, wrong: bool = False) -> None:
        """Say something of a run; one that was replaced keeps silent."""
        if run is self._run:
            self.say(text, wrong=wrong)

    def show_of(self, run: Run, text: str) -> None:
        """Draw what a run has come to, if it is seen, and say something of it."""
        if run is self._run and run.seen:
            with self._drawing:
                picture = self.render()
                with self._turn:
                    # Drawing takes its time, in which another run may have taken over.
                    if run is self._run:
                        self.show(picture)
        self.say_of(run, text)

    def _body(self, run: Run, before: threading.Thread | None) -> None:
        try:
            if before is not None:
                before.join()
            run.check()
            self.say_of(run, self.work(run))
        except Stopped:
            self.say_of(run, self.stopped(run))
        except Exception as error:
            run.error = error
            self.say_of(run, f"The run ended with an error: {error}", wrong=True)
        finally:
            if run is self._run and not run.seen:
                with self._drawing:
                    self.show(self.render())
            with self._turn:
                if run is self._run:
                    self._enable(running=False)
