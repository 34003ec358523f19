"""What `run` would do with all that it was asked for, upstream before downstream."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlorch.engine.plan import consider_all, plan_of
from mlorch.model.states import Action, Reason

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mlorch.model.plan import Plan, StepPlan
    from mlorch.model.spec import Pipeline
    from mlorch.runner.loop import Job
    from mlorch.session.pace import Pace


def plans_of(jobs: Iterable[Job], pace: Pace) -> list[Plan]:
    """The plan of each job. What reads a partition that is to run first is not decided before that has run."""
    plans: list[Plan] = []
    changing: dict[int, str] = {}
    for job in jobs:
        context, forced = job.open()
        plan = plan_of(context, consider_all(context, forced), pace.of(context.pipeline.name, context.key))
        before = {other.name: changing[id(other)] for other in job.after if id(other) in changing}
        if before:
            plan = _not_decided_yet(plan, context.pipeline, before)
        if any(step.action in (Action.RUN, Action.UNKNOWN) for step in plan.steps):
            changing[id(job)] = f"{job.name} {job.partition}".rstrip()
        plans.append(plan)
    return plans


def _not_decided_yet(plan: Plan, pipeline: Pipeline, before: dict[str, str]) -> Plan:
    """`before` are the pipelines that run first, with what is to be said of each."""
    reads = {
        step.id: before[item.upstream.pipeline]
        for step in pipeline.steps
        for item in step.inputs
        if item.upstream is not None and item.upstream.pipeline in before
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
