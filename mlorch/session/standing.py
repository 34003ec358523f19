"""Where partitions stand: done, missing, failed, stale or running; and what that makes of a pipeline."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlorch.engine.plan import consider_all, nothing_to_do
from mlorch.lang.partitions import closed
from mlorch.model.errors import FileError, SpecError
from mlorch.model.states import Action, RunState, StepState
from mlorch.model.status import Health, PartitionHealth, PipelineStatus
from mlorch.session.history import told
from mlorch.session.jobs import Selected
from mlorch.session.selection import parameters

if TYPE_CHECKING:
    from mlorch.engine.context import Context
    from mlorch.model.history import PartitionState, RunRecord
    from mlorch.model.spec import Pipeline
    from mlorch.session.jobs import Jobs
    from mlorch.session.workspace import Workspace

_FAILED = (RunState.FAILED, RunState.TIMED_OUT, RunState.LOST, RunState.CANCELLED)


def standing(context: Context) -> tuple[PartitionHealth, str]:
    """Where a partition stands, with the reason (a stable word and text) if it is not done."""
    state = context.state
    last = told(state.last_run) if state.last_run is not None else None
    if last is not None and last.state is RunState.RUNNING:
        return PartitionHealth.RUNNING, f"run {last.run_id}"
    if last is not None and last.state in _FAILED and not _healed(state):
        return PartitionHealth.FAILED, last.reason or last.state.value
    if not state.checkpoints:
        return PartitionHealth.MISSING, "never_done"
    try:
        found = consider_all(context, frozenset())
    except (SpecError, FileError) as error:
        return PartitionHealth.FAILED, error.message
    if nothing_to_do(found):
        return PartitionHealth.DONE, "unchanged"
    for step, considered in found.items():
        if considered.action is Action.RUN:
            gone = step not in state.checkpoints
            health = PartitionHealth.MISSING if gone else PartitionHealth.STALE
            return health, f"{considered.reason.value}: {step}: {considered.detail}"
    for step, considered in found.items():
        if considered.state is StepState.NOT_READY:
            return PartitionHealth.MISSING, f"{considered.reason.value}: {step}: {considered.detail}"
    return PartitionHealth.STALE, "waiting_upstream"


def _healed(state: PartitionState) -> bool:
    """A run may have been cancelled after all its steps were done."""
    return bool(state.checkpoints) and not state.unfinished and all(
        step.state.good or step.id in state.checkpoints for step in (state.last_run.steps.values() if state.last_run else ())
    )


def status_of(workspace: Workspace, jobs: Jobs, pipeline: Pipeline) -> PipelineStatus:
    """One row of the status table."""
    try:
        selected = Selected(pipeline, parameters(workspace, pipeline, (), ""))
    except SpecError as error:
        return _row(pipeline, Health.FAILING, (error.message,), None, ())
    dimension = pipeline.time_dimension
    keys = [window.label for window in closed(dimension, workspace.clock.now())] if dimension is not None else [""]
    known = set(workspace.partitions(pipeline.name))
    rows: list[tuple[str, PartitionHealth]] = []
    reasons: list[str] = []
    last: RunRecord | None = None
    fresh_at = fresh_key = ""
    for key in keys:
        if key not in known:
            rows.append((key, PartitionHealth.MISSING))
            continue
        context = jobs.context(selected, key)
        health, reason = standing(context)
        rows.append((key, health))
        run = context.state.last_run
        if run is not None and (last is None or run.started_at > last.started_at):
            last = run
        if health in (PartitionHealth.FAILED, PartitionHealth.STALE):
            reasons.append(f"{key}: {reason}" if key else reason)
        if health is PartitionHealth.DONE:
            fresh_key = key
            fresh_at = max((c.at for c in context.state.checkpoints.values()), default="")
    seen = {health for _, health in rows}
    if PartitionHealth.FAILED in seen:
        health = Health.FAILING
    elif PartitionHealth.STALE in seen:
        health = Health.STALE
    elif last is None and not any(found is PartitionHealth.DONE for _, found in rows):
        health = Health.NEVER_RAN
    else:
        health = Health.OK
    return _row(pipeline, health, tuple(reasons[-5:]), told(last) if last is not None else None, tuple(rows), fresh_at, fresh_key)


def _row(  # noqa: PLR0913 - one for each column
    pipeline: Pipeline,
    health: Health,
    reasons: tuple[str, ...],
    last: RunRecord | None,
    partitions: tuple[tuple[str, PartitionHealth], ...],
    fresh_at: str = "",
    fresh_key: str = "",
) -> PipelineStatus:
    owner = pipeline.owner.email or pipeline.owner.name
    return PipelineStatus(
        pipeline.name,
        pipeline.kind.value,
        owner,
        health,
        reasons,
        last,
        partitions,
        pipeline.time_dimension is not None,
        fresh_at,
        fresh_key,
        pipeline.file,
    )
