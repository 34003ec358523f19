"""Locks in memory, by name, that children can keep."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(slots=True)
class LockTable:
    """What all locks of one pretended machine share: by name who holds it and the last note; `lent` counts children."""

    holders: dict[str, object] = field(default_factory=dict)
    notes: dict[str, str] = field(default_factory=dict)
    lent: dict[str, int] = field(default_factory=dict)


class MemoryLock:
    """The `Lock` port in memory. It never really waits: a `wait` is a question asked once more, then False."""

    def __init__(self, table: LockTable, name: str) -> None:
        self._table = table
        self._name = name

    def acquire(self, *, wait: float | None, note: str) -> bool:
        """Take it. Raises `RuntimeError` when it is to wait for ever for a lock that nobody will give back."""
        if self._table.holders.get(self._name) is self:
            raise RuntimeError(f"{self._name} is already held by this object")
        if self._name in self._table.holders or self._table.lent.get(self._name):
            if wait is None:
                raise RuntimeError(f"{self._name} would be waited for for ever")
            return False
        self._table.holders[self._name] = self
        self._table.notes[self._name] = note
        return True

    def holder(self) -> str:
        """The note of whoever holds or last held it; "" if unknown."""
        return self._table.notes.get(self._name, "")

    def fileno(self) -> int:
        """Some number while it is held. Raises `ValueError` when it is not."""
        if self._table.holders.get(self._name) is not self:
            raise ValueError(f"{self._name} is not held")
        return 1000

    def lend(self) -> None:
        """A child has the descriptor now."""
        self._table.lent[self._name] = self._table.lent.get(self._name, 0) + 1

    def child_ended(self) -> None:
        """One child fewer has it."""
        self._table.lent[self._name] -= 1

    def release(self) -> None:
        """Give it back; may be called twice. Children that have it keep it."""
        if self._table.holders.get(self._name) is self:
            del self._table.holders[self._name]
