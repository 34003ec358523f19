"""Paths: inside the project, one writer each, one for each partition."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from mlorch.lang.globs import is_glob
from mlorch.lang.syntax import references
from mlorch.lang.telling import partition_names, unnamed
from mlorch.lang.terms import OPEN, ExpressionError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mlorch.model.spec import Step
    from mlorch.spec.rules.collisions import Collisions
    from mlorch.spec.rules.context import Context, Key

Parts = tuple[str, ...]
Entry = tuple[Parts, str, tuple["str | int", ...]]
"""A path that is written: its names, by whom, and the keys that lead to it in the file."""
_EXPRESSION = re.compile(r"\$\{\{\s*(.*?)\s*\}\}", re.DOTALL)
_ROOT = re.compile(r"\$\{\{\s*roots\s*(?:\.|\[)")


def check_paths(context: Context) -> None:
    """Every path of inputs, outputs, metrics, code and working folders."""
    written: list[Entry] = []
    for step in context.pipeline.steps:
        for item in step.inputs:
            for path in item.paths:
                if path[:1] in "/~" or ".." in path:
                    _inside(context, path, ("steps", step.id, "inputs", item.name))
        for position, pattern in enumerate(step.code):
            _inside(context, pattern, ("steps", step.id, "code", position))
        if step.working_dir:
            _inside(context, step.working_dir, ("steps", step.id, "working_dir"))
        written += _outputs(context, step)
    for one, two in overlaps(written):
        _overlap(context, one, two)


def _outputs(context: Context, step: Step) -> list[Entry]:
    """Check the outputs of a step; gives (parts, step, keys) of each."""
    found = []
    named: list[tuple[str, tuple[Key, ...]]] = [
        (output.path, ("steps", step.id, "outputs", output.name)) for output in step.outputs
    ]
    if step.metrics:
        named.append((step.metrics, ("steps", step.id, "metrics")))
        if any(output.name == "metrics" for output in step.outputs):
            message = "an output named `metrics` beside the key `metrics`"
            context.report(
                "E414", message, context.key_at("steps", step.id, "outputs", "metrics"), "give the output another name"
            )
    for path, keys in named:
        if not path:
            continue
        if path[:1] in "/~" or ".." in path:
            _inside(context, path, keys)
        parts = normal(path)
        if not parts:
            context.report(
                "E402",
                f"the path `{path}` names no file",
                context.at(*keys, "path"),
                "name a file or folder below the project",
            )
            continue
        if is_glob(_EXPRESSION.sub("", path)):
            context.report(
                "E409",
                f"the output `{path}` is a pattern",
                context.at(*keys, "path"),
                "an output is one file, or a folder that ends in `/`",
            )
        state = normal(context.project.state)
        if parts[: len(state)] == state:
            context.report(
                "E415",
                f"the output `{path}` lies in mlorch's state folder",
                context.at(*keys, "path"),
                "choose another folder",
            )
        _partition(context, path, keys)
        found.append((parts, step.id, keys))
    return found


def normal(path: str) -> Parts:
    """The names of a path as typed; an expression counts as part of a name, however it is spaced."""
    if "${{" in path:
        path = _EXPRESSION.sub(lambda match: "${{" + match[1].replace("/", "\0") + "}}", path)
    parts: list[str] = []
    for name in path.split("/"):
        if name == ".." and parts and parts[-1] != "..":
            parts.pop()
        elif name not in ("", "."):
            parts.append(name)
    return ("/", *parts) if path.startswith("/") else tuple(parts)


def overlaps(written: Iterable[Entry]) -> list[tuple[Entry, Entry]]:
    """Pairs of paths that are equal, or of which one lies inside the other; found in one pass over the sorted paths."""
    found = []
    open_: list[Entry] = []
    for entry in sorted(written):
        while open_ and entry[0][: len(open_[-1][0])] != open_[-1][0]:
            open_.pop()
        if open_:
            found.append((open_[-1], entry))
        open_.append(entry)
    return found


def _overlap(context: Context, one: Entry, two: Entry) -> None:
    places = sorted((context.at(*entry[2], "path"), entry) for entry in (one, two))
    (before, first), (offset, second) = places
    line = context.text.line_of(before)
    who = "the same step" if first[1] == second[1] else f"the step {first[1]}"
    if one[0] == two[0]:
        message = f"{who} writes this path too (line {line})"
    else:
        message = f"this path and that of {who} in line {line} lie one inside the other"
    context.report("E401", message, offset, "every output needs a place of its own")


def _inside(context: Context, path: str, keys: tuple[Key, ...]) -> None:
    """A path stays in the project, or begins with `${{ roots.x }}`."""
    offset = context.at(*keys)
    if path.startswith("~"):
        context.report("E403", f"`{path}`: `~` is not filled in", offset, _roots_hint(path))
        return
    if path.startswith("/"):
        context.report("E403", f"`{path}` is outside the project", offset, _roots_hint(path))
        return
    depth = 0
    rest = path
    if _ROOT.match(path):
        rest = _EXPRESSION.sub("", path, count=1)
    elif path.startswith(OPEN):
        depth = 1
    for name in normal_names(rest):
        depth += -1 if name == ".." else 1
        if depth < 0:
            message = f"`{path}` leads out of the {'root' if rest is not path else 'project'}"
            context.report("E403", message, offset, _roots_hint(path))
            return


def normal_names(path: str) -> list[str]:
    """The names of a path without empty ones and `.`; `..` is kept."""
    path = _EXPRESSION.sub("x", path)
    return [name for name in path.split("/") if name not in ("", ".")]


def _roots_hint(path: str) -> str:
    return "name the folder under `roots` in mlorch.yaml, and write `${{ roots.NAME }}/…`" if path else ""


def _partition(context: Context, path: str, keys: tuple[Key, ...]) -> None:
    """Two partitions must not write one path: each dimension is part of it."""
    if not context.names.dimensions:
        return
    left = "/".join(normal(path)).replace("\0", "/")  # what `..` takes away tells no partitions apart
    try:
        names = partition_names(references(left))
    except ExpressionError:
        return
    what = f"`{keys[3]}`" if keys[2] == "outputs" else "`metrics`"
    time = context.pipeline.time_dimension
    lacking = sorted(unnamed(context.names.dimensions, time.name if time else "", names))
    for dimension in lacking:
        message = f"every partition by `{dimension}` would write the output {what} to this one path"
        context.report("E408", message, context.at(*keys, "path"), f"put `${{{{ partition.{dimension} }}}}` into it")
    # The usual spelling is seen without reading the expressions of thousands of steps.
    as_they_are = frozenset(name for name in names if f"${{{{partition.{name}}}}}" in left)
    if lacking or not unnamed(context.names.dimensions, time.name if time else "", as_they_are):
        return
    clash = _collisions(context).find(left)
    if clash is not None:
        message = f"the partitions `{clash.one}` and `{clash.two}` would write the output {what} to one path"
        hint = f"put `${{{{ partition.{clash.dimension} }}}}` into it"
        context.report("E408", message, context.at(*keys, "path"), hint)


def _collisions(context: Context) -> Collisions:
    if context.collisions is None:
        from mlorch.spec.rules.collisions import Collisions

        context.collisions = Collisions(context.pipeline, context.project)
    return context.collisions
