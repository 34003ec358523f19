"""One attempt: its environment, its staged outputs, and what its end is worth."""

from __future__ import annotations

import json
from collections import ChainMap
from dataclasses import dataclass, field
from math import isfinite
from typing import TYPE_CHECKING, Any

from mlorch.engine.context import METRICS, StepsView
from mlorch.engine.manifest import used_parameters
from mlorch.lang.commands import parse_command, render_command
from mlorch.lang.expressions import ExpressionError, condition, render
from mlorch.lang.values import holds_half_characters
from mlorch.model.attempt import AttemptRequest
from mlorch.model.events import StepSucceeded
from mlorch.model.spec import Write

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from mlorch.engine.assess import Assessment
    from mlorch.engine.context import Context, PlannedOutput
    from mlorch.model.attempt import AttemptDone
    from mlorch.model.manifest import Manifest
    from mlorch.model.ports import Files, RunFolders
    from mlorch.model.spec import Check, Step

# spec.md, "A step": values are small results; a file for larger ones is an output.
VALUES_LIMIT = 1024 * 1024
METRICS_LIMIT = 16 * 1024 * 1024
STAGING = ".mlorch-"
_encode = json.JSONEncoder(ensure_ascii=False).encode
_in_ascii = json.JSONEncoder().encode
_KINDS: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
}


class AttemptError(Exception):
    """A command that exited 0 and is not done all the same. `cause` is `output`, `value`, `metrics` or `check`."""

    def __init__(self, cause: str, message: str) -> None:
        super().__init__(message)
        self.cause = cause
        self.message = message


@dataclass(slots=True)
class Attempt:
    """An attempt under way. `folder` is the run whose files it uses (another one's, when its result is adopted)."""

    step: Step
    number: int
    run_id: str
    folder: str
    folder_number: int
    manifest: Manifest
    inputs: Mapping[str, object]
    fingerprint: str
    outputs: tuple[PlannedOutput, ...]
    staged: dict[str, str] = field(default_factory=dict)
    staging: tuple[str, ...] = ()
    aside: tuple[tuple[str, str], ...] = ()
    before: dict[str, str] = field(default_factory=dict)
    checks_left: list[Check] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    done: AttemptDone | None = None
    values: dict[str, Any] = field(default_factory=dict)
    metrics: Any = None

    @property
    def token(self) -> str:
        """What the executor knows it by."""
        return f"{self.run_id}/{self.step.id}/{self.number}"

    @property
    def current(self) -> str:
        """What the executor knows that by which runs now: the command, or one of its checks."""
        return f"{self.token}/check" if self.done is not None and self.checks_left else self.token


def prepare(
    context: Context, step: Step, assessment: Assessment, run_id: str, number: int, fingerprint: str
) -> Attempt:
    """An attempt with the places of its outputs worked out; nothing is made yet."""
    outputs = context.outputs(step)
    attempt = Attempt(
        step,
        number,
        run_id,
        run_id,
        number,
        assessment.manifest or (),
        {item.name: item.value for item in assessment.inputs},
        fingerprint,
        outputs,
    )
    staging: list[str] = []
    aside: list[tuple[str, str]] = []
    for output in outputs:
        parent, _, last = output.path.rpartition("/")
        # Last names are unique in a folder, so one staging folder a run and parent is enough.
        place = f"{parent}/{STAGING}{run_id}/{last}" if parent else f"{STAGING}{run_id}/{last}"
        staging.append(place)
        if output.write is Write.IN_PLACE:
            aside.append((output.path, place if context.files.exists(output.path) else ""))
            attempt.staged[output.name] = output.path
        else:
            attempt.staged[output.name] = place
    attempt.staging, attempt.aside = tuple(staging), tuple(aside)
    return attempt


def make_places(files: Files, attempt: Attempt) -> None:
    """Make the staging folders; set aside what stands where the command writes in place."""
    for output, place in zip(attempt.outputs, attempt.staging, strict=True):
        staged = output.write is not Write.IN_PLACE
        files.stage(folder_of(place), output.path, is_folder=output.is_folder and staged)
        if staged and (seen := files.modified(output.path)) is not None:
            attempt.before[output.name] = repr(seen)
    for path, kept in attempt.aside:
        if kept:
            files.set_aside(path, kept)
    for output in attempt.outputs:
        if output.write is Write.IN_PLACE and output.is_folder:
            # spec.md: a folder is made empty beforehand, wherever it is written.
            files.stage(folder_of(output.path), output.path, is_folder=True)


def folder_of(place: str) -> str:
    """The staging folder of a staged place."""
    return place.rpartition("/")[0]


def undo(files: Files, attempt: Attempt) -> None:
    """After a failure: former outputs stand as they were, nothing staged is left."""
    restore(files, attempt.staging, attempt.aside)


