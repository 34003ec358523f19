"""What `run` would do with all that it was asked for, upstream before downstream."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlorch.engine.plan import consider_all, plan_of
from mlorch.engine.upstream import upstream_keys
from mlorch.model.spec import Span
from mlorch.model.states import Action, Reason

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from mlorch.engine.context import Context
    from mlorch.model.plan import Plan, StepPlan
    from mlorch.model.spec import Step, UpstreamInput
    from mlorch.runner.loop import Job
    from mlorch.session.pace import Pace


def plans_of(jobs: Iterable[Job], pace: Pace, *, rerun_unsafe: bool) -> list[Plan]:
    """The plan of each job. What reads a partition that is to run first is not decided before that has run."""
    plans: list[Plan] = []
    changing: dict[int, str] = {}
    for job in jobs:
        context, forced = job.open()
        found = consider_all(context, forced, rerun_unsafe=rerun_unsafe)
        plan = plan_of(context, found, pace.of(context.pipeline.name, context.key))
        before = {(other.name, other.partition): changing[id(other)] for other in job.after if id(other) in changing}
        if before:
            plan = _not_decided_yet(plan, context, before)
        if any(step.action in (Action.RUN, Action.UNKNOWN) for step in plan.steps):
            changing[id(job)] = f"{job.name} {job.partition}".rstrip()
        plans.append(plan)
    return plans


def _not_decided_yet(plan: Plan, context: Context, before: Mapping[tuple[str, str], str]) -> Plan:
    """`before` are the partitions that run first, with what is to be said of each."""
    reads = {
        step.id: waits
        for step in context.pipeline.steps
        for item in step.inputs
        if item.upstream is not None and (waits := _waits_for(context, step, item.upstream, before))
    }
    unknown: dict[str, str] = {}
    steps: list[StepPlan] = []
    for step in plan.steps:
        waits = reads.get(step.id) or next((need for need in step.needs if need in unknown), "")
        if waits and (step.action is Action.REUSE or step.reason is Reason.INPUT_MISSING):
            unknown[step.id] = waits
            step = step._replace(  # noqa: PLW2901 - the same step, decided later
                action=Action.UNKNOWN,
                reason=Reason.WAITING_UPSTREAM,
                detail=f"depends on {waits}, which runs first",
            )
        steps.append(step)
    return plan._replace(steps=tuple(steps))


def _waits_for(context: Context, step: Step, source: UpstreamInput, before: Mapping[tuple[str, str], str]) -> str:
    """What is to be said of a partition that the input reads and that runs first; "" if there is none."""
    changing = {key: told for (name, key), told in before.items() if name == source.pipeline}
    upstream = context.catalog.pipeline(source.pipeline) if changing else None
    if upstream is None:
        return ""
    if source.span is Span.ALL or (source.span is Span.LAST and context.own_window() is None):
        return next(iter(changing.values()))  # it ends with the newest that is done, and that may become another one
    keys = upstream_keys(source, upstream, context.reader(step), context.path_scope(), context.catalog)
    return next((changing[key] for key in keys if key in changing), "")
