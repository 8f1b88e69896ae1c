"""Pure functions that turn records and samples into pictures, in one visual language."""

from madlab import renamed
from madlab.plots.calibration import calibration
from madlab.plots.curves import curves, size_curves, tidy
from madlab.plots.families import failure_table, families
from madlab.plots.picture import Picture, png, show
from madlab.plots.points import balls, clouds, digit_map, draw_cloud
from madlab.plots.sheets import sheet, strips, timelapse
from madlab.plots.simulations import Drift, Settling, drift, ellipses, fans, settling, tails
from madlab.plots.spectra import draw_spectrum, sameness, spectra

__all__ = [
    "Drift", "Picture", "Settling", "balls", "calibration", "clouds", "curves", "digit_map",
    "draw_cloud", "draw_spectrum", "drift", "ellipses", "failure_table", "families", "fans",
    "png", "sameness", "settling", "sheet", "show", "size_curves", "spectra", "strips", "tails",
    "tidy", "timelapse",
]  # fmt: skip

__getattr__ = renamed.lazy(__name__)