def restore(files: Files, staging: tuple[str, ...], aside: tuple[tuple[str, str], ...]) -> None:
    """As `undo`, from what the journal says of an attempt. May be interrupted and called again.

    `aside` are (path, where its content waits); "" says that nothing was there. What is not yet set aside stays.
    """
    for path, kept in aside:
        if not kept:
            files.remove(path)
        elif files.exists(kept):
            files.remove(path)
            files.move(kept, path)
    for place in staging:
        files.remove(place)


def request_of(
    context: Context,
    attempt: Attempt,
    folders: RunFolders,
    secrets: Mapping[str, str],
    lends: tuple[int, ...],
    slots: int,
    *,
    check: Check | None = None,
) -> tuple[AttemptRequest, str]:
    """What the executor gets, and the command for people. Of one `slots` at most run at once.

    Raises `ExpressionError` or `CommandError` for what only values show.
    """
    step = attempt.step
    files = context.files
    scope = run_scope(context, attempt, secrets) if check is None else _check_scope(context, attempt, secrets)
    variables = context.environment(step, scope)
    scope["env"] = ChainMap(variables, context.inherited_env)
    command = context.command(step) if check is None else parse_command(check.run, "")
    rendered = render_command(command, scope, "bash")

    own_files = folders.path(attempt.folder, step.id, attempt.folder_number, "")
    variables |= dict(rendered.env)
    variables |= dict(_variables(context, attempt, own_files))
    for name in step.secrets:
        variables[name] = secrets[name]
    if "PATH" in variables:
        variables["PATH"] = _absolute_path(files, variables["PATH"])
    if check is None:
        # By us and not by the executor: a disk that is full stops the run, and is no failure of the step.
        files.write_text(f"{own_files}context.json", _context_json(context, attempt, variables))
    working_dir = context.text(step, step.working_dir, scope, ("working_dir",)) if step.working_dir else ""
    return AttemptRequest(
        attempt.token if check is None else f"{attempt.token}/check",
        rendered.argv,
        tuple(variables.items()),
        files.absolute(working_dir or "."),
        f"{own_files}log",
        folders.record(attempt.folder),
        step.log_limit,
        step.timeout,
        step.grace,
        None,
        lends,
        tuple(secrets[name].encode() for name in sorted(_used_secrets(context, step)) if name in secrets),
        slots=slots,
    ), rendered.display


def _absolute_path(files: Files, path: str) -> str:
    """`PATH` with its relative folders below the project, so that `working_dir` does not change what is found."""
    parts = [part for part in path.split(":") if part]
    return ":".join(part if part.startswith("/") else files.absolute(part) for part in parts)


def _used_secrets(context: Context, step: Step) -> set[str]:
    used = set(step.secrets)
    if not context.pipeline.secrets:
        return used
    for level in (context.project_env, context.pipeline.env, step.env):
        for _, template in level:
            used |= {secret.name for secret in context.pipeline.secrets if f"secrets.{secret.name}" in template}
    return used


def run_scope(context: Context, attempt: Attempt, secrets: Mapping[str, str]) -> dict[str, object]:
    """What expressions see while the attempt runs: the places to write to, the run, the attempt."""
    step, files = attempt.step, context.files
    inputs, outputs = dict(attempt.inputs), dict(attempt.staged)
    more: dict[str, object] = {
        "run": {"id": attempt.run_id, "scheduled_at": context.scheduled_at},
        "attempt": attempt.number,
        "secrets": secrets,
    }
    if step.working_dir:
        # Paths are relative to the project; from another folder they must lead to the same places.
        inputs = {name: _all_absolute(files, value) for name, value in inputs.items()}
        outputs = {name: files.absolute(path) for name, path in outputs.items()}
        more["steps"] = StepsView(context, files.absolute)
    return context.scope(step, inputs=inputs, outputs=outputs, more=more)


def _variables(context: Context, attempt: Attempt, own_files: str) -> Iterator[tuple[str, str]]:
    """The variables that every step finds (spec.md, below the table of a step's keys).

    `own_files` is how the names of the attempt's own files begin.
    """
    step = attempt.step
    files = context.files
    yield "MLORCH_PIPELINE", context.pipeline.name
    yield "MLORCH_STEP", step.id
    yield "MLORCH_RUN_ID", attempt.run_id
    yield "MLORCH_ATTEMPT", str(attempt.number)
    yield "MLORCH_PROJECT", files.absolute(".")
    if context.key:
        partition = context.partition()
        yield "MLORCH_PARTITION", context.key
        for name in ("start", "end"):
            moment: Any = partition.get(name)
            if moment is not None:
                yield f"MLORCH_PARTITION_{name.upper()}", moment.isoformat()
    for name in sorted(used_parameters(context, step)):
        yield f"MLORCH_PARAM_{name.upper()}", text_of(context.params[name])
    for name, value in attempt.inputs.items():
        yield f"MLORCH_INPUT_{name.upper()}", text_of(_all_absolute(files, value))
    for name, place in attempt.staged.items():
        yield (
            "MLORCH_METRICS" if name == METRICS and step.metrics else f"MLORCH_OUTPUT_{name.upper()}",
            files.absolute(place),
        )
    yield "MLORCH_VALUES", f"{own_files}values"
    yield "MLORCH_SUMMARY", f"{own_files}summary"
    yield "MLORCH_CONTEXT", f"{own_files}context.json"


