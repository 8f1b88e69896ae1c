"""What the closing note of the faces is to show, computed from what faces.py found."""

from collections.abc import Callable
from typing import Any

import numpy as np

Goal = dict[str, Any]
Curve = dict[str, Any]
# Share of the control's FD that counts as clearly less.
CLEARLY = 0.95


def goal(text: str, values: list[Any], test: Callable[[Any], bool]) -> Goal:
    """Return a goal with what was found for every seed, and whether all seeds meet it."""
    met = bool(values) and all(test(value) for value in values)
    return {"goal": text, "found": np.round(values, 4).tolist(), "met": met}


def at_least(least: float) -> Callable[[Any], bool]:
    """Return the test for values that are not below `least`."""
    return lambda value: bool(value >= least)


def at_most(most: float) -> Callable[[Any], bool]:
    """Return the test for values that are not above `most`."""
    return lambda value: bool(value <= most)


def falls(values: list[float]) -> bool:
    """Return whether each value is below the one before."""
    return bool((np.diff(values) < 0).all())


def of_speed(found: dict[str, Any]) -> list[Goal]:
    """Return the goals of training and sampling on one thread."""
    rates = found["faces_per_cpu_second"].get("face_gan", {})
    least = {"training": 380, "sampling at bias 1": 3000}
    return [
        goal(
            f"face_gan, {what}: at least {number:,} faces a CPU-second (median of rounds)",
            [rates[what]["median"]] if what in rates else [],
            at_least(number),
        )
        for what, number in least.items()
    ]


def of_quality(rows: list[Curve], budgets: dict[int, int]) -> list[Goal]:
    """Return the goals of single trainings, at bias 1."""
    goals = []
    control = {row["seed"]: row for row in rows if row["chain"] == "principal" and row["bias"] == 1}
    for budget, steps in budgets.items():
        mine = [row for row in rows if row["chain"] == f"face_gan {steps}" and row["bias"] == 1]
        goals.append(
            goal(
                f"{steps} steps in at most {budget} CPU-seconds",
                [row["fit_cpu_seconds"][0] for row in mine],
                at_most(budget),
            )
        )
    pairs = [(row, control[row["seed"]]) for row in mine if row["seed"] in control]
    return [
        *goals,
        goal(
            f"{steps} steps: FD over that of the principal-component Gaussian, at most {CLEARLY}",
            [row["fd_ratio"][0] / other["fd_ratio"][0] for row, other in pairs],
            at_most(CLEARLY),
        ),
        goal(
            f"{steps} steps: KID below the Gaussian's by more than the difference's 95% interval "
            "(KID, Gaussian's KID, half the interval)",
            [[row["kid"][0], other["kid"][0], half_interval(row, other)] for row, other in pairs],
            lambda value: value[1] - value[0] > value[2],
        ),
    ]


def of_loops(curves: list[Curve], generations: int) -> list[Goal]:
    """Return the goals of the loops, all seeds' chains that are complete."""

    def whole(name: str) -> list[Curve]:
        mine = [curve for curve in curves if curve["chain"] == name]
        return [curve for curve in mine if len(curve["kid"]) == generations]

    one, less = whole("face_gan synthetic-1"), whole("face_gan synthetic-0.7")
    kept = whole("face_gan augmentation-1")
    both = [(a, b) for a in one for b in kept if a["seed"] == b["seed"]]
    mean = [np.mean([curve["recall"] for curve in one], axis=0)] if one else []
    return [
        goal(
            "fully synthetic, bias 1: recall falls in every generation, mean over the seeds",
            [values.tolist() for values in mean],
            falls,
        ),
        goal(
            "fully synthetic, bias 1: recall falls in every generation, each seed",
            [curve["recall"] for curve in one],
            falls,
        ),
        goal(
            "fully synthetic, bias 1: KID of the last generation over the first, at least 1.4",
            [growth(curve) for curve in one],
            at_least(1.4),
        ),
        goal(
            "fully synthetic, bias 0.7: recall of the second generation, under 0.1",
            [curve["recall"][1] for curve in less],
            lambda value: value < 0.1,
        ),
        goal(
            f"fully synthetic, bias 0.7: pairwise distance of generation {generations} over that "
            "of real faces, under 0.25",
            [curve["distance"][-1] for curve in less],
            lambda value: value < 0.25,
        ),
        goal(
            "accumulating augmentation, bias 1: KID grows less than in the fully synthetic loop",
            [[growth(b), growth(a)] for a, b in both],
            lambda value: value[0] < value[1],
        ),
        goal(
            "accumulating augmentation, bias 1: keeps more of its recall than that loop",
            [[share(b), share(a)] for a, b in both],
            lambda value: value[0] > value[1],
        ),
    ]


def of_control(curves: list[Curve]) -> dict[str, list[list[float]]]:
    """Return by loop the recall of the GAN, then of the control, means over the seeds."""
    found: dict[str, list[list[float]]] = {}
    for loop in ("synthetic-1", "synthetic-0.7"):
        means: list[list[float]] = []
        for model in ("face_gan", "principal"):
            mine = [curve["recall"] for curve in curves if curve["chain"] == f"{model} {loop}"]
            shared = zip(*mine, strict=False)  # the generations that all seeds have
            means.append([round(float(np.mean(recalls)), 4) for recalls in shared])
        found[loop] = means
    return found


def half_interval(a: Curve, b: Curve) -> float:
    """Return half the 95% interval of the difference of two first generations' KID."""
    return 1.96 * float(np.hypot(a["kid_error"][0], b["kid_error"][0]))


def growth(curve: Curve) -> float:
    """Return KID of the last generation over that of the first."""
    return float(curve["kid"][-1] / curve["kid"][0])


def share(curve: Curve) -> float:
    """Return recall of the last generation over that of the first."""
    return float(curve["recall"][-1] / curve["recall"][0])


def show(goals: list[Goal]) -> None:
    """Print each goal."""
    for each in goals:
        print(f"[{'met' if each['met'] else 'NOT MET'}] {each['goal']}: {each['found']}")
