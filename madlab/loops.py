"""The three self-consuming loops: what each generation trains on."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Self, get_args

import numpy as np

from madlab import checks

Real = Literal["none", "fixed", "fresh"]
Budget = Literal["fixed", "growing"]


@dataclass(frozen=True)
class Share:
    """The synthetic samples that one earlier generation contributes to a training set.

    - `generation`: the earlier generation that is sampled.
    - `n`: how many samples it gives.
    """

    generation: int
    n: int


@dataclass(frozen=True)
class Composition:
    """The training set of one generation.

    - `real`: `(start, stop)`, a block of the chain's permutation of the training pool, or None.
    - `synthetic`: the shares of earlier generations, oldest first; empty for generation 1.
    """

    real: tuple[int, int] | None
    synthetic: tuple[Share, ...] = ()

    @property
    def n_real(self) -> int:
        """The number of real samples."""
        return 0 if self.real is None else self.real[1] - self.real[0]

    @property
    def n_synthetic(self) -> int:
        """The number of synthetic samples."""
        return sum(share.n for share in self.synthetic)


@dataclass(frozen=True)
class Loop:
    """A data policy: which real and which synthetic data generation t trains on.

    Generation 1 trains on `n_initial` real samples alone, whatever the loop. Use one of the
    three constructors, or `changing_share`; the fields are for those who want a loop in between,
    and who wants another one still overrides `compose`.

    - `real`: "none", "fixed" (the same real data in every generation) or "fresh" (new ones).
    - `n_initial`, `n_real`, `n_synthetic`: training-set sizes of generation 1, then real and
      synthetic per generation.
    - `memory`: synthetic data come from the last `memory` generations; None means from all.
    - `budget`: "fixed" if `n_synthetic` is the total over those generations, "growing" if it is
      each one's share.

    Source: Alemohammad et al., "Self-Consuming Generative Models Go MAD", section 2 and Fig. 3;
    memory as in its appendix G.
    """

    real: Real
    n_initial: int
    n_real: int
    n_synthetic: int
    memory: int | None = 1
    budget: Budget = "fixed"

    def __post_init__(self) -> None:
        checks.choice("real", self.real, get_args(Real))
        checks.choice("budget", self.budget, get_args(Budget))
        least = {"n_synthetic": 1, "n_real": 0 if self.real == "none" else 1, "n_initial": 1}
        if self.real == "none" and self.n_real != 0:
            raise ValueError(f"n_real is {self.n_real}; a loop without real data needs 0")
        if self.memory is not None:
            least["memory"] = 1
        # In this order: n_initial is n_real unless it was given. NumPy's numbers become Python's.
        for name, at_least in least.items():
            found = checks.count(name, getattr(self, name), least=at_least)
            object.__setattr__(self, name, found)

    @classmethod
    def fully_synthetic(cls, n_synthetic: int, n_initial: int | None = None) -> Self:
        """Each generation trains on `n_synthetic` samples of the one before, and nothing else.

        `n_initial` defaults to `n_synthetic`.
        """
        first = n_synthetic if n_initial is None else n_initial
        return cls(real="none", n_initial=first, n_real=0, n_synthetic=n_synthetic)

    @classmethod
    def synthetic_augmentation(
        cls, n_real: int, n_synthetic: int, n_initial: int | None = None, accumulate: bool = False
    ) -> Self:
        """The same `n_real` real samples in every generation, with synthetic ones added.

        With `accumulate`, `n_synthetic` samples of every earlier generation are kept; without
        it only the last generation's are used. `n_initial` defaults to `n_real`.
        """
        first = n_real if n_initial is None else n_initial
        return cls(
            real="fixed",
            n_initial=first,
            n_real=n_real,
            n_synthetic=n_synthetic,
            memory=None if accumulate else 1,
            budget="growing" if accumulate else "fixed",
        )

    @classmethod
    def fresh_data(
        cls, n_real: int, n_synthetic: int, n_initial: int | None = None, memory: int | None = 1
    ) -> Self:
        """`n_real` real samples that were never used before, with `n_synthetic` synthetic ones.

        The synthetic ones come in equal shares from the last `memory` generations. `n_initial`
        defaults to `n_real`.
        """
        first = n_real if n_initial is None else n_initial
        return cls(
            real="fresh", n_initial=first, n_real=n_real, n_synthetic=n_synthetic, memory=memory
        )

    @property
    def name(self) -> str:
        """The loop's name as records and figures show it."""
        name = {
            "none": "fully synthetic",
            "fixed": "synthetic augmentation",
            "fresh": "fresh data",
        }[self.real]
        if self.memory is None:
            return f"{name}, {'accumulating' if self.budget == 'growing' else 'all generations'}"
        if self.memory > 1:
            return f"{name}, last {self.memory} generations"
        return name

    def describe(self) -> str:
        """Return a sentence that says what generations 1 and later train on."""
        if self.real == "none":
            later = f"{self.n_synthetic:,} synthetic"
        else:
            same = "the same" if self.real == "fixed" else "new"
            later = f"{self.n_real:,} real ({same} each time) + {self.n_synthetic:,} synthetic"
        each = " from each earlier one" if self.budget == "growing" else ""
        return (
            f"{self.name}: generation 1 trains on {self.n_initial:,} real samples, "
            f"later ones on {later}{each}"
        )

    def compose(self, t: int) -> Composition:
        """Return what generation `t`, counted from 1, trains on."""
        checks.count("generation", t, least=1)
        if t == 1:
            return Composition((0, self.n_initial))
        if self.real == "none":
            real = None
        elif self.real == "fixed":
            real = (0, self.n_real)
        else:
            start = self.n_initial + (t - 2) * self.n_real
            real = (start, start + self.n_real)
        oldest = 1 if self.memory is None else max(1, t - self.memory)
        sources = range(oldest, t)
        if self.budget == "growing":
            shares = [Share(g, self.n_synthetic) for g in sources]
        else:
            # The newest generations give one more where the total does not divide evenly.
            each, rest = divmod(self.n_synthetic, len(sources))
            shares = [Share(g, each + (g >= t - rest)) for g in sources]
        return Composition(real, tuple(share for share in shares if share.n))

    def check(self, generations: int, pool: int, name: str) -> None:
        """Raise ValueError for what cannot be composed, of a loop of one's own too.

        - `pool`: the size of the training pool, and `name` what messages call it.
        """
        needed = 0
        for t in range(1, generations + 1):
            part = self.compose(t)
            if not isinstance(part, Composition):
                raise TypeError(
                    f"compose of the loop {self.name!r} returned {part!r} for generation {t}; it "
                    "must return a madlab.loops.Composition"
                )
            real, shares = part.real, part.synthetic
            for number in real or ():
                checks.count(f"the block of generation {t} of the loop {self.name!r}", number)
            known = all(1 <= share.generation < t and share.n > 0 for share in shares)
            if not known or not (real or shares) or (real and not 0 <= real[0] < real[1]):
                raise ValueError(
                    f"the loop {self.name!r} composes generation {t} of {part}; it needs a block "
                    "of real samples from 0 on, samples of generations before it, or both"
                )
            needed = max(needed, real[1] if real else 0)
        if needed > pool:
            raise ValueError(
                f"{self.describe()}; {generations} generations need {needed:,} real samples, "
                f"but {name} has {pool:,}: take fewer generations or smaller sets"
            )

    def needs(self, generations: int) -> int:
        """Return the size of the training pool that `generations` generations need."""
        blocks = (self.compose(t).real for t in range(1, generations + 1))
        return max((real[1] for real in blocks if real), default=0)

    @classmethod
    def changing_share(
        cls,
        n: int,
        shares: Sequence[float],
        real: Literal["fixed", "fresh"] = "fresh",
        n_initial: int | None = None,
    ) -> "ChangingLoop":
        """`n` samples in every generation, of which a share is real that changes as it goes.

        - `shares`: in [0, 1], of generations 2, 3 and so on; the last one holds from there on.
        - `real`: "fresh" for real samples that were never used before, "fixed" for the same ones.
        """
        if np.ndim(shares) != 1:
            raise TypeError(f"shares are {shares!r}; give a list of them, such as [0.75, 0.5]")
        given = tuple(checks.between("a share", share, 0, 1, ends=True) for share in shares)
        if not given:
            raise ValueError("shares are empty; give that of generation 2 at least")
        checks.choice("real", real, ("fixed", "fresh"))
        first = checks.count("n", n, least=1) if n_initial is None else n_initial
        return ChangingLoop(real=real, n_initial=first, n_real=n, n_synthetic=n, shares=given)


