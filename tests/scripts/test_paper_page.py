"""docs/paper.md is what its script writes from the records that ship, and reads as a page."""

import re
from pathlib import Path

import build_gallery
import build_paper_page as script
import pytest
from ink_maps import by_ink
from paper_code import code, loop_code, model_code

import madlab as ml
from madlab import findings, gallery

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"


@pytest.fixture(scope="module")
def shown(tmp_path_factory):
    """A gallery of small chains: of a mixture in two loops, and of a diffusion hardly trained."""
    folder = tmp_path_factory.mktemp("gallery")
    store, data = folder / "store", ml.data.mnist()
    full, fresh = ml.Loop.fully_synthetic(300), ml.Loop.fresh_data(100, 200, n_initial=300)
    flow = ml.models.create("diffusion", channels=4, steps=2, sampling_steps=1)
    for model, loop, bias, seed in [
        *(("mixture", full, bias, seed) for bias in (1.0, 0.5) for seed in (0, 1)),
        *(("mixture", fresh, 0.8, seed) for seed in (0, 1)),
        (flow, full, 1.0, 0),
    ]:
        chain = ml.Chain(loop, model, data, bias=bias, seed=seed, store=store, n_evaluate=100)
        list(chain.run(2))
    built = gallery.build([store], folder / "built").gallery
    return build_gallery.merge(
        [built],
        folder / "shown",
        lambda one: by_ink(chain, (1, 2), 500) if one.model == "diffusion" else None,
    )


@pytest.fixture(scope="module")
def written(shown):
    return script.page(shown)


def section(text, number):
    return next(part for part in text.split("\n## ") if part.startswith(f"Fig. {number}."))


def test_the_page_in_the_repository_is_what_the_script_writes():
    """If this fails: python scripts/build_paper_page.py, and read what changed."""
    text, pictures = script.page(script.open_gallery(None))
    assert (DOCS / "paper.md").read_text(encoding="utf-8") == text
    kept = {path.name: path.stat().st_size for path in (DOCS / "paper").glob("*")}
    assert set(kept) == set(pictures)
    assert max(kept.values(), default=0) <= script.MOST_BYTES


def test_links_pictures_and_anchors_of_the_page_lead_somewhere():
    text = (DOCS / "paper.md").read_text(encoding="utf-8")
    headings = re.findall(r"^## (.+)$", text, re.MULTILINE)
    # As GitHub makes anchors of headings.
    anchors = {re.sub(r"[^\w\- ]", "", h.lower()).replace(" ", "-") for h in headings}
    targets = re.findall(r"\]\(([^)\s]+)\)", text)
    assert len(targets) > 2 * len(findings.FIGURES)
    for target in targets:
        if target.startswith("#"):
            assert target[1:] in anchors, target
        elif not target.startswith("https:"):
            assert (DOCS / target).exists(), target
    assert all(re.findall(r"!\[(.*?)\]", text))


def test_without_a_gallery_figures_on_pictures_are_not_run_and_others_are_judged():
    text, pictures = script.page(None)
    assert pictures == {}
    for one in findings.FIGURES:
        words = "Here: not run yet." if one.subject != "toys" else "Here: held"
        assert words in section(text, one.number), one.number
        assert section(text, one.number).count(one.shows) == 1
    assert "Not run yet." in text.split("## Which failure")[1]


def test_a_figure_that_was_run_says_how_where_and_with_what_result(shown, written):
    text, pictures = written
    part = section(text, "6")
    records = findings.frame(row for chain in shown.finished for row in chain.rows)
    found = findings.figure("6").conclude(records)
    assert f"**{found.result}**" in part
    for claim in found.text.removeprefix("mixture: ").split("; "):
        assert claim in part
    assert "300 real, then 300 synthetic" in part
    assert "λ = 1, 0.5; 2 seeds; 2 generations" in part
    own = records[(records["loop"] == "fully synthetic") & (records["model"] == "mixture")]
    assert f"{own['device'].iloc[0]} | {own['seconds'].sum() / 60:.1f} |" in part
    assert "fig-6.png" in pictures
    assert "bias 0.5: FD-LeNet" in part
    # What has no records stays empty, and says so.
    assert "not run yet" in section(text, "9")
    assert "fig-9.png" not in pictures
    assert "| mixture | fresh data | 0.8 | 2 | 2 |" in text


def test_pictures_are_of_the_kind_that_the_figure_asks_for(written):
    text, pictures = written
    assert "![Synthetic digits among 500 real ones" in section(text, "5")
    assert len(pictures["fig-5.png"].figure.axes) == 2
    assert "![Digits 0 to 9, twice, a row a generation (1, 2)" in section(text, "26")
    (axes,) = pictures["fig-26.png"].figure.axes
    assert [tick.get_text() for tick in axes.get_yticklabels()] == ["1", "2"]
    assert "FD-LeNet" in pictures["fig-4.png"].figure.axes[0].get_title(loc="left")
    # The paper's model was not run; flow comes nearest, and one seed tells no trend of a family.
    assert "shows `flow`, made by" in section(text, "4")
    assert "| flow | fully synthetic | 1 | 1 | 2 |" in text
    made = 'ml.models.create("diffusion", recipe="flow", channels=4, steps=2, sampling_steps=1)'
    assert made in text


