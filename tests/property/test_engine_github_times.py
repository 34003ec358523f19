"""Whatever is due, GitHub is asked to call soon after it; never at a busy minute, and never more often than it takes."""

from __future__ import annotations

from bisect import bisect_left
from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from mlorch.engine.github_times import utc_lines
from mlorch.lang.cron import oddity, parse_cron, ticks

ZONES = [
    "UTC",
    "America/New_York",
    "Europe/Berlin",
    "Asia/Kolkata",
    "Australia/Lord_Howe",
    "Pacific/Kiritimati",
    "Pacific/Pago_Pago",
]
START = datetime(2024, 1, 1, tzinfo=UTC)


def field(low: int, high: int) -> st.SearchStrategy[str]:
    number = st.integers(low, high)
    return st.one_of(
        st.just("*"),
        number.map(str),
        st.lists(number, min_size=2, max_size=4, unique=True).map(lambda found: ",".join(map(str, sorted(found)))),
        st.integers(2, max(high // 2, 2)).map(lambda step: f"*/{step}"),
    )


CRONS = st.tuples(field(0, 59), field(0, 23), field(1, 28), field(1, 12), field(0, 6)).map(" ".join)


@settings(max_examples=60, deadline=None)
@given(CRONS, st.sampled_from(ZONES), st.integers(1, 4), st.integers(0, 1000))
def test_a_call_follows_every_tick(line: str, zone: str, residue: int, day: int) -> None:
    cron = parse_cron(line)
    begin = START + timedelta(days=day)
    due = list(ticks(cron, zone, begin, begin + timedelta(days=3)))
    called: set[datetime] = set()
    for utc in utc_lines(cron, zone, residue):
        called.update(ticks(parse_cron(utc), "UTC", begin, begin + timedelta(days=4)))
    assert all(call.minute % 5 == residue for call in called)
    calls = sorted(called)
    for tick in due:
        place = bisect_left(calls, tick + timedelta(minutes=3))
        assert place < len(calls), f"nobody calls after {tick}"
        patience = timedelta(minutes=75 if oddity(cron, zone, tick) else 7)
        assert calls[place] - tick <= patience, f"nobody calls in time after {tick}"
