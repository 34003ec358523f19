"""The only clock of the program."""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime

from mlorch.model.times import parse_iso
from mlorch.world.digests import signature


class SystemClock:
    """The machine's clock. `now_override` is what `--now` said: it stands still, and moves schedules and ages only."""

    def __init__(self, now_override: datetime | None = None) -> None:
        self._override = now_override

    def now(self) -> datetime:
        """The time that schedules and ages go by: aware UTC."""
        return self._override or datetime.now(UTC)

    def wall(self) -> datetime:
        """The real time, for records: aware UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Seconds from an arbitrary start, never backwards."""
        return time.monotonic()


def parse_now(text: str) -> datetime:
    """The time meant by `--now` or `MLORCH_NOW`: ISO 8601, or seconds since 1970 as `@1385164800`; without a zone UTC.

    Raises `ValueError` with a message for people.
    """
    given = text.strip()
    try:
        if given.startswith("@"):
            return datetime.fromtimestamp(float(given[1:]), UTC)
        return parse_iso(given)
    except (ValueError, OverflowError, OSError):
        message = f"{text!r} is no time: write it like 2026-11-23T15:04:05Z or 2026-11-23"
        raise ValueError(message) from None


def zone_stamp(name: str) -> str:
    """What stands for the rules of a time zone on this machine: they change with its data, not with its name."""
    import zoneinfo
    from importlib.util import find_spec

    package = find_spec("tzdata")
    folders = [*zoneinfo.TZPATH]
    if package is not None and package.origin is not None:
        folders.append(f"{os.path.dirname(package.origin)}/zoneinfo")
    for folder in folders:
        try:
            return signature(os.stat(f"{folder}/{name}"))
        except OSError:
            continue
    return ""
