"""Verdicts on the paper's figures: each on records that hold and on records that do not."""

import itertools
import json
import math
from pathlib import Path

import numpy as np
import pytest

from madlab import paper
from madlab.metrics.failure import Loss
from madlab.paper import toys
from madlab.paper.verdict import Claim, judge, percent
from madlab.store import table

FULL, FIXED, FRESH = "fully synthetic", "synthetic augmentation", "fresh data"
REAL = {FULL: "none", FIXED: "fixed", FRESH: "fresh"}
RESULTS = Path(__file__).parents[1] / "benchmarks" / "results"


def row(t, model="diffusion", loop=FULL, bias=1.0, seed=0, n=100, n_initial=None, **scores):
    """A record as a store has it; n real digits in generation 1, n synthetic ones later."""
    recipe = {"recipe": model} if model in ("ddpm", "flow") else {}
    known = {
        "generation": t, "loop": loop, "model": "diffusion" if recipe else model, "bias": bias,
        "seed": seed, "n_real": n if t == 1 else 0, "n_synthetic": 0 if t == 1 else n,
        "n_evaluate": 100, "features": "lenet-0", "fd": 1.0, "precision": 0.9, "recall": 0.8,
        "density": 0.8, "coverage": 0.8, "read": 0.9, "seconds": 30.0,
        "config": {
            "loop": {"real": REAL[loop], "n_initial": n_initial or n, "n_real": 0,
                     "n_synthetic": n, "memory": 1, "budget": "fixed"},
            "settings": recipe, "version": 1, "data": "mnist-0",
        },
        "provenance": {"device": "cpu: test"},
    }  # fmt: skip
    where = f"{model} {loop} {bias} {seed} {t} {n} {n_initial}"
    return {**known, **scores, "id": where}


def chain(generations=6, seeds=3, spread=0.001, **parts):
    """Rows of chains whose scores are multiplied by a number a generation: `recall=0.5` halves."""
    factors = {name: parts.pop(name) for name in tuple(parts) if name in row(1)
               and name in ("fd", "precision", "recall", "density", "read")}  # fmt: skip
    start = row(1)
    return [
        row(
            t,
            seed=seed,
            **{name: start[name] * factor ** (t - 1) * (1 + spread * seed * (t - 1))
               for name, factor in factors.items()},
            **parts,
        )
        for seed in range(seeds)
        for t in range(1, generations + 1)
    ]  # fmt: skip


def verdict(number, *rows):
    return paper.figure(number).verdict(paper.frame(itertools.chain(*rows)))


BAD = {"fd": 1.3, "precision": 0.8, "recall": 0.7, "density": 0.7, "read": 0.6}
ALIKE = {"fd": 1.2, "precision": 1.005, "recall": 0.5, "read": 1.0}


# What claims come to.


@pytest.mark.parametrize(
    ("held", "expected"),
    [
        ([True, True], "held"),
        ([False, False], "did not hold"),
        ([True, False], "held in part"),
        ([True, None], "held in part"),
        ([False, None], "did not hold"),
        ([None, None], "not run yet"),
        ([], "not run yet"),
    ],
)
def test_a_verdict_is_what_its_claims_come_to(held, expected):
    assert judge([Claim("it does", one) for one in held]).held == expected


def test_what_was_found_is_said_claim_by_claim():
    found = judge([Claim("a falls (−3%)", True), Claim("b", False), Claim("c", None)])
    assert found.said == "a falls (−3%): yes; b: no; c: not run"


def test_the_papers_reading_stands_beside_ours():
    figure = paper.figure("30")
    lines = figure.beside(figure.verdict(memories(1.9, 2.0, 4.3))).splitlines()
    assert lines[0].startswith("**The paper, Fig. 30.** Samples of more earlier models help")
    assert lines[2] == "**Here: held in part.**"
    assert [line[:2] for line in lines[4:]] == ["- ", "- "]
    assert lines[5] == "- each further model adds less: no"


def test_a_change_is_said_in_percent_with_its_error():
    assert percent(Loss(0.25, 0.02, "falls", 3.0)) == "−25 ± 2%"
    assert percent(Loss(-1.5, math.nan, "one seed", math.inf)) == "+150%"
    assert percent(Loss(math.nan, math.nan, "", math.nan)) == "not scored"


# Figures on digits.


def test_fig_4_wants_quality_and_diversity_to_fall():
    found = verdict("4", chain(model="ddpm", **BAD))
    assert found.held == "held"
    assert found.said.startswith("ddpm: FD rises (+2")
    assert found.said.count("yes") == 3
    assert verdict("4", chain(model="ddpm", **ALIKE)).held == "held in part"
    good = {"fd": 0.9, "precision": 1.0, "recall": 1.0}
    assert verdict("4", chain(model="ddpm", **good)).held == "did not hold"


