"""The user's crontab as text: the one marked block of a project in it, and nothing else touched.

A crontab is text of others: what stands outside our block goes back byte for byte, whatever it is. The line itself names no time zone:
it fires every minute, which is the same in every zone, and `mlorch tick` evaluates each schedule in its own.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

EVERY_MINUTE = "* * * * *"
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
"""Where commands are found, after the folder of mlorch itself: the same whoever installs and whoever checks."""

_NOTE = "# Made by `mlorch cron install`. Schedules and their time zones stand in the pipelines; this line only asks, every minute."
_PLAIN = re.compile(r"[A-Za-z0-9_@%+=:,./-]+")
_SETTING = re.compile(r"""\s*(?:SHELL|"SHELL"|'SHELL')\s*=\s*(.*?)\s*""")
_POSIX_SHELLS = frozenset({"sh", "bash", "dash", "zsh", "ksh", "mksh", "ash", "busybox"})


class CrontabError(ValueError):
    """The crontab, or a path that would have to stand in it, cannot be worked with; the text says why."""


class Entry(NamedTuple):
    """What a project needs of cron: `program` is mlorch as words, all paths are absolute. `cron_log` is appended to.

    `profile` is "" for none.
    """

    project: str
    program: tuple[str, ...]
    state: str
    profile: str = ""

    @property
    def cron_log(self) -> str:
        """Where the output goes."""
        return f"{self.state}/cron.log"


class Drift(NamedTuple):
    """A way in which the crontab is not what `install` would make of it. `wanted` and `found` are lines, "" for none."""

    what: str
    wanted: str = ""
    found: str = ""


def block(entry: Entry) -> str:
    """The lines of a project, with their marks. Raises `CrontabError` for a path that no line can hold."""
    begin, end = _marks(entry.project)
    return f"{begin}\n{_NOTE}\n{line(entry)}\n{end}\n"


def line(entry: Entry) -> str:
    """The crontab line. Raises `CrontabError`."""
    folder = entry.program[0].rpartition("/")[0]
    state, log = quoted(entry.state), quoted(entry.cron_log)
    profile = ("--profile", entry.profile) if entry.profile else ()
    words = " ".join(quoted(word) for word in (*entry.program, "tick", "--project", entry.project, *profile))
    # The state folder is made first: were it gone, the shell could not open the log, and nobody would hear of it.
    command = f"mkdir -p -m 700 {state} && PATH={quoted(f'{folder}:{PATH}')} {words} >>{log} 2>&1"
    return f"{EVERY_MINUTE} {percent_escaped(command)}"


def quoted(word: str) -> str:
    """One word for `sh`, in such a way that `percent_escaped` can do its work. Raises `CrontabError` for line ends and NUL."""
    if any(char in word for char in "\n\r\0"):
        raise CrontabError(f"a crontab line cannot hold a line end: {word!r}")
    if _PLAIN.fullmatch(word):
        return word
    # cron takes the backslash off `\%` without regard to one before it, so the two must not stand side by side.
    inner = word.replace("'", "'\\''").replace("\\%", "\\''%")
    return f"'{inner}'"


def percent_escaped(command: str) -> str:
    """Cron makes a line end of a bare `%`, and takes the backslash off one that has it."""
    return command.replace("%", "\\%")


def install(text: str, entry: Entry) -> str:
    """`text` with the project's block: in the place of the one that is there, else at the end.

    A crontab that says a shell of another family (`SHELL=/usr/bin/fish`) gets the block at its top, where that does not hold yet.
    Raises `CrontabError`.
    """
    new = block(entry)
    spans = _spans(text, entry.project)
    rest = _without(text, spans)
    at = len(_without(text[: spans[0][0]], [])) if spans else len(rest)
    if at and not rest[:at].endswith("\n"):
        rest, at = rest[:at] + "\n" + rest[at:], at + 1
    if _odd_shell(rest[:at]):
        at = 0
    return rest[:at] + new + rest[at:]


def remove(text: str, project: str) -> str:
    """`text` without the project's block. Raises `CrontabError`."""
    return _without(text, _spans(text, project))


def drift(text: str, entry: Entry) -> tuple[Drift, ...]:
    """How the crontab differs from what `install` would make of it. Raises `CrontabError`."""
    wanted = block(entry)
    spans = _spans(text, entry.project)
    if not spans:
        return (Drift("the crontab has no block for this project", line(entry)),)
    found: list[Drift] = []
    if len(spans) > 1:
        found.append(Drift(f"the block stands there {len(spans)} times: every tick comes as often"))
    shell = _odd_shell(text[: spans[0][0]])
    if shell:
        found.append(Drift("the block stands below a line that says a shell which cannot read it", found=shell))
    for start, end in spans:
        found += _lines_differ(wanted.splitlines(), text[start:end].splitlines())
    return tuple(found)


def is_installed(text: str, project: str) -> bool:
    """Whether there is a block of the project at all. Raises `CrontabError`."""
    return bool(_spans(text, project))


def _lines_differ(wanted: Sequence[str], found: Sequence[str]) -> list[Drift]:
    """The lines between the marks, compared one by one."""
    differs = []
    for index in range(max(len(wanted), len(found))):
        new = wanted[index] if index < len(wanted) else ""
        old = found[index] if index < len(found) else ""
        if new != old and index not in (0, len(found) - 1):
            differs.append(Drift("a line of the block differs", new if index < len(wanted) - 1 else "", old))
        elif new != old and index == len(found) - 1:
            differs += [Drift("a line of the block is missing", line) for line in wanted[index:-1]]
            break
    return differs


def _marks(project: str) -> tuple[str, str]:
    if any(char in project for char in "\n\r\0"):
        raise CrontabError(f"a crontab line cannot hold a line end: {project!r}")
    return f"# >>> mlorch {project} >>>", f"# <<< mlorch {project} <<<"


def _spans(text: str, project: str) -> list[tuple[int, int]]:
    """Where the project's blocks begin and end in the text, marks and their line ends included."""
    begin, end = _marks(project)
    spans: list[tuple[int, int]] = []
    opened = -1
    position = 0
    for number, whole in enumerate(text.split("\n"), start=1):
        after = min(position + len(whole) + 1, len(text))
        if whole.rstrip() == begin:
            if opened >= 0:
                raise _unclosed(number, end)
            opened = position
        elif whole.rstrip() == end:
            if opened < 0:
                raise CrontabError(f"line {number} of the crontab ends a block that does not begin: {end}")
            spans.append((opened, after))
            opened = -1
        position = after
    if opened >= 0:
        raise _unclosed(text.count("\n", 0, opened) + 1, end)
    return spans


def _unclosed(number: int, end: str) -> CrontabError:
    return CrontabError(f"the block that is open at line {number} of the crontab has no last line: {end}")


def _without(text: str, spans: Sequence[tuple[int, int]]) -> str:
    for start, end in reversed(spans):
        text = text[:start] + text[end:]
    return text


def _odd_shell(text: str) -> str:
    """The line that sets a shell of another family for what follows `text`; "" if the last word is a usual one."""
    said = ""
    for whole in text.split("\n"):
        match = _SETTING.fullmatch(whole)
        if match:
            name = match[1].strip("\"'").rpartition("/")[2]
            said = "" if name in _POSIX_SHELLS else whole
    return said
