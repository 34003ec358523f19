"""What is remembered of schedules, on disk: a journal for each pipeline, written under a lock of its own.

It lies where the journals of partitions lie, under a name that no pipeline can have, so that whatever looks after journals (`doctor`,
`gc`) looks after these too.
"""

from __future__ import annotations

import os
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from mlorch.engine.agenda import Agenda, agenda_of, apply, kept
from mlorch.model.errors import BusyError, StateError
from mlorch.model.events import ScheduleNoted, Unknown, record
from mlorch.model.times import iso_utc
from mlorch.world.journal import FileJournal, encode_line
from mlorch.world.machine import boot_id, same_process

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mlorch.engine.agenda import Pending
    from mlorch.model.ports import Clock
    from mlorch.world.layout import StateLayout

FOLDER = "@schedule"
_PATIENCE_S = 30.0
_LONGEST, _LEFT = 1_000, 200
"""Lines of a journal: past the first number its beginning is given up but for the newest so many."""


class Book:
    """One agenda, open for writing. What is noted counts at once, and is on disk when the book is closed."""

    def __init__(self, agenda: Agenda, journal: FileJournal, at: str) -> None:
        self.agenda = agenda
        self._journal = journal
        self._at = at
        self._new: list[ScheduleNoted] = []

    def note(self, what: str, key: str = "", /, **facts: Any) -> None:
        """Add a fact; the words are those of `engine.agenda`."""
        event = ScheduleNoted("", self._at, what, key, tuple(facts.items()))
        apply(self.agenda, event)
        self._new.append(event)

    def write(self) -> None:
        """Put down what is new. Raises `StateError`."""
        if self._new:
            self._journal.append(self._new)
            self._journal.flush()
            self._new = []


class Agendas:
    """The agendas of a project."""

    def __init__(self, layout: StateLayout, clock: Clock, *, allow_network: bool) -> None:
        self._layout = layout
        self._clock = clock
        self._allow_network = allow_network
        self._read: dict[str, tuple[tuple[int, int], Agenda]] = {}

    def of(self, pipeline: str) -> Agenda:
        """What is remembered now; takes no lock. Raises `StateError`."""
        path = self._layout.journal(FOLDER, pipeline)
        try:
            status = os.stat(path)
        except FileNotFoundError:
            return Agenda()
        known = self._read.get(pipeline)
        stamp = (status.st_size, status.st_mtime_ns)
        if known is None or known[0] != stamp:
            known = self._read[pipeline] = (stamp, agenda_of(FileJournal(path).read()))
        return known[1]

    @contextmanager
    def open(self, pipeline: str) -> Iterator[Book]:
        """The agenda under its lock; what was noted is written when the block ends well. Raises `StateError`, `BusyError`."""
        from mlorch.world.locks import LockFile

        layout = self._layout
        layout.create(allow_network=self._allow_network)
        layout.create_partition(FOLDER, pipeline)
        lock = LockFile(layout.lock(FOLDER, pipeline))
        at = iso_utc(self._clock.wall())
        if not lock.acquire(wait=_PATIENCE_S, note=f"schedule of {pipeline} (pid {os.getpid()}) since {at}"):
            raise BusyError(f"the schedule of {pipeline} is held by {lock.holder()}", "try again")
        journal = FileJournal(layout.journal(FOLDER, pipeline), reserve=layout.reserve)
        try:
            events = journal.open()
            book = Book(agenda_of(events), journal, at)
            yield book
            book.write()
            if len(events) > _LONGEST:
                journal.close()
                with suppress(StateError):  # what was noted is written; the next one tries again
                    _shorten(journal, at)
        finally:
            journal.close()
            lock.release()
            self._read.pop(pipeline, None)


def _shorten(journal: FileJournal, at: str) -> None:
    """Give up the beginning of the journal, which a tick a minute makes long, and keep what it added up to. For the holder of the lock."""
    from mlorch.world.scan import rewrite

    events = journal.read()
    first = kept(events[:-_LEFT], at)
    if first is not None and not any(isinstance(event, Unknown) for event in events):
        lines = (encode_line(record(event), seq) for seq, event in enumerate((first, *events[-_LEFT:]), 1))
        rewrite(journal.path, lines)


def works(pending: Pending) -> bool:
    """Whether whoever took it still lives."""
    if pending.claim is None:
        return False
    _, pid, ticks, boot = pending.claim
    return boot == boot_id() and same_process(pid, ticks, boot)
