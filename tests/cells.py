"""Cells of the small notebooks that tests make."""

PARAMETERS = 'preset = "quick"  # smoke, quick or full\nseed = 0\nstore = "runs"'

PANEL = """
import base64, io
import ipywidgets as widgets
from matplotlib.figure import Figure

class Panel(widgets.VBox):
    def _repr_mimebundle_(self, **kwargs):
        figure, content = Figure(figsize=(2, 1)), io.BytesIO()
        figure.subplots().plot([1, 3, 2])
        figure.savefig(content, format="png")
        picture = base64.b64encode(content.getvalue()).decode()
        image = f'<img alt="a rising line" src="data:image/png;base64,{picture}">'
        caption = f"<figcaption>seed {seed}</figcaption>"
        bundle = super()._repr_mimebundle_(**kwargs)
        return {**bundle, "text/html": f"<figure>{image}{caption}</figure>"}

Panel([widgets.FloatSlider(description="bias")])
"""
