"""What every panel has: controls, a picture that follows them, words, a form without a kernel."""

import html
import os
import threading
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any

import ipywidgets as widgets
import pandas as pd
import traitlets
from IPython.display import display, update_display
from matplotlib.figure import Figure, SubFigure

from madlab.metrics.scores import kind_of_records, score_label
from madlab.models import Model
from madlab.plots.lines import number
from madlab.plots.picture import Picture
from madlab.plots.style import WIDTH

# Controls that stand side by side, by the names of what they set.
Row = Mapping[str, Any]
_ROW = {"flex_flow": "row wrap", "align_items": "center", "grid_gap": "0 12px"}
# A slider waits for the handle to be let go.
_HANDLE = {"readout": False, "continuous_update": False}
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


class Panel(Fallback):
    """Controls, a picture that follows them, and a sentence that says what the picture shows.

    A panel hands its controls to this class and implements `render`, the one place where it is
    drawn and described: at once, and anew whenever a control changes. The alt text of the picture
    stands below it, for screen readers and for everyone else.

    - `hook`: a CSS class by which a browser test finds the panel.
    - `rows`: what stands above the picture, row by row. All of it gets a class for browser tests,
      `mad-` and its name, and is an attribute of the panel, unless it gives that name another
      meaning. What has a value is a control.
    """

    _changing = False

    def __init__(self, hook: str, *rows: Row) -> None:
        above = {name: widget for line in rows for name, widget in line.items()}
        self.__dict__.update(above)
        self.controls = {name: widget for name, widget in above.items() if hasattr(widget, "value")}
        look = widgets.Layout(object_fit="contain", max_width="100%")
        self.picture = widgets.Image(format="png", layout=look).add_class("mad-picture")
        super().__init__([*(row(line.values()) for line in rows), self.picture, self.status])
        self.add_class("mad-panel").add_class(hook)
        for name, widget in above.items():
            widget.add_class(f"mad-{name.replace('_', '-')}")
        self.settle()
        for control in self.controls.values():
            control.observe(self._changed, "value")
        self.redraw()

    @property
    def state(self) -> dict[str, Any]:
        """What the controls are set to, by their names; fractions to six digits."""
        values = {name: control.value for name, control in self.controls.items()}
        return {name: round(v, 6) if isinstance(v, float) else v for name, v in values.items()}

    def settle(self) -> None:
        """Make the controls fit each other, before each drawing that follows one of them."""

    def render(self) -> Picture:
        """Return the present state as a picture: alt text with numbers, settings as caption."""
        raise NotImplementedError

    def sheet(self) -> Sequence[Picture]:
        """Return what is kept with the notebook: a contact sheet over a range, or what is shown."""
        return [self._shown]

    def figure(self) -> Figure:
        """Return the figure that is shown."""
        return self._shown.figure

    def alt(self) -> str:
        """Return one or two sentences that say what the picture shows, with numbers."""
        return self._shown.alt

    def settings(self) -> str:
        """Return the settings that the picture was made with, in words."""
        return self._shown.caption

    def show(self, picture: Picture) -> None:
        """Put what `render` returned into the panel."""
        width, height = picture.size
        self.picture.layout.width, self.picture.layout.height = f"{width}px", f"{height}px"
        self.picture.value = picture.png()
        self._shown = picture
        self.renew_still()

    def redraw(self) -> None:
        """Draw the present state and say what it shows."""
        self.show(self.render())
        self.say(self.alt())

    def _changed(self, change: Mapping[str, Any]) -> None:
        """Follow a control, not those that follow it; what goes wrong is said and raised."""
        if self._changing:
            return
        self._changing = True
        try:
            self.settle()
            self.redraw()
        except Exception as error:
            self.say(f"This cannot be shown: {error}", wrong=True)
            raise
        finally:
            self._changing = False

    def words(self) -> str:
        """Return what the picture shows, and its settings."""
        return f"{self.alt()} ({self.settings()})"

    def html(self) -> str:
        """Return the present state as an HTML figure with alt text and its settings as caption."""
        return self._shown.html()

    def fallback(self) -> str:
        """Return the contact sheet as HTML figures."""
        return "".join(picture.html() for picture in self.sheet())


def page(inches: float, *ratios: float, below: bool = False) -> tuple[Figure, list[SubFigure]]:
    """Return a figure as wide as a page, and its parts of these ratios, side by side.

    - `below`: one above the other instead.
    """
    figure = Figure(figsize=(WIDTH, inches), layout="constrained")
    if below:
        parts = figure.subfigures(len(ratios), 1, height_ratios=ratios, squeeze=False)
    else:
        parts = figure.subfigures(1, len(ratios), width_ratios=ratios, squeeze=False)
    return figure, parts.ravel().tolist()


