"""When GitHub should call: cron lines in UTC, none at a busy minute, one soon after every moment at which something is due.

GitHub's own schedule is late, and drops calls, so a line here only says when to ask: what is due, and for which window, `mlorch tick`
decides. Lines may therefore call too often (for summer time and winter time, say), but never too seldom.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple
from zlib import crc32

from mlorch.lang.cron import parse_cron
from mlorch.lang.zones import zone

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from mlorch.lang.cron import Cron
    from mlorch.model.spec import Pipeline

GAP = 5
"""Minutes: GitHub calls no more often."""

_LAG = 3
"""Minutes at least from the moment that something is due to the call: a file that comes at the full hour is there by then."""

_DAY = 24 * 60
_YEARS = (2024, 2027)
_LAST_DAYS = frozenset({28, 29, 30, 31})


class Call(NamedTuple):
    """A cron line in UTC, and why it is there, for the comment behind it."""

    cron: str
    why: str


def calls(name: str, pipelines: Sequence[Pipeline]) -> tuple[Call, ...]:
    """The lines for all `pipelines`; none where none has a schedule or awaits anything.

    `name` spreads projects over the minutes. Raises `ValueError` for a wrong cron line or zone (a checked spec has none).
    """
    residue = 1 + crc32(name.encode()) % (GAP - 1)
    found: dict[str, list[str]] = {}
    for pipeline in pipelines:
        schedule = pipeline.schedule
        if schedule is not None:
            for line in utc_lines(parse_cron(schedule.cron), schedule.timezone, residue):
                found.setdefault(line, []).append(f"{pipeline.name} ({schedule.cron} {schedule.timezone})")
        if any(not trigger.pipeline for trigger in pipeline.triggers):
            found.setdefault(f"{30 + residue} * * * *", []).append(
                f"{pipeline.name} (looks whether what it awaits is there)"
            )
    if found and not any(line.endswith(" * * *") for line in found):
        found[f"{residue} 4 * * *"] = ["once a day, should GitHub have dropped a call"]
    return tuple(Call(line, ", ".join(sorted(set(why)))) for line, why in sorted(found.items()))


def utc_lines(cron: Cron, timezone: str, residue: int) -> tuple[str, ...]:
    """Lines in UTC that call at minutes which leave `residue` (1 to 4) when divided by five, 3 to 7 minutes after each tick."""
    hours: dict[tuple[int, int], set[int]] = {}
    for offset in offsets(timezone):
        for hour in cron.hours:
            for minute in cron.minutes:
                total = hour * 60 + minute - offset + _LAG
                total += (residue - total) % GAP
                day, rest = divmod(total, _DAY)
                hours.setdefault((day, rest // 60), set()).add(rest % 60)
    lines: dict[tuple[int, frozenset[int]], set[int]] = {}
    for (day, hour), minutes in hours.items():
        lines.setdefault((day, frozenset(minutes)), set()).add(hour)
    return tuple(
        sorted(
            {
                f"{_field(minutes, 0, 59)} {_field(at, 0, 23)} {_days(cron, day)}"
                for (day, minutes), at in _merged(cron, lines)
            }
        )
    )


def _merged(
    cron: Cron, lines: dict[tuple[int, frozenset[int]], set[int]]
) -> Iterable[tuple[tuple[int, frozenset[int]], set[int]]]:
    """Of a line for every day it does not matter on which day UTC is."""
    if not (cron.any_day and cron.any_weekday and len(cron.months) == 12):
        return lines.items()
    hours: dict[int, set[int]] = {}
    for (_, minutes), at in lines.items():
        for hour in at:
            hours.setdefault(hour, set()).update(minutes)
    every: dict[tuple[int, frozenset[int]], set[int]] = {}
    for hour, all_minutes in hours.items():
        every.setdefault((0, frozenset(all_minutes)), set()).add(hour)
    return every.items()


@lru_cache(maxsize=64)
def offsets(timezone: str) -> tuple[int, ...]:
    """The minutes that a zone's clocks are ahead of UTC, in any season of the years 2024 to 2026."""
    tz = zone(timezone)
    day, last = datetime(_YEARS[0], 1, 1, tzinfo=UTC), datetime(_YEARS[1], 1, 1, tzinfo=UTC)
    found = set()
    while day < last:
        offset = day.astimezone(tz).utcoffset() or timedelta()
        found.add(int(offset.total_seconds()) // 60)
        day += timedelta(days=1)
    return tuple(sorted(found))


def _days(cron: Cron, move: int) -> str:
    """Day of month, month and day of week, `move` days later (-1 to 1): rather too many of them than one too few."""
    days, months, weekdays = cron.days, cron.months, cron.weekdays
    if move and not cron.any_day:
        days = frozenset(day + move for day in days if 1 <= day + move <= 31)
        if move > 0 and cron.days & _LAST_DAYS:
            days |= {1}
        if move < 0 and 1 in cron.days:
            days |= _LAST_DAYS
    if move and len(months) < 12:
        months = frozenset({*months, *((month + move - 1) % 12 + 1 for month in months)})
    weekdays = frozenset((day + move) % 7 for day in weekdays)
    day = "*" if cron.any_day else _field(days, 1, 31)
    weekday = "*" if cron.any_weekday else _field(weekdays, 0, 6)
    return f"{day} {_field(months, 1, 12)} {weekday}"


def _field(numbers: Iterable[int], low: int, high: int) -> str:
    """One field of a cron line, as short as it goes: `*`, `1-5`, `2-57/5`, `1,4,20`."""
    found = sorted(numbers)
    if found == list(range(low, high + 1)):
        return "*"
    if len(found) > 2:
        step = found[1] - found[0]
        if found == list(range(found[0], found[-1] + 1, step)):
            return f"{found[0]}-{found[-1]}" + (f"/{step}" if step > 1 else "")
    return ",".join(str(number) for number in found)
