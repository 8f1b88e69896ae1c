"""From records to conclusions: what families lose, and whether the paper's figures held here.

Numbers are those of arXiv v1 (2307.01850); the camera-ready version's differ.
"""

from madlab import renamed
from madlab.findings.changes import failures
from madlab.findings.claims import Claim, Conclusion
from madlab.findings.figures import FIGURES, PaperFigure, figure
from madlab.findings.records import frame, largest, of_one_size, with_grid

__all__ = [
    "FIGURES", "Claim", "Conclusion", "PaperFigure", "failures", "figure", "frame", "largest",
    "of_one_size", "with_grid",
]  # fmt: skip

__getattr__ = renamed.lazy(__name__)
