"""What the ends of steps add up to: a run's state, and a command's exit code."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlorch.model.errors import ExitCode
from mlorch.model.states import Reason, RunState, StepState

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

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


def only_busy(steps: Iterable[StepRecord], needs: Mapping[str, tuple[str, ...]]) -> bool:
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
