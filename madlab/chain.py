"""A chain: compose, fit, sample, measure, record, generation after generation; resumable."""

import functools
import os
import shutil
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from madlab import checks, known, models
from madlab.data.samples import Dataset, Samples
from madlab.labels import AskedLabels
from madlab.loops import Loop
from madlab.metrics.features import Features
from madlab.metrics.own import OwnScore
from madlab.metrics.reference import Reference
from madlab.metrics.scores import Scores
from madlab.models.base import Model, check_model_bias
from madlab.models.own import check_classes, checked, made_by, try_data, warn_of_other_code
from madlab.store import Store, name_of
from madlab.streams import derive, generator
from madlab.tables import table
from madlab.training import CheckpointMismatch, Clock

N_PREVIEW = 100

Report = Callable[[int, str, float], None]


@dataclass(frozen=True)
class Generation:
    """What one generation came to.

    - `t`: its number, from 1.
    - `scores`: how its samples compare with the held-out set.
    - `samples`: the `n_evaluate` samples that were scored, at the chain's bias.
    - `preview`: 100 samples from the same noise in every generation; with classes, their labels
      are those of generation 1's training set in turn.
    """

    t: int
    scores: Scores
    samples: Samples
    preview: Samples


class Chain:
    """One sequence of generations: a loop, a model, data, a sampling bias and a seed.

    - `loop`: what each generation trains on.
    - `model`: a model, or the name of one (`madlab.models.names()`).
    - `data`: a `Dataset`, for instance `madlab.data.mnist()`.
    - `bias`: the sampling bias lambda in (0, 1] of all samples, those that are scored too; of a
      sequence that of generations 1, 2 and so on, the last of which holds from there on.
    - `seed`: a whole number from 0 from which every random stream of the chain is derived.
    - `store`: a folder, or a `Store`; what it has is not computed again. None keeps the work in a
      temporary folder that goes with the chain.
    - `n_evaluate`: how many samples are scored: of digits and points against as many held-out
      ones, 10,000 where not given; of colour pictures against all, as many as there are real ones.
    - `features`: "lenet" (the default for digits), "points" (the default for points), or for colour
      or other grey pictures "efficientnet" (the default), "inception", "dinov2" or "pca"; or
      `madlab.metrics.OwnFeatures`.
    - `scores`: scores of your own besides, each a `madlab.metrics.OwnScore`.
    - `progress`: called with (generation, "fit", "sample" or "measure", fraction done); an
      exception raised in it stops the chain and passes through.

    Raises ValueError, TypeError, KeyError or OSError for what cannot work, before any training.
    """

    def __init__(
        self,
        loop: Loop,
        model: Model | str,
        data: Dataset,
        *,
        bias: float | Sequence[float] = 1.0,
        seed: int = 0,
        store: str | os.PathLike[str] | Store | None = None,
        n_evaluate: int | None = None,
        features: str | Features | None = None,
        scores: Sequence[OwnScore] = (),
        progress: Report | None = None,
    ) -> None:
        if not isinstance(loop, Loop):
            raise TypeError(f"loop is {loop!r}; it must be a Loop, such as Loop.fresh_data(...)")
        if not isinstance(data, Dataset):
            raise TypeError(
                f"data is {type(data).__name__}; make a data set of it: "
                "madlab.data.Dataset.from_arrays(images, labels)"
            )
        self.loop = loop
        self.model = models.create(model) if isinstance(model, str) else model
        self.data = data if self.model.conditional else replace(data, labels=None)
        biases: Any = bias if np.ndim(bias) == 1 and len(bias) else [bias]  # type: ignore[arg-type]
        self.biases = tuple(check_model_bias(self.model, one) for one in biases)
        self.bias = self.biases[-1]
        self.seed = checks.count("seed", seed)
        if n_evaluate is not None:
            checks.count("n_evaluate", n_evaluate, least=2)
        loop.check(1, len(data), data.id)
        if self.data.labels is not None:
            labels = checks.labels(self.data.labels, len(data))
            self.data = replace(self.data, labels=labels)
        self.reference = Reference(data, n_evaluate, features, scores=scores)
        self.n_evaluate = self.reference.n_evaluate
        self.store = Store.of(store, self)
        # A store of its own shares nothing; built-in data are named by their content.
        by_id = store is not None and not data.id_is_of_content
        self._content = known.named_by_id(self.data, self.model, self.reference) if by_id else {}
        known.check(self.store, data.id, self._content)
        self.progress = progress
        self._order = generator(self.seed, "permutation").permutation(len(data))
        first = self.data.take(self._order[: loop.n_initial]).labels
        self._labels = AskedLabels(first, self.seed)
        self._model_names: dict[int, str] = {}
        self._fitted_to = ""
        self._rows: dict[int, dict[str, Any]] = {}

    def run(self, generations: int) -> Iterator[Generation]:
        """Run generations 1 to `generations`, yielding each as it is done.

        What the store has is read, not computed again, with the same result bit for bit on equal
        versions, device and thread count. An interrupt loses at most the generation in work.
        """
        generations = checks.count("generations", generations, least=1)
        self.loop.check(generations, len(self.data), self.data.id)
        try_data(self.model, self.loop, self.data, generations)
        for t in range(2, generations + 1):
            self._check_classes(t)
        return map(self._generation, range(1, generations + 1))

    def records(self) -> pd.DataFrame:
        """Return one row for every generation that this chain has run or read, in order."""
        return table([self._rows[t] for t in sorted(self._rows)])

    def samples(self, t: int) -> Samples:
        """Return the scored samples of generation `t`, read from the store or drawn again."""
        return self._sample(_Set(t, "evaluation", self.n_evaluate))

    def preview(self, t: int) -> Samples:
        """Return the preview of generation `t`, read from the store or drawn again."""
        return self._sample(_Set(t, "preview", N_PREVIEW))

    def _check_classes(self, t: int) -> None:
        parts = self.loop.compose(t)
        most = max((share.n for share in parts.synthetic), default=0)
        drawn = self._labels.of("training", most)[0]
        if drawn is None or self.data.labels is None:
            return
        real = self.data.labels[self._order[slice(*(parts.real or (0, 0)))]]
        check_classes(
            self.model, t, self._labels.classes, np.append(drawn, real), parts.n_synthetic
        )

    # One generation. Each step asks the store first, and makes the steps before it if need be.

    def _generation(self, t: int) -> Generation:
        samples, preview = self.samples(t), self.preview(t)
        row = self._record(t, samples)
        self._rows[t] = row
        return Generation(t, Scores.of(row), samples, preview)

    def _compose(self, t: int) -> Samples:
        """Return the training set of generation `t`: real data, then earlier samples."""
        real = self.loop.compose(t).real
        parts = [] if real is None else [self.data.take(self._order[slice(*real)])]
        parts += [self._sample(wanted) for wanted in self._synthetic(t)]
        images = np.concatenate([part.images for part in parts])
        if self.data.labels is None:
            return Samples(images)
        return Samples(images, np.concatenate([part.labels for part in parts]))

    def _fit(self, t: int) -> None:
        """Make `self.model` the model of generation `t`: kept, read or trained."""
        config = self._model_config(t)
        name = name_of(config)
        if self._fitted_to == name:
            return
        folder = self.store.find("models", name)
        if folder is not None:
            warn_of_other_code(self.model, self.store.manifest("models", name))
            self.model = type(self.model).from_folder(folder)
            self._fitted_to = name
            return
        images = self.loop.compose(t).n_synthetic + self.n_evaluate + N_PREVIEW
        self.store.prepare(images * self.data.images[0].nbytes)
        training = self._compose(t)
        self._fitted_to = ""
        scratch = self.store.scratch("models", name)
        fit = functools.partial(
            self.model.fit,
            *training,
            seed=config["seed"],
            progress=lambda fraction: self._tell(t, "fit", fraction),
            checkpoint=scratch,
        )
        clock = Clock()
        try:
            fit()
        except CheckpointMismatch:
            # Its data were drawn anew since, with other bytes, on another device say.
            shutil.rmtree(scratch, ignore_errors=True)
            fit()
        cost = clock.read()
        drawn = [self._cost("samples", self._samples_config(one)) for one in self._synthetic(t)]
        about = {
            "config": config,
            "cost": cost,
            "composing": {clock: sum(one[clock] for one in drawn) for clock in cost},
            "provenance": made_by(self.model),
        }
        self.store.publish("models", name, self.model.save, about)
        self._fitted_to = name

    def _sample(self, wanted: "_Set") -> Samples:
        """Return a set of samples: read, or drawn from the model of its generation."""
        config = self._samples_config(wanted)
        name = name_of(config)
        folder = self.store.find("samples", name)
        labels = self._labels.of(wanted.purpose, wanted.n)[0]
        asked = (wanted.n, self.data.images, labels)
        if self._content:
            known.remember(self.store, self.data.id, self._content)
            self._content = {}
        if folder is not None:
            warn_of_other_code(self.model, self.store.manifest("samples", name))
            try:
                return checked(self.model, Samples.from_folder(folder), *asked)
            except ValueError as error:
                warnings.warn(f"{folder}: {error}; it is drawn again", RuntimeWarning, 2)
                self.store.remove("samples", name)
        self._fit(wanted.t)
        self.store.prepare(wanted.n * self.data.images[0].nbytes)
        self._tell(wanted.t, "sample", 0.0)
        clock = Clock()
        drawn = self.model.sample(wanted.n, bias=config["bias"], seed=config["seed"], labels=labels)
        drawn = checked(self.model, drawn, *asked)
        about = {
            "config": config,
            "cost": clock.read(),
            "provenance": made_by(self.model),
        }
        self._tell(wanted.t, "sample", 1.0)
        self.store.publish("samples", name, drawn.save, about)
        return drawn

    def _measure(self, t: int, samples: Samples) -> dict[str, Any]:
        """Return the scores of the samples of generation `t`, and what measuring them cost."""
        self._tell(t, "measure", 0.0)
        clock = Clock()
        scores = self.reference.measure(samples)
        cost = clock.read()
        self._tell(t, "measure", 1.0)
        return scores.record() | {"cost": cost}

    def _record(self, t: int, samples: Samples) -> dict[str, Any]:
        """Return the record of generation `t`: read, or measured and kept."""
        evaluation = self._samples_config(_Set(t, "evaluation", self.n_evaluate))
        composition = self.loop.compose(t)
        row: dict[str, Any] = {
            "generation": t,
            "loop": self.loop.name,
            "model": self.model.name,
            "bias": evaluation["bias"],
            "seed": self.seed,
            "n_real": composition.n_real,
            "n_synthetic": composition.n_synthetic,
            "n_evaluate": self.n_evaluate,
            "features": self.reference.features,
            "scored": name_of({"samples": name_of(evaluation), "reference": self.reference.id}),
            "config": {
                "loop": asdict(self.loop),
                "settings": self.model.settings,
                "version": self.model.version,
                "data": self.data.id,
                **({} if len(self.biases) == 1 else {"biases": list(self.biases)}),
            },
        }
        row["id"] = name_of(row)
        kept = {old["id"]: old for old in self.store.rows()}
        if row["id"] in kept:
            return kept[row["id"]]
        # Another chain may have come to the same samples: generation 1 is in every loop.
        same = next((old for old in kept.values() if old["scored"] == row["scored"]), None)
        if same is None:
            scores = self._measure(t, samples)
            measuring = scores.pop("cost")
        else:
            scores = Scores.of(same).record()
            measuring = same["cost"]["measure"]
        cost = {
            "compose": self._cost("models", self._model_config(t), "composing"),
            "fit": self._cost("models", self._model_config(t)),
            "sample": self._cost("samples", evaluation),
            "measure": measuring,
        }
        seconds = sum(part["seconds"] for part in cost.values())
        row |= {
            **scores,
            "cost": cost,
            "seconds": seconds,
            "provenance": made_by(self.model),
        }
        if self.reference.scores:
            row["own"] = [one.name for one in self.reference.scores]
        self.store.append(row)
        return row

    # Names: each says everything that the content depends on, so that equal work has one name.

    def _synthetic(self, t: int) -> list["_Set"]:
        """Return the sets of samples that generation `t` trains on, oldest first."""
        # A growing pool keeps each generation's samples; otherwise every reader has new ones drawn.
        growing = self.loop.budget == "growing"
        return [
            _Set(share.generation, "training", share.n, share.generation + 1 if growing else t)
            for share in self.loop.compose(t).synthetic
        ]

    def _samples_config(self, wanted: "_Set") -> dict[str, Any]:
        t, purpose, n, reader = wanted
        # Only the preview repeats its noise; every other set has a stream to itself.
        stream = ("preview",) if purpose == "preview" else (t, purpose, reader)
        return {
            "model": self._model_name(t),
            "n": n,
            "bias": self.biases[min(t, len(self.biases)) - 1],
            "seed": derive(self.seed, *stream),
            "labels": self._labels.of(purpose, n)[1],
        }

    def _model_config(self, t: int) -> dict[str, Any]:
        real = self.loop.compose(t).real
        sets: list[dict[str, Any]] = []
        if real is not None:
            sets.append({"data": self.data.id, "seed": self.seed, "block": list(real)})
        sets += [{"samples": name_of(self._samples_config(one))} for one in self._synthetic(t)]
        return {
            "model": self.model.name,
            "version": self.model.version,
            "settings": self.model.settings,
            "sets": sets,
            "seed": derive(self.seed, t, "fit"),
        }

    def _model_name(self, t: int) -> str:
        # Kept, as every name holds the names of all generations before it.
        if t not in self._model_names:
            self._model_names[t] = name_of(self._model_config(t))
        return self._model_names[t]

    def _cost(self, kind: str, config: dict[str, Any], part: str = "cost") -> dict[str, float]:
        """Return what making an entry cost, from its manifest; nothing where it was pruned."""
        name = name_of(config)
        if self.store.find(kind, name) is None:
            return {"seconds": 0.0, "cpu_seconds": 0.0}
        return self.store.manifest(kind, name)[part]

    def _tell(self, t: int, stage: str, fraction: float) -> None:
        if self.progress is not None:
            self.progress(t, stage, fraction)


class _Set(NamedTuple):
    """Samples of generation `t`: what for, how many, and the generation that trains on them."""

    t: int
    purpose: str
    n: int
    reader: int = 0
