"""What every panel has: a picture, its words, and a form that reads well without a kernel."""

import html
import weakref
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import ipywidgets as widgets

from madlab.plots.picture import Picture

if TYPE_CHECKING:
    import pandas as pd
    from IPython.display import HTML
    from matplotlib.figure import Figure

    from madlab.models import Model

Row = Sequence[widgets.Widget]
_ROW = {"flex_flow": "row wrap", "align_items": "center", "grid_gap": "0 12px"}
# A slider waits for the handle to be let go.
_HANDLE = {"readout": False, "continuous_update": False}


def front_end_listens() -> bool:
    """Return whether a live front end executes this code, so that clicks can be answered.

    A live front end, such as JupyterLab, lets the code that it sends ask for input, or sends a
    widget's message; papermill and nbconvert do neither, and outside a kernel there is none.
    """
    request = _request()
    if request.get("header", {}).get("msg_type") == "comm_msg":
        return True
    return bool(request.get("content", {}).get("allow_stdin"))


def _request() -> dict[str, Any]:
    """Return the message that the kernel is working on, empty where there is no kernel."""
    from IPython import get_ipython

    kernel = getattr(get_ipython(), "kernel", None)
    return {} if kernel is None else kernel.get_parent("shell") or {}


class Fallback(widgets.VBox):
    """A box of widgets that also displays as HTML, for reports and for pages without a kernel."""

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

    def html(self) -> str:
        """Return the present state as HTML that needs no kernel, script or other file."""
        raise NotImplementedError

    def words(self) -> str:
        """Return the present state in plain words."""
        raise NotImplementedError

    def fallback(self) -> str:
        """Return the HTML that is kept with the notebook; the present state unless overridden."""
        return self.html()

    def snapshot(self) -> "HTML":
        """Return a display of the present state, which keeps it in the notebook."""
        from IPython.display import HTML

        return HTML(self.html())

    def _repr_mimebundle_(self, **kwargs: Any) -> dict[str, Any]:
        bundle: dict[str, Any] = super()._repr_mimebundle_(**kwargs)
        return {**bundle, "text/plain": self.words(), "text/html": self.fallback()}


class Panel(Fallback):
    """Controls, a picture that follows them, and a sentence that says what the picture shows.

    A panel makes its controls and whatever else it needs, hands the controls to this class, and
    implements `render`, whose picture is shown at once and anew whenever a control changes; its alt
    text stands below, for screen readers and for everyone else.

    - `hook`: a CSS class by which a browser test finds the panel.
    - `rows`: the controls above the picture, row by row.
    """

    def __init__(self, hook: str, *rows: Row) -> None:
        look = widgets.Layout(object_fit="contain", max_width="100%")
        self.picture = widgets.Image(format="png", layout=look).add_class("mad-picture")
        super().__init__([*map(row, rows), self.picture, self.status])
        self.add_class("mad-panel").add_class(hook)
        for control in (one for line in rows for one in line):
            if isinstance(control, widgets.ValueWidget) and not isinstance(control, widgets.Label):
                control.observe(self._changed, "value")
        self.redraw()

    def render(self) -> Picture:
        """Return the present state as a picture: alt text with numbers, settings as caption."""
        raise NotImplementedError

    def figure(self) -> "Figure":
        """Return the figure that is shown."""
        return self._shown.figure

    def alt(self) -> str:
        """Return one or two sentences that say what the picture shows, with numbers."""
        return self._shown.alt

    def settings(self) -> str:
        """Return the settings that the picture was made with, in words."""
        return self._shown.caption

    def sheet(self) -> Sequence[Picture]:
        """Return the pictures that are kept with the notebook: a contact sheet over a range.

        Unless overridden, the present state.
        """
        return [self._shown]

    def show(self, picture: Picture) -> None:
        """Put what `render` returned into the panel."""
        width, height = picture.size
        self.picture.layout.width, self.picture.layout.height = f"{width}px", f"{height}px"
        self.picture.value = picture.png()
        self._shown = picture

    def redraw(self) -> None:
        """Draw the present state and say what it shows."""
        self.show(self.render())
        self.say(self.alt())

    def _changed(self, change: Mapping[str, Any]) -> None:
        """Follow a control; what goes wrong is said and raised."""
        try:
            self.redraw()
        except Exception as error:
            self.say(f"This cannot be shown: {error}", wrong=True)
            raise

    def words(self) -> str:
        """Return what the picture shows, and its settings."""
        return f"{self.alt()} ({self.settings()})"

    def html(self) -> str:
        """Return the present state as an HTML figure with alt text and its settings as caption."""
        return self._shown.html()

    def fallback(self) -> str:
        """Return the contact sheet as HTML figures."""
        return "".join(picture.html() for picture in self.sheet())


