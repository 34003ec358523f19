"""What is said of schedules: ticks that come, and what became of a pipeline's agenda."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple


@dataclass(frozen=True, slots=True)
class ComingTick:
    """A tick: `at` ISO UTC, `at_local` ISO with the offset of `timezone`. `partitions` are the keys that it makes due.

    Of very many only the first and the last stand there, and `count` says how many there are. `note` is for people.
    """

    pipeline: str
    at: str
    at_local: str
    timezone: str
    partitions: tuple[str, ...] = ()
    count: int = 0
    note: str = ""


class AgendaNews(NamedTuple):
    """What `pause`, `resume` and `mark` did. `due` is what the next tick call will take up, `missed` (first, last, count, why)."""

    pipeline: str
    paused: bool
    reason: str = ""
    ticks: int = 0
    due: tuple[str, ...] = ()
    missed: tuple[str, str, int, str] | None = None
    marked: tuple[str, ...] = ()
    state: str = ""
    changed: bool = True
