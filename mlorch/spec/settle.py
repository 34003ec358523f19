"""Between shape and build: defaults merged under steps, texts taken as typed, keys that do not work yet taken out."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from mlorch.spec import not_yet
from mlorch.spec.places import Map, Seq, Text
from mlorch.spec.source import scalar

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mlorch.model.diagnostics import Diagnostic


def typed(text: Text, container: Map | Seq, key: str | int) -> str:
    """A scalar as text, the way the user typed it: `1.10` stays `1.10`."""
    value: Any = container[str(key)] if isinstance(container, Map) else container[int(key)]
    if isinstance(value, str):
        return value
    offset = container.mark(str(key))[1] if isinstance(container, Map) else container.marks[int(key)]
    token = text.typed(offset)
    try:
        same = bool(token) and scalar(token) == value
    except ValueError:
        same = False
    return token if same else json.dumps(value)


def texts(text: Text, node: Any) -> None:
    """Turn the values of a mapping of variables into text, in place."""
    if isinstance(node, Map):
        for key in list(node):
            if isinstance(node[key], bool | int | float):
                node[key] = typed(text, node, key)


def words(text: Text, node: Any) -> None:
    """Turn the items of a list of words into text, in place."""
    if isinstance(node, Seq):
        for position, item in enumerate(node):
            if isinstance(item, bool | int | float):
                node[position] = typed(text, node, position)


def settle_pipeline(text: Text, data: Map, defaults: Mapping[str, Any]) -> list[Diagnostic]:
    """Make the data of a pipeline ready to build, in place; `defaults` are the project's. Says what is not there yet."""
    found = refuse(text, data, not_yet.TOP)
    texts(text, data.get("env"))
    own = data.get("defaults")
    if isinstance(own, Map):
        found += settle_step(text, own)
    under = _under(own, defaults)
    steps = data.get("steps")
    if isinstance(steps, Map):
        for name in [name for name in steps if name.startswith("x-")]:
            steps.drop(name)
        for name, step in steps.items():
            found += settle_step(text, step)
            if under:
                steps[name] = step.over(under)
    dimensions = data.get("partitions")
    if isinstance(dimensions, Map):
        for name, dimension in dimensions.items():
            if name.startswith("x-") or not isinstance(dimension, Map):
                continue
            words(text, dimension.get("values"))
            words(text, dimension.get("command"))
            found += refuse(text, dimension, not_yet.DIMENSION)
    triggers = data.get("triggers")
    if isinstance(triggers, Seq):
        for trigger in triggers:
            found += refuse(text, trigger, not_yet.TRIGGER)
            command = trigger.get("command")
            if isinstance(command, Map):
                words(text, command.get("run"))
        triggers[:] = [trigger for trigger in triggers if trigger]
    return found


def settle_step(text: Text, step: Map) -> list[Diagnostic]:
    """Make one step (or `defaults`) ready to build, in place."""
    found: list[Diagnostic] = []
    if not not_yet.STEP.keys().isdisjoint(step):
        found += refuse(text, step, not_yet.STEP)
    executor = step.get("executor")
    if executor is not None and executor not in not_yet.EXECUTORS:
        found.append(_executor(text, executor, step.mark("executor")[1]))
        step.drop("executor")
    if "env" in step:
        texts(text, step["env"])
    if type(step.get("run")) is Seq:
        words(text, step["run"])
    for check in step.get("checks", ()):
        words(text, check.get("run"))
    return found


def settle_project(text: Text, data: Map) -> list[Diagnostic]:
    """Make the data of a project file ready to build, in place."""
    found = refuse(text, data, _unless_local(data, not_yet.PROJECT))
    texts(text, data.get("env"))
    profiles = data.get("profiles")
    if isinstance(profiles, Map):
        for name, profile in profiles.items():
            if not name.startswith("x-") and isinstance(profile, Map):
                found += refuse(text, profile, _unless_local(profile, not_yet.PROFILE))
                texts(text, profile.get("env"))
    defaults = data.get("defaults")
    if isinstance(defaults, Map):
        found += settle_step(text, defaults)
    return found


def _unless_local(data: Map, table: Mapping[str, str]) -> Mapping[str, str]:
    """The table without `executor`, where that names one that there is."""
    if data.get("executor") in not_yet.EXECUTORS:
        return {key: hint for key, hint in table.items() if key != "executor"}
    return table


def refuse(text: Text, node: Map, table: Mapping[str, str]) -> list[Diagnostic]:
    """Report and take out the keys of `table` that `node` has."""
    found = []
    for key in [key for key in node if key in table]:
        found.append(_later(text, f"`{key}`", node.mark(key)[0], table[key]))
        node.drop(key)
    return found


def _executor(text: Text, executor: Any, offset: int) -> Diagnostic:
    known = ", ".join(f"`{name}`" for name in not_yet.EXECUTORS)
    return _later(text, f"`executor: {executor}`", offset, f"there is {known} so far")


def _later(text: Text, what: str, offset: int, hint: str) -> Diagnostic:
    return text.problem("E601", f"{what} is understood, but does not work yet in this version of mlorch", offset, hint)


def _under(own: Any, project: Mapping[str, Any]) -> Map | dict[str, Any]:
    if not isinstance(own, Map):
        return dict(project)
    return own.over(dict(project)) if project else own