def test_a_fall_within_two_standard_errors_is_none():
    rows = [
        *chain(model="ddpm", seeds=1, **BAD),
        *[row(t, "ddpm", seed=1) for t in range(1, 7)],
    ]
    assert verdict("4", rows).held == "did not hold"
    # One seed has no error to be within.
    assert verdict("4", rows[:6]).held == "held"


@pytest.mark.parametrize("number", ["5", "26"])
def test_figs_5_and_26_want_digits_that_cannot_be_read(number):
    assert verdict(number, chain(model="ddpm", generations=10, **BAD)).held == "held"
    assert verdict(number, chain(model="ddpm", generations=10, **ALIKE)).held == "did not hold"
    slow = BAD | {"read": 0.95}
    assert verdict(number, chain(model="ddpm", generations=10, **slow)).held == "held in part"
    # After 5 generations it may yet come to that.
    assert "not run" in verdict(number, chain(model="ddpm", generations=5, **slow)).said


def test_illegible_in_generation_11_is_too_late():
    rows = chain(model="ddpm", generations=14, **BAD | {"read": 0.94})
    halved = next(t for t in range(1, 99) if 0.94 ** (t - 1) < 0.5)
    assert halved == 13
    assert "halves by generation 10 (0.90 to 0.52 in generation 10): no" in verdict("5", rows).said


def test_fig_6_wants_quality_to_stay_and_diversity_to_go_sooner():
    unbiased, biased = chain(model="ddpm", **BAD), chain(model="ddpm", bias=0.5, **ALIKE)
    found = verdict("6", unbiased, biased)
    assert found.held == "held"
    assert "λ = 1 halves in 2.0, λ = 0.5 halves in 1.0" in found.said
    assert verdict("6", biased).held == "held in part"
    worse = chain(model="ddpm", bias=0.5, precision=0.8, recall=1.0, fd=1.0)
    assert verdict("6", unbiased, worse).held == "did not hold"


@pytest.mark.parametrize("number", ["7", "27"])
def test_figs_7_and_27_want_digits_alike_and_legible(number):
    assert verdict(number, chain(model="ddpm", bias=0.8, **ALIKE)).held == "held"
    lost = {"read": 0.8, "precision": 0.8, "recall": 1.0}
    assert verdict(number, chain(model="ddpm", bias=0.8, **lost)).held == "did not hold"
    # At another bias, or by a model that is no diffusion, it is another figure.
    assert verdict(number, chain(model="ddpm", bias=0.5, **ALIKE)).held == "not run yet"
    assert verdict(number, chain(model="gan", bias=0.8, **ALIKE)).held == "not run yet"


def grid(loop, fd, precision, recall, **parts):
    return [
        one
        for i, bias in enumerate((1.0, 0.8, 0.66, 0.5))
        for one in chain(
            model="ddpm", loop=loop, bias=bias, fd=fd[i], precision=precision[i], recall=recall[i],
            **parts,
        )
    ]  # fmt: skip


def test_fig_9_wants_each_bias_to_fall_and_a_weak_one_to_do_best():
    fd, recall = (1.2, 1.1, 1.15, 1.3), (0.95, 0.9, 0.8, 0.7)
    rows = grid(FIXED, fd, (0.99, 1.005, 1.005, 1.01), recall)
    found = verdict("9", rows)
    assert found.held == "held"
    assert "λ = 0.8 ends with the lowest FD" in found.said
    best = grid(FIXED, (1.02, *fd[1:]), (0.99, 1.005, 1.005, 1.01), recall)
    assert verdict("9", best).held == "held in part"
    assert "lowest FD" in verdict("9", best).said.split("; ")[-1]
    nothing = grid(FIXED, (1, 1.01, 1, 1), (1, 1, 1, 1), (1, 1, 1, 1), spread=0)
    assert verdict("9", nothing).held == "did not hold"


def test_fig_16_wants_precision_kept_and_recall_lost_by_bias():
    rows = grid(FULL, (1.2,) * 4, (0.9, 0.95, 0.99, 1.0), (0.9, 0.8, 0.6, 0.4))
    assert verdict("16", rows).held == "held"
    upside_down = grid(FULL, (1, 1, 1, 1), (1, 1, 1, 0.9), (1, 1, 1, 1), spread=0)
    assert verdict("16", upside_down).held == "did not hold"
    alone = chain(model="ddpm", **BAD)
    assert verdict("16", alone).held == "held in part"


