"""Cron lines: strict, and right on the days on which a clock is set."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from croniter import croniter
from hypothesis import given, settings
from hypothesis import strategies as st

from mlorch.lang.cron import following, parse_cron, previous, ticks


def times(line: str, zone: str, day: str, days: int = 1) -> list[str]:
    """The ticks from noon UTC of the day before on, as UTC."""
    begin = datetime.fromisoformat(day).replace(tzinfo=UTC) - timedelta(hours=12)
    end = begin + timedelta(days=days)
    return [tick.strftime("%dT%H:%M") for tick in ticks(parse_cron(line), zone, begin, end)]


@pytest.mark.parametrize(
    ("line", "zone", "day", "wanted"),
    [
        ("30 2 * * *", "Europe/Berlin", "2026-10-25", ["25T00:30"]),
        ("30 2 * * *", "Europe/Berlin", "2026-03-29", ["29T01:00"]),
        ("0 2,3 * * *", "Europe/Berlin", "2026-03-29", ["29T01:00"]),
        (
            "33 */2 * * *",
            "Europe/Berlin",
            "2026-03-29",
            [
                "28T13:33",
                "28T15:33",
                "28T17:33",
                "28T19:33",
                "28T21:33",
                "28T23:33",
                "29T02:33",
                "29T04:33",
                "29T06:33",
                "29T08:33",
                "29T10:33",
            ],
        ),
        ("*/30 2 * * *", "Europe/Berlin", "2026-10-25", ["25T00:00", "25T00:30", "25T01:00", "25T01:30"]),
        ("*/30 2 * * *", "Europe/Berlin", "2026-03-29", []),
        ("30 1 * * *", "America/New_York", "2026-11-01", ["01T05:30"]),
        ("30 2 * * *", "America/New_York", "2026-03-08", ["08T07:00"]),
        ("15 2 * * *", "Australia/Lord_Howe", "2026-10-04", ["03T15:30"]),
        ("45 1 * * *", "Australia/Lord_Howe", "2026-04-05", ["04T14:45"]),
        ("*/30 1 * * *", "Australia/Lord_Howe", "2026-04-05", ["04T14:00", "04T14:30", "04T15:00"]),
        ("30 5 * * *", "Asia/Kolkata", "2026-10-25", ["25T00:00"]),
    ],
)
def test_on_the_days_on_which_the_clock_is_set(line: str, zone: str, day: str, wanted: list[str]) -> None:
    assert times(line, zone, day) == wanted


@pytest.mark.parametrize(
    "line",
    ["61 * * * *", "5-1 * * * *", "*/100 * * * *", "*/0 * * * *", "* * * *", "* * * * * *", "R * * * *", "0 0 l * *", "0 0 30 2 *",
     "0 0 31 2,4 *", "@reboot", "0 0 * * 8", "", "0 0 1W * *", "0 0 * * 5#2", "٣ * * * *", "0 0 0 * *", "0 0 * 13 *", "x * * * *", "*" * 101],
)  # fmt: skip
def test_what_is_no_cron_line(line: str) -> None:
    with pytest.raises(ValueError, match=r"cron line|never fires|no word"):
        parse_cron(line)


def test_both_kinds_of_day_mean_or() -> None:
    assert times("0 0 13 * 5", "UTC", "2026-11-01", 30) == ["06T00:00", "13T00:00", "20T00:00", "27T00:00"]


def test_a_leap_day_is_found_both_ways() -> None:
    cron, at = parse_cron("0 0 29 2 *"), datetime(2026, 1, 1, tzinfo=UTC)
    assert following(cron, "UTC", at) == datetime(2028, 2, 29, tzinfo=UTC)
    assert previous(cron, "UTC", at) == datetime(2024, 2, 29, tzinfo=UTC)


_FIELDS = st.tuples(
    st.sampled_from(["*", "*/15", "0", "7,40", "10-20/3", "59"]),
    st.sampled_from(["*", "*/5", "0", "2", "1-3", "6,18", "23"]),
    st.sampled_from(["*", "1", "31", "13,29", "*/9"]),
    st.sampled_from(["*", "2", "jan-mar", "12"]),
    st.sampled_from(["*", "0", "7", "mon-fri", "sun,3"]),
)


@settings(max_examples=150, deadline=None)
@given(_FIELDS, st.integers(0, 3 * 365 * 24 * 60), st.integers(1, 40))
def test_away_from_changes_of_the_clock_croniter_says_the_same(
    fields: tuple[str, ...], minute: int, count: int
) -> None:
    line = " ".join(fields)
    try:
        cron = parse_cron(line)
    except ValueError:
        assert line.split()[2:4] == ["31", "2"]
        return
    at = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=minute)
    theirs = croniter(line, at)
    ours = at
    for _ in range(count):
        found = following(cron, "UTC", ours)
        assert found == theirs.get_next(datetime)
        assert found is not None
        ours = found
        assert previous(cron, "UTC", ours + timedelta(seconds=59)) == ours


@settings(max_examples=60, deadline=None)
@given(
    _FIELDS,
    st.sampled_from(["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Pacific/Apia", "America/St_Johns"]),
    st.integers(0, 365),
    st.lists(st.integers(1, 50 * 60), max_size=6),
)
def test_spans_that_follow_each_other_hold_every_tick_once(
    fields: tuple[str, ...], zone: str, day: int, cuts: list[int]
) -> None:
    if fields[2:4] == ("31", "2") and fields[4] == "*":
        return
    cron = parse_cron(" ".join(fields))
    begin = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(days=day)
    whole = list(ticks(cron, zone, begin, begin + timedelta(minutes=sum(cuts))))
    parts = []
    at = begin
    for cut in cuts:
        parts += list(ticks(cron, zone, at, at + timedelta(minutes=cut)))
        at += timedelta(minutes=cut)
    assert parts == whole
    assert whole == sorted(set(whole))