def _all_absolute(files: Files, value: object) -> object:
    if isinstance(value, str):
        return files.absolute(value)
    return [files.absolute(str(path)) for path in value] if isinstance(value, list) else value


def text_of(value: object) -> str:
    """A value as a variable: text as it is, nothing for null, everything else as JSON writes it."""
    if isinstance(value, str):
        return value
    return "" if value is None else _encode(value)


def _context_json(context: Context, attempt: Attempt, variables: Mapping[str, str]) -> str:
    step = attempt.step
    partition = context.partition() if context.key else {}
    # In ASCII: a parameter may hold bytes that are no UTF-8, and this is JSON all the same.
    return _in_ascii(
        {
            "pipeline": context.pipeline.name,
            "step": step.id,
            "run_id": attempt.run_id,
            "attempt": attempt.number,
            "project": variables["MLORCH_PROJECT"],
            "partition": {name: text_of(getattr(v, "isoformat", lambda v=v: v)()) for name, v in partition.items()}
            or None,
            "params": {name: context.params[name] for name in sorted(used_parameters(context, step))},
            "inputs": {name: _all_absolute(context.files, value) for name, value in attempt.inputs.items()},
            "outputs": {name: context.files.absolute(place) for name, place in attempt.staged.items()},
            "values_file": variables["MLORCH_VALUES"],
            "summary_file": variables["MLORCH_SUMMARY"],
        }
    )


def examine(context: Context, attempt: Attempt, folders: RunFolders, secrets: Mapping[str, str]) -> None:
    """After exit status 0: are the outputs, values and metrics there and sound? Fills in `values` and `metrics`.

    Raises `AttemptError`. The checks that are commands are left to the caller (`checks_left`).
    """
    step, files = attempt.step, context.files
    try:
        text = files.read_text(folders.path(attempt.folder, step.id, attempt.folder_number, "values"), VALUES_LIMIT)
    except ValueError as error:
        message = f"$MLORCH_VALUES is for small results, up to {VALUES_LIMIT} bytes: write larger ones to an output"
        raise AttemptError("value", message) from error
    attempt.values = _values(step, text)
    for output in attempt.outputs:
        _examine_output(files, attempt, output)
    if step.metrics:
        attempt.metrics = _metrics(files, attempt.staged[METRICS])
    for secret in step.secrets:
        told = "\0".join(text_of(value) for value in (*attempt.values.values(), attempt.metrics))
        if folders.masked(told, (secrets[secret],)) != told:
            raise AttemptError("value", f"a value or metric of step {step.id} holds the secret {secret}")
    attempt.checks_left = []
    scope = _check_scope(context, attempt, {}) if step.checks else {}
    for check in step.checks:
        if not check.expr:
            attempt.checks_left.append(check)
            continue
        try:
            happened = "" if condition(check.expr, scope) else "is false"
        except ExpressionError as error:
            happened = f"cannot be evaluated: {error.message}"
        if happened:
            failed_check(context, attempt, check, f"the check `{check.expr.strip()}` {happened}")


def _check_scope(context: Context, attempt: Attempt, secrets: Mapping[str, str]) -> dict[str, object]:
    """What expressions of a check see: also what the step gave back."""
    return run_scope(context, attempt, secrets) | {"values": attempt.values, "metrics": attempt.metrics or {}}


def scrub(files: Files, attempt: Attempt, folders: RunFolders, secrets: Mapping[str, str]) -> None:
    """Mask the step's secrets in the small files that it wrote for us and that are kept; what is too large to look at goes."""
    hidden = [secrets[name] for name in attempt.step.secrets]
    for suffix in ("values", "summary") if hidden else ():
        path = folders.path(attempt.folder, attempt.step.id, attempt.folder_number, suffix)
        try:
            text = files.read_text(path, VALUES_LIMIT) or ""
        except ValueError:
            files.remove(path)
            continue
        masked = folders.masked(text, hidden)
        if masked != text:
            files.write_text(path, masked)


