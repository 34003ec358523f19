"""Small texts that every view shares: durations, ages, sizes, and text of others made safe to show."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

GLYPHS = {
    "succeeded": "✓",
    "cached": "=",
    "skipped": "-",
    "warning": "!",
    "failed": "✗",
    "timed_out": "✗",
    "cancelled": "✗",
    "blocked": "-",
    "not_ready": "…",
    "lost": "?",
    "running": "▸",
    "pending": "·",
    "incomplete": "!",
}
ASCII_GLYPHS = {"✓": "+", "✗": "x", "…": "~", "▸": ">", "·": "."}
STYLES = {
    "succeeded": "green",
    "cached": "cyan",
    "skipped": "bright_black",
    "warning": "yellow",
    "failed": "bold red",
    "timed_out": "bold red",
    "cancelled": "magenta",
    "blocked": "yellow",
    "not_ready": "blue",
    "lost": "bold red",
    "running": "bold cyan",
    "pending": "bright_black",
    "incomplete": "yellow",
}
WENT_WRONG = frozenset({"failed", "timed_out", "lost", "warning", "cancelled", "not_ready"})
_COLOUR = re.compile(r"\x1b\[[0-9;:]*m")
_MINUTE, _HOUR, _DAY = 60, 3600, 86400
_LONG_AGO = 60 * _DAY
_BRIEF = 10


def duration(seconds: float | None) -> str:
    """`0.04s`, `1.2s`, `42s`, `3m 12s`, `2h 05m`, `3d 4h`; "" for None."""
    if seconds is None:
        return ""
    seconds = max(seconds, 0.0)
    if seconds < 0.095:
        return f"{seconds:.2f}s"
    if seconds < _BRIEF - 0.05:
        return f"{seconds:.1f}s"
    whole = round(seconds)
    if whole < _MINUTE:
        return f"{whole}s"
    if whole < _HOUR:
        return f"{whole // _MINUTE}m {whole % _MINUTE:02d}s"
    if whole < _DAY:
        return f"{whole // _HOUR}h {whole % _HOUR // _MINUTE:02d}m"
    return f"{whole // _DAY}d {whole % _DAY // _HOUR}h"


def moment(iso: str) -> datetime | None:
    """The time that an ISO 8601 text means; None for "" and for what is no time."""
    from datetime import datetime

    try:
        return datetime.fromisoformat(iso)
    except ValueError:
        return None


def seconds_between(start: str, end: str) -> float | None:
    """Seconds from one ISO 8601 time to another (never negative); None if either is missing."""
    first, second = moment(start), moment(end)
    if first is None or second is None:
        return None
    return max((second - first).total_seconds(), 0.0)


def ago(iso: str, now: datetime) -> str:
    """`just now`, `12s ago`, `3m ago`, `5h ago`, `4d ago`, or the day when it is long ago; "" for ""."""
    then = moment(iso)
    if then is None:
        return ""
    age = (now - then).total_seconds()
    if age < 0:
        return iso[:16].replace("T", " ")
    if age < 2:
        return "just now"
    if age < _MINUTE:
        return f"{int(age)}s ago"
    if age < _HOUR:
        return f"{int(age // _MINUTE)}m ago"
    if age < 2 * _DAY:
        return f"{int(age // _HOUR)}h ago"
    if age < _LONG_AGO:
        return f"{int(age // _DAY)}d ago"
    return iso[:10]


def clock(iso: str) -> str:
    """`2013-01-31 10:05:09` of an ISO 8601 time in UTC, without its fraction."""
    return iso[:19].replace("T", " ")


def size(count: int | None) -> str:
    """`512 B`, `1.5 MiB`; "" for None and 0."""
    if not count:
        return ""
    number = float(count)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if number < 1024 or unit == "GiB":
            digits = 0 if unit == "B" or number >= _BRIEF else 1
            return f"{number:.{digits}f} {unit}"
        number /= 1024
    return ""


def count(number: int, noun: str, plural: str = "") -> str:
    """`1 step`, `2 steps`, `10,000 steps`."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def visible(text: str) -> str:
    """`text` with colours dropped and everything that a terminal would act on written out (`^[` as an escape); tabs become spaces."""
    if text.isprintable():
        return text
    text = _COLOUR.sub("", text).expandtabs(4)
    return "".join(char if char.isprintable() else _escape(char) for char in text)


def _escape(char: str) -> str:
    return char.encode("unicode_escape").decode("ascii")


def one_line(text: str) -> str:
    """The same on one line: line ends become `⏎`."""
    return visible(" ⏎ ".join(text.strip().splitlines())) if "\n" in text or "\r" in text else visible(text)


def clipped(text: str, width: int) -> str:
    """At most `width` characters, the last one `…` where something was cut."""
    return text if len(text) <= width else text[: width - 1] + "…"


def lines_of(data: bytes, keep: int) -> list[str]:
    """The last `keep` lines of a log's tail, decoded with replacement and made visible.

    What a progress bar overwrote with carriage returns is left out: the last state of each line is shown.
    """
    text = data.decode("utf-8", "replace")
    found = text.replace("\r\n", "\n").split("\n")
    if found and not found[-1]:
        found.pop()
    kept = found[-keep:] if keep > 0 else []
    return [visible(line.rstrip("\r").rsplit("\r", 1)[-1]) for line in kept]


def words(reason: str) -> str:
    """A stable word as people read it: `code_changed` → `code changed`."""
    return reason.replace("_", " ")


def why(reason: str, detail: str) -> str:
    """The text for people in one line; the stable word where there is none."""
    return one_line(detail) or words(reason)


def step_text(step: dict[str, Any]) -> str:
    """What to say beside the state of a step's row: of one that went wrong what happened, of any other why it ran or not."""
    detail = one_line(step["detail"] or "")
    if step["state"] not in WENT_WRONG:
        return why(step["reason"] or "", detail)
    if detail:
        return detail
    if step["signal"]:
        return f"ended by {step['signal']}"
    return "" if step["exit_code"] is None else f"exit status {step['exit_code']}"


def tally(states: Iterable[tuple[str, int]]) -> str:
    """`3 succeeded, 2 cached`; what there is none of is left out."""
    return ", ".join(f"{number:,} {words(state)}" for state, number in states if number)


def name_of(pipeline: str, partition: str) -> str:
    """`flights_features 2013-01-31`, or the pipeline alone."""
    return visible(f"{pipeline} {partition}".strip())
