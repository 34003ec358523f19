"""`validate`, `schema`, `explain` and `version`: what needs no state."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Annotated

import typer

from mlorch.cli.app import command, theme
from mlorch.model.errors import ExitCode, FileError, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mlorch.cli.terminal import Terminal
    from mlorch.cli.validate import Report
    from mlorch.model.diagnostics import Diagnostic
    from mlorch.model.spec import Secret

app = theme()
_LARGEST_SCRIPT = 4 * 1024 * 1024


@command(
    app,
    "validate",
    """
mlorch validate                              the whole project
mlorch validate pipelines/delay_model.yaml   one file, read together with the others
mlorch validate --strict -o github           for a check of pull requests
""",
)
def validate(
    ctx: typer.Context,
    paths: Annotated[
        list[str] | None,
        typer.Argument(metavar="[PATH]...", help="Files or folders (default: the project and all its pipelines)."),
    ] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Exit 4 when there are warnings.")] = False,
) -> int:
    """Every problem of every file, and across files. Runs nothing of them.

    Each problem has its place, a code that `mlorch explain` knows, and how to mend it.
    """
    from mlorch.cli.errors import say_problems

    terminal: Terminal = ctx.obj
    report, chosen = _looked_at(terminal, tuple(paths or ()))
    problems = [problem for file in report.files if file.file in chosen for problem in file.diagnostics]
    errors = any(problem.severity == "error" for problem in problems)
    code = ExitCode.SPEC if errors else ExitCode.INCOMPLETE if strict and problems else ExitCode.OK
    if terminal.json:
        from mlorch.views.json_ import diagnostics

        data = report.data(strict=strict)
        data = {"files": [file for file in data["files"] if file["file"] in chosen], "ok": code is ExitCode.OK}
        terminal.document(code, data, diagnostics(problems))
        return code
    if problems:
        say_problems(terminal, problems)
    elif not terminal.options.quiet:
        terminal.say(_well(report, chosen))
    return code


def _well(report: Report, chosen: frozenset[str]) -> str:
    from mlorch.views.text import count

    looked_at = [file for file in report.files if file.file in chosen]
    return f"{count(len(looked_at), 'file')}: no problems" if looked_at else "no pipelines here yet"


def _looked_at(terminal: Terminal, paths: tuple[str, ...]) -> tuple[Report, frozenset[str]]:
    """The report on the whole project, since files depend on each other, and the files that were asked for."""
    from mlorch.cli.validate import validate as check
    from mlorch.model.diagnostics import Diagnostic, Place
    from mlorch.world.project import PROJECT_FILE, read_file

    root = terminal.project = _root(terminal, paths)
    unreadable: list[Diagnostic] = []

    def read(file: str) -> tuple[str, bytes] | None:
        try:
            return file, read_file(os.path.join(root, file))
        except FileError as error:
            unreadable.append(Diagnostic("E001", error.message, Place(file), error.hint))
            return None

    project = read(PROJECT_FILE) if os.path.lexists(os.path.join(root, PROJECT_FILE)) else None
    named = tuple(os.path.relpath(os.path.abspath(path), root) for path in paths)
    files = dict.fromkeys((*_project_files(root, project), *_expanded(root, named)))
    files.pop(PROJECT_FILE, None)
    pipelines = [found for found in map(read, files) if found is not None]
    report = check(
        project,
        pipelines,
        lambda path: _script(root, path),
        profile=terminal.options.profile,
        unreadable=unreadable,
        missing_secret=_missing_secret,
    )
    chosen = frozenset(_expanded(root, named)) if paths else frozenset(file.file for file in report.files)
    return report, chosen


def _root(terminal: Terminal, paths: tuple[str, ...]) -> str:
    """The project of this folder; without one, that of the first path, or just the folder that it is in."""
    from mlorch.world.project import find_project

    for path in paths:
        if not os.path.lexists(path):
            raise UsageError(
                f"{path} does not exist", "give files or folders; without any, all pipelines of the project are checked"
            )
    try:
        root = find_project(os.getcwd(), terminal.options.project or None)
    except UsageError:
        if not paths:
            raise
        root = ""
    if not paths or terminal.options.project:
        return root
    first = os.path.abspath(paths[0])
    if root and os.path.commonpath((root, first)) == root:
        return root
    folder = first if os.path.isdir(first) else os.path.dirname(first)
    try:
        return find_project(folder)
    except UsageError:
        return folder


def _project_files(root: str, project: tuple[str, bytes] | None) -> tuple[str, ...]:
    from mlorch.model.spec import Project
    from mlorch.spec.load import partial_project
    from mlorch.world.project import pipeline_files

    patterns = (partial_project(project[1], project[0]) if project else Project()).pipelines
    return pipeline_files(root, patterns)


def _expanded(root: str, named: Sequence[str]) -> list[str]:
    """Files as they are; of a folder the YAML files below it, hidden ones left out."""
    found: list[str] = []
    for name in named:
        top = os.path.join(root, name)
        if not os.path.isdir(top):
            found.append(name)
            continue
        for folder, below, files in os.walk(top):
            below[:] = sorted(item for item in below if not item.startswith("."))
            found += [
                os.path.relpath(os.path.join(folder, file), root)
                for file in sorted(files)
                if file.endswith((".yaml", ".yml")) and not file.startswith(".")
            ]
    return found


def _script(root: str, path: str) -> str | None:
    """The text of a script inside the project; None for what is not there, not a text, or leads out of it."""
    from mlorch.world.project import read_file

    whole = os.path.realpath(os.path.join(root, path))
    if not whole.startswith(os.path.realpath(root) + os.sep):
        return None
    try:
        return read_file(whole, _LARGEST_SCRIPT).decode("utf-8", "replace")
    except FileError:
        return None


def _missing_secret(secret: Secret) -> str:
    """Why a secret has no value now, as far as that can be told without running or reading anything."""
    if secret.source == "env" and not os.environ.get(secret.value):
        return f"the variable {secret.value} is not set"
    return ""


@command(
    app,
    "schema",
    """
mlorch schema                  all keys
mlorch schema steps.retry
""",
)
def schema(
    ctx: typer.Context,
    key: Annotated[str, typer.Argument(metavar="[KEY]", help="A key, with dots: steps.outputs (default: all).")] = "",
) -> int:
    """Explain a key of the pipeline file: its type, its default, what it does."""
    from mlorch.cli.validate import schema as page

    text = page(key)
    return _page(ctx.obj, text, {"key": key or None, "text": text})


@command(app, "explain", "mlorch explain E301")
def explain(
    ctx: typer.Context,
    code: Annotated[str, typer.Argument(metavar="CODE", help="The code of a problem: E… or W….")],
) -> int:
    """Explain the code of a problem: what it means and how to mend it."""
    from mlorch.cli.validate import explain as page

    text = page(code)
    return _page(ctx.obj, text, {"code": code.strip().upper(), "text": text})


def _page(terminal: Terminal, text: str, data: dict[str, str | None]) -> int:
    if terminal.json:
        terminal.document(0, data)
    else:
        terminal.lines(text.rstrip("\n").splitlines())
    return 0


@command(app, "version", "mlorch version -o json | jq -r .data.version")
def version(ctx: typer.Context) -> int:
    """The version of mlorch."""
    from mlorch import __version__

    terminal: Terminal = ctx.obj
    if terminal.json:
        terminal.document(0, {"version": __version__})
    else:
        terminal.say(f"mlorch {__version__}")
    return 0
