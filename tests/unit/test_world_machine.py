from __future__ import annotations

import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta, timezone

import pytest

from mlorch.model.times import iso_utc, parse_iso, seconds_between
from mlorch.world.clock import parse_now
from mlorch.world.machine import boot_id, cpus, host, same_process, start_ticks


def test_a_process_is_known_by_its_start_and_boot() -> None:
    ticks = start_ticks(os.getpid())
    assert ticks is not None
    assert same_process(os.getpid(), ticks, boot_id())
    assert not same_process(os.getpid(), ticks + 1, boot_id())
    assert not same_process(os.getpid(), ticks, "another boot")
    assert not same_process(0, 0, boot_id())


def test_a_process_that_ended_is_not_there() -> None:
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    ticks = start_ticks(process.pid)
    assert ticks is not None and same_process(process.pid, ticks, boot_id())
    process.communicate()
    assert start_ticks(process.pid) is None
    assert not same_process(process.pid, ticks, boot_id())


def test_a_zombie_does_not_live() -> None:
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    ticks = start_ticks(process.pid)
    assert ticks is not None
    assert process.stdin is not None
    process.stdin.close()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)  # ended, and nobody has taken note of it
    assert start_ticks(process.pid) == ticks
    assert not same_process(process.pid, ticks, boot_id())
    process.wait()


def test_names_with_spaces_and_parentheses_do_not_confuse() -> None:
    code = "open('/proc/self/comm','w').write('a) 1 (b'); print(open('/proc/self/stat').read(), flush=True); input()"
    process = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    said = process.stdout.readline()
    assert "(a) 1 (b)" in said
    assert start_ticks(process.pid) == int(said.rpartition(")")[2].split()[19])
    process.communicate("")


def test_there_is_at_least_one_cpu_and_no_more_than_allowed() -> None:
    assert 1 <= cpus() <= len(os.sched_getaffinity(0))
    assert host()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-11-23T15:04:05Z", datetime(2026, 11, 23, 15, 4, 5, tzinfo=UTC)),
        ("2026-11-23", datetime(2026, 11, 23, tzinfo=UTC)),
        (" 2026-11-23T15:04+02:00 ", datetime(2026, 11, 23, 13, 4, tzinfo=UTC)),
        ("@86400.5", datetime(1970, 1, 2, 0, 0, 0, 500000, tzinfo=UTC)),
    ],
)
def test_times_as_people_type_them(text: str, expected: datetime) -> None:
    assert parse_now(text) == expected


@pytest.mark.parametrize(
    "text", ["", "yesterday", "@", "@x", "@nan", "@1e300", "2026-13-01", "12:00", "0001-01-01T00:00+14:00"]
)
def test_what_is_no_time(text: str) -> None:
    with pytest.raises(ValueError, match="is no time"):
        parse_now(text)


def test_times_as_text_and_back() -> None:
    moment = datetime(2026, 3, 29, 2, 30, 0, 999_999, tzinfo=timezone(timedelta(hours=2)))
    assert iso_utc(moment) == "2026-03-29T00:30:00.999Z"
    assert parse_iso("2026-03-29T00:30:00.999Z") == moment.replace(microsecond=999_000)
    assert seconds_between("2026-03-29T00:30:00.000Z", "2026-03-29T02:30:01.500+02:00") == 1.5
    with pytest.raises(ValueError, match="zone"):
        iso_utc(moment.replace(tzinfo=None))
