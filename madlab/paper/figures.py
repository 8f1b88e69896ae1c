"""The paper's figures one by one: what each shows, and whether it is so here."""

from madlab.paper import digits, faces, toys
from madlab.paper.counterpart import DIFFUSION, DRIFT, SHEET, DigitFigure, FaceFigure, ToyFigure

FULL, FIXED, POOL = faces.FULL, "synthetic augmentation", faces.POOL
_FACES = "08_faces"
_DDPM = "DDPM, T = 500, n = 60,000"
_STYLEGAN = "StyleGAN2, n = 70,000, 128 pixels"
FIGURES: tuple[DigitFigure | FaceFigure | ToyFigure, ...] = (
    FaceFigure(
        number="1",
        title="Artefacts that amplify",
        shows="Faces take on a cross-hatching that every generation makes stronger; "
        "Figs. 18 to 22 show more of them.",
        settings=f"{_STYLEGAN}, fully synthetic, λ = 1, generations 1, 3, 5, 7 and 9",
        notebook=_FACES,
        judge=faces.amplified,
        loop=FULL,
        biases=(1.0,),
        picture=SHEET,
    ),
    DigitFigure(
        number="4",
        title="A fully synthetic loop without bias",
        shows="FID climbs while precision and recall fall: quality and diversity go together.",
        settings=f"{_DDPM}, λ = 1, 9 generations; StyleGAN2 on faces beside it",
        notebook="06_digits_fully_synthetic",
        judge=digits.quality_and_diversity,
        loop=FULL,
        biases=(1.0,),
    ),
    FaceFigure(
        number="4 faces",
        title="The same loop with faces",
        shows="FID climbs while precision and recall fall.",
        settings=f"{_STYLEGAN}, λ = 1, up to 9 generations",
        notebook=_FACES,
        judge=faces.quality_and_diversity,
        loop=FULL,
        biases=(1.0,),
    ),
    DigitFigure(
        number="5",
        title="Digits drift and merge",
        shows="Placed in the plane by t-SNE, the ten classes leave the real ones and run into one "
        "another; by generation 10 hardly a digit is legible.",
        settings=f"{_DDPM}, λ = 1, generations 2, 5, 10 and 20",
        notebook="06_digits_fully_synthetic",
        judge=digits.merging,
        loop=FULL,
        biases=(1.0,),
        families=DIFFUSION,
        picture=DRIFT,
    ),
    DigitFigure(
        number="6",
        title="A fully synthetic loop with bias",
        shows="Precision no longer falls, recall falls much faster, and FID climbs all the same.",
        settings=f"{_DDPM}, λ = 0.5, 5 generations; StyleGAN2 at 0.7 beside it",
        notebook="06_digits_fully_synthetic",
        judge=digits.diversity_for_quality,
        loop=FULL,
        biases=(1.0, 0.5),
    ),
    FaceFigure(
        number="6 faces",
        title="Biased faces",
        shows="Precision no longer falls, recall falls much faster, and FID climbs all the same.",
        settings=f"{_STYLEGAN}, λ = 0.7, 5 generations",
        notebook=_FACES,
        judge=faces.diversity_for_quality,
        loop=FULL,
        biases=(1.0, 0.7),
    ),
    DigitFigure(
        number="7",
        title="Digits shrink onto themselves",
        shows="With bias every class contracts within the real ones and stays legible.",
        settings=f"{_DDPM}, λ = 0.8, generations 2, 5, 10 and 20",
        notebook="06_digits_fully_synthetic",
        judge=digits.shrinking,
        loop=FULL,
        biases=(0.8,),
        families=DIFFUSION,
        picture=DRIFT,
    ),
    FaceFigure(
        number="8",
        title="Real faces beside a growing pool of synthetic ones",
        shows="FID climbs, precision and recall fall as in the fully synthetic loop, but slower.",
        settings=f"{_STYLEGAN}, λ = 1, 70,000 fixed real + all synthetic faces so far, "
        "up to 7 generations",
        notebook=_FACES,
        judge=faces.slower,
        loop=POOL,
        against=FULL,
        biases=(1.0,),
    ),
    DigitFigure(
        number="9",
        title="Fixed real data beside synthetic ones",
        shows="FID climbs at every λ; precision can rise; recall falls, faster with more bias; "
        "λ = 0.8 does about best.",
        settings="DDPM, T = 500, 60,000 fixed real + 60,000 synthetic digits, "
        "λ = 1, 0.8, 0.66 and 0.5",
        notebook="07_digits_augmentation_and_fresh",
        judge=digits.augmentation,
        loop=FIXED,
    ),
    ToyFigure(
        number="10 left",
        title="Fresh data: Gaussians settle",
        shows="W2² settles at a level that the number of points at the start does not change.",
        settings="Gaussians, d = 100, 100 fresh + 900 synthetic points, λ = 1 and 0.8",
        notebook="02_three_loops_one_equation",
        judge=toys.limit_of_fresh_data,
    ),
    DigitFigure(
        number="10 right",
        title="Fresh data: digits settle",
        shows="FID settles at a level that the number of digits at the start does not change.",
        settings="DDPM, T = 500, 2,000 fresh + 2,000 synthetic digits, λ = 1, "
        "started with 2,000 or 3,000",
        notebook="07_digits_augmentation_and_fresh",
        judge=digits.one_level,
        loop="fresh data",
        biases=(1.0,),
        starts=True,
    ),
    ToyFigure(
        number="11",
        title="How much synthetic data is admissible",
        shows="With bias, synthetic points help up to a threshold and harm beyond; the threshold "
        "does not grow with the real points.",
        settings="Gaussians, d = 100, fresh data, λ = 0.7, 0.85 and 1",
        notebook="02_three_loops_one_equation",
        judge=toys.admissible_by_n_real,
        results="theory",
    ),
    ToyFigure(
        number="12",
        title="More bias, less admissible",
        shows="The more bias, the fewer synthetic points help.",
        settings="Gaussians, d = 100, fresh data, n_r = 100, 250 and 1,000, λ from 0.1 to 0.9",
        notebook="02_three_loops_one_equation",
        judge=toys.admissible_by_bias,
        results="theory",
    ),
    DigitFigure(
        number="13",
        title="A hundred generations of a WGAN",
        shows="FID climbs and precision and recall fall, steadily at first, then slower.",
        settings="WGAN-GP, λ = 1, 100 generations",
        notebook="06_digits_fully_synthetic",
        judge=digits.long_decay,
        loop=FULL,
        biases=(1.0,),
        families=("wgan",),
    ),
    ToyFigure(
        number="14",
        title="Modes of a mixture vanish",
        shows="Of 25 modes one after another is lost over 2,000 generations.",
        settings="mixture of Gaussians on a grid, λ = 1; sizes are not given",
        notebook="04_modes_die_first",
        judge=toys.modes_vanish,
        results="modes",
    ),
    ToyFigure(
        number="15",
        title="Which number sees it",
        shows="Recall and the variance within modes fall smoothly, the total variance does not.",
        settings="as Fig. 14",
        notebook="04_modes_die_first",
        judge=toys.diversity_by_recall,
        results="modes",
    ),
    DigitFigure(
        number="16",
        title="A fully synthetic loop at four biases",
        shows="FID climbs at every λ; the smaller λ, the better precision holds and the sooner "
        "recall is gone.",
        settings=f"{_DDPM}, λ = 1, 0.8, 0.66 and 0.5, 10 generations",
        notebook="06_digits_fully_synthetic",
        judge=digits.bias_grid,
        loop=FULL,
    ),
    ToyFigure(
        number="17",
        title="A normalizing flow loses its tails",
        shows="The tails of the density go with or without bias, sooner with it.",
        settings="GLOW-like flow on the Rosenbrock density, n = 10,000, 16 generations, "
        "λ = 1 and 0.75",
        notebook="04_modes_die_first",
        judge=toys.tails,
        results="coupling",
    ),
    FaceFigure(
        number="23",
        title="What biased faces come to",
        shows="Faces lose their diversity and show no cross-hatching; Figs. 24 and 25 show more.",
        settings=f"{_STYLEGAN}, fully synthetic, λ = 0.7, generations 1, 3 and 5",
        notebook=_FACES,
        judge=faces.one_person,
        loop=FULL,
        biases=(0.7,),
        picture=SHEET,
    ),
    DigitFigure(
        number="26",
        title="What unbiased digits come to",
        shows="Digits turn into one kind of scribble over 20 generations.",
        settings=f"{_DDPM}, λ = 1, 20 generations",
        notebook="06_digits_fully_synthetic",
        judge=digits.merging,
        loop=FULL,
        biases=(1.0,),
        families=DIFFUSION,
        picture=SHEET,
    ),
    DigitFigure(
        number="27",
        title="What biased digits come to",
        shows="Digits of a class become alike and stay legible.",
        settings=f"{_DDPM}, λ = 0.8 (its caption says unbiased), 20 generations",
        notebook="06_digits_fully_synthetic",
        judge=digits.shrinking,
        loop=FULL,
        biases=(0.8,),
        families=DIFFUSION,
        picture=SHEET,
    ),
    FaceFigure(
        number="28",
        title="What faces come to beside real ones",
        shows="The same artefacts come, weaker than in the fully synthetic loop; "
        "Fig. 29 shows more.",
        settings=f"{_STYLEGAN}, λ = 1, 70,000 fixed real + all synthetic faces so far, "
        "generations 3 and 6",
        notebook=_FACES,
        judge=faces.weaker,
        loop=POOL,
        against=FULL,
        biases=(1.0,),
        picture=SHEET,
    ),
    ToyFigure(
        number="30",
        title="Fresh data with a memory",
        shows="Samples of more earlier models help, each further one less.",
        settings="Gaussians, 1,000 fresh + 10,000 synthetic points of the last K models, λ = 1",
        notebook="02_three_loops_one_equation",
        judge=toys.memory,
        results="theory",
    ),
    ToyFigure(
        number="31",
        title="Progress with more data",
        shows="A synthetic share slows what more data bring; any bias ends it.",
        settings="Gaussians, fresh data, shares of real points from 0.3% to 100%, λ from 0.9 to 1",
        notebook="02_three_loops_one_equation",
        judge=toys.progress_stalls,
    ),
)


def figure(number: str) -> DigitFigure | FaceFigure | ToyFigure:
    """Return a figure by its number in arXiv v1, such as "9"; raises KeyError for others."""
    for one in FIGURES:
        if one.number == number:
            return one
    known = ", ".join(one.number for one in FIGURES)
    raise KeyError(f"no figure {number!r} has a counterpart here; there are: {known}")
