"""Pure functions that turn records and samples into matplotlib figures, in one visual language."""

from madlab.plots.lines import METRICS, curves, describe_curves, tidy
from madlab.plots.pages import png, show
from madlab.plots.sheets import class_histogram, generations_sheet, sheet

__all__ = [
    "METRICS",
    "class_histogram",
    "curves",
    "describe_curves",
    "generations_sheet",
    "png",
    "sheet",
    "show",
    "tidy",
]
