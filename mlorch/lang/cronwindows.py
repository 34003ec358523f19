"""Windows between the ticks of a cron line: each begins with a tick and ends with the next; its label is its start."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from mlorch.lang.cron import following, parse_cron, previous
from mlorch.lang.zones import UTC_NAMES, Window, zone

if TYPE_CHECKING:
    from mlorch.model.spec import TimeDimension

_LABEL = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2})T([0-9]{2})([0-9]{2})(Z|[+-][0-9]{4})?")
EXAMPLE = "2026-10-25T0230+0200"


def window_at(dim: TimeDimension, instant: datetime) -> Window:
    """The window in which `instant` lies. Raises `ValueError` at the very ends of the calendar."""
    cron = parse_cron(dim.cron)
    start, end = previous(cron, dim.timezone, instant), following(cron, dim.timezone, instant)
    if start is None or end is None:
        raise ValueError(f"{instant.isoformat()} is beyond the calendar of {dim.name}")
    tz = zone(dim.timezone)
    local = start.astimezone(tz)
    mark = "Z" if dim.timezone in UTC_NAMES else local.strftime("%z")
    label = f"{local.date().isoformat()}T{local.hour:02d}{local.minute:02d}{mark}"
    return Window(label, local, end.astimezone(tz))


def parse_label(dim: TimeDimension, label: str) -> Window:
    """The window that begins when `label` says. Raises `ValueError` when the cron line does not fire then."""
    match = _LABEL.fullmatch(label)
    if match is None:
        raise ValueError(f"`{label}` is no window of `{dim.cron}`: write its start as {EXAMPLE}")
    tz = zone(dim.timezone)
    try:
        wall = datetime.fromisoformat(f"{match[1]}T{match[2]}:{match[3]}").replace(tzinfo=tz)
        found = {
            window.label: window
            for fold in (0, 1)
            if (window := window_at(dim, wall.replace(fold=fold).astimezone(UTC))).start.replace(fold=0) == wall
        }
    except (ValueError, OverflowError):
        raise ValueError(f"`{label}` is no window of `{dim.cron}`: write its start as {EXAMPLE}") from None
    spelled = label[:-5] + "Z" if match[4] == "+0000" and dim.timezone in UTC_NAMES else label
    if spelled in found:
        return found[spelled]
    if found:
        advice = "write " + " or ".join(f"`{name}`" for name in found)
    else:
        advice = f"the window of that time is `{window_at(dim, wall.astimezone(UTC)).label}`"
    raise ValueError(f"`{label}` is no window of `{dim.cron}` in {dim.timezone}: {advice}")


def first_in(dim: TimeDimension, start: datetime, end: datetime, *, last: bool) -> Window:
    """The first (or last) window that begins in [start, end). Raises `ValueError` if none does."""
    window = window_at(dim, end - timedelta(microseconds=1) if last else start)
    if not last and window.start.astimezone(UTC) < start:
        window = window_at(dim, window.end)
    if not start <= window.start.astimezone(UTC) < end:
        raise ValueError(f"no window of `{dim.cron}` begins there")
    return window
