"""What every panel must leave: controls with labels, and pages that read without a kernel."""

import base64
import io
import re

import ipywidgets as widgets
import numpy as np
from PIL import Image


def picture_in(page):
    content = base64.b64decode(re.search(r"data:image/png;base64,([^\"]+)", page)[1])
    return np.asarray(Image.open(io.BytesIO(content)).convert("RGB"))


def check_page(page):
    """A fallback has alt text, a caption and a picture that is not blank."""
    alt = re.search(r'<img alt="([^"]+)"', page)[1]
    assert len(alt) > 30
    assert len(re.search(r"<figcaption>(.+)</figcaption>", page)[1]) > 40
    drawn = picture_in(page)
    assert drawn.std() > 10
    assert len(page) < 150_000
    return alt


def controls_of(box):
    for child in box.children:
        if isinstance(child, widgets.Box):
            yield from controls_of(child)
        elif isinstance(child, widgets.ValueWidget) and not isinstance(
            child, (widgets.HTML, widgets.Label, widgets.Image)
        ):
            yield child


def check_controls(shown):
    """Every control has a visible label, or is a slider beside a labelled number."""
    linked = {widgets.IntSlider, widgets.FloatSlider}
    for control in controls_of(shown):
        assert control.description or type(control) in linked, control
        assert not getattr(control, "continuous_update", False)
