"""Bytes to `Project` and `Pipeline`, or every problem of a file at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from mlorch.model.diagnostics import Diagnostic, Place, Severity
from mlorch.model.spec import Pipeline, Project
from mlorch.spec import build
from mlorch.spec.key import digest_of, key_of

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

    from mlorch.spec.source import Source

T_co = TypeVar("T_co", covariant=True)


class Memory(Protocol):
    """Keeps what was found sound, so that an unchanged spec need not be parsed and checked again. May forget at any time."""

    def recall(self, key: str) -> str | None:
        """The text kept for `key`, None if there is none (any more)."""
        ...

    def remember(self, key: str, text: str) -> None:
        """Keep `text` for `key`."""
        ...


@dataclass(frozen=True, slots=True)
class Loaded(Generic[T_co]):
    """What was read: `value` is None if there are errors. `diagnostics` are sorted; `source` is None when recalled.

    `partial` is then what of it is sound, if anything is: for further problems, never to be run.
    """

    value: T_co | None
    diagnostics: tuple[Diagnostic, ...] = ()
    source: Source | None = None
    partial: T_co | None = None


def load_project(data: bytes | None, file: str, memory: Memory | None = None) -> Loaded[Project]:
    """The project file; None for one that is absent, which means all defaults."""
    if data is None:
        return Loaded(Project())
    digest = digest_of(data)
    key = key_of("project", digest, file, "")
    known = _recall(memory, key)
    if known is not None:
        return Loaded(build.project(known["data"], file, digest), _warnings(known))
    from mlorch.spec.check import check_project

    checked = check_project(data, file)
    if checked.data is None or _errors(checked.diagnostics):
        return Loaded(None, checked.diagnostics, checked.source)
    _remember(memory, key, checked.data, {}, checked.diagnostics)
    return Loaded(build.project(checked.data, file, digest), checked.diagnostics, checked.source)


def load_pipeline(
    data: bytes, file: str, project: Project | None = None, memory: Memory | None = None
) -> Loaded[Pipeline]:
    """One pipeline file, `file` relative to the project. With `memory` a spec found sound before is not checked again."""
    project = project or Project()
    digest = digest_of(data)
    key = key_of("pipeline", digest, file, project.digest)
    known = _recall(memory, key)
    if known is not None:
        places = {name: Place(file, *where) for name, where in known["places"].items()}
        return Loaded(build.pipeline(known["data"], project, file, digest, places), _warnings(known))
    from mlorch.spec.check import check_pipeline

    checked = check_pipeline(data, file, project, digest)
    if checked.pipeline is None or checked.data is None or _errors(checked.diagnostics):
        return Loaded(None, checked.diagnostics, checked.source, checked.pipeline)
    if memory is not None:
        where = {
            step.id: (step.place.line, step.place.column, step.place.width)
            for step in checked.pipeline.steps
            if step.place
        }
        _remember(memory, key, checked.data, where, checked.diagnostics)
    return Loaded(checked.pipeline, checked.diagnostics, checked.source)


def partial_project(data: bytes, file: str) -> Project:
    """What is sound of a project file that has errors; `validate` looks at the pipelines with it all the same."""
    from mlorch.spec.check import check_project

    checked = check_project(data, file)
    return build.project(checked.data, file, digest_of(data)) if checked.data is not None else Project()


def check_across(
    pipelines: Sequence[Pipeline],
    sources: Mapping[str, Source] | None = None,
    *,
    complete: bool = True,
    partial: Collection[str] = (),
) -> tuple[Diagnostic, ...]:
    """What can be wrong between pipelines: names, inputs from each other, cycles, paths written twice.

    `sources`, by file, make the places exact. Not `complete`: some files could not be read, so that a pipeline that is not
    among them is no error. Of the files in `partial` only what is sound is there, so that nothing is missed in them.
    """
    from mlorch.spec.rules.across import check_across as check

    return check(pipelines, sources, complete=complete, partial=partial)


def check_imports(
    pipeline: Pipeline, read: Callable[[str], str | None], source: Source | None = None
) -> tuple[Diagnostic, ...]:
    """Warnings about project modules that scripts of steps import and `code` does not cover. Reads by `read`, runs nothing."""
    from mlorch.spec.rules.imports import check_imports as check

    return check(pipeline, read, source)


def _errors(diagnostics: Iterable[Diagnostic]) -> bool:
    return any(problem.severity is Severity.ERROR for problem in diagnostics)


def _recall(memory: Memory | None, key: str) -> dict[str, Any] | None:
    text = memory.recall(key) if memory is not None else None
    if text is None:
        return None
    from json import loads

    try:
        known = loads(text)
    except (ValueError, RecursionError):
        return None
    return known if isinstance(known, dict) and known.keys() == {"data", "places", "warnings"} else None


def _remember(
    memory: Memory | None,
    key: str,
    data: dict[str, Any],
    places: dict[str, tuple[int, int, int]],
    found: Iterable[Diagnostic],
) -> None:
    if memory is None:
        return
    from json import dumps

    warnings = [
        [
            w.code,
            w.message,
            [w.place.file, w.place.line, w.place.column, w.place.width] if w.place else None,
            w.hint,
            w.source,
        ]
        for w in found
    ]
    document = {"data": data, "places": places, "warnings": warnings}
    memory.remember(key, dumps(document, separators=(",", ":"), ensure_ascii=False))


def _warnings(known: dict[str, Any]) -> tuple[Diagnostic, ...]:
    return tuple(
        Diagnostic(code, message, Place(*place) if place else None, hint, source)
        for code, message, place, hint, source in known["warnings"]
    )
