"""Where output goes: streams, colours, width, and the files that views read and write through callables."""

from __future__ import annotations

import errno
import os
import stat
import sys
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rich.console import Console, RenderableType

    from mlorch.model.diagnostics import Place
    from mlorch.session.ahead import Ahead
    from mlorch.session.options import GlobalOptions
    from mlorch.session.session import Session
    from mlorch.views.rows import Row

_TABLE_WIDTH_OFF_TERMINAL = 160


class Terminal:
    """One invocation's way out. Nothing here raises because a reader went away: a closed output is no error."""

    def __init__(self, command: str, options: GlobalOptions) -> None:
        self.command = command
        self.options = options
        self.printed_document = False
        self.state_folder = ""
        self.project = ""

    @property
    def json(self) -> bool:
        """One document on stdout, all else on stderr."""
        return self.options.output == "json"

    @property
    def table(self) -> bool:
        """Tables in colour."""
        return self.options.output == "table"

    @property
    def github(self) -> bool:
        """Lines that a GitHub runner reads."""
        return self.options.output == "github"

    @property
    def live(self) -> bool:
        """Whether something may be redrawn in place."""
        return self.table and is_terminal(sys.stdout) and not dumb() and not self.options.quiet

    def session(self, ahead: Ahead | None = None) -> Session:
        """The project that was asked for, of which `ahead` is read already. Raises `UsageError` when there is none, `SpecError` when it is wrong."""
        from mlorch.session.session import open_session

        session: Session = open_session(self.options, ahead)
        self.state_folder = session.state_folder
        self.project = session.workspace.root
        return session

    def in_repository(self, place: Place | None) -> Place | None:
        """The place as GitHub names it: from the top of its checkout, of which the project may be a folder."""
        top = os.environ.get("GITHUB_WORKSPACE", "")
        if place is None or not top:
            return place
        from dataclasses import replace

        from mlorch.model.errors import UsageError
        from mlorch.world.project import find_project

        try:
            project = self.project or find_project(os.getcwd(), self.options.project or None)
        except UsageError:
            return place
        file = os.path.relpath(os.path.join(os.path.realpath(project), place.file), os.path.realpath(top))
        return place if file.startswith("..") else replace(place, file=file)

    def say(self, text: str = "") -> None:
        """A line on stdout; on stderr when stdout holds a document."""
        if self.github:
            from mlorch.views.github import tame

            text = tame(text) if not text.startswith(" ") else " " + tame(text[1:])
        self.raw(text)

    def raw(self, text: str) -> None:
        """The same for lines that may hold commands for a runner."""
        _write(sys.stderr if self.json else sys.stdout, text + "\n")

    def lines(self, lines: Iterable[str]) -> None:
        """Several lines."""
        for line in lines:
            self.say(line)

    def warn(self, text: str) -> None:
        """A line on stderr."""
        _write(sys.stderr, text + "\n")

    def show(self, *parts: RenderableType, error: bool = False) -> None:
        """Something of `rich`, on stdout or stderr."""
        console = self.console(error=error)
        try:
            for part in parts:
                console.print(part)
        except OSError as closed:
            _closed(console.file, closed)

    def paste(self, text: str) -> None:
        """A command to copy, never wrapped by us."""
        self.raw(f"  {text}")

    def console(self, *, error: bool = False) -> Console:
        """A console as wide as the terminal, or wide enough when there is none."""
        from mlorch.views.console import PatientConsole

        stream = sys.stderr if error or self.json else sys.stdout
        width = None if is_terminal(stream) else int(os.environ.get("COLUMNS") or 0) or _TABLE_WIDTH_OFF_TERMINAL
        return PatientConsole(
            file=stream,
            width=width,
            no_color=not self.options.color,
            color_system="auto" if self.options.color else None,
            highlight=False,
            markup=False,
            emoji=False,
        )

    @property
    def width(self) -> int:
        """Columns of what tables are printed on."""
        return self.console().width

    def document(self, exit_code: int, data: dict[str, Any], problems: Sequence[Row] = ()) -> None:
        """The one document of `-o json`; the first one counts."""
        if self.printed_document:
            return
        from mlorch.views.json_ import document

        self.printed_document = True
        _write(sys.stdout, document(self.command, exit_code, data, problems))

    def tail(self, log: str, limit: int) -> bytes:
        """The last `limit` bytes of a log, whose path is relative to the state folder; nothing if it is not there."""
        try:
            with open(self.log_path(log), "rb") as file:
                end = file.seek(0, os.SEEK_END)
                file.seek(max(end - limit, 0))
                return file.read(limit)
        except OSError:
            return b""

    def log_path(self, log: str) -> str:
        """The absolute path of a log."""
        return os.path.join(self.state_folder, log)

    def shown_path(self, log: str) -> str:
        """The shortest path to a log that works from here."""
        path = self.log_path(log)
        here = os.path.relpath(path)
        return path if here.startswith("..") else here

    def append_summary(self, text: str) -> None:
        """Add to the page that GitHub shows for the job, if there is one."""
        path = os.environ.get("GITHUB_STEP_SUMMARY", "")
        if not path or not text:
            return
        try:
            with open(path, "a", encoding="utf-8", errors="backslashreplace") as file:
                file.write(text)
        except OSError as error:
            self.warn(f"the job summary could not be written: {error}")


def is_terminal(stream: TextIO | None) -> bool:
    """Whether somebody looks at it."""
    try:
        return stream is not None and stream.isatty()
    except ValueError:
        return False


def dumb() -> bool:
    """A terminal that cannot move its cursor."""
    return os.environ.get("TERM", "") in ("", "dumb", "unknown")


def prepare_streams() -> None:
    """Undecodable names of files must never end a program that only wanted to show them; lines go out as they come."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace", line_buffering=True)


def finish_streams() -> str:
    """Write out what is buffered. Says why that failed ("" if it did not, or the reader just went away)."""
    trouble = ""
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is not None:
                stream.flush()
        except OSError as error:
            trouble = _closed(stream, error)
        except ValueError:
            continue
    return trouble


def _write(stream: TextIO | None, text: str) -> None:
    if stream is None:
        return
    try:
        stream.write(text)
    except OSError as error:
        _closed(stream, error)
    except ValueError:
        # The stream was closed by somebody above us.
        return


def _closed(stream: Any, error: OSError) -> str:
    """Send what is still to come to nowhere, so that neither we nor the interpreter's last flush fail."""
    try:
        # What a terminal that was closed says: nobody is there to read, as with a pipe that was.
        hung_up = error.errno == errno.EIO and stat.S_ISCHR(os.fstat(stream.fileno()).st_mode)
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
    except (OSError, ValueError):
        return ""
    if hung_up or isinstance(error, BrokenPipeError):
        return ""
    _TROUBLE.append(f"output could not be written: {error.strerror}")
    return _TROUBLE[0]


_TROUBLE: list[str] = []


def output_trouble() -> str:
    """Why something could not be written, if that was not just a reader who went away."""
    return _TROUBLE[0] if _TROUBLE else ""
