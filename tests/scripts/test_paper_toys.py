"""The paper's figures on Gaussians and toys: each on results that hold and on ones that do not."""

import functools
import json
import math
from pathlib import Path

import numpy as np
import paper_toys
import pytest
from paper_toys import TOYS, toy

from madlab import findings

RESULTS = Path(__file__).parents[2] / "benchmarks" / "results"


def ratios(**others):
    """Results as `benchmarks/theory.py` stores them, `others` in place of the usual rows."""
    usual = {
        (100, 1.0): [1.1, 1.2, 1.6, 2.0, 2.3, 2.4, 2.4],
        (1_000, 1.0): [1.0, 1.1, 1.2, 1.3, 1.5, 1.7, 1.9],
        **{
            (n, bias): list(np.where(np.array(paper_toys.N_SYNTHETIC) < limit, 1.2, 0.8))
            for n in (100, 1_000)
            for bias, limit in ((0.5, 50), (0.7, 500), (0.85, 2_000))
        },
    }
    tables = {f"n_real {n}, bias {b:g}": {"here": row} for (n, b), row in usual.items()}
    return {"tables": tables | others}


def test_fig_10_left_is_simulated_and_holds():
    found = toy("10 left")
    assert found.result == "held"
    # The reproduction in the reference: 12.1 to 12.3 at λ = 1, 20.6 at 0.8.
    for bias, level in (("1", 12.2), ("0.8", 20.6)):
        said = next(part for part in found.text.split("; ") if f"λ = {bias}," in part)
        numbers = [float(x) for x in said.split("(")[1].split(")")[0].split(" and ")]
        assert numbers == pytest.approx([level, level], rel=0.05)


def test_fig_11_wants_a_threshold_that_stays():
    figure = functools.partial(toy, "11")
    assert figure(ratios()).result == "held"
    grows = {"n_real 1000, bias 0.7": {"here": [1.2] * 6 + [0.8]}}
    assert figure(ratios(**grows)).result == "held in part"
    grows |= {"n_real 1000, bias 0.85": {"here": [1.2] * 6 + [0.8]}}
    grows |= {"n_real 100, bias 0.85": {"here": [1.2] + [0.8] * 6}}
    harms = {"n_real 1000, bias 1": {"here": [1, 1, 1, 1, 1, 1, 0.9]}}
    assert figure(ratios(**grows, **harms)).result == "did not hold"


def test_fig_12_wants_a_threshold_that_falls_with_bias():
    figure = functools.partial(toy, "12")
    assert figure(ratios()).result == "held"
    turned = {f"n_real {n}, bias 0.5": {"here": [1.2] * 6 + [0.8]} for n in (100, 1_000)}
    assert figure(ratios(**turned)).result == "did not hold"


def test_a_threshold_lies_between_sizes_by_logs():
    assert paper_toys.threshold(np.array([1.2, 1.2, 1.2, 1.2, 1.1, 0.9, 0.5])) == pytest.approx(
        math.sqrt(1_000 * 3_000)
    )


def modes(**verdicts):
    usual = {
        "alive, last over first": [0.1, 0.2],
        "modes lost at most within 20 generations": [2, 3],
        "share of 20-generation steps with modes coming back": 0.01,
        "recall, rank correlation with the generation": [-0.9, -0.95],
        "modal_variance, rank correlation with the generation": [-0.9, -0.99],
        "total_variance, rank correlation with the generation": [-0.9, 0.2],
    }
    return {"run": {"verdicts": usual | verdicts}}


def test_figs_14_and_15_want_modes_to_go_and_recall_to_say_so():
    assert toy("14", modes()).result == "held"
    assert toy("15", modes()).result == "held"
    whole = {
        "alive, last over first": [0.1, 0.9],
        "modes lost at most within 20 generations": [2, 20],
        "share of 20-generation steps with modes coming back": 0.4,
        "recall, rank correlation with the generation": [-0.9, -0.3],
        "modal_variance, rank correlation with the generation": [-0.9, 0.3],
        "total_variance, rank correlation with the generation": [-0.9, -0.9],
    }
    assert toy("14", modes(**whole)).result == "did not hold"
    found = toy("15", modes(**whole))
    assert found.result == "did not hold"
    assert "recall falls smoothly in every chain (rank correlation at most −0.30): no" in found.text


def flow_tails(unbiased, biased):
    def rows(kept):
        return [{"beyond 2": 0.05}, {"beyond 2": 0.05 * kept}]

    loops = {"bias 1, seed 0": rows(unbiased), "bias 0.75, seed 0": rows(biased)}
    return {"loops": loops | {"bias 1, seed 0, learning rate 1e-4": rows(0.0)}}


def test_fig_17_wants_tails_lost_and_more_of_them_with_bias():
    figure = functools.partial(toy, "17")
    assert figure(flow_tails(0.5, 0.1)).result == "held"
    assert figure(flow_tails(1.2, 0.1)).result == "held in part"
    assert figure(flow_tails(1.0, 1.1)).result == "did not hold"


def memories(*worth):
    found = {str(k): [w, 0.01, w] for k, w in zip((1, 2, 5), worth, strict=True)}
    return {"tables": {"Fig. 30 at d = 4: memory to ratio, its error, closed form": found}}


def test_fig_30_wants_more_memory_to_help_less_and_less():
    figure = functools.partial(toy, "30")
    assert figure(memories(1.9, 2.7, 4.3)).result == "held"
    assert figure(memories(1.9, 2.0, 4.3)).result == "held in part"
    assert figure(memories(1.9, 1.8, 1.9)).result == "did not hold"


def test_fig_31_holds_by_the_closed_form(monkeypatch):
    assert toy("31").result == "held"

    def limit(d, real, synthetic, bias=1.0):
        return 1 / synthetic**2 if synthetic else 9.0

    monkeypatch.setattr(paper_toys, "fresh_limit", limit)
    assert toy("31").result == "did not hold"


def test_results_that_are_needed_are_asked_for():
    found = toy("15")
    assert found.result == "not run yet"
    assert "benchmarks/results/modes.json" in found.text


@pytest.mark.parametrize("number", [number for number, (name, _) in TOYS.items() if name])
def test_the_stored_results_can_be_judged(number):
    name, _ = TOYS[number]
    found = toy(number, json.loads((RESULTS / f"{name}.json").read_text()))
    assert found.result != "not run yet"


def test_every_figure_on_toys_can_be_judged():
    assert list(TOYS) == [one.number for one in findings.FIGURES if one.subject == "toys"]


def test_the_papers_reading_stands_beside_ours():
    found = toy("30", memories(1.9, 2.0, 4.3))
    lines = findings.figure("30").beside(found).splitlines()
    assert lines[0].startswith("**The paper, Fig. 30.** Samples of more earlier models help")
    assert lines[2] == "**Here: held in part.**"
    assert [line[:2] for line in lines[4:]] == ["- ", "- "]
    assert lines[5] == "- each further model adds less: no"
