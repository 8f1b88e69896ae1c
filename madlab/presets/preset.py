"""What every preset says."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Preset:
    """What a notebook's runs take and what they should show; its kinds add the sizes.

    - `machine`, `minutes`, `megabytes`: the machine it is meant for, how long the notebook took
      there and how much disk its store took; None where that was not measured.
    - `expect`: what the reader should see.
    """

    machine: str = "two cores"
    minutes: float | None = None
    megabytes: int | None = None
    expect: str
