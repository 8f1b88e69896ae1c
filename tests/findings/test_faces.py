"""The paper's figures on faces: records that hold and that do not, and their page."""

import itertools

import build_paper_page as script
import made_chains
import numpy as np
import pandas as pd
import pytest
from paper_code import code

from madlab import findings, gallery
from madlab.data.samples import Samples
from madlab.findings.claims import judge
from madlab.metrics.spectrum import grid_peak, grid_power, power_spectrum

FULL, POOL = "fully synthetic", "synthetic augmentation, accumulating"
SIZE, N = 16, 40


def row(t, model="face_gan", loop=FULL, bias=1.0, seed=0, n=800, settings=None, **scores):
    """A record of faces as a store has it; n real ones in generation 1, n synthetic ones later."""
    fixed = loop == POOL
    known = {
        "generation": t, "loop": loop, "model": model, "bias": bias, "seed": seed,
        "n_real": n if t == 1 or fixed else 0,
        "n_synthetic": 0 if t == 1 else n * (t - 1) if fixed else n,
        "n_evaluate": 800, "features": "efficientnet-0", "fd": 100.0, "precision": 0.8,
        "recall": 0.1, "density": 0.8, "coverage": 0.8, "seconds": 60.0, "kid": 1.0,
        "kid_error": 0.03, "fd_ratio": 10.0, "precision_error": 0.01, "recall_error": 0.01,
        "distance": 1.0, "memorisation": 1.0,
        "config": {
            "loop": {"real": "fixed" if fixed else "none", "n_initial": n,
                     "n_real": n if fixed else 0, "n_synthetic": n,
                     "memory": None if fixed else 1, "budget": "growing" if fixed else "fixed"},
            "settings": settings or {}, "version": 1, "data": "ffhq-32-00000000",
        },
        "provenance": {"device": "cpu: test", "commit": "0"},
    }  # fmt: skip
    name = f"{model} {loop} {bias} {seed} {t} {n} {sorted((settings or {}).items())}"
    return {**known, **scores, "id": name}


def chain(generations=5, **parts):
    return made_chains.chain(row, ("kid", "precision", "recall", "distance"), generations, **parts)


def framed(*rows):
    return findings.frame(itertools.chain(*rows))


def conclusion(number, *rows):
    return findings.figure(number).conclude(framed(*rows))


def with_grids(records, grid, peak, loop=FULL, error=0.05, seed=0):
    """Records with a grid in generation 5 of one seed, as `with_grid` would add it."""
    at = (records["generation"] == 5) & (records["seed"] == seed) & (records["loop"] == loop)
    added = {"grid": grid, "grid_error": error, "grid_peak": peak, "grid_peak_error": error}
    found = records.assign(**{name: records.get(name, np.nan) for name in added})
    found.loc[at, list(added)] = list(added.values())
    return found


MAD = {"kid": 1.2, "precision": 0.9, "recall": 0.5, "distance": 0.97}
CALM = {"kid": 1.04, "precision": 0.97, "recall": 0.9, "distance": 0.99}
ALIKE = {"kid": 1.4, "precision": 1.0, "recall": 0.2, "distance": 0.7}


# Verdicts.


def test_fig_4_on_faces_wants_kid_to_rise_and_precision_and_recall_to_fall():
    found = conclusion("4 faces", chain(**MAD))
    assert found.result == "held"
    assert found.text.startswith("face_gan: KID rises (+10")
    assert conclusion("4 faces", chain(**ALIKE)).result == "held in part"
    assert conclusion("4 faces", chain()).result == "did not hold"


def test_fig_6_on_faces_wants_recall_to_go_sooner_with_bias_and_precision_to_hold():
    found = conclusion("6 faces", chain(**MAD), chain(bias=0.7, **ALIKE))
    assert found.result == "held"
    assert "recall falls sooner the smaller λ" in found.text
    # The same at both biases is no sooner, and precision does not hold.
    found = conclusion("6 faces", chain(**MAD), chain(bias=0.7, **MAD))
    assert found.result == "held in part"
    assert found.text.count(": no") == 2


def test_fig_8_wants_the_same_direction_but_slower():
    slow = chain(loop=POOL, **CALM)
    found = conclusion("8", chain(**MAD), slow)
    assert found.result == "held"
    assert found.text.count("less than in the fully synthetic loop") == 3
    found = conclusion("8", chain(**CALM), chain(loop=POOL, **MAD))
    answers = [claim.rsplit(": ")[-1] for claim in found.text.split("; ")]
    assert answers == ["yes"] * 3 + ["no"] * 3
    # Without the other loop nothing can be slower than it, and without its own nothing is judged.
    assert conclusion("8", slow).text.count("not run") == 3
    assert conclusion("8", chain(**MAD)).result == "not run yet"