def settling(level, n_initial, start, generations=15, **parts):
    return [
        row(t, "ddpm", FRESH, seed=seed, n_initial=n_initial,
            fd=level + (start - level) * 0.4 ** (t - 1) + 0.001 * seed, **parts)
        for seed in range(2)
        for t in range(1, generations + 1)
    ]  # fmt: skip


def test_fig_10_right_wants_one_level_whatever_the_start():
    found = verdict("10 right", settling(2.0, 2_000, 1.5), settling(2.0, 3_000, 1.0))
    assert found.held == "held"
    assert "2,000: 2, 3,000: 2" in found.said
    apart = verdict("10 right", settling(2.0, 2_000, 1.5), settling(1.5, 3_000, 1.0))
    assert apart.held == "held in part"
    rising = [r | {"fd": r["generation"] * (1 if r["config"]["loop"]["n_initial"] == 1 else 2)}
              for r in [*settling(2, 1, 1), *settling(2, 2, 1)]]  # fmt: skip
    assert verdict("10 right", rising).held == "did not hold"
    assert verdict("10 right", settling(2.0, 2_000, 1.5)).held == "not run yet"
    short = [settling(2.0, n, 1.5, generations=4) for n in (2_000, 3_000)]
    assert verdict("10 right", *short).held == "not run yet"


def decay(curve):
    return [
        row(t + 1, "wgan", seed=seed, fd=value * (1 + 0.01 * seed), precision=0.3 / value,
            recall=0.5 / value)
        for seed in range(2)
        for t, value in enumerate(curve)
    ]  # fmt: skip


def test_fig_13_wants_a_steady_decay_that_slows_down():
    t = np.arange(100)
    assert verdict("13", decay(1 + 9 * (1 - np.exp(-t / 20)))).held == "held"
    found = verdict("13", decay(1.0 + t**2 / 100))
    assert found.held == "held in part"
    assert "slows down (1, half-way 26.1, at the end 99.5): no" in found.said
    assert verdict("13", decay(5.0 - 0.04 * t)).held == "did not hold"
    # A jump is no steady climb.
    jump = np.where(t < 50, 1 - 0.001 * t, 9 - 0.001 * t)
    assert "rank correlation with the generation above 0.8" in verdict("13", decay(jump)).said
    assert "(0.50): no" in verdict("13", decay(jump)).said
    # A few generations fall or do not, but cannot level off.
    few = verdict("13", decay(1 + 9 * (1 - np.exp(-t[:19] / 20))))
    assert few.held == "held in part"
    assert few.said.endswith("it slows down: not run")


# Which records a figure takes.


def test_the_papers_own_model_comes_first():
    both = [chain(model="flow", **ALIKE), chain(model="ddpm", **BAD)]
    assert verdict("4", *both).said.startswith("ddpm: ")
    assert verdict("4", both[0]).said.startswith("flow: ")
    chosen = paper.figure("4").select(paper.frame(itertools.chain(*both)))
    assert list(chosen) == ["ddpm", "flow"]


def test_of_several_runs_the_largest_counts_and_of_chains_those_that_got_far():
    small, large = chain(model="ddpm", **BAD), chain(model="ddpm", n=200, **ALIKE)
    assert verdict("4", small, large).held == "held in part"
    # The one with more biases tells more, whatever its size.
    grid = paper.figure("16").select(
        paper.frame([*small, *large, *chain(model="ddpm", bias=0.5, **ALIKE)])
    )
    assert set(grid["ddpm"]["bias"]) == {1.0, 0.5}
    # A seed that has hardly begun holds up none of the others, one that is on its way does.
    begun = [r for r in small if r["seed"] == 0 or r["generation"] <= 2 * r["seed"]]
    chosen = paper.figure("4").select(paper.frame(begun))["ddpm"]
    assert set(chosen["seed"]) == {0, 2}
    assert chosen["generation"].max() == 4


def test_other_loops_and_biases_are_left_aside():
    rows = chain(model="ddpm", **BAD) + chain(model="ddpm", loop=FRESH, **ALIKE)
    rows += chain(model="ddpm", bias=0.8, **ALIKE)
    assert verdict("4", rows).held == "held"


def test_plain_records_of_chains_will_do():
    rows = [r | {"model": "diffusion"} for r in chain(model="ddpm", **BAD)]
    found = paper.figure("4").verdict(table(rows))
    assert found.held == "held"
    assert found.said.startswith("diffusion: ")


def test_no_records_are_not_run_yet():
    assert paper.figure("9").verdict(paper.frame([])).held == "not run yet"


