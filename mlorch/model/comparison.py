"""Two runs side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from mlorch.model.history import RunRecord, StepRecord
    from mlorch.model.plan import Difference


class StepCompared(NamedTuple):
    """A step of either run; None where that run does not have it. `differs`: what its result depends on, then what came of it."""

    id: str
    old: StepRecord | None
    new: StepRecord | None
    differs: tuple[Difference, ...]


class Comparison(NamedTuple):
    """What two runs have not in common. `spec` are the lines of a unified diff of their pipeline files, () when they are the same."""

    old: RunRecord
    new: RunRecord
    differs: tuple[Difference, ...]
    steps: tuple[StepCompared, ...]
    spec: tuple[str, ...]