def test_loops_are_compared_as_far_as_both_have_come():
    records = framed(chain(**MAD), chain(loop=POOL, generations=3, **CALM))
    own = findings.figure("8").select(records)["face_gan"]
    assert dict(own.groupby("loop")["generation"].max()) == {FULL: 3, POOL: 3}


def test_less_is_by_more_than_two_standard_errors():
    slow, claims = chain(loop=POOL, recall=0.80), ["recall falls less than in the other loop"]
    for spread, expected in ((0.0, True), (0.3, False)):
        records = framed(slow, chain(recall=0.79, spread=spread))
        assert judge(claims, records, FULL)[0].holds is expected
    assert judge(claims, framed(slow), FULL)[0].holds is None


def test_fig_1_wants_a_grid_that_grows():
    records = framed(chain(**MAD))
    judged = findings.figure("1").conclude
    assert judged(with_grids(records, 2.0, 2.5)).result == "held"
    found = judged(with_grids(records, 1.0, 1.0))
    assert found.result == "held in part"
    assert "(× 1.00 ± 0.05 in generation 5): no" in found.text
    # Within two standard errors, or without faces, there is nothing to see.
    assert judged(with_grids(records, 1.5, 1.5, error=0.3)).text.count(": no") == 2
    assert judged(records).text.count("(no faces): not run") == 2


def test_fig_23_wants_one_person_and_no_grid():
    records = framed(chain(bias=0.7, **ALIKE))
    judged = findings.figure("23").conclude
    assert judged(with_grids(records, 0.6, 0.9)).result == "held"
    # What stands out more of less contrast is a grid too, and the page says so.
    assert judged(with_grids(records, 0.6, 2.0)).result == "held in part"


def test_fig_28_wants_a_grid_that_grows_less_beside_real_faces():
    records = with_grids(framed(chain(**MAD), chain(loop=POOL, **CALM)), 3.0, 3.0)
    judged = findings.figure("28").conclude
    assert judged(with_grids(records, 1.5, 1.5, POOL)).result == "held"
    assert judged(with_grids(records, 3.0, 3.0, POOL)).result == "held in part"
    assert judged(records).text.count("(no faces): not run") == 4


def test_of_settings_those_that_most_chains_have_are_judged_in_all_figures():
    other = chain(settings={"noise": True}, seeds=3, **ALIKE)
    main = [*chain(seeds=2, **MAD), *chain(seeds=2, bias=0.7, **ALIKE)]
    records = framed(other, main)
    for number in ("1", "4 faces", "6 faces", "23"):
        own = findings.figure(number).select(records)["face_gan"]
        assert all(config["settings"] == {} for config in own["config"])


def test_the_control_has_a_row_of_its_own_and_digits_have_none():
    digits = [{**r, "config": {**r["config"], "data": "mnist-0"}} for r in chain(**MAD)]
    records = framed(chain(**MAD), chain(model="principal", **CALM), digits)
    chosen = findings.figure("4 faces").select(records)
    assert list(chosen) == ["face_gan", "principal"]
    assert all(set(own["subject"]) == {"faces"} for own in chosen.values())
    assert findings.figure("4").select(records) == {}


# The grid.


def test_of_many_grids_in_a_generation_the_first_of_the_lowest_seed_counts():
    grids = np.linspace(1, 2, 100)
    records = pd.DataFrame({"loop": FULL, "generation": 5, "grid": grids, "grid_error": 0.1})
    (claim,) = judge(["grid rises"], records.assign(seed=np.repeat([1, 0], 50)))
    assert f"× {grids[50]:.2f} ± 0.10 in generation 5" in claim.text


