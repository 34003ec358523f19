"""The paths that the jobs of one command will write, where their text alone does not tell partitions apart."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mlorch.lang.expressions import ExpressionError, render
from mlorch.lang.partitions import partition_scope
from mlorch.lang.telling import untold
from mlorch.model.diagnostics import Diagnostic
from mlorch.model.errors import SpecError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mlorch.model.spec import Pipeline, Step


class Claims:
    """Who writes what. `validate` finds most paths that two partitions share; labels that only a run knows show here."""

    def __init__(self, roots: Mapping[str, str], git: Mapping[str, Any]) -> None:
        self._fixed: dict[str, object] = {"roots": roots, "git": git}
        self._unsure: dict[str, tuple[tuple[Step, str, str], ...]] = {}
        self._writers: dict[tuple[str, str], str] = {}

    def add(self, pipeline: Pipeline, params: Mapping[str, Any], key: str) -> None:
        """A partition is to be run. Raises `SpecError` if one of its paths is that of another partition."""
        if pipeline.name not in self._unsure:
            self._unsure[pipeline.name] = tuple(_unsure(pipeline))
        unsure = self._unsure[pipeline.name]
        if not unsure:
            return
        scope = self._fixed | {"params": params, "partition": partition_scope(pipeline.partitions, key)}
        for step, name, template in unsure:
            try:
                path = render(template, scope).rstrip("/")
            except ExpressionError:  # the run tells of it, at its place
                continue
            other = self._writers.setdefault((pipeline.name, path), key)
            if other != key:
                raise _shared(pipeline, step, name, path, (other, key))


def _unsure(pipeline: Pipeline) -> list[tuple[Step, str, str]]:
    """The outputs whose path does not hold a label of each dimension as it is: step, name, path."""
    found = []
    for step in pipeline.steps if pipeline.partitions else ():
        named = [(output.name, output.path) for output in step.outputs]
        named += [("metrics", step.metrics)] if step.metrics else []
        found += [(step, name, path) for name, path in named if ".." in path or untold(pipeline.partitions, path)]
    return found


def _shared(pipeline: Pipeline, step: Step, name: str, path: str, keys: tuple[str, str]) -> SpecError:
    one, two = keys
    message = f"the partitions `{one}` and `{two}` would both write {path}"
    dimensions = [dimension.name for dimension in pipeline.partitions]
    differs = next(d for d, a, b in zip(dimensions, one.split(","), two.split(","), strict=True) if a != b)
    hint = f"put `${{{{ partition.{differs} }}}}` into the path"
    where = ("metrics",) if name == "metrics" and step.metrics else ("outputs", name, "path")
    return SpecError((Diagnostic("E408", message, step.place, hint, keys=("steps", step.id, *where)),))
