"""Rules about the values of `env`: those that a shell would execute, and those in which a secret travels."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlorch.lang.interpreters import RUN_BY_SHELLS
from mlorch.lang.syntax import references
from mlorch.lang.terms import OPEN, ExpressionError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from mlorch.lang.rendering import Command
    from mlorch.lang.terms import Path
    from mlorch.model.spec import Pipeline, Project, Step
    from mlorch.spec.rules.context import Context, Key


def variable_problem(name: str, value: str) -> tuple[str, str] | None:
    """(message, hint) for a variable of `env` whose value a shell would execute."""
    if name not in RUN_BY_SHELLS or OPEN not in value:
        return None
    return (
        f"a shell runs what `{name}` holds, so no value is filled in there",
        "write a fixed text, or use another name",
    )


def check_arguments(context: Context, step: Step, command: Command, keys: tuple[Key, ...]) -> None:
    """Refuse `env.X` that holds a secret where its value becomes an argument, which other users of the machine can see."""
    if command.mode != "argv" or not any(path[0] == "env" for path in command.references):
        return
    holders = _holders(context.project, context.pipeline, step)
    for slot, word in command.slots():
        if word == command.script:
            continue
        for path in sorted(slot.expression.names):
            found = _held(path, holders)
            if found is None:
                continue
            name, secret = found
            text = command.run if isinstance(command.run, str) else command.run[word]
            where = keys if isinstance(command.run, str) else (*keys, word)
            place = context.text.inside(context.at(*where), text, slot.expression.offset)
            message = f"`env.{name}` holds the secret {secret}: as an argument it would show in process lists"
            hint = f"let the program read the variable `{name}` from its environment"
            context.report("E504", message, place, hint, width=len(slot.expression.text))
            break


def _held(path: Path, holders: Mapping[str, str]) -> tuple[str, str] | None:
    """(variable, secret) for a name through which a secret is reached. `env` alone, or with an index, is all of them."""
    if path[0] != "env":
        return None
    if len(path) == 1:
        return next(iter(holders.items()), None)
    return (path[1], holders[path[1]]) if path[1] in holders else None


def _holders(project: Project, pipeline: Pipeline, step: Step) -> dict[str, str]:
    """The variables that `env.X` finds in a step's command and that hold a secret, with its name.

    As the engine resolves them: each level sees the ones above it, and first what mlorch itself was started with.
    """
    held = {secret.value: secret.name for secret in (*project.secrets, *pipeline.secrets) if secret.source == "env"}
    for level in (project.env, pipeline.env, step.env):
        above = dict(held)
        for name, value in level:
            held.pop(name, None)
            if secret := _secret_in(value, above):
                held[name] = secret
    return held


def _secret_in(value: str, above: Mapping[str, str]) -> str:
    """The name of a secret that is filled into `value`; "" if none is."""
    for path in sorted(_names(value)):
        if path[0] == "secrets" and len(path) > 1:
            return path[1]
        if found := _held(path, above):
            return found[1]
    return ""


def _names(value: str) -> Iterable[Path]:
    try:
        return references(value) if OPEN in value else ()
    except ExpressionError:
        return ()