@dataclass(frozen=True)
class ChangingLoop(Loop):
    """A loop whose share of real data changes by generation; `Loop.changing_share` makes it.

    - `shares`: those of generations 2, 3 and so on, of `n_real` samples in all; the last one holds.
    """

    shares: tuple[float, ...] = ()

    @property
    def name(self) -> str:
        """The loop's name as records and figures show it."""
        kind = "fresh" if self.real == "fresh" else "fixed"
        return f"{kind} real share {' → '.join(f'{share:g}' for share in self.shares)}"

    def describe(self) -> str:
        """Return a sentence that says what generations 1 and later train on."""
        return (
            f"{self.name}: generation 1 trains on {self.n_initial:,} real samples, later ones on "
            f"{self.n_real:,}, of which that share is real"
        )

    def compose(self, t: int) -> Composition:
        """Return what generation `t`, counted from 1, trains on."""
        if checks.count("generation", t, least=1) == 1:
            return Composition((0, self.n_initial))
        sizes = [round(share * self.n_real) for share in self.shares]
        sizes += sizes[-1:] * (t - 1 - len(sizes))
        n = sizes[t - 2]
        start = self.n_initial + sum(sizes[: t - 2]) if self.real == "fresh" else 0
        rest = (Share(t - 1, self.n_real - n),) if n < self.n_real else ()
        return Composition((start, start + n) if n else None, rest)
