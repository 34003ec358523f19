"""Whenever somebody looks, each window becomes due once, or is told as missed once, and never more at once than catch-up takes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlorch.engine.agenda import Agenda, apply
from mlorch.engine.ticks import Dues, look, still_covered
from mlorch.lang.partitions import closed
from mlorch.model.events import ScheduleNoted
from mlorch.model.spec import CatchUp, Kind, Owner, Pipeline, Schedule, Step, TimeDimension
from mlorch.model.times import iso_utc

ZONES = ("UTC", "America/New_York", "Europe/Berlin", "Australia/Lord_Howe", "Asia/Kolkata")
LINES = ("30 2 * * *", "15 1,2,3 * * *", "0 */6 * * *", "*/45 * * * *", "30 2 * * 1", "0 0 1 * *")
BEGIN = datetime(2026, 1, 1, tzinfo=UTC)


def pipeline(line: str, zone: str, every: str, catchup: CatchUp, limit: int = 3, lookback: int = 0) -> Pipeline:
    cron = "" if every in ("hour", "day", "week", "month") else every
    dim = TimeDimension("t", "" if cron else every, cron, "2025-11", "", zone, 0.0, lookback)
    schedule = Schedule(line, zone, catchup=catchup, catchup_limit=limit)
    return Pipeline(
        "p", Kind.FEATURE, Owner("a@example.org"), (Step("a", "true"),), partitions=(dim,), schedule=schedule
    )


def looked(found: Pipeline, agenda: Agenda, at: datetime) -> Dues | None:
    """One look, noted as a tick call notes it."""
    dues = look(found, agenda, at)
    if dues is not None:
        facts = (("tick", iso_utc(dues.tick)), ("covered", dues.covered))
        apply(agenda, ScheduleNoted("", "", "ticked", "", facts))
    return dues


@settings(max_examples=50, deadline=None)
@given(
    st.sampled_from(LINES),
    st.sampled_from(ZONES),
    st.sampled_from(["hour", "day", "week", "15 2 * * *"]),
    st.sampled_from(list(CatchUp)),
    st.integers(0, 330),
    st.lists(st.integers(-300, 4 * 24 * 60), min_size=1, max_size=25),
)
def test_each_window_is_due_once_or_missed_once(
    line: str, zone: str, every: str, catchup: CatchUp, day: int, jumps: list[int]
) -> None:
    found, agenda = pipeline(line, zone, every, catchup), Agenda()
    dim = found.time_dimension
    assert dim is not None
    at = BEGIN + timedelta(days=day)
    due: list[str] = []
    missed: list[str] = []
    newest = None
    for jump in [0, *jumps]:  # the clock may also go backwards
        at += timedelta(minutes=jump)
        dues = looked(found, agenda, at)
        if dues is None:
            continue
        if dues.ticks > 1:
            assert len(dues.due) <= {CatchUp.NONE: 0, CatchUp.LATEST: 1, CatchUp.ALL: 3}[catchup]
        due += dues.due
        if dues.missed:
            labels = [window.label for window in closed(dim, dues.tick)]
            span = labels[labels.index(dues.missed[0]) : labels.index(dues.missed[1]) + 1]
            assert len(span) == dues.missed[2]
            missed += span
        newest = dues.tick
    told = due + missed
    assert len(told) == len(set(told))
    every_window = [window.label for window in closed(dim, newest)] if newest else []
    assert set(told) <= set(every_window)
    if catchup is CatchUp.ALL:
        assert set(told) == set(every_window)


@settings(max_examples=30, deadline=None)
@given(st.sampled_from(LINES), st.sampled_from(LINES), st.integers(0, 330), st.integers(1, 5000))
def test_a_changed_line_repeats_nothing(first: str, second: str, day: int, minutes: int) -> None:
    agenda = Agenda()
    at = BEGIN + timedelta(days=day)
    before = looked(pipeline(first, "Europe/Berlin", "day", CatchUp.ALL), agenda, at)
    assert before is not None
    told: list[str] = list(before.due)
    for _ in range(6):
        at += timedelta(minutes=minutes)
        dues = looked(pipeline(second, "Europe/Berlin", "day", CatchUp.ALL), agenda, at)
        told += dues.due if dues else ()
    assert len(told) == len(set(told))


@pytest.mark.parametrize(("policy", "kept"), [(CatchUp.NONE, 0), (CatchUp.LATEST, 1), (CatchUp.ALL, 3)])
def test_what_failed_is_tried_again_as_long_as_catchup_covers_it(policy: CatchUp, kept: int) -> None:
    found = pipeline("30 2 * * *", "UTC", "day", policy)
    keys = [f"2026-01-{day:02}" for day in range(1, 10)]
    covered = still_covered(found, keys, datetime(2026, 1, 10, 2, 30, tzinfo=UTC))
    assert sorted(covered) == keys[len(keys) - kept :]


def test_lookback_names_the_windows_before() -> None:
    found, agenda = pipeline("30 2 * * *", "UTC", "day", CatchUp.ALL, lookback=2), Agenda()
    looked(found, agenda, datetime(2026, 1, 9, 3, tzinfo=UTC))
    dues = looked(found, agenda, datetime(2026, 1, 10, 3, tzinfo=UTC))
    assert dues is not None
    assert (dues.due, dues.again) == (("2026-01-09",), ("2026-01-07", "2026-01-08"))