def failed_check(context: Context, attempt: Attempt, check: Check, happened: str) -> None:
    """A check that does not hold: noted if it only warns. Raises `AttemptError` otherwise."""
    text = happened
    if check.message:
        try:
            message = render(check.message, _check_scope(context, attempt, {}))
        except ExpressionError:  # what it would show is not there; that the check fails must be told all the same
            message = check.message
        text = f"{message} ({happened})"
    if not check.warn:
        raise AttemptError("check", text)
    attempt.warnings.append(text)


def _examine_output(files: Files, attempt: Attempt, output: PlannedOutput) -> None:
    place = attempt.staged[output.name]
    shown = f"${{{{ outputs.{output.name} }}}}" if output.name != METRICS else "$MLORCH_METRICS"
    size, wrong = files.written(place)
    if size is None:
        changed = files.modified(output.path)
        if place != output.path and changed is not None and repr(changed) != attempt.before.get(output.name):
            message = (
                f"it wrote {output.path} itself instead of the staged place: "
                f"write to {shown}, or say `write: in_place` for this output"
            )
            raise AttemptError("output", message)
        raise AttemptError(
            "output", f"it exited 0 without writing its output {output.name}: write to {shown} ({output.path})"
        )
    if wrong:
        raise AttemptError("output", f"its output {output.name} ({output.path}) {wrong}")
    if output.non_empty and not size:
        raise AttemptError(
            "output", f"its output {output.name} ({output.path}) is empty, and `check: non_empty` says it may not be"
        )


def _values(step: Step, text: str | None) -> dict[str, Any]:
    """What the step wrote to `$MLORCH_VALUES`: `name=value` lines or JSON objects, held to the declared types."""
    given: dict[str, Any] = {}
    types = dict(step.values)
    for number, line in enumerate((text or "").splitlines(), 1):
        if not line.strip():
            continue
        if line.lstrip().startswith("{"):
            try:
                given.update(_json(line))
            except ValueError as error:
                raise AttemptError("value", f"line {number} of $MLORCH_VALUES is no JSON: {error}") from error
            continue
        name, equals, value = line.partition("=")
        if not equals:
            raise AttemptError(
                "value", f"line {number} of $MLORCH_VALUES is neither `name=value` nor JSON: {line[:80]!r}"
            )
        name = name.strip()
        given[name] = _typed(name, types.get(name, "string"), value)
    for name, value in given.items():
        kind = types.get(name)
        if kind is None:
            raise AttemptError("value", f"the value {name} is not declared: add it to `values` of step {step.id}")
        if type(value) not in _KINDS[kind]:
            raise AttemptError("value", f"the value {name} is {json.dumps(value)[:80]}, not of type {kind}")
    for name in types:
        if name not in given:
            raise AttemptError("value", f"it did not write its value {name}: append `{name}=…` to $MLORCH_VALUES")
    return given


def _typed(name: str, kind: str, text: str) -> Any:
    if kind == "string":
        return text
    try:
        return _json(text)
    except ValueError as error:
        raise AttemptError("value", f"the value {name} is {text[:80]!r}, not of type {kind}") from error


def _json(text: str) -> Any:
    """As `json.loads`, without the numbers that JSON does not have. Raises `ValueError`, also for what is nested too deep."""

    def refuse(word: str) -> Any:
        raise ValueError(f"{word} is no number of JSON")

    def number(digits: str) -> float:
        value = float(digits)
        return value if isfinite(value) else refuse(digits)

    try:
        found = json.loads(text, parse_constant=refuse, parse_float=number)
    except RecursionError as error:
        raise ValueError("it is nested too deep") from error
    if "\\u" in text and holds_half_characters(found):
        raise ValueError("it holds half a character (a lone surrogate)")
    return found


def _metrics(files: Files, path: str) -> Any:
    try:
        metrics = _json(files.read_text(path, METRICS_LIMIT) or "")
    except ValueError as error:
        raise AttemptError("metrics", f"its metrics file is no JSON: {error}") from error
    if not isinstance(metrics, dict):
        raise AttemptError("metrics", "its metrics file holds no JSON object")
    return metrics


def success_of(attempt: Attempt, done: AttemptDone, at: str) -> StepSucceeded:
    """The record of an attempt whose command and checks succeeded; its outputs are looked at when they are published."""
    return StepSucceeded(
        attempt.run_id,
        at,
        attempt.step.id,
        attempt.number,
        attempt.fingerprint,
        attempt.manifest,
        (),
        _encode(attempt.values) if attempt.values else "{}",
        _encode(attempt.metrics) if attempt.metrics else "{}",
        0,
        done.duration_s,
        done.peak_rss_bytes,
        done.cpu_s,
        started_at=done.started_at,
    )
