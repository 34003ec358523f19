"""`previous` in expressions: how the last attempt of a step went. It is no part of what a result depends on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlorch.model.states import StepState

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mlorch.model.history import PartitionState


def last_attempt(state: PartitionState, step_id: str) -> Mapping[str, object] | None:
    """The last attempt of a step in this partition that has ended: of this run, else of those before. None if there is none.

    `peak_rss` in bytes, `duration` in seconds; both are null where nobody saw the end.
    """
    for run in reversed(state.runs):
        step = run.steps.get(step_id)
        for attempt in reversed(step.attempts) if step is not None else ():
            if attempt.state.ended:
                seen = bool(attempt.finished_at)
                return _attempt(attempt.state, attempt.peak_rss_bytes, attempt.duration_s if seen else None)
    # Of runs that were given up the proof that the step was done is left.
    proof = state.checkpoints.get(step_id)
    if proof is None or not proof.attempt:
        return None
    state_then = StepState.SKIPPED if proof.how == "skipped" else StepState.SUCCEEDED
    return _attempt(state_then, proof.peak_rss_bytes, proof.duration_s)


def _attempt(state: StepState, peak_rss: int, duration: float | None) -> Mapping[str, object]:
    return {"peak_rss": peak_rss or None, "duration": duration, "state": state.value}
