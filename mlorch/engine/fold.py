"""A journal's events, added up to the state of its partition.

The state is a pure fold: the same events give the same state, however often and in how many sittings they are read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, assert_never

from mlorch.model import events as ev
from mlorch.model.history import AttemptRecord, PartitionState, RunRecord, StepRecord
from mlorch.model.manifest import Checkpoint
from mlorch.model.states import RunState, StepState

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

FAILED = "failed"
INTERRUPTED = "interrupted"


def fold(pipeline: str, partition: str, events: Iterable[ev.Event]) -> PartitionState:
    """The state that `events` add up to, from nothing."""
    state = PartitionState(pipeline, partition)
    for event in events:
        apply(state, event)
    return state


def apply(state: PartitionState, event: ev.Event) -> None:  # noqa: C901, PLR0912 - one case for each type of event
    """Add one event to `state`, in place."""
    state.events += 1
    match event:
        case ev.StepSucceeded():
            _step_succeeded(state, event)
        case ev.AttemptStarted():
            _attempt_started(state, event)
        case ev.AttemptEnded():
            _attempt_ended(state, event)
        case ev.PublishIntended():
            _step(state, event.run_id, event.step).publish = event
        case ev.StepsReused():
            run = _run(state, event.run_id)
            for step_id in event.steps:
                run.steps[step_id] = StepRecord(step_id, StepState.CACHED, event.reason)
        case ev.StepEnded():
            step = _step(state, event.run_id, event.step)
            step.state, step.reason, step.detail = StepState(event.state), event.reason, event.detail
        case ev.RunStarted():
            state.runs.append(_run_record(event))
        case ev.RunEnded():
            run = _run(state, event.run_id)
            run.state, run.exit_code, run.finished_at = RunState(event.state), event.exit_code, event.at
            run.reason = event.reason or run.reason
        case ev.RunLost():
            _run_lost(state, event)
        case ev.OutputRemoved():
            state.removed.add(event.path)
        case ev.JournalRepaired():
            _repaired(state, event)
        case ev.JournalCompacted():
            state.events += event.events - 1
            state.doubt = state.doubt or event.doubt
            state.unfinished, state.removed = dict(event.unfinished), set(event.removed)
        case ev.CheckpointKept():
            state.events -= 1  # it stands for events that `JournalCompacted` has counted
            state.checkpoints[event.step] = _checkpoint(event)
        case ev.ScheduleNoted() | ev.Unknown():
            pass
        case _:
            assert_never(event)


def _run_record(event: ev.RunStarted) -> RunRecord:
    return RunRecord(
        event.run_id,
        event.pipeline,
        event.partition,
        reason=event.reason,
        started_at=event.at,
        params=event.params,
        selection=event.selection,
        total=event.steps,
        spec_digest=event.spec_digest,
        git_commit=event.git_commit,
        git_dirty=event.git_dirty,
        pid=event.pid,
        start_ticks=event.start_ticks,
        boot_id=event.boot_id,
        host=event.host,
    )


def _run(state: PartitionState, run_id: str) -> RunRecord:
    """The run, newest first; one whose start was lost with damaged lines gets a bare record."""
    for run in reversed(state.runs):
        if run.run_id == run_id:
            return run
    run = RunRecord(run_id, state.pipeline, state.partition)
    state.runs.append(run)
    return run


def _step(state: PartitionState, run_id: str, step_id: str) -> StepRecord:
    steps = _run(state, run_id).steps
    step = steps.get(step_id)
    if step is None:
        step = steps[step_id] = StepRecord(step_id)
    return step


def _attempt(step: StepRecord, number: int) -> AttemptRecord:
    for attempt in reversed(step.attempts):
        if attempt.number == number:
            return attempt
    attempt = AttemptRecord(number, StepState.RUNNING)
    step.attempts.append(attempt)
    return attempt


def _attempt_started(state: PartitionState, event: ev.AttemptStarted) -> None:
    step = _step(state, event.run_id, event.step)
    step.state, step.reason, step.detail, step.publish = StepState.RUNNING, event.reason, event.detail, None
    step.attempts.append(
        AttemptRecord(
            event.attempt,
            StepState.RUNNING,
            started_at=event.at,
            reason=event.reason,
            detail=event.detail,
            command=event.command,
            log=event.log,
            fingerprint=event.fingerprint,
            staging=event.staging,
            aside=event.aside,
            external=event.external,
            adopted=event.adopted,
        )
    )
    state.unfinished[event.step] = INTERRUPTED


def _attempt_ended(state: PartitionState, event: ev.AttemptEnded) -> None:
    step = _step(state, event.run_id, event.step)
    attempt = _attempt(step, event.attempt)
    attempt.state, attempt.cause, attempt.detail = StepState(event.state), event.cause, event.detail
    attempt.finished_at, attempt.exit_code, attempt.signal = event.at, event.exit_code, event.signal
    attempt.duration_s, attempt.peak_rss_bytes, attempt.cpu_s = event.duration_s, event.peak_rss_bytes, event.cpu_s
    attempt.retry_at = event.retry_at
    # An intent whose moves were refused is not to be finished by recovery: the attempt was undone.
    step.publish = None
    if event.retry_at:
        step.state = StepState.PENDING
    else:
        step.state, step.detail = attempt.state, event.detail
    # A cancelled or lost attempt says nothing about the step itself: it goes back to ready.
    stopped = attempt.state in (StepState.CANCELLED, StepState.LOST)
    if attempt.state is StepState.SKIPPED:
        state.unfinished.pop(event.step, None)
    else:
        state.unfinished[event.step] = INTERRUPTED if stopped else FAILED


def _step_succeeded(state: PartitionState, event: ev.StepSucceeded) -> None:
    run = _run(state, event.run_id)
    step = run.steps.get(event.step)
    if step is None:
        step = run.steps[event.step] = StepRecord(event.step)
    step.state, step.publish = StepState(event.state), None
    if event.detail:
        step.detail = event.detail
    step.outputs, step.values, step.metrics = event.outputs, event.values, event.metrics
    if event.attempt:
        attempt = _attempt(step, event.attempt)
        attempt.state, attempt.finished_at, attempt.exit_code = step.state, event.at, event.exit_code
        attempt.cause, attempt.detail = "exit", event.detail
        attempt.duration_s, attempt.peak_rss_bytes = event.duration_s, event.peak_rss_bytes
        attempt.cpu_s = event.cpu_s
    state.checkpoints[event.step] = _checkpoint(event)
    state.unfinished.pop(event.step, None)
    if state.removed:
        for artifact in event.outputs:
            state.removed.discard(artifact.path)


def _checkpoint(event: ev.StepSucceeded | ev.CheckpointKept) -> Checkpoint:
    return Checkpoint(
        event.step,
        event.run_id,
        event.attempt,
        event.at,
        event.fingerprint,
        event.manifest,
        event.outputs,
        event.values,
        event.metrics,
        event.duration_s,
        event.peak_rss_bytes,
        event.how,
    )


def _run_lost(state: PartitionState, event: ev.RunLost) -> None:
    _lose(_run(state, event.run_id), event.at, event.detail)


def _lose(run: RunRecord, at: str, why: str) -> None:
    run.state, run.finished_at, run.reason = RunState.LOST, at, why
    for step in run.steps.values():
        if step.state is StepState.RUNNING:
            step.state, step.detail = StepState.LOST, why
            if step.last is not None:
                step.last.state = StepState.LOST


def _repaired(state: PartitionState, event: ev.JournalRepaired) -> None:
    """Lines are missing here: nothing from before them counts that they may have changed."""
    state.events += event.lines
    state.doubt = True
    sound = frozenset(event.sound)
    for step_id in [step_id for step_id in state.checkpoints if step_id not in sound]:
        del state.checkpoints[step_id]
        state.unfinished.setdefault(step_id, INTERRUPTED)
    for run in state.runs:
        if run.state is not RunState.RUNNING:
            continue
        if run.run_id != event.run_id:
            _lose(run, event.at, "how it ended was among damaged lines of the journal")
            continue
        for step in run.steps.values():
            if step.state is StepState.RUNNING and step.last is not None:
                # It may have ended since: recovery must not finish its moves, nor remove what stands at a place that was empty.
                step.publish = None
                step.last.aside = tuple(pair for pair in step.last.aside if pair[1])


def counted(events: Sequence[ev.Event]) -> int:
    """`PartitionState.events` after these, without folding them: two readings with the same count saw the same journal."""
    total = len(events)
    for event in events:
        if isinstance(event, ev.JournalRepaired):
            total += event.lines
        elif isinstance(event, ev.JournalCompacted):
            total += event.events - 1
        elif isinstance(event, ev.CheckpointKept):
            total -= 1
    return total
