"""What a name stands for, as far as the file says so: one value, in which there are no further names, or a list."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlorch.lang.globs import is_glob
from mlorch.lang.terms import OPEN

if TYPE_CHECKING:
    from mlorch.model.spec import Input, Step
    from mlorch.spec.rules.context import Context

Path = tuple[str, ...]

_ONE_VALUE = frozenset({"partition", "git", "run", "previous", "roots", "env", "secrets", "values", "outputs"})
"""Roots whose names stand for a text, a number or a time."""


def whole(context: Context, path: Path) -> Path:
    """The beginning of a dotted name after which nothing more can come; the name itself if more may, or nothing does."""
    root = path[0]
    if root == "steps":
        size = {"state": 3, "outputs": 4, "values": 4}.get(path[2], len(path)) if len(path) > 2 else len(path)
    elif root == "params":
        types = context.param_types.get(path[1], ()) if len(path) > 1 else ()
        size = 2 if types and "object" not in types else len(path)
    else:
        size = {"attempt": 1}.get(root, 2 if root in _ONE_VALUE else len(path))
    return path[:size]


def is_list(context: Context, step: Step, path: Path) -> bool:
    """Whether a dotted name stands for a list, whatever a run is given."""
    if len(path) != 2:
        return False
    if path[0] == "params":
        return context.param_types.get(path[1]) == ("array",)
    return path[0] == "inputs" and any(item.name == path[1] and _many(item) for item in step.inputs)


def _many(item: Input) -> bool:
    return item.is_list or any(OPEN not in path and is_glob(path) for path in item.paths)
