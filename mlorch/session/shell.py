"""The surroundings of a step of a past run, made again: its variables, its folder, its inputs; outputs go to a scratch folder."""

from __future__ import annotations

import secrets as tokens
import shlex
from typing import TYPE_CHECKING

from mlorch.engine.assess import assess
from mlorch.engine.fingerprint import fingerprint
from mlorch.engine.manifest import used_parameters
from mlorch.lang.commands import CommandError
from mlorch.lang.expressions import ExpressionError, NotKnownYet
from mlorch.model.errors import NotReadyError, UsageError
from mlorch.model.shell import StepShell
from mlorch.model.spec import SideEffects, Write
from mlorch.model.states import Verdict
from mlorch.runner.attempts import prepare, request_of
from mlorch.session.jobs import Folders, Jobs, Selected
from mlorch.session.selection import step_ids

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mlorch.engine.assess import Assessment
    from mlorch.engine.context import Context
    from mlorch.model.attempt import AttemptRequest
    from mlorch.model.history import AttemptRecord, RunRecord
    from mlorch.model.spec import Pipeline, Secret, Step
    from mlorch.runner.attempts import Attempt
    from mlorch.session.history import History
    from mlorch.session.workspace import Workspace

COMMAND = "MLORCH_COMMAND"
"""The variable that names the file which runs the step's command."""
_NOTHING = ("true",)


class ScratchFolders(Folders):
    """What an attempt leaves beside its outputs goes to a scratch folder as well."""

    def __init__(self, workspace: Workspace, scratch: str) -> None:
        super().__init__(workspace)
        self._scratch = scratch

    def path(self, run_id: str, step: str, attempt: int, suffix: str) -> str:  # noqa: ARG002 - the port's signature
        """A file in the scratch folder: it is of one attempt only."""
        return f"{self._scratch}/{suffix}"


def spec_then(workspace: Workspace, history: History, run: RunRecord) -> tuple[Pipeline, str]:
    """The pipeline as the run had it, and what is to be said of that. From here on the workspace has it so, too."""
    workspace.choose_profile(run.profile)
    kept = history.spec(run)
    if kept is None:
        return workspace.named(run.pipeline), "that run kept no spec: this is the step as it is now"
    pipeline = workspace.pin(*kept)
    try:
        with open(f"{workspace.root}/{kept[0]}" if not kept[0].startswith("/") else kept[0], "rb") as file:
            changed = file.read() != kept[1]
    except OSError:
        return pipeline, f"{kept[0]} is gone: this is the step as that run had it"
    return pipeline, f"{kept[0]} has changed since: this is the step as that run had it" if changed else ""


