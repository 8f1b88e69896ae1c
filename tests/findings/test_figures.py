"""Conclusions on the paper's figures: each on records that hold and on records that do not."""

import itertools
import math

import made_chains
import numpy as np
import pytest

import madlab as ml
from madlab import findings
from madlab.findings.changes import Change, signed
from madlab.findings.claims import Claim, conclude, how
from madlab.tables import table

FULL, FIXED, FRESH = "fully synthetic", "synthetic augmentation", "fresh data"
REAL = {FULL: "none", FIXED: "fixed", FRESH: "fresh"}


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


def chain(generations=6, **parts):
    scores = ("fd", "precision", "recall", "density", "read")
    return made_chains.chain(row, scores, generations, **parts)


def grid(loop, fd, precision, recall, **parts):
    return [
        one
        for i, bias in enumerate((1.0, 0.8, 0.66, 0.5))
        for one in chain(
            model="ddpm", loop=loop, bias=bias, fd=fd[i], precision=precision[i], recall=recall[i],
            **parts,
        )
    ]  # fmt: skip


def conclusion(number, *rows):
    return findings.figure(number).conclude(findings.frame(itertools.chain(*rows)))


BAD = {"fd": 1.3, "precision": 0.8, "recall": 0.7, "density": 0.7, "read": 0.6}
SLOW = BAD | {"read": 0.95}
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
def test_a_conclusion_is_what_its_claims_come_to(held, expected):
    assert conclude([Claim("it does", one) for one in held]).result == expected


def test_what_was_found_is_said_claim_by_claim():
    found = conclude([Claim("a falls (−3%)", True), Claim("b", False), Claim("c", None)])
    assert found.text == "a falls (−3%): yes; b: no; c: not run"


def test_a_change_is_said_in_percent_with_its_error():
    assert Change(0.25, 0.02, "falls", 3.0).percent == "−25 ± 2%"
    assert Change(-1.5, math.nan, "one seed", math.inf).percent == "+150%"
    assert Change(-0.001, 0.002, "holds", math.inf).percent == "0 ± 0%"
    assert Change(math.nan, math.nan, "", math.nan).percent == "not scored"
    assert [signed(lost) for lost in (-0.12, 0.004, -0.004, -math.inf)] == ["+12", "0", "0", "+inf"]
    assert Change(0.5, 0.02, "falls", 3.04).soon == "halves in 3.0"
    assert Change(0.25, 0.02, "falls", math.inf).soon == "−25 ± 2%"


# Figures on digits.


@pytest.mark.parametrize(
    ("number", "parts", "expected"),
    [
        # Quality and diversity fall.
        ("4", BAD, "held"),
        ("4", ALIKE, "held in part"),
        ("4", {"fd": 0.9, "precision": 1.0, "recall": 1.0}, "did not hold"),
        # Digits cannot be read.
        *((n, {"generations": 10, **BAD}, "held") for n in ("5", "26")),
        *((n, {"generations": 10, **ALIKE}, "did not hold") for n in ("5", "26")),
        *((n, {"generations": 10, **SLOW}, "held in part") for n in ("5", "26")),
        # Digits are alike and legible. At another bias, or by a model that is no diffusion, it is
        # another figure.
        *((n, {"bias": 0.8, **ALIKE}, "held") for n in ("7", "27")),
        *((n, {"bias": 0.8, "read": 0.8, "precision": 0.8, "recall": 1.0}, "did not hold")
          for n in ("7", "27")),
        *((n, {"bias": 0.5, **ALIKE}, "not run yet") for n in ("7", "27")),
        *((n, {"bias": 0.8, "model": "gan", **ALIKE}, "not run yet") for n in ("7", "27")),
        # Precision is kept and recall lost by bias.
        ("16", BAD, "held in part"),
    ],
)  # fmt: skip
def test_a_figure_holds_as_far_as_its_claims_do(number, parts, expected):
    assert conclusion(number, chain(**{"model": "ddpm", **parts})).result == expected


