from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from mlorch.lang.partitions import (
    bounds,
    closed,
    count_closed,
    is_whole_key,
    join_key,
    last_closed,
    match_key,
    parse_label,
    partition_scope,
    split_key,
    windows,
    within,
)
from mlorch.model.spec import TimeDimension, ValueDimension

DAY = TimeDimension(
    name="day", every="day", start="2013-01-01", end="2013-12-31", timezone="America/New_York", lag=6 * 3600
)
HOUR = TimeDimension(name="hour", every="hour", timezone="Europe/Berlin")
AIRPORT = ValueDimension(name="airport", values=("EWR", "JFK", "LGA"))


def test_the_hour_that_happens_twice_has_two_labels() -> None:
    first, second = parse_label(HOUR, "2026-10-25T02+0200"), parse_label(HOUR, "2026-10-25T02+0100")
    assert first.end.astimezone(UTC) == second.start.astimezone(UTC) == datetime(2026, 10, 25, 1, tzinfo=UTC)


def test_an_hour_cut_short_by_half_an_hour_of_summer_time() -> None:
    lord_howe = TimeDimension(name="hour", every="hour", timezone="Australia/Lord_Howe")
    window = parse_label(lord_howe, "2026-04-05T01+1030")
    assert window.end.astimezone(UTC) - window.start.astimezone(UTC) == timedelta(minutes=30)


def test_an_hour_in_utc_is_written_with_z() -> None:
    utc = TimeDimension(name="hour", every="hour", timezone="UTC")
    assert parse_label(utc, "2026-10-25T02Z").label == "2026-10-25T02Z"
    assert parse_label(utc, "2026-10-25T02+0000").label == "2026-10-25T02Z"


@pytest.mark.parametrize(
    ("every", "label", "text"),
    [
        ("hour", "2026-10-25T02", "write `2026-10-25T02+0200` or `2026-10-25T02+0100`"),
        ("hour", "2026-03-29T02+0100", "the clock skips that hour"),
        ("hour", "2026-10-25T02Z", "does not exist in Europe/Berlin"),
        ("hour", "2026-10-25T24+0200", "is no hour: write it as"),
        ("day", "2013-02-29", "is no day: write it as 2026-10-25"),
        ("day", "2013-2-1", "is no day"),
        ("day", "20130201", "is no day"),
        ("week", "2013-01-01", "the week of that day is `2013-W01`"),
        ("week", "2013-W53", "is no week"),
        ("month", "2013-04-01", "the month of that day is `2013-04`"),
        ("month", "2013-13", "is no month"),
        ("", "2013-01-01", "is no window of `0 * * * *`"),
    ],
)
def test_labels_that_are_none_say_what_would_be(every: str, label: str, text: str) -> None:
    dim = TimeDimension(name="t", every=every, cron="0 * * * *" if not every else "", timezone="Europe/Berlin")
    with pytest.raises(ValueError, match=r"`.*`") as error:
        parse_label(dim, label)
    assert text in str(error.value)


def test_a_day_lost_at_the_date_line_has_no_window() -> None:
    apia = TimeDimension(name="day", every="day", timezone="Pacific/Apia", start="2011-12-28")
    assert [window.label for window in windows(apia, "2011-12-29", "2011-12-31")] == ["2011-12-29", "2011-12-31"]
    with pytest.raises(ValueError, match="the time zone skips that day"):
        parse_label(apia, "2011-12-30")
    assert count_closed(apia, datetime(2012, 1, 5, 12, tzinfo=UTC)) == 9 - 1


@pytest.mark.parametrize(
    ("every", "start", "end", "first", "last"),
    [
        ("day", "2013", "2013", "2013-01-01", "2013-12-31"),
        ("day", "2013-02", "2013-W10", "2013-02-01", "2013-03-10"),
        ("week", "2013", "2013-03", "2013-W02", "2013-W13"),
        ("month", "2013", "2014", "2013-01", "2014-12"),
        ("hour", "2026-10-25", "2026-10-25", "2026-10-25T00+0200", "2026-10-25T23+0100"),
    ],
)
def test_coarser_bounds_mean_the_first_and_the_last_window_in_them(
    every: str, start: str, end: str, first: str, last: str
) -> None:
    found = bounds(TimeDimension(name="t", every=every, start=start, end=end, timezone="Europe/Berlin"))
    assert found[0] is not None
    assert found[1] is not None
    assert (found[0].label, found[1].label) == (first, last)