def weave(strength, n=N, seed=0):
    """Smooth blots of full contrast with a chequerboard over them."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(60, 180, (n, 4, 4, 3)).repeat(SIZE // 4, axis=1).repeat(SIZE // 4, axis=2)
    y, x = np.indices((SIZE, SIZE))
    board = strength * (1 - 2 * ((x + y) % 2))[None, :, :, None]
    grain = rng.normal(0, 2, coarse.shape)
    return np.clip(coarse + board + grain, 0, 255).astype(np.uint8)


def test_a_grid_stands_out_where_it_is_added_and_not_where_all_contrast_fades():
    plain, woven = weave(0), weave(10)
    assert grid_peak(woven, plain) > 2
    # Rounding to whole levels adds a little power everywhere.
    faded = np.rint(128 + (plain.astype(float) - 128) / 2).astype(np.uint8)
    assert grid_power(faded, plain) == pytest.approx(0.25, abs=0.03)
    assert grid_peak(faded, plain) == pytest.approx(1, abs=0.05)
    spectra = power_spectrum(woven), power_spectrum(plain)
    assert grid_peak(*spectra) == pytest.approx(grid_peak(woven, plain))


class Shown:
    """A gallery of one chain: blots that a chequerboard grows over."""

    def __init__(self, finished, strengths=(0, 2, 6)):
        self.finished = finished
        self.kept = dict(zip((1, 3, 5), strengths, strict=True))

    def chains(self):
        found = {one.name: (1, 3, 5) if one.seed == 0 else () for one in self.finished}
        subjects = [one.subject for one in self.finished]
        columns = {"chain": list(found), "sheet": list(found.values()), "subject": subjects}
        return pd.DataFrame({**columns, "embedding": [()] * len(found)})

    def sheet(self, chain, t):
        return Samples(weave(self.kept[t], seed=t))


@pytest.fixture(scope="module")
def shown():
    rows = [*chain(**MAD), *chain(loop=POOL, **CALM), *chain(bias=0.7, **ALIKE)]
    return Shown(gallery.chains.group(rows)[0])


def framed_with_chains(shown):
    found = findings.frame(r for one in shown.finished for r in one.rows)
    return found.assign(chain=[one.name for one in shown.finished for _ in one.rows])


def test_grids_are_read_from_the_faces_that_are_kept(shown):
    records = framed_with_chains(shown)
    found = findings.with_grid(records, shown)
    pd.testing.assert_frame_equal(found[list(records)], records)
    known = found[found["grid"].notna()]
    assert set(known["generation"]) == {3, 5}
    assert set(known["seed"]) == {0}
    last = known[known["generation"] == 5].iloc[0]
    assert last["grid"] == pytest.approx(grid_power(weave(6, seed=5), weave(0, seed=1)))
    # The jackknife of a mean over 40 pictures: some per cent.
    assert 0.01 < last["grid_error"] / last["grid"] < 0.5
    assert findings.figure("1").conclude(found).result == "held"


def test_a_gallery_without_faces_adds_empty_columns(shown):
    found = findings.with_grid(framed_with_chains(shown), Shown([]))
    assert len(found)
    assert found["grid"].isna().all()
    assert findings.with_grid(found.iloc[:0, :-4], Shown([])).empty


# The page.


def test_the_page_shows_faces_beside_the_papers_figures(shown):
    text, pictures = script.page(shown)
    parts = {part[: part.find(". ", 5)]: part for part in text.split("\n## ")}
    for number in ("1", "4 faces", "6 faces", "8", "23", "28"):
        part = parts[f"Fig. {number}"]
        assert findings.figure(number).reading() in part
        assert "| face_gan | **held" in part
    sheets = {name for name in pictures if name.endswith(".webp")}
    assert sheets == {"fig-1.webp", "fig-23.webp", "fig-28.webp"}
    assert f"![{script.N_FACES} generated faces a row, a row a generation (1, 3, 5)." in text
    assert "800 real (`ffhq-32`), then 800 real + 800 to 3,200 synthetic" in parts["Fig. 8"]
    assert "Here: not run yet" in parts["Fig. 4"]


def test_the_code_of_two_loops_makes_both():
    own = findings.figure("8").select(framed(chain(**MAD), chain(loop=POOL, **CALM)))["face_gan"]
    own = own.assign(config=[{**c, "settings": {"steps": 60}} for c in own["config"]])
    found = code(own)
    compile(found, "page", "exec")
    assert found.count("import madlab") == 1
    assert "ml.Loop.synthetic_augmentation(800, 800, accumulate=True)" in found
    assert "ml.Loop.fully_synthetic(800)" in found
    assert found.count("ml.data.ffhq(size=32)") == 2
    drawn = own.assign(config=[{**c, "data": "drawn-faces-32-0"} for c in own["config"]])
    assert "ml.data.drawn_faces(size=32)" in code(drawn)


def test_sheets_of_faces_keep_their_colours_where_there_is_room(shown, monkeypatch):
    figure = script._sheet(shown, "any", (1,), "faces")
    whole = script.encode("fig-1.webp", figure)
    assert whole[8:12] == b"WEBP"
    monkeypatch.setattr(script, "MOST_BYTES", len(whole) - 1)
    monkeypatch.setattr(script, "COLOURS", (24,))
    assert len(script.encode("fig-1.webp", figure)) < len(whole)
