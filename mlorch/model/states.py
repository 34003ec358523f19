"""States of steps and runs, and the stable words that say why."""

from __future__ import annotations

from enum import StrEnum


class StepState(StrEnum):
    """Where a step of a run stands. Everything but `PENDING` and `RUNNING` is an end."""

    PENDING = "pending"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    CACHED = "cached"
    SKIPPED = "skipped"
    WARNING = "warning"
    FAILED = "failed"
    TIMED_OUT = "timed_out"
    CANCELLED = "cancelled"
    BLOCKED = "blocked"
    NOT_READY = "not_ready"
    LOST = "lost"

    @property
    def ended(self) -> bool:
        """Nothing more happens to this step in this run."""
        return self not in (StepState.PENDING, StepState.RUNNING)

    @property
    def good(self) -> bool:
        """What needs this step may go on (a skipped step counts as success)."""
        return self in (StepState.SUCCEEDED, StepState.CACHED, StepState.SKIPPED, StepState.WARNING)

    @property
    def bad(self) -> bool:
        """The step ended without its result and this counts as its own failure."""
        return self in (StepState.FAILED, StepState.TIMED_OUT, StepState.LOST)


class RunState(StrEnum):
    """Where a run stands."""

    RUNNING = "running"
    SUCCEEDED = "succeeded"
    INCOMPLETE = "incomplete"
    FAILED = "failed"
    TIMED_OUT = "timed_out"
    CANCELLED = "cancelled"
    NOT_READY = "not_ready"
    SKIPPED = "skipped"
    LOST = "lost"


class Reason(StrEnum):
    """Why a step runs or is reused, in the order in which they are looked at; the first that holds is shown."""

    FORCED = "forced"
    NEVER_DONE = "never_done"
    LAST_ATTEMPT_FAILED = "last_attempt_failed"
    INTERRUPTED = "interrupted"
    DUE = "due"
    OUTPUT_MISSING = "output_missing"
    OUTPUT_CHANGED = "output_changed"
    COMMAND_CHANGED = "command_changed"
    ENVIRONMENT_CHANGED = "environment_changed"
    CODE_CHANGED = "code_changed"
    PARAMETER_CHANGED = "parameter_changed"
    INPUT_CHANGED = "input_changed"
    UPSTREAM_RAN = "upstream_ran"
    MODEL_CHANGED = "model_changed"
    EXPIRED = "expired"
    WAITING_UPSTREAM = "waiting_upstream"
    UNCHANGED = "unchanged"
    ACCEPTED = "accepted"
    MARKED = "marked"
    # Reasons of steps that do not run at all.
    CONDITION_FALSE = "condition_false"
    TRIGGER_RULE = "trigger_rule"
    UPSTREAM_SKIPPED = "upstream_skipped"
    UPSTREAM_FAILED = "upstream_failed"
    INPUT_MISSING = "input_missing"
    NOT_SELECTED = "not_selected"
    BUSY = "busy"
    CANCELLED = "cancelled"
    UNSAFE = "unsafe"


class Verdict(StrEnum):
    """What is known of a step's last result."""

    FRESH = "fresh"
    STALE = "stale"
    UNKNOWN = "unknown"


class Action(StrEnum):
    """What a run would do with a step."""

    RUN = "run"
    REUSE = "reuse"
    SKIP = "skip"
    UNKNOWN = "unknown"