def test_bounds_out_of_order_are_refused() -> None:
    with pytest.raises(ValueError, match=r"`end` \(2012\) lies before `start` \(2013\)"):
        bounds(TimeDimension(name="t", every="day", start="2013", end="2012"))


def test_a_window_is_closed_when_its_lag_is_over() -> None:
    midnight = datetime(2013, 1, 11, 5, tzinfo=UTC)
    before, after = (
        last_closed(DAY, midnight + timedelta(hours=5, minutes=59)),
        last_closed(DAY, midnight + timedelta(hours=6)),
    )
    assert before is not None
    assert after is not None
    assert (before.label, after.label) == ("2013-01-09", "2013-01-10")


def test_closed_windows_stay_within_start_and_end() -> None:
    assert last_closed(DAY, datetime(2012, 6, 1, tzinfo=UTC)) is None
    assert count_closed(DAY, datetime(2012, 6, 1, tzinfo=UTC)) == 0
    assert count_closed(DAY, datetime(2024, 6, 1, tzinfo=UTC)) == 365
    assert [window.label for window in closed(DAY, datetime(2024, 6, 1, tzinfo=UTC))][-1] == "2013-12-31"
    assert within(DAY, parse_label(DAY, "2013-12-31"))
    assert not within(DAY, parse_label(DAY, "2014-01-01"))


def test_windows_without_a_start_cannot_be_listed() -> None:
    with pytest.raises(ValueError, match="it has no `start`"):
        count_closed(HOUR, datetime(2024, 6, 1, tzinfo=UTC))


def test_an_unknown_time_zone_is_named() -> None:
    with pytest.raises(ValueError, match="unknown time zone `Mars/Olympus`"):
        parse_label(TimeDimension(name="t", every="day", timezone="Mars/Olympus"), "2013-01-01")


def test_keys_join_labels_in_the_order_of_the_dimensions() -> None:
    assert split_key((DAY, AIRPORT), "2013-01-31,EWR") == ("2013-01-31", "EWR")
    assert join_key(("2013-01-31", "EWR")) == "2013-01-31,EWR"
    assert split_key((), "") == ()


@pytest.mark.parametrize(
    ("key", "text"),
    [("2013-01-31", "has 1 labels, not 2"), ("2013-01-31,EWX", "did you mean `EWR`"), ("x,EWR", "`x` is no day")],
)
def test_keys_that_cannot_be_say_why(key: str, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        split_key((DAY, AIRPORT), key)


def test_a_pattern_may_end_early_or_hold_a_star() -> None:
    dims = (DAY, AIRPORT)
    key = "2013-01-31,EWR"
    assert all(match_key(dims, pattern, key) for pattern in ("2013-01-31", "2013-01-31,*", "*,EWR", "*", key))
    assert not any(match_key(dims, pattern, key) for pattern in ("2013-01-30", "*,JFK"))
    assert is_whole_key(dims, key)
    assert not is_whole_key(dims, "2013-01-31,*")
    with pytest.raises(ValueError, match="3 labels, but there are 2"):
        match_key(dims, "*,*,*", key)


def test_expressions_see_key_labels_and_the_span() -> None:
    scope = partition_scope((DAY, AIRPORT), "2013-03-10,EWR")
    assert scope["key"] == "2013-03-10,EWR"
    assert (scope["day"], scope["airport"]) == ("2013-03-10", "EWR")
    start, end = scope["start"], scope["end"]
    assert isinstance(start, datetime)
    assert isinstance(end, datetime)
    assert (start.isoformat(), end.isoformat()) == ("2013-03-10T00:00:00-05:00", "2013-03-11T00:00:00-04:00")
    assert partition_scope((), "") == {}
