"""Schedules: the ticks of a cron line that count, between its start and its end and without what is excluded."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

from mlorch.lang import cron as lines
from mlorch.lang.zones import zone

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mlorch.lang.cron import Cron
    from mlorch.model.spec import Schedule

_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_TICK = timedelta(microseconds=1)


def is_date(text: str) -> bool:
    """Whether it is a day of the calendar: `2026-12-25`."""
    try:
        return bool(_DATE.fullmatch(text)) and date.fromisoformat(text) is not None
    except ValueError:
        return False


def moment(text: str, timezone: str, *, last: bool) -> datetime:
    """The instant of a date or time in a zone, aware UTC; of a date its first moment, or its last. Raises `ValueError`."""
    tz = zone(timezone)
    if is_date(text):
        day = date.fromisoformat(text) + timedelta(days=1 if last else 0)
        begin = datetime(day.year, day.month, day.day, tzinfo=tz).astimezone(UTC)
        return begin - _TICK if last else begin
    try:
        found = datetime.fromisoformat(text if _DATE.match(text) else "")
    except ValueError:
        raise ValueError(f"`{text}` is neither a date nor a time") from None
    return (found if found.tzinfo else found.replace(tzinfo=tz)).astimezone(UTC)


class Ticks:
    """The ticks of one schedule. Raises `ValueError` when it is made of what the rules refuse."""

    def __init__(self, schedule: Schedule) -> None:
        self.zone = schedule.timezone
        self.cron: Cron = lines.parse_cron(schedule.cron)
        self.start = moment(schedule.start, self.zone, last=False) if schedule.start else None
        self.end = moment(schedule.end, self.zone, last=True) if schedule.end else None
        self._days = frozenset(text for text in schedule.exclude if is_date(text))
        self._lines = tuple(lines.parse_cron(text) for text in schedule.exclude if not is_date(text))

    def between(self, after: datetime, until: datetime) -> Iterator[datetime]:
        """The ticks in (`after`, `until`], oldest first, aware UTC."""
        if self.start is not None:
            after = max(after, self.start - _TICK)
        if self.end is not None:
            until = min(until, self.end)
        return (tick for tick in lines.ticks(self.cron, self.zone, after, until) if not self._excluded(tick))

    def last(self, until: datetime) -> datetime | None:
        """The newest tick not later than `until`; None if there is none."""
        if self.end is not None:
            until = min(until, self.end)
        while True:
            found = lines.previous(self.cron, self.zone, until)
            if found is None or (self.start is not None and found < self.start):
                return None
            if not self._excluded(found):
                return found
            until = found - _TICK

    def next(self, after: datetime) -> datetime | None:
        """The first tick later than `after`; None if there is none."""
        if self.start is not None:
            after = max(after, self.start - _TICK)
        while True:
            found = lines.following(self.cron, self.zone, after)
            if found is None or (self.end is not None and found > self.end):
                return None
            if not self._excluded(found):
                return found
            after = found

    def slot(self, tick: datetime) -> str:
        """What the tick is known by."""
        return lines.slot(self.cron, self.zone, tick)

    def _excluded(self, tick: datetime) -> bool:
        if not self._days and not self._lines:
            return False
        wall = tick.astimezone(zone(self.zone)).replace(tzinfo=None)
        return wall.date().isoformat() in self._days or any(line.at(wall) for line in self._lines)
