"""Journals that are too large to be held whole: read line by line, with their newest runs only."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlorch.model.errors import StateError

if TYPE_CHECKING:
    from mlorch.model.history import PartitionState

LARGE_JOURNAL = 64_000_000
"""Bytes. Whole, such a journal takes two seconds to read, and four times its size of memory."""


def is_large(size: int) -> bool:
    """Whether a journal of so many bytes is too large to be read whole."""
    return size > LARGE_JOURNAL


def state_of(path: str, pipeline: str, partition: str, runs: int) -> PartitionState:
    """What a large journal says, with at least the newest `runs` runs. Raises `StateError` on damage."""
    from mlorch.engine.fold import apply
    from mlorch.model.history import PartitionState
    from mlorch.model.states import RunState
    from mlorch.world.scan import Damage, Survey, believed

    state = PartitionState(pipeline, partition)
    for item in believed(path, Survey()):
        if isinstance(item, Damage):
            raise StateError(
                f"{path} is damaged: {item.what}",
                "`mlorch doctor --repair` keeps a copy and goes on; what the damage covers counts as not done",
            )
        apply(state, item.event)
        if len(state.runs) > 2 * runs:
            state.runs[:-runs] = [run for run in state.runs[:-runs] if run.state is RunState.RUNNING]
    return state
