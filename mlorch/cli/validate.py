"""`validate`, `schema` and `explain` without the command line: bytes in, reports and texts out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mlorch.model.diagnostics import Diagnostic, Place, Severity
from mlorch.model.errors import UsageError
from mlorch.model.spec import Pipeline, Project
from mlorch.session.profiles import profiled

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from mlorch.model.spec import Secret
    from mlorch.spec.load import Loaded


@dataclass(frozen=True, slots=True)
class FileReport:
    """One file: what was found in it. `name` is the pipeline's, "" for the project file or where it cannot be told."""

    file: str
    name: str
    diagnostics: tuple[Diagnostic, ...]

    @property
    def errors(self) -> int:
        """How many errors."""
        return sum(problem.severity is Severity.ERROR for problem in self.diagnostics)

    @property
    def warnings(self) -> int:
        """How many warnings."""
        return len(self.diagnostics) - self.errors


@dataclass(frozen=True, slots=True)
class Report:
    """All files, and what is wrong between them, sorted by place."""

    files: tuple[FileReport, ...]
    project: Project | None = None
    pipelines: tuple[Pipeline, ...] = ()

    @property
    def diagnostics(self) -> tuple[Diagnostic, ...]:
        """Every problem of every file."""
        return tuple(problem for file in self.files for problem in file.diagnostics)

    def ok(self, *, strict: bool = False) -> bool:
        """Whether there is no error; under `strict` no warning either."""
        return not any(strict or problem.severity is Severity.ERROR for problem in self.diagnostics)

    def data(self, *, strict: bool = False) -> dict[str, Any]:
        """What `-o json` shows as `data`."""
        files = [
            {
                "file": file.file,
                "pipeline": file.name or None,
                "errors": file.errors,
                "warnings": file.warnings,
                "ok": not file.errors,
            }
            for file in self.files
        ]
        return {"files": files, "ok": self.ok(strict=strict)}


def validate(
    project: tuple[str, bytes] | None,
    pipelines: Sequence[tuple[str, bytes]],
    read: Callable[[str], str | None],
    *,
    profile: str = "",
    unreadable: Sequence[Diagnostic] = (),
    missing_secret: Callable[[Secret], str] | None = None,
) -> Report:
    """Every problem of every file, and across files. `project` and `pipelines` are (file, bytes).

    `read` gives the text of a file of the project, for what scripts import. `missing_secret` says in words why a secret has
    no value now ("" if it has one). `profile` is that of the project ("" for none); `unreadable` are problems of files that could not even be read.
    """
    from mlorch.spec.load import check_across, check_imports, load_pipeline, load_project

    found: dict[str, list[Diagnostic]] = {}
    names: dict[str, str] = {}
    shared: Project | None = Project()
    if project is not None:
        loaded_project = load_project(project[1], project[0])
        found[project[0]] = list(loaded_project.diagnostics)
        shared = loaded_project.value
    if shared is not None:
        shared = profiled(shared, profile)
    loaded: list[Loaded[Pipeline]] = []
    for file, data in pipelines:
        one = load_pipeline(data, file, shared or _tolerant(project))
        loaded.append(one)
        found[file] = list(one.diagnostics)
        if one.value is not None:
            names[file] = one.value.name
            found[file] += check_imports(one.value, read, one.source)
            if missing_secret is not None:
                found[file] += _secrets(one.value, shared or Project(), missing_secret)
    sound = tuple(one.value for one in loaded if one.value is not None)
    partial = [one.partial for one in loaded if one.partial is not None and one.partial.name]
    complete = len(sound) + len(partial) == len(loaded) and not unreadable
    sources = {file: one.source for (file, _), one in zip(pipelines, loaded, strict=True) if one.source is not None}
    named = [known for one in loaded if (known := one.value or one.partial) is not None and known.name]
    across = check_across(named, sources, complete=complete, partial=[pipeline.file for pipeline in partial])
    for problem in (*across, *unreadable):
        found.setdefault(problem.place.file if problem.place else "", []).append(problem)
    reports = tuple(
        FileReport(file, names.get(file, ""), tuple(sorted(problems, key=lambda problem: problem.sort_key)))
        for file, problems in found.items()
    )
    return Report(reports, shared, sound)


def _tolerant(project: tuple[str, bytes] | None) -> Project:
    """What can be used of a project file with errors, so that its errors do not make others in every pipeline."""
    from mlorch.spec.load import partial_project

    return partial_project(project[1], project[0]) if project is not None else Project()


def _secrets(pipeline: Pipeline, project: Project, missing: Callable[[Secret], str]) -> Iterable[Diagnostic]:
    declared = {secret.name: secret for secret in (*project.secrets, *pipeline.secrets)}
    for name in dict.fromkeys(name for step in pipeline.steps for name in step.secrets):
        if name in declared and (why := missing(declared[name])):
            step = next(step for step in pipeline.steps if name in step.secrets)
            yield Diagnostic(
                "W108",
                f"the secret {name} is not there now: {why}",
                step.place or Place(pipeline.file),
                "set it before `mlorch run`",
            )


def explain(code: str) -> str:
    """The page of a code. Raises UsageError for one that does not exist."""
    from mlorch.spec.codes import CODES
    from mlorch.spec.codes import explain as page
    from mlorch.spec.shape import suggest

    text = page(code)
    if text is None:
        meant = suggest(code.strip().upper(), CODES)
        hint = f"did you mean {meant}?" if meant else f"codes go from {min(CODES)} to {max(CODES)}"
        raise UsageError(f"there is no code `{code}`", hint)
    return text


def schema(key: str = "") -> str:
    """A key of the language explained, or all of them. Raises UsageError for one that does not exist."""
    from mlorch.spec.entry import schema_entry

    try:
        return schema_entry(key)
    except KeyError as error:
        meant = str(error.args[0]) if error.args else ""
        hint = f"did you mean `{meant}`?" if meant else "`mlorch schema` lists all keys"
        raise UsageError(f"there is no key `{key}`", hint) from None
