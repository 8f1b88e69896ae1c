"""A hundred digits beside their scores: at a sampling bias of choice, or damaged in one way."""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure, SubFigure

from madlab.data.damage import DAMAGES, NOISE, PIXELS
from madlab.data.samples import Dataset, Samples
from madlab.panels import panel
from madlab.panels.chain_view import check_run
from madlab.plots.calibration import draw_plane, looks, strengths
from madlab.plots.curves import damage_words, draw_damage, draw_damages, tidy
from madlab.plots.picture import Picture
from madlab.plots.sheets import EMPTY, draw_sheet
from madlab.plots.style import WIDTH, legend, places
from madlab.streams import generator

if TYPE_CHECKING:
    from madlab.chain import Chain

_SHEETS = 3
STRENGTHS = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)

_WORDS = {
    "drop": "classes go one after the other, until one is left at strength 1",
    "shrink": "every digit moves towards the mean of its class, which it reaches at strength 1",
    "shift": f"all digits move to the right, by {PIXELS} pixels at strength 1",
    "duplicate": "digits become copies of one digit of their class, all of them at strength 1",
    "noise": f"Gaussian noise of standard deviation {NOISE:g} of 255 at strength 1",
}


def _beside(
    inches: float, ratio: float, images: np.ndarray, title: str
) -> tuple[Figure, SubFigure]:
    """Return a figure with digits on its left, and its right part, by so much wider."""
    figure, (left, right) = panel.page(inches, 1, ratio)
    axes = left.subplots(subplot_kw={"anchor": "N"})
    draw_sheet(axes, images)
    axes.set_title(title, fontsize=11, loc="left")
    return figure, right


