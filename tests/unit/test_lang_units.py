from __future__ import annotations

import pytest

from mlorch.lang.units import format_duration, format_size, parse_duration, parse_size


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90s", 90),
        ("45m", 2700),
        ("2h", 7200),
        ("7d", 604800),
        ("1w", 604800),
        ("500ms", 0.5),
        ("1h30m", 5400),
        ("1.5h", 5400),
        ("0s", 0),
    ],
)
def test_durations_are_seconds(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(
    ("text", "says"),
    [("90", "write `90s`"), ("", "is no duration"), ("30m1h", "is no duration"), ("1y", "is no duration"), ("-5s", "is no duration"),
     ("1 h", "is no duration"), ("1h1h", "is no duration"), ("999999999999d", "at most 400 years"), ("\u0661s", "is no duration")],
)  # fmt: skip
def test_what_is_no_duration_says_what_would_be(text: str, says: str) -> None:
    with pytest.raises(ValueError, match=r".") as error:
        parse_duration(text)
    assert says in str(error.value)


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("512MiB", 512 * 2**20),
        ("4GB", 4 * 10**9),
        ("10KB", 10**4),
        ("123B", 123),
        ("1.5GiB", 3 * 2**29),
        ("1 MB", 10**6),
    ],
)
def test_sizes_are_bytes(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("512", "write `512B`"),
        ("4gb", "did you mean `4GB`"),
        ("4XB", "is no unit"),
        ("MiB", "is no size"),
        ("9999999TiB", "too large"),
    ],
)
def test_what_is_no_size_says_what_would_be(text: str, says: str) -> None:
    with pytest.raises(ValueError, match=r".") as error:
        parse_size(text)
    assert says in str(error.value)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0.0 s"), (0.26, "0.3 s"), (9.96, "10 s"), (42, "42 s"), (59.7, "1m 00s"), (192, "3m 12s"), (3599.6, "1h 00m"),
     (7500, "2h 05m"), (86399, "1d 0h"), (273600, "3d 4h"), (-42, "-42 s")],
)  # fmt: skip
def test_durations_for_people(seconds: float, text: str) -> None:
    assert format_duration(seconds) == text


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1536, "1.5 KiB"),
        (34 * 2**20, "34 MiB"),
        (2**30, "1.0 GiB"),
        (2**20 - 1, "1.0 MiB"),
        (-5, "-5 B"),
    ],
)
def test_sizes_for_people(size: int, text: str) -> None:
    assert format_size(size) == text
