"""What stops mlorch itself, by who must act; each class carries its exit code.

A wrong spec is data (`Diagnostic`), a failed step is an event; neither is an exception by itself.
"""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mlorch.model.diagnostics import Diagnostic


class ExitCode(IntEnum):
    """Exit codes of the command line (docs/cli.md lists them); 128+N for signal N is not named here."""

    OK = 0
    FAILED = 1
    USAGE = 2
    SPEC = 3
    INCOMPLETE = 4
    NOT_READY = 5
    BUSY = 6
    ATTENTION = 7
    WOULD_CHANGE = 8
    STATE = 9
    BUG = 10
    CANCELLED = 11
    TIMED_OUT = 12


class MlorchError(Exception):
    """Base of all that stops mlorch with a message for people.

    `message` says what and where, `hint` how to mend it (may be empty).
    """

    exit_code: ExitCode = ExitCode.BUG

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class UsageError(MlorchError):
    """The command line is wrong: the person who typed it must act."""

    exit_code = ExitCode.USAGE


class SpecError(MlorchError):
    """A spec, project file, parameter or secret is wrong; nothing ran."""

    exit_code = ExitCode.SPEC

    def __init__(self, diagnostics: tuple[Diagnostic, ...]) -> None:
        first = diagnostics[0].message if diagnostics else "the spec is wrong"
        super().__init__(first)
        self.diagnostics = diagnostics


class NotReadyError(MlorchError):
    """What was asked for cannot be yet: a window still open, an input awaited."""

    exit_code = ExitCode.NOT_READY


class BusyError(MlorchError):
    """A lock is held by somebody else, and it did not come free in time."""

    exit_code = ExitCode.BUSY


class StateError(MlorchError):
    """State cannot be read or written: the owner of the disk must act."""

    exit_code = ExitCode.STATE


class FileError(MlorchError):
    """A file of the project cannot be read or written: not permitted, or of the wrong kind.

    The runner makes it the failure of the step concerned; anywhere else it ends the command with 1.
    """

    exit_code = ExitCode.FAILED

    def __init__(self, message: str, hint: str = "", path: str = "") -> None:
        super().__init__(message, hint)
        self.path = path

    @property
    def told(self) -> str:
        """What is wrong and how to mend it, in one line."""
        return f"{self.message} ({self.hint})" if self.hint else self.message


class MachineError(MlorchError):
    """This machine lacks a program that the command works with, or the program refused: its owner must act."""

    exit_code = ExitCode.FAILED
