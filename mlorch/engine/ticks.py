"""Which ticks came since the last look, and what they make due. Pure: the schedule, what is remembered, and the time.

A window becomes due at the first tick that comes when it is closed (`lag` included). One tick since the last look is on time, and all that
it makes due is taken. Several, or a first look at a pipeline, mean that ticks were missed; what is taken then is for `catchup` to say.
"""

from __future__ import annotations

from datetime import timedelta
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

from mlorch.lang.keys import time_label
from mlorch.lang.partitions import bounds, closes_at, last_closed, parse_label, previous_window
from mlorch.lang.schedules import Ticks
from mlorch.model.spec import CatchUp
from mlorch.model.times import iso_utc, parse_iso

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from mlorch.engine.agenda import Agenda
    from mlorch.lang.zones import Window
    from mlorch.model.spec import Pipeline, Schedule, TimeDimension

_LONG_AGO_DAYS = 366 * 200


class Dues(NamedTuple):
    """What a look found. `tick` is the newest one (or the time of a look that found none yet), `slot` what it is known by.

    `due` are time labels, oldest first (one "" without a time dimension); `again` those that `lookback` asks for; `missed` is
    (first, last, count, why) of the windows that are left to backfill. `ticks` is how many came.
    """

    tick: datetime
    slot: str
    ticks: int
    due: tuple[str, ...] = ()
    again: tuple[str, ...] = ()
    missed: tuple[str, str, int, str] | None = None
    covered: str = ""


def look(pipeline: Pipeline, agenda: Agenda, now: datetime) -> Dues | None:
    """What is new since the last look; None for nothing. Raises `ValueError` for a schedule that the rules refuse."""
    schedule = pipeline.schedule
    if schedule is None:
        return None
    ticks = Ticks(schedule)
    if not agenda.seen:
        return _first(pipeline, schedule, ticks, now)
    came = list(islice(ticks.between(parse_iso(agenda.tick), now), 2))
    if not came:
        return None
    newest = ticks.last(now) or came[-1]
    count = len(came) if len(came) < 2 else sum(1 for _ in ticks.between(parse_iso(agenda.tick), now))
    dimension = pipeline.time_dimension
    if dimension is None:
        wanted = count == 1 or schedule.catchup is not CatchUp.NONE
        missed = None if wanted else ("", "", count, "ticks came while nobody looked")
        return Dues(newest, ticks.slot(newest), count, ("",) if wanted else (), (), missed, iso_utc(newest))
    most = schedule.catchup_limit if not agenda.covered and not dimension.start else None
    new = _closed_since(dimension, agenda.covered, newest, most)
    taken = new if count == 1 and agenda.covered else _caught_up(new, schedule)
    left = new[: len(new) - len(taken)]
    return Dues(
        newest,
        ticks.slot(newest),
        count,
        tuple(window.label for window in taken),
        _lookback(dimension, taken),
        _missed(left, f"{count} ticks came while nobody looked (catchup: {schedule.catchup.value})"),
        iso_utc(newest),
    )


def _first(pipeline: Pipeline, schedule: Schedule, ticks: Ticks, now: datetime) -> Dues:
    """The first look at a pipeline: what lies behind is for `catchup`, from the dimension's `start` on."""
    newest = ticks.last(now)
    dimension = pipeline.time_dimension
    if newest is None:
        # Before its first tick. What `all` would take stays to be taken by it.
        covered = "" if schedule.catchup is CatchUp.ALL else iso_utc(now)
        return Dues(now, "", 0, covered=covered)
    slot = ticks.slot(newest)
    if dimension is None:
        due = () if schedule.catchup is CatchUp.NONE else ("",)
        return Dues(newest, slot, 1, due, covered=iso_utc(newest))
    if schedule.catchup is not CatchUp.ALL:
        last = last_closed(dimension, newest) if schedule.catchup is CatchUp.LATEST else None
        due = (last.label,) if last is not None else ()
        return Dues(newest, slot, 1, due, covered=iso_utc(newest))
    new = _closed_since(dimension, "", newest, None if dimension.start else schedule.catchup_limit)
    taken = _caught_up(new, schedule)
    missed = _missed(
        new[: len(new) - len(taken)], f"before the first tick, beyond catchup_limit {schedule.catchup_limit}"
    )
    return Dues(newest, slot, 1, tuple(window.label for window in taken), (), missed, iso_utc(newest))


def still_covered(pipeline: Pipeline, keys: Iterable[str], tick: datetime) -> frozenset[str]:
    """Of `keys` that were tried in vain, those that `catchup` still covers at `tick`."""
    policy, limit = pipeline.catchup
    dimension = pipeline.time_dimension
    if policy is CatchUp.NONE:
        return frozenset()
    if dimension is None:
        return frozenset(keys)
    window = last_closed(dimension, tick)
    if window is None:
        return frozenset(keys)
    for _ in range(limit - 1 if policy is CatchUp.ALL else 0):
        window = previous_window(dimension, window)
    oldest = closes_at(dimension, window)
    return frozenset(
        key
        for key in keys
        if closes_at(dimension, parse_label(dimension, time_label(pipeline.partitions, key))) >= oldest
    )


def windows_of(dimension: TimeDimension | None, before: datetime | None, tick: datetime) -> tuple[str, ...]:
    """The labels that a tick makes due when the one before it was on time."""
    if dimension is None:
        return ()
    since = "" if before is None else iso_utc(before)
    return tuple(window.label for window in _closed_since(dimension, since, tick, None if since else 1))


def _closed_since(dimension: TimeDimension, since: str, until: datetime, most: int | None = None) -> list[Window]:
    """The windows that closed in (`since`, `until`], oldest first; of those without a beginning the newest `most`."""
    after = parse_iso(since) if since else until - timedelta(days=_LONG_AGO_DAYS)
    first = bounds(dimension)[0]
    window = last_closed(dimension, until)
    found: list[Window] = []
    while window is not None and closes_at(dimension, window) > after and (most is None or len(found) < most):
        if first is not None and closes_at(dimension, window) < closes_at(dimension, first):
            break
        found.append(window)
        window = previous_window(dimension, window)
    return found[::-1]


def _caught_up(new: list[Window], schedule: Schedule) -> list[Window]:
    match schedule.catchup:
        case CatchUp.NONE:
            return []
        case CatchUp.LATEST:
            return new[-1:]
        case CatchUp.ALL:
            return new[-schedule.catchup_limit :]


def _missed(left: list[Window], why: str) -> tuple[str, str, int, str] | None:
    return (left[0].label, left[-1].label, len(left), why) if left else None


def _lookback(dimension: TimeDimension, taken: list[Window]) -> tuple[str, ...]:
    """The labels of the `lookback` windows before the oldest that is taken."""
    if not taken or not dimension.lookback:
        return ()
    first = bounds(dimension)[0]
    labels: list[str] = []
    window = taken[0]
    for _ in range(dimension.lookback):
        if first is not None and closes_at(dimension, window) <= closes_at(dimension, first):
            break
        window = previous_window(dimension, window)
        labels.append(window.label)
    return tuple(reversed(labels))
