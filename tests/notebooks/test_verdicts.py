"""The rules in the notebooks that say which answer a run bears out: each can give every answer."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from madlab import panels

FOLDER = Path(__file__).parents[2] / "notebooks"


def code(number: str, marks: tuple[str, ...]) -> str:
    """The code cells of a notebook that hold one of the marks."""
    [path] = FOLDER.glob(f"{number}_*.ipynb")
    cells = json.loads(path.read_text("utf-8"))["cells"]
    sources = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    return "\n".join(one for one in sources if any(mark in one for mark in marks))


def said(number: str, marks: tuple[str, ...], **known: Any) -> list[tuple[str, str]]:
    """What the rules of a notebook say of made results: question and answer."""
    told: list[tuple[str, str]] = []

    class Asked(panels.Prediction):
        def beside(self, outcome: str, answer: str | None = None) -> Any:
            told.append((self.question, str(answer)))
            assert "(" in outcome, "the rule is not stated"
            return super().beside(outcome, answer)

    ml = SimpleNamespace(panels=SimpleNamespace(Prediction=Asked))
    space = {"np": np, "pd": pd, "ml": ml, "store": None, "display": print, **known}
    exec(code(number, ("ml.panels.Prediction(", *marks)), space)
    return told


def loop(recall: float) -> Any:
    return SimpleNamespace(wait=lambda: None, records=pd.DataFrame({"recall": [0.9, recall]}))


@pytest.mark.parametrize(
    ("after", "answer"), [(0.5, 0), (0.31, 1), (0.3, 1), (0.29, 1), (0.1, 2), (0.0, 2)]
)
def test_00(after: float, answer: int) -> None:
    space: dict[str, Any] = {"live": loop(0.3), "biased": loop(after)}
    # Of two generations the last is as early as it gets.
    space["settings"] = SimpleNamespace(generations=2)
    options = ["kept more diversity than without bias", "kept about as much", "lost more diversity"]
    [(_, found)] = said("00", ("prediction.beside(",), **space)
    assert found == options[answer]


@pytest.mark.parametrize(("value", "answer"), [(1.2, 0), (0.66, 0), (0.33, 1), (0.05, 2)])
def test_01(value: float, answer: int) -> None:
    marks = ("on_average.beside(", "typical.beside(")
    found = said("01", marks, last=np.full(5, value))
    options = ["about 1, as in generation 1", "about a third of that", "nearly 0"]
    assert [one for _, one in found] == [options[answer]] * 2


@pytest.mark.parametrize(
    ("curated", "biased", "answer"),
    [(0.1, 0.2, "closer"), (0.2, 0.19, "about as far"), (0.3, 0.2, "farther")],
)
def test_03(curated: float, biased: float, answer: str) -> None:
    rows = [("picked", 1.0, curated), ("mixture", 0.7, biased)]
    table = pd.DataFrame(rows, columns=["model", "bias", "fd"]).assign(generation=3)
    known = {"loop_records": table, "settings": SimpleNamespace(generations=3)}
    assert said("03", ("prediction.beside(",), **known)[0][1].startswith(answer)


@pytest.mark.parametrize(
    ("ends", "answer"),
    [((9.0, 5.0), "stays ahead"), ((5.0, 5.0), "equally good"), ((5.0, 9.0), "falls behind")],
)
def test_02(ends: tuple[float, float], answer: str) -> None:
    noise = np.linspace(-0.1, 0.1, 20)[:, None]
    lines = {n: SimpleNamespace(w2=end + noise) for n, end in enumerate(ends)}
    assert answer in said("02", ("start.beside(",), lines=lines)[0][1]


@pytest.mark.parametrize(
    ("ratio", "answer"),
    [(0.5, "fallen by about half"), (1.0, "changed little"), (1.5, "grown")],
)
def test_04(ratio: float, answer: str) -> None:
    table = {"generation": [1, 2], "alive": [25, 12], "recall": [1.0, 0.5], "modal_variance": 1.0}
    records = pd.DataFrame({**table, "total_variance": [2.0, 2.0 * ratio]})
    known = {"run": SimpleNamespace(records=records)}
    assert said("04", ("variance.beside(",), **known)[0][1] == answer


@pytest.mark.parametrize(
    ("last", "answer"), [(0.001, "gone"), (0.05, "thinned out"), (0.12, "about as they were")]
)
def test_04_tails(last: float, answer: str) -> None:
    mass = {"λ = 1": np.array([[0.1, 0.05, last]] * 3)}
    found = said("04", ("tails.beside(",), mass=mass)
    assert found[0][1].startswith(answer)


@pytest.mark.parametrize(("copied", "answer"), [(0.0, 0), (0.5, 1), (1.0, 2)])
def test_05(copied: float, answer: int) -> None:
    scores = pd.DataFrame({"precision": {"one digit, copied": copied}})
    options = ["near 0", "near one half", "near 1"]
    assert said("05", ("prediction.beside(",), scores=scores)[0][1] == options[answer]


@pytest.mark.parametrize(
    ("read", "recall", "answer"),
    [
        ((0.98, 0.97), (0.7, 0.5), "legible and varied"),
        ((0.98, 1.0), (0.7, 0.1), "legible but all alike"),
        ((0.98, 0.6), (0.7, 0.1), "illegible scribbles"),
        # What never could be read did not become legible, and what was lost was there.
        ((0.1, 0.1), (0.0, 0.0), "illegible scribbles"),
        ((0.9, 0.9), (0.0, 0.0), "legible and varied"),
    ],
)
def test_06(read: Any, recall: Any, answer: str) -> None:
    chain = SimpleNamespace(records=lambda: pd.DataFrame({"read": read, "recall": recall}))
    flow = {"λ = 1": chain, "λ = 0.5": chain}
    marks = ("unbiased.beside(", "biased.beside(")
    assert {one for _, one in said("06", marks, flow=flow)} == {answer}


@pytest.mark.parametrize(
    ("recalls", "answer"),
    [
        ((0.6, 0.4, 0.3), "fully synthetic"),
        ((0.1, 0.5, 0.3), "synthetic augmentation"),
        ((0.1, 0.3, 0.5), "fresh data"),
        ((0.1, 0.49, 0.5), "too close to call"),
        ((0.3, 0.32, 0.34), "none: all about the same"),
        ((0.3, 0.3, 0.34), "none: all about the same"),
    ],
)
def test_07(recalls: tuple[float, ...], answer: str) -> None:
    names = ("fully synthetic", "synthetic augmentation", "fresh data")
    records = pd.DataFrame({"loop": names, "recall": recalls, "generation": 4})
    known = {"records": records, "settings": SimpleNamespace(generations=4)}
    assert said("07", ("prediction.beside(",), **known)[0][1] == answer


@pytest.mark.parametrize(
    ("distance", "power", "answer"),
    [
        (1.0, 1.0, "varied and clean"),
        (1.0, 9.0, "varied but scarred"),
        (0.1, 1.0, "clean but one person"),
        (0.1, 9.0, "one scarred person"),
    ],
)
def test_08(distance: float, power: float, answer: str) -> None:
    pictures = SimpleNamespace(images=None)
    records = pd.DataFrame({"generation": [3], "distance": [distance]})
    chain = SimpleNamespace(records=lambda: records, samples=lambda t: pictures)
    known = {
        "gan": {"ψ = 1": chain, "ψ = 0.7": chain},
        "grid_power": lambda *_: power,
        "data": SimpleNamespace(held_out=pictures),
    }
    marks = ("unbiased.beside(", "biased.beside(")
    assert {one for _, one in said("08", marks, **known)} == {answer}
