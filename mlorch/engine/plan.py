"""What a run of a partition would do: every step considered in order, nothing touched."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlorch.engine.consider import consider, unless_unsafe
from mlorch.lang.commands import show_command
from mlorch.model.plan import Plan, StepPlan
from mlorch.model.spec import Write
from mlorch.model.states import Action, StepState, Verdict

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mlorch.engine.consider import Considered
    from mlorch.engine.context import Context
    from mlorch.model.history import PartitionState
    from mlorch.model.spec import Step

_QUIET = (StepState.CACHED, StepState.SKIPPED)


def consider_all(
    context: Context, forced: frozenset[str], *, rerun_unsafe: bool = True, assessed: bool = True
) -> dict[str, Considered]:
    """What happens to each selected step, in order, as far as it is known before anything ran.

    Not `rerun_unsafe`: as in a run that repeats no step that may have had its effects outside. Not `assessed`: without the assessments,
    which take a kilobyte each. A step whose removed `temp` output is needed again is considered once more, as stale.
    """
    context.wanted_again.clear()
    while True:
        context.begin()
        found: dict[str, Considered] = {}
        for step_id in context.graph.order:
            if step_id not in context.selected:
                continue
            step = context.by_id[step_id]
            considered = consider(context, step, forced=step_id in forced)
            if considered.action is Action.RUN and not rerun_unsafe:
                considered = unless_unsafe(context, step, considered)
            found[step_id] = considered if assessed else considered._replace(assessment=None)
            if considered.state is not None:
                context.settle(step_id, considered.state)
        again = _wanted_again(context, found)
        if again <= context.wanted_again:
            return found
        context.wanted_again |= again


def nothing_to_do(found: Mapping[str, Considered]) -> bool:
    """Whether every step is reused, or skipped by its own conditions."""
    return all(considered.state in _QUIET for considered in found.values())


def idle(context: Context, forced: frozenset[str]) -> dict[str, Considered] | None:
    """As `consider_all` where there is nothing to do; None, sooner, where there is something. Raises the same."""
    if context.state.removed:  # what runs may want temporary outputs again: all of it decides which
        everything = consider_all(context, forced)
        return everything if nothing_to_do(everything) else None
    context.wanted_again.clear()
    context.begin()
    found: dict[str, Considered] = {}
    busy = False
    for step_id in context.graph.order:
        if step_id not in context.selected:
            continue
        step = context.by_id[step_id]
        if busy and not step.when and _waits(context, step_id):
            continue  # what waits for another step cannot be found wrong yet
        considered = consider(context, step, forced=step_id in forced)
        found[step_id] = considered
        if considered.state is not None:
            context.settle(step_id, considered.state)
        busy = busy or considered.state not in _QUIET
    return None if busy else found


def _waits(context: Context, step: str) -> bool:
    return any(need in context.selected and need not in context.settled for need in context.graph.needs[step])


def plan_of(context: Context, found: Mapping[str, Considered], durations: Mapping[str, float] | None = None) -> Plan:
    """The plan for people and for JSON. `durations` are the seconds that steps take (None: as in this partition's history)."""
    durations = durations_of(context.state) if durations is None else durations
    steps = tuple(
        _step_plan(context, context.by_id[step], found[step], durations)
        for step in context.graph.order
        if step in found
    )
    return Plan(context.pipeline.name, context.key, tuple(step.id for step in steps), steps)


def durations_of(state: PartitionState) -> dict[str, float]:
    """The median seconds of each step's successes in this partition."""
    seen: dict[str, list[float]] = {}
    for run in state.runs:
        for step in run.steps.values():
            if step.last is not None and step.last.state is StepState.SUCCEEDED:
                seen.setdefault(step.id, []).append(step.last.duration_s)
    if not seen:
        return {}
    from statistics import median  # it imports random, decimal and fractions, and a run with nothing to do needs none

    return {step: median(values) for step, values in seen.items()}


def display(context: Context, step: Step, considered: Considered) -> str:
    """The command with its values, as far as they are known."""
    found = considered.assessment.inputs if considered.assessment is not None else ()
    inputs = {item.name: item.value for item in found} or context.expected_inputs(step)
    return show_command(context.command(step), context.scope(step, inputs=inputs))


def _step_plan(context: Context, step: Step, considered: Considered, durations: Mapping[str, float]) -> StepPlan:
    outputs = context.outputs(step)
    assessment = considered.assessment
    return StepPlan(
        step.id,
        considered.action,
        assessment.verdict if assessment is not None else Verdict.UNKNOWN,
        considered.reason,
        considered.detail,
        context.graph.needs[step.id],
        display(context, step, considered),
        tuple((output.name, output.path) for output in outputs),
        tuple(output.name for output in outputs if output.write is Write.IN_PLACE),
        durations.get(step.id),
        assessment.differs if assessment is not None else (),
        step.pool,
    )


def _wanted_again(context: Context, found: Mapping[str, Considered]) -> set[str]:
    """Steps that would be reused, but whose removed `temp` output a step that may run reads."""
    again: set[str] = set()
    if not context.state.removed:
        return again
    for step_id, considered in found.items():
        if considered.action is not Action.REUSE:
            continue
        removed = [o.path for o in context.outputs(context.by_id[step_id]) if o.path in context.state.removed]
        readers = (found[reader] for reader in context.graph.readers[step_id] if reader in found)
        if removed and any(reader.action in (Action.RUN, Action.UNKNOWN) for reader in readers):
            again.add(step_id)
    return again
