"""The paper's figures beside ours: what each shows, and whether it held, judged on records.

Numbers are those of arXiv v1 (2307.01850); the camera-ready version's differ.
"""

from madlab.paper.counterpart import DigitFigure, FaceFigure, Figure, PictureFigure, ToyFigure
from madlab.paper.faces import with_grid
from madlab.paper.figures import FIGURES, figure
from madlab.paper.records import frame, largest, of_one_size
from madlab.paper.verdict import Claim, Verdict

__all__ = [
    "FIGURES",
    "Claim",
    "DigitFigure",
    "FaceFigure",
    "Figure",
    "PictureFigure",
    "ToyFigure",
    "Verdict",
    "figure",
    "frame",
    "largest",
    "of_one_size",
    "with_grid",
]
