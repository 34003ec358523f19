"""What attempts left on disk, for whoever comes after a crash: was it started, does it live, how did it end?"""

from __future__ import annotations

import json
import os
import select
import signal
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mlorch.executors.supervisor import proc
from mlorch.model.attempt import AttemptDone

if TYPE_CHECKING:
    from collections.abc import Iterable

_ROUND = 0.02


@dataclass(frozen=True, slots=True)
class StartRecord:
    """The start of an attempt. (`pid`, `start_ticks`, `boot_id`) is the identity of its process, `marks` are in its environment."""

    token: str
    pid: int
    start_ticks: int
    boot_id: str
    at: str
    supervisor_pid: int
    supervisor_ticks: int
    marks: tuple[str, ...] = ()


def done_of(data: dict[str, Any]) -> AttemptDone:
    """The end that a line of a record (or of the supervisor) tells. Raises `KeyError` when it is none."""
    return AttemptDone(
        token=data["token"],
        cause=data["cause"],
        exit_code=data.get("exit_code"),
        signal=data.get("signal", ""),
        spawn_error=data.get("spawn_error", ""),
        errno=data.get("errno", 0),
        started_at=data.get("started_at", ""),
        ended_at=data.get("ended_at", ""),
        duration_s=data.get("duration_s", 0.0),
        peak_rss_bytes=data.get("peak_rss_bytes", 0),
        cpu_s=data.get("cpu_s", 0.0),
        record_error=data.get("record_error", ""),
    )


def _start_of(data: dict[str, Any]) -> StartRecord:
    return StartRecord(
        token=data["token"],
        pid=data["pid"],
        start_ticks=data["start_ticks"],
        boot_id=data["boot_id"],
        at=data["at"],
        supervisor_pid=data["supervisor_pid"],
        supervisor_ticks=data["supervisor_ticks"],
        marks=tuple(data["marks"]),
    )


def read_records(path: str) -> dict[str, tuple[StartRecord | None, AttemptDone | None]]:
    """The start and the end of each attempt in the record file `path`, by token; {} if there is no such file.

    A line that is torn (a crash, a full disk) or of an unknown kind is left out. Raises `OSError` when the file cannot be read.
    """
    found: dict[str, tuple[StartRecord | None, AttemptDone | None]] = {}
    try:
        with open(path, "rb") as file:
            lines = file.read().split(b"\n")
    except FileNotFoundError:
        return found
    for text in lines:
        try:
            data = json.loads(text)
            start, end = found.get(data["token"], (None, None))
            if data["type"] == "start":
                found[data["token"]] = (_start_of(data), end)
            elif data["type"] == "end":
                found[data["token"]] = (start, done_of(data))
        except (ValueError, KeyError, TypeError):
            continue
    return found


def torn_lines(path: str) -> int:
    """How many lines of a record file are not whole; 0 if there is none, or it cannot be read."""
    try:
        with open(path, "rb") as file:
            return sum(not _is_whole(line) for line in file)
    except OSError:
        return 0


def _is_whole(line: bytes) -> bool:
    try:
        return line.endswith(b"\n") and isinstance(json.loads(line), dict)
    except ValueError:
        return not line.strip()


def alive(start: StartRecord) -> bool:
    """Whether the process that was started lives: the very one, not a stranger with its number."""
    return process_lives(start.pid, start.start_ticks, start.boot_id)


def watched(start: StartRecord) -> bool:
    """Whether the supervisor that started it lives, so that its end will be recorded and its time-out enforced."""
    return process_lives(start.supervisor_pid, start.supervisor_ticks, start.boot_id)


def process_lives(pid: int, ticks: int, boot: str) -> bool:
    """Whether the process of this identity lives; one that ended and was not waited for does not."""
    known = proc.stat(pid) if boot == proc.boot_id() else None
    return known is not None and known.start_ticks == ticks and not known.dead


class Ending:
    """Ends the processes of an attempt that nobody watches: TERM, then KILL after `grace` seconds. Never waits.

    They are known by the process that was started, its session, what descends from it, and by `marks`.
    """

    def __init__(self, start: StartRecord | None, marks: Iterable[str], grace: float) -> None:
        self._start = start if start is not None and start.boot_id == proc.boot_id() else None
        self._marks = [os.fsencode(mark) for mark in marks] if start is None or self._start is not None else []
        self._grace = grace
        self._kill_at: float | None = None

    def members(self) -> list[int]:
        """Processes of the attempt that live now."""
        spared = _ourselves()
        known = {
            pid: found for pid in proc.pids() if (found := proc.stat(pid)) and not found.dead and pid not in spared
        }
        roots = [pid for pid, found in known.items() if self._belongs(found, known)]
        return [pid for pid in proc.tree(roots) if pid in known] if roots else []

    def _belongs(self, found: proc.Stat, known: dict[int, proc.Stat]) -> bool:
        start = self._start
        if start is not None:
            if found.pid == start.pid:
                return found.start_ticks == start.start_ticks
            if found.session == start.pid and found.start_ticks >= start.start_ticks:
                # A session outlives its leader and keeps the number from being used again.
                leader = known.get(start.pid)
                if leader is None or leader.start_ticks == start.start_ticks:
                    return True
        return proc.marked(found.pid, self._marks)

    def step(self) -> bool:
        """Do what is due now; whether nothing of the attempt lives any more."""
        members = self.members()
        if not members:
            return True
        now = time.monotonic()
        if self._kill_at is None:
            self._kill_at = now + self._grace
            signal_all(members, signal.SIGTERM)
            signal_all(members, signal.SIGCONT)
        elif now >= self._kill_at:
            signal_all(members, signal.SIGKILL)
        return False

    def hurry(self) -> None:
        """From now on KILL."""
        self._kill_at = 0.0


def signal_all(pids: Iterable[int], number: int) -> None:
    """Signal each of these processes that is still there and ours."""
    for pid in pids:
        try:
            os.kill(pid, number)
        except (ProcessLookupError, PermissionError):
            continue


def end_by_identity(start: StartRecord, grace: float) -> None:
    """End what lives of an attempt that nobody watches, and wait until it is gone: `grace` seconds and a moment at most.

    A process that even KILL does not end (it hangs in the kernel) is given up after ten seconds more.
    """
    ending = Ending(start, start.marks, grace)
    give_up = time.monotonic() + grace + 10
    while not ending.step() and time.monotonic() < give_up:
        _wait_for_end(start)


def _wait_for_end(start: StartRecord) -> None:
    """Wait until the process ended, but no longer than one round."""
    try:
        fd = os.pidfd_open(start.pid)
    except OSError:
        time.sleep(_ROUND)  # others of the attempt live on; there is nothing to wait for
        return
    try:
        poller = select.poll()
        poller.register(fd, select.POLLIN)
        if poller.poll(int(_ROUND * 1000)) and not alive(start):
            time.sleep(_ROUND)  # it has ended, and others have not: they get their time
    finally:
        os.close(fd)


def _ourselves() -> set[int]:
    """We and all above us: when mlorch is itself a step of mlorch, a mark may be theirs too."""
    found = set()
    pid = os.getpid()
    while pid > 0 and pid not in found:
        found.add(pid)
        known = proc.stat(pid)
        pid = known.parent if known else 0
    return found
