"""Rules about one step: its command, and keys that contradict each other."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from mlorch.lang.commands import CommandError, list_in_text, parse_command
from mlorch.lang.syntax import references
from mlorch.lang.terms import OPEN, ExpressionError
from mlorch.model.spec import SideEffects, TriggerRule
from mlorch.spec.places import Map
from mlorch.spec.rules.context import meant
from mlorch.spec.rules.kinds import is_list
from mlorch.spec.rules.variables import check_arguments, variable_problem

if TYPE_CHECKING:
    from mlorch.model.spec import Retry, Step
    from mlorch.spec.rules.context import Context, Key

_NEVER_RETRIED = frozenset({64, 65, 78, 126, 127})
_RESERVED = "MLORCH_"
MOST_SLOTS = 100

_parsed = lru_cache(maxsize=256)(parse_command)  # very many steps mostly have few texts


def check_steps(context: Context) -> None:
    """Every step by itself."""
    for step in context.pipeline.steps:
        _command(context, step)
        if step.needs or step.trigger_rule is not TriggerRule.ALL_SUCCESS:
            _trigger(context, step)
        if step.inputs:
            _inputs(context, step)
        if step.checks:
            _checks(context, step)
        if step.retry.attempts > 1 or step.retry.delay:
            _retry(context, step)
        if step.secrets or step.env or step.params:
            _names(context, step)
        if step.timeout is not None:
            _timeout(context, step)
        if step.cache.ignore:
            _ignored(context, step)
        if step.pool:
            _pool(context, step)


def _command(context: Context, step: Step) -> None:
    run, keys = step.run, ("steps", step.id, "run")
    if not run:
        return
    if not isinstance(run, str) and step.shell:
        message = "`shell` is for a text; a list of words is started without one"
        context.report(
            "E507", message, context.at("steps", step.id, "shell"), "remove `shell`, or write `run` as a text"
        )
        return
    _parse(context, step, run, step.shell, keys)


def _parse(context: Context, step: Step, run: str | tuple[str, ...], shell: str, keys: tuple[Key, ...]) -> None:
    """Report what makes a command unfit; unreadable expressions and secrets have been reported with the other strings."""
    if shell != "python" and not _is_readable(run):
        return
    try:
        command = _parsed(run, shell)
        check_arguments(context, step, command, keys)
        for slot, word in command.slots():
            if not slot.alone and is_list(context, step, slot.expression.plain):
                raise list_in_text(slot.expression, None if isinstance(run, str) else word)
    except CommandError as error:
        text = run if isinstance(run, str) else run[error.word or 0]
        offset = context.at(*keys) if isinstance(run, str) else context.at(*keys, error.word or 0)
        place = context.text.inside(offset, text, min(error.offset, max(len(text) - 1, 0)))
        context.report("E505", error.message, place, error.hint)


def _is_readable(run: str | tuple[str, ...]) -> bool:
    for text in (run,) if isinstance(run, str) else run:
        if OPEN in text:
            try:
                names = references(text)
            except ExpressionError:
                return False
            if any(path[0] == "secrets" for path in names):
                return False
    return True


def _trigger(context: Context, step: Step) -> None:
    if step.trigger_rule is not TriggerRule.ALL_SUCCESS and not step.needs and step.id not in context.references:
        message = f"`trigger_rule: {step.trigger_rule.value}` without `needs` decides nothing"
        context.report("W105", message, context.at("steps", step.id, "trigger_rule"), "name the steps in `needs`")


def _inputs(context: Context, step: Step) -> None:
    raw = context.data["steps"][step.id].get("inputs")
    if not isinstance(raw, dict):
        return
    for item in step.inputs:
        value = raw.get(item.name)
        if not isinstance(value, dict):
            continue
        offset = context.key_at("steps", step.id, "inputs", item.name)
        said = value.index() if isinstance(value, Map) else value
        has_path, has_upstream = "path" in said, "pipeline" in said or "output" in said
        if has_path == has_upstream:
            what = "both `path` and `pipeline`" if has_path else "neither `path` nor `pipeline`"
            context.report("E209", f"the input `{item.name}` has {what}", offset, "write one of them")
        elif has_upstream and not ("pipeline" in said and "output" in said):
            lacking = "output" if "pipeline" in said else "pipeline"
            context.report(
                "E209", f"the input `{item.name}` lacks `{lacking}`", offset, "write `{pipeline: …, output: …}`"
            )
        elif has_path and "partitions" in value:
            hint = "remove it, or write `pipeline` and `output` instead of `path`"
            context.report("E209", f"the input `{item.name}`: `partitions` goes with `pipeline`", offset, hint)
        elif has_upstream and ("track" in value or "max_age" in value):
            key = "track" if "track" in value else "max_age"
            message = f"the input `{item.name}`: `{key}` is for paths; outputs of pipelines go by content"
            context.report("E209", message, offset, "remove it")


def _checks(context: Context, step: Step) -> None:
    raw = _own(context, step).get("checks") or []
    for position, check in enumerate(step.checks):
        offset = context.at("steps", step.id, "checks", position)
        data = raw[position]
        said = data.index() if isinstance(data, Map) else data
        if ("expr" in said) == ("run" in said):
            what = "both `expr` and `run`" if check.expr else "neither `expr` nor `run`"
            context.report("E209", f"a check has {what}", offset, "write one of them")
        elif check.run:
            _parse(context, step, check.run, "", ("steps", step.id, "checks", position, "run"))


def _retry(context: Context, step: Step) -> None:
    retry, keys = step.retry, ("steps", step.id, "retry")
    offset = context.at(*keys)
    for message, hint in _retry_problems(retry):
        context.report("W104", message, offset, hint)
    if step.side_effects is SideEffects.EXTERNAL and retry.attempts > 1 and "retry" in _own(context, step):
        message = "a step with `side_effects: external` is never repeated by itself, so `retry` does nothing"
        context.report("W104", message, offset, "remove `retry`, or say `side_effects: idempotent`")
    import signal

    known = {name.name for name in signal.Signals}
    for position, name in enumerate(retry.signals or ()):
        if name not in known:
            context.report(
                "E210", f"there is no signal {name}", context.at(*keys, "signals", position), meant(name, known)
            )


def _own(context: Context, step: Step) -> dict[str, Any]:
    found = context.data["steps"][step.id]
    return found if isinstance(found, dict) else {}


def _retry_problems(retry: Retry) -> list[tuple[str, str]]:
    found = []
    if retry.attempts == 1:
        found.append(("`retry` without further attempts does nothing", "say `attempts: 2` or more"))
    if retry.max_delay is not None and retry.max_delay < retry.delay:
        found.append(("`max_delay` is shorter than `delay`", "make it longer"))
    both = sorted(set(retry.exit_codes) & set(retry.never))
    if both:
        found.append((f"exit status {both[0]} stands in `exit_codes` and in `never`, which wins", "remove one"))
    futile = sorted(set(retry.exit_codes) & _NEVER_RETRIED)
    if futile:
        found.append((f"exit status {futile[0]} is never tried again", "remove it; its meaning is fixed"))
    return found


def _names(context: Context, step: Step) -> None:
    for position, name in enumerate(step.secrets):
        if name not in context.names.secrets:
            hint = meant(name, context.names.secrets) or "declare it under `secrets` at the top level: `{env: NAME}`"
            context.report(
                "E305", f"the secret {name} is not declared", context.at("steps", step.id, "secrets", position), hint
            )
        if any(name == variable for variable, _ in step.env):
            message = f"{name} is set by `env` and by `secrets`"
            context.report("E708", message, context.key_at("steps", step.id, "env", name), "keep one of them")
    for position, name in enumerate(step.params):
        if name not in context.names.params:
            hint = meant(name, context.names.params) or "declare it under `params` at the top level"
            context.report(
                "E304", f"there is no parameter `{name}`", context.at("steps", step.id, "params", position), hint
            )
    for name, value in step.env:
        if problem := variable_problem(name, value):
            context.report("E505", problem[0], context.at("steps", step.id, "env", name), problem[1])
        if name.startswith(_RESERVED):
            message = f"variables that begin with {_RESERVED} belong to mlorch"
            context.report("E708", message, context.key_at("steps", step.id, "env", name), "give it another name")


def _timeout(context: Context, step: Step) -> None:
    if step.timeout == 0:
        context.report("E206", "`timeout` is 0", context.at("steps", step.id, "timeout"), "leave it out for none")
    whole = context.pipeline.timeout
    if whole is not None and step.timeout is not None and step.timeout > whole and "timeout" in _own(context, step):
        message = "the step may take longer than the `timeout` of the whole run"
        context.report("W107", message, context.at("steps", step.id, "timeout"), "make one fit the other")


def _ignored(context: Context, step: Step) -> None:
    known = {item.name for item in step.inputs} | {name for name, _ in (*step.env, *context.pipeline.env)}
    known |= context.names.params | context.names.env
    for position, name in enumerate(step.cache.ignore):
        if name not in known:
            message = f"`{name}` is no input, parameter or variable of this step"
            context.report(
                "E304", message, context.at("steps", step.id, "cache", "ignore", position), meant(name, known)
            )


def _pool(context: Context, step: Step) -> None:
    raw = _own(context, step).get("pool")
    sizes = dict(context.project.pools)
    for name, slots in step.pool:
        keys = ("steps", step.id, "pool", *((name,) if isinstance(raw, dict) else ()))
        if name not in sizes:
            offset = context.key_at(*keys) if isinstance(raw, dict) else context.at(*keys)
            hint = meant(name, sizes) or f"say in mlorch.yaml how many slots it has: `pools: {{{name}: 1}}`"
            context.report("E306", f"there is no pool `{name}`", offset, hint)
        elif slots > sizes[name]:
            message = f"the step takes {slots} slots of the pool `{name}`, which has {sizes[name]}: it could never run"
            context.report(
                "E307", message, context.at(*keys), f"take {sizes[name]}, or give the pool more in mlorch.yaml"
            )
    if (total := sum(slots for _, slots in step.pool)) > MOST_SLOTS:
        message = f"the step takes {total} slots, and a step can hold {MOST_SLOTS}: each is an open file in it"
        hint = "give the pool fewer and larger slots, for instance one for each 16 GiB instead of for each GiB"
        context.report("E307", message, context.at("steps", step.id, "pool"), hint)
