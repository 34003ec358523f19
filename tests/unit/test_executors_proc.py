"""Processes by their identity."""

from __future__ import annotations

import json
import os
import signal
import time
from typing import TYPE_CHECKING

import pytest

from mlorch.executors.supervisor import proc
from mlorch.executors.supervisor.attempt import quoted, stamp
from mlorch.model.times import parse_iso

if TYPE_CHECKING:
    from pathlib import Path


def test_stat_of_a_name_with_spaces_and_parentheses() -> None:
    text = b"7 (a) b (c)) S 5 6 4 " + b" ".join(b"%d" % field for field in range(7, 30))
    found = proc.Stat(7, text)
    assert (found.state, found.parent, found.session, found.start_ticks) == ("S", 5, 4, 22)


def test_nobody() -> None:
    assert proc.stat(0) is None
    assert proc.start_ticks(2**22 + 1) == 0
    assert not proc.marked(2**22 + 1, [b"A=1"])


def test_marks_are_whole_variables() -> None:
    pid = os.posix_spawn("/bin/sleep", ["sleep", "1000"], {"A": "1", "LONGER": "23"})
    try:
        # A process has no environment yet for a moment after it was started.
        deadline = time.monotonic() + 20
        while not proc.marked(pid, [b"A=1"]):
            assert time.monotonic() < deadline
        assert proc.marked(pid, [b"A=1", b"LONGER=23"])
        assert not proc.marked(pid, [b"A=1", b"B=1"])
        assert not proc.marked(pid, [b"LONGER=2"])
        assert not proc.marked(pid, [b"ONGER=23"])
        assert not proc.marked(pid, [])
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def test_children_and_tree() -> None:
    children = proc.OwnChildren()
    before = set(children.read())
    pid = os.posix_spawn("/bin/sleep", ["sleep", "1000"], {})
    try:
        assert set(children.read()) - before == {pid}
        assert pid in proc.tree([os.getpid()])
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    assert set(children.read()) == before


def test_birthdays_are_those_of_proc() -> None:
    birthdays = proc.Birthdays()
    for _ in range(50):
        before = birthdays.now()
        pid = os.posix_spawn("/bin/true", ["true"], {})
        found = birthdays.of(pid, before)
        assert found == proc.start_ticks(pid)
        os.waitpid(pid, 0)


def test_out_of_memory_counters(tmp_path: Path) -> None:
    counter = tmp_path / "memory.events"
    counter.write_text("oom 9\noom_kill 3\noom_group_kill 4\n")
    assert proc.oom_kills(str(counter)) == 3
    counter.write_text("nothing\n")
    assert proc.oom_kills(str(counter)) == 0
    assert proc.oom_kills(str(tmp_path / "none")) == 0
    assert proc.oom_kills(proc.oom_source()) >= 0


@pytest.mark.parametrize("text", ["", "plain", 'x"\\\n\x7f', "\udcff\u00fc", "\u2028", "\0"])
def test_quoted_is_json_in_ascii_on_one_line(text: str) -> None:
    out = quoted(text)
    assert out.isascii()
    assert "\n" not in out
    assert json.loads(out) == text


def test_the_stamp_is_a_time() -> None:
    before = time.time()
    moment = parse_iso(stamp()).timestamp()
    assert before - 0.001 <= moment <= time.time()