def in_words(records: pd.DataFrame, first: "pd.Series[Any] | None" = None) -> str:
    """Return the headline scores of the last of some records in words.

    - `first`: another record, whose scores are given in brackets.
    """
    now, said = records.iloc[-1], []
    for metric in kind_of_records(records).headline:
        if pd.notna(now[metric]):
            error = now.get(f"{metric}_error")
            text = f"{now[metric]:.3g} ± {error:.1g}" if pd.notna(error) else number(now[metric])
            beside = "" if first is None else f" ({number(first[metric])})"
            said.append(f"{score_label(metric, records, short=True)} {text}{beside}")
    return ", ".join(said)


def in_full(model: Model) -> str:
    """Return the name of a model and its settings in words."""
    return ", ".join([model.name, *(f"{key} {value}" for key, value in model.settings.items())])


def row(line: Iterable[widgets.Widget]) -> widgets.Box:
    """Return widgets side by side, going on below where the page is narrow."""
    boxes = [getattr(widget, "box", widget) for widget in line]
    return widgets.HBox(boxes, layout=widgets.Layout(**_ROW))


def labelled(kind: Callable[..., Any], label: str, width: str = "auto", **traits: Any) -> Any:
    """Return a control with a visible label."""
    style, layout = {"description_width": "initial"}, widgets.Layout(width=width)
    return kind(description=label, style=style, layout=layout, **traits)


def named(value: Any) -> str:
    """Return a value as lists to choose from show it."""
    if isinstance(value, float):
        return f"{value:g}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def pairs(options: Iterable[Any]) -> list[tuple[str, Any]]:
    """Return what to choose from, values or values by their labels, as pairs of both."""
    if isinstance(options, Mapping):
        return list(options.items())
    return [(named(value), value) for value in options]


def dropdown(label: str, options: Iterable[Any], value: Any) -> Any:
    """Return a list to choose from; `options` as for `pairs`."""
    return labelled(widgets.Dropdown, label, options=pairs(options), value=value)


def buttons(label: str, options: Iterable[Any], width: str) -> Any:
    """Return a row of buttons of which one is pressed; `options` as for `pairs`."""
    found = labelled(widgets.ToggleButtons, label, options=pairs(options))
    found.style.button_width = width
    return found


class Ticks(widgets.HBox):
    """Boxes to tick behind a label, any number of them; `value` is a tuple of what is ticked.

    - `options`: by their values, the labels of the `boxes`; `ticked`: those to begin with.
    """

    value = traitlets.Tuple()

    def __init__(self, label: str, options: Mapping[Any, str], ticked: Iterable[Any]) -> None:
        self.boxes = {
            value: labelled(widgets.Checkbox, name, indent=False, value=value in ticked)
            for value, name in options.items()
        }
        super().__init__([widgets.Label(label), *self.boxes.values()], layout=_ROW)
        for box in self.boxes.values():
            box.observe(self._tick, "value")
        self._tick()

    def _tick(self, _: object = None) -> None:
        self.value = tuple(value for value, box in self.boxes.items() if box.value)


def whole_number(label: str, least: int, most: int, value: int) -> Any:
    """Return a box to type a whole number into; it offers `value` even where that is above."""
    limits = {"min": least, "max": max(most, value), "value": value}
    return labelled(widgets.BoundedIntText, label, "13em", **limits)


def slider(label: str, low: float, high: float, step: float, value: float) -> Any:
    """Return a slider that works by keyboard; it reaches to `value` even where that is outside.

    Its `box` holds it beside a labelled number to type into: the handle of a slider has no name for
    screen readers, the number beside it has. Whole numbers make a slider of whole numbers.
    """
    whole = all(isinstance(one, int) for one in (low, high, step, value))
    track = widgets.IntSlider if whole else widgets.FloatSlider
    typed = widgets.BoundedIntText if whole else widgets.BoundedFloatText
    limits = {"min": min(low, value), "max": max(high, value), "step": step, "value": value}
    handle = track(**limits, **_HANDLE, layout=widgets.Layout(width="12em"))
    return _beside(labelled(typed, label, "14em", **limits), handle)


def stepped_slider(label: str, options: Iterable[Any], value: Any) -> Any:
    """Return a slider over `pairs` that works by keyboard; its `box` holds it and a list."""
    chosen = {"options": pairs(options), "value": value}
    handle = widgets.SelectionSlider(**chosen, **_HANDLE, layout=widgets.Layout(width="14em"))
    return _beside(labelled(widgets.Dropdown, label, **chosen), handle)


def _beside(typed: widgets.Widget, handle: Any) -> Any:
    widgets.link((handle, "value"), (typed, "value"))
    handle.box = widgets.HBox([typed, handle])
    return handle
