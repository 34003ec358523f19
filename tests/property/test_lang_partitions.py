from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import islice, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlorch.lang.partitions import (
    closed,
    closed_labels,
    closes_at,
    count_closed,
    last_closed,
    next_window,
    parse_label,
    previous_window,
    window_at,
    windows,
)
from mlorch.model.spec import TimeDimension

# Half an hour of summer time, midnight set back or skipped, a day lost at the date line, a constant odd offset.
ZONES = ("UTC", "America/New_York", "Europe/Berlin", "Australia/Lord_Howe", "America/St_Johns", "Asia/Beirut",
         "Pacific/Apia", "Asia/Kolkata", "America/Havana")  # fmt: skip
dimensions = st.builds(
    TimeDimension,
    cron=st.just(""),
    name=st.just("t"),
    every=st.sampled_from(["hour", "day", "week", "month"]),
    timezone=st.sampled_from(ZONES),
)
instants = st.datetimes(datetime(1990, 1, 1), datetime(2037, 12, 31), timezones=st.just(UTC))  # noqa: DTZ001


@given(dimensions, instants)
def test_every_instant_lies_in_the_window_that_its_label_names(dim: TimeDimension, instant: datetime) -> None:
    window = window_at(dim, instant)
    assert window.start.astimezone(UTC) <= instant < window.end.astimezone(UTC)
    assert parse_label(dim, window.label) == window


@given(dimensions, instants)
def test_windows_follow_each_other_without_gap_or_overlap(dim: TimeDimension, instant: datetime) -> None:
    window = window_at(dim, instant)
    after = next_window(dim, window)
    assert after.start.astimezone(UTC) == window.end.astimezone(UTC)
    assert after.label != window.label
    assert previous_window(dim, after) == window


@pytest.mark.parametrize("year", [2007, 2013, 2024])
def test_days_cover_the_year_in_new_york(year: int) -> None:
    day = TimeDimension(name="day", every="day", timezone="America/New_York")
    year_of = list(windows(day, f"{year}-01-01", f"{year}-12-31"))
    assert len(year_of) == 366 if year % 4 == 0 else 365
    assert all(before.end == after.start for before, after in pairwise(year_of))
    lengths = [window.end.astimezone(UTC) - window.start.astimezone(UTC) for window in year_of]
    assert sorted(set(lengths)) == [timedelta(hours=23), timedelta(hours=24), timedelta(hours=25)]
    assert lengths.count(timedelta(hours=23)) == lengths.count(timedelta(hours=25)) == 1


@given(dimensions, instants, st.integers(0, 400), st.sampled_from([0.0, 6 * 3600.0, 86400.0]))
def test_closed_windows_are_counted_as_they_are_listed(
    dim: TimeDimension, now: datetime, back: int, lag: float
) -> None:
    step = {
        "hour": timedelta(hours=1),
        "day": timedelta(days=1),
        "week": timedelta(weeks=1),
        "month": timedelta(days=30),
    }
    start = window_at(dim, now - back * step[dim.every]).label
    dim = TimeDimension(name="t", every=dim.every, timezone=dim.timezone, start=start, lag=lag)
    listed = list(islice(closed(dim, now), back + 10))
    assert count_closed(dim, now) == len(listed)
    assert closed_labels(dim, now) == [window.label for window in listed]
    assert last_closed(dim, now) == (listed[-1] if listed else None)
    assert all(closes_at(dim, window) <= now for window in listed)
    if listed:
        assert closes_at(dim, next_window(dim, listed[-1])) > now


@pytest.mark.parametrize(
    ("start", "last"), [("1891-06-01", "1893-01-01"), ("2011-09-20", "2012-02-01"), ("2011-12-29", "2012-01-02")]
)
def test_labels_leave_out_the_day_that_a_zone_skips(start: str, last: str) -> None:
    dim = TimeDimension(name="t", every="day", start=start, end=last, timezone="Pacific/Apia")
    now = datetime(2026, 1, 1, tzinfo=UTC)
    labels = closed_labels(dim, now)
    assert labels == [window.label for window in closed(dim, now)]
    assert "2011-12-30" not in labels
