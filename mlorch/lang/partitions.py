"""Partitions by time: labels, and the windows of the calendar that they name.

A label names a calendar period in the dimension's time zone, not a number of hours: a day of 23 or 25 hours has one label.
Windows of one dimension follow each other without gap or overlap. A period that its time zone skips altogether (a day lost
at the date line) has no window. What windows between the ticks of a cron line are is told in `cronwindows`.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING

from mlorch.lang.zones import UTC_NAMES, Window, change, zone
from mlorch.model.spec import TimeDimension

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from mlorch.model.spec import Dimension

_HOUR = r"([0-9]{4}-[0-9]{2}-[0-9]{2})T([0-9]{2})(Z|[+-][0-9]{4}(?:[0-9]{2})?)?"
_DAY = r"[0-9]{4}-[0-9]{2}-[0-9]{2}"
_WEEK = r"([0-9]{4})-W([0-9]{2})"
_MONTH = r"([0-9]{4})-([0-9]{2})"
_YEAR = r"[0-9]{4}"
_EXAMPLES = {"hour": "2026-10-25T02+0200", "day": "2026-10-25", "week": "2026-W43", "month": "2026-10"}
_HOURS = tuple(f"T{hour:02d}Z" for hour in range(24))
_TICK = timedelta(microseconds=1)
_DAY_LONG = timedelta(days=1)
_HOUR_LONG = timedelta(hours=1)


def parse_label(dim: TimeDimension, label: str) -> Window:
    """The window that `label` names, whether or not it lies within `start` and `end` of the dimension.

    Raises `ValueError` when it is no label of the dimension's `every`, or names a time that its zone does not have.
    """
    if dim.cron:
        from mlorch.lang import cronwindows

        return cronwindows.parse_label(dim, label)
    if dim.every == "hour":
        return _parse_hour(dim, label)
    first = _first_day(dim.every, label)
    if first is None:
        raise ValueError(_not_a_label(dim, label))
    window = _period(dim, first)
    if window.start == window.end:
        raise ValueError(f"`{label}` does not exist in {dim.timezone}: the time zone skips that day")
    return window


def window_at(dim: TimeDimension, instant: datetime) -> Window:
    """The window in which the aware `instant` lies. Raises `ValueError` at the very ends of the calendar."""
    if dim.cron:
        from mlorch.lang import cronwindows

        return cronwindows.window_at(dim, instant)
    if dim.every == "hour":
        return _hour_at(dim, instant)
    try:
        day = instant.astimezone(zone(dim.timezone)).date()
        window = _period(dim, _floor(dim.every, day))
        # A zone whose clock is set back over midnight has instants whose local date is not that of their window.
        while instant < window.start:
            window = _period(dim, _floor(dim.every, _floor(dim.every, day) - _DAY_LONG))
            day -= _DAY_LONG
        while instant >= window.end:
            day = _next_first(dim.every, _floor(dim.every, day))
            window = _period(dim, day)
    except OverflowError:
        raise ValueError(f"{instant.isoformat()} is beyond the calendar of {dim.name}") from None
    return window


def next_window(dim: TimeDimension, window: Window) -> Window:
    """The window that begins where `window` ends."""
    return window_at(dim, window.end)


def previous_window(dim: TimeDimension, window: Window) -> Window:
    """The window that ends where `window` begins."""
    return window_at(dim, window.start.astimezone(UTC) - _TICK)


@lru_cache(maxsize=64)
def bounds(dim: TimeDimension) -> tuple[Window | None, Window | None]:
    """The first and the last window that `start` and `end` allow (None: no bound).

    A coarser label (`2013` for days) means the first window in it as `start` and the last one as `end`.
    Raises `ValueError` when one is no label, or `end` lies before `start`.
    """
    first = _bound(dim, dim.start, last=False) if dim.start else None
    last = _bound(dim, dim.end, last=True) if dim.end else None
    if first is not None and last is not None and _utc(last.start) < _utc(first.start):
        raise ValueError(f"`end` ({dim.end}) lies before `start` ({dim.start})")
    return first, last


def within(dim: TimeDimension, window: Window) -> bool:
    """Whether `window` lies between the dimension's `start` and `end`."""
    first, last = bounds(dim)
    return (first is None or _utc(window.start) >= _utc(first.start)) and (
        last is None or _utc(window.start) <= _utc(last.start)
    )


def windows(dim: TimeDimension, first: str, last: str) -> Iterator[Window]:
    """All windows from the label `first` to the label `last`, both included. `ValueError` when they are out of order."""
    window, stop = parse_label(dim, first), _utc(parse_label(dim, last).start)
    if _utc(window.start) > stop:
        raise ValueError(f"`{last}` lies before `{first}`")
    while _utc(window.start) <= stop:
        yield window
        window = next_window(dim, window)


