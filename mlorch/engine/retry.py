"""What an ended attempt means, and whether another one follows."""

from __future__ import annotations

from errno import ENOENT
from typing import TYPE_CHECKING

from mlorch.model.spec import Backoff
from mlorch.model.states import StepState

if TYPE_CHECKING:
    from mlorch.model.attempt import AttemptDone
    from mlorch.model.spec import Retry, Step

NOT_NOW = 75
SKIP_ME = 99
NEVER_RETRIED = frozenset({64, 65, 78, 126, 127})
_NAMES = {
    64: "wrong usage",
    65: "bad data",
    NOT_NOW: "not now",
    78: "bad configuration",
    SKIP_ME: "it asked to be skipped",
    126: "not executable",
    127: "command not found",
}


def state_of(done: AttemptDone) -> StepState:
    """The state that an attempt's end means by itself (spec.md, "What its exit status means")."""
    match done.cause:
        case "timeout" | "heartbeat":
            return StepState.TIMED_OUT
        case "cancelled":
            return StepState.CANCELLED
        case "lost":
            return StepState.LOST
    if done.exit_code == 0:
        return StepState.SUCCEEDED
    if done.exit_code == NOT_NOW:
        return StepState.NOT_READY
    if done.exit_code == SKIP_ME:
        return StepState.SKIPPED
    return StepState.FAILED


def exit_code_of_attempt(done: AttemptDone) -> int | None:
    """The exit status, or what a shell would have made of a command that could not be started (126, 127); None for a signal."""
    if done.cause == "spawn":
        return 127 if done.errno == ENOENT else 126
    return done.exit_code


def in_words(done: AttemptDone, step: Step) -> str:
    """What happened, for people."""
    match done.cause:
        case "timeout":
            return f"timed out after {step.timeout:g} s" if step.timeout is not None else "timed out"
        case "heartbeat":
            return "hung: it wrote nothing for the time of its heartbeat"
        case "oom":
            return "killed: out of memory"
        case "cancelled":
            return "cancelled"
        case "lost":
            return "lost: its supervisor was killed"
        case "spawn":
            return done.spawn_error
    if done.signal:
        return f"ended by {done.signal}"
    words = _NAMES.get(done.exit_code or 0)
    return f"exit status {done.exit_code}" + (f" ({words})" if words else "")


def allowed(step: Step, done: AttemptDone) -> bool:
    """Whether `allow_failure` tolerates this end."""
    if isinstance(step.allow_failure, bool):
        return step.allow_failure
    return done.exit_code in step.allow_failure


def retried(retry: Retry, attempt: int, state: StepState, done: AttemptDone) -> bool:
    """Whether attempt number `attempt` (from 1), ended as `state`, is followed by another one."""
    if attempt >= retry.attempts or state in (StepState.CANCELLED, StepState.SKIPPED):
        return False
    if state is StepState.NOT_READY:
        return True
    if state is StepState.TIMED_OUT:
        return retry.on_timeout
    if done.signal:
        return retry.signals is None or done.signal in retry.signals
    code = done.exit_code
    if code is None or code in NEVER_RETRIED or code in retry.never:
        return False
    return not retry.exit_codes or code in retry.exit_codes


def delay(retry: Retry, attempt: int, chance: float) -> float:
    """Seconds to wait after attempt number `attempt`; `chance` from 0 to 1 is the jitter's draw (full jitter: 0 to all of it)."""
    match retry.backoff:
        case Backoff.CONSTANT:
            seconds = retry.delay
        case Backoff.LINEAR:
            seconds = retry.delay * attempt
        case Backoff.EXPONENTIAL:
            seconds = retry.delay * 2.0 ** min(attempt - 1, 64)
    if retry.max_delay is not None:
        seconds = min(seconds, retry.max_delay)
    return seconds * chance if retry.full_jitter else seconds