class ShellMaker:
    """Makes the surroundings of one step. `scratch` is an empty folder, absolute.

    With `conceal` no secret is fetched: texts of our own stand where they would, as `StepShell.secrets` says.
    """

    def __init__(self, workspace: Workspace, jobs: Jobs, scratch: str, *, conceal: bool) -> None:
        self._workspace = workspace
        self._jobs = jobs
        self._scratch = scratch
        self._conceal = conceal
        self._notes: list[str] = []

    def make(self, history: History, run: RunRecord, step_id: str, number: int | None) -> StepShell:
        """The surroundings of attempt `number` (None: the last one). Raises `UsageError`, `SpecError`, `NotReadyError`."""
        pipeline, note = spec_then(self._workspace, history, run)
        self._note(note)
        step_ids(pipeline, "STEP", (step_id,))
        step = next(step for step in pipeline.steps if step.id == step_id)
        record = self._attempt(run, step_id, number)
        context = self._context(pipeline, run, step)
        assessment = self._assess(context, step)
        if (
            assessment.manifest is not None
            and record
            and record.fingerprint not in ("", fingerprint(assessment.manifest))
        ):
            self._note("inputs, code or mlorch.yaml have changed since that attempt: they are as they are now")
        attempt = prepare(context, step, assessment, self._run_id(run), record.number if record else 1, "")
        secrets, fetch = self._secrets(pipeline, step, context)
        folders = self._places(attempt)
        request, shown = self._request(context, attempt, secrets)
        command = self._command(context, step, request, secrets)
        hidden = self._jobs.hidden((pipeline,))
        env = dict(request.env) | ({COMMAND: command} if command else {})
        files = [(command, f"#!/bin/sh\nexec {shlex.join(request.argv)}\n")] if command else []
        files.append(_context_file(self._scratch))
        for name, value in secrets.items():
            shown = shown.replace(value, f"${name}" if self._conceal else "***")
        return StepShell(
            f"{run.pipeline} {run.partition}".rstrip() + f" · {step_id}",
            run.run_id,
            run.pipeline,
            run.partition,
            step_id,
            attempt.number,
            self._workspace.root,
            request.cwd,
            tuple(env.items()),
            tuple(sorted(hidden - env.keys())),
            self._scratch,
            folders,
            tuple(files),
            command,
            shown,
            tuple((secrets[s.name], s.source, s.value, s.name) for s in fetch if self._conceal),
            tuple(self._notes),
        )

    def _note(self, text: str) -> None:
        if text:
            self._notes.append(text)

    def _attempt(self, run: RunRecord, step_id: str, number: int | None) -> AttemptRecord | None:
        record = run.steps.get(step_id)
        attempts = record.attempts if record is not None else []
        if number is not None:
            found = next((attempt for attempt in attempts if attempt.number == number), None)
            if found is None:
                raise UsageError(
                    f"run {run.run_id} has no attempt {number} of {step_id}", f"mlorch show {run.run_id} lists them"
                )
            return found
        if not attempts:
            why = f" ({record.state.value}{f': {record.detail}' if record.detail else ''})" if record else ""
            self._note(f"that run did not start this step{why}")
        return attempts[-1] if attempts else None

    def _run_id(self, run: RunRecord) -> str:
        """Of a run that is not over another id: whatever bears its own one is ended with it."""
        if run.finished_at:
            return run.run_id
        self._note(f"that run is not over, so MLORCH_RUN_ID is {run.run_id}-shell here")
        return f"{run.run_id}-shell"

    def _context(self, pipeline: Pipeline, run: RunRecord, step: Step) -> Context:
        """What that run saw: its parameters and commit, the states of its steps; results as they stand now."""
        # Only this step is selected: of the others it is what stands on disk that counts.
        context = self._jobs.context(Selected(pipeline, dict(run.params), only=(step.id,)), run.partition)
        context.git = {"commit": run.git_commit or None, "dirty": run.git_dirty}
        context.begin()
        for other in run.steps.values():
            if other.id != step.id and other.state.ended and (other.state.good or other.id not in context.settled):
                context.settle(other.id, other.state)
        return context

    def _assess(self, context: Context, step: Step) -> Assessment:
        assessment = assess(context, step)
        if assessment.verdict is Verdict.UNKNOWN:
            raise NotReadyError(
                f"{step.id} cannot be set up: it {assessment.detail}", "run what it needs, then open the shell"
            )
        for missing in assessment.missing:
            self._note(missing)
        if step.side_effects is SideEffects.EXTERNAL:
            self._note("its command has effects outside (side_effects: external): they would be real")
        return assessment

    def _secrets(self, pipeline: Pipeline, step: Step, context: Context) -> tuple[Mapping[str, str], list[Secret]]:
        """The values that expressions see, and how to fetch them."""
        if not self._conceal:
            return self._jobs.secrets(pipeline._replace(steps=(step,))), []
        declared = {secret.name: secret for secret in (*self._workspace.project.secrets, *pipeline.secrets)}
        mark = tokens.token_hex(8)
        values = {name: f"secret-{mark}-{name}-" for name in declared}
        context.inherited_env = context.inherited_env | {
            secret.value: values[name] for name, secret in declared.items() if secret.source == "env"
        }
        return values, list(declared.values())

    def _places(self, attempt: Attempt) -> tuple[str, ...]:
        """Send the outputs to the scratch folder; returns the folders to make for them."""
        folders = []
        for output in attempt.outputs:
            folder = f"{self._scratch}/outputs/{output.name}"
            place = attempt.staged[output.name] = f"{folder}/{output.path.rpartition('/')[2]}"
            folders.append(place if output.is_folder else folder)
        return tuple(folders)

    def _request(self, context: Context, attempt: Attempt, secrets: Mapping[str, str]) -> tuple[AttemptRequest, str]:
        """What an executor would get; without a command if that one cannot be put together."""
        folders = ScratchFolders(self._workspace, self._scratch)
        try:
            return request_of(context, attempt, folders, secrets, (), 1)
        except (ExpressionError, CommandError, NotKnownYet) as error:
            what = f"the state of {error} is not known" if isinstance(error, NotKnownYet) else error.message
            self._note(f"its command cannot be put together: {what}")
        step = attempt.step
        attempt.step = step._replace(run=_NOTHING, shell="", params=tuple(used_parameters(context, step)))
        return request_of(context, attempt, folders, secrets, (), 1)

    def _command(self, context: Context, step: Step, request: AttemptRequest, secrets: Mapping[str, str]) -> str:
        """The file that is to run the step's command; "" if there can be none."""
        if request.argv == _NOTHING:
            return ""
        if any(value in word for value in secrets.values() for word in request.argv):
            self._note("its command holds a secret, so it is not written to a file")
            return ""
        command = context.command(step)
        for output in context.outputs(step):
            if output.write is Write.IN_PLACE and not command.mentions_output(output.name):
                self._note(
                    f"its command writes {output.path} in place, so it is not written to a file: call it with care"
                )
                return ""
        return f"{self._scratch}/command"


def _context_file(scratch: str) -> tuple[str, str]:
    """The context file, which is there already: its path and text."""
    path = f"{scratch}/context.json"
    with open(path, encoding="utf-8", errors="surrogateescape") as file:
        return path, file.read()
