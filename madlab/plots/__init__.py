"""Pure functions that turn records and samples into matplotlib figures, in one visual language."""

from madlab.plots.calibration import calibration, describe_calibration
from madlab.plots.embedding import describe_digit_map, digit_map
from madlab.plots.families import describe_families, failure_table, families
from madlab.plots.gaussians import (
    describe_ellipses,
    describe_fan,
    draw_ellipses,
    draw_fan,
    ellipses,
    fans,
)
from madlab.plots.lines import METRICS, PICTURE_METRICS, curves, describe_curves, tidy
from madlab.plots.modes import Drift, describe_drift, describe_tails, drift, tails
from madlab.plots.phase import Settling, describe_settling, settling
from madlab.plots.picture import Picture, png, show
from madlab.plots.points import clouds, describe_clouds, draw_cloud
from madlab.plots.sameness import describe_sameness, sameness
from madlab.plots.scores import balls, describe_sizes, size_curves
from madlab.plots.sheets import class_histogram, generations_sheet, sheet
from madlab.plots.spectra import describe_spectra, draw_spectrum, spectra
from madlab.plots.timelapse import timelapse

__all__ = [
    "METRICS",
    "PICTURE_METRICS",
    "Drift",
    "Picture",
    "Settling",
    "balls",
    "calibration",
    "class_histogram",
    "clouds",
    "curves",
    "describe_calibration",
    "describe_clouds",
    "describe_curves",
    "describe_digit_map",
    "describe_drift",
    "describe_ellipses",
    "describe_families",
    "describe_fan",
    "describe_sameness",
    "describe_settling",
    "describe_sizes",
    "describe_spectra",
    "describe_tails",
    "digit_map",
    "draw_cloud",
    "draw_ellipses",
    "draw_fan",
    "draw_spectrum",
    "drift",
    "ellipses",
    "failure_table",
    "families",
    "fans",
    "generations_sheet",
    "png",
    "sameness",
    "settling",
    "sheet",
    "show",
    "size_curves",
    "spectra",
    "tails",
    "tidy",
    "timelapse",
]
