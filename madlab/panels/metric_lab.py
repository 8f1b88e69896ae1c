"""Digits damaged by a known strength, and what the six scores make of it."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from madlab.data.damage import DAMAGES, NOISE, PIXELS
from madlab.data.samples import Dataset, Samples
from madlab.metrics.reference import Reference
from madlab.panels.panel import Panel, dropdown, slider
from madlab.plots.curves import damage_words, draw_damage, draw_damages
from madlab.plots.picture import Picture
from madlab.plots.sheets import EMPTY, draw_sheet
from madlab.plots.style import WIDTH
from madlab.streams import generator

STRENGTHS = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)

_WORDS = {
    "drop": "classes go one after the other, until one is left at strength 1",
    "shrink": "every digit moves towards the mean of its class, which it reaches at strength 1",
    "shift": f"all digits move to the right, by {PIXELS} pixels at strength 1",
    "duplicate": "digits become copies of one digit of their class, all of them at strength 1",
    "noise": f"Gaussian noise of standard deviation {NOISE:g} of 255 at strength 1",
}


class MetricLab(Panel):
    """Real training digits, damaged in one way, and their scores against held-out digits.

    Choosing a damage measures it at six strengths, once; then every place of the slider is one of
    the points measured. The undamaged digits' scores are the floor, drawn in grey.

    - `data`: a data set of labelled digits, for instance `madlab.data.mnist()`.
    - `n`: how many digits are scored; `sizes`: others to choose from.
    - `seed`: which training digits, and the random choices of the damages.

    Without a kernel it shows a contact sheet: a row a damage, a column a score.

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
        self._references = {size: Reference(data.held_out, size) for size in every}
        self._digits = data.take(generator(seed, "metric lab").permutation(len(data)))
        self.seed = seed
        self._curves: dict[tuple[str, int], pd.DataFrame] = {}
        self._floors: dict[int, dict[str, float]] = {}
        self.damage = dropdown("damage", "mad-damage", list(DAMAGES), "drop")
        self.strength = slider("strength", "mad-strength", 0.0, 1.0, 0.2, 0.4)
        counts = [(f"{size:,}", size) for size in every]
        self.n = dropdown("digits scored", "mad-n", counts, n)
        super().__init__("mad-metric-lab", [self.damage, self.strength, self.n])

    @property
    def _state(self) -> tuple[str, float, int]:
        """The damage, the strength that was measured nearest to the one asked for, and n."""
        near = min(STRENGTHS, key=lambda strength: abs(strength - self.strength.value))
        return self.damage.value, near, self.n.value

    def _damaged(self, name: str, strength: float, n: int) -> Samples:
        return DAMAGES[name](self._digits, strength, seed=self.seed, n=n)

    def _measure(self, name: str, strength: float, n: int) -> dict[str, float]:
        # Undamaged digits are the same whatever the damage.
        if strength == 0 and n in self._floors:
            return self._floors[n]
        scores = self._references[n].measure(self._damaged(name, strength, n))._asdict()
        if strength == 0:
            self._floors[n] = scores
        return scores

    def curve(self, name: str, n: int) -> pd.DataFrame:
        """Return the scores of a damage at all strengths, measured when first asked for.

        One row a strength: `damage`, `strength`, `n_evaluate`, `features` and the scores.
        """
        if (name, n) not in self._curves:
            self.say(f"Measuring {name} at {len(STRENGTHS)} strengths, on {n:,} digits each.")
            about = {"damage": name, "n_evaluate": n, "features": self._references[n].features}
            self._curves[name, n] = pd.DataFrame(
                [{**about, "strength": s, **self._measure(name, s, n)} for s in STRENGTHS]
            )
        return self._curves[name, n]

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
        name, strength, n = self._state
        figure = Figure(figsize=(WIDTH, 4.2), layout="constrained")
        left, right = figure.subfigures(1, 2, width_ratios=(1, 1.6), squeeze=False)[0]
        axes = left.subplots()
        axes.set_anchor("N")
        draw_sheet(axes, self._sorted(self._damaged(name, strength, n), 10))
        axes.set_title(f"{name}, strength {strength:g}", fontsize=11, loc="left")
        draw_damage(right, self.curve(name, n), strength)
        scores = damage_words(self.curve(name, n), strength)
        alt = f"Digits with {name}, strength {strength:g}. {scores}"
        return Picture(figure, alt, f"{name}: {_WORDS[name]}. {self._basis(n)}")

    def _basis(self, n: int) -> str:
        features = self._references[n].features
        return (
            f"Scores of {n:,} training digits against {n:,} held-out digits, features {features}, "
            f"seed {self.seed}."
        )

    def sheet(self) -> list[Picture]:
        """Return a contact sheet of all damages: ten digits at strength 1, and the six scores."""
        n = self._state[2]
        curves = pd.concat([self.curve(name, n) for name in DAMAGES], ignore_index=True)
        pictures = {name: self._sorted(self._damaged(name, 1.0, n), 1) for name in DAMAGES}
        figure = Figure(figsize=(WIDTH, 1.15 * len(DAMAGES) + 0.6), layout="constrained")
        draw_damages(figure, curves, pictures)
        alt = (
            "Contact sheet, one row a damage with ten digits at strength 1, one column a score. "
            f"{damage_words(curves)}"
        )
        words = "; ".join(f"{name}: {does}" for name, does in _WORDS.items())
        caption = f"{words}. {self._basis(n)}"
        self.say(self.alt())
        return [Picture(figure, alt, caption)]
