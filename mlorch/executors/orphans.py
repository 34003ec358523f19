"""Steps that outlived the mlorch that started them: found by what was recorded of them, waited for or ended."""

from __future__ import annotations

import os
import select
import signal
import time
from typing import TYPE_CHECKING

from mlorch.executors.records import alive, process_lives, read_records, signal_all, watched
from mlorch.executors.supervisor import proc
from mlorch.model.attempt import Orphan

if TYPE_CHECKING:
    from collections.abc import Callable

    from mlorch.executors.records import StartRecord
    from mlorch.model.history import RunRecord

_ROUND = 0.02
_GIVE_UP = 10.0
_SUPERVISOR = b"executors/supervisor/__main__.py"


class LocalOrphans:
    """The `Orphans` port for steps of this machine. `record` gives the file of a run's starts and ends."""

    def __init__(self, record: Callable[[str], str]) -> None:
        self._record = record

    def deserted(self, run: RunRecord) -> bool:
        """Whether the mlorch process of a run that has no end is gone. One that nobody has waited for is."""
        return not process_lives(run.pid, run.start_ticks, run.boot_id)

    def find(self, run: RunRecord) -> tuple[Orphan, ...]:
        """Attempts of a deserted run that still live."""
        if not self.deserted(run):
            return ()
        return tuple(
            Orphan(start.token, start.pid, start.at, watched(start))
            for start, ended in self._starts(run.run_id)
            if not ended and alive(start)
        )

    def end(self, run: RunRecord, grace: float, *, watched_too: bool = False) -> None:
        """End what lives of a deserted run: TERM, KILL after `grace` seconds. Waits until it is gone.

        What has a living supervisor is left to it, unless `watched_too`. A process that even KILL does not end is given up
        after ten seconds more.
        """
        if not self.deserted(run) or run.boot_id != proc.boot_id():
            return
        starts = [start for start, _ in self._starts(run.run_id)]
        if watched_too:
            for pid in {start.supervisor_pid for start in starts if watched(start)}:
                os.kill(pid, signal.SIGTERM)  # it ends them all and records how
                _wait_for(pid, 60.0)
        kill_at = 0.0
        while members := _members(run, starts):
            now = time.monotonic()
            if not kill_at:
                kill_at = now + grace
                signal_all(members, signal.SIGTERM)
                signal_all(members, signal.SIGCONT)
            elif now >= kill_at + _GIVE_UP:
                return
            elif now >= kill_at:
                signal_all(members, signal.SIGKILL)
            _wait_for(members[0], _ROUND)

    def _starts(self, run_id: str) -> list[tuple[StartRecord, bool]]:
        """Starts of this boot, and whether their end is on record: what they left behind may live even so."""
        boot = proc.boot_id()
        found = read_records(self._record(run_id)).values()
        return [(start, end is not None) for start, end in found if start is not None and start.boot_id == boot]


def _members(run: RunRecord, starts: list[StartRecord]) -> list[int]:
    """Processes of the run that live and have no living supervisor above them.

    They are known by the process that was started, by its session, and by the run's mark in their environment: a supervisor
    that was killed between starting a process and recording it leaves nothing but the mark.
    """
    known = {pid: found for pid in proc.pids() if (found := proc.stat(pid)) and not found.dead}
    first = {start.pid: start for start in starts}
    supervisors = {start.supervisor_pid for start in starts if watched(start)}
    mark = [b"MLORCH_RUN_ID=" + os.fsencode(run.run_id)]
    spared = {os.getpid(), *_above(os.getpid(), known)}  # when mlorch is itself a step of mlorch

    def belongs(found: proc.Stat) -> bool:
        start = first.get(found.pid) or first.get(found.session)
        if start is not None and found.pid == start.pid:
            return found.start_ticks == start.start_ticks
        if start is not None and found.start_ticks >= start.start_ticks:
            # A session outlives its leader and keeps the number from being used again.
            leader = known.get(start.pid)
            if leader is None or leader.start_ticks == start.start_ticks:
                return True
        return proc.marked(found.pid, mark)

    def supervised(pid: int) -> bool:
        return any(above in supervisors or _is_supervisor(known.get(above), run) for above in _above(pid, known))

    roots = [pid for pid, found in known.items() if pid not in spared and belongs(found)]
    roots = [pid for pid in roots if not supervised(pid)]
    return [pid for pid in proc.tree(roots) if pid in known and pid not in spared] if roots else []


def _above(pid: int, known: dict[int, proc.Stat]) -> list[int]:
    """The parents of a process, nearest first."""
    found: list[int] = []
    while (here := known.get(pid)) is not None and here.parent not in found:
        pid = here.parent
        found.append(pid)
    return found


def _is_supervisor(found: proc.Stat | None, run: RunRecord) -> bool:
    """Whether this is a supervisor that the run's mlorch started: it may not have come to its first record yet."""
    # One that started before that mlorch is of another mlorch, which this one is a step of.
    return (
        found is not None
        and found.start_ticks >= run.start_ticks
        and _SUPERVISOR in proc.slurp(f"/proc/{found.pid}/cmdline")
    )


def _wait_for(pid: int, seconds: float) -> None:
    """Wait until the process has ended, `seconds` at most."""
    try:
        fd = os.pidfd_open(pid)
    except OSError:
        time.sleep(_ROUND)  # it has ended, or will not tell
        return
    try:
        poller = select.poll()
        poller.register(fd, select.POLLIN)
        if poller.poll(int(seconds * 1000)):
            time.sleep(_ROUND / 10)  # others may be ending with it
    finally:
        os.close(fd)
