"""Outputs that are kept only until their last reader is done."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlorch.model.states import StepState

if TYPE_CHECKING:
    from mlorch.engine.context import Context


def removable(context: Context, step_id: str) -> tuple[str, ...]:
    """The `temp` outputs of a step that may go: all that read it are done, and it has readers at all."""
    readers = context.graph.readers[step_id]
    done = (StepState.SUCCEEDED, StepState.CACHED)
    if (
        not readers
        or step_id not in context.settled
        or any(context.states.get(reader) not in done for reader in readers)
    ):
        return ()
    outputs = context.outputs(context.by_id[step_id])
    return tuple(output.path for output in outputs if output.temp and output.path not in context.state.removed)
