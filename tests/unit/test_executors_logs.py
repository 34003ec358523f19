"""Bounding a log, on file systems with and without holes."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

import pytest

from mlorch.executors.supervisor import logs

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LIMIT = 64 * 1024


@pytest.fixture
def log(tmp_path: Path) -> Iterator[int]:
    fd = os.open(tmp_path / "log", os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
    yield fd
    os.close(fd)


@pytest.fixture(params=[True, False], ids=["holes", "no_holes"])
def holes(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    def refuse(*_: int) -> None:
        raise OSError(errno.EOPNOTSUPP, "no holes here")

    if not request.param:
        monkeypatch.setattr(logs, "punch_hole", refuse)
    return bool(request.param)


def numbered(first: int, last: int) -> bytes:
    return b"".join(b"%09d\n" % number for number in range(first, last))


def content(fd: int) -> bytes:
    return os.pread(fd, 1 << 26, 0)


def test_a_short_log_is_left_alone(log: int) -> None:
    guard = logs.LogGuard(log, LIMIT)
    os.write(log, b"x" * LIMIT)
    guard.look(0.1)
    guard.finish()
    assert content(log) == b"x" * LIMIT
    assert guard.cut == 0


@pytest.mark.usefixtures("holes")
def test_head_and_tail_stay_and_the_count_is_right(log: int) -> None:
    guard = logs.LogGuard(log, LIMIT)
    for turn in range(20):
        os.write(log, numbered(turn * 5000, (turn + 1) * 5000))
        changed, again = guard.look(0.1)
        assert changed
        assert 0 < again <= 0.2
        assert os.fstat(log).st_blocks * 512 <= 3 * LIMIT
    guard.finish()
    out = content(log)
    assert len(out) < LIMIT + 200
    head, _, rest = out.partition(b"\n[mlorch: ")
    count, _, tail = rest.partition(b" bytes of this log were cut out here; log_limit is 65536]\n")
    assert numbered(0, 100000).startswith(head)
    assert numbered(0, 100000).endswith(tail)
    assert len(head) + int(count) + len(tail) == 1_000_000
    guard.finish()
    assert content(log) == out, "finishing twice changes nothing"


def test_silence_is_seen(log: int) -> None:
    guard = logs.LogGuard(log, LIMIT)
    assert guard.look(0.1)[0] is False
    os.write(log, b"x")
    assert guard.look(0.1)[0] is True
    assert guard.look(0.1)[0] is False
    os.ftruncate(log, 0)
    assert guard.look(0.1)[0] is True


def test_a_fast_writer_is_looked_at_sooner(log: int) -> None:
    guard = logs.LogGuard(log, 1 << 20)
    os.write(log, b"x" * 1000)
    assert guard.look(0.1)[1] == 0.2
    os.write(log, b"x" * 900_000)
    assert guard.look(0.1)[1] < 0.05


def test_the_least_limit(log: int) -> None:
    guard = logs.LogGuard(log, 1)
    os.write(log, b"x" * 5000)
    guard.look(0.1)
    guard.finish()
    assert b"log_limit is 4096" in content(log)
