"""What a figure of the paper and its counterpart here are made of."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from madlab.metrics.failure import with_family
from madlab.paper.records import commonest, largest
from madlab.paper.verdict import NOT_RUN, Verdict

# The paper's own model first, then stand-ins for it, quicker and further off.
DIFFUSION = ("ddpm", "flow", "diffusion")
OTHERS = ("gan", "wgan", "mixture")
# A small relative of the paper's StyleGAN2, another family, and a control without a network.
CONTROL = "principal"
FACES = ("face_gan", "face_flow", CONTROL)
LINES, DRIFT, SHEET = "lines", "drift", "sheet"
_NEAR = 0.01


@dataclass(frozen=True, kw_only=True)
class Figure:
    """One figure of arXiv v1 that has a counterpart here.

    - `number`: as the paper has it, such as "9" or "10 left".
    - `title`, `shows`, `settings`: what it is of, what the paper reads from it, and how it was run.
    - `notebook`: which of ours has its counterpart.
    """

    number: str
    title: str
    shows: str
    settings: str
    notebook: str

    def beside(self, verdict: Verdict) -> str:
        """Return what the paper shows and what was found here, as Markdown."""
        claims = verdict.said.replace("; ", "\n- ")
        return f"{self.reading()}\n\n**Here: {verdict.held}.**\n\n- {claims}"

    def reading(self) -> str:
        """Return what the paper shows, as a line of Markdown."""
        return f"**The paper, Fig. {self.number}.** {self.shows} *({self.settings})*"


@dataclass(frozen=True, kw_only=True)
class PictureFigure(Figure):
    """A figure that chains on pictures are compared with.

    - `judge`: from the records of one family to a verdict.
    - `loop`, `biases`: which chains it needs; all biases where None.
    - `families`: whose chains count, the paper's own kind of model first.
    - `picture`: "lines" of scores, a "drift" in the plane or a "sheet" of samples.
    """

    subject: ClassVar[str]
    judge: Callable[[pd.DataFrame], Verdict]
    loop: str
    biases: tuple[float, ...] | None = None
    families: tuple[str, ...]
    picture: str = LINES

    def select(self, records: pd.DataFrame) -> dict[str, pd.DataFrame]:
        """Return the records that this figure is judged by, those of each family apart.

        - `records`: as for `verdict`.
        """
        known = with_family(records)
        if "subject" in known:
            known = known[known["subject"] == self.subject]
        groups = {family: known[known["family"] == family] for family in self.families}
        chosen = {family: self._choose(own) for family, own in groups.items() if len(own)}
        return {family: own for family, own in chosen.items() if len(own)}

    def _choose(self, own: pd.DataFrame) -> pd.DataFrame:
        """Return of the records of one family those that the figure is judged by."""
        raise NotImplementedError

    def _of(self, own: pd.DataFrame, loop: str) -> pd.DataFrame:
        fits = own["loop"] == loop
        if self.biases is not None:
            gaps = np.abs(np.subtract.outer(own["bias"].to_numpy(float), self.biases))
            fits &= (gaps < _NEAR).any(axis=1)
        return own[fits]

    def compare(self, records: pd.DataFrame) -> tuple[str, pd.DataFrame]:
        """Return the paper's reading and ours as Markdown, and the records that ours is read from.

        Those are of the family whose chains differ most in bias and n_initial; the others are named
        with whether the trend held in them.

        - `records`: as for `verdict`; raises as it does.
        """
        families = self.select(records)
        own = max(families.values(), key=_kinds, default=records.iloc[:0])
        held = [f"{family} {self.judge(rows).held}" for family, rows in families.items()]
        text = self.beside(self.verdict(own))
        return f"{text}\n\nFamily by family: {', '.join(held) or NOT_RUN}.", own

    def verdict(self, records: pd.DataFrame) -> Verdict:
        """Return whether the trend held.

        - `records`: rows as `Chain.records()` gives them, or `frame`, of any number of chains; what
          does not belong to this figure is left aside. A column `family` names the kind of model,
          where a model has several. Judged is the first of `families` that can be.

        Raises ValueError where two chains cannot be told apart.
        """
        for family, own in self.select(records).items():
            found = self.judge(own)
            if found.held != NOT_RUN:
                return found._replace(said=f"{family}: {found.said}")
        return Verdict(NOT_RUN, "there are no records that could tell")


def _kinds(records: pd.DataFrame) -> int:
    known = [name for name in ("bias", "n_initial") if name in records]
    return len(records[known].drop_duplicates())


@dataclass(frozen=True, kw_only=True)
class DigitFigure(PictureFigure):
    """A figure that chains on digits are compared with.

    - `starts`: whether chains differ in n_initial.
    """

    subject: ClassVar[str] = "digits"
    families: tuple[str, ...] = (*DIFFUSION, *OTHERS)
    starts: bool = False

    def _choose(self, own: pd.DataFrame) -> pd.DataFrame:
        found = self._of(own, self.loop)
        return largest(found, one_start=not self.starts) if len(found) else found


@dataclass(frozen=True, kw_only=True)
class FaceFigure(PictureFigure):
    """A figure that chains on faces are compared with.

    Of each family the settings that most chains have are judged, the same ones in every figure.

    - `against`: another loop, whose chains stand beside those of `loop`, "" where none do.
    """

    subject: ClassVar[str] = "faces"
    families: tuple[str, ...] = FACES
    against: str = ""

    def _choose(self, own: pd.DataFrame) -> pd.DataFrame:
        alike = commonest(own)
        parts = [self._of(alike, loop) for loop in (self.loop, self.against)]
        if parts[0].empty:
            return parts[0]
        kept = [largest(part) for part in parts if len(part)]
        # Loops are compared as far as both have come.
        last = min(part["generation"].max() for part in kept)
        found: pd.DataFrame = pd.concat([part[part["generation"] <= last] for part in kept])
        return found


@dataclass(frozen=True, kw_only=True)
class ToyFigure(Figure):
    """A figure on Gaussians or toys, judged by stored results or by theory.

    - `judge`: a function of the results of one script in `benchmarks/`, or of nothing.
    - `results`: the name of that script, "" where none is needed.
    """

    judge: Callable[..., Verdict]
    results: str = ""

    def verdict(self, results: Mapping[str, Any] | None = None) -> Verdict:
        """Return whether the trend held.

        - `results`: what `benchmarks/results/` has in the JSON file that is named `results`.
        """
        if not self.results:
            return self.judge()
        if results is None:
            return Verdict(NOT_RUN, f"give what benchmarks/results/{self.results}.json holds")
        return self.judge(results)
