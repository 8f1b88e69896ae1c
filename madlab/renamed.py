"""Public names of version 0.4 that are called something else now; each works for one release."""

import functools
import importlib
import warnings
from collections.abc import Callable
from typing import Any

# Old name: module and name of what it is now; a module alone where the whole module moved; with
# "()" and an attribute where what it returned is that attribute of what is returned now.
NAMES: dict[str, str] = {
    "madlab.findings.DigitFigure": "madlab.findings:PaperFigure",
    "madlab.findings.FaceFigure": "madlab.findings:PaperFigure",
    "madlab.findings.Figure": "madlab.findings:PaperFigure",
    "madlab.findings.PictureFigure": "madlab.findings:PaperFigure",
    "madlab.findings.ToyFigure": "madlab.findings:PaperFigure",
    "madlab.findings.Verdict": "madlab.findings:Conclusion",
    "madlab.metrics.PictureReference": "madlab.metrics.reference:picture_reference",
    "madlab.metrics.choice": "madlab.metrics.reference",
    "madlab.metrics.failures": "madlab.findings:failures",
    "madlab.metrics.appearance": "madlab.metrics.picture_features",
    "madlab.metrics.distances.Memory": "madlab.metrics.distances:Memorisation",
    "madlab.metrics.matching": "madlab.metrics.distances",
    "madlab.metrics.memory": "madlab.metrics.distances",
    "madlab.metrics.pairwise": "madlab.metrics.distances",
    "madlab.metrics.pictures": "madlab.metrics.reference",
    "madlab.metrics.reference_for": "madlab.metrics.reference:Reference",
    "madlab.models.adversarial": "madlab.models.adversaries",
    "madlab.models.coupling": "madlab.models.realnvp",
    "madlab.models.recipes": "madlab.models.objectives",
    "madlab.paper": "madlab.findings",
    "madlab.plots.describe_calibration": "madlab.plots:calibration().alt",
    "madlab.plots.describe_clouds": "madlab.plots:clouds().alt",
    "madlab.plots.describe_curves": "madlab.plots:curves().alt",
    "madlab.plots.describe_digit_map": "madlab.plots:digit_map().alt",
    "madlab.plots.describe_drift": "madlab.plots:drift().alt",
    "madlab.plots.describe_ellipses": "madlab.plots.simulations:ellipse_words",
    "madlab.plots.describe_families": "madlab.plots:families().alt",
    "madlab.plots.describe_fan": "madlab.plots.simulations:fan_words",
    "madlab.plots.describe_sameness": "madlab.plots:sameness().alt",
    "madlab.plots.describe_settling": "madlab.plots:settling().alt",
    "madlab.plots.describe_sizes": "madlab.plots:size_curves().alt",
    "madlab.plots.describe_spectra": "madlab.plots:spectra().alt",
    "madlab.plots.describe_tails": "madlab.plots:tails().alt",
    "madlab.training.AnotherTrainingError": "madlab.training:CheckpointMismatch",
    "madlab.training.Replay": "madlab.training:CudaGraph",
    "madlab.training.Slots": "madlab.training:Checkpoints",
    "madlab.panels.FaceExplorer": "madlab.panels.browser:face_explorer",
    "madlab.panels.FaceRun": "madlab.panels:ChainView",
    "madlab.panels.GalleryBrowser": "madlab.panels:Browser",
    "madlab.panels.GenerationBrowser": "madlab.panels:Browser",
    "madlab.panels.TimeLapse": "madlab.panels.browser:time_lapse",
    "madlab.panels.face_runs": "madlab.panels:chain_views",
    "madlab.metrics.PictureScores": "madlab.metrics.scores:Scores",
}


def find(module: str, name: str) -> Any:
    """Return what `module.name` was renamed to: the last resort of a module's `__getattr__`.

    Raises AttributeError for a name that never was.
    """
    now = NAMES.get(f"{module}.{name}")
    if now is None:
        raise AttributeError(f"module {module!r} has no attribute {name!r}")
    words = f"{module}.{name} is {now.replace(':', '.')} now; the old name goes in the next release"
    warnings.warn(words, DeprecationWarning, stacklevel=3)
    where, _, what = now.partition(":")
    what, _, part = what.partition("().")
    found = importlib.import_module(where)
    if part:
        return _part_of(getattr(found, what), part)
    return getattr(found, what) if what else found


@functools.cache
def _part_of(call: Callable[..., Any], part: str) -> Callable[..., Any]:
    return lambda *given, **named: getattr(call(*given, **named), part)
