"""What the ends of steps add up to: a run's state, and a command's exit code."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from mlorch.model.errors import ExitCode
from mlorch.model.states import Reason, RunState, StepState

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from mlorch.model.history import StepRecord

_CODES = {
    RunState.SUCCEEDED: ExitCode.OK,
    RunState.SKIPPED: ExitCode.OK,
    RunState.RUNNING: ExitCode.OK,
    RunState.INCOMPLETE: ExitCode.INCOMPLETE,
    RunState.FAILED: ExitCode.FAILED,
    RunState.LOST: ExitCode.FAILED,
    RunState.TIMED_OUT: ExitCode.TIMED_OUT,
    RunState.CANCELLED: ExitCode.CANCELLED,
    RunState.NOT_READY: ExitCode.NOT_READY,
}
# cli.md, "Exit codes": several apply, the first of these wins; 128+N stands before 12.
_ORDER = (10, 9, 3, 128, 12, 1, 11, 5, 6, 4, 0)


def run_state(states: Iterable[StepState]) -> RunState:
    """The state of a run whose steps ended as `states`."""
    seen = set(states)
    if any(state.bad for state in seen):
        return RunState.FAILED
    if StepState.CANCELLED in seen:
        return RunState.CANCELLED
    if StepState.NOT_READY in seen:
        return RunState.NOT_READY
    if StepState.BLOCKED in seen:
        return RunState.FAILED
    if StepState.WARNING in seen:
        return RunState.INCOMPLETE
    return RunState.SUCCEEDED


class End(NamedTuple):
    """How a run ended: its state, the exit code that it alone gives, and why in a line ("" for a success)."""

    state: RunState
    exit_code: int
    reason: str = ""


def end_of(
    steps: Sequence[StepRecord],
    needs: Mapping[str, tuple[str, ...]],
    stopped: str,
    signal: int,
    *,
    skip_busy: bool,
) -> End:
    """How a run of these steps ended. `stopped` says what ended it before its time: `cancel` (by `signal`, 0 for none), `timeout`, or "".

    `skip_busy`: that it waited for nothing but held pools is no failure.
    """
    state = run_state(step.state for step in steps)
    code = exit_code_of(state)
    if state is RunState.NOT_READY and _only_busy(steps, needs):
        state, code = (RunState.SKIPPED, int(ExitCode.OK)) if skip_busy else (state, int(ExitCode.BUSY))
    if state is RunState.SUCCEEDED:
        return End(state, code)
    if stopped == "timeout":
        state, code = RunState.TIMED_OUT, int(ExitCode.TIMED_OUT)
    elif stopped == "cancel":
        state, code = RunState.CANCELLED, 128 + signal if signal else int(ExitCode.CANCELLED)
    return End(state, code, _why(steps, stopped))


def _why(steps: Sequence[StepRecord], stopped: str) -> str:
    bad = [step for step in steps if step.state.bad]
    waits = [step for step in steps if step.state is StepState.NOT_READY]
    waits.sort(key=lambda step: step.reason != Reason.BUSY)
    for step in (*bad, *waits):
        return f"{step.id}: {step.detail}" if step.detail else step.id
    return {"timeout": "the run timed out", "cancel": "cancelled"}.get(stopped, "")


def _only_busy(steps: Iterable[StepRecord], needs: Mapping[str, tuple[str, ...]]) -> bool:
    """Whether nothing but held pools made steps of a run not ready: they wait for slots, or need one that does.

    `steps` in the order in which they ended: what waits for another stands behind it.
    """
    busy: set[str] = set()
    for step in steps:
        if step.state is not StepState.NOT_READY:
            continue
        if step.reason != Reason.BUSY and busy.isdisjoint(needs[step.id]):
            return False
        busy.add(step.id)
    return bool(busy)


def exit_code_of(state: RunState) -> int:
    """The exit code that one run alone gives."""
    return int(_CODES[state])


def worst(codes: Iterable[int]) -> int:
    """The exit code of a command in which several apply."""
    seen = set(codes)
    signals = sorted(code for code in seen if code > 128)
    for code in _ORDER:
        if code == 128 and signals:
            return signals[0]
        if code in seen:
            return code
    return max(seen, default=0)
