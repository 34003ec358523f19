"""What the strings of a step refer to: names in expressions, and through them other steps."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlorch.lang.expressions import has_expression, parse, references

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mlorch.model.spec import Pipeline, Step

Names = frozenset[tuple[str, ...]]


def templates(step: Step) -> Iterator[str]:
    """Every string of a step that may hold `${{ … }}`, but for `when` and checks, which may leave out the braces."""
    if isinstance(step.run, str):
        yield step.run
    else:
        yield from step.run
    for item in step.inputs:
        yield from item.paths
        if item.upstream is not None:
            yield item.upstream.first
            yield item.upstream.last
    for output in step.outputs:
        yield output.path
    for _, value in step.env:
        yield value
    yield step.metrics
    yield step.working_dir


def conditions(step: Step) -> Iterator[str]:
    """The strings that are expressions, in braces or bare."""
    if step.when:
        yield step.when
    for check in step.checks:
        if check.expr:
            yield check.expr


def condition_names(text: str) -> Names:
    """What a condition refers to, in braces or bare."""
    return references(text) if has_expression(text) else parse(text).names


def step_names(step: Step) -> Names:
    """Every dotted name that the step's strings refer to; check commands included."""
    found: set[tuple[str, ...]] = set()
    for text in templates(step):
        if has_expression(text):
            found |= references(text)
    for check in step.checks:
        for text in (check.message, *((check.run,) if isinstance(check.run, str) else check.run)):
            if has_expression(text):
                found |= references(text)
    for text in conditions(step):
        found |= condition_names(text)
    return frozenset(found)


def step_edges(pipeline: Pipeline) -> dict[str, tuple[str, ...]]:
    """For each step the ids that it comes after: its `needs`, `steps.x` in its expressions, inputs that others write.

    An input counts as written by a step when it equals the path of an output as typed, or lies in a folder that is one.
    In the order: needs, then the others in the order of the file. Unknown ids are left out; a step does not need itself.
    """
    ids = {step.id: position for position, step in enumerate(pipeline.steps)}
    files: dict[str, str] = {}
    folders: list[tuple[str, str]] = []
    for step in pipeline.steps:
        for output in step.outputs:
            if output.path.endswith("/"):
                folders.append((output.path, step.id))
                files[output.path.rstrip("/")] = step.id
            files[output.path] = step.id
        if step.metrics:
            files[step.metrics] = step.id
    edges: dict[str, tuple[str, ...]] = {}
    for step in pipeline.steps:
        implied = {name[1] for name in step_names(step) if name[0] == "steps" and len(name) > 1}
        for item in step.inputs:
            for path in item.paths:
                writer = files.get(path)
                if writer is not None:
                    implied.add(writer)
                implied.update(owner for folder, owner in folders if path.startswith(folder))
        explicit = tuple(dict.fromkeys(need for need in step.needs if need in ids and need != step.id))
        implied -= {step.id, *explicit}
        edges[step.id] = explicit + tuple(sorted((i for i in implied if i in ids), key=ids.__getitem__))
    return edges