def test_two_settings_in_plain_records_are_refused():
    rows = [*chain(model="ddpm", **BAD), *chain(model="ddpm", n=200, **BAD)]
    with pytest.raises(ValueError, match="more than once"):
        paper.figure("4").verdict(table(rows))


def test_a_figure_is_found_by_its_number():
    assert len({one.number for one in paper.FIGURES}) == len(paper.FIGURES)
    assert paper.figure("10 left").results == ""
    with pytest.raises(KeyError, match="no figure '2' has a counterpart here; there are: 1, 4, "):
        paper.figure("2")


def test_a_frame_says_of_each_record_which_run_and_family_it_is_of():
    rows = [row(1, "ddpm"), row(1, "flow"), row(1, "gan"), row(1, "ddpm", bias=0.5, seed=3)]
    found = paper.frame([*rows, row(1, "ddpm", n_initial=7)])
    assert found["family"].tolist() == ["ddpm", "flow", "gan", "ddpm", "ddpm"]
    assert found["n_initial"].tolist() == [100] * 4 + [7]
    first, flow, gan, *same = found["run"]
    assert same == [first, first]
    assert len({first, flow, gan}) == 3
    assert found["device"].unique().tolist() == ["cpu: test"]


def test_chains_of_the_size_that_most_families_share_are_chosen():
    rows = [
        *chain(model="ddpm", n=200, **BAD),
        *chain(model="ddpm", **BAD),
        *chain(model="gan", **BAD),
        *chain(model="wgan", n_initial=50, **BAD),
    ]
    found = paper.of_one_size(paper.frame(rows))
    assert set(found["n_initial"]) == {100}
    assert set(found["family"]) == {"ddpm", "gan"}


@pytest.mark.parametrize("rows", [[], chain(model="ddpm", n_initial=50, **BAD)])
def test_of_chains_without_one_size_none_are_chosen(rows):
    records = paper.frame(rows)
    found = paper.of_one_size(records)
    assert found.empty
    assert list(found) == list(records)


# Gaussians and toys.


def ratios(**others):
    """Results as `benchmarks/theory.py` stores them, `others` in place of the usual rows."""
    usual = {
        (100, 1.0): [1.1, 1.2, 1.6, 2.0, 2.3, 2.4, 2.4],
        (1_000, 1.0): [1.0, 1.1, 1.2, 1.3, 1.5, 1.7, 1.9],
        **{
            (n, bias): list(np.where(np.array(toys.N_SYNTHETIC) < limit, 1.2, 0.8))
            for n in (100, 1_000)
            for bias, limit in ((0.5, 50), (0.7, 500), (0.85, 2_000))
        },
    }
    tables = {f"n_real {n}, bias {b:g}": {"here": row} for (n, b), row in usual.items()}
    return {"tables": tables | others}


def test_fig_10_left_is_simulated_and_holds():
    found = paper.figure("10 left").verdict()
    assert found.held == "held"
    # The reproduction in the reference: 12.1 to 12.3 at λ = 1, 20.6 at 0.8.
    for bias, level in (("1", 12.2), ("0.8", 20.6)):
        said = next(part for part in found.said.split("; ") if f"λ = {bias}," in part)
        numbers = [float(x) for x in said.split("(")[1].split(")")[0].split(" and ")]
        assert numbers == pytest.approx([level, level], rel=0.05)


def test_fig_11_wants_a_threshold_that_stays():
    figure = paper.figure("11")
    assert figure.verdict(ratios()).held == "held"
    grows = {"n_real 1000, bias 0.7": {"here": [1.2] * 6 + [0.8]}}
    assert figure.verdict(ratios(**grows)).held == "held in part"
    grows |= {"n_real 1000, bias 0.85": {"here": [1.2] * 6 + [0.8]}}
    grows |= {"n_real 100, bias 0.85": {"here": [1.2] + [0.8] * 6}}
    harms = {"n_real 1000, bias 1": {"here": [1, 1, 1, 1, 1, 1, 0.9]}}
    assert figure.verdict(ratios(**grows, **harms)).held == "did not hold"


def test_fig_12_wants_a_threshold_that_falls_with_bias():
    figure = paper.figure("12")
    assert figure.verdict(ratios()).held == "held"
    turned = {f"n_real {n}, bias 0.5": {"here": [1.2] * 6 + [0.8]} for n in (100, 1_000)}
    assert figure.verdict(ratios(**turned)).held == "did not hold"


