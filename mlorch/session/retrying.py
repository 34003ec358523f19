"""A past run as something to run: its partition, its parameters, its steps."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlorch.model.errors import UsageError
from mlorch.model.states import RunState, StepState

if TYPE_CHECKING:
    from mlorch.model.history import RunRecord
    from mlorch.model.spec import Pipeline
    from mlorch.session.history import History
    from mlorch.session.options import RunOptions
    from mlorch.session.workspace import Workspace

_FAILED = (RunState.FAILED, RunState.TIMED_OUT, RunState.LOST)
_LISTS = {"--only": "only", "--from": "from_steps", "--until": "until"}
_SHOWN = 120


def latest_failed(history: History) -> RunRecord | None:
    """The newest run that failed, timed out or was lost, and that no other run of its partition has followed."""
    seen: set[tuple[str, str]] = set()
    for run in history.all():
        where = (run.pipeline, run.partition)
        if where not in seen and run.state in _FAILED:
            return run
        seen.add(where)
    return None


def retry_options(
    workspace: Workspace, history: History, run: RunRecord, base: RunOptions, *, then: bool
) -> tuple[RunOptions, tuple[str, ...]]:
    """`base` with the pipeline, partition, parameters and steps of `run`, and what to say of it.

    `then`: with the spec that the run kept, which the workspace has from here on. Raises `UsageError`, `SpecError`.
    """
    workspace.choose_profile(run.profile)
    if then:
        kept = history.spec(run)
        if kept is None:
            raise UsageError(f"run {run.run_id} kept no spec", "--spec now takes the one that is there today")
        workspace.pin(*kept)
    pipeline = workspace.named(run.pipeline)
    known = {param.name for param in pipeline.params}
    chosen: dict[str, tuple[str, ...]] = dict.fromkeys((*_LISTS.values(), "force_steps"), ())
    force, due = False, ""
    for text in run.selection:
        name, _, value = text.partition(" ")
        if name in _LISTS:
            chosen[_LISTS[name]] += (value,)
        elif name == "--force-step":
            chosen["force_steps"] += (value,)
        elif name == "--force":
            force = True
        elif name == "--due":
            due = value
    done = {s.id for s in run.steps.values() if s.state in (StepState.SUCCEEDED, StepState.SKIPPED)}
    if force and done:  # what was forced and is done need not be done once more
        force, chosen["force_steps"] = False, tuple(step.id for step in pipeline.steps)
    forced = tuple(step for step in chosen["force_steps"] if step not in done)
    options = base._replace(
        pipelines=(run.pipeline,),
        partitions=(run.partition,) if run.partition else (),
        values=tuple((name, value) for name, value in run.params if name in known),
        only=chosen["only"],
        from_steps=chosen["from_steps"],
        until=chosen["until"],
        force=force,
        force_steps=forced,
        due=due,
    )
    return options, tuple(_differences(workspace, pipeline, run))


def _differences(workspace: Workspace, pipeline: Pipeline, run: RunRecord) -> list[str]:
    """Parameters whose value the spec would choose otherwise today, and those that it has no more."""
    would = {param.name: param.default for param in pipeline.params if param.has_default}
    would |= {name: value for name, value in workspace.project.params if name in would}
    known = {param.name for param in pipeline.params}
    notes = []
    for name, value in run.params:
        if name not in known:
            notes.append(f"{pipeline.name} has no parameter {name} any more: it is left out")
        elif name in would and would[name] != value:
            told = [str(one) if len(str(one)) <= _SHOWN else "…" for one in (value, would[name])]
            notes.append(f"{name} is {told[0]}, as in that run; without it, it would be {told[1]}")
    return notes
