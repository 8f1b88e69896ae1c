"""What a student predicts before a run, kept and shown beside what the run did."""

import contextlib
import html
import json
import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import ipywidgets as widgets

from madlab import checks, files
from madlab.panels.panel import labelled
from madlab.panels.still import Fallback
from madlab.store import Store

FILE = "predictions.jsonl"


class Prediction(Fallback):
    """A question to answer before looking, kept in the store as soon as one is clicked.

    - `question`: the question; `options`: the answers to choose from, two at least.
    - `key`: names the question among all that share a store; the newest answer to a key counts.
    - `store`: a folder or a `Store`; answers are lines of its `predictions.jsonl`. None keeps the
      answer only while the kernel runs.
    - `value`: an answer that is kept at once, for instance a notebook parameter; empty is none.

    Raises ValueError for fewer than two options, equal ones, or a `value` that is not among them,
    and OSError where the store does not take the answer.
    """

    # What any run may show beside its options, by a margin that is said.
    too_close: ClassVar[str] = "too close to call"

    def __init__(
        self,
        question: str,
        options: Sequence[str],
        *,
        key: str,
        store: str | os.PathLike[str] | Store | None = None,
        value: str | None = None,
    ) -> None:
        options = list(options)
        if len(set(options)) < max(2, len(options)):
            raise ValueError(f"options are {options}; give at least two, all different")
        if value:
            checks.choice("value", value, options)
        self.question, self.options, self.key = question, options, key
        self._file = None if store is None else Store.of(store, self).path / FILE
        self._kept = _newest(self._file, key, options)
        asked = widgets.HTML(f"<b>{html.escape(question)}</b>")
        answers: dict[str, Any] = {"options": options, "value": self.answer}
        self.picked = labelled(widgets.RadioButtons, "I predict:", **answers)
        reason: dict[str, Any] = {"value": self.note, "continuous_update": False}
        self.why = labelled(widgets.Textarea, "Why? (optional)", width="40em", **reason)
        super().__init__([asked, self.picked, self.why, self.status])
        self.add_class("mad-prediction")
        if value and value != self.answer:
            self.picked.value = value
            self.keep()
        self.say(self.words())
        self.picked.observe(self._changed, "value")
        self.why.observe(self._changed, "value")

    @property
    def answer(self) -> str | None:
        """The answer that was kept, or None."""
        return self._kept.get("answer")

    @property
    def note(self) -> str:
        """The reason that was kept with it, empty where none was given."""
        return self._kept.get("why", "")

    def keep(self) -> None:
        """Keep the chosen answer; raises ValueError where none is chosen."""
        if self.picked.value is None:
            raise ValueError("choose one of the answers first")
        answer = {"answer": self.picked.value, "why": self.why.value.strip()}
        kept = {"key": self.key, "question": self.question, **answer, "time": time.time()}
        if self._file is not None:
            advice = "free some space or give another store"
            with files.explained(f"{self._file} did not take the prediction", advice):
                self._file.parent.mkdir(parents=True, exist_ok=True)
                files.append(self._file, json.dumps(kept), durable=True)
        self._kept = kept
        self.say(self.words())
        self.renew_still()

    def _changed(self, _: object) -> None:
        if self.picked.value is None:
            return
        try:
            self.keep()
        except (ValueError, OSError) as error:
            self.say(f"Not kept: {error}", wrong=True)

    def words(self) -> str:
        """Return the answer that was kept, in words."""
        if self.answer is None:
            return "No prediction has been kept yet."
        where = "" if self._file is None else f" Kept in {self._file.name} of the store."
        return f"You predicted: {self.answer}.{where}"

    def html(self) -> str:
        """Return question, options and the answer kept, as HTML."""
        mark = {self.answer: "<b>{}</b> (your prediction)"}
        items = [mark.get(one, "{}").format(html.escape(one)) for one in self.options]
        why = f"<p>Why: {html.escape(self.note)}</p>" if self.note else ""
        none = "" if self.answer else f"<p>{self.words()}</p>"
        return (
            f'<div class="mad-prediction"><p><b>{html.escape(self.question)}</b></p>'
            f"<ul><li>{'</li><li>'.join(items)}</li></ul>{why}{none}</div>"
        )

    def beside(self, outcome: str, answer: str | None = None) -> "Outcome":
        """Return what was predicted beside what the run shows.

        - `outcome`: what the run shows, in a sentence.
        - `answer`: the option that it bears out, `too_close` where a margin decides against none,
          or None where none is right or wrong.

        Raises ValueError for an answer that is neither.
        """
        terms = {"Question": self.question}
        terms["You predicted"] = self.answer or "nothing was predicted before this run"
        if self.note:
            terms["Because"] = self.note
        terms["The run shows"] = outcome
        if answer is not None:
            checks.choice("answer", answer, [*self.options, self.too_close])
            told = "as you predicted" if answer == self.answer else "not as you predicted, but"
            known = self.answer and answer != self.too_close
            terms["So it went"] = f"{told}: {answer}" if known else answer
        return Outcome(terms)


class Outcome(Fallback):
    """A prediction beside the outcome of the run: what is said, by what it is."""

    def __init__(self, terms: Mapping[str, str]) -> None:
        self._terms = terms
        super().__init__([widgets.HTML(self.html())])
        self.add_class("mad-outcome")

    def words(self) -> str:
        """Return prediction and outcome as lines of text."""
        return "\n".join(f"{name}: {text}" for name, text in self._terms.items())

    def html(self) -> str:
        """Return prediction and outcome as an HTML list of terms."""
        items = "".join(
            f'<dt style="font-weight: bold">{name}</dt><dd>{html.escape(text)}</dd>'
            for name, text in self._terms.items()
        )
        return f'<dl class="mad-outcome">{items}</dl>'


def _newest(file: Path | None, key: str, options: Sequence[str]) -> dict[str, Any]:
    """Return the newest answer to `key` in a file of answers, empty where it is none of these."""
    lines = [] if file is None or not file.exists() else file.read_bytes().splitlines()
    for line in reversed(lines):
        # A line may have been cut short by a kill while it was written.
        with contextlib.suppress(ValueError, KeyError, TypeError):
            kept: dict[str, Any] = json.loads(line)
            if kept["key"] == key:
                return kept if kept["answer"] in options else {}
    return {}
