"""Times as text and back: ISO 8601, UTC, milliseconds, `Z`. Pure; the clock itself is in `world`."""

from __future__ import annotations

from datetime import UTC, datetime


def iso_utc(moment: datetime) -> str:
    """`2026-11-23T15:04:05.123Z`. `moment` must be aware.

    Raises `ValueError` for a naive one: it would silently mean the local time of whoever reads it.
    """
    if moment.tzinfo is None:
        message = "a time without a zone"
        raise ValueError(message)
    if moment.tzinfo is not UTC:
        moment = moment.astimezone(UTC)
    return moment.isoformat(timespec="milliseconds")[:-6] + "Z"


def parse_iso(text: str) -> datetime:
    """The aware UTC time of an ISO 8601 text; one without a zone is taken as UTC. Raises `ValueError`."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        return moment.replace(tzinfo=UTC)
    return moment.astimezone(UTC)


def seconds_between(earlier: str, later: str) -> float:
    """Seconds from one ISO time to another; negative when the clock went backwards. Raises `ValueError`."""
    return (parse_iso(later) - parse_iso(earlier)).total_seconds()
