"""What every panel has: a picture, its words, and a form that reads well without a kernel."""

import html
import weakref
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import ipywidgets as widgets

from madlab.plots import pages

if TYPE_CHECKING:
    from IPython.display import HTML
    from matplotlib.figure import Figure

_WIDE = {"description_width": "initial"}


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

    A panel implements `figure`, `alt` and `settings`, gives its controls to `follow`, and calls
    `redraw` once it is ready. The picture keeps its size; the sentence is there for screen
    readers and for everyone else.

    - `controls`: widgets to put above the picture.
    - `hook`: a CSS class by which a browser test finds the panel.
    """

    def __init__(self, controls: Sequence[widgets.Widget], hook: str) -> None:
        look = widgets.Layout(object_fit="contain", max_width="100%")
        self.picture = widgets.Image(format="png", layout=look)
        self.status = widgets.HTML()
        super().__init__([*controls, self.picture, self.status])
        self.add_class("mad-panel").add_class(hook)
        self.picture.add_class("mad-picture")
        self.status.add_class("mad-status")

    def figure(self) -> "Figure":
        """Return the present state as a figure."""
        raise NotImplementedError

    def alt(self) -> str:
        """Return one or two sentences that say what the picture shows, with numbers."""
        raise NotImplementedError

    def settings(self) -> str:
        """Return the settings that the picture was made with, in words."""
        raise NotImplementedError

    def render(self) -> tuple[bytes, tuple[int, int]]:
        """Return the present state as a PNG, and its width and height in CSS pixels."""
        figure = self.figure()
        return pages.png(figure), pages.page_size(figure)

    def show(self, content: bytes, size: tuple[int, int]) -> None:
        """Put what `render` returned into the picture."""
        self._width, height = size
        self.picture.layout.width, self.picture.layout.height = f"{self._width}px", f"{height}px"
        self.picture.value = content

    def draw(self) -> None:
        """Draw the present state into the picture."""
        self.show(*self.render())

    def redraw(self) -> None:
        """Draw the present state and say what it shows."""
        self.draw()
        self.say(self.alt())

    def say(self, text: str, *, wrong: bool = False) -> None:
        """Put `text` below the picture; with `wrong`, as an error."""
        self.status.value = status(text, wrong=wrong)

    def follow(self, *controls: widgets.Widget) -> None:
        """Redraw whenever the value of a control changes; what goes wrong is said and raised."""
        for control in controls:
            control.observe(self._changed, "value")

    def _changed(self, change: Mapping[str, Any]) -> None:
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
        return pages.embed(self.picture.value, self._width, self.alt(), self.settings())


def status(text: str, *, wrong: bool = False) -> str:
    """Return `text` as HTML that screen readers announce when it changes."""
    colour = "#B00020" if wrong else "inherit"
    return (
        f'<div role="status" aria-live="polite" style="color: {colour}; line-height: 1.4">'
        f"{html.escape(text)}</div>"
    )


def labelled(
    kind: Callable[..., Any], label: str, hook: str, width: str = "auto", **traits: Any
) -> Any:
    """Return a control with a visible label, and a class by which a browser test finds it."""
    return kind(
        description=label, style=_WIDE, layout=widgets.Layout(width=width), **traits
    ).add_class(hook)


def slider(
    label: str, hook: str, low: float, high: float, step: float, value: float
) -> tuple[widgets.Widget, widgets.Box]:
    """Return a slider that works by keyboard, and a box of it with a labelled number to type into.

    Whole numbers make a slider of whole numbers.
    """
    whole = all(isinstance(number, int) for number in (low, high, step, value))
    track, typed = (
        (widgets.IntSlider, widgets.BoundedIntText)
        if whole
        else (widgets.FloatSlider, widgets.BoundedFloatText)
    )
    limits = {"min": low, "max": high, "step": step, "value": value}
    # The handle of a slider has no name for screen readers, the number beside it has.
    number = labelled(typed, label, f"{hook}-number", width="14em", **limits)
    handle = track(
        **limits, readout=False, continuous_update=False, layout=widgets.Layout(width="12em")
    ).add_class(hook)
    widgets.link((handle, "value"), (number, "value"))
    return handle, widgets.HBox([number, handle])


def choice_slider(
    label: str, hook: str, choices: Sequence[tuple[str, Any]], value: Any
) -> tuple[widgets.Widget, widgets.Box]:
    """Return a slider over named choices that works by keyboard, and a box of it with a list."""
    # The handle of a slider has no name for screen readers, the list beside it has.
    listed = labelled(widgets.Dropdown, label, f"{hook}-list", options=choices, value=value)
    handle = widgets.SelectionSlider(
        options=choices,
        value=value,
        readout=False,
        continuous_update=False,
        layout=widgets.Layout(width="14em"),
    ).add_class(hook)
    widgets.link((handle, "value"), (listed, "value"))
    return handle, widgets.HBox([listed, handle])


def row(*children: widgets.Widget) -> widgets.Box:
    """Return widgets side by side, going on below where the page is narrow."""
    layout = widgets.Layout(flex_flow="row wrap", align_items="center", grid_gap="0 12px")
    return widgets.HBox(children, layout=layout)


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
