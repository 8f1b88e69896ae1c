import base64
import io
import re

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from madlab import plots
from madlab.plots.picture import Picture


def grey() -> Figure:
    figure = Figure(figsize=(2, 1))
    figure.subplots().set(facecolor="#7F7F7F")
    return figure


def pixels(content: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(content)).convert("RGB"))


def test_a_picture_shows_itself_with_alt_text_and_caption():
    bundle = Picture(grey(), 'a "grey" box', "n < 5")._repr_mimebundle_()
    page = bundle["text/html"]
    assert 'alt="a &quot;grey&quot; box"' in page
    assert "<figcaption>n &lt; 5</figcaption>" in page
    content = re.search(r"base64,([^\"]+)", page)[1]
    assert content == bundle["image/png"]
    drawn = pixels(base64.b64decode(content))
    assert (drawn == 127).all(2).mean() > 0.3
    assert (drawn[0, 0] == 255).all()
    assert bundle["text/plain"] == 'a "grey" box n < 5'


def test_a_picture_without_words_is_refused():
    for make in (Picture, plots.show):
        with pytest.raises(ValueError, match="alt is empty"):
            make(grey(), " ")


def test_the_png_is_as_wide_as_its_page_times_the_sharpness():
    picture = Picture(grey(), "grey")
    assert picture.size == (200, 100)
    assert pixels(picture.png()).shape == (150, 300, 3)


def test_a_caption_is_added_and_words_are_replaced_without_drawing_again():
    picture = Picture(grey(), "grey")
    assert picture.captioned("below") == Picture(picture.figure, "grey", "below")
    assert plots.show(picture) == picture
    assert plots.show(picture, "other", caption="below").alt == "other"
    assert plots.show(picture.captioned("kept"), "other").caption == "kept"
    assert plots.png(picture) == picture.png()
    assert plots.show(picture.figure, "grey", colours=None).colours is None
