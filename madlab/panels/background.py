"""Panels that work in a thread: Start, Stop, and what they say in between."""

import threading
import time
from collections.abc import Mapping
from typing import Any

import ipywidgets as widgets

from madlab.panels.panel import Panel, Row, front_end_listens, replaces

# Messages to the front end: at most so many seconds apart.
_BEAT = 0.25


class Stopped(Exception):  # noqa: N818
    """Raised inside the work of a run to end it where it is."""


class Run:
    """One start of a panel's work: what was asked for, and how it goes.

    - `chosen`: the settings it was started with.
    - `seen`: whether to draw as it goes, or only at the end.
    """

    def __init__(self, chosen: Mapping[str, Any], seen: bool = True) -> None:
        self.chosen = dict(chosen)
        self.seen = seen
        self.stop = threading.Event()
        self.thread: threading.Thread | None = None
        self.error: Exception | None = None
        self._beat = 0.0

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
    work is done, so that a report shows it whole. A start ends the run before it. A panel
    implements `chosen`, `work` and `stopped` beside what `Panel` asks for. The number of torch
    threads is left as it is, since bit-identity depends on it.

    - `hook`, `rows`: as for `Panel`; the buttons stand below the rows.
    """

    # What a start makes; panels whose runs hold more than settings have one of their own.
    kind: type[Run] = Run

    def __init__(self, hook: str, *rows: Row) -> None:
        self.start_button = widgets.Button(description="Start").add_class("mad-start")
        self.stop_button = widgets.Button(description="Stop", disabled=True).add_class("mad-stop")
        self.start_button.on_click(lambda _: self.start_here())
        self.stop_button.on_click(lambda _: self.stop())
        self._turn = threading.Lock()
        self._run = self.kind(self.chosen())
        super().__init__(hook, *rows, [self.start_button, self.stop_button])
        replaces(self, lambda panel: panel.stop())

    def chosen(self) -> dict[str, Any]:
        """Return the settings that the controls show."""
        raise NotImplementedError

    def work(self, run: Any) -> str:
        """Do the work of a run, calling its `check` often, and return what to say at its end."""
        raise NotImplementedError

    def stopped(self, run: Any) -> str:
        """Return what to say of a run that was ended by Stop."""
        raise NotImplementedError

    def start(self, *, seen: bool = True) -> None:
        """Start the work in a thread with the settings shown, ending the run before.

        - `seen`: whether to draw as it goes, or only at the end.
        """
        with self._turn:
            before, self._run = self._run, self.kind(self.chosen(), seen)
        before.stop.set()
        self.start_button.disabled, self.stop_button.disabled = True, False
        self.say("Starting.")
        thread = threading.Thread(target=self._body, args=(self._run, before.thread), daemon=True)
        self._run.thread = thread
        thread.start()

    def stop(self) -> None:
        """Ask the run to end; what is finished stays. Returns at once, see `wait`."""
        self._run.stop.set()
        if self._run.thread is not None and self._run.thread.is_alive():
            self.say("Stopping.")

    def dismiss(self) -> None:
        """End the run in silence: what it would say belongs to settings no longer shown."""
        with self._turn:
            before, self._run = self._run, self.kind(self.chosen())
        before.stop.set()
        # Waiting, and the next start, still wait for it.
        self._run.thread = before.thread
        self.start_button.disabled, self.stop_button.disabled = False, True

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
            picture = self.render()
            with self._turn:
                # Drawing takes its time, in which another run may have taken over.
                if run is self._run:
                    self.show(picture)
        self.say_of(run, text)

    def _body(self, run: Run, before: threading.Thread | None) -> None:
        """Do the work and take care of its end: the body of the thread."""
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
            if run is self._run:
                if not run.seen:
                    self.show(self.render())
                self.start_button.disabled, self.stop_button.disabled = False, True