def closes_at(dim: TimeDimension, window: Window) -> datetime:
    """When `window` counts as closed: its end, and `lag` later. Aware UTC."""
    return _utc(window.end) + timedelta(seconds=dim.lag)


def last_closed(dim: TimeDimension, now: datetime) -> Window | None:
    """The newest window within `start` and `end` that is closed (`lag` included) at the aware `now`; None before any is."""
    first, last = bounds(dim)
    window = previous_window(dim, window_at(dim, _utc(now) - timedelta(seconds=dim.lag)))
    if last is not None and _utc(last.start) < _utc(window.start):
        window = last
    if first is not None and _utc(window.start) < _utc(first.start):
        return None
    return window


def closed(dim: TimeDimension, now: datetime) -> Iterator[Window]:
    """All windows from the dimension's `start` on that are closed at `now`, oldest first.

    Raises `ValueError` (at the first step) when the dimension has no `start`.
    """
    window, last = _closed_span(dim, now)
    while window is not None and last is not None and _utc(window.start) <= _utc(last.start):
        yield window
        window = next_window(dim, window)


def closed_labels(dim: TimeDimension, now: datetime) -> list[str]:
    """The labels of `closed`, many at a time."""
    first, last = _closed_span(dim, now)
    if first is None or last is None or _utc(first.start) > _utc(last.start):
        return []
    if dim.every == "day":
        return list(_day_labels(dim, _label_day("day", first.label), _label_day("day", last.label)))
    if dim.every == "hour" and dim.timezone in UTC_NAMES:
        begin, end = _utc(first.start), _utc(last.start)
        days = (begin.date() + timedelta(days=index) for index in range((end.date() - begin.date()).days + 1))
        labels = [f"{day}{hour}" for day in map(date.isoformat, days) for hour in _HOURS]
        return labels[begin.hour : len(labels) - 23 + end.hour]
    return [window.label for window in closed(dim, now)]


def _day_labels(dim: TimeDimension, day: date, last: date) -> Iterator[str]:
    """Each day that the zone has. It skips one (or has one twice) only where its offset changes by most of a day."""
    while day <= last:
        stop = min(day + timedelta(days=100), last)
        before = max(day, date.min + _DAY_LONG) - _DAY_LONG  # the zone may skip the very first one
        begin, end = (_midnight(at, dim).utcoffset() or timedelta() for at in (before, stop + _DAY_LONG))
        if abs(end - begin) < timedelta(hours=20):
            yield from ((day + timedelta(days=index)).isoformat() for index in range((stop - day).days + 1))
        else:
            window = window_at(dim, _midnight(day, dim))
            while window.label <= stop.isoformat():
                yield window.label
                window = next_window(dim, window)
        day = stop + _DAY_LONG


def count_closed(dim: TimeDimension, now: datetime) -> int:
    """How many windows `closed` gives, without making them one by one."""
    first, last = _closed_span(dim, now)
    if first is None or last is None:
        return 0
    if dim.cron:
        return sum(1 for _ in closed(dim, now))
    if dim.every == "hour":
        return _count_hours(dim, first, last)
    begin, end = _label_day(dim.every, first.label), _label_day(dim.every, last.label)
    if dim.every == "month":
        return (end.year - begin.year) * 12 + end.month - begin.month + 1
    if dim.every == "week":
        return (end - begin).days // 7 + 1
    moved = (first.start.utcoffset() or timedelta()) - (last.end.utcoffset() or timedelta())
    if abs(moved) < timedelta(hours=20):
        return (end - begin).days + 1
    # The zone crossed the date line in between, so a day is missing or came twice.
    return sum(1 for _ in closed(dim, now))


def split_key(dims: Sequence[Dimension], key: str) -> tuple[str, ...]:
    """The labels of a partition's key, one for each dimension.

    Raises `ValueError` when their number is wrong, a time label is none, or a value is not among the `values` listed.
    """
    labels = tuple(key.split(",")) if key or dims else ()
    if len(labels) != len(dims):
        names = ",".join(dim.name.upper() for dim in dims)
        raise ValueError(f"`{key}` has {len(labels)} labels, not {len(dims)}: a key is {names or 'empty'}")
    for dim, label in zip(dims, labels, strict=True):
        _check_label(dim, label)
    return labels


def join_key(labels: Sequence[str]) -> str:
    """The key of a partition. Raises `ValueError` when a label is empty or has a comma."""
    for label in labels:
        if not label or "," in label:
            raise ValueError(f"`{label}` cannot be a label: it must not be empty or have a comma")
    return ",".join(labels)


