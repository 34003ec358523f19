"""A clock wound by hand."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

START = datetime(2026, 1, 5, 12, 0, tzinfo=UTC)


class HandClock:
    """Stands still until `advance` or `jump`; each reading of `wall` is the same moment."""

    def __init__(self, start: datetime = START, now: datetime | None = None) -> None:
        self._wall = start
        self._monotonic = 1000.0
        self._now = now

    def now(self) -> datetime:
        """The time that schedules and ages go by: what was given as `now`, else `wall`."""
        return self._now or self._wall

    def wall(self) -> datetime:
        """The real time, for records."""
        return self._wall

    def monotonic(self) -> float:
        """Seconds; only `advance` moves them."""
        return self._monotonic

    def advance(self, seconds: float) -> None:
        """Let time pass. Raises `ValueError` for a negative number: use `jump` to set the wall clock back."""
        if seconds < 0:
            raise ValueError("time does not run backwards")
        self._wall += timedelta(seconds=seconds)
        self._monotonic += seconds

    def jump(self, seconds: float) -> None:
        """Set the wall clock forward or back, as an operator or a time server does; no time passes."""
        self._wall += timedelta(seconds=seconds)
