"""The whole way from bytes to a verdict: text, shape, what does not work yet, names, rules."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mlorch.spec import build, settle, source
from mlorch.spec.places import Map, ordered
from mlorch.spec.rules.context import Context, gather
from mlorch.spec.rules.pipeline import check_pipeline as check_whole
from mlorch.spec.rules.pipeline import param_problem
from mlorch.spec.rules.schedule import check_schedule
from mlorch.spec.rules.variables import variable_problem
from mlorch.spec.shape import Shape

if TYPE_CHECKING:
    from mlorch.model.diagnostics import Diagnostic, Place
    from mlorch.model.spec import Pipeline, Project
    from mlorch.spec.places import Text
    from mlorch.spec.source import Source


@dataclass(frozen=True, slots=True)
class Checked:
    """The verdict on one file. `data` is settled; `pipeline` stands even with errors, for what of it is sound."""

    source: Source
    diagnostics: tuple[Diagnostic, ...]
    data: Map | None = None
    pipeline: Pipeline | None = None


def check_project(data: bytes, file: str) -> Checked:
    """Everything that can be said about a project file."""
    read = source.read(data, file)
    found = list(read.diagnostics)
    if read.data is None:
        return Checked(read, ordered(found))
    shape = Shape(read.text)
    shape.check("project", read.data)
    shape.prune()
    found += shape.problems
    found += settle.settle_project(read.text, read.data)
    params = read.data.get("params")
    for param in build.params(params or {}):
        problem = param_problem(param)
        if problem and isinstance(params, Map):
            message = f"the parameter `{param.name}`: {problem}"
            found.append(
                read.text.problem("E701", message, params.mark(param.name)[1], "make default and schema fit each other")
            )
    found += _variables(read.text, read.data)
    profiles = read.data.get("profiles")
    if isinstance(profiles, Map):
        for profile in profiles.values():
            found += _variables(read.text, profile)
    return Checked(read, ordered(found), read.data)


def _variables(text: Text, data: object) -> list[Diagnostic]:
    """What is wrong with the `env` of a project or of a profile."""
    env = data.get("env") if isinstance(data, Map) else None
    if not isinstance(env, Map):
        return []
    found = [
        (env.mark(name)[1], variable_problem(name, value)) for name, value in env.items() if isinstance(value, str)
    ]
    return [text.problem("E505", problem[0], offset, problem[1]) for offset, problem in found if problem]


def check_pipeline(data: bytes, file: str, project: Project, digest: str) -> Checked:
    """Everything that can be said about a pipeline file by itself."""
    read = source.read(data, file)
    found = list(read.diagnostics)
    if read.data is None:
        return Checked(read, ordered(found))
    names = gather(read.data, project)
    shape = Shape(read.text)
    shape.check("pipeline", read.data)
    shape.prune()
    found += shape.problems
    found += [read.text.problem(*problem) for problem in check_schedule(read.data)]
    found += settle.settle_pipeline(read.text, read.data, _defaults(project))
    pipeline = build.pipeline(read.data, project, file, digest, _places(read))
    context = Context(read.text, read.data, names, pipeline, project)
    _rules(context)
    return Checked(read, ordered(found + context.problems), read.data, pipeline)


def _rules(context: Context) -> None:
    from mlorch.spec.rules.graph import check_graph
    from mlorch.spec.rules.paths import check_paths
    from mlorch.spec.rules.steps import check_steps
    from mlorch.spec.rules.strings import check_strings

    check_whole(context)
    check_strings(context)
    check_steps(context)
    check_paths(context)
    check_graph(context)


def _defaults(project: Project) -> dict[str, object]:
    if not project.defaults:
        return {}
    from json import loads

    defaults: dict[str, object] = loads(project.defaults)
    return defaults


def _places(read: Source) -> dict[str, Place]:
    steps = read.data.get("steps") if read.data is not None else None
    if not isinstance(steps, Map):
        return {}
    text = read.text
    return {name: text.place(at[0], len(name)) for name, at in steps.index().items()}