def match_key(dims: Sequence[Dimension], pattern: str, key: str) -> bool:
    """Whether `key` is meant by `pattern`, which may end early or hold `*` for a label (`2013-01-31`, `*,EWR`).

    Raises `ValueError` when the pattern has more labels than there are dimensions, or a label that cannot be.
    """
    wanted = pattern.split(",")
    if len(wanted) > len(dims):
        raise ValueError(f"`{pattern}` has {len(wanted)} labels, but there are {len(dims)} dimensions")
    for dim, label in zip(dims, wanted, strict=False):
        if label != "*":
            _check_label(dim, label)
    return all(label in ("*", actual) for label, actual in zip(wanted, key.split(","), strict=False))


def is_whole_key(dims: Sequence[Dimension], pattern: str) -> bool:
    """Whether `pattern` names exactly one partition: a label for each dimension and no `*`."""
    labels = pattern.split(",")
    return len(labels) == len(dims) and "*" not in labels


def partition_scope(dims: Sequence[Dimension], key: str) -> Mapping[str, object]:
    """What expressions see as `partition`: `key`, each dimension's label, and `start` and `end` of the time window.

    Empty without dimensions. Raises `ValueError` as `split_key` does.
    """
    if not dims:
        return {}
    scope: dict[str, object] = {"key": key}
    for dim, label in zip(dims, split_key(dims, key), strict=True):
        scope[dim.name] = label
        if isinstance(dim, TimeDimension):
            window = parse_label(dim, label)
            scope["start"], scope["end"] = window.start, window.end
    return scope


def _check_label(dim: Dimension, label: str) -> None:
    if isinstance(dim, TimeDimension):
        window = parse_label(dim, label)
        if window.label != label:
            raise ValueError(f"`{label}` is written `{window.label}`")
        return
    if dim.values and label not in dim.values:
        from difflib import get_close_matches

        near = get_close_matches(label, dim.values, 1)
        advice = f"did you mean `{near[0]}`?" if near else f"use one of {', '.join(dim.values[:20])}"
        raise ValueError(f"`{label}` is no {dim.name}: {advice}")


def _closed_span(dim: TimeDimension, now: datetime) -> tuple[Window | None, Window | None]:
    if not dim.start:
        raise ValueError(f"the partitions of `{dim.name}` cannot be listed: it has no `start`")
    return bounds(dim)[0], last_closed(dim, now)


def _count_hours(dim: TimeDimension, first: Window, last: Window) -> int:
    begin, end = _utc(first.start), _utc(last.end)
    if dim.timezone in UTC_NAMES:
        return (end - begin) // _HOUR_LONG
    # Day by day: only days on which the clock is set have to be looked at by the hour.
    days = TimeDimension(name=dim.name, every="day", timezone=dim.timezone)
    count, at = 0, begin
    while at < end:
        day = window_at(days, at)
        if at == _utc(day.start) and _utc(day.end) <= end and _utc(day.end) - at == _DAY_LONG:
            count, at = count + 24, _utc(day.end)
            continue
        while at < min(_utc(day.end), end):
            count, at = count + 1, _utc(_hour_at(dim, at).end)
    return count


def _bound(dim: TimeDimension, label: str, *, last: bool) -> Window:
    """The first (or last) window in the period that `label` names, which may be coarser than the dimension."""
    if dim.cron and "T" in label:
        return parse_label(dim, label)
    order = ("hour", "day", "week", "month", "year")
    if dim.every == "hour" and re.fullmatch(_HOUR, label):
        return parse_label(dim, label)
    for every in order[order.index(dim.every) if dim.every in order else 0 :]:
        first = _first_day(every, label) if every != "hour" else None
        if first is None:
            continue
        if every == dim.every:
            return parse_label(dim, label)
        start, end = _midnight(first, dim), _midnight(_next_first(every, first), dim)
        if dim.cron:
            from mlorch.lang.cronwindows import first_in

            return first_in(dim, _utc(start), _utc(end), last=last)
        window = window_at(dim, _utc(end) - _TICK) if last else window_at(dim, start)
        # Weeks do not fill months: the first week that begins in it, the last one that ends in it.
        if not last and _utc(window.start) < _utc(start):
            window = next_window(dim, window)
        if last and _utc(window.end) > _utc(end):
            window = previous_window(dim, window)
        return window
    raise ValueError(_not_a_label(dim, label))


def _not_a_label(dim: TimeDimension, label: str) -> str:
    if dim.cron:
        from mlorch.lang.cronwindows import EXAMPLE

        return f"`{label}` is no window of `{dim.cron}`: write its start as {EXAMPLE}"
    day = _first_day("day", label.split("T", 1)[0])
    if day is not None and dim.every in ("week", "month"):
        return (
            f"`{label}` is no {dim.every}; the {dim.every} of that day is `{_label(dim.every, _floor(dim.every, day))}`"
        )
    return f"`{label}` is no {dim.every}: write it as {_EXAMPLES[dim.every]}"


