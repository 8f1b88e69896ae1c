"""The paper's figures one by one, read from figures.toml: what each shows, and is it so here."""

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files

import numpy as np
import pandas as pd

from madlab import checks
from madlab.findings.changes import with_family
from madlab.findings.claims import NOT_RUN, Conclusion, conclude, judge
from madlab.findings.records import commonest, largest

_NEAR = 0.01


@dataclass(frozen=True, kw_only=True)
class PaperFigure:
    """One figure of arXiv v1 that has a counterpart here.

    - `number`: as the paper has it, such as "9" or "10 left".
    - `title`, `shows`, `settings`: what it is of, what the paper reads from it, and how it was run.
    - `notebook`: which of ours has its counterpart.
    - `subject`: "digits", "faces", or "toys", which are judged without records, by the script that
      writes docs/paper.md.
    - `claims`: what is judged on the records of each family, in the words of `findings.claims`.
    - `families`: whose chains count, the paper's own kind of model first.
    - `loop`, `biases`: which chains it needs; all biases where there are none.
    - `against`: another loop, whose chains stand beside those of `loop`, "" where none do.
    - `starts`: whether chains differ in n_initial.
    - `one_setting`: whether of each family the settings that most chains have are judged.
    - `picture`: "lines" of scores, a "drift" in the plane or a "sheet" of samples.
    """

    number: str
    title: str
    shows: str
    settings: str
    notebook: str
    subject: str
    claims: Sequence[str] = ()
    families: Sequence[str] = ()
    loop: str = "fully synthetic"
    biases: Sequence[float] = ()
    against: str = ""
    starts: bool = False
    one_setting: bool = False
    picture: str = "lines"

    def reading(self) -> str:
        """Return what the paper shows, as a line of Markdown."""
        return f"**The paper, Fig. {self.number}.** {self.shows} *({self.settings})*"

    def beside(self, conclusion: Conclusion) -> str:
        """Return what the paper shows and what was found here, as Markdown."""
        claims = conclusion.text.replace("; ", "\n- ")
        return f"{self.reading()}\n\n**Here: {conclusion.result}.**\n\n- {claims}"

    def select(self, records: pd.DataFrame) -> dict[str, pd.DataFrame]:
        """Return the records that this figure is judged by, those of each family apart.

        - `records`: as for `conclude`.
        """
        known = with_family(records)
        if "subject" in known:
            known = known[known["subject"] == self.subject]
        chosen = {name: self._chosen(known[known["family"] == name]) for name in self.families}
        return {family: own for family, own in chosen.items() if len(own)}

    def of_family(self, own: pd.DataFrame) -> Conclusion:
        """Return whether the trend held in records of one family, as `select` gives them."""
        return conclude(judge(self.claims, own, self.against))

    def conclude(self, records: pd.DataFrame) -> Conclusion:
        """Return whether the trend held in the first of `families` that can be judged.

        - `records`: rows as `Chain.records()` gives them, or `frame`, of any number of chains; what
          does not belong to this figure is left aside. A column `family` names the kind of model,
          where a model has several.

        Raises ValueError where two chains cannot be told apart.
        """
        for family, own in self.select(records).items():
            found = self.of_family(own)
            if found.result != NOT_RUN:
                return found._replace(text=f"{family}: {found.text}")
        return conclude([])

    def compare(self, records: pd.DataFrame) -> tuple[str, pd.DataFrame]:
        """Return the paper's reading and ours as Markdown, and the records that ours is read from.

        Those are of the family whose chains differ most in bias and n_initial; the others are named
        with whether the trend held in them.

        - `records`: as for `conclude`; raises as it does.
        """
        families = self.select(records)
        own = max(families.values(), key=_variety, default=records.iloc[:0])
        found = [f"{family} {self.of_family(rows).result}" for family, rows in families.items()]
        text = self.beside(self.conclude(own))
        return f"{text}\n\nFamily by family: {', '.join(found) or NOT_RUN}.", own

    def _chosen(self, own: pd.DataFrame) -> pd.DataFrame:
        """Return of the records of one family those that the figure is judged by."""
        alike = commonest(own) if self.one_setting else own
        if self.biases:
            near = np.isclose(
                alike["bias"].to_numpy(float)[:, None], self.biases, rtol=0, atol=_NEAR
            )
            alike = alike[near.any(axis=1)]
        parts = [alike[alike["loop"] == loop] for loop in (self.loop, self.against)]
        if parts[0].empty:
            return parts[0]
        kept = [largest(part, one_start=not self.starts) for part in parts if len(part)]
        # Loops are compared as far as both have come.
        last = min(part["generation"].max() for part in kept)
        return pd.concat([part[part["generation"] <= last] for part in kept])


def _variety(records: pd.DataFrame) -> int:
    return len(records.reindex(columns=["bias", "n_initial"]).drop_duplicates())


_TABLE = tomllib.loads(files("madlab.findings").joinpath("figures.toml").read_text("utf-8"))
FIGURES = tuple(
    PaperFigure(**{"number": number, **_TABLE[row["subject"]], **row})
    for number, row in _TABLE["figures"].items()
)


def figure(number: str) -> PaperFigure:
    """Return a figure by its number in arXiv v1, such as "9"; raises KeyError for others."""
    known = {one.number: one for one in FIGURES}
    checks.known("counterpart of figure", number, known)
    return known[number]
