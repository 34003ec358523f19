"""Cron lines: read strictly, and the instants at which they fire in a time zone.

Five fields, or one of the common `@` words. Day of month and day of week, where both are given, mean *or*. A line whose
minute or hour begins with `*` is a wildcard: it fires whenever the local clock shows a time that fits, in both passes of an
hour that happens twice and never in one that is skipped. Any other line names fixed times: each fires once a day, in the first pass
of an hour that happens twice, and at the moment of the change where the clock skips it. Debian's cron does the same.

The fields are read here and not by croniter, because loading that takes several times as long as all else that a tick with nothing to do
needs, and because its ways around a change of the clock are not these; the tests hold the two to each other everywhere else.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from heapq import heappop, heappush
from typing import TYPE_CHECKING, NamedTuple

from mlorch.lang.zones import change, zone

if TYPE_CHECKING:
    from collections.abc import Iterator
    from zoneinfo import ZoneInfo

WORDS = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}
LONGEST = 100
_NAMES = {
    "month": ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"),
    "day of week": ("sun", "mon", "tue", "wed", "thu", "fri", "sat"),
}
_FIELDS = (("minute", 0, 59), ("hour", 0, 23), ("day of month", 1, 31), ("month", 1, 12), ("day of week", 0, 7))
_ITEM = re.compile(r"(?:(\*)|([0-9]{1,2}|[a-z]{3})(?:-([0-9]{1,2}|[a-z]{3}))?)(?:/([0-9]{1,2}))?")
_LONGEST_MONTH = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_DAY = timedelta(days=1)
_YEARS = 41
"""How far a next tick is looked for: the 29th of February falls on a given day of the week at most 40 years later."""


class Cron(NamedTuple):
    """A cron line. `minutes` and `hours` ascend; `weekdays` count from Sunday as 0; `fixed` as told above."""

    text: str
    minutes: tuple[int, ...]
    hours: tuple[int, ...]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    any_day: bool
    any_weekday: bool
    fixed: bool

    def on(self, day: date) -> bool:
        """Whether it fires on that day at all."""
        if day.month not in self.months:
            return False
        by_day, by_weekday = day.day in self.days, day.isoweekday() % 7 in self.weekdays
        if self.any_day or self.any_weekday:
            return by_day and by_weekday
        return by_day or by_weekday

    def at(self, wall: datetime) -> bool:
        """Whether the local time `wall`, to the minute, fits all five fields."""
        return wall.minute in self.minutes and wall.hour in self.hours and self.on(wall.date())


@lru_cache(maxsize=256)
def parse_cron(text: str) -> Cron:
    """The cron line `text`. Raises `ValueError` with a message for people."""
    if len(text) > LONGEST:
        raise ValueError(f"a cron line of {len(text)} characters")
    if text.startswith("@") and text not in WORDS:
        raise ValueError(f"`{text}` is no word for a schedule; there is {', '.join(sorted(WORDS))}")
    fields = WORDS.get(text, text).split()
    if len(fields) != 5:
        raise ValueError(f"a cron line has five fields, `{text}` has {len(fields)}")
    sets = [_field(text, field.lower(), *limits) for field, limits in zip(fields, _FIELDS, strict=True)]
    minutes, hours, days, months, weekdays = sets
    cron = Cron(
        text,
        tuple(sorted(minutes)),
        tuple(sorted(hours)),
        days,
        months,
        frozenset(day % 7 for day in weekdays),
        fields[2] == "*",
        fields[4] == "*",
        not fields[0].startswith("*") and not fields[1].startswith("*"),
    )
    if cron.any_weekday and not any(day <= _LONGEST_MONTH[month - 1] for day in days for month in months):
        raise ValueError(f"`{text}` never fires: its months have no such day")
    return cron


def ticks(cron: Cron, timezone: str, after: datetime, until: datetime) -> Iterator[datetime]:
    """The instants in (`after`, `until`] at which it fires, oldest first, aware UTC. Raises `ValueError` for an unknown zone."""
    tz = zone(timezone)
    after, until = after.astimezone(UTC), until.astimezone(UTC)
    if until <= after:
        return
    day, last = _day(after, tz, -1), _day(until, tz, 1)
    heap: list[datetime] = []
    while day <= last:
        if cron.on(day):
            for instant in _of_day(cron, tz, day):
                if after < instant <= until:
                    heappush(heap, instant)
        day += _DAY
        # A clock set back over midnight makes days overlap: what the next day may still bring before is waited for.
        limit = datetime(day.year, day.month, day.day, tzinfo=UTC) - timedelta(hours=16)
        while heap and heap[0] < limit:
            yield heappop(heap)
    while heap:
        yield heappop(heap)


def following(cron: Cron, timezone: str, after: datetime) -> datetime | None:
    """The first tick later than `after`, aware UTC; None if there is none in the calendar."""
    tz, after = zone(timezone), after.astimezone(UTC)
    day = _day(after, tz, -1)
    for _ in range(_YEARS * 366):
        if cron.on(day):
            found = [instant for instant in _of_day(cron, tz, day) if instant > after]
            if found:
                return found[0]
        if day >= date.max - _DAY:
            return None
        day += _DAY
    return None


def previous(cron: Cron, timezone: str, until: datetime) -> datetime | None:
    """The last tick not later than `until`, aware UTC; None if there is none in the calendar."""
    tz, until = zone(timezone), until.astimezone(UTC)
    day = _day(until, tz, 1)
    for _ in range(_YEARS * 366):
        if cron.on(day):
            found = [instant for instant in _of_day(cron, tz, day) if instant <= until]
            if found:
                return found[-1]
        if day <= date.min + _DAY:
            return None
        day -= _DAY
    return None


def slot(cron: Cron, timezone: str, instant: datetime) -> str:
    """What a tick is known by: the local time that a fixed line names (once a day), else the instant."""
    if not cron.fixed:
        return instant.astimezone(UTC).strftime("%Y-%m-%dT%H:%MZ")
    return instant.astimezone(zone(timezone)).strftime("%Y-%m-%dT%H:%M")


def oddity(cron: Cron, timezone: str, instant: datetime) -> str:
    """What a change of the clock does to a tick, in words; "" for nothing."""
    tz = zone(timezone)
    local = instant.astimezone(tz)
    if not cron.at(local.replace(tzinfo=None)):
        return "the clock skips its time, so it fires at the change"
    both = {local.replace(fold=fold).utcoffset() for fold in (0, 1)}
    if len(both) == 1:
        return ""
    if cron.fixed:
        return "its time happens twice, it fires the first time"
    return "this hour happens twice: " + ("the second time" if local.fold else "the first time")


def _field(text: str, field: str, name: str, low: int, high: int) -> frozenset[int]:
    found: set[int] = set()
    for item in field.split(","):
        match = _ITEM.fullmatch(item)
        if match is None:
            raise ValueError(f"`{text}` is no cron line: `{item}` is no {name}")
        star, first, last, step = match.groups()
        begin = low if star else _number(text, first, name, low, high)
        end = high if star or (step and not last) else _number(text, last, name, low, high) if last else begin
        if star and name == "day of week":
            end = 6
        if begin > end:
            raise ValueError(f"`{text}` is no cron line: the range `{item}` runs backwards")
        stride = int(step) if step else 1
        if not 0 < stride <= high:
            raise ValueError(f"`{text}` is no cron line: a step of {stride} in `{item}` ({name} is {low} to {high})")
        found.update(range(begin, end + 1, stride))
    return frozenset(found)


def _number(text: str, word: str, name: str, low: int, high: int) -> int:
    names = _NAMES.get(name, ())
    if word.isdigit():
        number = int(word)
    elif word in names:
        number = names.index(word) + (1 if name == "month" else 0)
    else:
        raise ValueError(f"`{text}` is no cron line: `{word}` is no {name}")
    if not low <= number <= high:
        raise ValueError(f"`{text}` is no cron line: {name} is {low} to {high}, not {number}")
    return number


def _day(instant: datetime, tz: ZoneInfo, more: int) -> date:
    """The local date of an instant, moved by `more` days where the calendar has them."""
    try:
        return instant.astimezone(tz).date() + more * _DAY
    except OverflowError:
        return date.max - 2 * _DAY if more > 0 else date.min + 2 * _DAY


@lru_cache(maxsize=64)  # a replay asks for each day again and again
def _of_day(cron: Cron, tz: ZoneInfo, day: date) -> tuple[datetime, ...]:
    """The ticks of one local day, ascending, each instant once."""
    midnight = datetime(day.year, day.month, day.day)  # noqa: DTZ001 - a local clock's time
    zoned = midnight.replace(tzinfo=tz)
    offset = zoned.utcoffset() or timedelta()
    walls = [timedelta(hours=hour, minutes=minute) for hour in cron.hours for minute in cron.minutes]
    noon, late = zoned + timedelta(hours=12), zoned + timedelta(hours=36)
    if offset == noon.utcoffset() == late.utcoffset() == (zoned - timedelta(hours=12)).utcoffset():
        start = (midnight - offset).replace(tzinfo=UTC)
        return tuple(start + wall for wall in walls)
    found: set[datetime] = set()
    for wall in walls:
        found.update(_instants((midnight + wall).replace(tzinfo=tz), tz, fixed=cron.fixed))
    return tuple(sorted(found))


def _instants(local: datetime, tz: ZoneInfo, *, fixed: bool) -> Iterator[datetime]:
    early = local.replace(fold=0).astimezone(UTC)
    late = local.replace(fold=1).astimezone(UTC)
    if early > late:  # the clock skips it
        if fixed:
            yield change(tz, late, early)
        return
    yield early
    if not fixed and late != early:
        yield late