def test_what_was_found_stands_beside_each_claim():
    found = conclusion("4", chain(model="ddpm", **BAD))
    assert found.text.startswith("ddpm: FD rises (+2")
    assert found.text.count("yes") == 3


def test_a_fall_within_two_standard_errors_is_none():
    rows = [
        *chain(model="ddpm", seeds=1, **BAD),
        *[row(t, "ddpm", seed=1) for t in range(1, 7)],
    ]
    assert conclusion("4", rows).result == "did not hold"
    # One seed has no error to be within.
    assert conclusion("4", rows[:6]).result == "held"


@pytest.mark.parametrize("number", ["5", "26"])
def test_after_few_generations_digits_may_yet_become_illegible(number):
    assert "not run" in conclusion(number, chain(model="ddpm", generations=5, **SLOW)).text


def test_illegible_in_generation_11_is_too_late():
    rows = chain(model="ddpm", generations=14, **BAD | {"read": 0.94})
    halved = next(t for t in range(1, 99) if 0.94 ** (t - 1) < 0.5)
    assert halved == 13
    assert (
        "halves by generation 10 (0.90 to 0.52 in generation 10): no" in conclusion("5", rows).text
    )


def test_fig_6_wants_quality_to_stay_and_diversity_to_go_sooner():
    unbiased, biased = chain(model="ddpm", **BAD), chain(model="ddpm", bias=0.5, **ALIKE)
    found = conclusion("6", unbiased, biased)
    assert found.result == "held"
    assert "λ = 1 halves in 2.0, λ = 0.5 halves in 1.0" in found.text
    assert conclusion("6", biased).result == "held in part"
    worse = chain(model="ddpm", bias=0.5, precision=0.8, recall=1.0, fd=1.0)
    assert conclusion("6", unbiased, worse).result == "did not hold"


def test_fig_9_wants_each_bias_to_fall_and_a_weak_one_to_do_best():
    fd, recall = (1.2, 1.1, 1.15, 1.3), (0.95, 0.9, 0.8, 0.7)
    rows = grid(FIXED, fd, (0.99, 1.005, 1.005, 1.01), recall)
    found = conclusion("9", rows)
    assert found.result == "held"
    assert "FD ends lowest at λ = 0.8" in found.text
    best = grid(FIXED, (1.02, *fd[1:]), (0.99, 1.005, 1.005, 1.01), recall)
    assert conclusion("9", best).result == "held in part"
    assert "FD ends lowest" in conclusion("9", best).text.split("; ")[-1]
    nothing = grid(FIXED, (1, 1.01, 1, 1), (1, 1, 1, 1), (1, 1, 1, 1), spread=0)
    assert conclusion("9", nothing).result == "did not hold"


def test_fig_16_wants_precision_kept_and_recall_lost_by_bias():
    rows = grid(FULL, (1.2,) * 4, (0.9, 0.95, 0.99, 1.0), (0.9, 0.8, 0.6, 0.4))
    assert conclusion("16", rows).result == "held"
    upside_down = grid(FULL, (1, 1, 1, 1), (1, 1, 1, 0.9), (1, 1, 1, 1), spread=0)
    assert conclusion("16", upside_down).result == "did not hold"


def settling(level, n_initial, start, generations=15, **parts):
    return [
        row(t, "ddpm", FRESH, seed=seed, n_initial=n_initial,
            fd=level + (start - level) * 0.4 ** (t - 1) + 0.001 * seed, **parts)
        for seed in range(2)
        for t in range(1, generations + 1)
    ]  # fmt: skip


def test_fig_10_right_wants_one_level_whatever_the_start():
    found = conclusion("10 right", settling(2.0, 2_000, 1.5), settling(2.0, 3_000, 1.0))
    assert found.result == "held"
    assert "2,000: 2, 3,000: 2" in found.text
    apart = conclusion("10 right", settling(2.0, 2_000, 1.5), settling(1.5, 3_000, 1.0))
    assert apart.result == "held in part"
    rising = [r | {"fd": r["generation"] * (1 if r["config"]["loop"]["n_initial"] == 1 else 2)}
              for r in [*settling(2, 1, 1), *settling(2, 2, 1)]]  # fmt: skip
    assert conclusion("10 right", rising).result == "did not hold"
    assert conclusion("10 right", settling(2.0, 2_000, 1.5)).result == "not run yet"
    short = [settling(2.0, n, 1.5, generations=4) for n in (2_000, 3_000)]
    assert conclusion("10 right", *short).result == "not run yet"