def test_the_same_records_give_the_same_text(shown, written):
    assert script.page(shown)[0] == written[0]
    assert not re.search(r"\b20[2-9]\d-\d\d", written[0])


def test_the_code_on_the_page_makes_the_chains_it_stands_by(shown, written, tmp_path):
    code = re.search(r"```python\n(.+?)```", section(written[0], "6"), re.DOTALL)[1]
    assert "for bias in (1, 0.5):" in code
    compile(code, "page", "exec")
    # Run against the store's own names: a chain that was made alike has the same records.
    code = code.replace('"runs"', repr(str(tmp_path / "runs")))
    exec(code, {})
    again = {row["id"] for row in ml.Store(tmp_path / "runs").rows()}
    rows = [row for chain in shown.finished for row in chain.rows]
    known = {r["id"] for r in rows if r["model"] == "mixture" and r["loop"] == "fully synthetic"}
    assert again == known


def test_of_biases_with_unlike_seeds_the_page_says_what_was_run(shown, monkeypatch):
    records = findings.frame(row for chain in shown.finished for row in chain.rows)
    own = records[(records["model"] == "mixture") & (records["loop"] == "fully synthetic")]
    own = own[(own["bias"] == 1) | (own["seed"] == 1)]
    assert "λ = 1, 0.5; 1 to 2 seeds; 2 generations" in script._made(own)
    made = []

    class Recorded:
        def __init__(self, loop, model, data, *, bias, seed, store, n_evaluate):
            made.append((bias, seed))

        def run(self, generations):
            return iter([])

    monkeypatch.setattr(ml, "Chain", Recorded)
    exec(code(own), {})
    assert made == [(1, 0), (1, 1), (0.5, 1)]


def test_chains_without_one_size_are_in_no_table_of_families(shown):
    records = findings.frame(row for chain in shown.finished for row in chain.rows)
    pictures = {}
    said = script._families(records.assign(n_initial=7), pictures)
    assert said.endswith("\n\nNot run yet.\n")
    assert pictures == {}


@pytest.mark.parametrize(
    ("loop", "expected"),
    [
        (ml.Loop.fully_synthetic(60_000), "ml.Loop.fully_synthetic(60000)"),
        (ml.Loop.fully_synthetic(20, 10), "ml.Loop.fully_synthetic(20, n_initial=10)"),
        (ml.Loop.synthetic_augmentation(30, 20), "ml.Loop.synthetic_augmentation(30, 20)"),
        (
            ml.Loop.synthetic_augmentation(30, 20, accumulate=True),
            "ml.Loop.synthetic_augmentation(30, 20, accumulate=True)",
        ),
        (ml.Loop.fresh_data(30, 20, 40), "ml.Loop.fresh_data(30, 20, n_initial=40)"),
        (ml.Loop.fresh_data(30, 20, memory=3), "ml.Loop.fresh_data(30, 20, memory=3)"),
        (ml.Loop.fresh_data(30, 20, memory=None), "ml.Loop.fresh_data(30, 20, memory=None)"),
    ],
)
def test_the_code_of_a_loop_makes_that_loop(loop, expected):
    found = loop_code(vars(loop), str(loop.n_initial))
    assert found == expected
    assert eval(found, {"ml": ml}) == loop


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"recipe": "ddpm"}, 'ml.models.create("diffusion", recipe="ddpm")'),
        ({}, 'ml.models.create("diffusion", recipe="flow")'),
        (
            {"recipe": "flow", "steps": 7},
            'ml.models.create("diffusion", recipe="flow", steps=7)',
        ),
    ],
)
def test_the_code_of_a_model_says_what_is_not_usual(settings, expected):
    model = ml.models.create("diffusion", **settings)
    found = model_code("diffusion", model.settings)
    assert found == expected
    assert eval(found, {"ml": ml}).settings == model.settings


def test_a_picture_too_large_is_refused(written, tmp_path, monkeypatch):
    monkeypatch.setattr(script, "PAGE", tmp_path / "paper.md")
    monkeypatch.setattr(script, "MOST_BYTES", 100)
    monkeypatch.setattr(script, "page", lambda shown: written)
    monkeypatch.setattr("sys.argv", ["build_paper_page.py"])
    with pytest.raises(SystemExit, match="more than 100"):
        script.main()
    assert not (tmp_path / "paper.md").exists()
    monkeypatch.undo()


def test_the_script_writes_page_and_pictures_and_takes_old_ones_away(
    written, tmp_path, monkeypatch
):
    monkeypatch.setattr(script, "PAGE", tmp_path / "paper.md")
    monkeypatch.setattr(script, "page", lambda shown: written)
    monkeypatch.setattr("sys.argv", ["build_paper_page.py"])
    (tmp_path / "paper").mkdir()
    (tmp_path / "paper" / "fig-99.png").write_bytes(b"old")
    script.main()
    assert (tmp_path / "paper.md").read_text(encoding="utf-8") == written[0]
    assert {path.name for path in (tmp_path / "paper").iterdir()} == set(written[1])
