"""What `mlorch doctor` says of the machine and the project: the interpreter, the tools, the specs and what they call."""

from __future__ import annotations

import os
import shutil
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from mlorch.lang.commands import parse_command
from mlorch.lang.expressions import ExpressionError
from mlorch.lang.words import CommandError
from mlorch.model.diagnostics import Severity
from mlorch.model.findings import Area, Finding, Level
from mlorch.world.machine import boot_id, cpus, start_ticks

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from mlorch.model.diagnostics import Diagnostic
    from mlorch.model.spec import Pipeline, Step
    from mlorch.session.workspace import Workspace

_LITTLE = 256 * 1024 * 1024
_MIB = 1024 * 1024
_OLDEST = (3, 11)
_BUILT = datetime(2025, 1, 1, tzinfo=UTC)
_SHOWN = 5


def _machine(level: Level, message: str, remedy: str = "") -> Finding:
    return Finding(Area.MACHINE, level, message, remedy)


def machine(root: str) -> Iterator[Finding]:
    """Python, the system, its clock, git, and the room on the project's disk."""
    version = sys.version.split()[0]
    if sys.version_info[:2] < _OLDEST:
        yield _machine(Level.PROBLEM, f"Python {version} is too old", "install Python 3.11 or later")
    else:
        yield _machine(Level.OK, f"Python {version} at {sys.executable}; {cpus()} CPUs may be used")
    if not boot_id() or start_ticks(os.getpid()) is None:
        yield _machine(
            Level.PROBLEM,
            "/proc is not there: processes cannot be told from strangers with their numbers",
            "mlorch runs on Linux; in a container, mount /proc",
        )
    git = shutil.which("git")
    if git is None:
        remedy = "install git, or put it into the PATH, if runs should record the commit that they ran with"
        yield _machine(Level.WARNING, "git was not found in the PATH", remedy)
    else:
        yield _machine(Level.OK, f"git at {git}")
    yield _clock(root)
    disk = os.statvfs(root)
    free = disk.f_bavail * disk.f_frsize
    if free < _LITTLE:
        yield _machine(Level.WARNING, f"the disk of {root} has only {free // _MIB} MiB left", "free some (`df -h`)")


def _clock(root: str) -> Finding:
    """A clock that was set back shows in files that are from the future."""
    now = datetime.now(UTC)
    if now < _BUILT:
        return _machine(Level.PROBLEM, f"the clock says {now:%Y-%m-%d}", "set it: schedules and ages go by it")
    newest = max((_modified(f"{root}/{name}") for name in (".", "pipelines", "mlorch.yaml")), default=0.0)
    if newest > now.timestamp() + 60:
        return _machine(
            Level.WARNING,
            f"the clock says {now:%Y-%m-%dT%H:%M:%SZ}, and files of the project are newer",
            "set the clock (`timedatectl`): schedules and ages go by it",
        )
    return _machine(Level.OK, f"the clock says {now:%Y-%m-%dT%H:%M:%SZ}")


def _modified(path: str) -> float:
    try:
        return os.stat(path).st_mtime
    except OSError:
        return 0.0


def specs(problems: Iterable[Diagnostic], files: int) -> Iterator[Finding]:
    """Whether the specs can be used."""
    found = sorted(problems, key=lambda problem: problem.sort_key)
    errors = [problem for problem in found if problem.severity is Severity.ERROR]
    for problem in errors:
        file, line = (problem.place.file, problem.place.line) if problem.place else ("", 0)
        where = f"{problem.place}: " if problem.place else ""
        message = f"{where}{problem.code}: {problem.message}"
        yield Finding(Area.PROJECT, Level.PROBLEM, message, problem.hint or "mlorch validate", file, line)
    if len(found) > len(errors):
        warnings = len(found) - len(errors)
        what = "1 warning" if warnings == 1 else f"{warnings} warnings"
        yield Finding(Area.PROJECT, Level.WARNING, f"the specs have {what}", "`mlorch validate` shows them")
    if not files:
        remedy = "write one into pipelines/, or set `pipelines:` in mlorch.yaml"
        yield Finding(Area.PROJECT, Level.WARNING, "the project has no pipeline file", remedy)
    elif not errors:
        what = "1 pipeline file is" if files == 1 else f"{files} pipeline files are"
        yield Finding(Area.PROJECT, Level.OK, f"{what} sound")


def programs(workspace: Workspace, pipelines: Iterable[Pipeline]) -> Iterator[Finding]:
    """Whether the programs that the steps call are found. Runs nothing."""
    wanted: dict[tuple[str, str], list[str]] = {}
    for pipeline in pipelines:
        for step in pipeline.steps:
            path = _path(workspace, pipeline, step)
            for name in _called(step):
                wanted.setdefault((name, path), []).append(f"{pipeline.name}.{step.id}")
    missing = 0
    for (name, path), steps in sorted(wanted.items()):
        if _found(workspace.root, name, path):
            continue
        missing += 1
        more = f" and {len(steps) - _SHOWN} more" if len(steps) > _SHOWN else ""
        yield Finding(
            Area.PROJECT,
            Level.PROBLEM,
            f"{name}, which {', '.join(steps[:_SHOWN])}{more} would start, is not found",
            f"install it, or see that `env: {{PATH: …}}` in mlorch.yaml leads to it (now: {path})",
        )
    if wanted and not missing:
        names = sorted({name for name, _ in wanted})
        yield Finding(Area.PROJECT, Level.OK, f"programs that steps start are found: {', '.join(names[:12])}")


def _path(workspace: Workspace, pipeline: Pipeline, step: Step) -> str:
    """The PATH as it will be for a step, as far as it is plain text."""
    for level in (step.env, pipeline.env, workspace.project.env):
        for name, text in level:
            if name == "PATH" and "${{" not in text:
                return text
    return os.environ.get("PATH", os.defpath)


def _called(step: Step) -> tuple[str, ...]:
    """The programs that the step's command surely starts: the first word of an argv list, the shell of a text."""
    try:
        command = parse_command(step.run, step.shell)
    except (CommandError, ExpressionError):
        return ()
    if command.mode == "argv":
        first = command.arguments[0] if command.arguments else ()
        return (first[0],) if len(first) == 1 and isinstance(first[0], str) else ()
    return ("python3",) if command.mode == "python" else (command.shell or "sh",)


def _found(root: str, name: str, path: str) -> bool:
    if "/" in name:
        return os.access(os.path.join(root, name), os.X_OK)
    folders = os.pathsep.join(os.path.join(root, folder) for folder in path.split(os.pathsep))
    return shutil.which(name, path=folders) is not None
