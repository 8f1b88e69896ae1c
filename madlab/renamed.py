"""Names that a package looks up when asked: on first use, or as version 0.4 called them.

The old ones work for one release.
"""

import functools
import importlib
import pkgutil
import warnings
from collections.abc import Callable
from typing import Any

# Old name: module and name of what it is now; a module alone where the whole module moved; with
# "()" and an attribute where what it returned is that attribute of what is returned now.
NAMES: dict[str, str] = {
    "madlab.findings.Verdict": "madlab.findings:Conclusion",
    "madlab.metrics.PictureReference": "madlab.metrics.small_sets:picture_reference",
    "madlab.metrics.choice": "madlab.metrics.reference",
    "madlab.metrics.failures": "madlab.findings:failures",
    "madlab.metrics.appearance": "madlab.metrics.picture_features",
    "madlab.metrics.efficientnet": "madlab.metrics.picture_features",
    "madlab.metrics.kernel": "madlab.metrics.distances",
    "madlab.metrics.uncertainty": "madlab.metrics.small_sets",
    "madlab.metrics.distances.Memory": "madlab.metrics.distances:Memorisation",
    "madlab.metrics.matching": "madlab.metrics.distances",
    "madlab.metrics.memory": "madlab.metrics.distances",
    "madlab.metrics.pairwise": "madlab.metrics.distances",
    "madlab.metrics.pictures": "madlab.metrics.reference",
    "madlab.metrics.reference_for": "madlab.metrics.reference:Reference",
    "madlab.models.adversarial": "madlab.models.gan",
    "madlab.models.coupling": "madlab.models.realnvp",
    "madlab.models.recipes": "madlab.models.diffusion",
    "madlab.paper": "madlab.findings",
    "madlab.plots.describe_ellipses": "madlab.plots.simulations:ellipse_words",
    "madlab.plots.describe_fan": "madlab.plots.simulations:fan_words",
    "madlab.plots.describe_sizes": "madlab.plots:size_curves().alt",
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


_FIGURES = ("Figure", "DigitFigure", "FaceFigure", "PictureFigure", "ToyFigure")
NAMES |= {f"madlab.findings.{name}": "madlab.findings:PaperFigure" for name in _FIGURES}
_TOLD = (
    *("calibration", "clouds", "curves", "digit_map", "drift"),
    *("families", "sameness", "settling", "spectra", "tails"),
)
NAMES |= {f"madlab.plots.describe_{name}": f"madlab.plots:{name}().alt" for name in _TOLD}


def find(module: str, name: str) -> Any:
    """Return what `module.name` was renamed to: the last resort of a module's `__getattr__`.

    Raises AttributeError for a name that never was.
    """
    now = NAMES.get(f"{module}.{name}")
    if now is None:
        raise AttributeError(f"module {module!r} has no attribute {name!r}")
    words = f"{module}.{name} is {now.replace(':', '.')} now; the old name goes in the next release"
    warnings.warn(words, DeprecationWarning, stacklevel=3)
    where, _, part = now.partition("().")
    found = pkgutil.resolve_name(where)
    return _part_of(found, part) if part else found


def lazy(package: str, **names: str) -> Callable[[str], Any]:
    """Return a package's `__getattr__`, for names that are looked up on first use and for old ones.

    - `names`: for each name the module of the package that has it, "" where it is a module itself.
    """

    def look_up(name: str) -> Any:
        if name not in names:
            return find(package, name)
        # Not by `pkgutil.resolve_name`: where an import fails, that would ask here again.
        module = importlib.import_module(f"{package}.{names[name] or name}")
        return getattr(module, name) if names[name] else module

    return look_up


@functools.cache
def _part_of(call: Callable[..., Any], part: str) -> Callable[..., Any]:
    return lambda *given, **named: getattr(call(*given, **named), part)
