"""What becomes of a step whose needs have ended: run, reuse, skip, or why it cannot.

`plan` asks it before anything ran, the runner at the moment a step becomes ready: one code path for both.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from mlorch.engine.assess import SKIPPED, Assessment, assess
from mlorch.lang.expressions import ExpressionError, NotKnownYet, condition
from mlorch.model.spec import SideEffects, TriggerRule
from mlorch.model.states import Action, Reason, StepState, Verdict

if TYPE_CHECKING:
    from mlorch.engine.context import Context
    from mlorch.model.spec import Step


class Considered(NamedTuple):
    """What happens to a step. `state` is its end if it does not run (`cached`, `skipped`, `blocked`, `not_ready`)."""

    action: Action
    reason: Reason
    detail: str = ""
    state: StepState | None = None
    assessment: Assessment | None = None


def consider(context: Context, step: Step, *, forced: bool = False) -> Considered:
    """What happens to `step` now. Needs without a state in `context.states` are about to run (in a plan).

    Raises `SpecError` for what only values show to be wrong.
    """
    stopped = None if _all_done(context, step) else _by_rule(context, step) or _by_skipped(context, step)
    stopped = stopped or _by_condition(context, step)
    if stopped is not None:
        return stopped
    unselected = _unselected(context, step)
    if unselected is not None:
        return unselected
    found = assess(context, step, forced=forced)
    if found.missing:
        return Considered(Action.SKIP, Reason.INPUT_MISSING, found.detail, StepState.NOT_READY, found)
    match found.verdict:
        case Verdict.FRESH:
            if context.state.checkpoints[step.id].how == SKIPPED:
                return Considered(Action.SKIP, found.reason, "it asked to be skipped before", StepState.SKIPPED, found)
            return Considered(Action.REUSE, found.reason, found.detail, StepState.CACHED, found)
        case Verdict.STALE:
            return _gone(context, step) or Considered(Action.RUN, found.reason, found.detail, None, found)
        case Verdict.UNKNOWN:
            return Considered(Action.UNKNOWN, found.reason, found.detail, None, found)


def unless_unsafe(context: Context, step: Step, considered: Considered) -> Considered:
    """The same for a step that is to run, but its end if it may have had its effects outside already: that is not repeated by itself."""
    known = context.state
    # Where lines of the journal were lost, a step that was never done may have been started all the same.
    unfinished = step.id in known.unfinished or (known.doubt and step.id not in known.checkpoints)
    if step.side_effects is not SideEffects.EXTERNAL or not unfinished:
        return considered
    detail = "its last attempt may have had effects outside (side_effects: external): --rerun-unsafe runs it again"
    return Considered(Action.SKIP, Reason.UNSAFE, detail, StepState.FAILED, considered.assessment)


def _all_done(context: Context, step: Step) -> bool:
    """The usual case: every need has its result, and only one rule has anything against that."""
    states, succeeded, cached = context.states, StepState.SUCCEEDED, StepState.CACHED
    for need in context.graph.needs[step.id]:
        state = states.get(need)
        if state is not succeeded and state is not cached:
            return False
    return step.trigger_rule is not TriggerRule.ANY_FAILED


def _by_rule(context: Context, step: Step) -> Considered | None:
    """How the ends of its needs decide (`trigger_rule`); needs that were not selected do not count."""
    needs = context.graph.needs[step.id]
    states = {need: context.states[need] for need in needs if need in context.states}
    unknown = len(states) < len([need for need in needs if need in context.selected])
    good = [need for need, state in states.items() if state.good]
    bad = [need for need, state in states.items() if not state.good]
    rule = step.trigger_rule
    if rule is TriggerRule.ALL_SUCCESS and bad:
        return _blocked(context, bad)
    if rule is TriggerRule.NONE_FAILED and (failed := [need for need in bad if not _only_waits(states[need])]):
        return _blocked(context, failed)
    if rule is TriggerRule.ANY_SUCCESS and not good and not unknown and needs:
        return _blocked(context, bad)
    # A need that was blocked was so by a failure further up.
    if rule is TriggerRule.ANY_FAILED and not any(states[n].bad or states[n] is StepState.BLOCKED for n in bad):
        if unknown:
            return Considered(Action.UNKNOWN, Reason.WAITING_UPSTREAM, "runs only if one of its needs fails")
        return Considered(Action.SKIP, Reason.TRIGGER_RULE, "any_failed: none of its needs failed", StepState.SKIPPED)
    return None


def _only_waits(state: StepState) -> bool:
    return state is StepState.NOT_READY


def _blocked(context: Context, bad: list[str]) -> Considered:
    first = bad[0]
    state = context.states[first]
    if state is StepState.NOT_READY:
        return Considered(Action.SKIP, Reason.INPUT_MISSING, f"{first} is not ready", StepState.NOT_READY)
    words = {StepState.BLOCKED: "is blocked", StepState.CANCELLED: "was cancelled", StepState.TIMED_OUT: "timed out"}
    detail = f"{first} {words.get(state, 'failed')}"
    return Considered(Action.SKIP, Reason.UPSTREAM_FAILED, detail, StepState.BLOCKED)


def _by_skipped(context: Context, step: Step) -> Considered | None:
    """A step that needs a value or an output of a skipped one is skipped too."""
    skipped = {need for need in context.graph.needs[step.id] if context.states.get(need) is StepState.SKIPPED}
    if not skipped:
        return None
    used = {name[1] for name in context.names(step) if name[0] == "steps" and len(name) > 2 and name[2] != "state"}
    written = {output.path: need for need in skipped for output in context.outputs(context.by_id[need])}
    used |= {written[path.rstrip("/")] for item in step.inputs for path in item.paths if path.rstrip("/") in written}
    if lost := sorted(skipped & used):
        detail = f"needs a result of {lost[0]}, which was skipped"
        return Considered(Action.SKIP, Reason.UPSTREAM_SKIPPED, detail, StepState.SKIPPED)
    return None


def _by_condition(context: Context, step: Step) -> Considered | None:
    if not step.when:
        return None
    try:
        value = condition(step.when, context.scope(step))
    except NotKnownYet as unknown:
        return Considered(Action.UNKNOWN, Reason.WAITING_UPSTREAM, f"its `when` waits for {unknown.args[0]}")
    except ExpressionError as error:
        message = f"step {step.id}, when: {error.message}"
        raise context.wrong(step, "E404", message, error.hint, ("when",)) from error
    if value:
        return None
    return Considered(Action.SKIP, Reason.CONDITION_FALSE, f"when: {step.when.strip()} is false", StepState.SKIPPED)


def _unselected(context: Context, step: Step) -> Considered | None:
    """Needs outside the selection must have a result that stands; nothing brings it about in this run."""
    for need in context.graph.needs[step.id]:
        if need not in context.selected and need not in context.settled:
            detail = f"needs {need}, which is not selected and has no result: run it first"
            return Considered(Action.SKIP, Reason.INPUT_MISSING, detail, StepState.NOT_READY)
    return None


def _gone(context: Context, step: Step) -> Considered | None:
    """What a step that is to run would not find: an output, `temp` or not, that nothing brings about in this run."""
    for need in context.graph.needs[step.id]:
        checkpoint = context.state.checkpoints.get(need) if need not in context.selected else None
        for artifact in checkpoint.outputs if checkpoint is not None else ():
            if not context.files.exists(artifact.path):
                why = "was temporary and is removed" if artifact.path in context.state.removed else "is missing"
                detail = f"{artifact.path} {why}: select {need} as well, which writes it"
                return Considered(Action.SKIP, Reason.INPUT_MISSING, detail, StepState.NOT_READY)
    return None