def _first_day(every: str, label: str) -> date | None:
    """The first day of the day, week, month or year called `label`; None if it is no such label."""
    try:
        if every == "day" and re.fullmatch(_DAY, label):
            return date.fromisoformat(label)
        if every == "week" and (match := re.fullmatch(_WEEK, label)):
            return date.fromisocalendar(int(match[1]), int(match[2]), 1)
        if every == "month" and (match := re.fullmatch(_MONTH, label)):
            return date(int(match[1]), int(match[2]), 1)
        if every == "year" and re.fullmatch(_YEAR, label):
            return date(int(label), 1, 1)
    except ValueError:
        return None
    return None


def _label_day(every: str, label: str) -> date:
    day = _first_day(every, label)
    if day is None:
        raise ValueError(f"`{label}` is no {every}")
    return day


def _floor(every: str, day: date) -> date:
    if every == "week":
        return day - timedelta(days=day.weekday())
    return day.replace(day=1) if every == "month" else day


def _next_first(every: str, first: date) -> date:
    """The first day of the period after the one that begins with `first`. `OverflowError` at the calendar's end."""
    if every == "day":
        return first + _DAY_LONG
    if every == "week":
        return first + timedelta(days=7)
    if every == "year":
        return (first + timedelta(days=366)).replace(month=1, day=1)
    return (first + timedelta(days=31)).replace(day=1)


def _label(every: str, first: date) -> str:
    if every == "week":
        year, week, _ = first.isocalendar()
        return f"{year:04d}-W{week:02d}"
    return first.isoformat()[:7] if every == "month" else first.isoformat()


def _period(dim: TimeDimension, first: date) -> Window:
    start, end = _midnight(first, dim), _midnight(_next_first(dim.every, first), dim)
    return Window(_label(dim.every, first), start, end)


def _midnight(day: date, dim: TimeDimension) -> datetime:
    """The first midnight of a day in the dimension's zone; where the clock skips it, the moment of the change."""
    tz = zone(dim.timezone)
    naive = datetime(day.year, day.month, day.day, tzinfo=tz)
    try:
        return naive.astimezone(UTC).astimezone(tz)
    except OverflowError:
        raise ValueError(f"`{day}` is beyond the calendar of {dim.name}") from None


def _parse_hour(dim: TimeDimension, label: str) -> Window:
    match = re.fullmatch(_HOUR, label)
    day = _first_day("day", match[1]) if match else None
    if match is None or day is None or int(match[2]) > 23:
        raise ValueError(_not_a_label(dim, label))
    tz = zone(dim.timezone)
    local = datetime(day.year, day.month, day.day, int(match[2]), tzinfo=tz)
    # The last minute, not the first: a clock set back by half an hour leaves an hour without its beginning.
    found: dict[str, Window] = {}
    for minute in (0, 59):
        for fold in (0, 1):
            instant = local.replace(minute=minute, fold=fold).astimezone(UTC)
            if instant.astimezone(tz).replace(fold=0) == local.replace(minute=minute):
                window = _hour_at(dim, instant)
                found[window.label] = window
    if match[3] is None:
        advice = f"write {' or '.join(f'`{name}`' for name in found)}" if found else "the clock skips it"
        raise ValueError(f"`{label}` has no offset from UTC: {advice}")
    wanted = match[1] + "T" + match[2]
    for spelling in (wanted + match[3], wanted + ("+0000" if match[3] == "Z" else "Z")):
        if spelling in found and (spelling == label or match[3] in ("Z", "+0000")):
            return found[spelling]
    advice = f"write {' or '.join(f'`{name}`' for name in found)}" if found else "the clock skips that hour"
    raise ValueError(f"`{label}` does not exist in {dim.timezone}: {advice}")


def _hour_at(dim: TimeDimension, instant: datetime) -> Window:
    """The hour of `instant`: as long as local hour and offset stay the same."""
    tz = zone(dim.timezone)
    try:
        local = instant.astimezone(tz)
        offset = local.utcoffset() or timedelta()
        floor = local.replace(minute=0, second=0, microsecond=0, tzinfo=None)
        start = (floor - offset).replace(tzinfo=UTC)
        end = start + _HOUR_LONG
        at = instant.astimezone(UTC)
        if start.astimezone(tz).utcoffset() != offset:
            start = change(tz, start, at)
        if (end - _TICK).astimezone(tz).utcoffset() != offset:
            end = change(tz, at, end)
        mark = "Z" if dim.timezone in UTC_NAMES else local.strftime("%z")
        return Window(f"{floor.date().isoformat()}T{floor.hour:02d}{mark}", start.astimezone(tz), end.astimezone(tz))
    except OverflowError:
        raise ValueError(f"{instant.isoformat()} is beyond the calendar of {dim.name}") from None


def _utc(instant: datetime) -> datetime:
    """Python compares and subtracts two times of one zone by their local clock; in UTC it does so by the instant."""
    return instant.astimezone(UTC)
