"""Expressions: can each be read, and can each of its names exist where it stands?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlorch.lang.syntax import parse_condition, places
from mlorch.lang.terms import OPEN, ExpressionError
from mlorch.spec.rules.context import meant
from mlorch.spec.rules.kinds import whole
from mlorch.spec.shape import suggest

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from mlorch.model.spec import Step
    from mlorch.spec.rules.context import Context, Key, StepNames

Path = tuple[str, ...]

_BASE = frozenset({"params", "partition", "roots", "git", "env"})
_EARLY = _BASE | {"steps", "run"}
_FULL = _EARLY | {"inputs", "outputs", "attempt", "previous"}
RUN = _FULL | {"model"}
CHECK = RUN | {"values", "metrics"}
ENV = RUN | {"secrets"}
WHEN = _EARLY | {"inputs", "previous", "model"}
INPUT = frozenset({"params", "partition", "roots", "git", "steps", "model"})
OUTPUT = frozenset({"params", "partition", "roots", "git"})
FOLDER = _FULL
ALL = frozenset({
    "params", "partition", "inputs", "outputs", "values", "metrics", "steps", "item", "model", "champion", "run",
    "attempt", "previous", "env", "roots", "git", "secrets",
})  # fmt: skip
_FIELDS: dict[str, frozenset[str]] = {
    "git": frozenset({"commit", "dirty"}),
    "run": frozenset({"id", "scheduled_at"}),
    "previous": frozenset({"peak_rss", "duration", "state"}),
    "model": frozenset({"path", "version", "metrics", "created"}),
}
_TIMES = (("partition", "start"), ("partition", "end"), ("run", "scheduled_at"))
_STEP_FIELDS = ("outputs", "values", "metrics", "state")
_INSTEAD = {
    "version": "list what matters under `params`, or write the value",
    "command": "values are for `run`; write it out",
}
_WHERE = {
    "outputs": "the step's own `outputs` exist while it runs: use them in `run`, `env` and `checks`",
    "values": "the step's own `values` exist after its command: use them in `checks`, or `steps.ID.values` in a later step",
    "metrics": "the step's own `metrics` exist after its command: use them in `checks`, or `steps.ID.metrics` in a later step",
    "inputs": "use it in `run`, `env`, `when` and `checks`",
    "steps": "only what is known before the run can stand here: `params`, `partition`, `roots`",
    "run": "only what is the same in every run can stand here: `params`, `partition`, `roots`",
    "attempt": "only what is the same in every attempt can stand here",
    "previous": "only what is the same in every run can stand here",
    "env": "write the value here, or make it a parameter; `env` is known in `run`, `env` and `checks`",
    "champion": "it exists in the gate of `model`",
}


def check_strings(context: Context) -> None:
    """Every string of the pipeline that may hold an expression, and those in which one would stay as it was typed."""
    _pipeline_env(context)
    for key in ("partitions", "schedule", "triggers", "secrets"):
        _unfilled(context, context.data.get(key), (key,))
    for step in context.pipeline.steps:
        _step(context, step)
        if step.code or step.cache.version:
            for key in ("code", "cache"):
                _unfilled(context, context.data["steps"][step.id].get(key), ("steps", step.id, key))


def _unfilled(context: Context, node: object, keys: tuple[Key, ...]) -> None:
    """Expressions in a part of the file in which none are filled in."""
    if isinstance(node, dict):
        for key, value in node.items():
            _unfilled(context, value, (*keys, key))
    elif isinstance(node, list):
        for position, value in enumerate(node):
            _unfilled(context, value, (*keys, position))
    elif isinstance(node, str) and OPEN in node:
        place = context.text.inside(context.at(*keys), node, node.index(OPEN))
        context.report("E506", "no expression is filled in here", place, _INSTEAD.get(str(keys[-1]), ""))


def _pipeline_env(context: Context) -> None:
    for name, value in context.pipeline.env:
        if OPEN not in value:
            continue
        for path, offset in _template(context, None, value, ENV - {"steps", "inputs", "outputs"}, ("env", name)):
            if path[0] != "secrets" or len(path) < 2:
                continue
            without = [step.id for step in context.pipeline.steps if path[1] not in step.secrets]
            if without:
                message = f"`env.{name}` holds the secret {path[1]}, which the step {without[0]} does not list"
                hint = f"move it to the `env` of the steps that list {path[1]} under `secrets`"
                place = context.text.inside(context.at("env", name), value, offset)
                context.report("E504", message, place, hint, width=len(".".join(path)))


def _step(context: Context, step: Step) -> None:
    for value, visible, keys in _templates(context, step):
        if OPEN not in value:
            continue
        found = _template(context, step, value, visible, keys)
        if visible is ENV:
            for path, offset in found:
                _listed(context, step, path, value, offset, keys)
    if step.when:
        _condition(context, step, step.when, WHEN, ("steps", step.id, "when"))
    for position, check in enumerate(step.checks):
        if check.expr:
            _condition(context, step, check.expr, CHECK, ("steps", step.id, "checks", position, "expr"))


def _templates(context: Context, step: Step) -> Iterator[tuple[str, frozenset[str], tuple[Key, ...]]]:
    """(text, what it sees, where it stands) of every string of a step that may hold `${{ … }}`."""
    base: tuple[Key, ...] = ("steps", step.id)
    if step.shell != "python":
        yield from _words(step.run, RUN, (*base, "run"))
    for position, check in enumerate(step.checks):
        yield from _words(check.run, CHECK, (*base, "checks", position, "run"))
        yield check.message, CHECK, (*base, "checks", position, "message")
    for item in step.inputs:
        for position, path in enumerate(item.paths):
            if OPEN in path:
                yield path, INPUT, _input_keys(context, step, item.name, position)
        if item.upstream is not None:
            yield item.upstream.first, OUTPUT, (*base, "inputs", item.name, "partitions", "from")
            yield item.upstream.last, OUTPUT, (*base, "inputs", item.name, "partitions", "to")
    for output in step.outputs:
        yield output.path, OUTPUT, (*base, "outputs", output.name, "path")
    for name, value in step.env:
        yield value, ENV, (*base, "env", name)
    yield step.metrics, OUTPUT, (*base, "metrics")
    yield step.working_dir, FOLDER, (*base, "working_dir")


def _words(
    run: str | tuple[str, ...], visible: frozenset[str], keys: tuple[Key, ...]
) -> Iterator[tuple[str, frozenset[str], tuple[Key, ...]]]:
    if isinstance(run, str):
        yield run, visible, keys
        return
    for position, word in enumerate(run):
        yield word, visible, (*keys, position)


def _input_keys(context: Context, step: Step, name: str, position: int) -> tuple[Key, ...]:
    """Where the n-th path of an input was written; which of its forms it has shows in the data only."""
    node = context.data["steps"][step.id].get("inputs")
    if isinstance(node, list):
        return ("steps", step.id, "inputs", position)
    value = node.get(name) if isinstance(node, dict) else None
    if isinstance(value, list):
        return ("steps", step.id, "inputs", name, position)
    if isinstance(value, dict):
        tail: tuple[Key, ...] = (position,) if isinstance(value.get("path"), list) else ()
        return ("steps", step.id, "inputs", name, "path", *tail)
    return ("steps", step.id, "inputs", name)


def _listed(context: Context, step: Step, path: Path, value: str, offset: int, keys: tuple[Key, ...]) -> None:
    if path[0] != "secrets" or len(path) < 2 or path[1] not in context.names.secrets:
        return
    if path[1] not in context.names.steps[step.id].secrets:
        place = context.text.inside(context.at(*keys), value, offset)
        hint = f"add `secrets: [{path[1]}]` to the step"
        context.report(
            "E504", f"the step {step.id} does not list the secret {path[1]}", place, hint, width=len(".".join(path))
        )


def _template(
    context: Context, step: Step | None, value: str, visible: frozenset[str], keys: tuple[Key, ...]
) -> Iterable[tuple[Path, int]]:
    """Check the expressions of one string; returns the names in it with their offsets."""
    if OPEN not in value:
        return ()
    try:
        found = places(value)
    except ExpressionError as error:
        _unreadable(context, value, error, keys)
        return ()
    for path, offset in found:
        _name(context, step, value, path, offset, visible, keys)
    return found


def _condition(context: Context, step: Step, value: str, visible: frozenset[str], keys: tuple[Key, ...]) -> None:
    try:
        expression = parse_condition(value)
    except ExpressionError as error:
        _unreadable(context, value, error, keys)
        return
    for path, offset in expression.places:
        _name(context, step, value, path, offset + expression.offset, visible, keys)


def _unreadable(context: Context, value: str, error: ExpressionError, keys: tuple[Key, ...]) -> None:
    index = min(error.offset, max(len(value) - 1, 0))
    place = context.text.inside(context.at(*keys), value, index)
    context.report("E501", f"in an expression: {error.message}", place, error.hint, width=1)


def _name(
    context: Context,
    step: Step | None,
    value: str,
    path: Path,
    offset: int,
    visible: frozenset[str],
    keys: tuple[Key, ...],
) -> None:
    if step is not None and path[0] == "steps" and len(path) > 1:
        context.references.setdefault(step.id, set()).add(path[1])
    problem = _problem(context, step, path, visible)
    if problem is not None:
        code, message, hint = problem
        place = context.text.inside(context.at(*keys), value, offset)
        context.report(code, message, place, hint, width=len(".".join(path)))


def _problem(context: Context, step: Step | None, path: Path, visible: frozenset[str]) -> tuple[str, str, str] | None:
    """(code, message, hint) for a name that cannot exist, None for one that can."""
    root = path[0]
    if root not in ALL:
        close = suggest(root, ALL)
        return "E502", f"`{root}` does not exist", f"did you mean `{close}`?" if close else meant(root, visible)
    if root == "secrets" and "secrets" not in visible:
        name = path[1] if len(path) > 1 else "X"
        hint = f"list it under `secrets` and use the variable `${name}`"
        return "E504", "a secret cannot stand here: it would show in commands and logs", hint
    if root == "item":
        return "E503", "`item` exists only in steps with `matrix` or `foreach`", ""
    if root == "model" and not context.names.uses_model:
        return "E503", "`model` exists only in pipelines with `uses_model`", ""
    if root not in visible:
        return "E503", f"`{root}` is not known here", _WHERE.get(root, "")
    if root == "steps":
        return _step_name(context, step, path)
    if len(path) == 1:
        return None
    known = _members(context, step, root)
    if known is None or path[1] in known:
        return _further(context, path)
    if root == "partition" and not context.names.dimensions:
        return (
            "E502",
            f"`{'.'.join(path)}` does not exist: the pipeline has no `partitions`",
            "declare them at the top level",
        )
    return "E502", f"`{'.'.join(path[:2])}` does not exist", meant(path[1], known, f"{root}.") or _declare(root)


def _further(context: Context, path: Path) -> tuple[str, str, str] | None:
    """A problem with what comes after a name that exists."""
    end = whole(context, path)
    if end == path:
        return None
    found = ".".join(end)
    hint = f"write `date({found}, '%Y-%m')` for a part of it" if end in _TIMES else ""
    return "E502", f"`{'.'.join(path)}` does not exist: `{found}` has no names in it", hint


def _members(context: Context, step: Step | None, root: str) -> frozenset[str] | None:
    """The names below a root; None where they are not known before the run."""
    names = context.names
    if root == "partition":
        return names.dimensions | {"key", "start", "end"} if names.dimensions else frozenset({"key"})
    if root in ("params", "secrets", "roots"):
        return {"params": names.params, "secrets": names.secrets, "roots": names.roots}[root]
    own: StepNames | None = names.steps.get(step.id) if step is not None else None
    if own is not None and root in ("inputs", "values"):
        return own.inputs if root == "inputs" else own.values
    if own is not None and root == "outputs":
        return own.outputs | {"metrics"} if own.metrics else own.outputs
    return _FIELDS.get(root)


def _declare(root: str) -> str:
    if root in ("params", "secrets"):
        return f"declare it under `{root}` at the top level"
    return f"declare it under `{root}`" if root != "roots" else "declare it under `roots` in mlorch.yaml"


def _step_name(context: Context, step: Step | None, path: Path) -> tuple[str, str, str] | None:
    shown = ".".join(path[:3])
    if len(path) < 2:
        return None
    target = context.names.steps.get(path[1])
    if target is None:
        return "E502", f"there is no step `{path[1]}`", meant(path[1], context.names.steps, "steps.")
    if step is not None and path[1] == step.id:
        return "E502", f"`{shown}` is the step itself", f"write `{'.'.join(path[2:])}`" if len(path) > 2 else ""
    if len(path) == 2:
        return None
    if path[2] not in _STEP_FIELDS:
        return "E502", f"`{shown}` does not exist", f"a step has {', '.join(_STEP_FIELDS)}"
    if path[2] == "metrics" and not target.metrics:
        return "E502", f"`{shown}`: the step {path[1]} has no `metrics`", f"declare `metrics: PATH` in {path[1]}"
    if len(path) == 3 or path[2] not in ("outputs", "values"):
        return _further(context, path)
    known = target.outputs | ({"metrics"} if target.metrics else set()) if path[2] == "outputs" else target.values
    if path[3] in known:
        return _further(context, path)
    full = ".".join(path[:4])
    return "E502", f"`{full}` does not exist", meant(path[3], known, f"{shown}.") or f"{path[1]} declares no {path[2]}"