def decay(curve):
    return [
        row(t + 1, "wgan", seed=seed, fd=value * (1 + 0.01 * seed), precision=0.3 / value,
            recall=0.5 / value)
        for seed in range(2)
        for t, value in enumerate(curve)
    ]  # fmt: skip


def test_fig_13_wants_a_steady_decay_that_slows_down():
    t = np.arange(100)
    assert conclusion("13", decay(1 + 9 * (1 - np.exp(-t / 20)))).result == "held"
    found = conclusion("13", decay(1.0 + t**2 / 100))
    assert found.result == "held in part"
    assert "slows down (1, half-way 26.1, at the end 99.5): no" in found.text
    assert conclusion("13", decay(5.0 - 0.04 * t)).result == "did not hold"
    # A jump is no steady climb.
    jump = np.where(t < 50, 1 - 0.001 * t, 9 - 0.001 * t)
    assert "rank correlation with the generation above 0.8" in conclusion("13", decay(jump)).text
    assert "(0.50): no" in conclusion("13", decay(jump)).text
    # A few generations fall or do not, but cannot level off.
    few = conclusion("13", decay(1 + 9 * (1 - np.exp(-t[:19] / 20))))
    assert few.result == "held in part"
    assert few.text.endswith("FD slows down: not run")


# Which records a figure takes.


def test_the_papers_own_model_comes_first():
    both = [chain(model="flow", **ALIKE), chain(model="ddpm", **BAD)]
    assert conclusion("4", *both).text.startswith("ddpm: ")
    assert conclusion("4", both[0]).text.startswith("flow: ")
    chosen = findings.figure("4").select(findings.frame(itertools.chain(*both)))
    assert list(chosen) == ["ddpm", "flow"]


def test_of_several_runs_the_largest_counts_and_of_chains_those_that_got_far():
    small, large = chain(model="ddpm", **BAD), chain(model="ddpm", n=200, **ALIKE)
    assert conclusion("4", small, large).result == "held in part"
    # The one with more biases tells more, whatever its size.
    grid = findings.figure("16").select(
        findings.frame([*small, *large, *chain(model="ddpm", bias=0.5, **ALIKE)])
    )
    assert set(grid["ddpm"]["bias"]) == {1.0, 0.5}
    # A seed that has hardly begun holds up none of the others, one that is on its way does.
    begun = [r for r in small if r["seed"] == 0 or r["generation"] <= 2 * r["seed"]]
    chosen = findings.figure("4").select(findings.frame(begun))["ddpm"]
    assert set(chosen["seed"]) == {0, 2}
    assert chosen["generation"].max() == 4


def test_other_loops_and_biases_are_left_aside():
    rows = chain(model="ddpm", **BAD) + chain(model="ddpm", loop=FRESH, **ALIKE)
    rows += chain(model="ddpm", bias=0.8, **ALIKE)
    assert conclusion("4", rows).result == "held"


def test_plain_records_of_chains_will_do():
    rows = [r | {"model": "diffusion"} for r in chain(model="ddpm", **BAD)]
    found = findings.figure("4").conclude(table(rows))
    assert found.result == "held"
    assert found.text.startswith("diffusion: ")


def test_no_records_are_not_run_yet():
    assert findings.figure("9").conclude(findings.frame([])).result == "not run yet"


def test_two_settings_in_plain_records_are_refused():
    rows = [*chain(model="ddpm", **BAD), *chain(model="ddpm", n=200, **BAD)]
    with pytest.raises(ValueError, match="more than once"):
        findings.figure("4").conclude(table(rows))


