"""What every panel must leave: controls with labels, and pages that read without a kernel."""

import base64
import io
import re
import threading

import ipywidgets as widgets
import numpy as np
from PIL import Image


def images_in(page):
    found = re.findall(r"data:image/png;base64,([^\"]+)", page)
    return [
        np.asarray(Image.open(io.BytesIO(base64.b64decode(one))).convert("RGB")) for one in found
    ]


def check_pages(page):
    """Every picture of a fallback has alt text, a caption, and is not blank; returns the alts."""
    pictures = images_in(page)
    alts = re.findall(r'<img alt="([^"]+)"', page)
    captions = re.findall(r"<figcaption>(.+?)</figcaption>", page)
    assert len(pictures) == len(alts) == len(captions) > 0
    assert all(picture.std() > 10 for picture in pictures)
    assert all(len(text) > 30 for text in (*alts, *captions))
    return alts


def check_page(page):
    """A fallback is one small picture with its words; returns the alt text."""
    (alt,) = check_pages(page)
    assert len(page) < 150_000
    return alt


def until_said(panel, pattern):
    """Wait until a panel's status, which a thread writes, says what fits a pattern."""
    said = threading.Event()

    def look(_=None):
        if re.search(pattern, panel.status.value):
            said.set()

    panel.status.observe(look, "value")
    look()
    said.wait()
    panel.status.unobserve(look, "value")


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
    linked = {widgets.IntSlider, widgets.FloatSlider, widgets.SelectionSlider}
    for control in controls_of(shown):
        assert control.description or type(control) in linked, control
        assert not getattr(control, "continuous_update", False)