class BiasDial(panel.Panel):
    """One hundred digits of generation 1 at a sampling bias of choice, and their scores.

    All settings of the dial draw from the same fitted model and the same noise, so each place of
    the sheet shows one digit as the bias changes it. Beside the sheet precision stands against
    recall, one path for each model, with a ring where the dial is.

    - `chains`: by the model names to show, chains of images that have run one generation at least
      and differ in their bias alone; the same two biases or more for every model.

    Raises ValueError for chains that have not run, have other biases or seeds, or whose scores
    no axis can hold together.
    """

    def __init__(self, chains: Mapping[str, Sequence["Chain"]]) -> None:
        if not chains:
            raise ValueError("there are no chains to draw from: give at least one model's")
        self._chains = {name: _by_bias(name, own) for name, own in chains.items()}
        biases = {name: list(own) for name, own in self._chains.items()}
        self.biases = next(iter(biases.values()))
        if any(own != self.biases for own in biases.values()):
            said = "; ".join(f"{name}: {own}" for name, own in biases.items())
            raise ValueError(f"every model needs the same biases, but they are: {said}")
        records = [
            chain.records().assign(label=name)
            for name, own in self._chains.items()
            for chain in own.values()
        ]
        self._found = strengths(tidy(pd.concat(records)))
        self._looks = looks(self._found)
        controls = {
            "model": panel.dropdown("model", list(self._chains), next(iter(self._chains))),
            "bias": panel.stepped_slider("sampling bias λ", self.biases, self.biases[-1]),
        }
        super().__init__("mad-bias-dial", controls)

    def render(self) -> Picture:
        """Return the digits at the present bias, and quality against diversity."""
        name, bias = self.model.value, self.bias.value
        title = f"{name}, λ = {bias:g}: 100 digits"
        figure, right = _beside(4.3, 1.1, self._chains[name][bias].preview(1).images, title)
        draw_plane(right.subplots(), self._found, self._looks, (name, bias))
        legend(right, right.axes[0], columns=3)
        found = self._found[(self._found["path"] == name) & (self._found["strength"] == bias)]
        alt = f"100 digits of {name} at a sampling bias λ of {bias:g}. {panel.in_words(found)}."
        return Picture(figure, alt, self._settings(name))

    def _settings(self, name: str) -> str:
        chain = next(iter(self._chains[name].values()))
        return (
            f"Model {panel.in_full(chain.model)}; generation 1, trained on "
            f"{chain.loop.n_initial:,} real digits, seed {chain.seed}. The same noise at every λ; "
            f"scores on {chain.n_evaluate:,} samples."
        )

    def sheet(self) -> list[Picture]:
        """Return a contact sheet: one row a bias, one column a digit, models side by side."""
        across = min(_SHEETS, len(self._chains))
        down = -(-len(self._chains) // across)
        width = WIDTH / max(across, 2)
        size = (width * across, down * ((width - 0.6) * len(self.biases) / 10 + 0.55))
        figure = Figure(figsize=size, layout="constrained")
        rows, heads = [f"{bias:g}" for bias in self.biases[::-1]], [str(i) for i in range(10)]
        for axes, (name, own) in zip(
            places(figure, len(self._chains), across), self._chains.items(), strict=True
        ):
            pictures = [own[bias].preview(1).images[:10] for bias in self.biases[::-1]]
            draw_sheet(axes, np.concatenate(pictures), rows=rows, heads=heads)
            axes.set_title(name, fontsize=10)
            axes.set_ylabel("λ", fontsize=10, rotation=0)
        alt = (
            f"Contact sheet of {' and '.join(self._chains)}: one row for each sampling bias λ, "
            f"{', '.join(rows)}, with a digit of every class from 0 to 9 in columns."
        )
        captions = " ".join(f"{name}: {self._settings(name)}" for name in self._chains)
        return [Picture(figure, alt, captions)]


def _by_bias(name: str, chains: Sequence["Chain"]) -> dict[float, "Chain"]:
    """Return the chains of one model by their bias, ascending, or raise where they do not fit."""
    found = {chain.bias: chain for chain in sorted(chains, key=lambda chain: chain.bias)}
    if len(found) < 2 or len(found) < len(chains):
        raise ValueError(
            f"the chains of {name!r} have biases {sorted(chain.bias for chain in chains)}; give "
            "two at least, all different"
        )
    seeds = sorted({chain.seed for chain in chains})
    if len(seeds) > 1:
        raise ValueError(f"the chains of {name!r} have seeds {seeds}; give chains of one seed")
    for chain in chains:
        check_run(f"{name}, bias {chain.bias:g}", chain)
    return found


class MetricLab(panel.Panel):
    """Real training digits, damaged in one way, and their scores against held-out digits.

    Choosing a damage measures it at six strengths, once; then every place of the slider is one of
    the points measured. The undamaged digits' scores are the floor, drawn in grey.

    - `data`: a data set of labelled digits, for instance `madlab.data.mnist()`.
    - `n`: how many digits are scored; `sizes`: others to choose from.
    - `seed`: which training digits, and the random choices of the damages.

    Raises ValueError for data without labels and for a size that does not fit the data.
    """

    def __init__(
        self,
        data: Dataset,
        *,
        n: int = 1000,
        sizes: tuple[int, ...] = (500, 1000, 2000),
        seed: int = 0,
    ) -> None:
        if data.labels is None:
            raise ValueError(f"{data.id} has no labels, which the read share needs")
        every = sorted({n, *sizes})
        if every[-1] > len(data):
            raise ValueError(f"a size is {every[-1]:,}, but {data.id} has {len(data):,} digits")
        # Here, because it loads torch, which the dial does without.
        from madlab.metrics.reference import Reference

        self._references = {size: Reference(data.held_out, size) for size in every}
        self._digits = data.take(generator(seed, "metric lab").permutation(len(data)))
        self.seed = seed
        # What takes long is made once.
        self._once = cache(self._measure)
        controls = {
            "damage": panel.dropdown("damage", list(DAMAGES), "drop"),
            "strength": panel.slider("strength", 0.0, 1.0, 0.2, 0.4),
            "n": panel.dropdown("digits scored", every, n),
        }
        super().__init__("mad-metric-lab", controls)

    def settle(self) -> None:
        """Take the strength that is measured nearest to the one asked for."""
        self.strength.value = min(STRENGTHS, key=lambda one: abs(one - self.strength.value))

    def _damaged(self, name: str, strength: float, n: int) -> Samples:
        return DAMAGES[name](self._digits, strength, seed=self.seed, n=n)

    def _measure(self, name: str, strength: float, n: int) -> dict[str, Any]:
        self.say(f"Measuring {name} at strength {strength:g}, on {n:,} digits.")
        return self._references[n].measure(self._damaged(name, strength, n))._asdict()

    def curve(self, name: str, n: int) -> pd.DataFrame:
        """Return the scores of a damage at all strengths, measured when first asked for.

        One row a strength: `damage`, `strength`, `n_evaluate`, `features` and the scores.
        """
        about = {"damage": name, "n_evaluate": n, "features": self._references[n].features}
        # Undamaged digits are the same whatever the damage.
        scores = {s: self._once(name if s else "drop", s, n) for s in STRENGTHS}
        return pd.DataFrame([{**about, "strength": s, **own} for s, own in scores.items()])

    def _sorted(self, samples: Samples, count: int) -> np.ndarray:
        """Return `count` images for each class that stood there before the damage, in order."""
        labels = self._digits.labels
        assert labels is not None
        shown = np.full((10, count, *samples.images.shape[1:]), EMPTY, np.uint8)
        for label, line in enumerate(shown):
            own = np.flatnonzero(labels[: len(samples.images)] == label)[:count]
            line[: len(own)] = samples.images[own]
        return shown.reshape(-1, *samples.images.shape[1:])

    def render(self) -> Picture:
        """Return one hundred damaged digits beside the scores."""
        name, strength, n = self.state.values()
        images = self._sorted(self._damaged(name, strength, n), 10)
        figure, right = _beside(4.2, 1.6, images, f"{name}, strength {strength:g}")
        curve = self.curve(name, n)
        draw_damage(right, curve, strength)
        alt = f"Digits with {name}, strength {strength:g}. {damage_words(curve, strength)}"
        return Picture(figure, alt, f"{name}: {_WORDS[name]}. {self._basis(n)}")

    def _basis(self, n: int) -> str:
        return (
            f"Scores of {n:,} training digits against {n:,} held-out digits, features "
            f"{self._references[n].features}, seed {self.seed}."
        )

    def sheet(self) -> list[Picture]:
        """Return a contact sheet of all damages: ten digits at strength 1, and the six scores."""
        n = self.n.value
        curves = pd.concat([self.curve(name, n) for name in DAMAGES])
        pictures = {name: self._sorted(self._damaged(name, 1.0, n), 1) for name in DAMAGES}
        figure = Figure(figsize=(WIDTH, 1.15 * len(DAMAGES) + 0.6), layout="constrained")
        draw_damages(figure, curves, pictures)
        alt = (
            "Contact sheet, one row a damage with ten digits at strength 1, one column a score. "
            f"{damage_words(curves)}"
        )
        words = "; ".join(f"{name}: {does}" for name, does in _WORDS.items())
        self.say(self.alt())
        return [Picture(figure, alt, f"{words}. {self._basis(n)}")]