def test_a_figure_is_found_by_its_number():
    assert findings.figure("10 left").subject == "toys"
    with pytest.raises(KeyError, match="no counterpart of figure '2'; there are: 1, 4, "):
        findings.figure("2")


def test_a_frame_says_of_each_record_which_run_and_family_it_is_of():
    rows = [row(1, "ddpm"), row(1, "flow"), row(1, "gan"), row(1, "ddpm", bias=0.5, seed=3)]
    found = findings.frame([*rows, row(1, "ddpm", n_initial=7)])
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
    found = findings.of_one_size(findings.frame(rows))
    assert set(found["n_initial"]) == {100}
    assert set(found["family"]) == {"ddpm", "gan"}


@pytest.mark.parametrize("rows", [[], chain(model="ddpm", n_initial=50, **BAD)])
def test_of_chains_without_one_size_none_are_chosen(rows):
    records = findings.frame(rows)
    found = findings.of_one_size(records)
    assert found.empty
    assert list(found) == list(records)


def test_every_digit_figure_can_be_judged_and_reads_at_most_its_own_chains():
    everything = [
        one
        for model, loop, bias in itertools.product(
            ("ddpm", "wgan"), (FULL, FIXED, FRESH), (1.0, 0.8, 0.5)
        )
        for n_initial in (100, 150)
        for one in chain(model=model, loop=loop, bias=bias, n_initial=n_initial, **BAD)
    ]
    records = findings.frame(everything)
    for one in findings.FIGURES:
        if one.subject == "digits":
            assert one.conclude(records).result != "not run yet", one.number
            for own in one.select(records).values():
                assert set(own["loop"]) == {one.loop}
                assert own["n_initial"].nunique() == (2 if one.starts else 1)


def test_compare_reads_the_family_with_most_biases_and_names_the_others():
    wide = chain(model="flow", bias=1.0, fd=1.2, recall=0.8) + chain(
        model="flow", bias=0.5, fd=1.2, recall=0.5
    )
    records = findings.frame(wide + chain(model="ddpm", bias=1.0, fd=1.2, recall=0.8))
    text, own = findings.figure("16").compare(records)
    assert set(own["family"]) == {"flow"}
    assert set(own["bias"]) == {1.0, 0.5}
    assert text.startswith("**The paper, Fig. 16.**")
    judge = findings.figure("16").of_family
    other = judge(records[records["family"] == "ddpm"])
    assert text.endswith(f"Family by family: ddpm {other.result}, flow {judge(own).result}.")


def test_compare_of_no_records_says_not_run_yet():
    records = findings.frame(chain(model="gan", loop="fresh data"))
    text, own = findings.figure("16").compare(records)
    assert own.empty
    assert "not run yet" in text


def test_every_claim_of_the_table_is_in_words_that_are_known():
    for one in findings.FIGURES:
        assert bool(one.claims) == (one.subject != "toys"), one.number
        for claim in one.claims:
            assert callable(how(*claim.split(" ", 1))), claim
    with pytest.raises(KeyError, match="soars"):
        how("fd", "soars at every λ")


@pytest.mark.parametrize(
    ("module", "old", "new"),
    [
        *((findings, f"{kind}Figure", "PaperFigure")
          for kind in ("", "Digit", "Face", "Picture", "Toy")),
        (findings, "Verdict", "Conclusion"),
        (ml.metrics, "failures", "failures"),
    ],
)  # fmt: skip
def test_names_of_0_4_lead_to_what_they_are_called_now(module, old, new):
    with pytest.warns(DeprecationWarning, match=rf"{old} is madlab\.findings\.{new} now"):
        assert getattr(module, old) is getattr(findings, new)


def test_the_paper_is_a_name_of_findings():
    with pytest.warns(DeprecationWarning, match=r"madlab.paper is madlab.findings now"):
        assert ml.paper is findings
    with pytest.warns(DeprecationWarning, match=r"madlab.paper is madlab.findings now"):
        from madlab import paper
    assert paper is findings
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        findings.nothing  # noqa: B018
