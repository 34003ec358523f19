"""The one place where errors become words and exit codes."""

from __future__ import annotations

import errno
import os
import sys
from typing import TYPE_CHECKING

from mlorch.model.errors import ExitCode, MlorchError, SpecError, StateError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mlorch.cli.terminal import Terminal
    from mlorch.model.diagnostics import Diagnostic

_SIGINT = 128 + 2


def guard(terminal: Terminal, work: Callable[[], int]) -> int:
    """Do `work`; whatever stops it becomes a message and an exit code."""
    try:
        return work()
    except SpecError as error:
        return _wrong_spec(terminal, error)
    except MlorchError as error:
        return failed(terminal, error)
    except KeyboardInterrupt:
        terminal.warn("interrupted")
        return _SIGINT
    except BrokenPipeError:
        return ExitCode.OK
    except Exception as error:  # noqa: BLE001 - a bug of ours must not look like a failed step
        return bug(terminal, error)


def failed(terminal: Terminal, error: MlorchError) -> int:
    """Word an error that is no diagnostic."""
    code = int(error.exit_code)
    if terminal.json:
        from mlorch.views.json_ import error_problems, nothing

        terminal.document(code, nothing(terminal.command), error_problems(error))
    elif terminal.github:
        from mlorch.views.github import annotation

        terminal.raw(annotation("error", error.message + (f" ({error.hint})" if error.hint else "")))
        return code
    say_error(terminal, error.message, error.hint)
    return code


def usage(terminal: Terminal, message: str, hint: str = "") -> int:
    """The command line is wrong."""
    return failed(terminal, UsageError(message, hint))


def say_error(terminal: Terminal, message: str, hint: str = "") -> None:
    """`error: …` and how to mend it, on stderr."""
    from mlorch.views.text import visible

    label = "\x1b[1;31merror:\x1b[0m" if terminal.options.color and sys.stderr.isatty() else "error:"
    lines = [visible(line) for line in message.splitlines()] or [""]
    terminal.warn(f"{label} {lines[0]}")
    for line in lines[1:]:
        terminal.warn(f"  {line}")
    for line in hint.splitlines():
        terminal.warn(f"  {visible(line)}")


def _wrong_spec(terminal: Terminal, error: SpecError) -> int:
    if any(problem.keys for problem in error.diagnostics):
        error = SpecError(tuple(_pinpointed(terminal, problem) for problem in error.diagnostics))
    if terminal.json:
        from mlorch.views.json_ import error_problems, nothing

        terminal.document(int(error.exit_code), nothing(terminal.command), error_problems(error))
    if error.diagnostics:
        say_problems(terminal, error.diagnostics, error=True)
    else:
        say_error(terminal, error.message, error.hint)
    return int(error.exit_code)


def say_problems(terminal: Terminal, problems: Sequence[Diagnostic], *, error: bool = False) -> None:
    """Problems by place, with their source lines; as annotations for GitHub. `error`: on stderr."""
    ordered = [_with_source(terminal, item) for item in sorted(problems, key=lambda item: item.sort_key)]
    if terminal.github:
        from dataclasses import replace

        from mlorch.views.github import diagnostic_line

        for problem in ordered:
            terminal.raw(diagnostic_line(replace(problem, place=terminal.in_repository(problem.place))))
        return
    from mlorch.views.problems import problem_lines, totals

    colour = terminal.options.color and (sys.stderr if error else sys.stdout).isatty()
    tell = terminal.warn if error else terminal.raw
    for problem in ordered:
        for line in problem_lines(problem, colour=colour):
            tell(line)
    tell(totals(ordered))


def _pinpointed(terminal: Terminal, problem: Diagnostic) -> Diagnostic:
    """The problem with the place that its keys lead to; as it is if the file cannot be read any more."""
    from mlorch.spec.pinpoint import pinpoint

    if problem.place is None or not problem.keys:
        return problem
    try:
        with open(os.path.join(terminal.project, problem.place.file), "rb") as file:
            return pinpoint(problem, file.read())
    except OSError:
        return problem


def _with_source(terminal: Terminal, problem: Diagnostic) -> Diagnostic:
    """The problem with the line that it is about, also where that was not at hand when the problem was found."""
    place = problem.place
    if place is None or problem.source or place.line == 1:
        return problem
    from dataclasses import replace
    from itertools import islice

    try:
        with open(os.path.join(terminal.project, place.file), encoding="utf-8", errors="replace") as file:
            return replace(problem, source=next(islice(file, place.line - 1, None), "").rstrip("\r\n"))
    except OSError:
        return problem


def bug(terminal: Terminal, error: BaseException) -> int:
    """Keep the traceback in a file and say where it is."""
    if isinstance(error, OSError) and error.errno in (errno.EMFILE, errno.ENFILE):
        # It may be met anywhere, also by an import: no file can be opened, and that is nothing to report.
        return failed(terminal, StateError("too many open files", "raise `ulimit -n`"))
    import traceback

    text = "".join(traceback.format_exception(error))
    path = _keep(terminal.state_folder, text)
    where = f"its traceback is in {path}" if path else "its traceback could not be kept:"
    message = f"mlorch has a bug ({type(error).__name__}); {where}"
    hint = "please report it with that file"
    if terminal.json:
        from mlorch.views.json_ import nothing, plain_problem

        terminal.document(ExitCode.BUG, nothing(terminal.command), [plain_problem(message, hint)])
    say_error(terminal, message, hint if path else text)
    return ExitCode.BUG


def _keep(state_folder: str, text: str) -> str:
    """Write the traceback where it can be written: the state folder, else the system's temporary folder."""
    import tempfile

    from mlorch import __version__

    head = f"mlorch {__version__}, Python {sys.version.split()[0]}, {' '.join(sys.argv[1:2])}\n\n"
    for folder in (state_folder, tempfile.gettempdir()):
        if not folder or not os.path.isdir(folder):
            continue
        try:
            descriptor, path = tempfile.mkstemp(prefix="mlorch-bug-", suffix=".txt", dir=folder)
            with os.fdopen(descriptor, "w", encoding="utf-8", errors="backslashreplace") as file:
                file.write(head + text)
        except OSError:
            continue
        return path
    return ""