def in_words(records: "pd.DataFrame", first: "pd.Series[Any] | None" = None) -> str:
    """Return the headline scores of the last of some records in words.

    - `first`: another record, whose scores are given in brackets.
    """
    import pandas as pd

    from madlab.metrics.scores import kind_of_records, score_label
    from madlab.plots.lines import number

    now, said = records.iloc[-1], []
    for metric in kind_of_records(records).headline:
        if pd.notna(now[metric]):
            error = now.get(f"{metric}_error")
            text = f"{now[metric]:.3g} ± {error:.1g}" if pd.notna(error) else number(now[metric])
            beside = "" if first is None else f" ({number(first[metric])})"
            said.append(f"{score_label(metric, records, short=True)} {text}{beside}")
    return ", ".join(said)


def in_full(model: "Model") -> str:
    """Return the name of a model and its settings in words."""
    return ", ".join([model.name, *(f"{key} {value}" for key, value in model.settings.items())])


def row(controls: Row) -> widgets.Box:
    """Return controls side by side, going on below where the page is narrow."""
    boxes = [getattr(control, "box", control) for control in controls]
    return widgets.HBox(boxes, layout=widgets.Layout(**_ROW))


def labelled(
    kind: Callable[..., Any], label: str, hook: str, width: str = "auto", **traits: Any
) -> Any:
    """Return a control with a visible label, and a class by which a browser test finds it."""
    style, layout = {"description_width": "initial"}, widgets.Layout(width=width)
    return kind(description=label, style=style, layout=layout, **traits).add_class(hook)


def dropdown(label: str, hook: str, options: Sequence[Any], value: Any) -> Any:
    """Return a list to choose from; `options` are values, or pairs of a label and a value."""
    return labelled(widgets.Dropdown, label, hook, options=options, value=value)


def buttons(label: str, hook: str, options: Sequence[Any], width: str) -> Any:
    """Return a row of buttons of which one is pressed; `options` as for `dropdown`."""
    found = labelled(widgets.ToggleButtons, label, hook, options=options)
    found.style.button_width = width
    return found


def whole_number(label: str, hook: str, least: int, most: int, value: int) -> Any:
    """Return a box to type a whole number into; it offers `value` even where that is above."""
    limits = {"min": least, "max": max(most, value), "value": value}
    return labelled(widgets.BoundedIntText, label, hook, width="13em", **limits)


def slider(label: str, hook: str, low: float, high: float, step: float, value: float) -> Any:
    """Return a slider that works by keyboard; it reaches to `value` even where that is outside.

    Its `box` holds it beside a labelled number to type into: the handle of a slider has no name for
    screen readers, the number beside it has. Whole numbers make a slider of whole numbers.
    """
    whole = all(isinstance(number, int) for number in (low, high, step, value))
    track = widgets.IntSlider if whole else widgets.FloatSlider
    typed = widgets.BoundedIntText if whole else widgets.BoundedFloatText
    limits = {"min": min(low, value), "max": max(high, value), "step": step, "value": value}
    number = labelled(typed, label, f"{hook}-number", width="14em", **limits)
    return _linked(track(**limits, **_HANDLE, layout=widgets.Layout(width="12em")), number, hook)


def stepped_slider(label: str, hook: str, options: Sequence[tuple[str, Any]], value: Any) -> Any:
    """Return a slider over named values that works by keyboard; its `box` holds it and a list."""
    listed = dropdown(label, f"{hook}-list", options, value)
    layout = widgets.Layout(width="14em")
    handle = widgets.SelectionSlider(options=options, value=value, **_HANDLE, layout=layout)
    return _linked(handle, listed, hook)


def _linked(handle: Any, named: widgets.Widget, hook: str) -> Any:
    widgets.link((handle, "value"), (named, "value"))
    handle.box = widgets.HBox([named, handle])
    return handle.add_class(hook)


_SHOWN: dict[str, tuple[str, "weakref.ref[Any]"]] = {}


def replaces(panel: Any, dismiss: Callable[[Any], None]) -> None:
    """Remember which cell made `panel`, and `dismiss` the one that an earlier run of it made.

    Running a cell again drops its panel from the page, but not from the kernel.
    """
    parent = _request()
    name, run = parent.get("metadata", {}).get("cellId"), parent.get("header", {}).get("msg_id")
    if name is None:
        return
    earlier = _SHOWN.get(name)
    _SHOWN[name] = run, weakref.ref(panel)
    if earlier is not None and earlier[0] != run and (gone := earlier[1]()) is not None:
        dismiss(gone)
