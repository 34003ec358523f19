from __future__ import annotations

from datetime import UTC, datetime

import pytest

from mlorch.views import text

NOW = datetime(2026, 5, 1, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (None, ""),
        (0.0, "0.00s"),
        (0.04, "0.04s"),
        (0.0951, "0.1s"),
        (1.24, "1.2s"),
        (9.94, "9.9s"),
        (9.96, "10s"),
        (59.4, "59s"),
        (59.6, "1m 00s"),
        (192.2, "3m 12s"),
        (3599.6, "1h 00m"),
        (7500, "2h 05m"),
        (86400 * 3 + 4 * 3600, "3d 4h"),
        (-5, "0.00s"),
    ],
)
def test_duration(seconds: float | None, shown: str) -> None:
    assert text.duration(seconds) == shown


@pytest.mark.parametrize(
    ("iso", "shown"),
    [
        ("", ""),
        ("no time", ""),
        ("2026-05-01T11:59:59.5Z", "just now"),
        ("2026-05-01T11:59:18Z", "42s ago"),
        ("2026-05-01T11:57:00Z", "3m ago"),
        ("2026-05-01T07:00:00Z", "5h ago"),
        ("2026-04-27T07:00:00Z", "4d ago"),
        ("2025-12-24T07:00:00Z", "2025-12-24"),
        ("2026-05-01T12:30:00Z", "2026-05-01 12:30"),
    ],
)
def test_ago(iso: str, shown: str) -> None:
    assert text.ago(iso, NOW) == shown


@pytest.mark.parametrize(
    ("count", "shown"),
    [(None, ""), (0, ""), (512, "512 B"), (1536, "1.5 KiB"), (312 * 2**20, "312 MiB"), (5 * 2**40, "5120 GiB")],
)
def test_size(count: int | None, shown: str) -> None:
    assert text.size(count) == shown


def test_visible_takes_the_teeth_out_of_control_characters() -> None:
    assert text.visible("\x1b[31mred\x1b[0m") == "red"
    assert text.visible("\x1b[2J\x1b]0;title\x07") == "\\x1b[2J\\x1b]0;title\\x07"
    assert text.visible("a\rb\x00\u202e") == "a\\rb\\x00\\u202e"
    assert text.visible("a\tb") == "a   b"
    assert text.visible("naïve ☂ 日本") == "naïve ☂ 日本"
    assert text.visible("name\udcff") == "name\\udcff"


def test_one_line_keeps_what_several_lines_said() -> None:
    assert text.one_line("first\nsecond\r\nthird\n") == "first ⏎ second ⏎ third"


def test_lines_of_shows_the_end_of_a_log() -> None:
    log = b"one\ntwo\r\n 10%\r 50%\r100%\nbad \xff byte\n"
    assert text.lines_of(log, 3) == ["two", "100%", "bad � byte"]
    assert text.lines_of(b"no end of line", 20) == ["no end of line"]
    assert text.lines_of(b"", 20) == []
    assert text.lines_of(b"a\nb\n", 0) == []


def test_why_prefers_the_text_for_people() -> None:
    assert text.why("code_changed", "jobs/x.py changed\n") == "jobs/x.py changed"
    assert text.why("condition_false", "") == "condition false"


def test_count_knows_one_from_many() -> None:
    assert text.count(1, "step") == "1 step"
    assert text.count(10000, "step") == "10,000 steps"
    assert text.count(0, "entry", "entries") == "0 entries"
