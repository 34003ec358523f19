"""Durations and sizes with units, read and written. A bare number is refused: nobody can tell what it meant."""

from __future__ import annotations

import re

SECONDS: dict[str, float] = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
BYTES: dict[str, int] = {
    "B": 1,
    "KB": 10**3,
    "MB": 10**6,
    "GB": 10**9,
    "TB": 10**12,
    "KiB": 2**10,
    "MiB": 2**20,
    "GiB": 2**30,
    "TiB": 2**40,
}
_LONGEST = 400 * 366 * 86400.0
_LARGEST = 2**63 - 1
_PART = re.compile(r"([0-9]{1,15}(?:\.[0-9]{1,9})?)(ms|[smhdw])", re.ASCII)
_SIZE = re.compile(r"([0-9]{1,19}(?:\.[0-9]{1,9})?) ?([A-Za-z]+)", re.ASCII)
_BARE = re.compile(r"[0-9]+(?:\.[0-9]+)?", re.ASCII)


def parse_duration(text: str) -> float:
    """Seconds (>= 0) of `90s`, `45m`, `2h`, `7d`, `1w`, `500ms` or a sum from large to small such as `1h30m`.

    Raises `ValueError` for a bare number, an unknown unit, units out of order, or more than about 400 years.
    """
    given = text.strip()
    if _BARE.fullmatch(given):
        raise ValueError(f"`{given}` has no unit: write `{given}s` for seconds, or use ms, m, h, d, w")
    total, position, previous = 0.0, 0, float("inf")
    for match in _PART.finditer(given):
        unit = SECONDS[match[2]]
        if match.start() != position or unit >= previous:
            break
        total, position, previous = total + float(match[1]) * unit, match.end(), unit
    if not given or position != len(given):
        raise ValueError(
            f"`{text}` is no duration: write a number with a unit, such as 500ms, 90s, 45m, 2h, 7d, 1w or 1h30m"
        )
    if total > _LONGEST:
        raise ValueError(f"`{text}` is too long: at most 400 years")
    return total


def parse_size(text: str) -> int:
    """Bytes (0 to 2**63 - 1) of `123B`, `10KB`, `4GB` (powers of 1000), `512MiB`, `1.5GiB` (powers of 1024).

    Raises `ValueError` for a bare number, an unknown unit, or a size that no file can have.
    """
    given = text.strip()
    if _BARE.fullmatch(given):
        raise ValueError(f"`{given}` has no unit: write `{given}B` for bytes, or use {', '.join(list(BYTES)[1:])}")
    match = _SIZE.fullmatch(given)
    if match is None:
        raise ValueError(f"`{text}` is no size: write a number with a unit, such as 512MiB, 4GB or 10KB")
    factor = BYTES.get(match[2])
    if factor is None:
        meant = next((unit for unit in BYTES if unit.lower() == match[2].lower()), "")
        advice = f"did you mean `{match[1]}{meant}`?" if meant else f"use {', '.join(BYTES)}"
        raise ValueError(f"`{match[2]}` is no unit of size: {advice}")
    size = int(match[1]) * factor if "." not in match[1] else round(float(match[1]) * factor)
    if size > _LARGEST:
        raise ValueError(f"`{text}` is too large: at most 8 EiB")
    return size


def format_duration(seconds: float) -> str:
    """`seconds` for people: `0.3 s`, `42 s`, `3m 12s`, `2h 05m`, `3d 4h`; a negative one with a sign."""
    if seconds < 0:
        return "-" + format_duration(-seconds)
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60}m {whole % 60:02d}s"
    minutes = round(seconds / 60)
    if minutes < 24 * 60:
        return f"{minutes // 60}h {minutes % 60:02d}m"
    hours = round(seconds / 3600)
    return f"{hours // 24}d {hours % 24}h"


def format_size(size: float) -> str:
    """`size` in bytes for people, in powers of 1024: `0 B`, `812 B`, `1.5 KiB`, `34 MiB`, `2.0 GiB`."""
    if size < 0:
        return "-" + format_size(-size)
    if size < 1024:
        return f"{size:.0f} B"
    value = float(size)
    for unit in ("KiB", "MiB", "GiB", "TiB", "PiB", "EiB"):
        value /= 1024
        if value < 1023.5 or unit == "EiB":
            break
    return f"{value:.1f} {unit}" if value < 9.95 else f"{value:.0f} {unit}"
