"""Sizes of the notebook on faces."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from madlab.presets.preset import Preset


@dataclass(frozen=True, kw_only=True)
class Faces(Preset):
    """Sizes of loops on pictures of faces.

    - `size`: pixels on a side.
    - `n`: training-set size of every chain, and how many samples are scored; less where the data
      have less.
    - `generations`: of the fully synthetic chains; `augmentation_generations` of the loop with
      augmentation.
    - `gan`: settings of `face_gan`.
    - `variant`, `variant_generations`: what is changed in it to see what shapes the scars, and for
      how many generations that is run.
    - `flow`, `flow_generations`: settings and number of generations of `face_flow`, 0 for none.
    """

    size: int = 32
    n: int
    generations: int
    augmentation_generations: int
    gan: Mapping[str, Any]
    variant: Mapping[str, Any] = field(default_factory=lambda: {"upsampling": "bilinear"})
    variant_generations: int
    flow: Mapping[str, Any] = field(default_factory=dict)
    flow_generations: int = 0


FACES = {
    "smoke": Faces(
        minutes=0.5,
        expect="every cell runs; two generations of a few steps are too few to read anything from",
        n=120,
        generations=2,
        augmentation_generations=2,
        gan={"steps": 10},
        variant_generations=2,
        flow={"steps": 10, "sampling_steps": 2},
        flow_generations=2,
    ),
    "quick": Faces(
        minutes=4.6,
        megabytes=120,
        expect="scars without bias, one face with it; the gallery has longer and larger chains",
        n=800,
        generations=4,
        augmentation_generations=3,
        gan={"steps": 600},
        variant_generations=2,
    ),
    "full": Faces(
        machine="one GPU",
        expect="not run yet: 64 pixels, wider networks, a second family",
        size=64,
        n=800,
        generations=8,
        augmentation_generations=8,
        gan={"steps": 10_000, "channels": 64, "batch": 64},
        variant_generations=4,
        flow={"steps": 10_000, "channels": 64},
        flow_generations=4,
    ),
}
