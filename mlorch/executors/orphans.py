"""Steps that outlived the mlorch that started them: found by what was recorded of them, waited for or ended."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

from mlorch.executors.records import alive, end_by_identity, read_records, watched
from mlorch.executors.supervisor import proc
from mlorch.model.attempt import Orphan
from mlorch.world.machine import same_process

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mlorch.executors.records import StartRecord
    from mlorch.model.history import RunRecord


class LocalOrphans:
    """The `Orphans` port for steps of this machine. `record` gives the file of a run's starts and ends."""

    def __init__(self, record: Callable[[str], str]) -> None:
        self._record = record

    def deserted(self, run: RunRecord) -> bool:
        """Whether the mlorch process of a run that has no end is gone."""
        return not same_process(run.pid, run.start_ticks, run.boot_id)

    def find(self, run: RunRecord) -> tuple[Orphan, ...]:
        """Attempts of a deserted run that still live."""
        if not self.deserted(run):
            return ()
        return tuple(
            Orphan(start.token, start.pid, start.at, watched(start)) for start in self._open(run.run_id) if alive(start)
        )

    def end(self, run: RunRecord, grace: float, *, watched_too: bool = False) -> None:
        """End what lives of a deserted run's attempts: TERM, KILL after `grace` seconds. Waits until it is gone.

        Attempts whose supervisor lives are left to it, unless `watched_too`.
        """
        if not self.deserted(run):
            return
        for start in self._open(run.run_id):
            if not watched(start):
                end_by_identity(start, grace)
            elif watched_too:
                os.kill(start.supervisor_pid, signal.SIGTERM)  # it ends them all and records how
                self._wait_for(start)

    def _open(self, run_id: str) -> Iterator[StartRecord]:
        """Starts of this boot that have no end on record."""
        for start, end in read_records(self._record(run_id)).values():
            if start is not None and end is None and start.boot_id == proc.boot_id():
                yield start

    @staticmethod
    def _wait_for(start: StartRecord) -> None:
        import select

        try:
            fd = os.pidfd_open(start.supervisor_pid)
        except OSError:
            return
        try:
            poller = select.poll()
            poller.register(fd, select.POLLIN)
            poller.poll(60_000)
        finally:
            os.close(fd)
