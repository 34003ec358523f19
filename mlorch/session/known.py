"""A run of a partition where nothing is to be done, told from what is known instead of from a decision about each step."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlorch.model.history import RunRecord, StepRecord
from mlorch.model.states import RunState, StepState
from mlorch.model.status import PartitionHealth

if TYPE_CHECKING:
    from mlorch.session.jobs import Selected
    from mlorch.session.standing import Standings


def done_before(standings: Standings, selected: Selected, key: str) -> RunRecord | None:
    """A partition where nothing is to be done, each step of which is reused, if that is known; without the results of the steps."""
    found = standings.known(selected, key)
    steps = selected.pipeline.steps
    if found is None or found.health is not PartitionHealth.DONE or found.reused != len(steps):
        return None
    params = tuple(selected.params.items())
    record = RunRecord(
        "", selected.pipeline.name, key, RunState.SUCCEEDED, "unchanged", params=params, total=len(steps)
    )
    record.steps = {step.id: StepRecord(step.id, StepState.CACHED, "unchanged") for step in steps}
    return record
