"""Time zones, the moments at which their clocks are set, and spans of time."""

from __future__ import annotations

from datetime import timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from datetime import datetime
    from zoneinfo import ZoneInfo

UTC_NAMES = frozenset({"UTC", "Etc/UTC", "Zulu", "Etc/Zulu", "UCT", "Etc/UCT", "Universal", "Etc/Universal"})


class Window(NamedTuple):
    """A partition's span of time: from `start`, included, to `end`, not included; aware, in the dimension's time zone."""

    label: str
    start: datetime
    end: datetime


@lru_cache(maxsize=64)
def zone(name: str) -> ZoneInfo:
    """The time zone called `name`. Raises `ValueError` when there is none (or no time zone data on this machine)."""
    import zoneinfo

    try:
        return zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError) as error:
        advice = "use a name such as UTC, Europe/Berlin or America/New_York"
        raise ValueError(f"unknown time zone `{name}`: {advice}") from error


def change(tz: ZoneInfo, before: datetime, after: datetime) -> datetime:
    """The first whole second after `before` at which the zone's offset is that of `after` (both aware UTC)."""
    old = before.astimezone(tz).utcoffset()
    low, high = 0, int((after - before).total_seconds()) + 1
    while high - low > 1:
        middle = (low + high) // 2
        if (before + timedelta(seconds=middle)).astimezone(tz).utcoffset() == old:
            low = middle
        else:
            high = middle
    return before + timedelta(seconds=high)
