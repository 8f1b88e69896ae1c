"""What stands in a notebook for a box of widgets where there is no kernel: a still of it."""

import html
import os
import threading
import uuid
from collections.abc import Iterable
from functools import cached_property
from typing import Any

import ipywidgets as widgets
from IPython.display import display, update_display

# Seconds until a notebook has what a panel shows.
_MOMENT = 0.4
# JupyterLab marks the place of a view that has no model, to say so; a still stands below.
_NO_MODEL = ".jp-OutputArea:has(.mad-still) .jp-OutputArea-output.jupyter-widgets {display: none}"


class Fallback(widgets.VBox):
    """A box of widgets that also displays as HTML, for reports and for pages without a kernel.

    - `children`: the widgets, from top to bottom.

    It implements `html`, which returns its present state as HTML that needs no kernel, script or
    other file, and `words`, which returns it in plain words.
    """

    _displayed = False
    _waiting: threading.Timer | None = None

    def __init__(self, children: Iterable[widgets.Widget]) -> None:
        self._name = f"mad-still-{uuid.uuid4().hex}"
        hide = f".jp-OutputArea-child:has(.{self._name}), .{self._name} {{display: none}}"
        hidden = widgets.Layout(display="none")
        super().__init__([*children, widgets.HTML(f"<style>{hide}</style>", layout=hidden)])

    @cached_property
    def status(self) -> widgets.HTML:
        """A line that screen readers announce when it changes, to be put into the box."""
        return widgets.HTML().add_class("mad-status")

    def say(self, text: str, *, wrong: bool = False) -> None:
        """Put `text` into the status line; with `wrong`, as an error."""
        colour = "#B00020" if wrong else "inherit"
        self.status.value = (
            f'<div role="status" aria-live="polite" style="color: {colour}; line-height: 1.4">'
            f"{html.escape(text)}</div>"
        )

    def fallback(self) -> str:
        """Return the HTML that a report keeps."""
        return self.html()

    def _repr_mimebundle_(self, **kwargs: Any) -> dict[str, Any]:
        """Return what needs no kernel: the words, and the HTML of a report."""
        page = f'<div class="mad-still">{self.fallback()}</div>'
        return {"text/plain": self.words(), "text/html": page}

    def _ipython_display_(self) -> None:
        """Show the box, and beside it its still, which goes on following it.

        The still is what a saved notebook shows where there is no kernel: front ends take a view
        before any HTML in the same output, even where its model is gone. A view hides its own.
        """
        if executed_alone():
            # Nobody can turn a control, so a view would only hide the picture.
            display(self._repr_mimebundle_(), raw=True)
            return
        view = super()._repr_mimebundle_()
        # Where a view cannot be shown, its place stays empty: the still is there.
        display({**view, "text/plain": self.words(), "text/html": "<div></div>"}, raw=True)
        display(self._still(self.html()), raw=True, display_id=self._name)
        self._displayed = True

    def _still(self, content: str) -> dict[str, Any]:
        page = f'<style>{_NO_MODEL}</style><div class="mad-still {self._name}">{content}</div>'
        return {"text/plain": self.words(), "text/html": page}

    def renew_still(self) -> None:
        """Put the present state into the notebook, a moment later and once for several calls."""
        if not self._displayed:
            return
        self._next = self._still(self.html())
        if self._waiting is None:
            self._waiting = threading.Timer(_MOMENT, self._send_still)
            self._waiting.daemon = True
            self._waiting.start()

    def _send_still(self) -> None:
        self._waiting = None
        update_display(self._next, raw=True, display_id=self._name)


def front_end_listens() -> bool:
    """Return whether a live front end executes this code, so that clicks can be answered.

    A live front end, such as JupyterLab, lets the code that it sends ask for input, or sends a
    widget's message; papermill and nbconvert do neither, and outside a kernel there is none.
    """
    request = request_of_kernel()
    if request.get("header", {}).get("msg_type") == "comm_msg":
        return True
    return bool(request.get("content", {}).get("allow_stdin"))


def executed_alone() -> bool:
    """Return whether a kernel runs this for papermill, nbconvert or their like.

    Voila also asks for no input, but shows its widgets.
    """
    voila = os.environ.get("SERVER_SOFTWARE", "").startswith("voila")
    return bool(request_of_kernel()) and not front_end_listens() and not voila


def request_of_kernel() -> dict[str, Any]:
    """Return the message that the kernel is working on, empty where there is no kernel."""
    from IPython import get_ipython

    kernel = getattr(get_ipython(), "kernel", None)
    return {} if kernel is None else kernel.get_parent("shell") or {}