def test_a_threshold_lies_between_sizes_by_logs():
    assert toys.threshold(np.array([1.2, 1.2, 1.2, 1.2, 1.1, 0.9, 0.5])) == pytest.approx(
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
    assert paper.figure("14").verdict(modes()).held == "held"
    assert paper.figure("15").verdict(modes()).held == "held"
    whole = {
        "alive, last over first": [0.1, 0.9],
        "modes lost at most within 20 generations": [2, 20],
        "share of 20-generation steps with modes coming back": 0.4,
        "recall, rank correlation with the generation": [-0.9, -0.3],
        "modal_variance, rank correlation with the generation": [-0.9, 0.3],
        "total_variance, rank correlation with the generation": [-0.9, -0.9],
    }
    assert paper.figure("14").verdict(modes(**whole)).held == "did not hold"
    found = paper.figure("15").verdict(modes(**whole))
    assert found.held == "did not hold"
    assert "recall falls smoothly in every chain (rank correlation at most −0.30): no" in found.said


def flow_tails(unbiased, biased):
    def rows(kept):
        return [{"beyond 2": 0.05}, {"beyond 2": 0.05 * kept}]

    loops = {"bias 1, seed 0": rows(unbiased), "bias 0.75, seed 0": rows(biased)}
    return {"loops": loops | {"bias 1, seed 0, learning rate 1e-4": rows(0.0)}}


def test_fig_17_wants_tails_lost_and_more_of_them_with_bias():
    figure = paper.figure("17")
    assert figure.verdict(flow_tails(0.5, 0.1)).held == "held"
    assert figure.verdict(flow_tails(1.2, 0.1)).held == "held in part"
    assert figure.verdict(flow_tails(1.0, 1.1)).held == "did not hold"


def memories(*worth):
    found = {str(k): [w, 0.01, w] for k, w in zip((1, 2, 5), worth, strict=True)}
    return {"tables": {"Fig. 30 at d = 4: memory to ratio, its error, closed form": found}}


def test_fig_30_wants_more_memory_to_help_less_and_less():
    figure = paper.figure("30")
    assert figure.verdict(memories(1.9, 2.7, 4.3)).held == "held"
    assert figure.verdict(memories(1.9, 2.0, 4.3)).held == "held in part"
    assert figure.verdict(memories(1.9, 1.8, 1.9)).held == "did not hold"


def test_fig_31_holds_by_the_closed_form(monkeypatch):
    assert paper.figure("31").verdict().held == "held"
    monkeypatch.setattr(toys, "fresh_limit", lambda d, real, synthetic, bias=1.0: 1 / synthetic**2
                        if synthetic else 9.0)  # fmt: skip
    assert paper.figure("31").verdict().held == "did not hold"


def test_results_that_are_needed_are_asked_for():
    found = paper.figure("15").verdict()
    assert found.held == "not run yet"
    assert "benchmarks/results/modes.json" in found.said


@pytest.mark.parametrize("one", [f for f in paper.FIGURES if getattr(f, "results", "")],
                         ids=lambda one: one.number)  # fmt: skip
def test_the_stored_results_can_be_judged(one):
    found = one.verdict(json.loads((RESULTS / f"{one.results}.json").read_text()))
    assert found.held != "not run yet"


def test_every_digit_figure_can_be_judged_and_reads_at_most_its_own_chains():
    everything = [
        one
        for model, loop, bias in itertools.product(
            ("ddpm", "wgan"), (FULL, FIXED, FRESH), (1.0, 0.8, 0.5)
        )
        for n_initial in (100, 150)
        for one in chain(model=model, loop=loop, bias=bias, n_initial=n_initial, **BAD)
    ]
    records = paper.frame(everything)
    for one in paper.FIGURES:
        if isinstance(one, paper.DigitFigure):
            assert one.verdict(records).held != "not run yet", one.number
            for own in one.select(records).values():
                assert set(own["loop"]) == {one.loop}
                assert own["n_initial"].nunique() == (2 if one.starts else 1)


def test_compare_reads_the_family_with_most_biases_and_names_the_others():
    wide = chain(model="flow", bias=1.0, fd=1.2, recall=0.8) + chain(
        model="flow", bias=0.5, fd=1.2, recall=0.5
    )
    records = paper.frame(wide + chain(model="ddpm", bias=1.0, fd=1.2, recall=0.8))
    text, own = paper.figure("16").compare(records)
    assert set(own["family"]) == {"flow"}
    assert set(own["bias"]) == {1.0, 0.5}
    assert text.startswith("**The paper, Fig. 16.**")
    judge = paper.figure("16").judge
    other = judge(records[records["family"] == "ddpm"])
    assert text.endswith(f"Family by family: ddpm {other.held}, flow {judge(own).held}.")


def test_compare_of_no_records_says_not_run_yet():
    records = paper.frame(chain(model="gan", loop="fresh data"))
    text, own = paper.figure("16").compare(records)
    assert own.empty
    assert "not run yet" in text
