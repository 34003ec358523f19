"""What a step's result depends on, gathered into its manifest (spec.md, "The manifest")."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from mlorch.engine.context import METRICS, state_word
from mlorch.lang.commands import parse_command
from mlorch.lang.expressions import has_expression, references
from mlorch.lang.globs import is_glob
from mlorch.model.manifest import Fact

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from mlorch.engine.context import Context, ResolvedInput
    from mlorch.lang.references import Names
    from mlorch.model.manifest import Manifest
    from mlorch.model.spec import Step

GONE = "gone"


def manifest_of(context: Context, step: Step, inputs: Iterable[ResolvedInput]) -> Manifest:
    """Every fact that the step's result depends on, in a fixed order.

    Commands and variables stand as they are typed, what they refer to as facts of their own: so a changed parameter is
    told as that, not as a changed command. Raises `NotKnownYet` while something that it reads has still to run.
    """
    names = _names(context, step)
    ignored = frozenset(step.cache.ignore)
    facts = [
        *_command_facts(step),
        *(Fact("output", output.name, output.path) for output in context.outputs(step)),
        *_environment_facts(context, step, names, ignored),
        *_code_facts(context, step),
        *_parameter_facts(context, step, names, ignored),
        *_input_facts(context, step, inputs, names, ignored),
    ]
    return tuple({(fact.kind, fact.name): fact for fact in facts}.values())


def used_parameters(context: Context, step: Step) -> frozenset[str]:
    """The parameters that the step uses: its expressions name them, its text does as a variable, or it lists them."""
    if not context.params:
        return frozenset()
    names = _names(context, step)
    return frozenset(name for name in context.params if ("params", name) in names or name in step.params) | (
        _params_in_text(context, step)
    )


def _params_in_text(context: Context, step: Step) -> frozenset[str]:
    used: frozenset[str] = frozenset()
    for text in (step.run, *(check.run for check in step.checks if check.run)):
        if "MLORCH_PARAM_" in (text if isinstance(text, str) else "\0".join(text)):
            command = context.command(step) if text is step.run else parse_command(text)
            used |= command.used_env_params & context.params.keys()
    return used


def _names(context: Context, step: Step) -> Names:
    names = context.names(step)
    for _, template in (*context.project_env, *context.pipeline.env):
        if has_expression(template):
            names |= references(template)
    return frozenset(name[:2] if name[0] == "params" else name for name in names) if names else names


def _command_facts(step: Step) -> Iterator[Fact]:
    run = step.run if isinstance(step.run, str) else json.dumps(step.run, ensure_ascii=False)
    yield Fact("command", "", run)
    if step.shell:
        yield Fact("command", "shell", step.shell)
    if step.working_dir:
        yield Fact("command", "working_dir", step.working_dir)
    if step.cache.version:
        yield Fact("command", "cache.version", step.cache.version)
    for number, check in enumerate(step.checks, 1):
        text = check.expr or (check.run if isinstance(check.run, str) else json.dumps(check.run, ensure_ascii=False))
        if not check.warn:
            yield Fact("command", f"check {number}", text)
    for name, kind in step.values:
        yield Fact("command", f"value {name}", kind)


def _environment_facts(context: Context, step: Step, names: Names, ignored: frozenset[str]) -> Iterator[Fact]:
    merged: dict[str, str] = {}
    for level in (context.project_env, context.pipeline.env, step.env):
        merged.update(level)
    for variable in sorted(merged):
        if variable not in ignored:
            yield Fact("environment", variable, merged[variable])
    for name in sorted(names):
        if name[0] == "roots" and len(name) > 1:
            yield Fact("environment", f"roots.{name[1]}", context.roots.get(name[1], ""))
        elif name[0] == "git":
            for part in (name[1],) if len(name) > 1 else ("commit", "dirty"):
                yield Fact("environment", f"git.{part}", json.dumps(context.git.get(part)))


def _parameter_facts(context: Context, step: Step, names: Names, ignored: frozenset[str]) -> Iterator[Fact]:
    if not context.params:
        return
    silent = {param.name for param in context.pipeline.params if not param.affects_cache}
    whole = ("params",) in names
    used = frozenset(context.params) if whole else used_parameters(context, step)
    for name in sorted(used - silent - ignored):
        value = json.dumps(context.params[name], ensure_ascii=False, sort_keys=True, separators=(",", ":"))
        yield Fact("parameter", name, value)


def _code_facts(context: Context, step: Step) -> Iterator[Fact]:
    for path in code_files(context, step):
        artifact = context.files.look(path)
        if artifact is not None:
            yield Fact("code", path, artifact.digest)


def code_files(context: Context, step: Step) -> tuple[str, ...]:
    """The project's files that count as the step's code: what its commands execute, and what `code` matches."""
    found: dict[str, None] = {}
    for kind, name in context.executed(step):
        candidates = (name,) if kind == "path" else _module_files(name)
        for candidate in candidates:
            path = (
                f"{step.working_dir}/{candidate}" if step.working_dir and not candidate.startswith("/") else candidate
            )
            while path.startswith("./"):
                path = path[2:]
            if path and not context.files.outside(path) and context.files.exists(path):
                found[path] = None
                break
    for pattern in step.code:
        for path in context.files.expand(pattern) if is_glob(pattern) else (pattern.rstrip("/"),):
            found[path] = None
    return tuple(found)


def _module_files(module: str) -> tuple[str, ...]:
    base = module.replace(".", "/")
    return (f"{base}.py", f"{base}/__main__.py", f"src/{base}.py", f"src/{base}/__main__.py")


def _input_facts(
    context: Context, step: Step, inputs: Iterable[ResolvedInput], names: Names, ignored: frozenset[str]
) -> Iterator[Fact]:
    for item in inputs:
        if item.name not in ignored:
            for path, digest in item.tracked:
                yield Fact("input", path, digest)
    for need in step.needs:
        if need in context.by_id:
            yield from _need_facts(context, need)
    for name in sorted(names):
        if name[0] != "steps" or len(name) < 3 or name[1] not in context.by_id:
            continue
        yield from _reference_facts(context, name)


def _need_facts(context: Context, need: str) -> Iterator[Fact]:
    """The bytes of the outputs of what is needed; of a step without outputs, its last execution."""
    checkpoint = context.result(context.by_id[need])
    if checkpoint is None:
        state = context.states.get(need)
        yield Fact("upstream", need, state.value if state is not None else GONE)
    elif checkpoint.outputs:
        for artifact in checkpoint.outputs:
            yield Fact("input", artifact.path, context.digest_of(context.by_id[need], artifact) or GONE)
    else:
        yield Fact("upstream", need, f"{checkpoint.run_id}/{checkpoint.attempt}")


def _reference_facts(context: Context, name: tuple[str, ...]) -> Iterator[Fact]:
    needed = context.by_id[name[1]]
    what = name[2]
    if what == "state":
        state = context.states.get(needed.id)
        yield Fact("input", f"steps.{needed.id}.state", state_word(state) if state is not None else GONE)
        return
    checkpoint = context.result(needed)
    if what == "outputs":
        for artifact in checkpoint.outputs if checkpoint else ():
            if len(name) == 3 or artifact.name == name[3]:
                yield Fact("input", artifact.path, context.digest_of(needed, artifact) or GONE)
    elif what in ("values", METRICS):
        given = json.loads((checkpoint.values if what == "values" else checkpoint.metrics) if checkpoint else "{}")
        value: object = given
        for part in name[3:]:
            value = value.get(part) if isinstance(value, dict) else None
        yield Fact("input", ".".join(name), json.dumps(value, ensure_ascii=False, sort_keys=True))
