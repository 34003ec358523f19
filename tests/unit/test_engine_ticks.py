"""A whole year of looks in zones whose clocks are set: each window due once, none forgotten, and an outage over a change of the clock."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest

from mlorch.engine.agenda import Agenda, apply
from mlorch.engine.ticks import look
from mlorch.lang.partitions import closed, parse_label
from mlorch.lang.schedules import Ticks
from mlorch.model.events import ScheduleNoted
from mlorch.model.spec import CatchUp, Kind, Owner, Pipeline, Schedule, Step, TimeDimension
from mlorch.model.times import iso_utc

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mlorch.engine.ticks import Dues

BEGIN, END = datetime(2026, 1, 1, tzinfo=UTC), datetime(2027, 1, 2, 12, tzinfo=UTC)
CHANGES = {
    "America/New_York": ("2026-03-08", "2026-11-01"),
    "Europe/Berlin": ("2026-03-29", "2026-10-25"),
    "Australia/Lord_Howe": ("2026-10-04", "2026-04-05"),
    "Asia/Kolkata": ("", ""),
}
"""The local days on which the clock is set forward and back."""
SHAPES = [("hour", "5 * * * *"), ("day", "30 2 * * *")]
YEARS = [
    *((zone, "day", "30 2 * * *") for zone in CHANGES),
    ("Australia/Lord_Howe", "hour", "5 * * * *"),
    ("America/New_York", "0 */3 * * *", "*/30 * * * *"),
    ("Europe/Berlin", "15 2,14 * * *", "45 2,14 * * *"),
    ("Asia/Kolkata", "week", "@daily"),
]
"""What the windows are, and when a tick comes."""


def made(zone: str, every: str, line: str, catchup: CatchUp = CatchUp.ALL, limit: int = 14) -> Pipeline:
    cron = "" if every in ("hour", "day", "week") else every
    dim = TimeDimension("t", "" if cron else every, cron, "2025", "", zone)
    schedule = Schedule(line, zone, catchup=catchup, catchup_limit=limit)
    return Pipeline(
        "p", Kind.FEATURE, Owner("a@example.org"), (Step("a", "true"),), partitions=(dim,), schedule=schedule
    )


def looks(pipeline: Pipeline, times: Iterator[datetime]) -> Iterator[tuple[datetime, Dues]]:
    """What each look finds, noted as a tick call notes it. Known and up to date before the first one."""
    assert pipeline.schedule is not None
    agenda = Agenda()
    for at in times:
        if not agenda.seen:
            before = iso_utc(Ticks(pipeline.schedule).last(at) or at)
            agenda = Agenda(seen=True, tick=before, covered=before)
        found = look(pipeline, agenda, at)
        if found is not None:
            yield at, found
            apply(
                agenda, ScheduleNoted("", "", "ticked", "", (("tick", iso_utc(found.tick)), ("covered", found.covered)))
            )


def every_half_hour(begin: datetime, end: datetime, dark: tuple[datetime, datetime] = (END, END)) -> Iterator[datetime]:
    at = begin
    while at < end:
        if not dark[0] <= at < dark[1]:
            yield at
        at += timedelta(minutes=30)


def wanted(pipeline: Pipeline, begin: datetime, until: datetime) -> list[str]:
    """The windows that close after the last tick before the begin, and by the newest one."""
    dim = pipeline.time_dimension
    assert dim is not None and pipeline.schedule is not None
    known = Ticks(pipeline.schedule).last(begin)
    assert known is not None
    return [window.label for window in closed(dim, until) if window.end.astimezone(UTC) > known]


@pytest.mark.parametrize(("zone", "every", "line"), YEARS)
def test_each_window_of_a_year_is_due_once_at_the_first_tick_after_it_closed(zone: str, every: str, line: str) -> None:
    pipeline = made(zone, every, line)
    dim = pipeline.time_dimension
    assert dim is not None and pipeline.schedule is not None
    due: list[str] = []
    newest = BEGIN
    ticks = Ticks(pipeline.schedule)
    for at, found in looks(pipeline, every_half_hour(BEGIN, END)):
        assert found.ticks == 1 and not found.missed
        newest = found.tick
        assert newest <= at
        for label in found.due:
            ended = parse_label(dim, label).end.astimezone(UTC)
            assert ticks.next(ended - timedelta(microseconds=1)) == newest
        due += found.due
    assert due == wanted(pipeline, BEGIN, newest)
    assert newest > END - timedelta(days=2)


@pytest.mark.parametrize(
    ("zone", "day", "hours"),
    [
        ("America/New_York", "2026-03-08", [*range(2), *range(3, 24)]),
        ("America/New_York", "2026-11-01", [0, 1, 1, *range(2, 24)]),
        ("Europe/Berlin", "2026-03-29", [*range(2), *range(3, 24)]),
        ("Europe/Berlin", "2026-10-25", [0, 1, 2, 2, *range(3, 24)]),
        ("Australia/Lord_Howe", "2026-10-04", [*range(24)]),  # the third hour is short by half
        ("Australia/Lord_Howe", "2026-04-05", [0, 1, 1, *range(2, 24)]),
    ],
)
def test_the_hours_of_a_day_on_which_the_clock_is_set(zone: str, day: str, hours: list[int]) -> None:
    dim = made(zone, "hour", "5 * * * *").time_dimension
    assert dim is not None
    noon = datetime.fromisoformat(f"{day}T12:00Z")
    span = (noon - timedelta(days=2) + timedelta(minutes=30 * n) for n in range(4 * 48))
    found = looks(made(zone, "hour", "5 * * * *"), span)
    due = [label for at, dues in found for label in dues.due if label.startswith(day)]
    assert [int(label[11:13]) for label in due] == hours
    assert len(set(due)) == len(hours)
    for before, after in pairwise(due):
        assert parse_label(dim, before).end == parse_label(dim, after).start


@pytest.mark.parametrize("catchup", list(CatchUp))
@pytest.mark.parametrize("change", [0, 1])
@pytest.mark.parametrize("zone", [zone for zone, days in CHANGES.items() if days[0]])
@pytest.mark.parametrize(("every", "line"), SHAPES)
def test_a_week_without_looks_over_a_change_of_the_clock(
    zone: str, every: str, line: str, change: int, catchup: CatchUp
) -> None:
    pipeline = made(zone, every, line, catchup, 10)
    dim = pipeline.time_dimension
    assert dim is not None
    middle = datetime.fromisoformat(CHANGES[zone][change]).replace(tzinfo=UTC)
    dark = (middle - timedelta(days=3), middle + timedelta(days=4))
    begin, end = middle - timedelta(days=9), middle + timedelta(days=9)
    due: list[str] = []
    told: list[str] = []
    missed: list[tuple[str, str, int, str]] = []
    newest = begin
    for at, found in looks(pipeline, every_half_hour(begin, end, dark)):
        if found.ticks > 1:
            assert at == dark[1]
            assert len(found.due) == {"none": 0, "latest": 1, "all": 7 if every == "day" else 10}[catchup.value]
        newest = found.tick
        due += found.due
        if found.missed:
            missed.append(found.missed)
            names = wanted(pipeline, begin, found.tick)
            told += names[names.index(found.missed[0]) : names.index(found.missed[1]) + 1]
    assert len(missed) == (0 if catchup is CatchUp.ALL and every == "day" else 1)
    assert all(count == len(told) for _, _, count, _ in missed)
    everything = wanted(pipeline, begin, newest)
    assert sorted(due + told) == sorted(everything)
    assert len(set(everything)) == len(everything)
    assert due == sorted(due, key=everything.index)
