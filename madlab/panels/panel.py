"""What every panel has: controls, a picture that follows them, words, a form without a kernel."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import ipywidgets as widgets
import pandas as pd
import traitlets
from matplotlib.figure import Figure, SubFigure

from madlab.metrics.scores import kind_of_records, score_label
from madlab.models import Model
from madlab.panels.still import Fallback
from madlab.plots.lines import number
from madlab.plots.picture import Picture
from madlab.plots.style import WIDTH

# Controls that stand side by side, by the names of what they set.
Row = Mapping[str, Any]
_ROW = {"flex_flow": "row wrap", "align_items": "center", "grid_gap": "0 12px"}
# A slider waits for the handle to be let go.
_HANDLE = {"readout": False, "continuous_update": False}


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
    beside = labelled(typed, label, "14em", **limits)
    traitlets.link((handle, "max"), (beside, "max"))
    return _beside(beside, handle, _tidy)


def stepped_slider(label: str, options: Iterable[Any], value: Any) -> Any:
    """Return a slider over `pairs` that works by keyboard; its `box` holds it and a list."""
    chosen = {"options": pairs(options), "value": value}
    handle = widgets.SelectionSlider(**chosen, **_HANDLE, layout=widgets.Layout(width="14em"))
    return _beside(labelled(widgets.Dropdown, label, **chosen), handle)


def _tidy(value: float) -> float:
    """Return what a step makes 0.30000000000000004 as 0.3."""
    return round(value, 6)


def _same(value: Any) -> Any:
    return value


def _beside(typed: widgets.Widget, handle: Any, shown: Callable[[Any], Any] = _same) -> Any:
    traitlets.link((handle, "value"), (typed, "value"), transform=(shown, _same))
    handle.box = widgets.HBox([typed, handle])
    return handle
