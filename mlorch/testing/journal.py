"""A journal in memory that survives its writer's death, loses what was not flushed, and can run into a full disk."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlorch.model.errors import StateError
from mlorch.model.events import event, record

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mlorch.model.events import Event


class Killed(BaseException):
    """The process ends here, without any `finally` that matters: what a test raises for SIGKILL."""


class MemoryJournal:
    """The `Journal` port in memory. One object is one journal: open it again to play the next process.

    `kill_after`: the so-manieth event appended (over the journal's life, from 1) is the last; then `Killed` is raised.
    `room`: so many further events fit on the disk, then `StateError` (None: all). `flush_fails`: the next flush fails.
    """

    def __init__(self, *, kill_after: int | None = None) -> None:
        self.kill_after = kill_after
        self.room: int | None = None
        self.flush_fails = False
        self.mended = ""
        self.durable = 0
        self.flushes = 0
        self._events: list[Event] = []
        self._broken = False
        self._opened = False

    @property
    def events(self) -> tuple[Event, ...]:
        """Everything appended so far, for assertions."""
        return tuple(self._events)

    def read(self) -> tuple[Event, ...]:
        """All events, oldest first."""
        return tuple(self._events)

    def open(self) -> tuple[Event, ...]:
        """Make ready to append, and return all events."""
        self._opened = True
        self._broken = False
        return tuple(self._events)

    def append(self, events: Iterable[Event]) -> None:
        """All of them or none. Each is translated to its JSON object and back, so that what cannot be written is noticed."""
        self._check()
        given = [event(record(item)) for item in events]
        if self.room is not None:
            if len(given) > self.room:
                raise StateError("cannot write the journal: No space left on device", "free some space")
            self.room -= len(given)
        if self.kill_after is not None and len(self._events) + len(given) >= self.kill_after:
            self._events.extend(given[: self.kill_after - len(self._events)])
            self._opened = False
            raise Killed
        self._events.extend(given)

    def flush(self) -> None:
        """Make what was appended durable."""
        self._check()
        if self.flush_fails:
            self._broken = True
            raise StateError("cannot flush the journal: Input/output error", "look at `dmesg`")
        self.flushes += 1
        self.durable = len(self._events)

    def close(self) -> None:
        """May be called twice."""
        self._opened = False

    def lose_power(self) -> None:
        """What was not flushed is gone."""
        del self._events[self.durable :]
        self._opened = False

    def _check(self) -> None:
        if self._broken:
            raise StateError("an earlier flush of the journal failed", "look at `dmesg`")
        if not self._opened:
            raise RuntimeError("the journal is not open")
