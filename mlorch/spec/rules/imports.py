"""Which modules of the project a step's Python script imports, and whether `code` covers them. Reads, never runs."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from mlorch.lang.commands import executed, parse_command
from mlorch.lang.globs import match
from mlorch.model.diagnostics import Diagnostic
from mlorch.spec.places import ordered, walk_place

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from mlorch.model.spec import Pipeline, Step
    from mlorch.spec.source import Source

    Read = Callable[[str], str | None]


_MOST_FILES = 500
_LONGEST = 2_000_000


def check_imports(pipeline: Pipeline, read: Read, source: Source | None = None) -> tuple[Diagnostic, ...]:
    """A warning for each step whose script imports project modules that its `code` does not name.

    `read` gives the text of a file of the project by its path, None where there is none.
    """
    return ordered(problem for step in pipeline.steps if (problem := _step(step, read, source)) is not None)


def _step(step: Step, read: Read, source: Source | None) -> Diagnostic | None:
    try:
        candidates = executed(parse_command(step.run, step.shell))
    except ValueError:
        return None
    scripts = [path for candidate in candidates for path in _scripts(candidate, read)]
    if not scripts:
        return None
    missing = sorted(path for path in imported(scripts, read) if not any(match(glob, path) for glob in step.code))
    if not missing:
        return None
    shown = ", ".join(missing[:3]) + (f" and {len(missing) - 3} more" if len(missing) > 3 else "")
    message = f"the script of step {step.id} imports {shown}, whose change would not run it again"
    globs = dict.fromkeys(f"{path.rpartition('/')[0]}/*.py".lstrip("/") for path in missing)
    hint = f"add `code: [{', '.join(globs)}]` to the step"
    if source is not None and source.data is not None:
        return source.text.problem("W103", message, walk_place(source.data, ("steps", step.id, "run")), hint)
    return Diagnostic("W103", message, step.place, hint)


def _scripts(candidate: tuple[str, str], read: Read) -> list[str]:
    """Files of the project that a candidate of `executed` stands for."""
    kind, name = candidate
    if kind == "path":
        path = name.removeprefix("./")
        return [path] if path.endswith(".py") and "${{" not in path and not path.startswith(("/", "..")) else []
    base = name.replace(".", "/")
    return [path for path in (f"{base}.py", f"{base}/__main__.py") if read(path) is not None]


def imported(scripts: Iterable[str], read: Read) -> set[str]:
    """Paths of the project's modules that `scripts` import, directly or through each other; the scripts left out."""
    first = set(scripts)
    found: set[str] = set()
    work = [(path, path.rpartition("/")[0]) for path in sorted(first)]
    while work and len(found) < _MOST_FILES:
        path, home = work.pop()
        for module in _modules(path, read(path) or ""):
            for place in _files(module, home, read):
                if place not in found and place not in first:
                    found.add(place)
                    work.append((place, home))
    return found


def _modules(path: str, text: str) -> list[str]:
    """Names of the modules that a text imports; relative ones as paths (`./x/y`)."""
    if len(text) > _LONGEST:
        return []
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return []
    folder = path.rpartition("/")[0]
    names: list[str] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parts = folder.split("/") if folder else []
                kept = parts[: len(parts) - node.level + 1] if node.level <= len(parts) + 1 else parts
                base = "./" + "/".join((*kept, *base.split("."))).strip("/")
            joint = "/" if node.level else "."
            names.append(base)
            names += [f"{base.rstrip('/')}{joint}{alias.name}" for alias in node.names]
    return names


def _files(module: str, home: str, read: Read) -> list[str]:
    """Files that make up `module`: beside the script (where Python looks first), or from the project's folder."""
    if module.startswith("./"):
        roots, name = [""], module[2:]
    else:
        roots, name = [f"{home}/" if home else "", ""], module.replace(".", "/")
    parts = name.split("/")
    for root in dict.fromkeys(roots):
        chain = [f"{root}{'/'.join(parts[:count])}/__init__.py" for count in range(1, len(parts))]
        for last in (f"{root}{name}.py", f"{root}{name}/__init__.py"):
            if read(last) is not None:
                return [*(path for path in chain if read(path) is not None), last]
    return []
